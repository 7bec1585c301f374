//! Documents of several languages in one index.

use std::sync::Arc;

use braid_core::{Language, LanguageSetting, LexicalEntry, LexicalIndex};
use braid_lexical::{LexicalOptions, TantivyIndex};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{batch, entry, found, open, search};

type Bodies<'a> = &'a [(Option<Language>, &'a str)];

fn entries(bodies: Bodies<'_>) -> Vec<LexicalEntry> {
    let entry = |(slot, (language, body)): (u32, &(Option<Language>, &str))| LexicalEntry {
        language: *language,
        ..entry(slot, body)
    };
    (0..).zip(bodies).map(entry).collect()
}

async fn index_with(setting: LanguageSetting, bodies: Bodies<'_>) -> (TempDir, Arc<TantivyIndex>) {
    let directory = tempfile::tempdir().unwrap();
    let options = LexicalOptions {
        language: setting,
        ..LexicalOptions::default()
    };
    let index = open(directory.path(), options).unwrap();
    index.apply(batch(1, entries(bodies), &[])).await.unwrap();
    (directory, index)
}

const ENGLISH: Option<Language> = Some(Language::English);
const GERMAN: Option<Language> = Some(Language::German);

#[tokio::test]
async fn each_document_is_found_by_the_stems_of_its_language() {
    let bodies = [
        (ENGLISH, "retrieving documents"),
        (GERMAN, "alte Häuser am Fluss"),
        (Some(Language::Russian), "книги и журналы"),
        (None, "indexed entries"),
    ];
    let (_directory, index) = index_with(LanguageSetting::Auto, &bodies).await;
    assert_eq!(found(&index, "document retrieval").await, [0]);
    assert_eq!(found(&index, "haus").await, [1]);
    assert_eq!(found(&index, "книгами").await, [2]);
    assert_eq!(found(&index, "entry indexing").await, [3], "as English");
}

/// The German stem of `Häuser` must not be found where English text has that very word.
#[tokio::test]
async fn a_stem_counts_in_its_own_language_only() {
    let bodies = [
        (ENGLISH, "we ate kind at the stall"),
        (GERMAN, "viele Kinder im Stall"),
    ];
    let (_directory, index) = index_with(LanguageSetting::Auto, &bodies).await;
    assert_eq!(found(&index, "kinder").await, [1]);
    let matches = search(&index, "kinder").await;
    assert_eq!(matches.terms, ["kinder", "kind"]);
    assert_eq!(found(&index, "stall").await, [0, 1], "the same in both");
}

/// No document is in two languages: forms of several do not add up.
#[tokio::test]
async fn the_ceiling_is_that_of_one_language() {
    let english = [(ENGLISH, "running houses"), (ENGLISH, "a quiet street")];
    let (_directory, alone) = index_with(LanguageSetting::Auto, &english).await;
    let with_german = [english[0], (GERMAN, "eine ruhige Straße")];
    let (_directory, mixed) = index_with(LanguageSetting::Auto, &with_german).await;
    let query = "running houses in quiet streets";
    let (alone, mixed) = (search(&alone, query).await, search(&mixed, query).await);
    assert!(mixed.terms.len() > alone.terms.len(), "{:?}", mixed.terms);
    let rarest = (1.0_f32 + 2.5 / 0.5).ln() * 2.2;
    assert!(alone.ceiling <= 4.0 * rarest, "{}", alone.ceiling);
    assert!(mixed.ceiling <= 4.0 * rarest, "{}", mixed.ceiling);
    assert!(mixed.ceiling >= alone.ceiling, "{mixed:?} {alone:?}");
}

#[tokio::test]
async fn stop_words_of_the_querys_language_hardly_count_in_others() {
    let bodies = [
        (ENGLISH, "we die another day and the sea is blue"),
        (GERMAN, "das Meer ist blau, die Fische sind es nicht"),
        (GERMAN, "nach dem Konzert von The Who"),
    ];
    let (_directory, index) = index_with(LanguageSetting::Auto, &bodies).await;
    assert_eq!(found(&index, "die Fische").await.first(), Some(&1));
    assert_eq!(found(&index, "is the sea blue").await.first(), Some(&0));
    let matches = search(&index, "is the sea blue").await;
    let scores: Vec<f32> = matches.candidates.iter().map(|one| one.score).collect();
    assert!(scores[0] > 4.0 * scores[1], "{scores:?}");
}

#[tokio::test]
async fn an_index_without_documents_has_terms_all_the_same() {
    let (_directory, index) = index_with(LanguageSetting::Auto, &[]).await;
    assert_eq!(search(&index, "running foxes").await.terms, ["run", "fox"]);
    assert!(search(&index, "!!! 😀").await.terms.is_empty());
}

#[tokio::test]
async fn languages_are_kept_over_a_reopening() {
    let bodies = [(ENGLISH, "amber houses"), (GERMAN, "alte Häuser")];
    let (directory, index) = index_with(LanguageSetting::Auto, &bodies).await;
    drop(index);
    let options = LexicalOptions {
        language: LanguageSetting::Auto,
        ..LexicalOptions::default()
    };
    let index = open(directory.path(), options).unwrap();
    assert_eq!(found(&index, "haus").await, [1]);
    assert_eq!(found(&index, "house").await, [0]);
}

fn text() -> impl Strategy<Value = String> {
    let words = [
        "the",
        "running",
        "runs",
        "die",
        "Häuser",
        "haus",
        "книги",
        "книга",
        "и",
        "検索",
        "全文検索",
        "RFC 1918",
        "snake_case",
        "WHO",
        "C++",
        "e-mail",
        "über",
        "الأخضر",
        "ค้นหา",
        "!",
        "2020",
    ];
    let words = proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..12);
    words.prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Detecting a language that every document has is as good as naming it.
    #[test]
    fn one_language_detected_is_one_language_named(
        bodies in proptest::collection::vec(text(), 1..8),
        queries in proptest::collection::vec(text(), 1..6),
        index in 0..Language::ALL.len(),
    ) {
        let (language, _) = Language::ALL[index];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bodies: Vec<_> = bodies.iter().map(|body| (Some(language), &**body)).collect();
            let (_one, fixed) = index_with(LanguageSetting::Fixed(language), &bodies).await;
            let (_two, auto) = index_with(LanguageSetting::Auto, &bodies).await;
            for query in &queries {
                prop_assert_eq!(search(&auto, query).await, search(&fixed, query).await);
            }
            Ok(())
        })?;
    }

    /// What is found in a document does not depend on the other languages of the index.
    #[test]
    fn a_document_is_found_by_its_own_language(
        bodies in proptest::collection::vec((text(), any::<bool>()), 1..8),
        query in text(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let language = |is_german| if is_german { GERMAN } else { ENGLISH };
            let all: Vec<_> = bodies.iter().map(|(body, german)| (language(*german), &**body)).collect();
            let (_all, together) = index_with(LanguageSetting::Auto, &all).await;
            let mut apart = Vec::new();
            for setting in [Language::English, Language::German] {
                let (_own, alone) = index_with(LanguageSetting::Fixed(setting), &all).await;
                let of_setting = |slot: &u32| all[*slot as usize].0 == Some(setting);
                apart.extend(found(&alone, &query).await.into_iter().filter(of_setting));
            }
            let mut together = found(&together, &query).await;
            together.sort_unstable();
            apart.sort_unstable();
            // A stop word of one language alone may find a document of the other a little.
            for slot in &apart {
                prop_assert!(together.contains(slot), "{apart:?} {together:?}");
            }
            Ok(())
        })?;
    }
}
