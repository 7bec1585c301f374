//! Stored answers: found by similarity, only where they may be, only while they hold.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{Embedder, Ledger};
use braid_query::SemanticCache;
use braid_query::cache::guard::Difference;
use braid_query::cache::semantic::{
    AnswerLookup, FoundAnswer, MissReason, NewAnswer, SemanticOptions, SemanticParts,
};
use braid_runtime::CpuPool;
use braid_testkit::MiniCorpus;
use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;

use crate::setup::block_on;

const OPTIONS: SemanticOptions = SemanticOptions {
    entries: 100,
    bytes: 1 << 20,
    ttl: Duration::from_secs(3600),
    threshold: 0.9,
};

fn cache(corpus: &MiniCorpus, options: SemanticOptions) -> SemanticCache {
    let parts = SemanticParts {
        embedder: Arc::clone(&corpus.embedder) as Arc<dyn Embedder>,
        ledger: Arc::new(corpus.ledger.clone()) as Arc<dyn Ledger>,
        pool: CpuPool::new(1).unwrap(),
    };
    SemanticCache::new(parts, options)
}

fn lookup(corpus: &MiniCorpus, query: &str, scope: Option<&str>) -> AnswerLookup {
    AnswerLookup {
        query: query.to_owned(),
        collection: corpus.name(),
        scope: scope.map(str::to_owned),
        threshold: None,
        guard: true,
        accept_stale: false,
    }
}

fn answer(corpus: &MiniCorpus, query: &str, scope: Option<&str>, answer: &str) -> NewAnswer {
    NewAnswer {
        query: query.to_owned(),
        collection: corpus.name(),
        scope: scope.map(str::to_owned),
        answer: answer.to_owned(),
        documents: Vec::new(),
        ttl: None,
        state: None,
    }
}

fn reason(found: &FoundAnswer) -> Option<MissReason> {
    found.found.as_ref().err().map(|miss| miss.reason)
}

#[test]
fn the_most_similar_question_that_nothing_refuses_answers() {
    block_on(async {
        let corpus = MiniCorpus::new("a: red fox").await;
        let cache = cache(&corpus, OPTIONS);
        let stored = [
            ("please how do I enable the red fox alarm now", "1"),
            ("how do I disable the red fox alarm now", "2"),
            ("where do owls sleep", "3"),
        ];
        for (query, text) in stored {
            cache
                .store(answer(&corpus, query, None, text))
                .await
                .unwrap();
        }
        let mut asked = lookup(&corpus, "how do I enable the red fox alarm now", None);
        asked.threshold = Some(0.5);
        let found = cache.lookup(asked.clone()).await.unwrap();
        let hit = found.found.unwrap();
        assert_eq!((&*hit.answer, hit.stale), ("1", false));
        asked.threshold = Some(0.999);
        let missed = cache.lookup(asked).await.unwrap().found.unwrap_err();
        assert_eq!(missed.reason, MissReason::BelowThreshold);
        let mut reversed = lookup(&corpus, "now how do I mute the red fox alarm", None);
        reversed.query = "how do I enable the blue fox alarm 7".to_owned();
        reversed.threshold = Some(0.3);
        let missed = cache.lookup(reversed.clone()).await.unwrap();
        assert_eq!(
            reason(&missed),
            Some(MissReason::Different(Difference::Name))
        );
        reversed.guard = false;
        assert!(cache.lookup(reversed).await.unwrap().found.is_ok());
    });
}

#[test]
fn a_write_makes_answers_stale_with_its_acknowledgement() {
    block_on(async {
        let corpus = MiniCorpus::new("a: red fox").await;
        let cache = cache(&corpus, OPTIONS);
        let ask = async || {
            cache
                .lookup(lookup(&corpus, "red fox", None))
                .await
                .unwrap()
        };
        let before = ask().await.state;
        let mut new = answer(&corpus, "red fox", None, "1");
        new.state = Some(before.clone());
        assert!(cache.store(new.clone()).await.unwrap().stored);
        assert!(ask().await.found.is_ok());
        corpus.delete(&["a"]).await;
        assert_eq!(reason(&ask().await), Some(MissReason::Stale));
        assert!(
            !cache.store(new).await.unwrap().stored,
            "made before the delete"
        );
        let mut accepting = lookup(&corpus, "red fox", None);
        accepting.accept_stale = true;
        let given = cache.lookup(accepting).await.unwrap().found.unwrap();
        assert!(given.stale && &*given.answer == "1");
        let again = cache
            .store(answer(&corpus, "red fox", None, "2"))
            .await
            .unwrap();
        assert!(again.replaced);
        assert_eq!(&*ask().await.found.unwrap().answer, "2");
        corpus.apply().await;
        assert_eq!(reason(&ask().await), Some(MissReason::Stale), "published");
    });
}

#[test]
fn limits_hold_and_are_told() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        block_on(async {
            let corpus = MiniCorpus::new("a: red fox").await;
            let options = SemanticOptions {
                entries: 2,
                ..OPTIONS
            };
            let cache = cache(&corpus, options);
            let mut evicted = 0;
            for number in 0..5 {
                let new = answer(&corpus, &format!("fox {number}"), None, "1");
                evicted += cache.store(new).await.unwrap().evicted;
            }
            assert_eq!(evicted, 3);
            let last = cache.lookup(lookup(&corpus, "fox 4", None)).await.unwrap();
            assert!(last.found.is_ok());
            let mut long = answer(&corpus, "fox", None, "1");
            long.ttl = Some(OPTIONS.ttl + Duration::from_secs(1));
            let refused = cache.store(long).await.unwrap_err();
            assert_eq!(refused.fields()[0].pointer, "/ttl_seconds");
            assert_eq!(cache.forget(None, None).await.unwrap(), 2);
            let none = cache.lookup(lookup(&corpus, "fox 4", None)).await.unwrap();
            assert_eq!(reason(&none), Some(MissReason::Empty));
        });
    });
    let rendered = recorder.handle().render();
    for line in [
        "braid_semantic_cache_evictions_total{cause=\"limit\"} 3",
        "braid_semantic_cache_entries 0",
        "braid_semantic_cache_bytes 0",
    ] {
        assert!(rendered.contains(line), "{line} is not in:\n{rendered}");
    }
    for line in [
        "braid_semantic_cache_misses_total{reason=\"empty\"} 1",
        "braid_cache_lookups_total{cache=\"semantic\",found=\"hit\"} 1",
    ] {
        assert!(rendered.contains(line), "{line} is not in:\n{rendered}");
    }
}

/// A step: store or look up one of some questions in one of some scopes, or write.
#[derive(Clone, Debug)]
enum Step {
    Store(usize, usize),
    Ask(usize, usize),
    Write,
    Apply,
    Forget(usize),
}

const SCOPES: [Option<&str>; 3] = [None, Some("a"), Some("b")];
const QUESTIONS: [&str; 4] = [
    "how do I enable the red fox alarm on my machine",
    "how do I disable the red fox alarm on my machine",
    "please how do I enable the red fox alarm on my machine",
    "where do owls sleep",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4usize, 0..3usize).prop_map(|(query, scope)| Step::Store(query, scope)),
        6 => (0..4usize, 0..3usize).prop_map(|(query, scope)| Step::Ask(query, scope)),
        1 => Just(Step::Write),
        1 => Just(Step::Apply),
        1 => (0..3usize).prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is stored, written and forgotten in between: an answer is given only in its own scope,
    /// only while nothing was written since it was stored, and never to a question that the guard tells
    /// apart; a question that was stored since is answered.
    #[test]
    fn an_answer_is_never_anothers_and_never_stale(steps in steps()) {
        block_on(async {
            let corpus = MiniCorpus::new("a: red fox\nb: owl").await;
            let cache = cache(&corpus, OPTIONS);
            // By scope: the question of each answer that still holds.
            let mut holds: [Vec<usize>; 3] = Default::default();
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Store(query, scope) => {
                        let text = format!("\"{query} {scope}\"");
                        let new = answer(&corpus, QUESTIONS[query], SCOPES[scope], &text);
                        cache.store(new).await.unwrap();
                        holds[scope].retain(|kept| *kept != query);
                        holds[scope].push(query);
                    }
                    Step::Ask(query, scope) => {
                        let asked = lookup(&corpus, QUESTIONS[query], SCOPES[scope]);
                        let found = cache.lookup(asked).await.unwrap().found;
                        let allowed = |kept: &&usize| **kept == query || **kept + query == 2 && query != 1;
                        let expected: Vec<String> = holds[scope].iter().filter(allowed)
                            .map(|kept| format!("\"{kept} {scope}\"")).collect();
                        match found {
                            Ok(hit) => assert!(expected.contains(&hit.answer.to_string())),
                            Err(_) => assert_eq!(expected, Vec::<String>::new()),
                        }
                    }
                    Step::Write => {
                        corpus.stage(&format!("n{at}: grey wolf")).await;
                        holds = Default::default();
                    }
                    Step::Apply => {
                        corpus.apply().await;
                        // Where nothing was pending, nothing changed; the answers are forgotten to be sure.
                        cache.clear(None, None).await.unwrap();
                        holds = Default::default();
                    }
                    Step::Forget(scope) => {
                        cache.forget(None, SCOPES[scope]).await.unwrap();
                        match SCOPES[scope] {
                            None => holds = Default::default(),
                            Some(_) => holds[scope].clear(),
                        }
                    }
                }
            }
        });
    }
}
