//! Two Braids: one has the models, the other neither weights nor ONNX Runtime. As in docs/models.md.

use std::path::Path;

use serde_json::{Value, json};

use crate::run::{Place, Ran};
use crate::serve::Server;

const MODELS: [&str; 2] = ["all-MiniLM-L6-v2-int8", "braid-rerank-mini-en"];

/// A place with the models' folders, their weights left out, and a configuration that names `url`.
fn without_weights(url: &str) -> Place {
    let place = Place::new();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for model in MODELS {
        for file in ["manifest.json", "tokenizer.json"] {
            let content = std::fs::read(bundled.join(model).join(file)).unwrap();
            place.write(&format!("models/{model}/{file}"), content);
        }
    }
    let settings = format!(
        "[models]\ndir = \"models\"\nembedder_endpoints = \"{url}/v1/embeddings\"\nreranker_endpoints = \"{url}/v1/rerank\"\n[retrieve]\nrerank_deadline_ms = 60000\nleg_timeout_ms = 60000\n"
    );
    place.write("braid.toml", settings);
    place
}

/// Runs with `--json`, where there is no ONNX Runtime.
fn run(place: &Place, arguments: &[&str]) -> (i32, Value) {
    let mut command = place.command(&[arguments, &["--json"]].concat());
    let ran = Ran::of(
        command
            .env("BRAID_ORT_LIB", "/nonexistent")
            .output()
            .unwrap(),
    );
    let answer = serde_json::from_str(&ran.stdout);
    let answer = answer.unwrap_or_else(|_| panic!("{} {}", ran.stdout, ran.stderr));
    (ran.status, answer)
}

fn said(report: &Value, check: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {report:#}"));
    format!("{} {}", found["level"], found["message"])
}

#[test]
fn one_braid_ingests_and_retrieves_with_the_models_of_another() {
    let models = Place::new();
    let server = Server::start(&models, &[]);
    let place = without_weights(&server.url());
    place.write("docs/fox.md", "# Foxes\n\nThe red fox sleeps in its den.");
    place.write("docs/bank.md", "# Banks\n\nInterest rates were raised.");
    let (status, report) = run(&place, &["doctor"]);
    assert_eq!(status, 0, "{report:#}");
    assert!(said(&report, "library").contains("not needed"));
    for check in ["embedder server", "reranker server"] {
        let said = said(&report, check);
        assert!(
            said.contains("ok") && said.contains(&server.url()),
            "{said}"
        );
    }
    let (status, report) = run(&place, &["ingest", "docs"]);
    assert_eq!(status, 0, "{report:#}");
    let (status, answer) = run(&place, &["retrieve", "where does the animal rest"]);
    assert_eq!((status, &answer["degraded"]), (0, &json!([])), "{answer:#}");
    assert_eq!(answer["hits"][0]["source"]["title"], "Foxes");
    assert_eq!(answer["rerank"]["scored"], 2);
    drop(server);
    let (_, report) = run(&place, &["doctor"]);
    assert!(
        said(&report, "embedder server").contains("warning"),
        "{report:#}"
    );
    let said = said(&report, "embedder");
    assert!(said.contains("its servers' answers are above"), "{said}");
    let (status, answer) = run(&place, &["retrieve", "red fox den"]);
    assert_eq!(status, 0, "{answer:#}");
    let degraded = answer["degraded"].as_array().unwrap();
    assert_eq!(degraded.len(), 2, "{answer:#}");
    assert_eq!(answer["hits"][0]["source"]["title"], "Foxes");
}
