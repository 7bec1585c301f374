//! Answers given again: only while they are the answer.

use std::sync::Arc;

use braid_core::{Embedder, Ledger, Synonyms};
use braid_query::{
    CachingEmbedder, CachingRetriever, IndexWrites, RetrieveRequest, RetrieveResponse, Syntax,
    Timings, Typos,
};
use braid_testkit::{Call, Fault, HashEmbedder, OverlapReranker};
use proptest::prelude::*;

use crate::setup::{Setup, block_on, documents};

const LINES: &str = "a: red fox\nb: blue fox | green owl\nc: grey wolf";

fn caching(setup: &Setup, capacity: u64) -> (CachingRetriever, Arc<IndexWrites>) {
    let writes = Arc::new(IndexWrites::default());
    let ledger = Arc::new(setup.corpus.ledger.clone()) as Arc<dyn Ledger>;
    let counted = Arc::clone(&writes);
    let retriever = CachingRetriever::new(setup.retriever(), ledger, counted, capacity);
    (retriever, writes)
}

/// What does not differ between two runs of the same.
fn timeless(answer: RetrieveResponse) -> RetrieveResponse {
    RetrieveResponse {
        timings: Timings::default(),
        cached: false,
        ..answer
    }
}

#[test]
fn the_same_question_is_answered_from_the_cache() {
    block_on(async {
        let setup = Setup::new(LINES)
            .await
            .with_reranker(OverlapReranker::new());
        let (retriever, _) = caching(&setup, 1 << 20);
        let ask = async |query: &str, change: fn(&mut RetrieveRequest)| {
            let mut request = setup.request(query);
            request.rerank.enabled = true;
            request.rerank.deadline_ms = None;
            change(&mut request);
            retriever.retrieve(request).await.unwrap()
        };
        let first = ask("red fox", |_| ()).await;
        assert!(!first.cached);
        let again = ask("  red \n fox", |_| ()).await;
        assert!(again.cached);
        assert_eq!(again.timings.lexical, 0.0);
        assert!(again.timings.total > 0.0);
        assert_eq!(timeless(again), timeless(first));
        assert!(!ask("red fox", |request| request.top_k = 1).await.cached);
        assert!(
            !ask("red fox", |request| request.fusion.k = 10.0)
                .await
                .cached
        );
        assert!(!ask("Red fox", |_| ()).await.cached);
        assert!(!ask("\"red fox\"", |_| ()).await.cached);
        let off = |request: &mut RetrieveRequest| request.syntax = Syntax::Off;
        assert!(!ask("red fox", off).await.cached);
        let off = |request: &mut RetrieveRequest| request.typos = Typos::Off;
        assert!(!ask("red fox", off).await.cached);
        assert!(!ask("red fox", |request| request.cache = false).await.cached);
        assert!(ask("red fox", |_| ()).await.cached);
    });
}

#[test]
fn changed_synonyms_end_an_answer() {
    block_on(async {
        let setup = Setup::new(LINES).await;
        let (retriever, _) = caching(&setup, 1 << 20);
        let ask = async || retriever.retrieve(setup.request("hound")).await.unwrap();
        assert!(!ask().await.cached);
        assert!(ask().await.cached);
        let synonyms = Arc::new(Synonyms::parse(&["hound => wolf"]).unwrap());
        let name = setup.corpus.name();
        let set = setup.corpus.ledger.set_synonyms(&name, synonyms, None);
        set.await.unwrap();
        let after = ask().await;
        assert!(!after.cached);
        assert_eq!(after.terms, ["hound", "wolf"]);
        assert!(ask().await.cached);
    });
}

#[test]
fn a_write_ends_an_answer_with_its_acknowledgement() {
    block_on(async {
        let setup = Setup::new(LINES).await;
        let (retriever, writes) = caching(&setup, 1 << 20);
        let ask = async || retriever.retrieve(setup.request("fox")).await.unwrap();
        ask().await;
        assert!(ask().await.cached);
        setup.corpus.delete(&["a"]).await;
        let after = ask().await;
        assert!(!after.cached);
        assert!(!documents(&after).contains('a'));
        assert_eq!(after.lag, 1);
        assert!(ask().await.cached, "nothing has changed since");
        setup.corpus.apply().await;
        assert!(!ask().await.cached, "published");
        assert!(ask().await.cached);
        let pin = setup
            .corpus
            .ledger
            .pin(&setup.request("fox").collection)
            .await;
        let id = pin.unwrap().collection().id;
        writes.note(braid_core::CollectionId(id.0 + 1));
        assert!(
            ask().await.cached,
            "an index of another collection was written"
        );
        writes.note(id);
        assert!(!ask().await.cached, "an index was repaired");
    });
}

#[test]
fn an_answer_that_fell_short_is_not_kept() {
    block_on(async {
        let setup = Setup::new(LINES).await;
        let fault = |faulty: braid_testkit::Faulty<_>| {
            faulty.on(
                Call::Search,
                1,
                Fault::FailBefore(braid_core::ErrorCode::Unavailable),
            )
        };
        setup.script_vector(fault).await;
        let (retriever, _) = caching(&setup, 1 << 20);
        let ask = async || retriever.retrieve(setup.request("fox")).await.unwrap();
        assert_eq!(ask().await.degraded.len(), 1);
        let whole = ask().await;
        assert!(whole.degraded.is_empty() && !whole.cached);
        assert!(ask().await.cached);
    });
}

#[test]
fn the_cache_has_a_limit_and_can_be_off() {
    block_on(async {
        let setup = Setup::new(LINES).await;
        let (off, _) = caching(&setup, 0);
        let (small, _) = caching(&setup, 8 * 1024);
        for retriever in [&off, &small] {
            let mut cached = 0;
            for _ in 0..2 {
                for number in 0..40 {
                    let request = setup.request(&format!("fox {number}"));
                    cached += usize::from(retriever.retrieve(request).await.unwrap().cached);
                }
            }
            assert!(cached < 40, "{cached} of 40 were kept");
        }
    });
}

#[test]
fn a_query_is_embedded_once() {
    block_on(async {
        let model = Arc::new(HashEmbedder::new(8));
        let embedder = CachingEmbedder::over(Arc::clone(&model) as Arc<dyn Embedder>, 10);
        let first = embedder.embed_query("red fox").await.unwrap();
        assert_eq!(embedder.embed_query("red fox").await.unwrap(), first);
        assert_eq!(model.queries_embedded(), 1);
        assert_ne!(embedder.embed_query("owl").await.unwrap(), first);
        let off = CachingEmbedder::over(Arc::clone(&model) as Arc<dyn Embedder>, 0);
        off.embed_query("red fox").await.unwrap();
        assert_eq!(model.queries_embedded(), 3);
    });
}

/// Something that happens between two questions.
#[derive(Clone, Debug)]
enum Event {
    Put(u8, u8),
    Delete(u8),
    Apply,
    Purge,
    Ask(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..4_u8, 0..6_u8).prop_map(|(id, text)| Event::Put(id, text)),
        (0..4_u8).prop_map(Event::Delete),
        Just(Event::Apply),
        Just(Event::Purge),
        (0..3_u8).prop_map(Event::Ask),
        (0..3_u8).prop_map(Event::Ask),
        (0..3_u8).prop_map(Event::Ask),
    ]
}

const WORDS: [&str; 6] = ["red fox", "blue fox", "red owl", "grey wolf", "fox", "owl"];

/// Whether any question was answered from the cache.
async fn check(events: Vec<Event>) -> bool {
    let setup = Setup::new(LINES).await;
    let (retriever, _) = caching(&setup, 1 << 20);
    let mut any_cached = false;
    for event in events {
        match event {
            Event::Put(id, text) => {
                let line = format!("d{id}: {}", WORDS[text as usize]);
                setup.corpus.stage(&line).await;
            }
            Event::Delete(id) => setup.corpus.delete(&[&format!("d{id}")]).await,
            Event::Apply => setup.corpus.apply().await,
            Event::Purge => drop(setup.can_purge().await),
            Event::Ask(query) => {
                let request = setup.request(["fox", "red", "owl"][query as usize]);
                let fresh = setup.retrieve(request.clone()).await;
                let answer = retriever.retrieve(request).await.unwrap();
                any_cached |= answer.cached;
                assert_eq!(timeless(answer), timeless(fresh));
            }
        }
    }
    any_cached
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_answer_is_ever_stale(events in prop::collection::vec(event(), 1..40)) {
        block_on(check(events));
    }
}

#[test]
fn the_property_test_meets_the_cache() {
    let asks = vec![
        Event::Ask(0),
        Event::Ask(0),
        Event::Put(1, 1),
        Event::Ask(0),
    ];
    assert!(block_on(check(asks)));
}
