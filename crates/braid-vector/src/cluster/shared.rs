//! [`Shared`]: what many ask at the same time is asked once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use braid_core::{Error, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last answer to a question, and who waits for the next one.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    /// How often it was asked.
    begun: AtomicU64,
    /// The first time whose answer still holds.
    valid: AtomicU64,
    /// Held while it is asked.
    last: Mutex<Option<Answer<T>>>,
}

#[derive(Debug)]
struct Answer<T> {
    number: u64,
    begun_at: Instant,
    answer: Result<T, Arc<Error>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            valid: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

impl<T: Clone> Shared<T> {
    /// An answer that is at most so old, or else one for which was asked after this call came. Asks where
    /// there is none; all who come meanwhile wait, and share the next one, or its failure.
    ///
    /// # Cancel safety
    /// Who waits asks where the one who asked is dropped.
    pub(crate) async fn get(
        &self,
        fresh: Duration,
        ask: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let came = self.begun.load(SeqCst);
        let mut last = self.last.lock().await;
        if let Some(last) = &*last {
            let is_valid = last.number >= self.valid.load(SeqCst) && last.answer.is_ok();
            if last.number > came || (is_valid && last.begun_at.elapsed() < fresh) {
                return last.answer.clone().map_err(|error| like(&error));
            }
        }
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let begun_at = Instant::now();
        let answer = ask.await.map_err(Arc::new);
        *last = Some(Answer {
            number,
            begun_at,
            answer: answer.clone(),
        });
        answer.map_err(|error| like(&error))
    }

    /// No answer holds for which was asked before this, however fresh it is.
    pub(crate) fn forget(&self) {
        self.valid.store(self.begun.load(SeqCst) + 1, SeqCst);
    }

    /// The last answer, however old; `None` where there is none, or while one is waited for.
    pub(crate) fn peek(&self) -> Option<T> {
        let last = self.last.try_lock().ok()?;
        last.as_ref()?.answer.as_ref().ok().cloned()
    }
}

/// The same error, for one more who asked.
fn like(error: &Arc<Error>) -> Error {
    let another = Error::new(error.code(), error.message());
    match error.help() {
        Some(help) => another.with_help(help),
        None => another,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use braid_core::ErrorCode;
    use futures::{FutureExt, future};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn never() -> impl Future<Output = Result<u32>> {
        poll_fn(|_| panic!("asked again"))
    }

    #[tokio::test]
    async fn who_comes_while_it_is_asked_shares_the_next_answer() {
        let shared = Shared::default();
        let first = shared.get(Duration::ZERO, async {
            tokio::task::yield_now().await;
            Ok(1)
        });
        let answers = future::join4(
            first,
            // What it sees may be older than this call.
            shared.get(Duration::ZERO, ready(Ok(2))),
            shared.get(Duration::ZERO, never()),
            shared.get(Duration::ZERO, never()),
        );
        let (a, b, c, d) = answers.await;
        let answers = [a, b, c, d].map(Result::unwrap);
        assert_eq!(answers, [1, 2, 2, 2]);
        assert_eq!(shared.get(LONG, never()).await.unwrap(), 2);
        assert_eq!(shared.get(Duration::ZERO, ready(Ok(3))).await.unwrap(), 3);
        shared.forget();
        assert_eq!(shared.get(LONG, ready(Ok(4))).await.unwrap(), 4);
        assert_eq!(shared.peek(), Some(4));
    }

    #[tokio::test]
    async fn failures_are_shared_and_not_kept() {
        let shared = Shared::default();
        let away = || Error::new(ErrorCode::Unavailable, "away").with_help("wait");
        let first = shared.get(LONG, async {
            tokio::task::yield_now().await;
            Err(away())
        });
        let failing = shared.get(LONG, ready(Err(away())));
        let answers = future::join3(first, failing, shared.get(LONG, never())).await;
        let (a, b, c) = answers;
        for error in [a, b, c].map(Result::unwrap_err) {
            assert_eq!(error.code(), ErrorCode::Unavailable);
            assert_eq!(error.help(), Some("wait"));
        }
        assert_eq!(shared.get(LONG, ready(Ok(1))).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn who_is_dropped_leaves_the_question_to_others() {
        let shared: Shared<u32> = Shared::default();
        {
            let mut dropped = Box::pin(shared.get(LONG, pending()));
            assert!((&mut dropped).now_or_never().is_none());
            assert_eq!(shared.peek(), None);
        }
        assert_eq!(shared.get(LONG, ready(Ok(1))).await.unwrap(), 1);
    }
}
