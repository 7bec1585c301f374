//! What a server does wrong, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use braid_core::ErrorCode;
use braid_models::RemoteOptions;
use braid_testkit::{Gate, HashEmbedder, ServerFault};
use serde_json::{Value, json};

use super::start::Reversed;
use super::{QUERY, options, start, texts};

/// What one query gets from a server with `fault` on all its answers, and how often it was asked.
async fn with_fault(path: &str, fault: ServerFault) -> (ErrorCode, String, usize) {
    let (server, folder) = start().await;
    let embedder = folder.embedder(&[server.url(path)], options()).await;
    let before = server.seen().len();
    server.fail_always(Some(fault));
    let error = embedder.unwrap().embed_query("fox").await.unwrap_err();
    assert!(error.help().is_some(), "{error}");
    (error.code(), error.chain(), server.seen().len() - before)
}

#[tokio::test]
async fn statuses_have_their_codes_and_what_passes_is_tried_three_times() {
    let cases = [
        (500, ErrorCode::ModelUnavailable, 1),
        (503, ErrorCode::Unavailable, 3),
        (429, ErrorCode::Overloaded, 3),
        (404, ErrorCode::ModelUnavailable, 1),
        (413, ErrorCode::TooLarge, 1),
    ];
    for (status, code, asked) in cases {
        let fault = ServerFault::Status(status, None);
        let (found, message, times) = with_fault("/embed", fault).await;
        assert_eq!((found, times), (code, asked), "{status}: {message}");
        assert!(message.contains(&status.to_string()), "{message}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    let (server, folder) = start().await;
    let urls = [server.url("/v1/embeddings")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    let before = server.seen().len();
    server.fail(1, ServerFault::Status(429, Some(0)));
    server.fail(2, ServerFault::Status(503, Some(0)));
    embedder.embed_query("fox").await.unwrap();
    assert_eq!(server.seen().len() - before, 3);
    server.fail(1, ServerFault::Status(429, Some(3600)));
    let error = embedder.embed_query("fox").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Overloaded);
    assert_eq!(server.seen().len() - before, 4, "an hour is not waited");
}

fn drop_a_number(answer: &mut Value) {
    if let Some(vector) = answer[0].as_array_mut() {
        vector.pop();
    }
}

fn drop_a_vector(answer: &mut Value) {
    if let Some(vectors) = answer.as_array_mut() {
        vectors.pop();
    }
}

fn say_sorry(answer: &mut Value) {
    *answer = json!({"error": "sorry"});
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for_are_refused() {
    let cases = [
        (
            ServerFault::Change(drop_a_number),
            "255 numbers where the model has 256",
        ),
        (
            ServerFault::Change(drop_a_vector),
            "for 0 texts where 1 were sent",
        ),
        (ServerFault::Change(say_sorry), "not of the shape"),
        (ServerFault::Endless(1 << 20), "bytes that it could need"),
    ];
    for (fault, what) in cases {
        let (code, message, asked) = with_fault("/embed", fault).await;
        assert_eq!((code, asked), (ErrorCode::ModelUnavailable, 1), "{message}");
        assert!(message.contains(what), "{message}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_outage() {
    let (code, message, asked) = with_fault("/embed", ServerFault::CutBody).await;
    assert_eq!((code, asked), (ErrorCode::Unavailable, 3), "{message}");
}

/// The server never answers: only the limit ends the call.
#[tokio::test]
async fn a_server_that_takes_too_long_is_not_waited_for() {
    let (server, folder) = start().await;
    let limits = RemoteOptions {
        timeout: Duration::from_millis(200),
        ..options()
    };
    let embedder = folder.embedder(&[server.url("/embed")], limits).await;
    server.fail_always(Some(ServerFault::Hold(Gate::new())));
    let error = embedder.unwrap().embed_query("fox").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
    assert!(error.message().contains("200 ms"), "{error}");
    server.abandoned(1).await;
}

/// A deadline that passes ends the request at the server as well.
#[tokio::test]
async fn a_call_that_is_dropped_is_abandoned_at_the_server() {
    let (server, folder) = start().await;
    let urls = [server.url("/rerank")];
    let reranker = folder.reranker(&urls, options()).await.unwrap();
    let gate = Gate::new();
    server.fail_always(Some(ServerFault::Hold(gate.clone())));
    let passages = texts(8);
    tokio::select! { biased;
        _ = reranker.score(QUERY, &passages) => panic!("the gate is closed"),
        () = gate.arrived() => {}
    }
    server.abandoned(1).await;
    server.fail_always(None);
    assert_eq!(reranker.score(QUERY, &passages).await.unwrap().len(), 8);
}

/// A server slower than every caller's deadline is known all the same: the check is nobody's own.
#[tokio::test]
async fn a_check_goes_on_when_its_caller_gives_up() {
    let (server, folder) = start().await;
    server.fail_always(Some(ServerFault::Status(503, None)));
    let urls = [server.url("/rerank")];
    let reranker = folder.reranker(&urls, options()).await.unwrap();
    let before = server.seen().len();
    let gate = Gate::new();
    server.fail_always(Some(ServerFault::Hold(gate.clone())));
    let passages = texts(8);
    let both_probes = async {
        gate.arrived().await;
        gate.arrived().await;
    };
    tokio::select! { biased;
        _ = reranker.score(QUERY, &passages) => panic!("the gate is closed"),
        () = both_probes => {}
    }
    gate.open();
    assert_eq!(reranker.score(QUERY, &passages).await.unwrap().len(), 8);
    let asked = server.seen().len() - before;
    assert_eq!(asked, 3, "each probe once, and what was asked for");
}

/// A place that is down is passed over; one that comes back with another model stays out.
#[tokio::test]
async fn another_model_behind_the_address_after_an_outage_is_refused() {
    let (server, folder) = start().await;
    let urls = [server.url("/v1/embeddings")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    embedder.embed_query("fox").await.unwrap();
    server.fail_always(Some(ServerFault::Status(503, None)));
    embedder.embed_query("fox").await.unwrap_err();
    server.fail_always(None);
    let other = HashEmbedder::new(256);
    server.serve(|models| models.embedder = Arc::new(Reversed(other)));
    let error = embedder.embed_query("fox").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("is not texts@"), "{error}");
}
