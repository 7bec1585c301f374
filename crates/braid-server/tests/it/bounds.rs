//! Bounds of numbers are those of the schema.

use serde_json::json;

use crate::contract::{self, DOCUMENT};
use crate::server::Server;

/// Every number in a request schema that has bounds is tried just inside and just outside of them.
#[tokio::test]
async fn bounds_of_numbers_bind_where_the_schema_says() {
    let server = Server::new().await;
    let fields = [
        ("RetrieveBody", "", "top_k"),
        ("CandidatesBody", "/candidates", "lexical"),
        ("CandidatesBody", "/candidates", "dense"),
        ("FusionBody", "/fusion", "k"),
        ("WeightsBody", "/fusion/weights", "dense"),
        ("RerankBody", "/rerank", "candidates"),
        ("RerankBody", "/rerank", "blend"),
        ("RerankBody", "/rerank", "deadline_ms"),
        ("ContextBody", "/context", "max_tokens"),
    ];
    for (schema, parent, field) in fields {
        let bounds = &DOCUMENT["components"]["schemas"][schema]["properties"][field];
        let mut tries = Vec::new();
        if let Some(least) = bounds["minimum"].as_i64() {
            tries.extend([(least, 200), (least - 1, 400)]);
        }
        if let Some(most) = bounds["maximum"].as_i64() {
            tries.extend([(most, 200), (most + 1, 400)]);
        }
        assert!(!tries.is_empty(), "{schema}.{field} has no bounds");
        for (value, status) in tries {
            let mut body = json!({ "query": "x", "candidates": {}, "fusion": { "weights": {} }, "rerank": {}, "context": {} });
            body.pointer_mut(parent).unwrap()[field] = json!(value);
            let answer = server.post("/retrieve", &body).await;
            assert_eq!(
                answer.status,
                status,
                "{field} = {value}: {}",
                answer.text()
            );
            assert_eq!(
                contract::accepts("/retrieve", "post", &body),
                status == 200,
                "{body}"
            );
            if status == 400 {
                let pointer = format!("{parent}/{field}");
                assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
            }
        }
    }
}
