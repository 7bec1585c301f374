//! `braid.v1.Retrieval`.

use axum::http::Method;
use tonic::{Request, Response, Status};

use super::http::{Http, Target, parts};
use super::proto::retrieval_server::Retrieval;
use super::proto::{
    BatchRetrieveRequest, BatchRetrieveResponse, ExplainRequest, ExplainResponse, RetrieveRequest,
    RetrieveResponse,
};

/// Retrievals over the HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct Retrievals(pub(super) Http);

#[tonic::async_trait]
impl Retrieval for Retrievals {
    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        let (metadata, message) = parts(request);
        let call = (Method::POST, Ok(Target::new("/v1/retrieve")));
        self.0.tell(&metadata, call, Some(message)).await
    }

    async fn batch_retrieve(
        &self,
        request: Request<BatchRetrieveRequest>,
    ) -> Result<Response<BatchRetrieveResponse>, Status> {
        let (metadata, message) = parts(request);
        let call = (Method::POST, Ok(Target::new("/v1/retrieve/batch")));
        self.0.tell(&metadata, call, Some(message)).await
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let (metadata, message) = parts(request);
        let call = (Method::POST, Ok(Target::new("/v1/explain")));
        self.0.tell(&metadata, call, Some(message)).await
    }
}
