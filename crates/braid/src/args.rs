//! The command line.

mod cache;
mod migrate;
mod plan;
mod retrieve;
mod synonyms;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use braid_core::{ChunkingOverride, CollectionName, FormatFamily};
use clap::{Args, Parser, Subcommand};

pub(crate) use cache::{Answers, CacheCommand, DeleteArgs, LookupArgs, StoreArgs};
pub(crate) use migrate::{MigrateArgs, Profile};
pub(crate) use plan::PlanArgs;
pub(crate) use retrieve::{ExplainArgs, RetrievalArgs, RetrieveArgs};
pub(crate) use synonyms::SynonymsArgs;

/// Hybrid-search retrieval for RAG: BM25 and embeddings, fused, re-ranked, cited, measured.
#[derive(Debug, Parser)]
#[command(
    name = "braid",
    version,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 partly done (some documents failed), \
                  130 or 143 stopped by SIGINT or SIGTERM"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file [default: ./braid.toml if there is one]
    #[arg(
        long,
        global = true,
        value_name = "F",
        env = "BRAID_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Data directory; has one owner at a time [default: ./data]
    #[arg(long, global = true, value_name = "D")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Override one setting, repeatable: SECTION.KEY=VALUE
    #[arg(long = "set", global = true, value_name = "S.K=V", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Log level, such as warn, info or debug
    #[arg(long, global = true, value_name = "L")]
    pub(crate) log_level: Option<String>,
}

/// Puts every `--set` before the subcommand: of an option of every command, those given before a
/// subcommand are forgotten where it is given after it as well.
pub(crate) fn set_first(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut first: Vec<OsString> = arguments.next().into_iter().collect();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            rest.extend(arguments);
            break;
        }
        if argument == "--set" {
            first.push(argument);
            first.extend(arguments.next());
        } else if argument.as_encoded_bytes().starts_with(b"--set=") {
            first.push(argument);
        } else {
            rest.push(argument);
        }
    }
    first.extend(rest);
    first
}

/// `section.key=value`.
fn assignment(argument: &str) -> Result<(String, String), String> {
    argument
        .split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "it is not SECTION.KEY=VALUE".to_owned())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP API and the playground
    Serve(ServeArgs),
    /// Ingest files, folders, JSONL or BEIR corpora
    ///
    /// Documents are durable as they are read; the command ends when they are retrievable, or, with
    /// storage.profile = cluster, when they wait for a worker. Running it again embeds and writes only
    /// what changed, and goes on where it was stopped.
    Ingest(IngestCommand),
    /// Retrieve cited passages for a query
    ///
    /// Without --server the data directory and the models are opened for this one query, and
    /// re-ranking is waited for: retrieve.rerank_deadline_ms is for servers.
    Retrieve(RetrieveArgs),
    /// Say why a document was not returned for a query, and what would return it
    ///
    /// Each change that is named was tried: with it, the document is among the hits. Re-ranking is
    /// waited for.
    Explain(ExplainArgs),
    /// Measure retrieval quality
    Eval(braid_eval::cli::EvalArgs),
    /// Make, list, delete or rebuild collections
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// List, print or delete documents
    #[command(subcommand)]
    Document(DocumentCommand),
    /// List, follow, cancel or retry bulk jobs, and list what could not be indexed
    #[command(subcommand)]
    Job(JobCommand),
    /// Look up, store or delete answers to questions that ask the same, on a running server
    #[command(subcommand)]
    Cache(CacheCommand),
    /// List, fetch or verify models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Check that ledger, lexical index and vector store agree
    Verify(VerifyArgs),
    /// Check the installation and the data directory, and say what to do about each finding
    ///
    /// Nothing is changed. Exit status 1 when something is a problem. While a server has the data
    /// directory, --server asks it for what it knows.
    Doctor(DoctorArgs),
    /// Copy a data directory into a cluster, without embedding anything again
    ///
    /// What is there unchanged is skipped: run it again to go on. At the end both sides are compared, by
    /// counts and by the results of a sample of queries. Exit status 1 where they differ.
    Migrate(MigrateArgs),
    /// Look at what is stored: where a chunk came from, and whether a query can find it
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Say how many nodes, and how much memory, disk and time, so many chunks and queries need
    ///
    /// From what was measured at a few sizes, with its error and every assumption; what was not measured
    /// is said. Nothing is opened.
    Plan(PlanArgs),
}

/// `braid serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Listen beyond loopback although requests are not authenticated
    #[arg(long)]
    pub(crate) allow_unauthenticated: bool,
}

/// `braid ingest`.
#[derive(Debug, Args)]
pub(crate) struct IngestCommand {
    #[command(flatten)]
    pub(crate) ingest: braid_ingest::IngestArgs,
    /// Write to a running server instead of a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Index what waits in a cluster (storage.profile = cluster), until Ctrl-C, instead of ingesting PATHS
    #[arg(long, conflicts_with_all = ["paths", "server", "sync", "watch", "metadata"])]
    pub(crate) worker: bool,
    /// End when nothing waits any more
    #[arg(long, requires = "worker")]
    pub(crate) once: bool,
}

/// `braid collection`.
#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// Make a collection
    Create(CreateArgs),
    /// List collections with their counters
    List {
        /// Ask a running server instead of opening a data directory
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a collection with everything in it
    Delete {
        /// Its name
        name: CollectionName,
        /// Ask a running server instead of opening a data directory
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print or replace a collection's synonyms: what queries are also searched for as
    ///
    /// Nothing is indexed anew.
    Synonyms(SynonymsArgs),
    /// Build a collection's indexes anew from the ledger and switch to them
    ///
    /// With the configured embedder; what it embedded before is not embedded again.
    Rebuild {
        /// Its name
        name: CollectionName,
        /// Take language and chunking from the configuration instead of the collection
        #[arg(long)]
        with_configured_settings: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `braid collection create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name: 1 to 64 of a-z, 0-9, '_' and '-'
    pub(crate) name: CollectionName,
    /// Language of the analyzer: auto detects each document's; or english, german, none, ...
    #[arg(long)]
    pub(crate) language: Option<braid_core::LanguageSetting>,
    /// How documents are chunked: structure, tokens, sentences, headings, code or whole
    #[arg(long)]
    pub(crate) strategy: Option<braid_core::ChunkingStrategy>,
    /// Most tokens in a chunk
    #[arg(long, value_name = "N")]
    pub(crate) target_tokens: Option<usize>,
    /// Most tokens repeated from the chunk before, at most half of the target
    #[arg(long, value_name = "N")]
    pub(crate) overlap_tokens: Option<usize>,
    /// What is different for text, markdown, html or code, such as code=tokens:120:20; repeatable
    #[arg(long, value_name = "FORMAT=STRATEGY[:TARGET[:OVERLAP]]", value_parser = format_chunking)]
    pub(crate) chunking: Vec<(FormatFamily, ChunkingOverride)>,
    /// What is done about documents that say the same: ignore, report, skip or link
    #[arg(long, value_name = "ACTION")]
    pub(crate) duplicates: Option<braid_core::DuplicateAction>,
    /// From which similarity on documents say the same: 0.8 to 1
    #[arg(long, value_name = "S")]
    pub(crate) min_similarity: Option<f64>,
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn format_chunking(text: &str) -> braid_core::Result<(FormatFamily, ChunkingOverride)> {
    let (format, chunking) = text.split_once('=').ok_or_else(|| {
        let problem = "expected FORMAT=STRATEGY[:TARGET[:OVERLAP]] such as code=tokens:120:20";
        braid_core::Error::invalid(problem)
    })?;
    Ok((format.parse()?, chunking.parse()?))
}

/// Which collection, and how to print.
#[derive(Debug, Args)]
pub(crate) struct InCollection {
    /// The collection
    #[arg(long, short, default_value = "default")]
    pub(crate) collection: CollectionName,
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `braid document`.
#[derive(Debug, Subcommand)]
pub(crate) enum DocumentCommand {
    /// List documents
    List {
        #[command(flatten)]
        within: InCollection,
    },
    /// Print a document
    Get {
        /// Its id
        id: String,
        #[command(flatten)]
        within: InCollection,
    },
    /// Delete documents
    Delete {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        within: InCollection,
    },
}

/// `braid job`.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, newest first
    List {
        /// Jobs of this collection alone
        #[arg(long, short)]
        collection: Option<CollectionName>,
        /// Most jobs
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        asked: Asked,
    },
    /// Say how a job stands, and what became of documents that did not go well
    Get {
        /// Its id
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// Take back what a job put and is not retrievable yet
    ///
    /// Those documents are as they were before the job. What is retrievable stays, and so do
    /// deletes.
    Cancel {
        /// Its id
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// List documents whose newest version could not be indexed
    Failures {
        #[command(flatten)]
        within: InCollection,
    },
    /// Try again to index documents that could not be, as they are stored
    ///
    /// Once the cause is mended: nothing needs to be ingested again. Exit status 3 where some fail
    /// again.
    Retry {
        /// These documents; all that failed where left out
        ids: Vec<String>,
        #[command(flatten)]
        within: InCollection,
    },
}

/// Whom a command asks, and how it prints.
#[derive(Clone, Debug, Args)]
pub(crate) struct Asked {
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `braid models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that are found
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model from the model hub into the user's data folder
    Pull {
        /// Its name
        name: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every file of every model, or of one, against its manifest, and its probes
    Verify {
        /// One model's name
        name: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `braid verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// One collection; all where left out
    #[arg(long, short)]
    pub(crate) collection: Option<CollectionName>,
    /// Bring both indexes to what the ledger says, and drop rows nothing refers to
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `braid doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL", conflicts_with = "quick")]
    pub(crate) server: Option<String>,
    /// Do not look for boilerplate, for which every chunk is read twice
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `braid inspect`.
#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// Where a chunk came from, whether it is retrievable, and the terms that find it
    Chunk {
        /// Its id, as hits have it
        id: String,
        /// Most terms shown of each kind
        #[arg(long, value_name = "N", default_value_t = 40)]
        terms: usize,
        #[command(flatten)]
        within: InCollection,
    },
    /// The versions of a document, and the chunks of the retrievable one
    Document {
        /// Its id
        id: String,
        #[command(flatten)]
        within: InCollection,
    },
    /// Settings, fingerprints, counters and index sizes
    Collection {
        /// One collection; all where left out
        name: Option<CollectionName>,
        /// Ask a running server instead of opening a data directory
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let arguments = line.split(' ').map(OsString::from);
        let cli = Cli::try_parse_from(set_first(arguments)).expect("it parses");
        let set = cli
            .global
            .set
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        assert_eq!(set.collect::<Vec<_>>(), expected, "{line}");
    }

    #[test]
    fn every_set_counts_wherever_it_stands() {
        check(
            "braid --set a.b=1 models --set a.c=2 list --set=a.d=3 --json",
            &["a.b=1", "a.c=2", "a.d=3"],
        );
        check("braid --set a.b=1 doctor", &["a.b=1"]);
        check("braid retrieve --set a.b=1 -- --set", &["a.b=1"]);
        let missing = ["braid", "doctor", "--set"].map(OsString::from);
        assert!(Cli::try_parse_from(set_first(missing)).is_err());
    }
}
