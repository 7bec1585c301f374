//! `braid.v1.Collections`.

use axum::http::Method;
use braid_core::Result;
use tonic::{Request, Response, Status};

use super::http::{Http, Target, parts};
use super::proto::collections_server::Collections;
use super::proto::{
    Collection, DeleteCollectionRequest, DeleteCollectionResponse, GetCollectionRequest,
    ListCollectionsRequest, ListCollectionsResponse, PutCollectionRequest,
};

/// Collections over the HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct CollectionCalls(pub(super) Http);

/// The path of a collection.
pub(super) fn collection(name: &str) -> Result<Target> {
    Target::new("/v1/collections").name("collection", name)
}

#[tonic::async_trait]
impl Collections for CollectionCalls {
    async fn list_collections(
        &self,
        request: Request<ListCollectionsRequest>,
    ) -> Result<Response<ListCollectionsResponse>, Status> {
        let (metadata, ListCollectionsRequest {}) = parts(request);
        let target = Ok(Target::new("/v1/collections"));
        self.0.ask(&metadata, Method::GET, target).await
    }

    async fn get_collection(
        &self,
        request: Request<GetCollectionRequest>,
    ) -> Result<Response<Collection>, Status> {
        let (metadata, message) = parts(request);
        let target = collection(&message.collection);
        self.0.ask(&metadata, Method::GET, target).await
    }

    async fn put_collection(
        &self,
        request: Request<PutCollectionRequest>,
    ) -> Result<Response<Collection>, Status> {
        let (metadata, message) = parts(request);
        let call = (Method::PUT, collection(&message.collection));
        self.0.tell(&metadata, call, message.settings).await
    }

    async fn delete_collection(
        &self,
        request: Request<DeleteCollectionRequest>,
    ) -> Result<Response<DeleteCollectionResponse>, Status> {
        let (metadata, message) = parts(request);
        let target = collection(&message.collection);
        self.0.ask(&metadata, Method::DELETE, target).await
    }
}
