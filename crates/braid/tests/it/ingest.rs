//! `braid ingest` into a data directory.

use serde_json::Value;

use crate::run::{Place, files};

fn counts(report: &Value) -> [u64; 4] {
    ["added", "replaced", "unchanged", "deleted"].map(|key| report[key].as_u64().unwrap())
}

fn reason<'r>(report: &'r Value, document: &str) -> &'r str {
    let failed = report["failed"].as_array().unwrap().iter();
    let found = failed.filter(|it| it["document"].as_str().unwrap().ends_with(document));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{document}: {report:#}");
    found[0]["reason"].as_str().unwrap()
}

#[test]
fn a_folder_is_taken_again_only_where_it_changed() {
    let place = Place::new();
    let sections = |third: &str| {
        format!("# Guide\n\n## One\n\nApples.\n\n## Two\n\nPears.\n\n## Three\n\n{third}\n")
    };
    place.write("docs/guide.md", sections("Plums."));
    place.write(
        "docs/page.html",
        "<h1>Page</h1><p>Some words about quinces.</p>",
    );
    place.write("docs/sub/plain.txt", "Cherries ripen in June.");
    place.write("docs/.hidden.md", "# Hidden");
    place.write("docs/.gitignore", "ignored.md\n");
    place.write("docs/ignored.md", "# Ignored");
    place.write("docs/image.png", "not a document");
    let small = ["--set", "chunking.target_tokens=12"];
    let ingest = |flags: &[&str]| {
        let arguments = [&["ingest", "docs"][..], &small, flags].concat();
        place.json(&arguments, 0)
    };
    let first = ingest(&[]);
    assert_eq!(counts(&first), [3, 0, 0, 0]);
    let chunks = first["chunks_embedded"].as_u64().unwrap();
    assert!(chunks >= 5, "{first:#}");
    assert!(first["skipped"].to_string().contains(".png"), "{first:#}");

    let before = files(&place.path().join("data/indexes"));
    let again = place.ok(&["ingest", "docs"]);
    assert!(again.contains("3 unchanged"), "{again}");
    assert!(
        again.contains("nothing was embedded and no index was written"),
        "{again}"
    );
    assert!(
        before == files(&place.path().join("data/indexes")),
        "an index was written"
    );

    place.write("docs/guide.md", sections("Damsons."));
    let changed = ingest(&[]);
    assert_eq!(counts(&changed), [0, 1, 2, 0]);
    assert_eq!(changed["chunks_embedded"], 1, "{changed:#}");
    assert!(
        changed["chunks_reused"].as_u64().unwrap() >= 2,
        "{changed:#}"
    );

    std::fs::remove_file(place.path().join("docs/page.html")).unwrap();
    assert_eq!(counts(&ingest(&[])), [0, 0, 2, 0]);
    assert_eq!(counts(&ingest(&["--sync"])), [0, 0, 2, 1]);
    place.fails(&["document", "get", "page.html"], 1, &["page.html"]);
}

#[test]
fn what_cannot_be_taken_is_listed_and_the_rest_goes_on() {
    let place = Place::new();
    place.write("docs/good.md", "# Good\n\nThis one is fine.");
    place.write("docs/latin.txt", b"caf\xe9 au lait");
    place.write("docs/empty.md", "");
    place.write("docs/line.txt", "word ".repeat(40_000));
    let report = place.json(&["ingest", "docs"], 3);
    assert_eq!(counts(&report), [2, 0, 0, 0], "{report:#}");
    assert!(reason(&report, "latin.txt").contains("UTF-8"));
    assert_eq!(reason(&report, "empty.md"), "empty");
    let text = place.braid(&["ingest", "docs"]);
    assert_eq!(text.status, 3);
    assert!(
        text.stdout
            .contains("failed docs/empty.md (id empty.md): empty"),
        "{}",
        text.stdout
    );
    let kept = place.json(&["ingest", "docs", "--sync"], 3);
    assert_eq!(counts(&kept), [0, 0, 2, 0], "unreadable is not gone");
}

#[test]
fn lines_of_jsonl_fail_one_by_one() {
    let place = Place::new();
    let long = "x".repeat(1024);
    let lines = [
        r#"{"id": "a", "text": "first", "metadata": {"lang": "en"}}"#.to_owned(),
        r#"{"id": "a", "text": "second of that id"}"#.to_owned(),
        r#"{"id": "a/b/c.md", "text": "an id with slashes"}"#.to_owned(),
        format!(r#"{{"id": "{long}", "text": "too long an id"}}"#),
        r#"{"id": "torn", "text": "#.to_owned(),
        r#"{"text": "no id"}"#.to_owned(),
        r#"{"id": "last", "text": "still taken"}"#.to_owned(),
    ];
    place.write("docs.jsonl", lines.join("\n"));
    let report = place.json(&["ingest", "docs.jsonl"], 3);
    assert_eq!(counts(&report), [3, 0, 0, 0], "{report:#}");
    assert_eq!(report["failed"].as_array().unwrap().len(), 4);
    assert!(reason(&report, "docs.jsonl:2").contains("id"));
    assert!(reason(&report, "docs.jsonl:4").contains("480"));
    for line in [5, 6] {
        assert!(!reason(&report, &format!("docs.jsonl:{line}")).is_empty());
    }
    assert_eq!(place.ok(&["document", "get", "a"]), "first\n");
    assert_eq!(
        place.ok(&["document", "get", "a/b/c.md"]),
        "an id with slashes\n"
    );
}

#[test]
fn a_beir_folder_and_fields_of_ones_own() {
    let place = Place::new();
    place.write(
        "beir/corpus.jsonl",
        r#"{"_id": "7", "title": "Seven", "text": "A prime number."}"#,
    );
    place.write(
        "own.jsonl",
        r#"{"key": "k1", "body": "Words under other names."}"#,
    );
    let arguments = [
        "ingest",
        "beir",
        "--collection",
        "numbers",
        "--metadata",
        "kind=test",
    ];
    assert_eq!(counts(&place.json(&arguments, 0)), [1, 0, 0, 0]);
    let document = place.json(&["document", "get", "7", "--collection", "numbers"], 0);
    assert_eq!(document["title"], "Seven");
    assert_eq!(document["metadata"]["kind"], "test");
    let own = [
        "ingest",
        "own.jsonl",
        "--id-field",
        "key",
        "--text-field",
        "body",
    ];
    place.ok(&own);
    assert_eq!(
        place.ok(&["document", "get", "k1"]),
        "Words under other names.\n"
    );
}

#[test]
fn sources_without_a_document_are_said_to_be() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.write("one.md", "# One");
    place.ok(&["ingest", "one.md"]);
    assert!(
        place
            .ok(&["ingest", "empty"])
            .contains("no documents found")
    );
    place.fails(
        &["ingest", "empty", "--sync"],
        2,
        &["delete every document"],
    );
    place.fails(&["ingest", "absent"], 2, &["absent"]);
    assert_eq!(
        place.json(&["document", "list"], 0)["documents"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_renamed_file_is_no_duplicate_where_they_are_reported() {
    let place = Place::new();
    let one = place.write("docs/one.txt", "The text of the one.");
    place.write("docs/other.txt", "Another text.");
    place.write("docs/twin.txt", "Another text.");
    let first = place.json(&["ingest", "docs"], 0);
    assert_eq!(first["duplicates"][0]["of"], "other.txt");
    std::fs::rename(one, place.path().join("docs/two.txt")).unwrap();
    let renamed = place.json(&["ingest", "docs", "--sync"], 0);
    assert_eq!(
        (&renamed["added"], &renamed["deleted"]),
        (&1.into(), &1.into())
    );
    assert_eq!(renamed["duplicates"], serde_json::json!([]));
    // The original of another one is renamed: that one takes its place.
    let docs = place.path().join("docs");
    std::fs::rename(docs.join("other.txt"), docs.join("third.txt")).unwrap();
    place.json(&["ingest", "docs", "--sync"], 0);
    let duplicate = |id: &str| place.json(&["document", "get", id], 0)["duplicate"].clone();
    assert_eq!(duplicate("twin.txt"), Value::Null);
    assert_eq!(duplicate("third.txt")["of"], "twin.txt");
    place.ok(&["verify"]);
}

#[test]
fn a_renamed_file_is_kept_where_duplicates_are_skipped() {
    let place = Place::new();
    place.ok(&["collection", "create", "c", "--duplicates", "skip"]);
    let one = place.write("docs/one.txt", "The text of the one.");
    place.write("docs/other.txt", "Another text.");
    place.write("docs/twin.txt", "Another text.");
    let first = place.json(&["ingest", "docs", "-c", "c"], 0);
    assert_eq!((&first["added"], &first["deleted"]), (&2.into(), &0.into()));
    assert_eq!(first["duplicates"][0]["of"], "other.txt");
    std::fs::rename(one, place.path().join("docs/two.txt")).unwrap();
    let sync = ["ingest", "docs", "-c", "c", "--sync"];
    let renamed = place.json(&sync, 0);
    assert_eq!(
        (&renamed["added"], &renamed["deleted"]),
        (&1.into(), &1.into())
    );
    assert_eq!(renamed["chunks_embedded"], 0);
    let listed = place.json(&["document", "list", "-c", "c"], 0);
    let ids = listed["documents"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["other.txt", "two.txt"]);
    place.write("docs/other.txt", "Something else.");
    let replaced = place.json(&sync, 0);
    assert_eq!(
        (&replaced["added"], &replaced["replaced"]),
        (&1.into(), &1.into())
    );
}
