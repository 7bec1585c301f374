//! [`FallbackEmbedder`] and [`FallbackReranker`]: one model at several places, asked in their order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::{
    Calibration, Embedder, Embedding, Error, ErrorCode, Fingerprint, Language, Reranker, Result,
    Script, TokenCounter,
};
use braid_runtime::breaker::{Abandoned, BreakLength, BreakerPolicy, Change, CircuitBreaker, OnChange};

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
    name: String,
    model: Arc<T>,
    breaker: CircuitBreaker,
}

impl<T: ?Sized> Places<T> {
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when there is none, or they are not of one
    /// fingerprint.
    fn new(named: Vec<(String, Arc<T>)>, fingerprint: impl Fn(&T) -> &Fingerprint) -> Result<Self> {
        let Some((first_name, first)) = named.first() else {
            let message = "a model is served nowhere";
            return Err(Error::new(ErrorCode::ModelUnavailable, message));
        };
        let expected = fingerprint(first);
        let other = named
            .iter()
            .find(|(_, model)| fingerprint(model) != expected);
        if let Some((name, model)) = other {
            let found = fingerprint(model);
            let message = format!("{first_name} has the model {expected}, {name} has {found}");
            return Err(Error::new(ErrorCode::ModelUnavailable, message)
                .with_help("list places of the same model only"));
        }
        let list = named.into_iter().map(|(name, model)| Place {
            breaker: CircuitBreaker::new(LEFT_OUT).telling(noting(name.clone())),
            name,
            model,
        });
        Ok(Self {
            list: list.collect(),
        })
    }

    /// All say the same of the model.
    fn first(&self) -> &T {
        &self.list[0].model
    }

    /// # Cancel safety
    /// Dropping the future abandons the call under way; it counts neither as good nor as failed.
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
            match call(&place.model).await {
                Ok(answer) => {
                    leave.succeeded();
                    return Ok(answer);
                }
                Err(error) => {
                    match is_failure_of_place(&error) {
                        true => leave.failed(error.chain()),
                        false => leave.succeeded(),
                    };
                    failures.push(error);
                }
            }
        }
        Err(all_failed(failures))
    }
}

impl<T: ?Sized> Place<T> {
    fn left_out(&self, reason: &str) -> Error {
        let message = format!("{} is left out for a while after: {reason}", self.name);
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
        let places = self.list.iter().map(|place| (&place.name, &place.breaker));
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
