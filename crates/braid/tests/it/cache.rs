//! `braid cache`, against a server.

use serde_json::json;

use crate::run::Place;
use crate::serve::Server;

#[test]
fn answers_are_stored_found_and_deleted() {
    let place = Place::new();
    let server = Server::start(&place, &["--set", "cache.semantic=true"]);
    let url = server.url();
    let on = |arguments: &[&str]| -> Vec<String> {
        let with = [arguments, &["--server", &url]].concat();
        with.into_iter().map(str::to_owned).collect()
    };
    let run = |arguments: &[&str]| {
        let arguments = on(arguments);
        place.braid(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let json = |arguments: &[&str], status| {
        let arguments = on(arguments);
        place.json(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            status,
        )
    };
    let question = "How do I enable telemetry in the agent?";
    let miss = run(&["cache", "lookup", question]);
    assert_eq!(miss.status, 1, "{}", miss.stderr);
    assert!(
        miss.stdout.starts_with("no answer: empty\n"),
        "{}",
        miss.stdout
    );
    let miss = json(&["cache", "lookup", question], 1);
    let state = miss["collection_state"].as_str().unwrap();
    let stored = [
        "cache",
        "store",
        question,
        "--answer",
        "Set it in agent.toml.",
        "-d",
        "agent.md",
        "--ttl-seconds",
        "60",
        "--collection-state",
        state,
    ];
    let stored = run(&stored);
    assert_eq!(
        (stored.status, &stored.stdout[..]),
        (0, "stored for 60 s\n"),
        "{}",
        stored.stderr
    );
    let paraphrase = "Please tell me how to enable telemetry in the agent.";
    let hit = run(&["cache", "lookup", paraphrase, "--threshold", "0.9"]);
    assert_eq!(
        (hit.status, &hit.stdout[..]),
        (0, "Set it in agent.toml.\n"),
        "{}",
        hit.stderr
    );
    assert!(hit.stderr.contains(question), "{}", hit.stderr);
    let hit = json(&["cache", "lookup", paraphrase], 0);
    assert_eq!(hit["hit"]["document_ids"], json!(["agent.md"]));
    assert!(json(&["cache", "lookup", paraphrase, "--scope", "other"], 1)["hit"].is_null());
    let scoped = json(
        &[
            "cache",
            "store",
            question,
            "--answer-json",
            r#"{"n": 1}"#,
            "--scope",
            "a b",
        ],
        0,
    );
    assert_eq!(scoped["stored"], true);
    assert_eq!(
        json(&["cache", "lookup", question, "--scope", "a b"], 0)["hit"]["answer"],
        json!({"n": 1})
    );
    let none = run(&["cache", "delete"]);
    none.fails(2, &["--all"]);
    assert_eq!(
        json(&["cache", "delete", "--scope", "a b"], 0),
        json!({"deleted": 1})
    );
    assert_eq!(
        run(&["cache", "delete", "--all"]).stdout,
        "1 answers deleted\n"
    );
}

#[test]
fn a_server_that_keeps_no_answers_says_how_to_have_it_keep_them() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let asked = place.braid(&["cache", "lookup", "x", "--server", &server.url()]);
    assert_ne!(asked.status, 0);
    assert!(asked.stderr.contains("cache.semantic"), "{}", asked.stderr);
}
