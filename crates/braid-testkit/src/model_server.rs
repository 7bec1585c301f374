//! [`ModelServer`]: a server of models on loopback, in the shapes of text-embeddings-inference,
//! OpenAI and Cohere. It refuses what the real ones refuse, and fails as a test's script says.

// A double is test code: a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

pub mod folder;
mod shapes;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braid_core::{Embedder, Reranker};
use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Gate;

/// What is served, and its limits.
#[derive(Clone, Debug)]
pub struct ServedModels {
    /// Behind `/embed` and `/v1/embeddings`.
    pub embedder: Arc<dyn Embedder>,
    /// Behind the `rerank` paths.
    pub reranker: Arc<dyn Reranker>,
    /// What both are called; other names are refused.
    pub name: &'static str,
    /// Most texts in one request.
    pub most_texts: usize,
    /// Most words of a text where the request does not ask to truncate.
    pub most_words: usize,
    /// The key that every request must bring.
    pub key: Option<&'static str>,
    /// Whether vectors are scaled by three, as models do that are not normalised.
    pub unnormalised: bool,
}

/// What happens to a request instead of its answer.
#[derive(Clone, Debug)]
pub enum ServerFault {
    /// Answered with this status and these seconds of `Retry-After`.
    Status(u16, Option<u64>),
    /// Held at the gate, then answered.
    Hold(Gate),
    /// Half of the answer, then the connection ends.
    CutBody,
    /// The answer, changed.
    Change(fn(&mut Value)),
    /// An answer of so many bytes of white space.
    Endless(usize),
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRequest {
    /// The path.
    pub path: String,
    /// The `authorization` header.
    pub authorization: Option<String>,
    /// The body.
    pub body: Value,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    models: Mutex<ServedModels>,
    faults: Mutex<Vec<(usize, ServerFault)>>,
    always: Mutex<Option<ServerFault>>,
    seen: Mutex<Vec<SeenRequest>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    abandoned: watch::Sender<usize>,
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

impl ModelServer {
    /// Serves `models` on a free port.
    pub async fn start(models: ServedModels) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            models: Mutex::new(models),
            faults: Mutex::default(),
            always: Mutex::default(),
            seen: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            abandoned: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Adds a fault to the `nth` request from now (from 1).
    pub fn fail(&self, nth: usize, fault: ServerFault) {
        let nth = self.state.seen.lock().len() + nth;
        self.state.faults.lock().push((nth, fault));
    }

    /// Every request meets this from now on; `None` heals.
    pub fn fail_always(&self, fault: Option<ServerFault>) {
        *self.state.always.lock() = fault;
    }

    /// Serves others from now on, as after a restart with another configuration.
    pub fn serve(&self, change: impl FnOnce(&mut ServedModels)) {
        change(&mut self.state.models.lock());
    }

    /// The requests so far, in the order in which they came.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.state.seen.lock().clone()
    }

    /// The most requests that were under way at once.
    pub fn most_running(&self) -> usize {
        self.state.most_running.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests were given up by their clients before their answers.
    pub async fn abandoned(&self, count: usize) {
        let mut abandoned = self.state.abandoned.subscribe();
        abandoned.wait_for(|now| *now >= count).await.unwrap();
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connections end with the task that accepts them.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(state.answer(request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new();
            // A client that goes away ends its connection with an error.
            let _ = serving
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Counts a request while it is under way, and as abandoned where it is dropped before its answer.
struct UnderWay<'a> {
    state: &'a State,
    answered: bool,
}

impl<'a> UnderWay<'a> {
    fn new(state: &'a State) -> Self {
        let running = state.running.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_running.fetch_max(running, Ordering::SeqCst);
        Self {
            state,
            answered: false,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.state.running.fetch_sub(1, Ordering::SeqCst);
        if !self.answered {
            self.state.abandoned.send_modify(|count| *count += 1);
        }
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut under_way = UnderWay::new(self);
        let (head, body) = request.into_parts();
        let text = |name| {
            let value = head.headers.get(name);
            value.and_then(|value: &HeaderValue| value.to_str().ok().map(str::to_owned))
        };
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let request = SeenRequest {
            path: head.uri.path().to_owned(),
            authorization: text("authorization"),
            body,
        };
        let fault = self.next_fault(&request);
        let models = self.models.lock().clone();
        let is_json = text("content-type").as_deref() == Some("application/json");
        let (status, value) = match is_json {
            true => shapes::answer(&models, &request).await,
            false => (415, Value::Null),
        };
        let answer = apply(fault, status, value).await;
        under_way.answered = true;
        answer
    }

    fn next_fault(&self, request: &SeenRequest) -> Option<ServerFault> {
        let mut seen = self.seen.lock();
        seen.push(request.clone());
        let nth = seen.len();
        let faults = self.faults.lock();
        let planned = faults.iter().find(|(at, _)| *at == nth);
        let planned = planned.map(|(_, fault)| fault.clone());
        planned.or_else(|| self.always.lock().clone())
    }
}

async fn apply(fault: Option<ServerFault>, status: u16, mut value: Value) -> Answer {
    match fault {
        None => whole(status, &value),
        Some(ServerFault::Status(status, retry_after)) => {
            let mut answer = whole(status, &serde_json::json!({"error": "scripted"}));
            if let Some(seconds) = retry_after {
                let seconds = HeaderValue::from(seconds);
                answer.headers_mut().insert(RETRY_AFTER, seconds);
            }
            answer
        }
        Some(ServerFault::Hold(gate)) => {
            gate.pass().await;
            whole(status, &value)
        }
        Some(ServerFault::Change(change)) => {
            change(&mut value);
            whole(status, &value)
        }
        Some(ServerFault::CutBody) => cut(&value),
        Some(ServerFault::Endless(bytes)) => {
            let body = Full::new(Bytes::from(vec![b' '; bytes]));
            Response::new(body.map_err(|never| match never {}).boxed())
        }
    }
}

fn whole(status: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// Says that it is whole, and ends in the middle.
fn cut(value: &Value) -> Answer {
    let text = value.to_string();
    let half = Bytes::from(text[..text.len() / 2].to_owned());
    let broken = std::io::Error::other("scripted end of the connection");
    let frames = [Ok(Frame::data(half)), Err(broken)];
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
    let length = HeaderValue::from(text.len());
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}
