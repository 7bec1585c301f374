//! The command line of `braid ingest`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use braid_core::{CollectionName, Error, Metadata, Result};
use braid_engine::source::{SourceFormat, SourceOptions, parse_metadata};

/// Ingest files, folders, JSONL or BEIR corpora.
///
/// Documents are durable as they are read; the command ends when they are retrievable. Running it
/// again embeds and writes only what changed. Exit status: 0 done, 1 failed, 2 wrong usage, 3 some
/// documents failed (each is listed with its reason).
#[derive(Clone, Debug, clap::Args)]
pub struct IngestArgs {
    /// Folders (Markdown, text, HTML; hidden and .gitignore'd files are skipped), files, .jsonl
    /// files or BEIR folders
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Collection to write; made with the configured settings if there is none
    #[arg(long, short, default_value = "default")]
    pub collection: CollectionName,
    /// How paths are read: auto, files, jsonl or beir
    #[arg(long, default_value_t)]
    pub format: SourceFormat,
    /// JSONL field that holds the id [default: _id or id]
    #[arg(long, value_name = "F")]
    pub id_field: Option<String>,
    /// JSONL field that holds the text [default: text]
    #[arg(long, value_name = "F")]
    pub text_field: Option<String>,
    /// Metadata added to every document, repeatable: KEY=VALUE
    #[arg(long = "metadata", value_name = "K=V")]
    pub metadata: Vec<String>,
    /// Delete documents of the collection that are not among PATHS
    #[arg(long)]
    pub sync: bool,
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

impl IngestArgs {
    pub(crate) fn sources(&self) -> Result<Sources> {
        let mut fields = BTreeMap::new();
        for argument in &self.metadata {
            let (key, value) = parse_metadata(argument)?;
            if fields.insert(key.clone(), value).is_some() {
                return Err(Error::invalid(format!("--metadata {key} is given twice")));
            }
        }
        let options = SourceOptions {
            format: self.format,
            id_field: self.id_field.clone(),
            text_field: self.text_field.clone(),
            metadata: Metadata::new(fields)?,
        };
        Ok(Sources {
            paths: self.paths.clone(),
            options,
        })
    }
}
