//! Both protocols on one port: HTTP/1.1 and gRPC, held back, cut off, shut down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use braid_server::grpc::proto::ingestion_client::IngestionClient;
use braid_server::grpc::proto::retrieval_client::RetrievalClient;
use braid_server::grpc::proto::{IngestRequest, RetrieveRequest, ingest_request};
use braid_testkit::Call as PortCall;
use futures::stream::{self, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::new_document;
use crate::server::{Server, Setup};
use crate::shutdown::Listening;

async fn connect(listening: &Listening) -> Channel {
    let endpoint = Endpoint::new(format!("http://{}", listening.address)).unwrap();
    endpoint.connect().await.unwrap()
}

fn put(id: &str, text: &str) -> IngestRequest {
    IngestRequest {
        collection: "default".to_owned(),
        change: Some(ingest_request::Change::Put(new_document(id, text))),
        idempotency_key: None,
    }
}

async fn get(listening: &Listening, path: &str) -> String {
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: braid\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn http_1_and_grpc_share_a_port() {
    let server = Server::new().await;
    server.index("a", json!("red fox")).await;
    let listening = Listening::start(server.app.clone()).await;
    let mut client = RetrievalClient::new(connect(&listening).await);
    let request = RetrieveRequest {
        query: "fox".to_owned(),
        ..RetrieveRequest::default()
    };
    let answer = client.retrieve(request).await.unwrap().into_inner();
    assert_eq!(answer.hits[0].document_id, "a");
    let status = client
        .retrieve(RetrieveRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let plain = get(&listening, "/healthz").await;
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n"), "{plain}");
    drop(client);
    listening.stop().await;
}

#[tokio::test]
async fn health_is_what_readyz_says_and_open_streams_end_with_the_server() {
    let mut setup = Setup::default();
    setup.options.shutdown_grace = Duration::from_secs(3600);
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let listening = Listening::start(server.app.clone()).await;
    let channel = connect(&listening).await;
    let mut health = HealthClient::new(channel.clone());
    let of = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for known in [
        "",
        "braid.v1.Retrieval",
        "braid.v1.Ingestion",
        "braid.v1.Jobs",
        "braid.v1.Collections",
    ] {
        let answer = health.check(of(known)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{known}");
    }
    let unknown = health.check(of("braid.v1.None")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = health.watch(of("")).await.unwrap().into_inner();
    let mut next = async || {
        watched
            .message()
            .await
            .unwrap()
            .map(|answer| answer.status())
    };
    assert_eq!(next().await, Some(ServingStatus::Serving));
    let changes = stream::iter([put("a", "one")]).chain(stream::pending());
    let mut client = IngestionClient::new(channel);
    let mut answers = client.ingest(changes).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    // The grace is an hour: serving ends because the streams do.
    let stopped = tokio::spawn(listening.stop());
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    assert_eq!(next().await, None);
    assert_eq!(
        answers.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    stopped.await.unwrap();
    let direct = HealthClient::new(server.router()).check(of("")).await;
    assert_eq!(
        direct.unwrap().into_inner().status(),
        ServingStatus::NotServing
    );
}

#[tokio::test]
async fn reflection_names_every_service() {
    let server = Server::new().await;
    let listening = Listening::start(server.app.clone()).await;
    let mut client = ServerReflectionClient::new(connect(&listening).await);
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "braid.v1.Ingestion".to_owned(),
        )),
    ];
    let answers = client.server_reflection_info(stream::iter(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut next = async || {
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    };
    let MessageResponse::ListServicesResponse(listed) = next().await else {
        panic!("not a list");
    };
    let mut names: Vec<_> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    let expected = [
        "braid.v1.Collections",
        "braid.v1.Ingestion",
        "braid.v1.Jobs",
        "braid.v1.Retrieval",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, expected);
    assert!(matches!(
        next().await,
        MessageResponse::FileDescriptorResponse(_)
    ));
}

/// Bytes of each document's text.
const SIZE: usize = 64 * 1024;
/// Documents that are sent.
const COUNT: usize = 256;

#[tokio::test]
async fn a_busy_server_holds_the_sender_back() {
    let (mut setup, gate) = Setup::held_at_first(PortCall::EmbedPassages);
    setup.options.max_concurrent_requests = 1;
    let server = Arc::new(setup.open().await);
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    // The one place to write is taken by a request that waits for the embedder.
    let write = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.index("first", json!("fox")).await }
    });
    gate.arrived().await;
    let listening = Listening::start(server.app.clone()).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let (is_flowing, mut flows) = tokio::sync::watch::channel(0);
    let changes = stream::iter(0..COUNT).map(move |index| {
        counted.fetch_add(1, Ordering::SeqCst);
        is_flowing.send_replace(index);
        put("same", &format!("{index} {}", "x".repeat(SIZE)))
    });
    let mut client = IngestionClient::new(connect(&listening).await);
    let mut answers = client.ingest(changes).await.unwrap().into_inner();
    // It was sent as long as there was room, and nothing is answered.
    flows.wait_for(|index| *index >= 8).await.unwrap();
    gate.open();
    let (mut taken, mut most) = (0, 0);
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.index, taken);
        most = most.max(sent.load(Ordering::SeqCst) as u64 - taken);
        taken += 1;
    }
    assert_eq!(taken, COUNT as u64);
    // The windows of HTTP/2 and the buffers of both ends have room for some of them, whatever their number.
    assert!(
        most <= COUNT as u64 / 2,
        "{most} were sent ahead of their answers"
    );
    write.await.unwrap();
    drop(client);
    listening.stop().await;
}

#[tokio::test]
async fn what_was_answered_outlives_a_cut_connection() {
    let server = Server::new().await;
    let listening = Listening::start(server.app.clone()).await;
    let channel = connect(&listening).await;
    let changes = (0..5).map(|index| put(&format!("d{index}"), "some words"));
    let changes: Vec<_> = changes.collect();
    let changes = stream::iter(changes).chain(stream::pending());
    let mut client = IngestionClient::new(channel);
    let mut answers = client.ingest(changes).await.unwrap().into_inner();
    for index in 0..5 {
        assert_eq!(answers.message().await.unwrap().unwrap().index, index);
    }
    // Nothing is said in parting: the socket closes with the runtime's last reference to it.
    drop((answers, client));
    listening.stop().await;
    let server = server.reopen(Setup::default()).await;
    server.settle("default").await;
    let info = server.get("/v1/collections/default").await.ok(200);
    assert_eq!(info["documents"], 5);
}
