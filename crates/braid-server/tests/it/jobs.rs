//! Jobs over HTTP: listing, waiting, cancelling, dead letters and trying them again.

use std::sync::Arc;

use axum::http::Method;
use braid_core::ErrorCode;
use braid_testkit::{Call as PortCall, Fault, Faulty, HashEmbedder};
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup};

const DOCUMENTS: &str = "/v1/collections/default/documents";
const FAILURES: &str = "/v1/collections/default/failures";

async fn ingest(server: &Server, documents: &[(&str, &str)]) -> String {
    let document = |(id, text): &(&str, &str)| json!({ "id": id, "text": text });
    let documents: Vec<Value> = documents.iter().map(document).collect();
    let body = json!({ "documents": documents });
    let accepted = server.post(DOCUMENTS, &body).await.ok(202);
    accepted["job_id"].as_str().unwrap().to_owned()
}

async fn job(server: &Server, id: &str) -> Value {
    server.get(&format!("/v1/jobs/{id}")).await.ok(200)
}

/// A server whose model does what `fault` says from the first passage on.
async fn with_model(fault: Fault) -> Server {
    let embedder = Faulty::new(HashEmbedder::new(64)).on_from(PortCall::EmbedPassages, 1, fault);
    let setup = Setup {
        embedder: Arc::new(embedder),
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    server
}

#[tokio::test]
async fn jobs_are_listed_newest_first() {
    let server = Server::new().await;
    let first = ingest(&server, &[("a", "one")]).await;
    server
        .put("/v1/collections/other", &json!({}))
        .await
        .ok(200);
    let body = json!({ "documents": [{ "id": "b", "text": "two" }, { "id": "c", "text": " " }] });
    let path = "/v1/collections/other/documents?wait=indexed";
    let second = server.post(path, &body).await.ok(202)["job_id"].clone();
    server.settle("default").await;
    let page = server.get("/v1/jobs?limit=1").await.ok(200);
    assert_eq!(page["jobs"][0]["id"], second);
    assert_eq!(page["jobs"][0]["state"], "partly_done");
    assert_eq!(page["jobs"][0]["counts"]["rejected"], 1);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = server
        .get(&format!("/v1/jobs?limit=1&cursor={cursor}"))
        .await;
    let rest = rest.ok(200);
    assert_eq!(rest["jobs"][0]["id"], first.as_str());
    assert_eq!(rest["jobs"][0]["state"], "done");
    assert_eq!(rest["next_cursor"], Value::Null);
    let one = server.get("/v1/jobs?collection=default").await.ok(200);
    assert_eq!(one["jobs"].as_array().unwrap().len(), 1);
    let bad = [
        "/v1/jobs?limit=101",
        "/v1/jobs?cursor=x",
        "/v1/jobs?collection=A",
        "/v1/jobs?order=x",
    ];
    for path in bad {
        server
            .get(path)
            .await
            .problem(400, ErrorCode::InvalidRequest);
    }
    let unknown = server.get("/v1/jobs?collection=none").await;
    unknown.problem(404, ErrorCode::CollectionNotFound);
}

#[tokio::test]
async fn only_the_documents_asked_for_are_listed() {
    let server = Server::new().await;
    let id = ingest(&server, &[("a", "fine"), ("b", " ")]).await;
    server.settle("default").await;
    let listed = async |items: &str| {
        let job = server.get(&format!("/v1/jobs/{id}?items={items}")).await;
        let job = job.ok(200);
        assert_eq!(
            (&job["counts"]["indexed"], &job["state"]),
            (&json!(1), &json!("partly_done"))
        );
        job["items"].as_array().unwrap().len()
    };
    assert_eq!(
        [
            listed("all").await,
            listed("unsuccessful").await,
            listed("none").await
        ],
        [2, 1, 0]
    );
    let bad = server.get(&format!("/v1/jobs/{id}?items=some")).await;
    bad.problem(400, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_job_says_what_it_waits_for_and_can_be_cancelled() {
    let server = with_model(Fault::FailBefore(ErrorCode::ModelUnavailable)).await;
    let id = ingest(&server, &[("a", "one"), ("b", "two")]).await;
    let name = "default".parse().unwrap();
    let mut progress = server.app.engine().progress(&name).await.unwrap();
    let retrying =
        |health: &braid_engine::Health| matches!(health, braid_engine::Health::Retrying { .. });
    progress.wait_for(|it| retrying(it.health())).await.unwrap();
    let running = job(&server, &id).await;
    assert_eq!(running["state"], "running");
    // That of the model, or of the probe that tells an outage from a bad document.
    let code = running["waiting"]["error_code"].as_str().unwrap();
    assert!(code.ends_with("UNAVAILABLE"), "{running}");
    let cancel = Call::new(Method::POST, &format!("/v1/jobs/{id}/cancel")).key("k");
    let cancelled = server.send(cancel.clone()).await.ok(200);
    assert_eq!(cancelled, json!({ "job_id": id, "cancelled": 2 }));
    assert_eq!(server.send(cancel).await.ok(200), cancelled, "replayed");
    let after = job(&server, &id).await;
    assert_eq!(after["state"], "cancelled");
    assert_eq!(after["counts"]["cancelled"], 2);
    assert_eq!(after["waiting"], Value::Null);
    let gone = server.get(&format!("{DOCUMENTS}/a")).await;
    gone.problem(404, ErrorCode::DocumentNotFound);
    let again = Call::new(Method::POST, &format!("/v1/jobs/{id}/cancel"));
    assert_eq!(server.send(again).await.ok(200)["cancelled"], 0);
    let body = Call::post(&format!("/v1/jobs/{id}/cancel"), &json!({}));
    server
        .send(body)
        .await
        .problem(400, ErrorCode::InvalidRequest);
    let unknown = Call::new(Method::POST, "/v1/jobs/none/cancel");
    server
        .send(unknown)
        .await
        .problem(404, ErrorCode::JobNotFound);
}

/// A model that refuses one text, and the same server when it does not any more.
async fn with_a_dead_letter() -> (Server, String) {
    let setup = Setup {
        embedder: Arc::new(crate::poison::Poisoned::new()),
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let id = ingest(
        &server,
        &[("good", "text"), ("bad", "poison"), ("worse", "poison too")],
    )
    .await;
    server.settle("default").await;
    (server.reopen(Setup::default()).await, id)
}

#[tokio::test]
async fn dead_letters_are_listed_and_tried_again() {
    let (server, id) = with_a_dead_letter().await;
    let page = server.get(&format!("{FAILURES}?limit=1")).await.ok(200);
    assert_eq!(page["failures"][0]["id"], "bad");
    assert!(
        page["failures"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("poison")
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = server
        .get(&format!("{FAILURES}?cursor={cursor}"))
        .await
        .ok(200);
    assert_eq!(rest["failures"][0]["id"], "worse");
    let path = format!("{FAILURES}/retry?wait=indexed");
    let body = json!({ "ids": ["bad", "good"] });
    let accepted = server.post(&path, &body).await.ok(202);
    assert_eq!(
        (&accepted["accepted"], &accepted["rejected"]),
        (&json!(1), &json!(1))
    );
    let retried = job(&server, accepted["job_id"].as_str().unwrap()).await;
    assert_eq!(
        retried["items"][0],
        json!({ "id": "bad", "status": "indexed", "change": "replaced", "reason": null })
    );
    assert_eq!(
        retried["items"][1]["reason"],
        "its newest version has not failed"
    );
    let retry = Call::new(Method::POST, &format!("/v1/jobs/{id}/retry?wait=indexed")).key("k");
    let accepted = server.send(retry.clone()).await.ok(202);
    assert_eq!(
        (&accepted["accepted"], &accepted["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(server.send(retry).await.ok(202), accepted, "replayed");
    let left = server.get(FAILURES).await.ok(200);
    assert_eq!(left["failures"], json!([]));
    let nothing = server.post(&path, &json!({})).await.ok(202);
    assert_eq!(nothing["accepted"], 0);
    let mut found = server.found(&json!({ "query": "poison text" })).await;
    found.sort();
    assert_eq!(found, ["bad", "good", "worse"]);
    for body in [
        json!({ "ids": [] }),
        json!({ "ids": [""] }),
        json!({ "all": true }),
    ] {
        server
            .post(&path, &body)
            .await
            .problem(400, ErrorCode::InvalidRequest);
    }
}
