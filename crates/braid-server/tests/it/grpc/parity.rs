//! The same requests over both interfaces: the same answers, the same refusals.

use braid_server::grpc::proto;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    assert_same, assert_same_refusal, collections, comparable, ingestion, jobs, keyed, message,
    new_document, reason, retrieval,
};
use crate::server::{Call, Server, segment};

/// A small collection with metadata of every kind.
async fn filled() -> Server {
    let server = Server::new().await;
    for (id, text, metadata) in [
        (
            "a",
            "the quick red fox jumps",
            json!({ "lang": "en", "year": 2020, "tag": ["x", "y"] }),
        ),
        (
            "b/1",
            "a lazy brown dog sleeps",
            json!({ "lang": "en", "year": 2021.5, "draft": true }),
        ),
        (
            "c",
            "der schnelle Fuchs springt",
            json!({ "lang": "de", "year": 2022 }),
        ),
        ("d", "the quick red fox jumps again", json!({})),
    ] {
        server
            .index(
                id,
                json!({ "text": text, "metadata": metadata, "title": id }),
            )
            .await;
    }
    server
}

/// Requests for `/v1/retrieve`, good and bad, that a message can say too.
fn retrievals() -> Vec<Value> {
    let one = |key: &str, test: &str, value: Value| json!({ "query": "fox", "filter": { "must": [{ "key": key, test: value }] } });
    vec![
        json!({ "query": "red fox" }),
        json!({ "query": "red fox", "explain": true, "top_k": 2 }),
        json!({ "query": "fox", "mode": "lexical", "also": ["dog"], "explain": true }),
        json!({ "query": "fox", "mode": "dense", "cache": false }),
        json!({ "query": "fox -dog \"red fox\" title:a", "syntax": "auto" }),
        json!({ "query": "fox -dog", "syntax": "off", "typos": "off" }),
        json!({ "query": "quikc fx", "mode": "lexical" }),
        json!({ "query": "???", "mode": "lexical" }),
        json!({ "query": "nothing at all like this", "mode": "lexical" }),
        json!({ "query": "fox", "thresholds": { "lexical": 1e9, "dense": 1.0 } }),
        json!({ "query": "fox", "candidates": { "lexical": 3, "dense": 1 }, "distinct": false }),
        json!({ "query": "fox", "fusion": { "method": "rrf", "k": 10.5, "weights": { "lexical": 0.1, "dense": 2 }, "leg_trust": "auto" }, "explain": true }),
        json!({ "query": "fox", "fusion": { "method": "minmax", "leg_trust": "off" } }),
        json!({ "query": "fox", "fusion": { "method": "dbsf" } }),
        json!({ "query": "fox", "context": { "max_tokens": 0 } }),
        json!({ "query": "fox", "context": { "max_tokens": 9, "tokenizer": "words", "expand": "section", "per_document": 1, "max_similarity": 0.5, "mmr": { "lambda": 0.3 }, "order": "edges" } }),
        json!({ "query": "fox", "rerank": { "enabled": false, "candidates": 3, "blend": 0.5, "deadline_ms": 100 } }),
        one("lang", "match", json!("de")),
        one("year", "match", json!(2020)),
        one("draft", "match", json!(true)),
        one("year", "any", json!([2021.5, 2022])),
        one("year", "range", json!({ "gte": 2021, "lt": 2022 })),
        one("draft", "exists", json!(false)),
        json!({ "query": "fox", "filter": { "should": [{ "key": "tag", "any": ["x", "z"] }], "must_not": [{ "key": "lang", "match": "de" }] } }),
        // Refused.
        json!({ "query": "" }),
        json!({ "query": " \n" }),
        json!({ "query": "x".repeat(8193) }),
        json!({ "query": "fox", "top_k": 0 }),
        json!({ "query": "fox", "top_k": 1001, "candidates": { "dense": 2001 } }),
        json!({ "query": "fox", "collection": "No Such" }),
        json!({ "query": "fox", "collection": "none" }),
        json!({ "query": "fox", "also": vec![""; 9] }),
        json!({ "query": "fox", "fusion": { "k": -1 } }),
        json!({ "query": "fox", "fusion": { "weights": { "dense": 1e308, "lexical": -0.5 } } }),
        json!({ "query": "fox", "rerank": { "blend": 1.5 } }),
        json!({ "query": "fox", "context": { "max_tokens": 4_000_000_000_u32, "mmr": { "lambda": 2 } } }),
        json!({ "query": "fox", "cursor": "not one" }),
        json!({ "query": "fox", "cursor": format!("{}-1-1", "0".repeat(32)) }),
        json!({ "query": "fox", "filter": { "must": [{ "key": "" , "exists": true }] } }),
        one("year", "range", json!({})),
        one("year", "any", json!([])),
        json!({ "query": "fox", "filter": { "must": vec![json!({ "key": "k", "exists": true }); 65] } }),
    ]
}

#[tokio::test]
async fn retrievals_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    for mut body in retrievals() {
        // Nothing is kept, so that each interface finds the answer anew.
        body["cache"] = json!(false);
        let mut rest = server.post("/v1/retrieve", &body).await;
        let sent = message::<proto::RetrieveRequest>(body.clone());
        let mut grpc = client.retrieve(sent).await;
        // A cursor names a list of its own.
        if let Ok(answer) = &mut grpc {
            let mut theirs = rest.ok(200);
            let ours = answer.get_mut().next_cursor.take();
            assert_eq!(theirs["next_cursor"].take().is_string(), ours.is_some());
            rest.body = theirs.to_string().into();
        }
        assert_same(&rest, grpc, &body.to_string());
    }
}

#[tokio::test]
async fn an_answer_that_was_kept_is_given_over_either() {
    let server = filled().await;
    let body = json!({ "query": "fox" });
    server.post("/v1/retrieve", &body).await.ok(200);
    let sent = message::<proto::RetrieveRequest>(body);
    let answer = retrieval(&server).retrieve(sent).await.unwrap();
    assert!(answer.get_ref().cached);
}

#[tokio::test]
async fn pages_go_on_over_either() {
    let server = filled().await;
    let first = json!({ "query": "the quick red fox dog", "top_k": 1, "mode": "lexical" });
    let page = server.post("/v1/retrieve", &first).await.ok(200);
    let mut second = first.clone();
    second["cursor"] = page["next_cursor"].clone();
    let rest = server.post("/v1/retrieve", &second).await;
    let grpc = retrieval(&server)
        .retrieve(message::<proto::RetrieveRequest>(second))
        .await;
    assert_same(&rest, grpc, "the second page");
}

#[tokio::test]
async fn batches_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    let query = |text: &str| json!({ "query": text, "mode": "lexical", "cache": false });
    for requests in [
        json!([query("fox"), query(""), query("dog")]),
        json!([json!({ "query": "x", "collection": "none" })]),
        json!([]),
        json!(vec![query("fox"); 6]),
        json!(vec![
            json!({ "query": "x", "top_k": 1000, "cache": false });
            5
        ]),
    ] {
        let body = json!({ "requests": requests });
        let rest = server.post("/v1/retrieve/batch", &body).await;
        let sent = message::<proto::BatchRetrieveRequest>(body.clone());
        assert_same(&rest, client.batch_retrieve(sent).await, &body.to_string());
    }
}

#[tokio::test]
async fn explanations_are_answered_alike() {
    let server = filled().await;
    let mut client = retrieval(&server);
    for body in [
        json!({ "document_id": "c", "query": "red fox", "top_k": 1 }),
        json!({ "document_id": "c", "query": "red fox", "filter": { "must": [{ "key": "lang", "match": "en" }] } }),
        json!({ "document_id": "a", "query": "red fox", "depth": 5 }),
        json!({ "document_id": "none", "query": "red fox" }),
        json!({ "document_id": "", "query": "" }),
        json!({ "document_id": "a", "query": "fox", "depth": 0 }),
    ] {
        let rest = server.post("/v1/explain", &body).await;
        let sent = message::<proto::ExplainRequest>(body.clone());
        assert_same(&rest, client.explain(sent).await, &body.to_string());
    }
}

#[tokio::test]
async fn documents_are_written_and_read_alike() {
    let (over_rest, over_grpc) = (Server::new().await, Server::new().await);
    let mut client = ingestion(&over_grpc);
    let long = "k".repeat(481);
    for (id, body) in [
        ("a", json!({ "text": "red fox" })),
        ("a", json!({ "text": "red fox" })),
        (
            "a",
            json!({ "text": "blue fox", "title": "A", "uri": "u:a", "format": "markdown",
            "metadata": { "s": "x", "n": 3, "f": 2.5, "b": false, "l": ["x", "y"], "e": [] } }),
        ),
        (
            "b/ä ?#%",
            json!({ "text": "fn main() {}", "format": "rust" }),
        ),
        ("delete", json!({ "text": "a name that is a route" })),
        (
            "c",
            json!({ "text": "x", "origin": { "hash": "0".repeat(64), "parser": "p 1" } }),
        ),
        (
            "c",
            json!({ "text": "x", "origin": { "hash": "0", "parser": "p 1" } }),
        ),
        ("e", json!({ "text": "" })),
        (&long, json!({ "text": "x" })),
        ("m", json!({ "text": "x", "metadata": { "": "x" } })),
        ("t", json!({ "text": "x", "title": "t".repeat(5000) })),
    ] {
        let path = format!("/v1/collections/default/documents/{}", segment(id));
        let rest = over_rest.put(&format!("{path}?wait=indexed"), &body).await;
        let mut document = body.clone();
        document["id"] = json!(id);
        let sent = proto::PutDocumentRequest {
            collection: "default".to_owned(),
            document: Some(message(document)),
            wait: proto::Wait::Indexed.into(),
        };
        assert_same(
            &rest,
            client.put_document(sent).await,
            &format!("put {id} {body}"),
        );
        let rest = over_rest.get(&path).await;
        let sent = proto::GetDocumentRequest {
            collection: "default".to_owned(),
            id: id.to_owned(),
        };
        assert_same(&rest, client.get_document(sent).await, &format!("get {id}"));
    }
    let rest = over_rest
        .get("/v1/collections/default/documents?limit=2")
        .await;
    let page = |cursor: Option<String>, limit| proto::ListDocumentsRequest {
        collection: "default".to_owned(),
        cursor,
        limit: Some(limit),
    };
    let listed = client.list_documents(page(None, 2)).await;
    let cursor = listed.as_ref().unwrap().get_ref().next_cursor.clone();
    assert_same(&rest, listed, "the first page");
    let path = format!(
        "/v1/collections/default/documents?limit=2&cursor={}",
        segment(cursor.as_ref().unwrap())
    );
    assert_same(
        &over_rest.get(&path).await,
        client.list_documents(page(cursor, 2)).await,
        "the second",
    );
    for (query, sent) in [
        ("limit=0", page(None, 0)),
        ("limit=5000", page(None, 5000)),
        ("limit=5&cursor=%21", page(Some("!".to_owned()), 5)),
    ] {
        let rest = over_rest
            .get(&format!("/v1/collections/default/documents?{query}"))
            .await;
        assert_same(&rest, client.list_documents(sent).await, query);
    }
    for id in ["a", "a", "delete"] {
        let path = format!("/v1/collections/default/documents/{id}");
        let rest = over_rest.delete(&path).await;
        let sent = proto::DeleteDocumentRequest {
            collection: "default".to_owned(),
            id: id.to_owned(),
            ..Default::default()
        };
        assert_same(
            &rest,
            client.delete_document(sent).await,
            &format!("delete {id}"),
        );
    }
}

#[tokio::test]
async fn bulk_writes_and_jobs_are_answered_alike() {
    let (over_rest, over_grpc) = (Server::new().await, Server::new().await);
    let mut client = ingestion(&over_grpc);
    let bulk = "/v1/collections/default/documents";
    for body in [
        json!({ "documents": [{ "id": "a", "text": "one" }, { "id": "a", "text": "two" }, { "id": "", "text": "x" }, { "id": "b", "text": "three", "metadata": { "k": 1 } }] }),
        json!({ "documents": [] }),
    ] {
        let rest = over_rest.post(bulk, &body).await;
        let mut sent = message::<proto::PutDocumentsRequest>(body.clone());
        sent.collection = "default".to_owned();
        let answer = client.put_documents(sent).await;
        let id = answer
            .as_ref()
            .ok()
            .map(|answer| answer.get_ref().job_id.clone());
        assert_same(&rest, answer, &body.to_string());
        let Some(id) = id else { continue };
        over_rest.settle("default").await;
        over_grpc.settle("default").await;
        for items in ["all", "unsuccessful", "none"] {
            let theirs = rest.json()["job_id"].as_str().unwrap().to_owned();
            let rest = over_rest
                .get(&format!("/v1/jobs/{theirs}?items={items}"))
                .await
                .ok(200);
            let items = format!("JOB_ITEMS_{}", items.to_ascii_uppercase());
            let items = proto::JobItems::from_str_name(&items).unwrap().into();
            let sent = proto::GetJobRequest {
                id: id.clone(),
                items,
            };
            let job = jobs(&over_grpc).get_job(sent).await.unwrap().into_inner();
            let (mut rest, mut job) = (comparable(rest), comparable(json!(job)));
            rest["id"].take();
            job["id"].take();
            assert_eq!(rest, job, "{items}");
        }
    }
    for body in [
        json!({ "ids": ["a", "none"] }),
        json!({ "filter": { "must": [{ "key": "k", "match": 1 }] } }),
        json!({}),
        json!({ "filter": {} }),
        json!({ "ids": [""] }),
    ] {
        let rest = over_rest.post(&format!("{bulk}/delete"), &body).await;
        let mut sent = message::<proto::DeleteDocumentsRequest>(body.clone());
        sent.collection = "default".to_owned();
        assert_same(
            &rest,
            client.delete_documents(sent).await,
            &body.to_string(),
        );
    }
    let listed = over_rest.get("/v1/jobs?limit=1").await.ok(200);
    let sent = proto::ListJobsRequest {
        limit: Some(1),
        ..Default::default()
    };
    let page = jobs(&over_grpc).list_jobs(sent).await.unwrap().into_inner();
    assert_eq!(listed["jobs"][0]["counts"], json!(page.jobs[0].counts));
    assert_eq!(
        listed["next_cursor"].is_string(),
        page.next_cursor.is_some()
    );
}

#[tokio::test]
async fn jobs_and_failures_are_refused_alike() {
    let server = Server::new().await;
    let mut client = jobs(&server);
    let id = "none".to_owned();
    let same = |rest, status| assert_same_refusal(&rest, &status, "jobs");
    let sent = proto::GetJobRequest {
        id: id.clone(),
        items: 99,
    };
    same(
        server.get("/v1/jobs/none?items=99").await,
        client.get_job(sent).await.unwrap_err(),
    );
    let sent = proto::CancelJobRequest { id: id.clone() };
    let path = "/v1/jobs/none/cancel";
    let rest = server.send(Call::new(axum::http::Method::POST, path)).await;
    same(rest, client.cancel_job(sent).await.unwrap_err());
    let sent = proto::RetryJobRequest { id, wait: 0 };
    let path = "/v1/jobs/none/retry";
    let rest = server.send(Call::new(axum::http::Method::POST, path)).await;
    same(rest, client.retry_job(sent).await.unwrap_err());
    let list = |collection: &str| proto::ListFailuresRequest {
        collection: collection.to_owned(),
        ..Default::default()
    };
    let rest = server.get("/v1/collections/default/failures").await;
    assert_same(
        &rest,
        client.list_failures(list("default")).await,
        "failures",
    );
    let rest = server.get("/v1/collections/none/failures").await;
    assert_same(&rest, client.list_failures(list("none")).await, "failures");
    let retry = |ids: &[&str]| proto::RetryFailuresRequest {
        collection: "default".to_owned(),
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
        wait: 0,
    };
    let path = "/v1/collections/default/failures/retry";
    let rest = server.post(path, &json!({})).await;
    assert_same(&rest, client.retry_failures(retry(&[])).await, "retry all");
    let rest = server.post(path, &json!({ "ids": ["a", ""] })).await;
    assert_same(
        &rest,
        client.retry_failures(retry(&["a", ""])).await,
        "retry some",
    );
}

#[tokio::test]
async fn collections_are_answered_alike() {
    let (over_rest, over_grpc) = (Server::new().await, Server::new().await);
    let mut client = collections(&over_grpc);
    let put = |collection: &str, settings: Option<&Value>| proto::PutCollectionRequest {
        collection: collection.to_owned(),
        settings: settings.cloned().map(message),
    };
    for (name, body) in [
        (
            "c",
            json!({ "language": "german", "chunking": { "target_tokens": 32, "formats": { "code": { "strategy": "whole" } } }, "duplicates": { "action": "link", "min_similarity": 0.9 } }),
        ),
        ("c", json!({})),
        (
            "d",
            json!({ "language": "klingon", "chunking": { "strategy": "none", "target_tokens": 0 }, "duplicates": { "min_similarity": 0.1 } }),
        ),
        ("D", json!({})),
        ("e", json!({})),
    ] {
        let path = format!("/v1/collections/{name}");
        let rest = over_rest.put(&path, &body).await;
        assert_same(
            &rest,
            client.put_collection(put(name, Some(&body))).await,
            name,
        );
    }
    let bodyless = over_rest
        .send(Call::new(axum::http::Method::PUT, "/v1/collections/f"))
        .await;
    assert_same(
        &bodyless,
        client.put_collection(put("f", None)).await,
        "no settings",
    );
    let rest = over_rest.get("/v1/collections").await;
    assert_same(
        &rest,
        client
            .list_collections(proto::ListCollectionsRequest {})
            .await,
        "all",
    );
    for name in ["c", "none", "No Such"] {
        let get = proto::GetCollectionRequest {
            collection: name.to_owned(),
        };
        let rest = over_rest
            .get(&format!("/v1/collections/{}", segment(name)))
            .await;
        assert_same(&rest, client.get_collection(get).await, name);
        let delete = proto::DeleteCollectionRequest {
            collection: name.to_owned(),
        };
        let rest = over_rest
            .delete(&format!("/v1/collections/{}", segment(name)))
            .await;
        assert_same(&rest, client.delete_collection(delete).await, name);
    }
}

#[tokio::test]
async fn mutations_are_replayed_under_their_key() {
    let server = Server::new().await;
    let mut client = ingestion(&server);
    let put = |text: &str| proto::PutDocumentRequest {
        collection: "default".to_owned(),
        document: Some(new_document("a", text)),
        wait: 0,
    };
    let first = client.put_document(keyed("k", put("one"))).await.unwrap();
    assert!(first.metadata().get("idempotency-replayed").is_none());
    let again = client.put_document(keyed("k", put("one"))).await.unwrap();
    assert_eq!(
        again.metadata().get("idempotency-replayed").unwrap(),
        "true"
    );
    assert_eq!(first.get_ref(), again.get_ref());
    let other = client
        .put_document(keyed("k", put("two")))
        .await
        .unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(reason(&other), "IDEMPOTENCY_CONFLICT");
    let long = client
        .put_document(keyed(&"k".repeat(256), put("one")))
        .await;
    assert_eq!(reason(&long.unwrap_err()), "INVALID_REQUEST");
    // Both interfaces keep the same record: the same bytes over HTTP are the same request.
    let call = Call::put(
        "/v1/collections/default/documents/a",
        &json!({ "id": "a", "text": "one" }),
    );
    let rest = server.send(call.key("k")).await;
    assert_eq!(
        rest.header("idempotency-replayed"),
        Some("true"),
        "{}",
        rest.text()
    );
    // A refusal that was recorded is replayed as one.
    let delete = || proto::DeleteDocumentRequest {
        collection: "default".to_owned(),
        id: "none".to_owned(),
        wait: 0,
    };
    for _ in 0..2 {
        let gone = client
            .delete_document(keyed("gone", delete()))
            .await
            .unwrap_err();
        assert_eq!(reason(&gone), "DOCUMENT_NOT_FOUND");
    }
}
