//! Pages for people: whole, from this server alone.

use axum::http::Method;

use crate::server::{Call, Server, Setup};

/// Addresses that a page loads.
fn loaded_by(page: &str) -> Vec<&str> {
    ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

async fn page(server: &Server, path: &str, kind: &str) -> String {
    let answer = server.send_unchecked(Call::get(path)).await;
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.media_type(), kind, "{path}");
    assert!(!answer.body.is_empty(), "{path}");
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn the_playground_is_whole_and_locked_down() {
    let server = Setup::default().open().await;
    let answer = server.send_unchecked(Call::get("/")).await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = answer.text();
    let mut loaded = loaded_by(html);
    loaded.retain(|address| !["/docs/", "/openapi.json", "/metrics"].contains(address));
    loaded.sort_unstable();
    loaded.dedup();
    assert_eq!(
        loaded,
        ["/playground.css", "/playground.js", "/playground.svg"]
    );
    page(&server, "/playground.css", "text/css").await;
    page(&server, "/playground.svg", "image/svg+xml").await;
    let script = page(&server, "/playground.js", "text/javascript").await;
    for markup in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(
            !script.contains(markup),
            "{markup} could run what was ingested"
        );
    }
    assert!(
        !html.contains("<script>") && !html.contains(" style="),
        "the policy forbids it"
    );
}

#[tokio::test]
async fn the_reference_is_whole_and_shows_this_document() {
    let server = Setup::default().open().await;
    let bare = server.send_unchecked(Call::get("/docs")).await;
    assert_eq!(
        (bare.status, bare.header("location")),
        (303, Some("/docs/"))
    );
    let html = page(&server, "/docs/", "text/html").await;
    let assets = loaded_by(&html);
    assert!(assets.len() >= 5, "{assets:?}");
    for asset in assets {
        let path = asset.strip_prefix("./").unwrap_or(asset);
        assert!(!path.contains("//"), "{path} is somewhere else");
        let answer = server
            .send_unchecked(Call::get(&format!("/docs/{path}")))
            .await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
    }
    let start = page(&server, "/docs/swagger-initializer.js", "text/javascript").await;
    assert!(start.contains("\"/openapi.json\""), "{start}");
    assert!(
        start.contains("\"validatorUrl\": \"none\""),
        "it would ask the internet: {start}"
    );
    let answer = server.send_unchecked(Call::get("/docs/")).await;
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    let missing = server.send_unchecked(Call::get("/docs/none.js")).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn pages_only_take_gets() {
    let server = Setup::default().open().await;
    for path in ["/", "/playground.js", "/docs/", "/openapi.json"] {
        let answer = server.send_unchecked(Call::new(Method::POST, path)).await;
        answer.problem(405, braid_core::ErrorCode::MethodNotAllowed);
    }
}
