//! Bodies and routes that are refused before a field is looked at.

use axum::http::Method;
use braid_core::ErrorCode;
use serde_json::json;

use crate::server::{Call, Server};

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let server = Server::new().await;
    let writes = [
        (Method::POST, "/retrieve"),
        (Method::POST, "/v1/retrieve"),
        (Method::PUT, "/v1/collections/other"),
        (Method::PUT, "/v1/collections/default/synonyms"),
        (Method::PUT, "/v1/collections/default/documents/a"),
        (Method::POST, "/v1/collections/default/documents"),
        (Method::POST, "/v1/collections/default/documents/delete"),
    ];
    for (method, path) in writes {
        for kind in [
            "image/png",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "",
        ] {
            let call = Call::new(method.clone(), path).json("{}");
            let answer = server.send(call.header("content-type", kind)).await;
            answer.problem(415, ErrorCode::UnsupportedMediaType);
        }
    }
    let said = Call::post("/retrieve", &json!({ "query": "x" }))
        .header("content-type", "Application/JSON; charset=utf-8");
    server.send(said).await.ok(200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let server = Server::new().await;
    let limit = 256 * 1024;
    for path in ["/retrieve", "/v1/collections/default/documents"] {
        let call = Call::post(path, &json!({})).json(vec![b' '; limit + 1]);
        let answer = server.send(call).await;
        let problem = answer.problem(413, ErrorCode::TooLarge);
        assert!(problem["detail"].as_str().unwrap().contains("262144 bytes"));
        let call = Call::post(path, &json!({})).json(vec![b' '; limit]);
        let at_limit = server.send(call).await;
        at_limit.problem(400, ErrorCode::MalformedJson);
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let server = Server::new().await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/",
        "/retrieve/",
        "/v1/collections/default/documents/a/b",
    ] {
        let answer = server.get(path).await;
        answer.problem(404, ErrorCode::RouteNotFound);
    }
    let cases = [
        (Method::GET, "/retrieve", "POST"),
        (Method::DELETE, "/v1/collections", "GET,HEAD"),
        (
            Method::POST,
            "/v1/collections/default",
            "GET,HEAD,PUT,DELETE",
        ),
        (
            Method::PATCH,
            "/v1/collections/default/documents/a",
            "GET,HEAD,PUT,DELETE",
        ),
        (Method::POST, "/healthz", "GET,HEAD"),
    ];
    for (method, path, allowed) in cases {
        let answer = server.send(Call::new(method, path)).await;
        answer.problem(405, ErrorCode::MethodNotAllowed);
        let sorted = |list: &str| {
            let mut methods: Vec<_> = list.split(',').map(str::to_owned).collect();
            methods.sort();
            methods
        };
        assert_eq!(
            sorted(answer.header("allow").unwrap()),
            sorted(allowed),
            "{path}"
        );
    }
}
