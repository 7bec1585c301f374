//! One document at a time, and the listing.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{
    Embedder, Embedding, Error, ErrorCode, Fingerprint, Result, Script, TokenCounter,
};
use braid_testkit::HashEmbedder;
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup, segment};

const DOCUMENTS: &str = "/v1/collections/default/documents";

fn document(id: &str) -> String {
    format!("{DOCUMENTS}/{}", segment(id))
}

#[tokio::test]
async fn a_document_comes_changes_and_goes() {
    let server = Server::new().await;
    let path = document("a");
    let body = json!({
        "id": "a", "text": "# Red\n\nA red fox.", "title": "Foxes", "uri": "file:///a.md",
        "format": "markdown", "metadata": { "n": 1, "f": 1.5, "b": true, "s": "x", "l": ["p", "q"] },
    });
    let made = server.put(&path, &body).await.ok(202);
    assert_eq!(
        made,
        json!({ "id": "a", "result": "created", "sequence": 1 })
    );
    server.settle("default").await;

    let seen = server.get(&path).await.ok(200);
    for field in ["id", "text", "title", "uri", "format", "metadata"] {
        assert_eq!(seen[field], body[field], "{field}");
    }
    assert_eq!(seen["status"], "published");
    assert_eq!(seen["failure"], Value::Null);
    assert_eq!(seen["sequence"], 1);
    assert_eq!(seen["chunks"], 1);

    let again = server.put(&path, &body).await.ok(202);
    assert_eq!(again["result"], "unchanged");
    assert_eq!(again["sequence"], 1);

    let wait = format!("{path}?wait=indexed");
    let replaced = server.put(&wait, &json!({ "text": "A blue fox." })).await;
    assert_eq!(replaced.ok(200)["result"], "replaced");
    let query = json!({ "query": "fox", "mode": "lexical" });
    let answer = server.post("/retrieve", &query).await.ok(200);
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 1, "the old version or the new one, never both");
    assert_eq!(hits[0]["text"], "A blue fox.");

    let gone = server.delete(&path).await.ok(202);
    assert_eq!(gone["result"], "deleted");
    assert_eq!(server.found(&query).await, Vec::<String>::new());
    server
        .get(&path)
        .await
        .problem(404, ErrorCode::DocumentNotFound);
    server
        .delete(&path)
        .await
        .problem(404, ErrorCode::DocumentNotFound);
}

#[tokio::test]
async fn waiting_for_the_index_makes_it_retrievable() {
    let server = Server::new().await;
    let path = format!("{}?wait=indexed", document("a"));
    server.put(&path, &json!({ "text": "quick" })).await.ok(200);
    let query = json!({ "query": "quick" });
    assert_eq!(server.found(&query).await, ["a"]);
    let ready = server.get("/readyz").await.ok(200);
    assert_eq!(ready["lag"], 0);
    server.delete(&path).await.ok(200);
    assert_eq!(server.found(&query).await, Vec::<String>::new());
}

#[tokio::test]
async fn without_waiting_the_lag_is_stated() {
    let server = Server::new().await;
    let name = "default".parse().unwrap();
    let engine = server.app.engine();
    let collection = engine.collection(&name).await.unwrap();
    engine.indexer().pause(collection.id).unwrap();
    server
        .put(&document("a"), &json!({ "text": "later" }))
        .await
        .ok(202);
    let seen = server.get(&document("a")).await.ok(200);
    assert_eq!(seen["status"], "pending");
    let query = json!({ "query": "later" });
    let answer = server.post("/retrieve", &query).await.ok(200);
    assert_eq!((&answer["lag"], &answer["hits"]), (&json!(1), &json!([])));
    let info = server.get("/v1/collections/default").await.ok(200);
    assert_eq!((&info["lag"], &info["documents"]), (&json!(1), &json!(0)));
    let ready = server.get("/readyz").await.ok(200);
    assert_eq!(
        ready["lagging"],
        json!([{ "collection": "default", "lag": 1 }])
    );
    engine.indexer().resume(collection.id).unwrap();
    server.settle("default").await;
    assert_eq!(server.found(&query).await, ["a"]);
}

#[tokio::test]
async fn any_id_within_the_limit_works() {
    let server = Server::new().await;
    let longest = "é".repeat(240);
    let ids = [
        "a/b/c.md",
        "/",
        "..",
        "../../etc/passwd",
        "a b",
        "naïve/日本語/🦊",
        "100%",
        "%2F",
        "a?b#c",
        "delete",
        "documents",
        "\"quoted\"",
        "a+b",
        "\u{1F468}\u{200D}\u{1F469}",
        &longest,
    ];
    for (n, id) in ids.into_iter().enumerate() {
        let path = document(id);
        let word = ["ab", "cd", "ef", "gh"][n % 4].repeat(n / 4 + 2);
        let text = format!("{word} text");
        let wait = format!("{path}?wait=indexed");
        let made = server.put(&wait, &json!({ "text": text })).await.ok(200);
        assert_eq!(made["id"], id);
        let seen = server.get(&path).await.ok(200);
        assert_eq!((&seen["id"], &seen["text"]), (&json!(id), &json!(text)));
        let query = json!({ "query": word, "mode": "lexical" });
        assert_eq!(server.found(&query).await, [id]);
    }
    for id in ids {
        server.delete(&document(id)).await.ok(202);
        server
            .get(&document(id))
            .await
            .problem(404, ErrorCode::DocumentNotFound);
    }
}

#[tokio::test]
async fn ids_beyond_the_limit_are_refused() {
    let server = Server::new().await;
    let body = json!({ "text": "x" });
    for (id, reason) in [
        ("x".repeat(1024), "1024 bytes long, the limit is 480"),
        ("é".repeat(241), "482 bytes long, the limit is 480"),
        ("a\nb".to_owned(), "control characters"),
        ("a\0b".to_owned(), "control characters"),
    ] {
        let answer = server.put(&document(&id), &body).await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        assert!(
            problem["detail"].as_str().unwrap().contains(reason),
            "{problem}"
        );
        let answer = server.get(&document(&id)).await;
        answer.problem(400, ErrorCode::InvalidRequest);
    }
    let not_text = server.get(&format!("{DOCUMENTS}/%FF")).await;
    not_text.problem(400, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_body_must_fit_the_document() {
    let server = Server::new().await;
    let path = document("a");
    let check = async |body: Value, pointer: &str, detail: &str| {
        server.put(&path, &body).await.bad_field(pointer, detail);
    };
    let other = json!({ "id": "b", "text": "x" });
    check(other, "/id", "differs from the id in the path").await;
    check(json!({ "title": "x" }), "", "missing field `text`").await;
    let format = json!({ "text": "x", "format": "pdf" });
    let known = "unknown value `pdf`, expected one of `text`, `markdown`, `html`, `c`, `go`, `java`, `javascript`, `python`, `rust`, `tsx`, `typescript`";
    check(format, "/format", known).await;
    let title = json!({ "text": "x", "title": "t".repeat(4097) });
    check(title, "/title", "may have 4096 bytes").await;
    let unknown = json!({ "text": "x", "tags": [] });
    let known = "unknown field `tags`, expected one of `id`, `text`, `title`, `uri`, `format`, `metadata`, `origin`";
    check(unknown, "/tags", known).await;
    let absent = server.get(&path).await;
    absent.problem(404, ErrorCode::DocumentNotFound);
}

#[tokio::test]
async fn a_document_without_text_is_unreadable() {
    let server = Server::new().await;
    for body in [
        json!({ "text": "" }),
        json!({ "text": " \n " }),
        json!({ "text": "<html><script>x()</script></html>", "format": "html" }),
    ] {
        let answer = server.put(&document("a"), &body).await;
        answer.problem(422, ErrorCode::UnreadableDocument);
    }
    let absent = server.get(&document("a")).await;
    absent.problem(404, ErrorCode::DocumentNotFound);
}

#[tokio::test]
async fn one_long_line_is_a_document() {
    let server = Server::new().await;
    let text = "word ".repeat(40_000);
    server
        .index("long", json!({ "text": text.trim_end() }))
        .await;
    let seen = server.get(&document("long")).await.ok(200);
    assert!(seen["chunks"].as_u64().unwrap() > 100);
    assert_eq!(seen["text"].as_str().unwrap().len(), text.len() - 1);
}

#[tokio::test]
async fn pages_list_every_document_once_in_id_order() {
    let server = Server::new().await;
    let ids: Vec<String> = (0..7).map(|n| format!("id/{n} ü")).collect();
    let documents: Vec<Value> = ids
        .iter()
        .rev()
        .map(|id| json!({ "id": id, "text": id }))
        .collect();
    let bulk = json!({ "documents": documents });
    server
        .post(&format!("{DOCUMENTS}?wait=indexed"), &bulk)
        .await
        .ok(202);
    let mut listed = Vec::new();
    let mut path = format!("{DOCUMENTS}?limit=3");
    let mut sizes = Vec::new();
    loop {
        let page = server.get(&path).await.ok(200);
        let documents = page["documents"].as_array().unwrap();
        sizes.push(documents.len());
        listed.extend(
            documents
                .iter()
                .map(|document| document["id"].as_str().unwrap().to_owned()),
        );
        assert!(
            documents
                .iter()
                .all(|document| document.get("text").is_none())
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{DOCUMENTS}?limit=3&cursor={}", segment(cursor)),
            None => break,
        }
    }
    assert_eq!(listed, ids);
    assert_eq!(sizes, [3, 3, 1]);
    let all = server.get(DOCUMENTS).await.ok(200);
    assert_eq!(all["documents"].as_array().unwrap().len(), 7);
    let bad = server
        .get(&format!("{DOCUMENTS}?cursor=%00nonsense%ff"))
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn everything_needs_its_collection() {
    let server = Server::new().await;
    let text = json!({ "text": "x" });
    let bulk = json!({ "documents": [{ "id": "a", "text": "x" }] });
    let none = "/v1/collections/none/documents";
    let one = format!("{none}/a");
    let answers = [
        server.get(none).await,
        server.get(&one).await,
        server.put(&one, &text).await,
        server.delete(&one).await,
        server.post(none, &bulk).await,
        server
            .post(&format!("{none}/delete"), &json!({ "ids": ["a"] }))
            .await,
        server
            .post(
                &format!("{none}/delete"),
                &json!({ "filter": { "must": [{ "key": "a", "exists": true }] } }),
            )
            .await,
    ];
    for answer in answers {
        answer.problem(404, ErrorCode::CollectionNotFound);
    }
}

/// An embedder that one text is too much for.
#[derive(Debug)]
struct Picky(HashEmbedder);

#[async_trait]
impl Embedder for Picky {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        if texts.iter().any(|text| text.contains("poison")) {
            return Err(Error::invalid("poison cannot be embedded"));
        }
        self.0.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_indexed_is_not_said_to_be() {
    let setup = Setup {
        embedder: Arc::new(Picky(HashEmbedder::new(64))),
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    let call = Call::put(
        &format!("{}?wait=indexed", document("a")),
        &json!({ "text": "poison" }),
    );
    for _ in 0..2 {
        let answer = server.send(call.clone().key("k")).await;
        let problem = answer.problem(422, ErrorCode::UnreadableDocument);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("could not be indexed"), "{detail}");
    }
    let seen = server.get(&document("a")).await.ok(200);
    assert_eq!(seen["status"], "failed");
    assert!(
        seen["failure"]
            .as_str()
            .unwrap()
            .contains("cannot be embedded")
    );
    let info = server.get("/v1/collections/default").await.ok(200);
    // The purge of its slots may still be in the log, so the lag is 0 or 1.
    assert_eq!(info["failed"], json!(1));
}

#[tokio::test]
async fn a_head_request_is_a_get_without_the_body() {
    let server = Server::new().await;
    server.index("a", json!("text")).await;
    let head = Call::new(axum::http::Method::HEAD, &document("a"));
    let answer = server.send_unchecked(head).await;
    let got = server.get(&document("a")).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let length = answer
        .header("content-length")
        .map(|length| length.parse().unwrap());
    assert_eq!(length, Some(got.body.len()));
}
