//! `braid doctor`: each check, made to fail once.

use std::path::Path;

use braid_config::Settings;
use braid_core::ports::Recorded;
use braid_core::{
    CollectionName, DocumentId, Fingerprint, Format, Metadata, NewCollection, NewDocument, Sequence,
};
use braid_engine::{Engine, IngestRequest, LoadModels, OpenOptions, load_embedder};
use serde_json::Value;

use crate::run::{Place, Ran};
use crate::serve::Server;

/// What the check of that name found, of a collection or not.
#[track_caller]
fn finding<'r>(report: &'r Value, check: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {report:#}"))
}

/// Asserts that the check of that name is at `level`, and that message or remedy say `words`.
#[track_caller]
fn said(report: &Value, check: &str, level: &str, words: &[&str]) {
    let finding = finding(report, check);
    assert_eq!(finding["level"], level, "{finding:#}");
    let text = format!("{} {}", finding["message"], finding["remedy"]);
    for word in words {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

fn ingested() -> Place {
    let place = Place::new();
    place.write("docs/a.md", "# Apples\n\nAn apple a day.");
    place.write("docs/b.md", "# Bread\n\nBake the loaf.");
    place.ok(&["ingest", "docs"]);
    place
}

fn data(place: &Place) -> std::path::PathBuf {
    place.path().join("data")
}

#[test]
fn a_sound_installation_has_no_problem() {
    let place = Place::new();
    let report = place.json(&["doctor"], 0);
    said(&report, "configuration", "ok", &["readable"]);
    said(
        &report,
        "library",
        "ok",
        &["ONNX Runtime ", "libonnxruntime"],
    );
    said(&report, "embedder", "ok", &["all-MiniLM-L6-v2-int8"]);
    said(&report, "reranker", "ok", &["probe"]);
    said(
        &report,
        "data directory",
        "ok",
        &["no data", "braid ingest"],
    );
    assert!(!data(&place).exists(), "a look makes nothing");
    let report = place.json(&["doctor", "--data-dir", "elsewhere"], 1);
    said(
        &report,
        "data directory",
        "problem",
        &["no data in elsewhere"],
    );

    let place = ingested();
    let report = place.json(&["doctor"], 0);
    let levels = report["findings"].as_array().unwrap().iter();
    let warnings: Vec<_> = levels.filter(|finding| finding["level"] != "ok").collect();
    // The disk is not this test's.
    assert!(
        warnings.iter().all(|it| it["check"] == "disk"),
        "{warnings:#?}"
    );
    for check in [
        "fingerprints",
        "lag",
        "failed documents",
        "lexical index",
        "vector store",
        "boilerplate",
    ] {
        assert_eq!(finding(&report, check)["collection"], "default", "{check}");
    }
    let text = place.ok(&["doctor", "--quick"]);
    assert!(!text.contains("boilerplate"), "{text}");
    assert!(text.contains("default: lag: everything"), "{text}");
    assert!(
        text.lines().last().unwrap().starts_with("problems: 0"),
        "{text}"
    );
}

/// The port is of nobody: each check says so by itself, and the ledger is looked at all the same.
#[test]
fn a_vector_server_that_is_away() {
    let place = ingested();
    place.write(
        "braid.toml",
        "[storage]\nprofile = \"qdrant\"\n[qdrant]\nurl = \"http://127.0.0.1:1\"\nretry_first_ms = 1\n",
    );
    let report = place.json(&["doctor", "--quick"], 1);
    said(
        &report,
        "qdrant",
        "problem",
        &["cannot be reached", "qdrant.url"],
    );
    said(&report, "vector store", "problem", &["qdrant.url"]);
    said(&report, "lexical index", "ok", &[]);
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let place = Place::new();
    place.write("braid.toml", "[retrieve]\ntop_k = 0\n");
    let report = place.json(&["doctor"], 1);
    said(
        &report,
        "configuration",
        "problem",
        &["top_k", "docs/configuration.md"],
    );
    let report = place.json(&["doctor", "--config", "absent.toml"], 1);
    said(&report, "configuration", "problem", &["absent.toml"]);
}

#[test]
fn a_missing_library_leaves_the_other_checks() {
    let place = ingested();
    let mut command = place.command(&["doctor", "--json"]);
    let ran = Ran::of(
        command
            .env("BRAID_ORT_LIB", "/nonexistent")
            .output()
            .unwrap(),
    );
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let report = serde_json::from_str(&ran.stdout).unwrap();
    said(
        &report,
        "library",
        "problem",
        &["/nonexistent", "make models"],
    );
    said(&report, "embedder", "warning", &["its files are as listed"]);
    said(&report, "reranker", "warning", &["for want of the library"]);
    said(
        &report,
        "fingerprints",
        "warning",
        &["for want of the embedder"],
    );
    said(&report, "lexical index", "ok", &["2 entries"]);
}

#[test]
fn a_damaged_model() {
    let place = Place::new();
    let name = "all-MiniLM-L6-v2-int8";
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for entry in std::fs::read_dir(bundled.join(name)).unwrap() {
        let entry = entry.unwrap();
        let mut content = std::fs::read(entry.path()).unwrap();
        let file = entry.file_name().into_string().unwrap();
        if file == "model.onnx" {
            let middle = content.len() / 2;
            content[middle] ^= 0xff;
        }
        place.write(&format!("models/{name}/{file}"), content);
    }
    let arguments = ["doctor", "--set", "models.dir=models", "--json"];
    let ran = place.braid(&arguments);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    said(&report, "embedder", "problem", &["model.onnx", "SHA-256"]);
    assert!(finding(&report, "embedder")["remedy"].is_string());
    said(&report, "reranker", "ok", &[]);
    let mut command = place.command(&arguments);
    let ran = Ran::of(
        command
            .env("BRAID_ORT_LIB", "/nonexistent")
            .output()
            .unwrap(),
    );
    let report = serde_json::from_str(&ran.stdout).unwrap();
    said(
        &report,
        "embedder",
        "problem",
        &["model.onnx", "install Braid again"],
    );
}

#[test]
fn a_map_that_is_nearly_full() {
    let place = Place::new();
    let text = |number: usize| format!("A page about the matter of number {number}.\n").repeat(400);
    for number in 0..24 {
        place.write(&format!("docs/{number}.txt"), text(number));
    }
    place.ok(&["ingest", "docs"]);
    let report = place.json(
        &["doctor", "--quick", "--set", "storage.map_size_gib=0.001"],
        1,
    );
    said(
        &report,
        "ledger",
        "problem",
        &["of 1.1 MiB", "storage.map_size_gib"],
    );
    let store = finding(&report, "vector store");
    assert_eq!(store["level"], "warning", "{store:#}");
}

#[test]
fn a_lost_index() {
    let place = ingested();
    std::fs::remove_dir_all(data(&place).join("indexes")).unwrap();
    let report = place.json(&["doctor"], 1);
    said(
        &report,
        "lexical index",
        "problem",
        &["2 entries missing", "verify --repair"],
    );
    said(
        &report,
        "vector store",
        "problem",
        &["2 entries missing", "verify --repair"],
    );
    place.ok(&["verify", "--repair"]);
    place.json(&["doctor"], 0);
}

#[test]
fn a_directory_with_another_owner() {
    let place = ingested();
    let server = Server::start(&place, &[]);
    let report = place.json(&["doctor"], 0);
    said(
        &report,
        "data directory",
        "warning",
        &["in use by process", "doctor --server"],
    );
    let report = place.json(&["doctor", "--server", &server.url()], 0);
    said(&report, "server", "ok", &[env!("CARGO_PKG_VERSION")]);
    said(&report, "indexing", "ok", &[]);
    said(&report, "lag", "ok", &["0 operations"]);
    said(&report, "failed documents", "ok", &[]);
    said(&report, "ledger", "ok", &["in use"]);
    said(&report, "errors", "ok", &[]);
    said(&report, "degraded retrievals", "ok", &[]);
    let url = server.url();
    drop(server);
    let report = place.json(&["doctor", "--server", &url], 1);
    said(
        &report,
        "server",
        "problem",
        &["cannot reach", "braid serve"],
    );
}

#[test]
fn a_directory_of_another_format() {
    let place = ingested();
    std::fs::write(data(&place).join("ledger/data.mdb"), [7; 16384]).unwrap();
    let report = place.json(&["doctor"], 1);
    said(&report, "data directory", "problem", &["ledger"]);
}

/// An engine that indexes nothing, so that what is staged stays pending.
async fn idle_engine(place: &Place) -> Engine {
    let mut settings = Settings::default();
    settings.storage.data_dir = data(place);
    let options = OpenOptions {
        models: LoadModels::None,
        instead_of_models: Some(load_embedder(&settings).unwrap()),
        ..OpenOptions::default()
    };
    Engine::open(&settings, options).await.unwrap()
}

fn document(id: &str) -> NewDocument {
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: format!("The text of {id}."),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    }
}

#[tokio::test]
async fn pending_failed_and_foreign() {
    let place = Place::new();
    let name = CollectionName::new("default").unwrap();
    let engine = idle_engine(&place).await;
    let collection = engine.ensure_collection(&name).await.unwrap();
    let request = IngestRequest {
        documents: ["bad", "later"].map(document).to_vec(),
        job: None,
        guard: None,
    };
    engine.ingest(&name, request).await.unwrap();
    let failed =
        engine
            .ledger()
            .fail_operation(collection.id, Sequence(1), "a vector is not finite");
    failed.await.unwrap();
    let mut fingerprint = collection.fingerprint.clone();
    fingerprint.embedder = Fingerprint::new("another-model@1");
    let foreign = NewCollection {
        name: CollectionName::new("foreign").unwrap(),
        settings: collection.settings,
        fingerprint,
        dimension: collection.dimension,
    };
    let made = engine.ledger().create_collection(foreign, None).await;
    assert!(matches!(made, Ok(Recorded::Done(_))));
    engine.close().await;
    drop(engine);

    let report = place.json(&["doctor"], 1);
    said(&report, "lag", "warning", &["2 operations", "braid serve"]);
    let words = ["1: bad (a vector is not finite)", "ingest them again"];
    said(&report, "failed documents", "warning", &words);
    let findings = report["findings"].as_array().unwrap().iter();
    let foreign: Vec<_> = findings
        .filter(|it| it["collection"] == "foreign" && it["check"] == "fingerprints")
        .cloned()
        .collect();
    let foreign = serde_json::json!({ "findings": foreign });
    let words = ["another-model@1", "braid collection rebuild foreign"];
    said(&foreign, "fingerprints", "problem", &words);

    let server = Server::start(&place, &[]);
    let report = place.json(&["doctor", "--server", &server.url()], 1);
    said(&report, "indexing", "problem", &["another-model@1"]);
    assert_eq!(finding(&report, "indexing")["collection"], "foreign");
    said(
        &report,
        "failed documents",
        "warning",
        &["braid job failures"],
    );
}

#[test]
fn boilerplate_is_named_with_an_example() {
    let place = Place::new();
    let footer = "Copyright Example Corporation, all rights reserved.";
    for number in 0..12 {
        let text =
            format!("# Page {number}\n\nIt is about the matter of number {number}.\n\n{footer}\n");
        place.write(&format!("docs/{number:02}.md"), text);
    }
    place.ok(&["ingest", "docs"]);
    let report = place.json(&["doctor"], 0);
    said(
        &report,
        "boilerplate",
        "warning",
        &["5 documents or more", "before ingesting"],
    );
    let found = &finding(&report, "boilerplate")["boilerplate"];
    let text = &found["texts"][0];
    assert_eq!(
        (&text["text"], &text["documents"]),
        (&footer.into(), &12.into())
    );
    assert_eq!(
        (&text["example"], &text["kind"]),
        (&"00.md".into(), &"line".into())
    );
    assert!(text["share"].as_f64().unwrap() > 0.3, "{found:#}");
    let text = place.ok(&["doctor"]);
    assert!(
        text.contains("12 documents share the line \"Copyright"),
        "{text}"
    );
}
