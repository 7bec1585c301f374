//! Passages to load and queries to ask: real text where there is some, generated otherwise.

use std::path::Path;

use anyhow::{Context, Result};
use braid_core::{DocumentId, Format, Metadata, NewDocument};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

/// Passages and queries of one measurement.
pub(crate) struct Corpus {
    pub(crate) source: String,
    pub(crate) documents: Vec<NewDocument>,
    pub(crate) queries: Vec<String>,
}

impl Corpus {
    /// Every passage cut after `words` words.
    pub(crate) fn cut(mut self, words: usize) -> Self {
        if words < usize::MAX {
            for document in &mut self.documents {
                let kept: Vec<&str> = document.text.split_whitespace().take(words).collect();
                document.text = kept.join(" ");
            }
            self.source = format!("{}, each cut after {words} words", self.source);
        }
        self
    }
}

#[derive(Deserialize)]
struct Passage {
    id: String,
    text: String,
}

#[derive(Deserialize)]
struct Pair {
    query: String,
}

/// `count` passages and up to `queries` distinct queries.
pub(crate) fn corpus(train: &Path, count: usize, queries: usize) -> Result<Corpus> {
    if !train.is_dir() {
        return generated(count, queries);
    }
    let mut documents = Vec::with_capacity(count);
    let mut asked = Vec::new();
    let mut texts = std::collections::HashSet::new();
    for source in sources(train)? {
        let path = train.join(format!("{source}.passages.jsonl"));
        for line in std::fs::read_to_string(&path)?.lines() {
            if documents.len() >= count {
                break;
            }
            let passage: Passage = serde_json::from_str(line)?;
            // A repeated text would be embedded once in a load and twice by the embedder alone.
            if texts.insert(passage.text.clone()) {
                documents.push(document(&format!("{source}/{}", passage.id), passage.text)?);
            }
        }
        let pairs = std::fs::read_to_string(train.join(format!("{source}.jsonl")))?;
        for line in pairs.lines() {
            asked.push(serde_json::from_str::<Pair>(line)?.query);
        }
    }
    asked.sort();
    asked.dedup();
    let step = (asked.len() / queries.max(1)).max(1);
    let asked = asked.into_iter().step_by(step).take(queries).collect();
    Ok(Corpus {
        source: "passages of the training sources".to_owned(),
        documents,
        queries: asked,
    })
}

fn sources(train: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(train)
        .with_context(|| format!("cannot read {}", train.display()))?
        .flatten()
        .filter_map(|entry| {
            Some(
                entry
                    .file_name()
                    .to_str()?
                    .strip_suffix(".passages.jsonl")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Zipf-distributed words of a made-up vocabulary, about 120 a passage. Seeded.
fn generated(count: usize, queries: usize) -> Result<Corpus> {
    let mut random = StdRng::seed_from_u64(7);
    let mut words = |least: usize, most: usize| {
        let length = random.random_range(least..=most);
        let word = |random: &mut StdRng| {
            let rank = 20_000f64.powf(random.random::<f64>()) as u32;
            format!(
                "{}{}",
                ["ba", "ko", "ri", "ten", "mul", "sha"][rank as usize % 6],
                rank
            )
        };
        (0..length)
            .map(|_| word(&mut random))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let documents = (0..count)
        .map(|index| document(&format!("generated/{index}"), words(60, 180)))
        .collect::<Result<Vec<_>>>()?;
    let queries = (0..queries).map(|_| words(4, 10)).collect();
    Ok(Corpus {
        source: "generated passages".to_owned(),
        documents,
        queries,
    })
}

fn document(id: &str, text: String) -> Result<NewDocument> {
    Ok(NewDocument {
        id: DocumentId::new(id)?,
        text,
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    })
}
