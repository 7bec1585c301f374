//! The same entries and conditions through the embedded index and through a filter with a check.

use braid_core::{
    Embedding, IndexBatch, Language, LexicalIndex, LexicalView, SlotSet, TextCondition, TextField,
    VectorView,
};
use braid_lexical::{LexicalOptions, TantivyIndex};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;

/// Few words, so that most rows of them are said somewhere; identifiers, stop words, Han.
const WORDS: &[(Language, &[&str])] = &[
    (
        Language::English,
        &[
            "the",
            "state",
            "of",
            "running",
            "servers",
            "C++",
            "max_retry_count",
            "RFC 1918",
            "HttpClient",
            "e-mail",
            "v1.18.3",
            "TCP/IP",
            "art",
            ".NET",
        ],
    ),
    (
        Language::German,
        &[
            "der",
            "Häuser",
            "laufende",
            "servers",
            "und",
            "max_retry_count",
            "Größe",
            "RFC1918",
            "Zustand",
            "e-mail",
        ],
    ),
    (
        Language::Japanese,
        &["東京都の", "京都", "サーバー", "RFC 1918", "天気", "C++"],
    ),
];

/// More than are named.
const ENTRIES: u32 = 700;

fn row(rng: &mut StdRng, words: &[&str], from: usize, to: usize) -> String {
    let length = rng.random_range(from..to);
    let said = (0..length).map(|_| *words.choose(rng).unwrap());
    said.collect::<Vec<_>>().join(" ")
}

fn entries(languages: usize, rng: &mut StdRng) -> Vec<LexicalEntry> {
    let entries = (0..ENTRIES).map(|slot| {
        let (language, words) = WORDS[slot as usize % languages];
        LexicalEntry {
            title: row(rng, words, 0, 4),
            headings: vec![row(rng, words, 0, 3), row(rng, words, 0, 3)],
            language: Some(language),
            ..entry(slot, &row(rng, words, 2, 14))
        }
    });
    entries.collect()
}

/// One to three conditions, of which some are excluded and some in a field.
fn conditions(languages: usize, rng: &mut StdRng) -> Vec<TextCondition> {
    let number = rng.random_range(1..4);
    let conditions = (0..number).map(|_| {
        let (_, words) = WORDS[rng.random_range(0..languages)];
        let field = match rng.random_range(0..6) {
            0 => Some(TextField::Title),
            1 => Some(TextField::Heading),
            2 => Some(TextField::Body),
            _ => None,
        };
        TextCondition {
            text: row(rng, words, 1, 5),
            field,
            is_excluded: rng.random_bool(0.4),
        }
    });
    conditions.collect()
}

async fn embedded(language: LanguageSetting, entries: &[LexicalEntry]) -> Arc<dyn LexicalView> {
    let directory = tempfile::tempdir().unwrap();
    let options = LexicalOptions {
        language,
        ..LexicalOptions::default()
    };
    let pool = CpuPool::new(1).unwrap();
    let index = TantivyIndex::open(directory.path(), options, pool).unwrap();
    let batch = IndexBatch {
        add: entries.to_vec(),
        delete: SlotSet::new(),
        watermark: Sequence(1),
    };
    index.apply(batch).await.unwrap();
    index.pin().await.unwrap()
}

async fn stored(site: &Arc<Site>, language: LanguageSetting, entries: &[LexicalEntry]) -> Both {
    let searched = searched(site, &collection(1, 2, language));
    searched.chunks.ensure().await.unwrap();
    let points = entries.iter().map(|entry| {
        let angle = entry.slot.0 as f32 * 1e-3;
        let embedding = Embedding::from(vec![angle.cos(), angle.sin()]);
        (point(entry), embedding)
    });
    searched.chunks.put(points.collect(), BM25).await.unwrap();
    let vectors = ChunkVectors(Arc::clone(&searched));
    (ChunkTerms(searched), vectors)
}

type Both = (ChunkTerms, ChunkVectors);

fn set(slots: impl IntoIterator<Item = braid_core::Candidate>) -> SlotSet {
    slots.into_iter().map(|found| found.slot.0).collect()
}

/// Whichever way the server is asked, both legs find what the embedded index says.
async fn conditions_are_those_of_the_embedded_index(options: QdrantOptions, languages: usize) {
    let mut rng = StdRng::seed_from_u64(31 + languages as u64);
    let language = match languages {
        1 => LanguageSetting::Fixed(Language::English),
        _ => LanguageSetting::Auto,
    };
    let entries = entries(languages, &mut rng);
    let embedded = embedded(language, &entries).await;
    let (terms, vectors) = stored(&site(options), language, &entries).await;
    let depth = ENTRIES as usize + 1;
    let (mut named, mut filtered, mut none) = (0, 0, 0);
    for _ in 0..80 {
        let conditions = conditions(languages, &mut rng);
        let wanted = embedded.narrow(&conditions, &Selection::default()).await;
        let wanted = wanted.unwrap();
        let found = terms.narrow(&conditions, &every()).await.unwrap();
        let kept = wanted.selection.slots.as_deref().unwrap();
        match &found.selection.slots {
            Some(slots) => {
                assert_eq!(**slots, *kept, "{conditions:?}");
                if slots.is_empty() {
                    none += 1
                } else {
                    named += 1
                }
            }
            None => filtered += 1,
        }
        for ((condition, wanted), found) in conditions.iter().zip(wanted.saying).zip(found.saying) {
            let is_word = !condition
                .text
                .contains([' ', '_', '/', '-', '.', '都', '京', '天', 'サ']);
            if is_word || found <= 256 {
                assert_eq!(found, wanted, "{condition}");
            } else {
                assert!(found >= wanted, "{condition}: {found} of {wanted}");
            }
        }
        let query = Embedding::from(vec![1.0, 0.0]);
        let near = vectors.search(&query, &found.selection, depth).await;
        assert_eq!(set(near.unwrap()), *kept, "{conditions:?}");
        let text = "the running servers of RFC 1918 Häuser 東京";
        let lexical = terms.search(text, &found.selection, depth).await.unwrap();
        let expected = embedded.search(text, &wanted.selection, depth).await;
        let (lexical, expected) = (set(lexical.candidates), set(expected.unwrap().candidates));
        assert!(lexical.is_subset(kept), "{conditions:?}");
        // Of several languages, a term that only one makes of the query counts in every document.
        let is_found = expected.is_subset(&lexical);
        assert!(is_found, "{conditions:?}");
        assert!(languages > 1 || lexical == expected, "{conditions:?}");
    }
    eprintln!("{named} were named, {filtered} filtered, {none} met by nothing");
    assert!(named > 10 && filtered > 10 && none > 3);
    terms.0.chunks.remove().await.unwrap();
}

/// Nearly all chunks have the neighbours of a phrase and few have them in a row: these are looked for
/// until they are found, or so many were looked at.
async fn what_may_say_a_phrase_is_looked_through(options: QdrantOptions) {
    let language = LanguageSetting::Fixed(Language::English);
    let says = |slot: u32| slot % 250 == 249;
    let entries: Vec<LexicalEntry> = (0..1000)
        .map(|slot| match says(slot) {
            true => entry(slot, "red fox den"),
            false => entry(slot, "fox den, red fox"),
        })
        .collect();
    let (terms, vectors) = stored(&site(options), language, &entries).await;
    let condition = TextCondition {
        text: "red fox den".to_owned(),
        field: None,
        is_excluded: false,
    };
    let narrowed = terms
        .narrow(std::slice::from_ref(&condition), &every())
        .await;
    let narrowed = narrowed.unwrap();
    assert!(narrowed.selection.slots.is_none(), "they are many");
    assert_eq!(narrowed.saying, [1000], "as far as the server can tell");
    let query = Embedding::from(vec![1.0, 0.0]);
    let search = |depth: usize| vectors.search(&query, &narrowed.selection, depth);
    let slots: Vec<u32> = set(search(2).await.unwrap()).iter().collect();
    assert_eq!(slots, [249, 499]);
    let slots: Vec<u32> = set(search(50).await.unwrap()).iter().collect();
    assert_eq!(slots, [249, 499, 749, 999]);
    let excluded = TextCondition {
        is_excluded: true,
        ..condition
    };
    let narrowed = terms.narrow(&[excluded], &every()).await.unwrap();
    let found = vectors.search(&query, &narrowed.selection, 2000).await;
    let found = set(found.unwrap());
    assert_eq!(found.len(), 996);
    assert!(!found.iter().any(says));
    terms.0.chunks.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_mean_the_same_in_the_double() {
    let double = strict_double();
    conditions_are_those_of_the_embedded_index(options(double.url()), 1).await;
    conditions_are_those_of_the_embedded_index(options(double.url()), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phrases_are_checked_in_the_double() {
    let double = strict_double();
    what_may_say_a_phrase_is_looked_through(options(double.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_mean_the_same_in_a_real_server() {
    let Some(options) = real_server() else { return };
    for languages in [1, 3] {
        conditions_are_those_of_the_embedded_index(options.clone(), languages).await;
    }
    what_may_say_a_phrase_is_looked_through(options).await;
}
