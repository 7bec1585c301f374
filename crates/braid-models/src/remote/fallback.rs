//! [`FallbackEmbedder`] and [`FallbackReranker`]: one model at several places, asked in their order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::{
    Calibration, Embedder, Embedding, Error, ErrorCode, Fingerprint, Language, Reranker, Result,
    Script, TokenCounter,
};
use braid_runtime::breaker::{
    Abandoned, BreakLength, BreakerPolicy, Change, CircuitBreaker, Leave, OnChange,
};

use crate::remote::recognition::Recognition;

/// A place is left out after three failures in a row, for two seconds at first and up to a minute, and
/// after twelve calls in a row that nobody waited for to the end.
const LEFT_OUT: BreakerPolicy = BreakerPolicy {
    failures: 3,
    length: BreakLength::Doubling {
        first: Duration::from_secs(2),
        longest: Duration::from_secs(60),
    },
    abandoned: Some(Abandoned {
        calls: 12,
        patience: Duration::from_millis(50),
    }),
};

/// A model at several places. A call goes to the first that is not left out; where it fails, to the
/// next. A place that fails three times in a row is left out for a while.
struct Places<T: ?Sized> {
    list: Vec<Place<T>>,
}

struct Place<T: ?Sized> {
    named: Named<T>,
    breaker: CircuitBreaker,
}

/// A model with its place's name for people.
pub(crate) struct Named<T: ?Sized> {
    name: String,
    model: Arc<T>,
    recognition: Option<Arc<Recognition>>,
}

impl<T: ?Sized> Named<T> {
    pub(crate) fn new(name: impl ToString, model: Arc<T>) -> Self {
        Self {
            name: name.to_string(),
            model,
            recognition: None,
        }
    }

    /// Who gives up while the place is checked says nothing of it: the check goes on without them.
    pub(crate) fn checked_by(mut self, recognition: Arc<Recognition>) -> Self {
        self.recognition = Some(recognition);
        self
    }

    fn is_checking(&self) -> bool {
        let recognition = self.recognition.as_ref();
        recognition.is_some_and(|recognition| recognition.is_checking())
    }
}

/// A call under way, which may be dropped.
struct Asking<'a, T: ?Sized> {
    leave: Option<Leave<'a>>,
    named: &'a Named<T>,
}

impl<T: ?Sized> Drop for Asking<'_, T> {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take()
            && self.named.is_checking()
        {
            leave.withdraw();
        }
    }
}

impl<T: ?Sized> Places<T> {
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when there is none, or they are not of one
    /// fingerprint.
    fn new(named: Vec<Named<T>>, fingerprint: impl Fn(&T) -> &Fingerprint) -> Result<Self> {
        let Some(first) = named.first() else {
            let message = "a model is served nowhere";
            return Err(Error::new(ErrorCode::ModelUnavailable, message));
        };
        let expected = fingerprint(&first.model);
        let other = named
            .iter()
            .find(|named| fingerprint(&named.model) != expected);
        if let Some(Named { name, model, .. }) = other {
            let (first, found) = (&first.name, fingerprint(model));
            let message = format!("{first} has the model {expected}, {name} has {found}");
            return Err(Error::new(ErrorCode::ModelUnavailable, message)
                .with_help("list places of the same model only"));
        }
        let list = named.into_iter().map(|named| Place {
            breaker: CircuitBreaker::new(LEFT_OUT).telling(noting(named.name.clone())),
            named,
        });
        Ok(Self {
            list: list.collect(),
        })
    }

    /// All say the same of the model.
    fn first(&self) -> &T {
        &self.list[0].named.model
    }

    /// # Cancel safety
    /// Dropping the future abandons the call under way; many in a row leave the place out, but not
    /// while it is checked.
    async fn ask<'a, R, F>(&'a self, call: impl Fn(&'a T) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let mut failures = Vec::new();
        for place in &self.list {
            let leave = match place.breaker.ask() {
                Ok(leave) => leave,
                Err(left_out) => {
                    failures.push(place.left_out(&left_out.reason));
                    continue;
                }
            };
            match place.call(leave, &call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failures.push(error),
            }
        }
        Err(all_failed(failures))
    }
}

impl<T: ?Sized> Place<T> {
    async fn call<'a, R, F>(&'a self, leave: Leave<'a>, call: impl Fn(&'a T) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let mut asking = Asking {
            leave: Some(leave),
            named: &self.named,
        };
        let answer = call(&self.named.model).await;
        if let Some(leave) = asking.leave.take() {
            match &answer {
                Err(error) if is_failure_of_place(error) => leave.failed(error.chain()),
                Ok(_) | Err(_) => leave.succeeded(),
            };
        }
        answer
    }

    fn left_out(&self, reason: &str) -> Error {
        let message = format!(
            "{} is left out for a while after: {reason}",
            self.named.name
        );
        Error::new(ErrorCode::Unavailable, message)
    }
}

/// Logs what becomes of a place, and keeps its gauge.
fn noting(endpoint: String) -> OnChange {
    Box::new(move |change| {
        let open = match change {
            Change::None => return,
            Change::Opened(length) | Change::Reopened(length) => {
                tracing::warn!(%endpoint, ?length, "a model's place is left out for a while");
                1.0
            }
            Change::Closed => {
                tracing::info!(%endpoint, "a model's place answers again");
                0.0
            }
        };
        metrics::gauge!("braid_model_endpoint_open", "endpoint" => endpoint.clone()).set(open);
    })
}

/// A busy place is asked again, and a text that is refused says nothing of the place.
fn is_failure_of_place(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::ModelUnavailable
    )
}

/// The last failure, naming the others. It passes if any of them does.
fn all_failed(mut failures: Vec<Error>) -> Error {
    let passing = failures
        .iter()
        .rposition(|error| error.code().is_retryable());
    let last = match passing {
        Some(place) => Some(failures.remove(place)),
        None => failures.pop(),
    };
    let Some(last) = last else {
        return Error::internal("a model is served nowhere");
    };
    match failures.is_empty() {
        true => last,
        false => {
            let others: Vec<_> = failures.iter().map(Error::chain).collect();
            last.context(others.join("; "))
        }
    }
}

impl<T: ?Sized> fmt::Debug for Places<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self
            .list
            .iter()
            .map(|place| (&place.named.name, &place.breaker));
        f.debug_map().entries(places).finish()
    }
}

/// An embedder at several places.
#[derive(Debug)]
pub struct FallbackEmbedder(Places<dyn Embedder>);

impl FallbackEmbedder {
    /// Asks `places`, which have names for people, in their order.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when they are not of one fingerprint.
    pub fn new(places: Vec<(String, Arc<dyn Embedder>)>) -> Result<Self> {
        let named = |(name, model): (String, _)| Named::new(name, model);
        Self::of(places.into_iter().map(named).collect())
    }

    pub(crate) fn of(places: Vec<Named<dyn Embedder>>) -> Result<Self> {
        Places::new(places, |model| model.fingerprint()).map(Self)
    }
}

#[async_trait]
impl Embedder for FallbackEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.first().fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.first().dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.first().token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.0.first().reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0
            .ask(|model| model.embed_passages(texts.clone()))
            .await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0
            .ask(|model| model.embed_verbatim(texts.clone()))
            .await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.ask(|model| model.embed_query(text)).await
    }
}

/// A cross-encoder at several places.
#[derive(Debug)]
pub struct FallbackReranker(Places<dyn Reranker>);

impl FallbackReranker {
    /// As [`FallbackEmbedder::new`].
    ///
    /// # Errors
    /// As [`FallbackEmbedder::new`].
    pub fn new(places: Vec<(String, Arc<dyn Reranker>)>) -> Result<Self> {
        let named = |(name, model): (String, _)| Named::new(name, model);
        Self::of(places.into_iter().map(named).collect())
    }

    pub(crate) fn of(places: Vec<Named<dyn Reranker>>) -> Result<Self> {
        Places::new(places, |model| model.fingerprint()).map(Self)
    }
}

#[async_trait]
impl Reranker for FallbackReranker {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.first().fingerprint()
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        self.0.first().recommended_blend(language)
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        self.0.first().calibration(language)
    }

    fn concurrency(&self) -> usize {
        self.0.first().concurrency()
    }

    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        self.0.ask(|model| model.score(query, passages)).await
    }
}

#[cfg(test)]
mod tests;
