//! One endpoint's calls: cut into requests, a bounded number in flight, split where they are too
//! large for it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::remote::batches::batches;
use crate::remote::endpoint::{Api, Endpoint};
use crate::remote::http::HttpClient;
use crate::remote::options::{MOST_QUERY_CALLS, RemoteOptions};
use crate::remote::recognition::Recognition;
use crate::remote::refusal::{Refusal, RefusalKind};

/// Answers beyond this many bytes are read off the async threads.
const SMALL_ANSWER: usize = 32 * 1024;

/// What is asked of texts.
pub(crate) trait Task: Clone + Send + Sync + 'static {
    /// What each text gets.
    type Item: Send + 'static;
    /// The body that asks.
    fn request(&self, api: Api, model: &str, texts: &[String]) -> Bytes;
    /// The most bytes that an honest answer needs.
    fn most_bytes(&self, texts: &[String]) -> usize;
    /// One item a text, in order; or what is wrong.
    fn read(&self, api: Api, answer: &[u8], count: usize) -> Result<Vec<Self::Item>, String>;
}

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Somebody who asked: refused rather than kept waiting when too many do.
    Query,
    /// Indexing: waits its turn.
    Bulk,
    /// The probes, which no caller's deadline ends: they have as long as one request may take.
    Check,
}

/// A model at an endpoint.
#[derive(Debug)]
pub(crate) struct Caller {
    http: HttpClient,
    model: String,
    queries: Semaphore,
    bulk: Semaphore,
    /// Whether the probes gave what they must since the last outage.
    recognition: Arc<Recognition>,
}

impl Caller {
    /// # Errors
    /// As [`HttpClient::new`].
    pub(crate) fn new(endpoint: Endpoint, model: &str, options: RemoteOptions) -> Result<Self> {
        let bulk = Semaphore::new(options.concurrency.max(1));
        Ok(Self {
            http: HttpClient::new(endpoint, options)?,
            model: model.to_owned(),
            queries: Semaphore::new(MOST_QUERY_CALLS),
            bulk,
            recognition: Arc::default(),
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.http.endpoint()
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.http.options().concurrency.max(1)
    }

    pub(crate) fn recognition(&self) -> &Arc<Recognition> {
        &self.recognition
    }

    /// One item for each text, in order.
    ///
    /// # Errors
    /// As the ports say; what every endpoint's failure is called is in [`Refusal::into_error`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons every request in flight.
    pub(crate) async fn run<T: Task>(
        &self,
        task: &T,
        texts: &[String],
        line: Line,
    ) -> Result<Vec<T::Item>> {
        let options = self.http.options();
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        let runs = batches(&lengths, options.batch_texts, options.batch_bytes);
        let answers = stream::iter(runs)
            .map(|run: Range<usize>| self.run_batch(task, &texts[run], line))
            .buffered(self.concurrency())
            .try_collect::<Vec<_>>()
            .await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn run_batch<T: Task>(
        &self,
        task: &T,
        texts: &[String],
        line: Line,
    ) -> Result<Vec<T::Item>> {
        let _permit = self.permit(line).await?;
        let answer = match line {
            Line::Bulk => self.run_splitting(task, texts).await,
            Line::Query | Line::Check => {
                let limit = self.limit(line);
                let answer = tokio::time::timeout(limit, self.run_splitting(task, texts)).await;
                answer.unwrap_or_else(|_| Err(Refusal::too_late(limit)))
            }
        };
        answer.map_err(|refusal| {
            if refusal.is_outage() {
                self.recognition.forget();
            }
            refusal.into_error(self.endpoint(), &self.model)
        })
    }

    fn limit(&self, line: Line) -> Duration {
        let options = self.http.options();
        match line {
            Line::Query => options.query_timeout,
            Line::Bulk | Line::Check => options.timeout,
        }
    }

    async fn permit(&self, line: Line) -> Result<SemaphorePermit<'_>> {
        let permit = match line {
            Line::Query | Line::Check => self.queries.try_acquire().ok(),
            Line::Bulk => self.bulk.acquire().await.ok(),
        };
        permit.ok_or_else(|| {
            let message = format!(
                "{MOST_QUERY_CALLS} calls to {} are under way",
                self.endpoint()
            );
            Error::new(ErrorCode::Overloaded, message).with_help("retry later")
        })
    }

    /// Asks for all at once; where that is too large, for halves, down to single texts.
    async fn run_splitting<T: Task>(
        &self,
        task: &T,
        texts: &[String],
    ) -> Result<Vec<T::Item>, Refusal> {
        let mut items = Vec::with_capacity(texts.len());
        let mut left = vec![texts];
        while let Some(piece) = left.pop() {
            match self.ask(task, piece).await {
                Ok(answered) => items.extend(answered),
                Err(refusal) if refusal.kind == RefusalKind::TooLarge && piece.len() > 1 => {
                    let (first, second) = piece.split_at(piece.len() / 2);
                    left.extend([second, first]);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(items)
    }

    async fn ask<T: Task>(&self, task: &T, texts: &[String]) -> Result<Vec<T::Item>, Refusal> {
        let (api, count) = (self.endpoint().api, texts.len());
        let body = task.request(api, &self.model, texts);
        let answer = self.http.post(body, task.most_bytes(texts)).await?;
        let read = if answer.len() <= SMALL_ANSWER {
            task.read(api, &answer, count)
        } else {
            let task = task.clone();
            let reading = tokio::task::spawn_blocking(move || task.read(api, &answer, count));
            let read = reading.await;
            read.unwrap_or_else(|_| Err("its answer could not be read".to_owned()))
        };
        read.map_err(|what| Refusal::new(RefusalKind::BadReply, what))
    }
}
