//! A BEIR folder: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use braid_core::{Error, Result};
use serde::Deserialize;

use crate::trec::{Qrels, read_qrels};

/// One question with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Id, as in the qrels.
    pub id: String,
    /// The query.
    pub text: String,
}

/// Topics and qrels of one split; the corpus is read by the BEIR source where it is ingested.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Topics that are judged in this split, in qrels order.
    pub topics: Vec<Topic>,
    /// Their judgements.
    pub qrels: Qrels,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

impl Dataset {
    /// Reads a folder's queries and one split's qrels.
    ///
    /// # Errors
    /// `InvalidRequest` naming what is missing or malformed, and the splits there are.
    pub fn open(path: &Path, split: &str) -> Result<Self> {
        let qrels_path = path.join("qrels").join(format!("{split}.tsv"));
        for needed in [path.join("corpus.jsonl"), path.join("queries.jsonl")] {
            if !needed.is_file() {
                return Err(Error::invalid(format!("{} is missing", needed.display()))
                    .with_help("--dataset takes a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv"));
            }
        }
        if !qrels_path.is_file() {
            return Err(
                Error::invalid(format!("no split {split:?} in {}", path.display())).with_help(
                    format!("use --split with one of: {}", splits(path).join(", ")),
                ),
            );
        }
        let qrels = read_qrels(&qrels_path)?;
        let mut texts = read_queries(&path.join("queries.jsonl"))?;
        let topics = qrels
            .keys()
            .filter_map(|id| {
                texts.remove(id).map(|text| Topic {
                    id: id.clone(),
                    text,
                })
            })
            .collect();
        let name = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Self {
            name,
            path: path.to_owned(),
            topics,
            qrels,
        })
    }

    /// Ids of judged topics that `queries.jsonl` does not have; they score 0.
    pub fn topics_without_text(&self) -> impl Iterator<Item = String> {
        let asked: HashSet<&str> = self.topics.iter().map(|topic| topic.id.as_str()).collect();
        let judged = self.qrels.keys();
        judged
            .filter(move |id| !asked.contains(id.as_str()))
            .cloned()
    }
}

fn splits(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(path.join("qrels"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

fn read_queries(path: &Path) -> Result<HashMap<String, String>> {
    let unreadable =
        |error: std::io::Error| Error::invalid(format!("cannot read {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut texts = HashMap::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let query: QueryLine = serde_json::from_str(&line).map_err(|error| {
            Error::invalid(format!("{}:{}: {error}", path.display(), index + 1))
        })?;
        texts.insert(query.id, query.text);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_a_folder_and_names_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let error = Dataset::open(path, "test").unwrap_err();
        assert!(
            error.to_string().contains("corpus.jsonl is missing"),
            "{error}"
        );
        std::fs::write(path.join("corpus.jsonl"), "").unwrap();
        std::fs::write(
            path.join("queries.jsonl"),
            "{\"_id\":\"q2\",\"text\":\"two\"}\n{\"_id\":\"q1\",\"text\":\"one\"}\n",
        )
        .unwrap();
        std::fs::create_dir(path.join("qrels")).unwrap();
        std::fs::write(
            path.join("qrels/dev.tsv"),
            "query-id\tcorpus-id\tscore\nq1\td\t1\nq9\td\t1\n",
        )
        .unwrap();
        let error = Dataset::open(path, "test").unwrap_err();
        assert!(error.to_string().contains("dev"), "{error}");
        let dataset = Dataset::open(path, "dev").unwrap();
        assert_eq!(
            dataset.topics,
            [Topic {
                id: "q1".into(),
                text: "one".into()
            }]
        );
        assert_eq!(dataset.qrels.len(), 2);
        assert_eq!(dataset.topics_without_text().collect::<Vec<_>>(), ["q9"]);
    }
}
