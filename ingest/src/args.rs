//! The command line of `braid ingest`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use braid_core::{CollectionName, Error, Metadata, Result};
use braid_engine::file::isolated::Parser;
use braid_engine::source::{KnownTexts, SourceFormat, SourceOptions, parse_metadata};

/// Ingest files, folders, tables, JSON, JSONL or BEIR corpora.
///
/// Documents are durable as they are read; the command ends when they are retrievable. Running it
/// again embeds and writes only what changed. Exit status: 0 done, 1 failed, 2 wrong usage, 3 some
/// documents failed (each is listed with its reason).
#[derive(Clone, Debug, clap::Args)]
pub struct IngestArgs {
    /// Folders (Markdown, text, HTML, PDF, Word, OpenDocument, EPUB, source code; hidden and .gitignore'd files are
    /// skipped), files, .json, .jsonl, .csv and .tsv files, or BEIR folders
    #[arg(required_unless_present = "worker")]
    pub paths: Vec<PathBuf>,
    /// Collection to write; made with the configured settings if there is none
    #[arg(long, short, default_value = "default")]
    pub collection: CollectionName,
    /// How paths are read: auto, files, jsonl, json, csv or beir
    #[arg(long, default_value_t)]
    pub format: SourceFormat,
    /// JSON field or column that holds the id [default: _id or id]
    #[arg(long, value_name = "F")]
    pub id_field: Option<String>,
    /// JSON field or column that holds the text [default: text; of a table without it, all columns]
    #[arg(long, value_name = "F")]
    pub text_field: Option<String>,
    /// Rows of a table that make one document
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub rows_per_document: u16,
    /// Metadata added to every document, repeatable: KEY=VALUE
    #[arg(long = "metadata", value_name = "K=V")]
    pub metadata: Vec<String>,
    /// Delete documents of the collection that are not among PATHS
    #[arg(long)]
    pub sync: bool,
    /// After that, follow PATHS: ingest what changes as it changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Look for changes every so many seconds instead of being told of them (network file systems
    /// tell nothing)
    #[arg(long, value_name = "SECONDS", requires = "watch", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub watch_poll: Option<u32>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where documents are read from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) options: SourceOptions,
}

impl Sources {
    /// The options, with texts that need not be extracted again.
    pub(crate) fn knowing(&self, known: impl KnownTexts + 'static) -> SourceOptions {
        SourceOptions {
            known: Some(Arc::new(known)),
            ..self.options.clone()
        }
    }
}

impl IngestArgs {
    pub(crate) fn sources(&self, parser: Option<Parser>) -> Result<Sources> {
        let mut fields = BTreeMap::new();
        for argument in &self.metadata {
            let (key, value) = parse_metadata(argument)?;
            if fields.insert(key.clone(), value).is_some() {
                return Err(Error::invalid(format!("--metadata {key} is given twice")));
            }
        }
        if self.rows_per_document > 1 && self.id_field.is_some() {
            return Err(Error::invalid(
                "--id-field names the id of one row: leave it out, or --rows-per-document",
            ));
        }
        let options = SourceOptions {
            format: self.format,
            id_field: self.id_field.clone(),
            text_field: self.text_field.clone(),
            rows_per_document: usize::from(self.rows_per_document),
            parser: parser.map(Arc::new),
            known: None,
            metadata: Metadata::new(fields)?,
        };
        Ok(Sources {
            paths: self.paths.clone(),
            options,
        })
    }
}
