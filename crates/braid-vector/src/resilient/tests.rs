//! Time is paused: a wait is over as soon as nothing else is to be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use braid_runtime::BreakerPolicy;
use braid_testkit::{RamVectorStore, vector_store_suite};
use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

/// Fails as often as it is told to, with this code.
#[derive(Debug)]
struct Flaky {
    inner: RamVectorStore,
    code: ErrorCode,
    failures: AtomicU32,
    calls: AtomicU32,
}

impl Flaky {
    fn new(code: ErrorCode, failures: u32) -> Self {
        Self {
            inner: RamVectorStore::new(2),
            code,
            failures: AtomicU32::new(failures),
            calls: AtomicU32::new(0),
        }
    }

    fn call(&self) -> Result<()> {
        self.calls.fetch_add(1, Relaxed);
        let fails = |left: u32| left.checked_sub(1);
        match self.failures.fetch_update(Relaxed, Relaxed, fails) {
            Ok(_) => Err(Error::new(self.code, "flaky")),
            Err(_) => Ok(()),
        }
    }

    fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Flaky>);

#[async_trait]
impl VectorStore for Shared {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        self.0.call()?;
        self.0.inner.apply(batch).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        self.0.call()?;
        self.0.inner.watermark().await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.0.call()?;
        self.0.inner.slots().await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        self.0.call()?;
        self.0.inner.pin().await
    }
}

const RETRIES: Retries = Retries {
    attempts: 3,
    first: Duration::from_millis(100),
    longest: Duration::from_millis(150),
};

fn breaker(failures: u32) -> Arc<Breaker> {
    let policy = BreakerPolicy::fixed(failures, Duration::from_secs(2));
    Arc::new(Breaker::new(policy))
}

fn over(flaky: &Arc<Flaky>, breaker: &Arc<Breaker>) -> Resilient<Shared> {
    Resilient::new(Shared(Arc::clone(flaky)), RETRIES, Arc::clone(breaker), 7)
}

#[tokio::test]
async fn a_store_with_it_conforms() {
    vector_store_suite(&|dimension| {
        let inner = RamVectorStore::new(dimension);
        Arc::new(Resilient::new(inner, RETRIES, breaker(5), 7))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_after_growing_waits() {
    for code in [
        ErrorCode::Unavailable,
        ErrorCode::Timeout,
        ErrorCode::Overloaded,
    ] {
        let flaky = Arc::new(Flaky::new(code, 2));
        let started = Instant::now();
        let store = over(&flaky, &breaker(10));
        assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
        assert_eq!(flaky.calls(), 3, "{code:?}");
        let waited = started.elapsed().as_millis();
        assert!((125..=251).contains(&waited), "{waited} ms for 100 and 150");
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded_and_the_last_error_is_told() {
    let flaky = Arc::new(Flaky::new(ErrorCode::Unavailable, 100));
    let error = over(&flaky, &breaker(10)).slots().await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::Unavailable, "flaky")
    );
    assert_eq!(flaky.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_not_tried_again_and_opens_nothing() {
    for code in [
        ErrorCode::StorageFull,
        ErrorCode::InvalidRequest,
        ErrorCode::Internal,
    ] {
        let flaky = Arc::new(Flaky::new(code, 100));
        let breaker = breaker(1);
        let started = Instant::now();
        let error = over(&flaky, &breaker).watermark().await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!((flaky.calls(), started.elapsed()), (1, Duration::ZERO));
        assert_eq!(breaker.is_open(), None, "the server answered");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_asks_nobody_then_one_call_decides() {
    let flaky = Arc::new(Flaky::new(ErrorCode::Unavailable, 4));
    let breaker = breaker(3);
    let store = over(&flaky, &breaker);
    store.watermark().await.unwrap_err();
    assert_eq!(flaky.calls(), 3);
    assert!(breaker.is_open().unwrap().contains("flaky"));
    let error = store.watermark().await.unwrap_err();
    assert_eq!(flaky.calls(), 3, "nobody was asked");
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.message().contains("2000 ms"), "{error}");

    tokio::time::advance(Duration::from_secs(2)).await;
    store.watermark().await.unwrap_err();
    assert_eq!(flaky.calls(), 4, "one call, which failed");
    store.watermark().await.unwrap_err();
    assert_eq!(flaky.calls(), 4, "open for as long again");

    tokio::time::advance(Duration::from_secs(2)).await;
    store.watermark().await.unwrap();
    assert_eq!(breaker.is_open(), None);
    store.watermark().await.unwrap();
    assert_eq!(flaky.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn one_breaker_guards_every_store_of_a_server() {
    let (one, other) = [ErrorCode::Unavailable; 2]
        .map(|code| Arc::new(Flaky::new(code, 3)))
        .into();
    let breaker = breaker(3);
    over(&one, &breaker).watermark().await.unwrap_err();
    over(&other, &breaker).watermark().await.unwrap_err();
    assert_eq!(other.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_one_call_decides_no_other_is_let_through() {
    let breaker = breaker(1);
    let error = Error::new(ErrorCode::Unavailable, "gone");
    breaker.admit().unwrap().failed(&error);
    tokio::time::advance(Duration::from_secs(2)).await;
    let probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_err());
    // Its caller went away: the next one decides.
    drop(probe);
    breaker.admit().unwrap().succeeded();
    assert_eq!(breaker.is_open(), None);
}

#[tokio::test(start_paused = true)]
async fn searches_are_tried_again_too() {
    #[derive(Debug)]
    struct Half(AtomicU32);
    #[async_trait]
    impl VectorView for Half {
        async fn search(&self, _: &Embedding, _: &Selection, _: usize) -> Result<RankedList> {
            match self.0.fetch_add(1, Relaxed) % 2 {
                0 => Err(Error::new(ErrorCode::Unavailable, "half")),
                _ => Ok(RankedList::new()),
            }
        }
    }
    let store = over(&Arc::new(Flaky::new(ErrorCode::Internal, 0)), &breaker(5));
    let view = ResilientView {
        inner: Arc::new(Half(AtomicU32::new(0))),
        guard: Arc::clone(&store.guard),
    };
    let query = Embedding::from(vec![1.0, 0.0]);
    assert!(view.search(&query, &Selection::default(), 1).await.is_ok());
}

proptest! {
    #[test]
    fn waits_double_within_bounds(first in 1_u64..1000, longest in 1_u64..10_000, failures in 1_u32..1000) {
        let retries = Retries {
            attempts: 3,
            first: Duration::from_millis(first),
            longest: Duration::from_millis(longest),
        };
        let (wait, next) = (retries.wait(failures), retries.wait(failures + 1));
        prop_assert!(wait <= next && next <= wait * 2);
        prop_assert!(next <= retries.longest);
    }

    #[test]
    fn chance_shortens_by_a_half_at_most_and_is_repeatable(seed: u64, wait in 1_u64..10_000) {
        let wait = Duration::from_millis(wait);
        let waits = || {
            let store = Resilient::new((), RETRIES, breaker(5), seed);
            [(); 5].map(|()| store.guard.jittered(wait))
        };
        prop_assert_eq!(waits(), waits());
        prop_assert!(waits().iter().all(|it| *it >= wait / 2 && *it <= wait));
    }
}
