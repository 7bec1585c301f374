//! A stream of changes and their answers.
//!
//! Answers are made when they are asked for, and changes are read when an answer is to be made: what is
//! held is one batch and one change, and a client that takes no answers is held back by the flow
//! control of the connection. Changes are applied in the order they came in.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;

use axum::http::{HeaderValue, Method};
use braid_core::{Error, ErrorCode, Result};
use futures::stream::{Stream, StreamExt, unfold};
use futures::{FutureExt, future};
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::http::{Answer, Context, Http, Target, Turned, told, write};
use super::ingestion::{document, shutting_down};
use super::proto::{
    IngestRequest, IngestResponse, NewDocument, Problem, WriteResponse, ingest_request,
    ingest_response,
};
use super::status;
use crate::admission::Within;
use crate::dto::problem as dto;
use crate::request_id;

/// Most documents that are stored together.
const MAX_TOGETHER: usize = 64;
/// Most bytes of JSON that are stored together; one document alone may have more.
const MAX_BYTES_TOGETHER: usize = 1024 * 1024;

/// One stream, from its first change on.
pub(super) struct Session<S> {
    steps: Steps,
    changes: S,
    /// The collection of the change before.
    collection: String,
    /// Changes read so far.
    count: u64,
    /// Read, and not to be stored together with what came before.
    held: Option<Change>,
    answers: VecDeque<IngestResponse>,
    /// Nothing more is read.
    is_over: bool,
    /// Why, where it is not the client's doing; told after the answers to what was read.
    failure: Option<Status>,
    /// Its place among the open streams.
    _place: OwnedSemaphorePermit,
}

/// How changes are sent on.
struct Steps {
    http: Http,
    context: Context,
    deadline: Option<Instant>,
}

/// A change that is ready to be sent on.
struct Change {
    index: u64,
    collection: String,
    id: String,
    kind: Kind,
    key: Option<HeaderValue>,
}

enum Kind {
    Put(Box<NewDocument>),
    Delete,
    /// It cannot be sent on.
    Refused(Problem),
}

impl<S> Session<S>
where
    S: Stream<Item = Result<IngestRequest, Status>> + Send + Unpin + 'static,
{
    pub(super) fn new(
        http: Http,
        (context, within): (Context, Option<Within>),
        (changes, place): (S, OwnedSemaphorePermit),
    ) -> Self {
        let deadline = within.and_then(|Within(within)| Instant::now().checked_add(within));
        Self {
            steps: Steps {
                http,
                context,
                deadline,
            },
            changes,
            collection: String::new(),
            count: 0,
            held: None,
            answers: VecDeque::new(),
            is_over: false,
            failure: None,
            _place: place,
        }
    }

    /// The answers, in the order of the changes; after an error of the stream itself it ends. It also
    /// ends when `draining` resolves.
    pub(super) fn answers(
        self,
        draining: impl Future<Output = ()> + Send + 'static,
    ) -> impl Stream<Item = Result<IngestResponse, Status>> + Send {
        let ended = Box::pin(draining);
        unfold((self, ended), |(mut session, mut draining)| async move {
            let id = session.steps.context.request_id.clone();
            let answer = request_id::within(id, session.next(&mut draining)).await;
            answer.map(|answer| (answer, (session, draining)))
        })
    }

    async fn next<D>(
        &mut self,
        draining: &mut Pin<Box<D>>,
    ) -> Option<Result<IngestResponse, Status>>
    where
        D: Future<Output = ()> + Send,
    {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(Ok(answer));
            }
            match self.first(draining).await {
                Some(change) => {
                    let answers = self.apply(change).await;
                    self.answers = answers.into();
                }
                None => return self.failure.take().map(Err),
            }
        }
    }

    /// The next change, as soon as there is one.
    async fn first<D>(&mut self, draining: &mut Pin<Box<D>>) -> Option<Change>
    where
        D: Future<Output = ()> + Send,
    {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        if self.is_over {
            return None;
        }
        let late = async {
            match self.steps.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => future::pending().await,
            }
        };
        let next = tokio::select! {
            biased;
            () = draining => Some(Err(status::of_error(shutting_down()))),
            () = late => Some(Err(status::of_error(Error::new(
                ErrorCode::Timeout,
                "the stream took longer than its grpc-timeout",
            )))),
            next = self.changes.next() => next,
        };
        self.read(next)
    }

    /// The next change, if it is there already.
    fn ready(&mut self) -> Option<Change> {
        if self.is_over {
            return None;
        }
        let next = self.changes.next().now_or_never()?;
        self.read(next)
    }

    fn read(&mut self, next: Option<Result<IngestRequest, Status>>) -> Option<Change> {
        match next {
            Some(Ok(request)) => return Some(self.change(request)),
            Some(Err(status)) => self.failure = Some(status),
            None => {}
        }
        self.is_over = true;
        None
    }

    fn change(&mut self, request: IngestRequest) -> Change {
        let index = self.count;
        self.count += 1;
        if !request.collection.is_empty() {
            self.collection = request.collection;
        }
        let (id, kind) = match request.change {
            Some(ingest_request::Change::Put(put)) => (put.id.clone(), Kind::Put(Box::new(put))),
            Some(ingest_request::Change::Delete(id)) => (id, Kind::Delete),
            None => {
                let error = Error::invalid_field("", "give exactly one of put and delete");
                (String::new(), refused(error))
            }
        };
        let key = self.key(index, request.idempotency_key);
        let collection = self.collection.clone();
        match key {
            Ok(key) => Change {
                index,
                collection,
                id,
                kind,
                key,
            },
            Err(error) => Change {
                index,
                collection,
                id,
                kind: refused(error),
                key: None,
            },
        }
    }

    fn key(&self, index: u64, own: Option<String>) -> Result<Option<HeaderValue>> {
        let key = match (own, &self.steps.context.key) {
            (Some(own), _) => own.into_bytes(),
            (None, Some(all)) => [all.as_bytes(), format!("/{index}").as_bytes()].concat(),
            (None, None) => return Ok(None),
        };
        let refused = |_| {
            let detail = "must be 1 to 255 visible ASCII characters";
            Error::invalid_field("/idempotency_key", detail)
        };
        HeaderValue::from_bytes(&key).map(Some).map_err(refused)
    }

    /// Applies a change, with those that are there already and can be stored together with it.
    async fn apply(&mut self, change: Change) -> Vec<IngestResponse> {
        let target = document(&change.collection, &change.id);
        let (method, document) = match change.kind {
            Kind::Refused(problem) => return vec![answered(change.index, Err(problem))],
            Kind::Delete => (Method::DELETE, None),
            Kind::Put(document) if change.key.is_some() => (Method::PUT, Some(document)),
            Kind::Put(document) => {
                let first = (change.index, document);
                let (indices, documents) = self.gather(first, &change.collection);
                let together = self.steps.put_together(&change.collection, documents).await;
                return answered_together(indices, together);
            }
        };
        let call = (method, target);
        let done = self.steps.apply_one(change.key, call, document).await;
        let is_replayed = done.as_ref().is_ok_and(|answer| answer.is_replayed);
        let outcome = done.map(|answer| answer.message).map_err(Problem::from);
        vec![IngestResponse {
            replayed: is_replayed,
            ..answered(change.index, outcome)
        }]
    }

    /// Puts that are there already, of the same collection and of other documents.
    fn gather(
        &mut self,
        (index, document): (u64, Box<NewDocument>),
        collection: &str,
    ) -> (Vec<u64>, Vec<NewDocument>) {
        let mut bytes = document.encoded_len();
        let mut ids = HashSet::from([document.id.clone()]);
        let (mut indices, mut documents) = (vec![index], vec![*document]);
        while documents.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER {
            let Some(next) = self.ready() else { break };
            let fits = next.key.is_none() && next.collection == collection;
            match next.kind {
                Kind::Put(document) if fits && !ids.contains(&next.id) => {
                    bytes += document.encoded_len();
                    ids.insert(next.id);
                    indices.push(next.index);
                    documents.push(*document);
                }
                kind @ (Kind::Put(_) | Kind::Delete | Kind::Refused(_)) => {
                    self.held = Some(Change { kind, ..next });
                    break;
                }
            }
        }
        (indices, documents)
    }
}

impl Steps {
    async fn apply_one(
        &self,
        key: Option<HeaderValue>,
        (method, target): (Method, Result<Target>),
        document: Option<Box<NewDocument>>,
    ) -> Result<Answer<WriteResponse>, dto::Problem> {
        let target = target.map_err(told)?;
        let body = match document {
            Some(document) => Some(
                write(document.encoded_len(), document)
                    .await
                    .map_err(told)?,
            ),
            None => None,
        };
        let call = (method, target);
        self.http.send(self.context(key), call, body).await
    }

    async fn put_together(
        &self,
        collection: &str,
        documents: Vec<NewDocument>,
    ) -> Result<Answer<Each>, dto::Problem> {
        let target = Target::new("/grpc/collections").name("collection", collection);
        let target = target.map_err(told)?.then("each");
        let size = documents.iter().map(Message::encoded_len).sum();
        let body = write(size, Together { documents }).await.map_err(told)?;
        let call = (Method::POST, target);
        self.http.send(self.context(None), call, Some(body)).await
    }

    /// What accompanies one step of the stream.
    fn context(&self, key: Option<HeaderValue>) -> Context {
        let left = |deadline: Instant| Within(deadline.saturating_duration_since(Instant::now()));
        Context {
            request_id: self.context.request_id.clone(),
            key,
            turn: Turned::Own(self.deadline.map(left)),
        }
    }
}

#[derive(Serialize)]
struct Together {
    documents: Vec<NewDocument>,
}

#[derive(Deserialize)]
struct Each {
    answers: Vec<One>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum One {
    Problem(Problem),
    Written(WriteResponse),
}

fn refused(error: Error) -> Kind {
    Kind::Refused(told(error).into())
}

/// One answer for each of `indices`: its own, or the problem of all.
fn answered_together(
    indices: Vec<u64>,
    together: Result<Answer<Each>, dto::Problem>,
) -> Vec<IngestResponse> {
    let indices = indices.into_iter();
    match together {
        Ok(done) => indices
            .zip(done.message.answers)
            .map(|(index, one)| match one {
                One::Problem(problem) => answered(index, Err(problem)),
                One::Written(written) => answered(index, Ok(written)),
            })
            .collect(),
        Err(problem) => {
            let problem = Problem::from(problem);
            indices
                .map(|index| answered(index, Err(problem.clone())))
                .collect()
        }
    }
}

fn answered(index: u64, outcome: Result<WriteResponse, Problem>) -> IngestResponse {
    let outcome = match outcome {
        Ok(written) => ingest_response::Outcome::Written(written),
        Err(problem) => ingest_response::Outcome::Problem(problem),
    };
    IngestResponse {
        index,
        outcome: Some(outcome),
        replayed: false,
    }
}
