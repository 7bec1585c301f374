//! Text in other scripts than the Latin one is found by what people would ask.

use std::sync::Arc;

use braid_core::{LanguageSetting, LexicalIndex};
use braid_lexical::{LexicalOptions, TantivyIndex};
use braid_testkit::scripts::{self, ScriptSet};
use tempfile::TempDir;

use crate::{batch, entry, found, open};

/// An index of sets, each document in its set's language; slots are positions.
async fn index_of(setting: LanguageSetting, sets: &[ScriptSet]) -> (TempDir, Arc<TantivyIndex>) {
    let directory = tempfile::tempdir().unwrap();
    let options = LexicalOptions {
        language: setting,
        ..LexicalOptions::default()
    };
    let index = open(directory.path(), options).unwrap();
    let documents = sets.iter().flat_map(|set| {
        let of_set = set.documents.iter();
        of_set.map(|(_, text)| (set.language, *text))
    });
    let entries = (0..).zip(documents).map(|(slot, (language, text))| {
        let mut entry = entry(slot, text);
        entry.language = Some(language);
        entry
    });
    index.apply(batch(1, entries.collect(), &[])).await.unwrap();
    (directory, index)
}

/// The queries whose document is not found first, with what is. The sets say much the same: a
/// document of the same name in another language is as good.
async fn missed(index: &TantivyIndex, sets: &[ScriptSet]) -> Vec<String> {
    let documents = sets.iter().flat_map(|set| &set.documents);
    let names: Vec<&str> = documents.map(|(name, _)| *name).collect();
    let mut missed = Vec::new();
    for set in sets {
        for (query, wanted) in &set.queries {
            let slots = found(index, query).await;
            let first = slots.first().map(|slot| names[*slot as usize]);
            if first != Some(*wanted) {
                let language = set.language;
                missed.push(format!("{language} {query}: {first:?}, not {wanted}"));
            }
        }
    }
    missed
}

fn none() -> Vec<String> {
    Vec::new()
}

#[tokio::test]
async fn each_language_is_found_with_its_own_analyzer() {
    for set in scripts::all() {
        assert!(set.documents.len() >= 20, "{}", set.language);
        let setting = LanguageSetting::Fixed(set.language);
        let sets = [set];
        let (_directory, index) = index_of(setting, &sets).await;
        assert_eq!(missed(&index, &sets).await, none());
    }
}

#[tokio::test]
async fn every_language_is_found_in_one_collection() {
    let sets = scripts::all();
    let (_directory, index) = index_of(LanguageSetting::Auto, &sets).await;
    assert_eq!(missed(&index, &sets).await, none());
}

/// Inflected words need the stemmer of their language, pairs of characters need nothing.
#[tokio::test]
async fn scripts_without_inflection_are_found_in_an_english_collection() {
    let sets: Vec<ScriptSet> = scripts::all().into_iter().take(4).collect();
    let (_directory, index) = index_of(LanguageSetting::default(), &sets).await;
    assert_eq!(missed(&index, &sets).await, none());
}
