//! Phrases in the forms of the analyzer, corrections and synonyms of stems.

use std::sync::Arc;

use braid_core::{
    Expansion, ExpansionKind, Language, LanguageSetting, LexicalEntry, LexicalIndex, LexicalQuery,
    Selection, Synonyms, TextCondition, TextField,
};
use braid_lexical::{LexicalOptions, TantivyIndex};

use crate::{batch, entry, index_of, open, search};

async fn saying(index: &TantivyIndex, text: &str) -> Vec<u32> {
    let condition = TextCondition {
        text: text.to_owned(),
        field: None,
        is_excluded: false,
    };
    let view = index.pin().await.unwrap();
    let all = Selection::default();
    let narrowed = view.narrow(&[condition], &all).await.unwrap();
    narrowed.selection.slots.unwrap().iter().collect()
}

#[tokio::test]
async fn words_are_in_the_forms_of_the_analyzer_and_in_order() {
    let bodies = [
        "The state of the art is reached.",
        "The art of state.",
        "States of the Art",
        "state art",
        "The state-of-the-art retriever uses max_retry_count and RFC 1918.",
        "upgrade to v5.6.2 of e-mail",
        "written in C++ for .NET",
        "a C compiler, a net",
    ];
    let (_directory, index) = index_of(Language::English, &bodies).await;
    for (phrase, wanted) in [
        ("state of the art", &[0, 2, 4][..]),
        ("State-of-the-ART", &[0, 2, 4]),
        ("the art", &[0, 1, 2, 4]),
        ("of the", &[0, 2, 4]),
        ("state art", &[3]),
        ("art of", &[1]),
        ("max_retry_count", &[4]),
        ("retry count", &[4]),
        ("uses max_retry_count and", &[4]),
        ("RFC 1918", &[4]),
        ("v5.6.2", &[5]),
        ("e-mail", &[5]),
        ("mail", &[5]),
        ("C++", &[6]),
        ("C", &[6, 7]),
        (".NET", &[6]),
        ("in C++ for", &[6]),
        ("retrievers used", &[4]),
        ("count max", &[]),
        ("art the", &[]),
    ] {
        assert_eq!(saying(&index, phrase).await, wanted, "{phrase}");
    }
}

#[tokio::test]
async fn words_may_be_said_twice() {
    let bodies = ["to be or not to be", "not to be or to be", "to to to"];
    let (_directory, index) = index_of(Language::English, &bodies).await;
    assert_eq!(saying(&index, "to be or not to be").await, [0]);
    assert_eq!(saying(&index, "to be or to be").await, [1]);
    assert_eq!(saying(&index, "to to").await, [2]);
    assert_eq!(saying(&index, "to to to to").await, [0_u32; 0]);
    let long = "to ".repeat(2_700);
    assert_eq!(saying(&index, &long).await, [0_u32; 0]);
}

#[tokio::test]
async fn scripts_without_spaces_have_phrases() {
    let bodies = ["東京都の天気", "京都の東", "今日の東京"];
    let (_directory, index) = index_of(Language::Japanese, &bodies).await;
    assert_eq!(saying(&index, "東京").await, [0, 2]);
    assert_eq!(saying(&index, "京都").await, [0, 1]);
    assert_eq!(saying(&index, "東京都").await, [0]);
    assert_eq!(saying(&index, "都").await, [0, 1]);
}

fn in_any_language(directory: &std::path::Path) -> Arc<TantivyIndex> {
    let options = LexicalOptions {
        language: LanguageSetting::Auto,
        ..LexicalOptions::default()
    };
    open(directory, options).unwrap()
}

fn in_language(slot: u32, language: Language, body: &str) -> LexicalEntry {
    LexicalEntry {
        language: Some(language),
        ..entry(slot, body)
    }
}

#[tokio::test]
async fn a_document_is_searched_in_its_own_language() {
    let directory = tempfile::tempdir().unwrap();
    let index = in_any_language(directory.path());
    let entries = vec![
        in_language(0, Language::English, "running houses"),
        in_language(1, Language::German, "die Häuser der running Firma"),
        in_language(2, Language::German, "das alte Haus"),
    ];
    index.apply(batch(1, entries, &[])).await.unwrap();
    assert_eq!(saying(&index, "runs").await, [0], "an English stem");
    assert_eq!(saying(&index, "haus").await, [1, 2], "a German one");
    assert_eq!(saying(&index, "das alte").await, [2]);
    let rules = Synonyms::parse(&["building, haus"]).unwrap();
    let query = LexicalQuery {
        text: "buildings hause".to_owned(),
        typos: true,
        synonyms: Arc::new(rules),
    };
    let view = index.pin().await.unwrap();
    let found = view.find(&query, &Selection::default(), 10).await.unwrap();
    let mut slots: Vec<u32> = found.candidates.iter().map(|it| it.slot.0).collect();
    slots.sort_unstable();
    assert_eq!(slots, [1, 2], "{:?}", found.expansions);
    let told: Vec<_> = found
        .expansions
        .iter()
        .map(|it| (&*it.term, &*it.to))
        .collect();
    assert_eq!(told, [("building", "haus"), ("haus", "building")]);
}

#[tokio::test]
async fn a_word_that_some_language_knows_is_not_corrected() {
    let directory = tempfile::tempdir().unwrap();
    let index = in_any_language(directory.path());
    let entries = vec![
        in_language(0, Language::English, "retrieval"),
        in_language(1, Language::German, "Retrievals"),
    ];
    index.apply(batch(1, entries, &[])).await.unwrap();
    let find = async |text: &str| {
        let query = LexicalQuery {
            typos: true,
            ..LexicalQuery::plain(text)
        };
        let view = index.pin().await.unwrap();
        view.find(&query, &Selection::default(), 10).await.unwrap()
    };
    assert!(find("retrieval").await.expansions.is_empty());
    assert!(!find("retreival").await.expansions.is_empty());
}

#[tokio::test]
async fn stems_are_corrected() {
    let bodies = [
        "retrieval systems",
        "a search engine",
        "trial and error",
        "v2beta x",
    ];
    let (_directory, index) = index_of(Language::English, &bodies).await;
    let find = async |text: &str| {
        let query = LexicalQuery {
            typos: true,
            ..LexicalQuery::plain(text)
        };
        let view = index.pin().await.unwrap();
        view.find(&query, &Selection::default(), 10).await.unwrap()
    };
    let found = find("retreival").await;
    assert_eq!(found.candidates[0].slot.0, 0);
    assert_eq!(found.terms, ["retreiv", "retriev"]);
    assert_eq!(found.expansions[0].term, "retreival");
    let right = search(&index, "retrieval").await;
    assert!(found.candidates[0].score < right.candidates[0].score);
    for text in [
        "engnie-room",
        "ENGNIE",
        "engnie2",
        "eng",
        "v2bata",
        "serch_engine",
    ] {
        assert!(find(text).await.expansions.is_empty(), "{text}");
    }
    for text in ["search engine", "the", "error?"] {
        assert_eq!(find(text).await, search(&index, text).await, "{text}");
    }
}

#[tokio::test]
async fn fields_have_phrases_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path(), LexicalOptions::default()).unwrap();
    let with = LexicalEntry {
        title: "Who is who".to_owned(),
        headings: vec!["To be".to_owned(), "or not".to_owned()],
        ..entry(0, "to be is the question")
    };
    index.apply(batch(1, vec![with], &[])).await.unwrap();
    let says = async |field, text: &str| {
        let condition = TextCondition {
            text: text.to_owned(),
            field,
            is_excluded: false,
        };
        let view = index.pin().await.unwrap();
        let narrowed = view.narrow(&[condition], &Selection::default()).await;
        narrowed.unwrap().saying[0] == 1
    };
    assert!(says(Some(TextField::Title), "who is").await);
    assert!(says(Some(TextField::Heading), "to be").await);
    assert!(says(Some(TextField::Body), "be is").await);
    assert!(!says(Some(TextField::Title), "to be").await);
    assert!(!says(Some(TextField::Heading), "be or").await);
    assert!(!says(None, "who to").await);
    assert!(!says(None, "not to").await);
}

#[tokio::test]
async fn words_two_edits_away_begin_with_the_same_letter() {
    let directory = tempfile::tempdir().unwrap();
    let index = open(directory.path(), LexicalOptions::default()).unwrap();
    let entries = vec![entry(0, "snapshot"), entry(1, "embedding")];
    index.apply(batch(1, entries, &[])).await.unwrap();
    let view = index.pin().await.unwrap();
    for (text, wanted) in [
        ("snpashto", vec![("snapshot", 2)]),
        ("znpashot", vec![]),
        ("znapshot", vec![("snapshot", 1)]),
    ] {
        let query = LexicalQuery {
            typos: true,
            ..LexicalQuery::plain(text)
        };
        let found = view.find(&query, &Selection::default(), 10).await.unwrap();
        let of = |one: &Expansion| match one.kind {
            ExpansionKind::Typo { distance } => (one.to.clone(), distance),
            ExpansionKind::Synonym => panic!("no synonyms were given"),
        };
        let corrected: Vec<(String, u8)> = found.expansions.iter().map(of).collect();
        let wanted = wanted
            .iter()
            .map(|(to, distance)| ((*to).to_owned(), *distance));
        assert_eq!(corrected, wanted.collect::<Vec<_>>(), "{text}");
    }
}
