//! What `braid retrieve` and `braid explain` take.

use std::path::PathBuf;

use braid_core::CollectionName;
use clap::Args;

/// `braid retrieve`.
#[derive(Debug, Args)]
pub(crate) struct RetrieveArgs {
    /// What to look for
    #[arg(required_unless_present = "batch")]
    pub(crate) query: Option<String>,
    /// Answer every line of a file (- for standard input), each a retrieval as the API takes it; the
    /// other options fill what a line leaves open. Exit status 3 if any is refused or fails
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["query", "also", "cursor"])]
    pub(crate) batch: Option<PathBuf>,
    /// Go on after the answer that gave this as next_cursor, to the same request
    #[arg(long, value_name = "C", requires = "server")]
    pub(crate) cursor: Option<String>,
    #[command(flatten)]
    pub(crate) asked: RetrievalArgs,
    /// Most milliseconds for re-ranking [default: no limit; the server's with --server]
    #[arg(long, value_name = "MS", conflicts_with = "no_rerank")]
    pub(crate) rerank_deadline_ms: Option<u64>,
    /// Show each hit's rank and score at every stage, and what moved it
    #[arg(long)]
    pub(crate) explain: bool,
}

/// `braid explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// What to look for
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) asked: RetrievalArgs,
    /// The document that was not returned
    #[arg(long, short, value_name = "ID")]
    pub(crate) document: String,
    /// How deep each leg is searched for it, 1 to 2000 [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) depth: Option<usize>,
}

/// What both ask.
#[derive(Debug, Args)]
pub(crate) struct RetrievalArgs {
    /// Another phrasing of the query, repeatable: what any phrasing finds is one list
    #[arg(long, value_name = "QUERY")]
    pub(crate) also: Vec<String>,
    /// Where
    #[arg(long, short, default_value = "default")]
    pub(crate) collection: CollectionName,
    /// Ask a running server instead of opening a data directory
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// How many hits
    #[arg(long, short = 'k', value_name = "N", allow_negative_numbers = true)]
    pub(crate) top_k: Option<usize>,
    /// Which legs: lexical, dense or hybrid
    #[arg(long, value_name = "M", value_parser = ["lexical", "dense", "hybrid"])]
    pub(crate) mode: Option<String>,
    /// Whether operators in the query are read ("exact phrase", -word, title:word): auto or off
    #[arg(long, value_name = "S", value_parser = ["auto", "off"])]
    pub(crate) syntax: Option<String>,
    /// Whether words that no document has are corrected: auto or off
    #[arg(long, value_name = "T", value_parser = ["auto", "off"])]
    pub(crate) typos: Option<String>,
    /// How the legs' lists become one: rrf, minmax or dbsf
    #[arg(long, value_name = "F", value_parser = ["rrf", "minmax", "dbsf"])]
    pub(crate) fusion: Option<String>,
    /// Whether the legs' weights are shifted for each query: auto or off
    #[arg(long, value_name = "T", value_parser = ["auto", "off"])]
    pub(crate) leg_trust: Option<String>,
    /// Metadata filter as JSON, as in the API
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
    /// Do not re-rank
    #[arg(long)]
    pub(crate) no_rerank: bool,
    /// Least calibrated probability of being relevant, 0 to 1: what is below is not returned
    #[arg(long, value_name = "P", conflicts_with = "no_rerank", value_parser = number)]
    pub(crate) min_relevance: Option<f64>,
    /// Least BM25 score of a candidate of the lexical leg
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = number)]
    pub(crate) min_lexical: Option<f64>,
    /// Least cosine similarity of a candidate of the dense leg, -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = number)]
    pub(crate) min_dense: Option<f64>,
    /// Return passages that say the same as a better one too
    #[arg(long)]
    pub(crate) no_distinct: bool,
    /// Most tokens of context; 0 assembles none
    #[arg(long, value_name = "N")]
    pub(crate) context_tokens: Option<usize>,
    /// What counts as a token of the context: embedder, cl100k, o200k, characters or words
    #[arg(long, value_name = "T", value_parser = ["embedder", "cl100k", "o200k", "characters", "words"])]
    pub(crate) tokenizer: Option<String>,
    /// What the context shows around each hit: none, neighbors (the chunks before and after it) or
    /// section (those under the same headings, up to 16 chunks from the hit)
    #[arg(long, value_name = "E", value_parser = ["none", "neighbors", "section"])]
    pub(crate) expand: Option<String>,
    /// Most hits of one document in the context
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) per_document: Option<usize>,
    /// Leave out of the context what shares more of its word triples than this with a better hit,
    /// 0 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = number)]
    pub(crate) max_similarity: Option<f64>,
    /// Choose hits for the context by maximal marginal relevance: the weight of relevance against
    /// novelty, 0 to 1
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true, value_parser = number)]
    pub(crate) mmr: Option<f64>,
    /// How hits stand in the context: rank, or edges (the best at both ends)
    #[arg(long, value_name = "O", value_parser = ["rank", "edges"])]
    pub(crate) order: Option<String>,
    /// Print the answer as JSON, as the API gives it
    #[arg(long)]
    pub(crate) json: bool,
}

/// JSON has no other numbers: they would be taken as if nothing was said.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "is not a finite number".to_owned())
}
