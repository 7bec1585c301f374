//! The same items in the same order as one after the other, and never more at once than allowed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use braid_core::{DocumentId, Format, Origin};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::file::ParsedFile;
use crate::file::isolated::{ParseLimits, Parser};
use crate::source::{KnownTexts, SourceOptions, open};

fn bounds(threads: usize, documents: usize, bytes: u64) -> ReadAhead {
    ReadAhead {
        threads,
        documents,
        bytes,
    }
}

/// A source of any kind, sound or not.
fn source() -> impl Strategy<Value = (&'static str, String)> {
    let record = prop_oneof![
        (0..12_u8, 0..60_usize)
            .prop_map(|(id, size)| format!("{{\"id\": {id}, \"text\": \"{}\"}}", "x".repeat(size))),
        Just("nonsense".to_owned()),
        Just("{\"id\": 1}".to_owned()),
    ];
    let records = prop::collection::vec(record, 0..8);
    prop_oneof![
        records
            .clone()
            .prop_map(|records| ("jsonl", records.join("\n"))),
        records.prop_map(|records| ("json", format!("[{}]", records.join(",")))),
        prop::collection::vec("[a-c]{1,3},[a-z]{0,9}", 0..6)
            .prop_map(|rows| ("csv", format!("id,text\n{}", rows.join("\n")))),
        "[a-z \n]{0,80}".prop_map(|text| ("md", text)),
        Just(("pdf", "%PDF-1.4 without a parser".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_stream_is_the_same_as_one_after_the_other(
        sources in prop::collection::vec(source(), 1..12),
        (threads, documents, bytes) in (0..4_usize, 0..6_usize, 0..200_u64),
    ) {
        let folder = TempDir::new().unwrap();
        let mut paths: Vec<PathBuf> = vec![folder.path().to_owned()];
        for (at, (extension, content)) in sources.iter().enumerate() {
            let path = folder.path().join(format!("{at}.{extension}"));
            fs::write(&path, content).unwrap();
            paths.push(path);
        }
        let options = SourceOptions::default();
        let mut alone = open(&paths, &options).unwrap();
        let expected: Vec<Item> = alone.by_ref().collect();
        let mut parallel = Parallel::new(open(&paths, &options).unwrap(), bounds(threads, documents, bytes));
        let found: Vec<Item> = parallel.by_ref().collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(parallel.skipped(), alone.skipped());
    }
}

/// Stands for a parser that says when it is asked.
#[derive(Debug, Default)]
struct Watched {
    read: Mutex<BTreeSet<String>>,
    changed: Condvar,
    /// How many must be asked for at once before any is answered.
    together: usize,
}

impl KnownTexts for Watched {
    fn find(&self, id: &DocumentId, _: &Origin) -> Option<ParsedFile> {
        let mut read = self.read.lock().unwrap();
        read.insert(id.to_string());
        self.changed.notify_all();
        let patience = Duration::from_secs(60);
        let met = self
            .changed
            .wait_timeout_while(read, patience, |read| read.len() < self.together);
        assert!(!met.unwrap().1.timed_out(), "read one after the other");
        Some(ParsedFile {
            text: "x".repeat(1000),
            format: Format::Text,
            title: None,
        })
    }
}

fn pdfs(count: usize, known: &Arc<Watched>) -> (TempDir, Documents) {
    let folder = TempDir::new().unwrap();
    for at in 0..count {
        fs::write(folder.path().join(format!("{at:02}.pdf")), "%PDF-").unwrap();
    }
    let nobody = Parser::new("/nowhere/at/all".into(), Vec::new(), ParseLimits::default());
    let options = SourceOptions {
        parser: Some(Arc::new(nobody)),
        known: Some(Arc::clone(known) as Arc<dyn KnownTexts>),
        ..SourceOptions::default()
    };
    let documents = open(&[folder.path().to_owned()], &options).unwrap();
    (folder, documents)
}

#[test]
fn several_are_read_at_once() {
    let watched = Arc::new(Watched {
        together: 3,
        ..Watched::default()
    });
    let (_folder, documents) = pdfs(3, &watched);
    assert_eq!(Parallel::new(documents, bounds(3, 10, 10_000)).count(), 3);
}

#[test]
fn what_turns_out_larger_than_expected_is_bounded_too() {
    let watched = Arc::new(Watched::default());
    let (_folder, documents) = pdfs(40, &watched);
    let threads = 3;
    // Five bytes each by their files, a thousand each by their texts.
    let parallel = Parallel::new(documents, bounds(threads, 100, 1500));
    let mut count = 0;
    for item in parallel {
        assert!(item.is_ok());
        let read = watched.read.lock().unwrap().len();
        assert!(read <= count + 2 + threads, "{read} read, {count} taken");
        count += 1;
    }
    assert_eq!(count, 40);
}

#[test]
fn an_iterator_that_is_dropped_ends_its_threads() {
    let watched = Arc::new(Watched::default());
    let (_folder, documents) = pdfs(40, &watched);
    let mut parallel = Parallel::new(documents, bounds(2, 100, 1500));
    assert!(parallel.next().is_some());
    let flight = Arc::downgrade(&parallel.flight);
    drop(parallel);
    // Every thread holds it; none holds it for ever.
    while flight.strong_count() > 0 {
        thread::yield_now();
    }
}
