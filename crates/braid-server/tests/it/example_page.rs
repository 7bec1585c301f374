//! `docs/http-api.md` is true: its requests are sent in order and its answers compared. With
//! `BRAID_UPDATE_DOCS` set, the answers are written instead.

use std::fmt::Write as _;
use std::path::PathBuf;

use axum::http::Method;
use serde_json::Value;

use crate::contract::DOCUMENT;
use crate::server::{Answer, Call, Setup};
use crate::tree::Tree;

/// Fields that differ from run to run; only their types are compared.
const VOLATILE: [&str; 13] = [
    "request_id",
    "next_cursor",
    // Purges of deleted documents have a place in the log too.
    "sequence",
    "lag",
    "job_id",
    "created_at_ms",
    "updated_at_ms",
    "acknowledged_at_ms",
    "fingerprint",
    "timings_ms",
    "collection_state",
    "age_seconds",
    "reconciling",
];
const OPEN: &str = "```http\n";
const CLOSE: &str = "\n```\n";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-api.md")
}

#[tokio::test]
async fn the_examples_are_true() {
    let text = std::fs::read_to_string(page()).unwrap();
    let server = Setup::default().open().await;
    let mut written = String::new();
    let (mut job, mut cursor) = (String::new(), String::new());
    let mut rest = text.as_str();
    let mut asked = Vec::new();
    while let Some((prose, example)) = rest.split_once(OPEN) {
        let (request, after) = example.split_once(CLOSE).unwrap();
        let (expected, after) = answer_after(after);
        let named = request.replace("JOB_ID", &job);
        let call = request_of(&named.replace("NEXT_CURSOR", &cursor));
        asked.push(format!("{} {}", call.method, call.path));
        let answer = server.send(call).await;
        if let Some(id) = answer.json()["job_id"].as_str() {
            id.clone_into(&mut job);
        }
        if let Some(next) = answer.json()["next_cursor"].as_str() {
            next.clone_into(&mut cursor);
        }
        if std::env::var_os("BRAID_UPDATE_DOCS").is_none() {
            compare(request, expected.unwrap_or(""), &answer);
        }
        let shown = show(&answer);
        write!(
            written,
            "{prose}{OPEN}{request}{CLOSE}\n{OPEN}{shown}{CLOSE}"
        )
        .unwrap();
        rest = after;
    }
    written.push_str(rest);
    if std::env::var_os("BRAID_UPDATE_DOCS").is_some() {
        std::fs::write(page(), written).unwrap();
    }
    assert_complete(&text, &asked);
}

/// Every path of the API is on the page.
fn assert_complete(text: &str, asked: &[String]) {
    assert!(asked.len() >= 15, "{asked:?}");
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let said =
                text.contains(&format!("{method} {path}")) || text.contains(&format!("`{path}`"));
            assert!(said, "{method} {path} is not on the page");
        }
    }
}

/// The answer that follows a request, if there is one, and what is after it.
fn answer_after(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix(&format!("\n{OPEN}HTTP/1.1 ")) {
        Some(answer) => {
            let (answer, after) = answer.split_once(CLOSE).unwrap();
            (Some(answer), after)
        }
        None => (None, text),
    }
}

fn request_of(text: &str) -> Call {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let mut call = Call::new(Method::from_bytes(method.as_bytes()).unwrap(), path);
    if !body.is_empty() {
        call = call.json(body);
    }
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(name, "Idempotency-Key");
        call = call.key(value);
    }
    call
}

/// An answer as the page shows it.
fn show(answer: &Answer) -> String {
    let status = axum::http::StatusCode::from_u16(answer.status).unwrap();
    let mut text = format!("HTTP/1.1 {status}\nContent-Type: {}\n", answer.media_type());
    for name in ["Idempotency-Replayed", "Retry-After"] {
        if let Some(value) = answer.header(&name.to_ascii_lowercase()) {
            writeln!(text, "{name}: {value}").unwrap();
        }
    }
    format!("{text}\n{}", Tree::of(&answer.body).pretty(0))
}

#[track_caller]
fn compare(request: &str, expected: &str, answer: &Answer) {
    let (head, body) = expected.split_once("\n\n").unwrap_or((expected, "null"));
    let shown = show(answer);
    let now = shown.strip_prefix("HTTP/1.1 ").unwrap();
    let remedy = "run this test with BRAID_UPDATE_DOCS=1 and read the difference";
    assert_eq!(
        head,
        now.split("\n\n").next().unwrap(),
        "{request}: {remedy}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    let same = same(&body, &answer.json());
    assert!(
        same,
        "{request}\n{body:#}\nis now\n{:#}\n{remedy}",
        answer.json()
    );
}

/// Whether two answers differ only where every run does.
fn same(page: &Value, now: &Value) -> bool {
    match (page, now) {
        (Value::Object(page), Value::Object(now)) => {
            page.keys().eq(now.keys())
                && page.iter().all(|(key, page)| {
                    let now = &now[key];
                    let is_job = key == "id" && is_uuid(page) && is_uuid(now);
                    is_job
                        || VOLATILE.contains(&key.as_str()) && alike(page, now)
                        || same(page, now)
                })
        }
        (Value::Array(page), Value::Array(now)) => {
            page.len() == now.len() && page.iter().zip(now).all(|(page, now)| same(page, now))
        }
        (Value::Number(page), Value::Number(now)) => {
            let (page, now) = (page.as_f64().unwrap(), now.as_f64().unwrap());
            (page - now).abs() <= 1e-3 * now.abs()
        }
        (page, now) => page == now,
    }
}

/// Whether two values have the same type and the same fields.
fn alike(page: &Value, now: &Value) -> bool {
    match (page, now) {
        (Value::Object(page), Value::Object(now)) => page.keys().eq(now.keys()),
        (page, now) => std::mem::discriminant(page) == std::mem::discriminant(now),
    }
}

fn is_uuid(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| uuid::Uuid::parse_str(text).is_ok())
}

#[test]
fn a_false_example_is_found() {
    let answer = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let page = answer(r#"{"score": 0.0328, "hits": [1], "request_id": "a"}"#);
    assert!(same(
        &page,
        &answer(r#"{"score": 0.03281, "hits": [1], "request_id": "b"}"#)
    ));
    assert!(!same(
        &page,
        &answer(r#"{"score": 0.0331, "hits": [1], "request_id": "b"}"#)
    ));
    assert!(!same(
        &page,
        &answer(r#"{"score": 0.0328, "hits": [2], "request_id": "b"}"#)
    ));
    assert!(!same(
        &page,
        &answer(r#"{"score": 0.0328, "hits": [1], "request_id": 1}"#)
    ));
    assert!(!same(&page, &answer(r#"{"score": 0.0328, "hits": []}"#)));
}
