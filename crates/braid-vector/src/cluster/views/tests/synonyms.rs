//! Synonyms of several words: the server knows no phrases.

use braid_core::ports::LexicalMatches;
use braid_core::{Embedding, LexicalQuery, LexicalView, Synonyms};

use super::*;

async fn filled(site: &Arc<Site>, bodies: &[&str]) -> ChunkTerms {
    let searched = searched(site, &collection(1, 2, LanguageSetting::Auto));
    searched.chunks.ensure().await.unwrap();
    let entries = (0..).zip(bodies).map(|(slot, body)| entry(slot, body));
    let points = entries.map(|entry| (point(&entry), Embedding::from(vec![1.0, 0.0])));
    searched.chunks.put(points.collect(), BM25).await.unwrap();
    ChunkTerms(searched)
}

async fn find(terms: &ChunkTerms, text: &str, rules: &[&str]) -> LexicalMatches {
    let query = LexicalQuery {
        synonyms: Arc::new(Synonyms::parse(rules).unwrap()),
        ..LexicalQuery::plain(text)
    };
    terms.find(&query, &every(), 10).await.unwrap()
}

fn slots(found: &LexicalMatches) -> Vec<u32> {
    found.candidates.iter().map(|it| it.slot.0).collect()
}

async fn words_are_found_one_by_one(options: QdrantOptions) {
    let site = site(options);
    let bodies = [
        "the outage was long",
        "a cut of the power",
        "power of the river",
        "the garden of the mill",
    ];
    let terms = filled(&site, &bodies).await;
    let rules = ["outage, cut of power"];
    let found = find(&terms, "outage", &rules).await;
    // Both words, in whatever order; then one of them. What says nothing but "of" is not found.
    assert_eq!(slots(&found), [0, 1, 2]);
    let score = |place: usize| found.candidates[place].score;
    let weight = found.expansions[0].weight;
    assert!(score(1) <= score(0) * weight * 1.1, "{found:?}");
    assert!(score(2) < score(1), "{found:?}");
    assert_eq!(found.expansions[0].to, "cut of power");
    // In a query they stand for the rule only in a row.
    let back = find(&terms, "cut of power", &rules).await;
    assert!(slots(&back).contains(&0), "{back:?}");
    let apart = find(&terms, "power of cut", &rules).await;
    assert!(apart.expansions.is_empty() && !slots(&apart).contains(&0));
    // Long texts are analyzed elsewhere.
    let long = format!("outage {}", "zephyr ".repeat(200));
    assert_eq!(slots(&find(&terms, &long, &rules).await), [0, 1, 2]);
    terms.0.chunks.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_one_by_one_in_the_double() {
    let double = strict_double();
    words_are_found_one_by_one(options(double.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_one_by_one_in_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    words_are_found_one_by_one(in_shards(1, options)).await;
}
