//! `/openapi.json` is what is served. Answers are checked by every test (see `contract`); here are
//! routes, requests and limits.

use std::collections::BTreeMap;

use axum::http::Method;
use braid_core::limits::{
    MAX_BULK_DOCUMENTS, MAX_CANDIDATES, MAX_COLLECTION_NAME_BYTES, MAX_CONTEXT_TOKENS,
    MAX_DOCUMENT_ID_BYTES, MAX_FILTER_CONDITIONS, MAX_FUSION_K, MAX_IDEMPOTENCY_KEY_BYTES,
    MAX_LEG_WEIGHT, MAX_METADATA_ARRAY, MAX_OTHER_PHRASINGS, MAX_QUERY_BYTES, MAX_SCOPE_BYTES,
    MAX_TITLE_BYTES, MAX_TOP_K,
};
use braid_core::{ErrorCode, LanguageSetting};
use serde_json::{Value, json};

use crate::contract::{self, DOCUMENT, objects};
use crate::server::{Call, Server};

/// Every operation: method, path, id. What is not here is not served.
const OPERATIONS: &str = "\
post /embed embed
get /healthz healthz
get /metrics metrics
get /readyz readyz
post /rerank rank_texts
post /retrieve retrieve
delete /v1/cache delete_answers
post /v1/cache/lookup lookup_answer
post /v1/cache/store store_answer
get /v1/collections list_collections
delete /v1/collections/{collection} delete_collection
get /v1/collections/{collection} get_collection
put /v1/collections/{collection} put_collection
get /v1/collections/{collection}/chunks/{chunk_id} get_chunk
get /v1/collections/{collection}/documents list_documents
post /v1/collections/{collection}/documents put_documents
post /v1/collections/{collection}/documents/delete delete_documents
delete /v1/collections/{collection}/documents/{id} delete_document
get /v1/collections/{collection}/documents/{id} get_document
put /v1/collections/{collection}/documents/{id} put_document
get /v1/collections/{collection}/documents/{id}/chunks list_chunks
get /v1/collections/{collection}/failures list_failures
post /v1/collections/{collection}/failures/retry retry_failures
get /v1/collections/{collection}/synonyms get_synonyms
put /v1/collections/{collection}/synonyms put_synonyms
post /v1/embeddings create_embeddings
post /v1/explain explain
get /v1/jobs list_jobs
get /v1/jobs/{id} get_job
post /v1/jobs/{id}/cancel cancel_job
post /v1/jobs/{id}/retry retry_job
get /v1/models list_models
post /v1/rerank rerank
post /v1/retrieve retrieve_v1
post /v1/retrieve/batch retrieve_batch
post /v2/rerank rerank_v2
";

#[test]
fn the_document_has_these_operations() {
    let mut documented = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            documented.push(((path, method), format!("{method} {path} {id}")));
            assert_ne!(operation["summary"], Value::Null, "{id} says what it does");
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{id}");
        }
    }
    documented.sort();
    let documented: Vec<_> = documented.into_iter().map(|(_, line)| line).collect();
    assert_eq!(documented, OPERATIONS.lines().collect::<Vec<_>>());
}

/// An operation is served if its path takes its method; other methods are refused.
#[tokio::test]
async fn the_routes_are_the_documented_ones() {
    let server = Server::new().await;
    let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in OPERATIONS.lines() {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, _) = rest.split_once(' ').unwrap();
        methods.entry(path).or_default().push(method.to_uppercase());
    }
    for (path, mut methods) in methods {
        if methods.contains(&"GET".to_owned()) {
            methods.push("HEAD".to_owned());
        }
        if path.ends_with("/documents/delete") {
            // Also the path of the document whose id is `delete`.
            methods.extend(["GET", "HEAD", "PUT", "DELETE"].map(str::to_owned));
        }
        methods.sort();
        let path = path
            .replace("{collection}", "default")
            .replace("{id}", "x")
            .replace("{chunk_id}", "x");
        let answer = server.send(Call::new(Method::TRACE, &path)).await;
        answer.problem(405, ErrorCode::MethodNotAllowed);
        let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let server = Server::new().await;
    let answer = server.send_unchecked(Call::get("/openapi.json")).await;
    assert_eq!(answer.ok(200), *DOCUMENT);
    assert_eq!(answer.media_type(), "application/json");
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    assert_eq!(DOCUMENT["info"]["title"], "Braid");
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_reference_resolves_and_every_schema_is_used() {
    let mut referenced = Vec::new();
    for (at, object) in objects() {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(DOCUMENT.pointer(pointer).is_some(), "{at}: {reference}");
            referenced.push(reference.to_owned());
        }
    }
    for name in DOCUMENT["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        let reference = format!("#/components/schemas/{name}");
        assert!(referenced.contains(&reference), "{name} is used nowhere");
    }
}

#[test]
fn every_schema_and_field_is_described() {
    for (at, object) in objects() {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else {
            continue;
        };
        if !at.starts_with("/components/schemas/") {
            continue;
        }
        for (name, schema) in properties {
            let inner = schema["oneOf"].as_array().into_iter().flatten();
            let described = schema.get("description").is_some()
                || schema.get("$ref").is_some()
                || inner.into_iter().any(|schema| schema.get("$ref").is_some());
            assert!(described, "{at}/{name}");
        }
    }
}

/// Every JSON request with an example that is accepted.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let condition = |predicate: &str, value: Value| json!({ "key": "k", predicate: value });
    let mut requests = crate::explain::requests();
    requests.extend(crate::cache::requests());
    requests.extend(crate::models::requests());
    requests.extend([
        (
            "put",
            "/v1/collections/{collection}",
            json!({
                "chunking": { "strategy": "structure", "target_tokens": 180, "overlap_tokens": 0, "formats": { "code": {} } },
                "duplicates": { "action": "report", "min_similarity": 1.0 },
                "language": "auto",
            }),
        ),
        (
            "put",
            "/v1/collections/{collection}/synonyms",
            json!({ "rules": ["k8s, kubernetes", "ml => machine learning"] }),
        ),
        (
            "put",
            "/v1/collections/{collection}/documents/{id}",
            json!({
                "id": "x", "text": "x", "title": "t", "uri": "u", "format": "text",
                "metadata": { "s": "x", "n": 1.5, "b": false, "l": ["x"] },
                "origin": { "hash": "0".repeat(64), "parser": "p 1" },
            }),
        ),
        (
            "post",
            "/v1/collections/{collection}/failures/retry",
            json!({ "ids": ["x"] }),
        ),
        (
            "post",
            "/v1/collections/{collection}/documents",
            json!({
                "documents": [{ "id": "y", "text": "x", "title": null, "metadata": { "k": 1 } }],
            }),
        ),
        (
            "post",
            "/v1/collections/{collection}/documents/delete",
            json!({ "ids": ["x"] }),
        ),
        (
            "post",
            "/v1/collections/{collection}/documents/delete",
            json!({
                "filter": { "must": [condition("match", json!(1))] },
            }),
        ),
    ]);
    requests
}

fn path_of(template: &str) -> String {
    template
        .replace("{collection}", "default")
        .replace("{id}", "x")
}

#[test]
fn the_list_of_requests_has_every_body() {
    let mut documented = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("requestBody").is_some() {
                documented.push((method.clone(), path.clone()));
            }
        }
    }
    let mut listed: Vec<_> = requests()
        .into_iter()
        .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
        .collect();
    listed.sort();
    listed.dedup();
    documented.sort();
    assert_eq!(listed, documented);
}

#[tokio::test]
async fn schema_and_server_agree_on_unknown_fields() {
    let server = crate::models::with_reranker().await;
    for (method, template, body) in requests() {
        assert!(
            contract::accepts(template, method, &body),
            "{template} {body}"
        );
        let call = |body: &Value| {
            Call::new(method.to_uppercase().parse().unwrap(), &path_of(template))
                .json(body.to_string())
        };
        let answer = server.send(call(&body)).await;
        assert!(answer.status < 300, "{template}: {}", answer.text());
        for pointer in object_pointers(&body) {
            if pointer.ends_with("/metadata") {
                continue;
            }
            let mut changed = body.clone();
            let object = changed
                .pointer_mut(&pointer)
                .unwrap()
                .as_object_mut()
                .unwrap();
            object.insert("surprise".to_owned(), json!(1));
            assert!(
                !contract::accepts(template, method, &changed),
                "{template} {pointer}"
            );
            let answer = server.send(call(&changed)).await;
            if pointer.starts_with("/requests/") {
                // One request of a batch is refused alone.
                let failed = answer.ok(200)["failed"].take();
                assert_eq!(failed, 1, "{pointer}");
                continue;
            }
            answer.problem(400, ErrorCode::InvalidRequest);
        }
    }
}

#[test]
fn every_request_object_is_closed() {
    let mut names = Vec::new();
    for (at, object) in objects() {
        if at.ends_with("/requestBody") {
            collect_schemas(&Value::Object(object), &mut names);
        }
    }
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let schema = &DOCUMENT["components"]["schemas"][&name];
        if schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], false, "{name}");
        }
    }
}

/// Names of every schema within reach of `value`.
fn collect_schemas(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next())
                && !names.contains(&name.to_owned())
            {
                names.push(name.to_owned());
                collect_schemas(&DOCUMENT["components"]["schemas"][name], names);
            }
            object
                .values()
                .for_each(|value| collect_schemas(value, names));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_schemas(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Pointers of the objects in `body`, its own first.
fn object_pointers(body: &Value) -> Vec<String> {
    fn walk(pointer: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.push(pointer.to_owned());
                for (key, value) in object {
                    walk(&format!("{pointer}/{key}"), value, found);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    walk(&format!("{pointer}/{index}"), value, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk("", body, &mut found);
    found
}

#[test]
fn limits_are_the_enforced_ones() {
    let check = |pointer: &str, keyword: &str, limit: usize| {
        let schema = DOCUMENT.pointer(&format!("/components/schemas/{pointer}"));
        let schema = schema.unwrap_or_else(|| panic!("no {pointer}"));
        assert_eq!(schema[keyword], limit, "{pointer} {keyword} in {schema}");
    };
    check(
        "RetrieveBody/properties/query",
        "maxLength",
        MAX_QUERY_BYTES,
    );
    check("RetrieveBody/properties/query", "minLength", 1);
    check(
        "RetrieveBody/properties/also",
        "maxItems",
        MAX_OTHER_PHRASINGS,
    );
    check("BatchBody/properties/requests", "minItems", 1);
    check("RetrieveBody/properties/top_k", "maximum", MAX_TOP_K);
    check("RetrieveBody/properties/top_k", "minimum", 1);
    for leg in ["lexical", "dense"] {
        let depth = format!("CandidatesBody/properties/{leg}");
        check(&depth, "maximum", MAX_CANDIDATES);
        check(&depth, "minimum", 1);
    }
    check(
        "RerankBody/properties/candidates",
        "maximum",
        MAX_CANDIDATES,
    );
    check(
        "ContextBody/properties/max_tokens",
        "maximum",
        MAX_CONTEXT_TOKENS,
    );
    let most_weight = MAX_LEG_WEIGHT as usize;
    check("WeightsBody/properties/lexical", "maximum", most_weight);
    check("WeightsBody/properties/dense", "maximum", most_weight);
    check("FusionBody/properties/k", "maximum", MAX_FUSION_K as usize);
    check("RerankBody/properties/blend", "maximum", 1);
    check(
        "BulkBody/properties/documents",
        "maxItems",
        MAX_BULK_DOCUMENTS,
    );
    check("BulkBody/properties/documents", "minItems", 1);
    check(
        "DeleteDocumentsBody/properties/ids",
        "maxItems",
        MAX_BULK_DOCUMENTS,
    );
    check(
        "DocumentBody/properties/id",
        "maxLength",
        MAX_DOCUMENT_ID_BYTES,
    );
    for field in ["title", "uri"] {
        check(
            &format!("DocumentBody/properties/{field}"),
            "maxLength",
            MAX_TITLE_BYTES,
        );
        check(
            &format!("PutDocumentBody/properties/{field}"),
            "maxLength",
            MAX_TITLE_BYTES,
        );
    }
    for group in ["must", "should", "must_not"] {
        check(
            &format!("Filter/properties/{group}"),
            "maxItems",
            MAX_FILTER_CONDITIONS,
        );
    }
    check(
        "AnyCondition/properties/any",
        "maxItems",
        MAX_METADATA_ARRAY,
    );
    let languages: Vec<&str> = LanguageSetting::names().collect();
    assert_eq!(
        DOCUMENT["components"]["schemas"]["LanguageName"]["enum"],
        json!(languages)
    );
}

#[test]
fn parameters_have_the_enforced_limits() {
    let mut seen = 0;
    for (at, object) in objects() {
        let name = object.get("in").and(object.get("name"));
        let Some(name) = name.and_then(Value::as_str) else {
            continue;
        };
        let schema = &object["schema"];
        match name {
            "Idempotency-Key" => {
                assert_eq!(schema["maxLength"], MAX_IDEMPOTENCY_KEY_BYTES, "{at}");
                assert_eq!(object["required"], false, "{at}");
            }
            "id" if at.contains("documents") => {
                assert_eq!(schema["maxLength"], MAX_DOCUMENT_ID_BYTES, "{at}");
            }
            "id" => assert_eq!(object["required"], true, "{at}"),
            "collection" => {
                let rest = MAX_COLLECTION_NAME_BYTES - 1;
                let pattern = format!("^[a-z0-9][a-z0-9_-]{{0,{rest}}}$");
                assert_eq!(schema["pattern"], pattern, "{at}");
            }
            "wait" => assert_eq!(schema["enum"], json!(["none", "indexed"]), "{at}: {schema}"),
            "limit" => {
                let most = if at.contains("documents") { 1000 } else { 100 };
                assert_eq!(
                    (&schema["minimum"], &schema["maximum"]),
                    (&json!(1), &json!(most))
                );
            }
            "items" => assert_eq!(
                schema["enum"],
                json!(["all", "unsuccessful", "none"]),
                "{at}"
            ),
            "title" | "uri" => assert_eq!(schema["maxLength"], MAX_TITLE_BYTES, "{at}"),
            "scope" => assert_eq!(schema["maxLength"], MAX_SCOPE_BYTES, "{at}"),
            "cursor" | "metadata" => {}
            "chunk_id" => assert_eq!(object["required"], true, "{at}"),
            other => panic!("{other} at {at} is not checked"),
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}
