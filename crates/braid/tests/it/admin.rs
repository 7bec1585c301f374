//! Collections, documents, models, verify.

use std::path::{Path, PathBuf};

use crate::run::{Place, Ran};

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

#[test]
fn collections_and_documents() {
    let place = Place::new();
    let made = place.json(
        &["collection", "create", "notes", "--language", "german"],
        0,
    );
    assert_eq!(made["language"], "german");
    let said = place.ok(&["collection", "create", "notes", "--language", "german"]);
    assert!(said.contains("duplicates report from 100 % on"), "{said}");
    let other = ["collection", "create", "notes", "--language", "french"];
    place.fails(&other, 1, &["other settings"]);
    place.fails(
        &["collection", "create", "x", "--target-tokens", "0"],
        2,
        &["target_tokens"],
    );
    place.write("a.md", "# A\n\nEins.");
    place.write("b.md", "# B\n\nZwei.");
    place.ok(&["ingest", "a.md", "b.md", "--collection", "notes"]);
    let rebuilt = place.json(
        &[
            "collection",
            "rebuild",
            "notes",
            "--with-configured-settings",
        ],
        0,
    );
    assert_eq!(
        (&rebuilt["generation"], &rebuilt["language"]),
        (&2.into(), &"auto".into())
    );

    let within = ["--collection", "notes"];
    let listed = place.json(&[&["document", "list"][..], &within].concat(), 0);
    assert_eq!(listed["documents"][1]["id"], "b.md");
    let text = place.ok(&["document", "get", "a.md", "--collection", "notes"]);
    assert!(text.contains("Eins."), "{text}");
    let delete = [
        "document",
        "delete",
        "a.md",
        "absent",
        "--collection",
        "notes",
    ];
    let deleted = place.json(&delete, 1);
    assert_eq!(deleted[0]["result"], "deleted");
    assert_eq!(deleted[1]["result"], "absent");
    place.fails(
        &["document", "get", "a.md", "--collection", "notes"],
        1,
        &["a.md"],
    );
    let collections = place.json(&["collection", "list"], 0);
    assert_eq!(collections["collections"][0]["documents"], 1);
    assert_eq!(
        place.json(&["collection", "delete", "notes"], 0)["deleted"],
        true
    );
    place.fails(
        &["collection", "delete", "notes"],
        1,
        &["no collection notes"],
    );
    place.fails(&["collection", "rebuild", "notes"], 1, &["notes"]);
}

#[test]
fn a_lost_index_is_repaired_without_embedding() {
    let place = Place::new();
    place.write("docs/a.md", "# A\n\nRecovered from the ledger alone.");
    place.ok(&["ingest", "docs"]);
    assert_eq!(place.json(&["verify"], 0)[0]["sound"], true);
    std::fs::remove_dir_all(place.path().join("data/indexes")).unwrap();
    let repaired = place.json(&["verify", "--repair"], 0);
    assert_eq!(repaired[0]["chunks_embedded"], 0, "{repaired:#}");
    assert_eq!(place.json(&["verify"], 0)[0]["sound"], true);
    for mode in ["lexical", "dense"] {
        let answer = place.json(&["retrieve", "recovered", "--mode", mode, "--no-rerank"], 0);
        assert_eq!(answer["hits"][0]["document_id"], "a.md", "{mode}");
    }
    assert!(place.ok(&["ingest", "docs"]).contains("nothing changed"));
    place.fails(&["verify", "--collection", "nope"], 1, &["nope"]);
}

#[test]
fn models_are_listed_and_verified() {
    let place = Place::new();
    let listed = place.json(&["models", "list"], 0);
    let listed = listed.as_array().unwrap();
    assert!(
        listed
            .iter()
            .any(|it| it["kind"] == "embedder" && it["status"] == "ready")
    );
    assert!(place.ok(&["models", "verify"]).contains("good"));
    place.fails(&["models", "verify", "nope"], 1, &["no model nope"]);
}

#[test]
fn a_damaged_model_is_named_with_what_mends_it() {
    let place = Place::new();
    let name = "all-MiniLM-L6-v2-int8";
    for entry in std::fs::read_dir(bundled().join(name)).unwrap() {
        let entry = entry.unwrap();
        let mut content = std::fs::read(entry.path()).unwrap();
        let file = entry.file_name().into_string().unwrap();
        if file == "model.onnx" {
            let middle = content.len() / 2;
            content[middle] ^= 0xff;
        }
        place.write(&format!("models/{name}/{file}"), content);
    }
    let flags = ["--set", "models.dir=models"];
    let ran = place.braid(&[&["models", "verify", name][..], &flags].concat());
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("model.onnx"), "{}", ran.stdout);
    place.write("a.md", "# A");
    place.fails(
        &[&["ingest", "a.md"][..], &flags].concat(),
        1,
        &["model.onnx", "models"],
    );
}

#[test]
fn a_missing_library_is_named_with_what_mends_it() {
    let place = Place::new();
    place.write("a.md", "# A");
    let mut command = place.command(&["ingest", "a.md"]);
    command.env("BRAID_ORT_LIB", "/nonexistent");
    Ran::of(command.output().unwrap()).fails(1, &["/nonexistent", "make models"]);
}
