//! `braid.v1.Jobs`.

use axum::http::Method;
use braid_core::Result;
use tonic::{Request, Response, Status};

use super::collections::collection;
use super::http::{Http, Target, parts};
use super::json::query_name;
use super::proto::jobs_server::Jobs;
use super::proto::{
    CancelJobRequest, CancelJobResponse, GetJobRequest, Job, JobAccepted, JobItems,
    ListFailuresRequest, ListFailuresResponse, ListJobsRequest, ListJobsResponse,
    RetryFailuresRequest, RetryJobRequest, Wait,
};

/// Jobs over the HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct JobCalls(pub(super) Http);

fn job(id: &str) -> Result<Target> {
    Target::new("/v1/jobs").name("id", id)
}

#[tonic::async_trait]
impl Jobs for JobCalls {
    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let (metadata, message) = parts(request);
        let items = query_name::<JobItems>(message.items);
        let target = job(&message.id).map(|target| target.query("items", items));
        self.0.ask(&metadata, Method::GET, target).await
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let (metadata, message) = parts(request);
        let target = Target::new("/v1/jobs")
            .query("collection", message.collection)
            .query("cursor", message.cursor)
            .query("limit", message.limit);
        self.0.ask(&metadata, Method::GET, Ok(target)).await
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        let (metadata, message) = parts(request);
        let target = job(&message.id).map(|target| target.then("cancel"));
        self.0.ask(&metadata, Method::POST, target).await
    }

    async fn retry_job(
        &self,
        request: Request<RetryJobRequest>,
    ) -> Result<Response<JobAccepted>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target = job(&message.id).map(|target| target.then("retry").query("wait", wait));
        self.0.ask(&metadata, Method::POST, target).await
    }

    async fn list_failures(
        &self,
        request: Request<ListFailuresRequest>,
    ) -> Result<Response<ListFailuresResponse>, Status> {
        let (metadata, message) = parts(request);
        let page = |target: Target| {
            target
                .then("failures")
                .query("cursor", message.cursor)
                .query("limit", message.limit)
        };
        let target = collection(&message.collection).map(page);
        self.0.ask(&metadata, Method::GET, target).await
    }

    async fn retry_failures(
        &self,
        request: Request<RetryFailuresRequest>,
    ) -> Result<Response<JobAccepted>, Status> {
        let (metadata, message) = parts(request);
        let wait = query_name::<Wait>(message.wait);
        let target = collection(&message.collection)
            .map(|target| target.then("failures").then("retry").query("wait", wait));
        let call = (Method::POST, target);
        self.0.tell(&metadata, call, Some(message)).await
    }
}
