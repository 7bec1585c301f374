use braid_core::Language;

use crate::{found, index_of};

#[tokio::test]
async fn english_stems_and_folds() {
    let (_directory, index) = index_of(
        Language::English,
        &["retrieving documents", "a naïve résumé"],
    )
    .await;
    assert_eq!(found(&index, "document retrieval").await, [0]);
    assert_eq!(found(&index, "naive").await, [1]);
    assert_eq!(found(&index, "NAÏVE").await, [1]);
    assert_eq!(found(&index, "nai\u{308}ve").await, [1], "decomposed");
}

#[tokio::test]
async fn german_stems_its_own_way() {
    let (_directory, index) = index_of(
        Language::German,
        &["Die Häuser der Straße", "und nicht mehr"],
    )
    .await;
    assert_eq!(
        found(&index, "haus").await,
        [0],
        "the plural's umlaut is undone"
    );
    assert_eq!(found(&index, "Strasse").await, [0]);
    assert_eq!(
        found(&index, "die Häuser und Straßen").await,
        [0],
        "und is a stop word"
    );
}

#[tokio::test]
async fn no_language_keeps_words_as_they_are() {
    let (_directory, index) = index_of(Language::None, &["retrieving the documents"]).await;
    assert!(found(&index, "document").await.is_empty());
    assert_eq!(found(&index, "DOCUMENTS").await, [0]);
    assert_eq!(found(&index, "the").await, [0], "no stop words");
}

#[tokio::test]
async fn scripts_without_spaces_are_found_by_characters() {
    let bodies = [
        "日本語の全文検索",
        "中文信息检索",
        "การค้นหาข้อความ",
        "한국어 검색",
    ];
    let (_directory, index) = index_of(Language::English, &bodies).await;
    for (query, expected) in [
        ("検索", 0),
        ("全文検索", 0),
        ("语", 4),
        ("信息", 1),
        ("ค้นหา", 2),
        ("검색", 3),
    ] {
        let first = found(&index, query).await.first().copied();
        assert_eq!(first, (expected < 4).then_some(expected), "{query}");
    }
    assert_eq!(found(&index, "語").await, [0], "one character is enough");
}

#[tokio::test]
async fn right_to_left_text_is_found() {
    let (_directory, index) = index_of(Language::Arabic, &["مرحبا بالعالم", "כתב עברי"]).await;
    assert_eq!(found(&index, "مرحبا").await, [0]);
    assert_eq!(found(&index, "עברי").await, [1]);
}
