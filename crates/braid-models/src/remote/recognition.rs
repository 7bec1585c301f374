//! [`Recognition`]: whether what is at an endpoint is known to be the model.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// For how long a failed check that nobody waited for answers the next call.
const FAILURE_LASTS: Duration = Duration::from_secs(10);

/// Checks what is at an endpoint before it is used, one check at a time. A check is a task of its own:
/// callers wait for it and share what comes of it, and a deadline that ends a caller does not end it.
#[derive(Debug, Default)]
pub(crate) struct Recognition(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Checking(watch::Receiver<Option<Outcome>>),
    /// Nobody was there to be told.
    Failed(Shared, Instant),
    Known,
}

type Shared = Arc<Error>;
type Outcome = Result<(), Shared>;

impl Recognition {
    /// Waits for a check where it is not known to be the model; starts it where none is under way.
    /// `check` must end by itself.
    ///
    /// # Errors
    /// Why the check failed. The next call starts another.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the check under way.
    pub(crate) async fn ensure<C>(self: &Arc<Self>, check: impl FnOnce() -> C) -> Result<()>
    where
        C: Future<Output = Result<()>> + Send + 'static,
    {
        let Some(mut checking) = self.join(check)? else {
            return Ok(());
        };
        let outcome = match checking.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        let stopped = || {
            Error::new(
                ErrorCode::Unavailable,
                "the check of a model server stopped",
            )
        };
        outcome
            .ok_or_else(stopped)?
            .map_err(|error| copy_of(&error))
    }

    /// The check under way, or a new one; `None` where it is known.
    fn join<C>(
        self: &Arc<Self>,
        check: impl FnOnce() -> C,
    ) -> Result<Option<watch::Receiver<Option<Outcome>>>>
    where
        C: Future<Output = Result<()>> + Send + 'static,
    {
        let mut state = self.0.lock();
        match &*state {
            State::Known => return Ok(None),
            State::Checking(checking) if is_running(checking) => return Ok(Some(checking.clone())),
            State::Failed(error, at) if at.elapsed() <= FAILURE_LASTS => {
                let error = copy_of(error);
                *state = State::Unknown;
                return Err(error);
            }
            State::Unknown | State::Failed(..) | State::Checking(_) => {}
        }
        let (sender, checking) = watch::channel(None);
        *state = State::Checking(checking.clone());
        tokio::spawn(Arc::clone(self).run(check(), sender));
        Ok(Some(checking))
    }

    async fn run(
        self: Arc<Self>,
        check: impl Future<Output = Result<()>>,
        sender: watch::Sender<Option<Outcome>>,
    ) {
        let outcome = check.await.map_err(Arc::new);
        let mut state = self.0.lock();
        // One receiver is the state's own.
        let is_waited_for = sender.receiver_count() > 1;
        *state = match &outcome {
            Ok(()) => State::Known,
            Err(_) if is_waited_for => State::Unknown,
            Err(error) => State::Failed(Arc::clone(error), Instant::now()),
        };
        sender.send_replace(Some(outcome));
    }

    pub(crate) fn mark_known(&self) {
        *self.0.lock() = State::Known;
    }

    /// Another model may be there from now on.
    pub(crate) fn forget(&self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Known) {
            *state = State::Unknown;
        }
    }

    /// Whether a check is under way.
    pub(crate) fn is_checking(&self) -> bool {
        matches!(&*self.0.lock(), State::Checking(checking) if is_running(checking))
    }
}

/// Its task ends without an outcome where its runtime does.
fn is_running(checking: &watch::Receiver<Option<Outcome>>) -> bool {
    checking.has_changed().is_ok()
}

/// For one of several that wait: causes cannot be copied, so the message has them.
fn copy_of(error: &Error) -> Error {
    let copy = Error::new(error.code(), error.chain());
    match error.help() {
        Some(help) => copy.with_help(help),
        None => copy,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    /// A check that ends as it is told to.
    fn told() -> (
        oneshot::Sender<Result<()>>,
        impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let (sender, told) = oneshot::channel();
        (sender, async { told.await.unwrap() })
    }

    fn down() -> Error {
        Error::new(ErrorCode::Unavailable, "down").with_help("start it")
    }

    #[tokio::test]
    async fn a_check_outlives_the_caller_who_began_it() {
        let recognition = Arc::new(Recognition::default());
        let (end, check) = told();
        let first = recognition.ensure(|| check);
        assert!(first.now_or_never().is_none(), "dropped while it waits");
        assert!(recognition.is_checking());
        let second = recognition.ensure(|| async { panic!("one at a time") });
        let (waited, ()) = tokio::join!(second, async { end.send(Ok(())).unwrap() });
        waited.unwrap();
        assert!(!recognition.is_checking());
        let third = recognition.ensure(|| async { panic!("it is known") });
        third.now_or_never().unwrap().unwrap();
        recognition.forget();
        let again = recognition.ensure(|| async { Err(down()) });
        assert_eq!(again.await.unwrap_err().code(), ErrorCode::Unavailable);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_who_wait_or_to_the_next_call() {
        let recognition = Arc::new(Recognition::default());
        let (end, check) = told();
        let first = recognition.ensure(|| check);
        let second = recognition.ensure(|| async { panic!("one at a time") });
        let (first, second, ()) = tokio::join!(first, second, async {
            end.send(Err(down())).unwrap();
        });
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert_eq!((error.message(), error.help()), ("down", Some("start it")));
        }
        for (later, is_told) in [(FAILURE_LASTS, true), (2 * FAILURE_LASTS, false)] {
            let (end, check) = told();
            let dropped = recognition.ensure(|| check).now_or_never();
            assert!(dropped.is_none());
            end.send(Err(down())).unwrap();
            while recognition.is_checking() {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(later).await;
            let next = recognition.ensure(|| async { Ok(()) }).await;
            assert_eq!(next.is_err(), is_told);
        }
        recognition
            .ensure(|| async { panic!("it is known") })
            .await
            .unwrap();
    }

    #[test]
    fn a_check_whose_runtime_ended_is_begun_again() {
        let recognition = Arc::new(Recognition::default());
        let runtime = || tokio::runtime::Builder::new_current_thread().build();
        let began = runtime().unwrap().block_on(async {
            let call = recognition.ensure(std::future::pending);
            call.now_or_never()
        });
        assert!(began.is_none() && !recognition.is_checking());
        runtime()
            .unwrap()
            .block_on(recognition.ensure(|| async { Ok(()) }))
            .unwrap();
    }
}
