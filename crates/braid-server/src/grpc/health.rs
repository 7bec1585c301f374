//! `grpc.health.v1.Health`: serving is what `/readyz` says.

use axum::http::Method;
use braid_core::Result;
use futures::stream::{self, BoxStream, StreamExt};
use serde::de::IgnoredAny;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::SERVICES;
use super::http::{Context, Http, Target};
use crate::app::App;

/// Readiness over the HTTP interface.
#[derive(Clone, Debug)]
pub(super) struct Readiness {
    pub(super) http: Http,
    pub(super) app: App,
}

impl Readiness {
    async fn status(&self) -> ServingStatus {
        let call = (Method::GET, Target::new("/readyz"));
        let ready = self.http.send::<IgnoredAny>(Context::default(), call, None);
        match ready.await {
            Ok(_) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        }
    }
}

/// The empty name stands for the server as a whole.
fn is_known(service: &str) -> bool {
    service.is_empty() || SERVICES.contains(&service)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for Readiness {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !is_known(service) {
            return Err(Status::not_found(format!("no service {service:?}")));
        }
        Ok(Response::new(response(self.status().await)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The status now, and `NOT_SERVING` when shutdown begins, which ends the stream.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let now = match is_known(&request.get_ref().service) {
            true => self.status().await,
            false => ServingStatus::ServiceUnknown,
        };
        let draining = self.app.draining();
        let last = stream::once(async move {
            draining.await;
            ServingStatus::NotServing
        });
        let all = stream::iter([now]).chain(last);
        Ok(Response::new(
            all.map(|status| Ok(response(status))).boxed(),
        ))
    }
}
