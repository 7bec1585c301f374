//! A Braid to talk to: an engine in a temporary directory behind the router.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use braid_config::Settings;
use braid_core::{Embedder, ErrorCode, Reranker};
use braid_engine::file::isolated::Parser;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_server::{App, ServerOptions};
use braid_testkit::{Call as PortCall, Fault, Faulty, Gate, HashEmbedder};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::contract;

/// What a test's server is made of.
pub(crate) struct Setup {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
    pub(crate) options: ServerOptions,
    pub(crate) parser: Option<Parser>,
    pub(crate) map_size_gib: f64,
    pub(crate) semantic: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            embedder: Arc::new(HashEmbedder::new(64)),
            reranker: None,
            parser: None,
            options: ServerOptions {
                max_body_bytes: 256 * 1024,
                request_timeout: Duration::from_secs(60),
                max_concurrent_requests: 8,
                max_waiting_requests: 8,
                shutdown_grace: Duration::from_secs(10),
                max_batch_requests: 5,
                batch_concurrency: 2,
            },
            map_size_gib: 0.25,
            semantic: true,
        }
    }
}

impl Setup {
    /// The `call` of the embedder, from the first on, waits at the gate.
    pub(crate) fn held_from_first(call: PortCall) -> (Self, Gate) {
        Self::held(|embedder, fault| embedder.on_from(call, 1, fault))
    }

    /// The first `call` of the embedder waits at the gate; later ones do not.
    pub(crate) fn held_at_first(call: PortCall) -> (Self, Gate) {
        Self::held(|embedder, fault| embedder.on(call, 1, fault))
    }

    fn held(
        plan: impl FnOnce(Faulty<HashEmbedder>, Fault) -> Faulty<HashEmbedder>,
    ) -> (Self, Gate) {
        let gate = Gate::new();
        let embedder = plan(
            Faulty::new(HashEmbedder::new(64)),
            Fault::HoldBefore(gate.clone()),
        );
        let setup = Self {
            embedder: Arc::new(embedder),
            ..Self::default()
        };
        (setup, gate)
    }

    pub(crate) async fn open(self) -> Server {
        let directory = tempfile::tempdir().unwrap();
        self.open_in(directory).await
    }

    async fn open_in(self, directory: TempDir) -> Server {
        let mut settings = Settings::default();
        settings.storage.data_dir = directory.path().to_owned();
        settings.storage.map_size_gib = self.map_size_gib;
        settings.cache.semantic = self.semantic;
        settings.retrieve.leg_timeout_ms = 60_000;
        settings.retrieve.rerank_deadline_ms = 60_000;
        if self.reranker.is_none() {
            "none".clone_into(&mut settings.models.reranker);
        }
        let options = OpenOptions {
            instead_of_models: Some(self.embedder),
            instead_of_reranker: self.reranker,
            parser: self.parser,
            ..OpenOptions::default()
        };
        let engine = Engine::open(&settings, options).await.unwrap();
        let defaults = retrieve_defaults(&settings).unwrap();
        let app = App::new(engine, self.options, defaults, None);
        Server {
            router: app.router(),
            app,
            directory,
        }
    }
}

/// A running Braid, without a socket.
pub(crate) struct Server {
    pub(crate) app: App,
    router: Router,
    directory: TempDir,
}

impl Server {
    /// With the collection `default`, empty.
    pub(crate) async fn new() -> Self {
        let server = Setup::default().open().await;
        server
            .send(Call::put("/v1/collections/default", &json!({})))
            .await
            .ok(200);
        server
    }

    /// As after a restart, with another setup if need be.
    pub(crate) async fn reopen(self, setup: Setup) -> Self {
        let Self {
            app,
            router,
            directory,
        } = self;
        app.engine().close().await;
        drop((app, router));
        setup.open_in(directory).await
    }

    /// The same directory behind another application over its engine.
    pub(crate) fn serving(self, app: App) -> Self {
        Self {
            router: app.router(),
            app,
            directory: self.directory,
        }
    }

    /// What a socket would serve.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        let method = call.method.clone();
        let path = call.path.clone();
        let answer = self.send_unchecked(call).await;
        contract::check(&method, &path, &answer);
        answer
    }

    /// For answers that are no part of the JSON contract: pages and assets.
    pub(crate) async fn send_unchecked(&self, call: Call) -> Answer {
        let request = call.request();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Call::get(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Call::post(path, body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Call::put(path, body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Call::delete(path)).await
    }

    /// Stores a document in `default` and waits until it is retrievable.
    pub(crate) async fn index(&self, id: &str, mut body: Value) {
        if body.is_string() {
            body = json!({ "text": body });
        }
        let id = segment(id);
        let path = format!("/v1/collections/default/documents/{id}?wait=indexed");
        self.put(&path, &body).await.ok(200);
    }

    /// Ids of the documents that `body` retrieves from `default`, best first.
    pub(crate) async fn found(&self, body: &Value) -> Vec<String> {
        let answer = self.post("/retrieve", body).await.ok(200);
        let hits = answer["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["document_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until everything acknowledged in `collection` is retrievable.
    pub(crate) async fn settle(&self, collection: &str) {
        let engine = self.app.engine();
        let name = collection.parse().unwrap();
        let newest = engine.collection_info(&name).await.unwrap().stats.newest;
        engine.wait_published(&name, newest).await.unwrap();
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body.to_string())
    }

    pub(crate) fn put(path: &str, body: &Value) -> Self {
        Self::new(Method::PUT, path).json(body.to_string())
    }

    /// Puts a body of another media type.
    pub(crate) fn put_as(path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let put = Self::new(Method::PUT, path).json(body);
        put.header("content-type", media_type)
    }

    /// A body that says it is JSON, whatever it is.
    pub(crate) fn json(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        request
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The media type without parameters.
    pub(crate) fn media_type(&self) -> &str {
        let full = self.header(header::CONTENT_TYPE.as_str()).unwrap_or("");
        full.split(';').next().unwrap_or("").trim()
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem document of a refusal that must have this code. Its standing fields are
    /// consistent with the status and the headers.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: ErrorCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.media_type(), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["error_code"], code.as_str(), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["retryable"], code.is_retryable());
        let seconds = problem["retry_after_seconds"].as_u64();
        assert_eq!(seconds.is_some(), code.is_retryable(), "{problem}");
        let header = self.header("retry-after").map(|text| text.parse().unwrap());
        assert_eq!(header, seconds, "{problem}");
        if self.header("idempotency-replayed").is_none() {
            let request_id = problem["request_id"].as_str();
            assert_eq!(request_id, self.header("x-request-id"));
        }
        problem
    }

    /// A 400 about exactly one field.
    #[track_caller]
    pub(crate) fn bad_field(&self, pointer: &str, detail: &str) {
        let problem = self.problem(400, ErrorCode::InvalidRequest);
        let expected = json!([{ "pointer": pointer, "detail": detail }]);
        assert_eq!(problem["errors"], expected, "{problem}");
    }
}

/// One path segment, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
