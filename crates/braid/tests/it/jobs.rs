//! `braid job`, over a data directory and over a running server.

use serde_json::{Value, json};

use crate::run::Place;
use crate::serve::Server;

/// So much to embed that it is not done before the next request.
fn many() -> Value {
    let text = |n: u32| format!("Document {n} is about the number {n}. ").repeat(40);
    let document = |n: u32| json!({ "id": format!("d{n}"), "text": text(n) });
    json!({ "documents": (0..300).map(document).collect::<Vec<_>>() })
}

fn at_server<'a>(url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--server", url]].concat()
}

#[test]
fn jobs_of_a_data_directory() {
    let place = Place::new();
    place.write("a.md", "# A\n\nOne.");
    place.ok(&["ingest", "a.md"]);
    let jobs = place.json(&["job", "list"], 0);
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    assert_eq!(jobs["jobs"][0]["state"], "done");
    let listed = place.ok(&["job", "list"]);
    let words: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let header = [
        "state",
        "pending",
        "indexed",
        "skipped",
        "rejected",
        "failed",
        "cancelled",
    ];
    assert_eq!(words[0][2..], header);
    assert_eq!(words[1][2..], ["done", "0", "1", "0", "0", "0", "0"]);
    let said = place.ok(&["job", "get", id]);
    assert!(
        said.starts_with("done in default: 0 pending, 1 indexed"),
        "{said}"
    );
    assert_eq!(place.json(&["job", "cancel", id], 0)["cancelled"], 0);
    assert_eq!(place.ok(&["job", "retry"]), "nothing has failed\n");
    assert_eq!(place.json(&["job", "failures"], 0)["failures"], json!([]));
    let retried = place.json(&["job", "retry", "a.md"], 3);
    assert_eq!(retried[0]["reason"], "its newest version has not failed");
    place.fails(&["job", "get", "x"], 1, &["no job", "braid job list"]);
    place.fails(&["job", "list", "--limit", "0"], 2, &["--limit"]);
    let none = ["job", "list", "--collection", "none"];
    place.fails(&none, 1, &["none"]);
}

#[test]
fn a_job_goes_on_after_the_server_was_killed_and_can_be_cancelled() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let collection = format!("{}/v1/collections/default", server.url());
    ureq::put(&collection).send_json(json!({})).unwrap();
    let first = json!({ "documents": [{ "id": "a", "text": "Braid owns the whole path." }] });
    let path = "/v1/collections/default/documents";
    let first = server.post(path, &first)["job_id"].clone();
    let accepted = server.post(path, &many());
    let id = accepted["job_id"].as_str().unwrap().to_owned();
    server.signal("KILL");
    drop(server);

    let server = Server::start(&place, &[]);
    let url = server.url();
    let job = place.json(&at_server(&url, &["job", "get", &id]), 0);
    assert_eq!(job["state"], "running", "{job}");
    let cancelled = place.json(&at_server(&url, &["job", "cancel", &id]), 0);
    let taken_back = cancelled["cancelled"].as_u64().unwrap();
    assert!(taken_back > 0, "{cancelled}");
    let jobs = place.json(
        &at_server(&url, &["job", "list", "--collection", "default"]),
        0,
    );
    let ids: Vec<_> = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["id"])
        .collect();
    assert_eq!(ids, [&json!(id), &first]);
    // What is retrievable now is what was not taken back; this waits for it.
    let wait = json!({ "documents": [{ "id": "b", "text": "Last." }] });
    server.post(&format!("{path}?wait=indexed"), &wait);
    let job = place.json(&at_server(&url, &["job", "get", &id]), 0);
    assert_eq!(job["state"], "cancelled");
    let counts = &job["counts"];
    assert_eq!(counts["cancelled"], taken_back);
    assert_eq!(counts["indexed"], 300 - taken_back);
    let listed = place.json(&at_server(&url, &["document", "list"]), 0);
    let listed = listed["documents"].as_array().unwrap().len() as u64;
    assert_eq!(listed, 302 - taken_back);
    let first = first.as_str().unwrap();
    let said = place.ok(&at_server(&url, &["job", "get", first]));
    assert!(said.starts_with("done"), "{said}");
    assert_eq!(
        place.ok(&at_server(&url, &["job", "retry"])),
        "nothing has failed\n"
    );
}
