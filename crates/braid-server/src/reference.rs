//! `GET /docs`: the API reference (Swagger UI), which needs nothing but this server.

use axum::Router;
use axum::http::{HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;

/// Swagger UI styles elements in place and has images within its style sheet.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The reference and the document that it shows.
pub(crate) fn router(document: utoipa::openapi::OpenApi) -> Router<App> {
    // Without this it asks a validator on the internet about the document.
    let config = Config::from("/openapi.json").validator_url("none");
    let pages = SwaggerUi::new("/docs")
        .url("/openapi.json", document)
        .config(config);
    Router::from(pages).layer(SetResponseHeaderLayer::overriding(
        header::CONTENT_SECURITY_POLICY,
        CONTENT_SECURITY_POLICY,
    ))
}
