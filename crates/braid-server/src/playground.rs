//! `GET /`: a page to try retrieval on, with the scores of every stage. Everything it loads comes
//! from this server.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use crate::app::App;

/// Nothing but this page's own script and style, and calls to this server.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(page))
        .route("/playground.js", get(script))
        .route("/playground.css", get(style))
}

async fn page() -> impl IntoResponse {
    let policy = (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    ([policy], Html(include_str!("playground/index.html")))
}

async fn script() -> impl IntoResponse {
    asset(
        "text/javascript; charset=utf-8",
        include_str!("playground/playground.js"),
    )
}

async fn style() -> impl IntoResponse {
    asset(
        "text/css; charset=utf-8",
        include_str!("playground/playground.css"),
    )
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
