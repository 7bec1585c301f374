//! `braid serve`, and the commands that talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::run::{Place, Ran};

/// A server on a port of its own choice; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts it and reads its log until it says where it listens.
    pub(crate) fn start(place: &Place, flags: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
        let mut child = place
            .command(&arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        let address = loop {
            let from = lines.len();
            assert!(log.read_line(&mut lines).unwrap() > 0, "it ended: {lines}");
            if let Some((_, rest)) = lines[from..].split_once("address=") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        assert!(
            !lines.contains('\u{1b}'),
            "colours in a log that is no terminal: {lines}"
        );
        let server = Self {
            child,
            address,
            log,
        };
        server.wait_ready();
        server
    }

    fn wait_ready(&self) {
        let url = format!("{}/readyz", self.url());
        let pause = Duration::from_millis(50);
        let is_ready = (0..200).any(|_| {
            let ready = ureq::get(&url).call().is_ok();
            if !ready {
                std::thread::park_timeout(pause);
            }
            ready
        });
        assert!(is_ready, "not ready after 10 s");
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.url());
        let mut answer = ureq::post(&url).send_json(body).unwrap();
        answer.body_mut().read_json().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_talk_to_a_server() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let url = server.url();
    place.write("docs/a.md", "# Apples\n\nAn apple a day.");
    place.write("docs/b.md", "# Bread\n\nBake the loaf.");
    place.write("docs/bad.txt", b"caf\xe9");
    let ingest = |flags: &[&str], status: i32| {
        let arguments = [&["ingest", "docs", "--server", &url], flags].concat();
        let report = place.json(&arguments, status);
        let counts = ["added", "replaced", "unchanged", "deleted"];
        counts.map(|key| report[key].as_u64().unwrap())
    };
    assert_eq!(ingest(&[], 3), [2, 0, 0, 0]);
    std::fs::remove_file(place.path().join("docs/bad.txt")).unwrap();
    place.write("docs/a.md", "# Apples\n\nTwo apples a day.");
    assert_eq!(ingest(&[], 0), [0, 1, 1, 0]);
    std::fs::remove_file(place.path().join("docs/b.md")).unwrap();
    assert_eq!(ingest(&["--sync"], 0), [0, 0, 1, 1]);

    let by_command = place.json(&["retrieve", "two apples", "--server", &url], 0);
    let by_http = server.post("/retrieve", &json!({"query": "two apples"}));
    let keys =
        |answer: &Value| -> Vec<String> { answer.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&by_command), keys(&by_http));
    assert_eq!(by_command["hits"], by_http["hits"]);
    assert_eq!(by_command["hits"][0]["document_id"], "a.md");

    let with = ["--server", &url];
    place.ok(&[&["collection", "create", "notes"][..], &with].concat());
    let listed = place.json(&[&["collection", "list"][..], &with].concat(), 0);
    assert_eq!(listed["collections"].as_array().unwrap().len(), 2);
    place.ok(&[&["collection", "delete", "notes"][..], &with].concat());
    let listed = place.json(&[&["document", "list"][..], &with].concat(), 0);
    assert_eq!(listed["documents"][0]["id"], "a.md");
    let text = place.ok(&[&["document", "get", "a.md"][..], &with].concat());
    assert!(text.contains("Two apples"));
    place.ok(&[&["document", "delete", "a.md"][..], &with].concat());
    let again = [&["document", "delete", "a.md"][..], &with].concat();
    assert_eq!(place.json(&again, 1)[0]["result"], "absent");
    place.fails(
        &["retrieve", "x", "-k", "0", "--server", &url],
        2,
        &["/top_k"],
    );
}

#[test]
fn a_second_process_is_told_the_owner_and_the_port() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let pid = server.child.id().to_string();
    place.write("a.md", "# A");
    for arguments in [
        &["ingest", "a.md"],
        &["retrieve", "x"],
        &["collection", "list"],
    ] {
        place.fails(arguments, 1, &[&format!("process {pid}"), "--server"]);
    }
    let ran = place.braid(&["serve", "--listen", &server.address, "--data-dir", "other"]);
    ran.fails(1, &[&server.address, "in use", "--listen"]);
    place.fails(
        &["serve", "--listen", "0.0.0.0:0"],
        2,
        &["--allow-unauthenticated"],
    );
    place.fails(
        &["retrieve", "x", "--server", "http://127.0.0.1:1"],
        1,
        &["braid serve"],
    );
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let place = Place::new();
    let mut server = Server::start(&place, &[]);
    // Half a request is in flight when the signal comes; the rest follows.
    let body = r#"{"text": "arrived in two halves"}"#;
    let (first, second) = body.split_at(10);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "PUT /v1/collections/default/documents/late?wait=indexed HTTP/1.1\r\nHost: x\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Answered after the half request was read by the same process.
    server.wait_ready();
    server.signal("TERM");
    let mut log = String::new();
    while !log.contains("shutting down") {
        assert!(server.log.read_line(&mut log).unwrap() > 0, "{log}");
    }
    stream.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = server.child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let is_refused = answer.starts_with("HTTP/1.1 503");
    assert!(is_refused || answer.starts_with("HTTP/1.1 20"), "{answer}");
    let stored = place.braid(&["document", "get", "late"]);
    assert_eq!(stored.status, i32::from(is_refused), "{answer}");
}

#[test]
fn an_acknowledged_document_survives_a_kill() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let url = format!("{}/v1/collections/default/documents/kept", server.url());
    let put = ureq::put(&url).send_json(json!({"text": "the lighthouse keeper sleeps"}));
    assert_eq!(put.unwrap().status(), 202);
    server.signal("KILL");
    drop(server);
    let server = Server::start(&place, &[]);
    // Ready means that the published state is served; what came after it is replayed meanwhile.
    let ask = || server.post("/retrieve", &json!({"query": "lighthouse"}));
    let caught_up = (0..200).map(|_| ask()).find(|answer| {
        let is_behind = answer["lag"] != 0;
        if is_behind {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        !is_behind
    });
    let answer = caught_up.expect("the replay ends");
    assert_eq!(answer["hits"][0]["document_id"], "kept", "{answer:#}");
}

#[test]
fn an_interrupted_ingest_goes_on_where_it_stopped() {
    let place = Place::new();
    let texts = (0..600).map(|number| {
        json!({"id": format!("d{number}"), "text": format!("record {number} says little")})
            .to_string()
    });
    place.write("many.jsonl", texts.collect::<Vec<_>>().join("\n"));
    let mut child = place
        .command(&["ingest", "many.jsonl", "--log-level", "debug"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // The first line of the log comes when the data directory is open.
    log.read_line(&mut line).unwrap();
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(sent.unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stdout.as_str()), (130, ""), "{line}{rest}");
    let report = place.json(&["ingest", "many.jsonl"], 0);
    let seen = report["added"].as_u64().unwrap() + report["unchanged"].as_u64().unwrap();
    assert_eq!(seen, 600, "{report:#}");
    let listed = place.json(&["collection", "list"], 0);
    assert_eq!(listed["collections"][0]["documents"], 600);
}

#[test]
fn pages_and_batches_are_asked_of_a_server() {
    let place = Place::new();
    let line = |at: usize| {
        json!({"id": format!("d{at}"), "text": format!("A kitten{}.", " purrs".repeat(at))})
            .to_string()
    };
    place.write(
        "docs.jsonl",
        (0..3).map(line).collect::<Vec<_>>().join("\n"),
    );
    place.ok(&["ingest", "docs.jsonl"]);
    let server = Server::start(&place, &[]);
    let url = server.url();
    let asked = [
        "retrieve",
        "kitten",
        "--mode",
        "lexical",
        "--no-rerank",
        "-k",
        "2",
        "--server",
        &url,
    ];
    let first = place.json(&asked, 0);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = place.json(&[&asked[..], &["--cursor", cursor]].concat(), 0);
    assert_eq!(second["hits"][0]["rank"], 3);
    assert_eq!(second.get("next_cursor"), None);
    let text = place.ok(&asked);
    assert!(text.contains("more with --cursor "), "{text}");
    let other = ["retrieve", "cat", "--server", &url, "--cursor", cursor];
    place.fails(&other, 2, &["another request"]);

    place.write(
        "asked.jsonl",
        "{\"query\": \"kitten\"}\nno\n{\"query\": \"purrs\", \"top_k\": 0}",
    );
    let batch = [
        "retrieve",
        "--batch",
        "asked.jsonl",
        "--server",
        &url,
        "-k",
        "1",
        "--json",
    ];
    let ran = place.braid(&batch);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["hits"].as_array().unwrap().len(), 1);
    assert_eq!(lines[1]["error_code"], "MALFORMED_JSON");
    assert_eq!(lines[2]["error_code"], "INVALID_REQUEST");
}
