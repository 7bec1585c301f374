//! Documents as a stream: answers in order, each once durable, and no more read than is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braid_server::grpc::proto::{
    self, IngestRequest, IngestResponse, ingest_request, ingest_response,
};
use futures::stream::{self, Stream, StreamExt};
use serde_json::json;
use tonic::{Code, Request, Status, Streaming};

use super::{ingestion, new_document, reason};
use crate::server::{Server, Setup};

fn put(collection: &str, id: &str, text: &str) -> IngestRequest {
    IngestRequest {
        collection: collection.to_owned(),
        change: Some(ingest_request::Change::Put(new_document(id, text))),
        idempotency_key: None,
    }
}

fn delete(id: &str) -> IngestRequest {
    IngestRequest {
        change: Some(ingest_request::Change::Delete(id.to_owned())),
        ..IngestRequest::default()
    }
}

fn with_key(key: &str, change: IngestRequest) -> IngestRequest {
    IngestRequest {
        idempotency_key: Some(key.to_owned()),
        ..change
    }
}

async fn open(
    server: &Server,
    changes: impl Stream<Item = IngestRequest> + Send + 'static,
) -> Streaming<IngestResponse> {
    let answers = ingestion(server).ingest(changes).await;
    answers.unwrap().into_inner()
}

/// Every answer, in words, in a stream that ends well.
async fn told(answers: Streaming<IngestResponse>) -> Vec<String> {
    let answers: Vec<_> = answers.collect().await;
    let answers = answers.into_iter().map(Result::unwrap);
    answers
        .enumerate()
        .map(|(place, answer)| {
            assert_eq!(answer.index, place as u64);
            word(answer)
        })
        .collect()
}

fn word(answer: IngestResponse) -> String {
    let replayed = if answer.replayed { " again" } else { "" };
    match answer.outcome.unwrap() {
        ingest_response::Outcome::Written(written) => {
            format!("{} {}{replayed}", written.id, written.result)
        }
        ingest_response::Outcome::Problem(problem) => {
            let pointer = problem.errors.first().map_or("", |field| &field.pointer);
            format!("{} {pointer}", problem.error_code)
                .trim_end()
                .to_owned()
        }
    }
}

async fn stored(server: &Server) -> Vec<String> {
    let listed = server
        .get("/v1/collections/default/documents")
        .await
        .ok(200);
    let documents = listed["documents"].as_array().unwrap().iter();
    documents
        .map(|document| document["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_change_is_answered_in_order_and_none_stops_the_others() {
    let server = Server::new().await;
    let mut bad = new_document("bad", "x");
    bad.metadata
        .insert("k".to_owned(), proto::MetadataValue { kind: None });
    let bad = IngestRequest {
        change: Some(ingest_request::Change::Put(bad)),
        ..IngestRequest::default()
    };
    let changes = vec![
        put("default", "a", "one"),
        put("", "b", "two"),
        put("", "b", "three"),
        put("", "empty", ""),
        bad,
        put("", "", "no id"),
        IngestRequest::default(),
        delete("a"),
        delete("a"),
        put("none", "c", "four"),
        put("", "d", "five"),
        put("No Such", "d", "five"),
        put("default", "a", "again"),
        with_key("", put("", "e", "six")),
    ];
    let answers = told(open(&server, stream::iter(changes)).await).await;
    let expected = [
        "a created",
        "b created",
        "b replaced",
        "UNREADABLE_DOCUMENT",
        "INVALID_REQUEST /metadata/k",
        "INVALID_REQUEST /id",
        "INVALID_REQUEST",
        "a deleted",
        "DOCUMENT_NOT_FOUND",
        "COLLECTION_NOT_FOUND",
        "COLLECTION_NOT_FOUND",
        "INVALID_REQUEST /collection",
        "a created",
        "INVALID_REQUEST /idempotency_key",
    ];
    assert_eq!(answers, expected);
    assert_eq!(stored(&server).await, ["a", "b"]);
    let document = server
        .get("/v1/collections/default/documents/b")
        .await
        .ok(200);
    assert_eq!(document["text"], "three");
}

#[tokio::test]
async fn a_stream_without_a_collection_says_so_each_time() {
    let server = Server::new().await;
    let changes = vec![put("", "a", "one"), delete("a"), put("default", "a", "one")];
    let answers = told(open(&server, stream::iter(changes)).await).await;
    assert_eq!(
        answers,
        [
            "INVALID_REQUEST /collection",
            "INVALID_REQUEST /collection",
            "a created"
        ]
    );
    assert!(told(open(&server, stream::empty()).await).await.is_empty());
}

#[tokio::test]
async fn many_documents_are_stored_together() {
    let server = Server::new().await;
    let changes = (0..200).map(|index| put("default", &format!("d{index:03}"), "some words"));
    let changes: Vec<_> = changes.collect();
    let answers = told(open(&server, stream::iter(changes)).await).await;
    assert_eq!(answers.len(), 200);
    assert!(
        answers.iter().all(|answer| answer.ends_with(" created")),
        "{answers:?}"
    );
    server.settle("default").await;
    let info = server.get("/v1/collections/default").await.ok(200);
    assert_eq!(info["documents"], 200);
}

#[tokio::test]
async fn a_stream_that_is_sent_again_is_replayed() {
    let server = Server::new().await;
    let send = async |key: &str, changes: Vec<IngestRequest>| {
        let mut request = Request::new(stream::iter(changes));
        request
            .metadata_mut()
            .insert("idempotency-key", key.parse().unwrap());
        told(
            ingestion(&server)
                .ingest(request)
                .await
                .unwrap()
                .into_inner(),
        )
        .await
    };
    let changes = vec![
        put("default", "a", "one"),
        with_key("own", put("", "b", "two")),
        delete("a"),
    ];
    let first = send("s", changes.clone()).await;
    assert_eq!(first, ["a created", "b created", "a deleted"]);
    let again = send("s", changes).await;
    assert_eq!(
        again,
        ["a created again", "b created again", "a deleted again"]
    );
    assert_eq!(stored(&server).await, ["b"], "nothing is done twice");
    let other = send(
        "s",
        vec![
            put("default", "a", "other"),
            with_key("own", put("", "b", "two")),
        ],
    )
    .await;
    assert_eq!(other, ["IDEMPOTENCY_CONFLICT", "b created again"]);
    let key = "k".repeat(255);
    let long = send(&key, vec![put("default", "a", "one")]).await;
    assert_eq!(long, ["INVALID_REQUEST /idempotency_key"]);
}

/// Changes without an end, and how many of them were asked for.
fn endless() -> (
    impl Stream<Item = IngestRequest> + Send + 'static,
    Arc<AtomicUsize>,
) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let changes = stream::repeat_with(move || {
        let index = counted.fetch_add(1, Ordering::SeqCst);
        put("default", &format!("d{index}"), "some words")
    });
    (changes, asked)
}

#[tokio::test]
async fn nothing_is_read_for_who_takes_no_answers() {
    let server = Server::new().await;
    let (changes, asked) = endless();
    let mut answers = open(&server, changes).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no answer was asked for");
    for taken in 1..=300 {
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.index + 1, taken);
        // One batch, what its bytes bring along, and one change that is held.
        let ahead = asked.load(Ordering::SeqCst) as u64 - taken;
        assert!(
            ahead <= 1024,
            "{ahead} changes were read ahead of the answers"
        );
    }
}

#[tokio::test]
async fn what_was_answered_is_stored_when_a_stream_is_dropped() {
    let mut setup = Setup::default();
    setup.options.max_concurrent_requests = 1;
    setup.options.max_waiting_requests = 0;
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let changes = stream::iter([put("default", "a", "one"), delete("none")]);
    let mut answers = open(&server, changes.chain(stream::pending())).await;
    for expected in ["a created", "DOCUMENT_NOT_FOUND"] {
        assert_eq!(word(answers.next().await.unwrap().unwrap()), expected);
    }
    // There is one place for streams, and it is taken.
    let refused = ingestion(&server)
        .ingest(stream::empty())
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "OVERLOADED".to_owned())
    );
    // A stream that waits for its client takes no place of others.
    server
        .put(
            "/v1/collections/default/documents/b",
            &json!({ "text": "x" }),
        )
        .await
        .ok(202);
    drop(answers);
    assert_eq!(stored(&server).await, ["a", "b"]);
    let answers = open(&server, stream::iter([put("default", "c", "two")])).await;
    assert_eq!(told(answers).await, ["c created"]);
}

/// What a stream ends with.
async fn end(answers: &mut Streaming<IngestResponse>) -> Status {
    let status = answers.next().await.unwrap().unwrap_err();
    assert!(answers.next().await.is_none());
    status
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let server = Server::new().await;
    let changes = stream::iter([put("default", "a", "one")]).chain(stream::pending());
    let mut answers = open(&server, changes).await;
    assert_eq!(word(answers.next().await.unwrap().unwrap()), "a created");
    server.app.drain();
    let status = end(&mut answers).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::Unavailable, "SHUTTING_DOWN".to_owned())
    );
    let refused = ingestion(&server)
        .ingest(stream::empty())
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "SHUTTING_DOWN");
}

#[tokio::test]
async fn a_stream_ends_when_its_time_is_over() {
    let server = Server::new().await;
    let mut request = Request::new(stream::pending());
    request.set_timeout(std::time::Duration::from_millis(20));
    let mut answers = ingestion(&server)
        .ingest(request)
        .await
        .unwrap()
        .into_inner();
    let status = end(&mut answers).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::DeadlineExceeded, "TIMEOUT".to_owned())
    );
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_stream_after_the_answers_before_it() {
    let server = Server::new().await;
    let limit = Setup::default().options.max_body_bytes;
    let changes = [
        put("default", "a", "one"),
        put("", "b", &"x".repeat(limit)),
        put("", "c", "three"),
    ];
    let mut answers = open(&server, stream::iter(changes)).await;
    assert_eq!(word(answers.next().await.unwrap().unwrap()), "a created");
    let status = end(&mut answers).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::InvalidArgument, "TOO_LARGE".to_owned())
    );
    assert_eq!(stored(&server).await, ["a"]);
}
