//! The Tantivy index against the port's suites, and what only it promises.

// Test code: a failed unwrap is a failed test, in helpers too.
#![allow(clippy::unwrap_used)]

mod identifiers;
mod languages;
mod opening;
mod phrases;
mod queries;
mod scripts;
mod several_languages;
mod suites;

use std::path::Path;
use std::sync::Arc;

use braid_core::ports::LexicalMatches;
use braid_core::{
    ChunkId, IndexBatch, Language, LanguageSetting, LexicalEntry, LexicalIndex, Metadata, Result,
    Selection, Sequence, Slot,
};
use braid_lexical::{LexicalOptions, TantivyIndex};
use braid_runtime::CpuPool;
use tempfile::TempDir;

fn open(directory: &Path, options: LexicalOptions) -> Result<Arc<TantivyIndex>> {
    TantivyIndex::open(directory, options, CpuPool::new(1)?)
}

/// A directory with an index of `bodies`, whose slots are their positions.
async fn index_of(language: Language, bodies: &[&str]) -> (TempDir, Arc<TantivyIndex>) {
    let directory = tempfile::tempdir().unwrap();
    let options = LexicalOptions {
        language: LanguageSetting::Fixed(language),
        ..LexicalOptions::default()
    };
    let index = open(directory.path(), options).unwrap();
    let entries = (0..).zip(bodies).map(|(slot, body)| entry(slot, body));
    index.apply(batch(1, entries.collect(), &[])).await.unwrap();
    (directory, index)
}

fn entry(slot: u32, body: &str) -> LexicalEntry {
    LexicalEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u128(u128::from(slot))),
        title: String::new(),
        headings: Vec::new(),
        body: body.to_owned(),
        metadata: Arc::new(Metadata::default()),
        language: None,
    }
}

fn batch(watermark: u64, add: Vec<LexicalEntry>, delete: &[u32]) -> IndexBatch<LexicalEntry> {
    IndexBatch {
        add,
        delete: delete.iter().copied().collect(),
        watermark: Sequence(watermark),
    }
}

async fn search(index: &TantivyIndex, query: &str) -> LexicalMatches {
    let view = index.pin().await.unwrap();
    view.search(query, &Selection::default(), 100)
        .await
        .unwrap()
}

async fn found(index: &TantivyIndex, query: &str) -> Vec<u32> {
    let matches = search(index, query).await;
    matches
        .candidates
        .iter()
        .map(|candidate| candidate.slot.0)
        .collect()
}
