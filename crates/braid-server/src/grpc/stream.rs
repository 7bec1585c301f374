//! A stream of changes and their answers.
//!
//! Answers are made when they are asked for, and changes are read when an answer is to be made: what is
//! held is one batch and one change, and a client that takes no answers is held back by the flow
//! control of the connection. Changes are applied in the order they came in.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;

use axum::http::{HeaderValue, Method};
use braid_core::{Error, ErrorCode, Result};
use bytes::Bytes;
use futures::stream::{Stream, StreamExt, unfold};
use futures::{FutureExt, future};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::collections::collection;
use super::http::{Answer, Context, Http, Target, told, write};
use super::ingestion::{document, shutting_down};
use super::proto::{
    IngestRequest, IngestResponse, Problem, WriteResponse, ingest_request, ingest_response,
};
use super::status;
use crate::admission::{Patient, Within};
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
    /// Why nothing more is read.
    ended: Option<Option<Status>>,
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
    Put(Box<RawValue>),
    Delete,
    /// It cannot be sent on.
    Refused(Problem),
}

impl<S> Session<S>
where
    S: Stream<Item = Result<IngestRequest, Status>> + Send + Unpin + 'static,
{
    pub(super) fn new(http: Http, context: Context, changes: S) -> Self {
        let deadline = context.within;
        let deadline = deadline.and_then(|Within(within)| Instant::now().checked_add(within));
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
            ended: None,
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
                // The error is told once; then the stream is over.
                None => return self.ended.as_mut()?.take().map(Err),
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
        if self.ended.is_some() {
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
        if self.ended.is_some() {
            return None;
        }
        let next = self.changes.next().now_or_never()?;
        self.read(next)
    }

    fn read(&mut self, next: Option<Result<IngestRequest, Status>>) -> Option<Change> {
        match next {
            Some(Ok(request)) => Some(self.change(request)),
            Some(Err(status)) => {
                self.ended = Some(Some(status));
                None
            }
            None => {
                self.ended = Some(None);
                None
            }
        }
    }

    fn change(&mut self, request: IngestRequest) -> Change {
        let index = self.count;
        self.count += 1;
        if !request.collection.is_empty() {
            self.collection = request.collection;
        }
        let (id, kind) = match request.change {
            Some(ingest_request::Change::Put(put)) => {
                let kind = raw(&put).map_or_else(refused, Kind::Put);
                (put.id, kind)
            }
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
        let alone = |change: &Change| change.key.is_some();
        match change.kind {
            Kind::Refused(problem) => vec![answered(change.index, Err(problem))],
            Kind::Put(ref document) if alone(&change) => {
                let target = document_of(&change);
                let body = Bytes::copy_from_slice(document.get().as_bytes());
                vec![
                    self.steps
                        .apply_one(change.index, change.key, (Method::PUT, target), Some(body))
                        .await,
                ]
            }
            Kind::Delete => {
                let target = document_of(&change);
                vec![
                    self.steps
                        .apply_one(change.index, change.key, (Method::DELETE, target), None)
                        .await,
                ]
            }
            Kind::Put(document) => {
                let (indices, documents) =
                    self.gather((change.index, change.id, document), &change.collection);
                self.steps
                    .apply_together(&change.collection, indices, documents)
                    .await
            }
        }
    }

    /// Puts that are there already, of the same collection and of other documents.
    fn gather(
        &mut self,
        (index, id, document): (u64, String, Box<RawValue>),
        collection: &str,
    ) -> (Vec<u64>, Vec<Box<RawValue>>) {
        let mut bytes = document.get().len();
        let mut ids = HashSet::from([id]);
        let (mut indices, mut documents) = (vec![index], vec![document]);
        while documents.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER {
            let Some(next) = self.ready() else { break };
            match next.kind {
                Kind::Put(document)
                    if next.key.is_none()
                        && next.collection == collection
                        && !ids.contains(&next.id) =>
                {
                    bytes += document.get().len();
                    ids.insert(next.id);
                    indices.push(next.index);
                    documents.push(document);
                }
                kind => {
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
        index: u64,
        key: Option<HeaderValue>,
        (method, target): (Method, Result<Target>),
        body: Option<Bytes>,
    ) -> IngestResponse {
        let sent = async {
            let target = target.map_err(told)?;
            self.http
                .send(self.context(key), (method, target), body)
                .await
        };
        let answer: Result<Answer<WriteResponse>, _> = sent.await;
        let is_replayed = answer.as_ref().is_ok_and(|answer| answer.is_replayed);
        let outcome = answer.map(|answer| answer.message).map_err(Problem::from);
        IngestResponse {
            replayed: is_replayed,
            ..answered(index, outcome)
        }
    }

    async fn apply_together(
        &self,
        name: &str,
        indices: Vec<u64>,
        documents: Vec<Box<RawValue>>,
    ) -> Vec<IngestResponse> {
        let sent = async {
            // Refuses an empty name as every other call does.
            collection(name).map_err(told)?;
            let target = Target::new("/grpc/collections").name("collection", name);
            let target = target.map_err(told)?.then("each");
            let body = write(&Together { documents }).map_err(told)?;
            let call = (Method::POST, target);
            self.http.send(self.context(None), call, Some(body)).await
        };
        let indices = indices.into_iter();
        match sent.await {
            Ok(Answer {
                message: Each { answers },
                ..
            }) => indices
                .zip(answers)
                .map(|(index, answer)| match answer {
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

    /// What accompanies one step of the stream.
    fn context(&self, key: Option<HeaderValue>) -> Context {
        let left = |deadline: Instant| Within(deadline.saturating_duration_since(Instant::now()));
        Context {
            request_id: self.context.request_id.clone(),
            key,
            within: self.deadline.map(left),
            patient: Some(Patient),
        }
    }
}

#[derive(Serialize)]
struct Together {
    documents: Vec<Box<RawValue>>,
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

fn document_of(change: &Change) -> Result<Target> {
    document(&change.collection, &change.id)
}

/// The JSON form of a document.
fn raw(document: &impl Serialize) -> Result<Box<RawValue>> {
    let text = String::from_utf8(write(document)?.into())
        .map_err(|error| Error::internal("JSON is not text").with_source(error))?;
    RawValue::from_string(text)
        .map_err(|error| Error::internal("a document has no JSON form").with_source(error))
}

fn refused(error: Error) -> Kind {
    Kind::Refused(told(error).into())
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
