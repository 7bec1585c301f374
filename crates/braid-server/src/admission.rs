//! Admission: a bounded number of requests run, a bounded number wait, the rest are told to retry.
//!
//! The permit is held until the response body is ready, so memory and queueing below the HTTP layer
//! are bounded by these two numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Refuses what comes after shutdown began or finds the line full; times out the rest.
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.is_draining() {
        let error = Error::new(ErrorCode::ShuttingDown, "the server is shutting down");
        return ApiError(error).into_response();
    }
    let limit = app.options().request_timeout;
    let line = Line::of(&request);
    let answer = async {
        let admission = app.admission(line);
        let permit = admission.admit().await.map_err(ApiError)?;
        let response = next.run(request).await;
        drop(permit);
        Ok::<_, ApiError>(response)
    };
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => refused.into_response(),
        Err(_) => {
            let message = format!("no answer within {} ms", limit.as_millis());
            let error = Error::new(ErrorCode::Timeout, message);
            let error = match line {
                Line::Reads => error,
                Line::Models => error.with_help("send fewer texts in one request"),
                Line::Explanations => error.with_help("ask with a smaller depth or top_k"),
                Line::Writes => error.with_help(
                    "the write may have been done: repeat it under the same Idempotency-Key",
                ),
            };
            ApiError(error).into_response()
        }
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
