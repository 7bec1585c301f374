//! Admission: a bounded number of requests run, a bounded number wait, the rest are told to retry.
//!
//! The permit is held until the response body is ready, so memory and queueing below the HTTP layer
//! are bounded by these two numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use braid_core::{Error, ErrorCode, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::error::ApiError;

/// Which line a request stands in. Writes have one of their own: those that wait until they are
/// retrievable, or whose bodies come slowly, must not keep queries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Retrievals and everything else that only reads.
    Reads,
    /// Explanations: each is some hundred retrievals, so few may run, and none may keep those out.
    Explanations,
    /// Mutations.
    Writes,
    /// Calls of the models themselves, which may be as much work as a load: they keep nobody else out.
    Models,
}

impl Line {
    fn of(request: &Request) -> Self {
        match request.uri().path() {
            "/retrieve" | "/v1/retrieve" | "/v1/retrieve/batch" | "/v1/cache/lookup" => Self::Reads,
            "/v1/explain" => Self::Explanations,
            "/v1/embeddings" | "/v1/rerank" | "/v2/rerank" | "/embed" | "/rerank" => Self::Models,
            _ if request.method().is_safe() => Self::Reads,
            _ => Self::Writes,
        }
    }
}

/// Set on a request whose client waits no longer than this: it shortens the server's own limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within(pub(crate) Duration);

/// Set on a request that waits in line whatever the line's length. What sends such requests is bounded
/// itself, and sends one at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patient;

/// Set on a request that is part of one whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted;

/// Who may run and who may wait.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Admission {
    pub(crate) fn new(most_running: usize, most_waiting: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(most_running)),
            waiting: AtomicUsize::new(0),
            most_waiting,
        }
    }

    /// A permit to run, if there is one that nobody waits for.
    pub(crate) fn spare(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }

    /// A permit to run, after waiting in line if there is room in it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let Some(_place) = Place::take(&self.waiting, self.most_waiting) else {
            return Err(Error::new(
                ErrorCode::Overloaded,
                "too many requests at once",
            ));
        };
        self.admit_patient().await
    }

    /// A permit to run, after waiting for it without a place in line.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait.
    async fn admit_patient(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorCode::ShuttingDown, "the server is shutting down"))
    }
}

/// A place in the line, given up when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How a request waits for its turn, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) line: Line,
    /// How long the client waits, if it says.
    pub(crate) within: Option<Within>,
    pub(crate) patient: Option<Patient>,
}

/// Refuses what comes after shutdown began or finds the line full; times out the rest.
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if extensions.get::<Admitted>().is_some() {
        return next.run(request).await;
    }
    let turn = Turn {
        line: Line::of(&request),
        within: extensions.get().copied(),
        patient: extensions.get().copied(),
    };
    let answer = in_turn(&app, turn, next.run(request)).await;
    answer.unwrap_or_else(|refused| ApiError(refused).into_response())
}

/// Runs `work` when it is its turn.
///
/// # Errors
/// `ShuttingDown` after shutdown began, `Overloaded` where the line is full, `Timeout`.
pub(crate) async fn in_turn<T>(app: &App, turn: Turn, work: impl Future<Output = T>) -> Result<T> {
    if app.is_draining() {
        return Err(Error::new(
            ErrorCode::ShuttingDown,
            "the server is shutting down",
        ));
    }
    let asked = turn.within.map_or(Duration::MAX, |Within(limit)| limit);
    let limit = asked.min(app.options().request_timeout);
    let done = async {
        let admission = app.admission(turn.line);
        let permit = match turn.patient {
            Some(Patient) => admission.admit_patient().await?,
            None => admission.admit().await?,
        };
        let done = work.await;
        drop(permit);
        Ok(done)
    };
    match tokio::time::timeout(limit, done).await {
        Ok(done) => done,
        Err(_) => Err(timed_out(turn.line, limit)),
    }
}

fn timed_out(line: Line, limit: Duration) -> Error {
    let message = format!("no answer within {} ms", limit.as_millis());
    let error = Error::new(ErrorCode::Timeout, message);
    match line {
        Line::Reads => error,
        Line::Models => error.with_help("send fewer texts in one request"),
        Line::Explanations => error.with_help("ask with a smaller depth or top_k"),
        Line::Writes => error
            .with_help("the write may have been done: repeat it under the same Idempotency-Key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_have_a_line_of_their_own() {
        let line = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path);
            Line::of(&request.body(axum::body::Body::empty()).unwrap())
        };
        assert_eq!(line("POST", "/retrieve"), Line::Reads);
        assert_eq!(line("POST", "/v1/retrieve"), Line::Reads);
        assert_eq!(line("POST", "/v1/explain"), Line::Explanations);
        assert_eq!(line("POST", "/v1/retrieve/batch"), Line::Reads);
        assert_eq!(line("POST", "/v1/cache/lookup"), Line::Reads);
        assert_eq!(line("POST", "/v1/cache/store"), Line::Writes);
        assert_eq!(line("POST", "/v1/embeddings"), Line::Models);
        assert_eq!(line("POST", "/v2/rerank"), Line::Models);
        assert_eq!(line("GET", "/v1/collections/c/documents"), Line::Reads);
        assert_eq!(
            line("PUT", "/v1/collections/c/documents/retrieve"),
            Line::Writes
        );
        assert_eq!(line("POST", "/v1/collections/c/documents"), Line::Writes);
    }

    #[tokio::test]
    async fn runs_queues_and_refuses() {
        let admission = Arc::new(Admission::new(1, 1));
        let running = admission.admit().await.unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.admit().await.map(drop) }
        });
        while admission.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = admission.admit().await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Overloaded);
        drop(running);
        assert!(
            admission.spare().is_none(),
            "its turn is not taken from who waits"
        );
        waiting.await.unwrap().unwrap();
        drop(admission.spare().unwrap());
        assert_eq!(admission.waiting.load(Ordering::Acquire), 0);
        drop(admission.admit().await.unwrap());
    }
}
