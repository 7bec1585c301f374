//! `braid.v1.Ingestion`.

use std::sync::Arc;

use axum::http::Method;
use braid_core::{Error, ErrorCode, Result};
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::collections::collection;
use super::http::{Context, Http, Target, parts};
use super::json::query_name;
use super::proto::ingestion_server::Ingestion;
use super::proto::{
    DeleteDocumentRequest, DeleteDocumentsRequest, Document, GetDocumentRequest, IngestRequest,
    IngestResponse, JobAccepted, ListDocumentsRequest, ListDocumentsResponse, PutDocumentRequest,
    PutDocumentsRequest, Wait, WriteResponse,
};
use super::stream::Session;
use super::{deadline, status};
use crate::app::App;

/// Documents over the HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    http: Http,
    app: App,
    /// Streams that may be open at once: each holds a few documents, and waits for its turn.
    streams: Arc<Semaphore>,
}

impl Documents {
    pub(super) fn new(app: &App, http: Http) -> Self {
        let streams = app.options().max_concurrent_requests;
        Self {
            http,
            app: app.clone(),
            streams: Arc::new(Semaphore::new(streams.min(Semaphore::MAX_PERMITS))),
        }
    }
}

/// The path of a collection's documents.
fn documents(name: &str) -> Result<Target> {
    Ok(collection(name)?.then("documents"))
}

/// The path of a document.
pub(super) fn document(name: &str, id: &str) -> Result<Target> {
    documents(name)?.name("id", id)
}

#[tonic::async_trait]
impl Ingestion for Documents {
    async fn put_document(
        &self,
        request: Request<PutDocumentRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target = match &message.document {
            Some(put) => document(&message.collection, &put.id),
            None => Err(Error::invalid_field("/document", "must be given")),
        };
        let call = (Method::PUT, target.map(|target| target.query("wait", wait)));
        self.http.tell(&metadata, call, message.document).await
    }

    async fn get_document(
        &self,
        request: Request<GetDocumentRequest>,
    ) -> Result<Response<Document>, Status> {
        let (metadata, message) = parts(request);
        let target = document(&message.collection, &message.id);
        self.http.ask(&metadata, Method::GET, target).await
    }

    async fn list_documents(
        &self,
        request: Request<ListDocumentsRequest>,
    ) -> Result<Response<ListDocumentsResponse>, Status> {
        let (metadata, message) = parts(request);
        let page = |target: Target| {
            target
                .query("cursor", message.cursor)
                .query("limit", message.limit)
        };
        let target = documents(&message.collection).map(page);
        self.http.ask(&metadata, Method::GET, target).await
    }

    async fn delete_document(
        &self,
        request: Request<DeleteDocumentRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target = document(&message.collection, &message.id);
        let target = target.map(|target| target.query("wait", wait));
        self.http.ask(&metadata, Method::DELETE, target).await
    }

    async fn put_documents(
        &self,
        request: Request<PutDocumentsRequest>,
    ) -> Result<Response<JobAccepted>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target = documents(&message.collection).map(|target| target.query("wait", wait));
        let call = (Method::POST, target);
        self.http.tell(&metadata, call, Some(message)).await
    }

    async fn delete_documents(
        &self,
        request: Request<DeleteDocumentsRequest>,
    ) -> Result<Response<JobAccepted>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target =
            documents(&message.collection).map(|target| target.then("delete").query("wait", wait));
        let call = (Method::POST, target);
        self.http.tell(&metadata, call, Some(message)).await
    }

    type IngestStream = BoxStream<'static, Result<IngestResponse, Status>>;

    async fn ingest(
        &self,
        request: Request<Streaming<IngestRequest>>,
    ) -> Result<Response<Self::IngestStream>, Status> {
        let (metadata, changes) = parts(request);
        let within = deadline::of(metadata.as_ref()).map_err(status::of_error)?;
        let context = Context::of(&metadata);
        if self.app.is_draining() {
            return Err(status::of_error(shutting_down()));
        }
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| {
            status::of_error(Error::new(
                ErrorCode::Overloaded,
                "too many streams at once",
            ))
        })?;
        let limit = self.app.options().max_body_bytes;
        let changes = changes.map(move |change| change.map_err(|it| status::of_tonic(it, limit)));
        let session = Session::new(self.http.clone(), (context, within), (changes, place));
        let answers = session.answers(self.app.draining());
        Ok(Response::new(answers.boxed()))
    }
}

/// What ends streams when the server stops.
pub(super) fn shutting_down() -> Error {
    Error::new(ErrorCode::ShuttingDown, "the server is shutting down")
}
