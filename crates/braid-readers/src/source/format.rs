//! What kind of source a path is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use braid_core::{Error, Result};

use super::rows;

/// The corpus file of a BEIR folder.
const BEIR_CORPUS: &str = "corpus.jsonl";

/// How the paths of an ingestion are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFormat {
    /// Decided for each path: a folder with `corpus.jsonl` is BEIR, a `.jsonl` or `.ndjson` file is
    /// JSONL, a `.json` file is JSON, a `.csv` or `.tsv` file is a table, everything else is files.
    #[default]
    Auto,
    /// A folder's documents, or one file.
    Files,
    /// One JSON object per line.
    Jsonl,
    /// A JSON array of objects, or one object.
    Json,
    /// A table whose first row names its columns: comma, tab, semicolon or bar separated.
    Csv,
    /// A BEIR folder: `corpus.jsonl` with `_id`, `title` and `text`.
    Beir,
}

impl FromStr for SourceFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "files" => Ok(Self::Files),
            "jsonl" => Ok(Self::Jsonl),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "beir" => Ok(Self::Beir),
            other => Err(Error::invalid(format!(
                "unknown source format {other:?}: use auto, files, jsonl, json, csv or beir"
            ))),
        }
    }
}

impl fmt::Display for SourceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Files => "files",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Beir => "beir",
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Files(PathBuf),
    Records(PathBuf),
    Json(PathBuf),
    Table(PathBuf),
}

impl Source {
    pub(super) fn of(path: &Path, format: SourceFormat) -> Result<Self> {
        let found = fs::metadata(path).map_err(|error| {
            Error::invalid(format!("cannot read {}: {error}", path.display())).with_source(error)
        })?;
        let corpus = path.join(BEIR_CORPUS);
        match format {
            SourceFormat::Auto if found.is_dir() && corpus.is_file() => Ok(Self::Records(corpus)),
            SourceFormat::Auto if found.is_file() && is_jsonl(path) => {
                Ok(Self::Records(path.to_owned()))
            }
            SourceFormat::Auto if found.is_file() && has_extension(path, &["json"]) => {
                Ok(Self::Json(path.to_owned()))
            }
            SourceFormat::Auto if found.is_file() && rows::is_table(path) => {
                Ok(Self::Table(path.to_owned()))
            }
            SourceFormat::Auto | SourceFormat::Files => Ok(Self::Files(path.to_owned())),
            SourceFormat::Csv if found.is_file() => Ok(Self::Table(path.to_owned())),
            SourceFormat::Json if found.is_file() => Ok(Self::Json(path.to_owned())),
            SourceFormat::Jsonl | SourceFormat::Beir if found.is_file() => {
                Ok(Self::Records(path.to_owned()))
            }
            SourceFormat::Beir if corpus.is_file() => Ok(Self::Records(corpus)),
            SourceFormat::Beir => Err(Error::invalid(format!(
                "{} has no {BEIR_CORPUS}",
                path.display()
            ))),
            SourceFormat::Jsonl | SourceFormat::Json | SourceFormat::Csv => {
                Err(Error::invalid(format!(
                    "{} is not a file; the {format} format reads files",
                    path.display()
                )))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Files(path) | Self::Records(path) | Self::Json(path) | Self::Table(path) => path,
        }
    }
}

fn is_jsonl(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson"])
}

pub(super) fn has_extension(path: &Path, names: &[&str]) -> bool {
    let extension = path.extension();
    extension.is_some_and(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)))
}
