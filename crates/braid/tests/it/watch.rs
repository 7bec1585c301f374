//! `braid ingest --watch`: changes are waited for on what it prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::run::Place;
use crate::serve::Server;

/// The command, following; killed when dropped.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(place: &Place, flags: &[&str]) -> Self {
        let arguments = [&["ingest", "docs", "--watch", "--json"], flags].concat();
        let mut command = place.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits for the next batch: added, replaced and deleted documents, and embedded chunks.
    #[track_caller]
    fn next(&mut self) -> [Option<u64>; 4] {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
        let report: Value = serde_json::from_str(&line).unwrap();
        ["added", "replaced", "deleted", "chunks_embedded"].map(|key| report[key].as_u64())
    }

    /// Sends a signal; gives the exit status.
    fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_folder_is_followed() {
    let place = Place::new();
    let at = |name: &str| place.path().join("docs").join(name);
    place.write("docs/a.md", "# Apples\n\nAn apple a day.");
    // The data directory lies in what is watched: it must not wake anybody.
    let flags = ["--sync", "--data-dir", "docs/store"];
    let mut following = Following::start(&place, &flags);
    assert_eq!(following.next(), [Some(1), Some(0), Some(0), Some(1)]);
    place.write("docs/new/b.md", "# Bread\n\nBake the loaf.");
    assert_eq!(following.next(), [Some(1), Some(0), Some(0), Some(1)]);
    place.write("docs/a.md", "# Apples\n\nTwo apples a day.");
    assert_eq!(following.next(), [Some(0), Some(1), Some(0), Some(1)]);
    std::fs::rename(at("new/b.md"), at("c.md")).unwrap();
    assert_eq!(
        following.next(),
        [Some(1), Some(0), Some(1), Some(0)],
        "a renamed file keeps its embeddings"
    );
    std::fs::remove_file(at("a.md")).unwrap();
    assert_eq!(following.next(), [Some(0), Some(0), Some(1), Some(0)]);
    assert_eq!(following.end("INT"), Some(130));
    let listed = place.json(&["document", "list", "--data-dir", "docs/store"], 0);
    let documents = listed["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 1, "{listed:#}");
    assert_eq!(documents[0]["id"], "c.md");
}

#[test]
fn a_folder_is_followed_into_a_server_by_polling() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    place.write("docs/a.md", "# Apples\n\nAn apple a day.");
    let url = server.url();
    let mut following = Following::start(&place, &["--server", &url, "--watch-poll", "1"]);
    assert_eq!(following.next(), [Some(1), Some(0), Some(0), None]);
    place.write("docs/a.md", "# Apples\n\nTwo apples a day.");
    assert_eq!(following.next(), [Some(0), Some(1), Some(0), None]);
    assert_eq!(following.end("TERM"), Some(143));
}

#[test]
fn polling_is_a_way_of_watching() {
    let place = Place::new();
    place.write("docs/a.md", "# Apples");
    let flags = |more: &[&'static str]| [&["ingest", "docs"], more].concat();
    place.fails(&flags(&["--watch-poll", "5"]), 2, &["--watch"]);
    place.fails(
        &flags(&["--watch", "--watch-poll", "0"]),
        2,
        &["--watch-poll", "1"],
    );
}
