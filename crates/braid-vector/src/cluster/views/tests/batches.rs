//! Both legs in one round trip, and what becomes of a batch that fails.

use braid_core::{Embedding, LexicalView, VectorView};
use braid_qdrant_double::{Fault, Kind};

use super::*;

async fn filled(site: &Arc<Site>) -> Arc<Searched> {
    let language = LanguageSetting::Fixed(braid_core::Language::English);
    let searched = searched(site, &collection(1, 2, language));
    searched.chunks.ensure().await.unwrap();
    let points = (0..10).map(|slot| {
        let angle = slot as f32 * 0.01;
        let embedding = Embedding::from(vec![angle.cos(), angle.sin()]);
        (point(&entry(slot, "amber basil")), embedding)
    });
    searched.chunks.put(points.collect(), BM25).await.unwrap();
    searched
}

#[tokio::test]
async fn a_batch_holds_both_legs() {
    let double = strict_double();
    let searched = filled(&site(options(double.url()))).await;
    let (terms, vectors) = (ChunkTerms(Arc::clone(&searched)), ChunkVectors(searched));
    let (query, all) = (Embedding::from(vec![1.0, 0.0]), every());
    // What is known of the words is asked once.
    terms.search("amber", &all, 3).await.unwrap();
    let (calls, searches) = (double.calls(Kind::Query), double.searches());
    let both = tokio::join!(
        terms.search("amber", &all, 3),
        vectors.search(&query, &all, 3)
    );
    let slots =
        |list: &[braid_core::Candidate]| -> Vec<u32> { list.iter().map(|it| it.slot.0).collect() };
    assert_eq!(slots(&both.1.unwrap()), [0, 1, 2]);
    assert_eq!(
        slots(&both.0.unwrap().candidates),
        [0, 1, 2],
        "ties by slot"
    );
    assert_eq!(double.calls(Kind::Query) - calls, 1, "one round trip");
    assert_eq!(double.searches() - searches, 2);
}

#[tokio::test]
async fn every_member_of_a_failed_batch_gets_the_cause() {
    let double = strict_double();
    let site = site(options(double.url()));
    let searched = filled(&site).await;
    let question =
        |dimension| crate::cluster::rarity::question(&searched.chunks.points.name, dimension);
    double.inject(Kind::Query, Fault::RateLimited, 1);
    let calls = double.calls(Kind::Query);
    let both = tokio::join!(
        searched.batcher.ask(question(1)),
        searched.batcher.ask(question(2))
    );
    for failed in [both.0, both.1] {
        assert_eq!(failed.unwrap_err().code(), ErrorCode::Overloaded);
    }
    assert_eq!(double.calls(Kind::Query) - calls, 1);
    assert!(
        searched.batcher.ask(question(1)).await.is_ok(),
        "the next is sent"
    );
}

#[tokio::test]
async fn more_than_may_wait_are_refused() {
    let double = strict_double();
    let searched = filled(&site(options(double.url()))).await;
    let question = crate::cluster::rarity::question(&searched.chunks.points.name, 1);
    let asked = (0..3000).map(|_| searched.batcher.ask(question.clone()));
    let answers = futures::future::join_all(asked).await;
    let refused = answers.iter().filter_map(|it| it.as_ref().err());
    let refused: Vec<ErrorCode> = refused.map(braid_core::Error::code).collect();
    assert!(
        refused.len() < 3000 && !refused.is_empty(),
        "{}",
        refused.len()
    );
    assert!(refused.iter().all(|code| *code == ErrorCode::Overloaded));
}
