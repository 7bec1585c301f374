//! Documents, jobs and collections over both interfaces: the same answers, the same refusals, one record
//! of what was done.

use braid_server::grpc::proto;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    assert_same, assert_same_refusal, collections, comparable, ingestion, jobs, keyed, message,
    new_document, reason,
};
use crate::server::{Call, Server, segment};

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
