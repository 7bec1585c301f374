//! Chunks and where they came from.

use braid_core::ErrorCode;
use serde_json::{Value, json};

use crate::server::{Server, segment};

const COLLECTION: &str = "/v1/collections/default";

fn chunks_of(id: &str) -> String {
    format!("{COLLECTION}/documents/{}/chunks", segment(id))
}

fn chunk(id: &Value) -> String {
    format!("{COLLECTION}/chunks/{}", id.as_str().unwrap())
}

/// Three sections, each of its own chunk.
fn body() -> Value {
    let section = |name: &str| format!("# {name}\n\n{}\n\n", format!("{name} words. ").repeat(40));
    let text = ["Red", "Green", "Blue"].map(section).concat();
    json!({ "text": text, "format": "markdown", "title": "Colors", "uri": "file:///colors.md" })
}

#[tokio::test]
async fn a_hit_is_followed_to_its_document() {
    let server = Server::new().await;
    server.index("a/b", body()).await;
    let query = json!({ "query": "green words", "mode": "lexical" });
    let answer = server.post("/retrieve", &query).await.ok(200);
    let hit = &answer["hits"][0];
    let found = server.get(&chunk(&hit["chunk_id"])).await.ok(200);
    for field in ["chunk_id", "document_id", "text", "source"] {
        assert_eq!(found[field], hit[field], "{field}");
    }
    assert_eq!(
        (&found["collection"], &found["generation"]),
        (&json!("default"), &json!(1))
    );
    assert_eq!(
        (&found["status"], &found["superseded_by"]),
        (&json!("live"), &Value::Null)
    );
    assert_eq!(
        (&found["sequence"], &found["ordinal"]),
        (&json!(1), &json!(1))
    );
    let collection = server.get(COLLECTION).await.ok(200);
    assert_eq!(found["fingerprint"], collection["fingerprint"]);
    assert_eq!(found["embedding_key"].as_str().unwrap().len(), 64);
    let path = format!("{COLLECTION}/documents/{}", segment("a/b"));
    let mut document = server.get(&path).await.ok(200);
    document.as_object_mut().unwrap().remove("text");
    assert_eq!(found["document"], document);
    assert_eq!(found["acknowledged_at_ms"], document["updated_at_ms"]);
}

#[tokio::test]
async fn chunks_come_in_order_a_page_at_a_time() {
    let server = Server::new().await;
    for id in ["a", "delete"] {
        server.index(id, body()).await;
        let all = server.get(&chunks_of(id)).await.ok(200);
        let all = all["chunks"].as_array().unwrap();
        assert!(all.len() >= 3, "{all:#?}");
        let mut paged = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("{}?limit=2{after}", chunks_of(id));
            let page = server.get(&path).await.ok(200);
            assert_eq!(page["document"]["id"], id);
            paged.extend(page["chunks"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => after = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(paged, *all);
        let ordinals: Vec<_> = all
            .iter()
            .map(|it| it["ordinal"].as_u64().unwrap())
            .collect();
        assert_eq!(ordinals, (0..all.len() as u64).collect::<Vec<_>>());
        assert!(all.iter().all(|it| it["document_id"] == id));
    }
    let path = chunks_of("a");
    for bad in ["limit=0", "limit=1001", "cursor=x", "surprise=1"] {
        let answer = server.get(&format!("{path}?{bad}")).await;
        answer.problem(400, ErrorCode::InvalidRequest);
    }
    let absent = server.get(&chunks_of("absent")).await;
    absent.problem(404, ErrorCode::DocumentNotFound);
}

#[tokio::test]
async fn a_replaced_chunk_says_so_while_it_is_there() {
    let server = Server::new().await;
    server.index("a", body()).await;
    let old = server.get(&chunks_of("a")).await.ok(200);
    let name = "default".parse().unwrap();
    let engine = server.app.engine();
    let collection = engine.collection(&name).await.unwrap();
    // A pin, as a query has one, keeps what it sees from being purged.
    let pin = engine.ledger().pin(&name).await.unwrap();
    engine.indexer().pause(collection.id).unwrap();
    let path = format!("{COLLECTION}/documents/a");
    server.put(&path, &json!({ "text": "new" })).await.ok(202);
    let path = chunk(&old["chunks"][0]["chunk_id"]);
    let replaced = server.get(&path).await.ok(200);
    assert_eq!(
        (&replaced["status"], &replaced["superseded_by"]),
        (&json!("live"), &json!(2))
    );
    engine.indexer().resume(collection.id).unwrap();
    server.settle("default").await;
    let retired = server.get(&path).await.ok(200);
    assert_eq!(
        (&retired["status"], &retired["superseded_by"]),
        (&json!("retired"), &json!(2))
    );
    assert_eq!(
        (&retired["document"], &retired["acknowledged_at_ms"]),
        (&Value::Null, &Value::Null)
    );
    drop(pin);
    engine.indexer().wait_idle(collection.id).await.unwrap();
    server
        .get(&path)
        .await
        .problem(404, ErrorCode::ChunkNotFound);
}

#[tokio::test]
async fn what_is_no_chunk_is_not_found() {
    let server = Server::new().await;
    for id in ["none", "00000000-0000-0000-0000-000000000000", "a%2Fb"] {
        let answer = server.get(&format!("{COLLECTION}/chunks/{id}")).await;
        answer.problem(404, ErrorCode::ChunkNotFound);
    }
    let id = "00000000-0000-0000-0000-000000000000";
    let answer = server
        .get(&format!("/v1/collections/none/chunks/{id}"))
        .await;
    answer.problem(404, ErrorCode::CollectionNotFound);
}
