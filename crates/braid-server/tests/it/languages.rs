//! Collections whose documents are in several languages.

use braid_core::Language;
use braid_testkit::scripts::{self, ScriptSet};
use serde_json::{Value, json};

use crate::server::{Server, Setup};

const COLLECTION: &str = "/v1/collections/world";

/// A collection with these sets, each document named `LANGUAGE/NAME`.
async fn world(language: &str, sets: &[ScriptSet]) -> Server {
    let server = Setup::default().open().await;
    let settings = json!({ "language": language });
    server.put(COLLECTION, &settings).await.ok(200);
    let documents = sets.iter().flat_map(|set| {
        let document = |(name, text): &(&str, &str)| {
            let id = format!("{}/{name}", set.language);
            json!({ "id": id, "text": text })
        };
        set.documents.iter().map(document)
    });
    let body = json!({ "documents": documents.collect::<Vec<Value>>() });
    let path = format!("{COLLECTION}/documents");
    server.post(&path, &body).await.ok(202);
    server.settle("world").await;
    server
}

async fn first(server: &Server, query: &str) -> Option<String> {
    let body = json!({ "query": query, "collection": "world", "mode": "lexical" });
    let answer = server.post("/retrieve", &body).await.ok(200);
    let id = answer["hits"][0]["document_id"].as_str();
    id.map(str::to_owned)
}

#[tokio::test]
async fn each_document_is_found_in_its_own_language() {
    let sets = scripts::all();
    let server = world("auto", &sets).await;
    for set in &sets {
        for (query, wanted) in &set.queries {
            let id = first(&server, query).await.unwrap_or_default();
            let (_, name) = id.split_once('/').unwrap_or_default();
            assert_eq!(name, *wanted, "{query}: {id}");
        }
    }
}

#[tokio::test]
async fn the_detected_language_is_told() {
    let server = world("auto", &scripts::all()).await;
    for (id, language) in [
        ("thai/tea", json!("thai")),
        ("russian/tea", json!("russian")),
        ("ukrainian/tea", json!("ukrainian")),
        ("arabic/poet", Value::Null),
    ] {
        let id = id.replace('/', "%2F");
        let path = format!("{COLLECTION}/documents/{id}");
        assert_eq!(server.get(&path).await.ok(200)["language"], language);
    }
    let info = server.get(COLLECTION).await.ok(200);
    assert_eq!(info["language"], "auto");
}

#[tokio::test]
async fn documents_are_filtered_by_the_detected_language() {
    let server = world("auto", &scripts::all()).await;
    let said = json!({
        "text": "Our harbour keeps a ledger of every ship that lies there, and the master signs it.",
        "metadata": {"language": "thai"},
    });
    let path = format!("{COLLECTION}/documents/said?wait=indexed");
    server.put(&path, &said).await.ok(200);
    let thai = json!({"must": [{"key": "language", "match": "thai"}]});
    let sets = scripts::all();
    let set = sets
        .iter()
        .find(|set| set.language == Language::Thai)
        .unwrap();
    let (query, _) = set.queries[0];
    let found = async |mode: &str| -> Vec<String> {
        let body = json!({
            "query": query, "collection": "world", "mode": mode, "top_k": 50, "filter": thai,
            "candidates": {"lexical": 200, "dense": 200},
        });
        let answer = server.post("/retrieve", &body).await.ok(200);
        let hits = answer["hits"].as_array().unwrap().iter();
        let ids = hits.map(|hit| hit["document_id"].as_str().unwrap().to_owned());
        let mut ids: Vec<String> = ids.collect();
        ids.sort_unstable();
        ids
    };
    let dense = found("dense").await;
    assert!(
        dense.contains(&"said".to_owned()),
        "metadata goes before: {dense:?}"
    );
    assert!(dense.contains(&"thai/tea".to_owned()), "{dense:?}");
    let others = dense
        .iter()
        .filter(|id| !id.starts_with("thai/") && *id != "said");
    assert_eq!(others.count(), 0, "{dense:?}");
    let lexical = found("lexical").await;
    assert!(
        !lexical.is_empty() && lexical.iter().all(|id| dense.contains(id)),
        "{lexical:?}"
    );
    let path = format!("{COLLECTION}/documents/delete");
    server.post(&path, &json!({"filter": thai})).await.ok(202);
    server.settle("world").await;
    assert_eq!(found("dense").await, Vec::<String>::new());
    let russian = format!("{COLLECTION}/documents/russian%2Ftea");
    server.get(&russian).await.ok(200);
}

#[tokio::test]
async fn a_named_language_is_every_documents() {
    let russian: Vec<ScriptSet> = scripts::all().into_iter().skip(5).take(1).collect();
    let server = world("russian", &russian).await;
    let path = format!("{COLLECTION}/documents/russian%2Ftea");
    assert_eq!(server.get(&path).await.ok(200)["language"], Value::Null);
    let found = first(&server, "футбольные матчи").await;
    assert_eq!(found.as_deref(), Some("russian/football"), "stemmed");
}
