//! Documents that are sent as they are: text, and files that a process of their own parses.

use std::time::{Duration, Instant};

use braid_core::ErrorCode;
use braid_engine::file::isolated::{ParseLimits, Parser};
use serde_json::{Value, json};

use crate::server::{Call, Server, Setup};

const PDF: &str = "application/pdf";
const ONE: &str = "/v1/collections/default/documents/a";

/// Runs `script` in the place of the parser; its first argument is the kind of file.
fn shell(script: &str, limits: ParseLimits) -> Parser {
    let arguments = vec!["-c".into(), script.into(), "parser".into()];
    Parser::new("/bin/sh".into(), arguments, limits)
}

/// Says what it was given, and the kind as the title.
const ECHO: &str = r#"text=$(cat); printf '{"bytes":%d,"format":"markdown","title":"A %s"}\n%s' "${#text}" "$1" "$text""#;

async fn with_parser(parser: Parser) -> Server {
    let setup = Setup {
        parser: Some(parser),
        ..Setup::default()
    };
    let server = setup.open().await;
    server
        .put("/v1/collections/default", &json!({}))
        .await
        .ok(200);
    server
}

async fn stored(server: &Server) -> Value {
    server.get(ONE).await.ok(200)
}

#[tokio::test]
async fn text_is_stored_in_the_format_that_its_media_type_says() {
    let server = Server::new().await;
    let place = format!(
        "{ONE}?wait=indexed&title=T&uri=u%3Ax&metadata=%7B%22n%22%3A1%2C%22s%22%3A%22x%22%7D"
    );
    let put = Call::put_as(&place, "Text/Markdown; charset=UTF-8", "# Harbour\n\nDues.");
    assert_eq!(server.send(put).await.ok(200)["result"], "created");
    let found = stored(&server).await;
    assert_eq!(
        (&found["title"], &found["uri"]),
        (&json!("T"), &json!("u:x"))
    );
    assert_eq!(found["format"], "markdown");
    assert_eq!(found["metadata"], json!({"n": 1, "s": "x"}));
    assert_eq!(
        (&found["text"], &found["origin"]),
        (&json!("# Harbour\n\nDues."), &Value::Null)
    );
    for (media_type, format) in [("text/html", "html"), ("text/plain", "text")] {
        let put = Call::put_as(ONE, media_type, "<p>Some words");
        server.send(put).await.ok(202);
        assert_eq!(stored(&server).await["format"], format);
    }
    let utf16: Vec<u8> = "\u{feff}é"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    server
        .send(Call::put_as(ONE, "text/plain", utf16))
        .await
        .ok(202);
    assert_eq!(stored(&server).await["text"], "é");
}

#[tokio::test]
async fn a_file_is_parsed_and_its_text_stored_with_its_origin() {
    let server = with_parser(shell(ECHO, ParseLimits::default())).await;
    let put = Call::put_as(&format!("{ONE}?wait=indexed"), PDF, "# In it\n\nwords");
    server.send(put.clone()).await.ok(200);
    let found = stored(&server).await;
    assert_eq!(
        (&found["title"], &found["format"]),
        (&json!("A pdf"), &json!("markdown"))
    );
    let hash = blake3::hash(b"# In it\n\nwords").to_string();
    assert_eq!(found["origin"]["hash"], hash);
    let parser = found["origin"]["parser"].as_str().unwrap();
    assert!(parser.starts_with("pdf-extract "), "{parser}");
    assert_eq!(server.send(put).await.ok(200)["result"], "unchanged");
    let kinds = [
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "A docx",
        ),
        ("application/vnd.oasis.opendocument.text", "A odt"),
        ("application/epub+zip", "A epub"),
    ];
    for (media_type, title) in kinds {
        server
            .send(Call::put_as(ONE, media_type, "words"))
            .await
            .ok(202);
        assert_eq!(stored(&server).await["title"], title);
    }
    let named = Call::put_as(&format!("{ONE}?title=Mine"), PDF, "words");
    server.send(named).await.ok(202);
    let found = stored(&server).await;
    assert_eq!(found["title"], "Mine");
    let parser = found["origin"]["parser"].as_str().unwrap();
    assert!(parser.ends_with(", title given"), "{parser}");
}

#[tokio::test]
async fn a_title_that_was_given_once_is_gone_with_the_next_upload_without_one() {
    let server = with_parser(shell(ECHO, ParseLimits::default())).await;
    for (query, title, result) in [
        ("&title=Mine", "Mine", "created"),
        ("&title=Mine", "Mine", "unchanged"),
        ("&title=Other", "Other", "replaced"),
        ("", "A pdf", "replaced"),
        ("", "A pdf", "unchanged"),
        ("&title=Mine", "Mine", "replaced"),
    ] {
        let put = Call::put_as(&format!("{ONE}?wait=indexed{query}"), PDF, "words");
        assert_eq!(server.send(put).await.ok(200)["result"], result, "{query}");
        assert_eq!(stored(&server).await["title"], title, "{query}");
    }
}

#[tokio::test]
async fn the_same_file_is_not_parsed_again() {
    let traces = tempfile::tempdir().unwrap();
    let trace = traces.path().join("parses");
    let script = format!("echo parsed >> {}; {ECHO}", trace.display());
    let server = with_parser(shell(&script, ParseLimits::default())).await;
    for (query, result) in [("", "created"), ("", "unchanged"), ("&uri=u", "replaced")] {
        let place = format!("{ONE}?wait=indexed{query}");
        let put = Call::put_as(&place, PDF, "# Words").key(&format!("key {result}"));
        assert_eq!(server.send(put.clone()).await.ok(200)["result"], result);
        server.send(put).await.ok(200);
    }
    assert_eq!(std::fs::read_to_string(trace).unwrap().lines().count(), 1);
    let other_type = Call::put_as(ONE, "text/plain", "# Words").key("key created");
    let answer = server.send(other_type).await;
    answer.problem(409, ErrorCode::IdempotencyConflict);
}

#[tokio::test]
async fn a_file_that_cannot_be_parsed_is_refused_with_the_reason() {
    let small = ParseLimits {
        file_bytes: 100,
        text_bytes: 10,
        ..ParseLimits::default()
    };
    let said = r#"printf '{"error":"a scan: no text"}\n'"#;
    let scan = with_parser(shell(said, small)).await;
    let put = |size: usize| Call::put_as(ONE, PDF, vec![b'x'; size]);
    let problem = scan
        .send(put(5))
        .await
        .problem(422, ErrorCode::UnreadableDocument);
    assert_eq!(problem["detail"], "a scan: no text");
    scan.send(put(101)).await.problem(413, ErrorCode::TooLarge);
    scan.send(put(300 * 1024))
        .await
        .problem(413, ErrorCode::TooLarge);
    let long = with_parser(shell(ECHO, small)).await;
    long.send(put(11)).await.problem(413, ErrorCode::TooLarge);
    let killed = with_parser(shell("kill -9 $$", small)).await;
    killed
        .send(put(5))
        .await
        .problem(422, ErrorCode::UnreadableDocument);
    let nobody = Parser::new("/nowhere/at/all".into(), Vec::new(), small);
    let none = with_parser(nobody).await;
    none.send(put(5)).await.problem(503, ErrorCode::Unavailable);
    let without = Server::new().await;
    without
        .send(put(5))
        .await
        .problem(503, ErrorCode::Unavailable);
    let lost = Call::put_as("/v1/collections/none/documents/a", PDF, "x");
    long.send(lost)
        .await
        .problem(404, ErrorCode::CollectionNotFound);
}

#[tokio::test]
async fn a_parser_that_does_not_end_is_stopped_with_the_request() {
    let started = Instant::now();
    let server = with_parser(shell(
        "exec sleep 600",
        ParseLimits {
            time: Duration::from_millis(100),
            ..ParseLimits::default()
        },
    ))
    .await;
    let put = Call::put_as(ONE, PDF, "x");
    let problem = server
        .send(put)
        .await
        .problem(422, ErrorCode::UnreadableDocument);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("took longer"), "{detail}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_what_it_says_it_is() {
    let server = Server::new().await;
    for media_type in ["image/png", "application/msword", "text/css"] {
        let answer = server.send(Call::put_as(ONE, media_type, "x")).await;
        let problem = answer.problem(415, ErrorCode::UnsupportedMediaType);
        assert!(
            problem.to_string().contains("application/epub+zip"),
            "{problem}"
        );
    }
    let latin = Call::put_as(ONE, "text/plain; charset=\"iso-8859-1\"", "x");
    server
        .send(latin)
        .await
        .problem(415, ErrorCode::UnsupportedMediaType);
    let bytes = Call::put_as(ONE, "text/plain", b"a\xff".to_vec());
    server
        .send(bytes)
        .await
        .problem(422, ErrorCode::UnreadableDocument);
    let blank = Call::put_as(ONE, "text/plain", " \n");
    server
        .send(blank)
        .await
        .problem(422, ErrorCode::UnreadableDocument);
    let long = "t".repeat(5000);
    for (query, pointer) in [
        ("metadata=1", "/metadata"),
        ("metadata=%7B", "/metadata"),
        ("metadata=%7B%22a%22%3A%7B%7D%7D", "/metadata/a"),
        (&format!("title={long}"), "/title"),
    ] {
        let answer = server
            .send(Call::put_as(&format!("{ONE}?{query}"), "text/plain", "x"))
            .await;
        let problem = answer.problem(400, ErrorCode::InvalidRequest);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let both = Call::put(&format!("{ONE}?title=T"), &json!({ "text": "x" }));
    let problem = server
        .send(both)
        .await
        .problem(400, ErrorCode::InvalidRequest);
    assert_eq!(problem["errors"][0]["pointer"], "/title", "{problem}");
}
