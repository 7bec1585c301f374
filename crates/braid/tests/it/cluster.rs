//! The storage profile `cluster` on the command line: no data directory, workers, migration.

use braid_qdrant_double::QdrantDouble;
use serde_json::Value;

use crate::run::Place;

/// A place with a `cluster.toml` for a server that is there.
fn cluster() -> (Place, QdrantDouble) {
    let (place, double) = (Place::new(), QdrantDouble::start());
    let url = double.url();
    place.write(
        "cluster.toml",
        format!(
            "[storage]\nprofile = \"cluster\"\nmap_size_gib = 0.25\n[qdrant]\nurl = \"{url}\"\n[worker]\npoll_ms = 5\npoll_longest_ms = 20\n"
        ),
    );
    (place, double)
}

const CONFIG: [&str; 2] = ["--config", "cluster.toml"];

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &CONFIG].concat()
}

#[test]
fn documents_are_staged_indexed_by_a_worker_and_found_without_a_data_directory() {
    let (place, _double) = cluster();
    place.write(
        "docs/quinces.md",
        "# Quinces\n\nQuinces are yellow and hard.",
    );
    place.write("docs/plums.md", "# Plums\n\nPlums are blue and soft.");
    let report = place.json(&with(&["ingest", "docs"]), 0);
    assert_eq!(report["added"], 2, "{report:#}");
    let doctor = place.braid(&with(&["doctor"]));
    assert!(
        doctor.stdout.contains("2 documents wait"),
        "{}",
        doctor.stdout
    );
    let worked = place.ok(&with(&["ingest", "--worker", "--once", "--json"]));
    let last: Value = serde_json::from_str(worked.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["published"], &last["waiting"]),
        (&2.into(), &0.into())
    );
    let found = place.json(&with(&["retrieve", "blue plums"]), 0);
    assert!(found.to_string().contains("Plums are blue"), "{found:#}");
    let inspected = place.json(
        &with(&[
            "inspect",
            "chunk",
            found["hits"][0]["chunk_id"].as_str().unwrap(),
        ]),
        0,
    );
    let entries = &inspected["chunks"][0]["indexes"];
    assert_eq!(entries["lexical"], Value::Bool(true), "{inspected:#}");
    assert_eq!(entries["dense"], Value::Bool(true), "{inspected:#}");
    let said = place.json(&with(&["retrieve", "\"blue plums\""]), 0);
    assert_eq!(said["hits"].as_array().map(Vec::len), Some(0), "{said:#}");
    let said = place.json(&with(&["retrieve", "\"plums are blue\""]), 0);
    assert_eq!(said["hits"].as_array().map(Vec::len), Some(1), "{said:#}");
    let listed = place.json(&with(&["document", "list"]), 0);
    assert!(listed.to_string().contains("quinces.md"), "{listed:#}");
    let jobs = place.ok(&with(&["job", "list"]));
    assert!(!jobs.is_empty());
    let inspected = place.json(&with(&["inspect", "collection"]), 0);
    assert_eq!(inspected["ledger"], Value::Null);
    place.ok(&with(&["collection", "list"]));
    assert!(
        !place.path().join("data").exists(),
        "a data directory was made"
    );
    let verified = place.json(&with(&["verify", "--repair"]), 0);
    assert_eq!(verified[0]["sound"], Value::Bool(true), "{verified:#}");
    place.fails(
        &with(&["collection", "rebuild", "default"]),
        1,
        &["new collection"],
    );
}

#[test]
fn a_data_directory_is_migrated() {
    let (place, _double) = cluster();
    for fruit in ["quinces", "plums", "cherries", "pears"] {
        let text = format!("# {fruit}\n\nThe {fruit} of this orchard ripen late.");
        place.write(&format!("docs/{fruit}.md"), text);
    }
    place.ok(&["ingest", "docs", "--set", "storage.map_size_gib=0.25"]);
    let migrate = ["migrate", "--from", "embedded", "--to", "cluster"];
    let migrate = [&migrate[..], &CONFIG, &["--data-dir", "data"]].concat();
    let migrated = place.json(&migrate, 0);
    assert_eq!(migrated[0]["copied"], 4, "{migrated:#}");
    assert_eq!(migrated[0]["same"], true, "{migrated:#}");
    let again = place.json(&migrate, 0);
    assert_eq!(again[0]["unchanged"], 4, "{again:#}");
    let found = place.json(&with(&["retrieve", "which cherries ripen late"]), 0);
    assert!(
        found.to_string().contains("cherries of this orchard"),
        "{found:#}"
    );
}

#[test]
fn wrong_use_is_said_in_one_line() {
    let (place, double) = cluster();
    let data = ["document", "list", "--data-dir", "data"];
    place.fails(&with(&data), 2, &["no data directory", "--data-dir"]);
    place.fails(&["ingest", "--worker"], 2, &["storage.profile = cluster"]);
    assert!(!place.path().join("data").exists());
    let both = ["ingest", "docs", "--worker"];
    place.fails(&with(&both), 2, &["--worker"]);
    place.fails(&with(&["ingest", "--once"]), 2, &["--worker"]);
    let no_need = ["migrate", "--from", "embedded", "--to", "qdrant"];
    place.fails(&no_need, 1, &["storage.profile"]);
    let back = ["migrate", "--from", "cluster", "--to", "embedded"];
    place.fails(&back, 1, &["out of a cluster"]);
    let absent = ["migrate", "--from", "embedded", "--to", "cluster"];
    place.fails(&with(&absent), 1, &["no data in", "--data-dir"]);
    double.stop();
    place.fails(&with(&["collection", "list"]), 1, &["cluster at http://"]);
}
