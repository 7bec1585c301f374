use braid_core::{Filter, Language, LexicalIndex, Selection};

use crate::{batch, entry, found, index_of, search};

#[tokio::test]
async fn stop_words_count_only_when_there_is_nothing_else() {
    let (_directory, index) = index_of(
        Language::English,
        &["to be or not to be", "the answer is amber"],
    )
    .await;
    assert_eq!(found(&index, "to be or not to be").await[0], 0);
    assert_eq!(found(&index, "not").await, [0]);
    assert_eq!(
        found(&index, "to be the amber").await,
        [1],
        "stop words are dropped beside others"
    );
    let terms = search(&index, "what is the amber").await.terms;
    assert_eq!(terms, ["amber"]);
}

#[tokio::test]
async fn acronyms_are_no_stop_words() {
    let (_directory, index) = index_of(
        Language::English,
        &["guidelines of those who care", "guidelines of the WHO"],
    )
    .await;
    assert_eq!(found(&index, "WHO guidelines").await[0], 1);
}

#[tokio::test]
async fn a_pasted_page_searches_by_its_beginning() {
    let (_directory, index) = index_of(Language::English, &["amber", "basil"]).await;
    let filler: String = (0..500).map(|number| format!("filler{number} ")).collect();
    assert_eq!(found(&index, &format!("amber {filler} basil")).await, [0]);
    let terms = search(&index, &filler).await.terms;
    assert!(terms.len() <= 128, "{} terms", terms.len());
}

#[tokio::test]
async fn rare_words_count_more_and_long_entries_less() {
    let long = format!("zephyr {}", "amber ".repeat(60));
    let bodies = ["amber basil", "amber cedar", "amber zephyr", &long];
    let (_directory, index) = index_of(Language::English, &bodies).await;
    assert_eq!(
        found(&index, "zephyr basil").await,
        [0, 2, 3],
        "basil is rarer, the last is long"
    );
}

#[tokio::test]
async fn a_filter_without_its_slots_is_refused() {
    let (_directory, index) = index_of(Language::English, &["amber"]).await;
    let selection = Selection {
        filter: Some(std::sync::Arc::new(Filter::default())),
        slots: None,
        ..Selection::default()
    };
    let view = index.pin().await.unwrap();
    assert!(view.search("amber", &selection, 10).await.is_err());
}

#[tokio::test]
async fn scores_do_not_depend_on_how_batches_fell() {
    let bodies: Vec<String> = (0..14_u32)
        .map(|n| format!("amber {} basil{}", "cedar ".repeat(n as usize % 7), n % 3))
        .collect();
    let texts: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let (_one, at_once) = index_of(Language::English, &texts).await;
    let (_many, bit_by_bit) = index_of(Language::English, &texts[..1]).await;
    for (slot, body) in (0..).zip(&texts).skip(1) {
        let next = batch(u64::from(slot) + 1, vec![entry(slot, body)], &[]);
        bit_by_bit.apply(next).await.unwrap();
    }
    for query in ["amber", "cedar basil1", "basil2 amber cedar"] {
        assert_eq!(
            search(&at_once, query).await,
            search(&bit_by_bit, query).await,
            "{query}"
        );
    }
}
