//! Sources as an ingestion sees them: real folders and files, read to the end.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;

pub(super) fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// Renders everything `paths` below `folder` give, without the folder's own name.
pub(super) fn read(folder: &TempDir, paths: &[&str], options: &SourceOptions) -> String {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
    let mut documents = open(&paths, options).unwrap();
    let mut out = String::new();
    for item in documents.by_ref() {
        match item {
            Ok(SourceDocument {
                document: d,
                name,
                bytes,
            }) => writeln!(
                out,
                "{} {:?} title={:?} uri={:?} {} {:?} from {name} ({bytes})",
                d.id, d.text, d.title, d.uri, d.format, d.metadata
            ),
            Err(failure) => writeln!(
                out,
                "FAILED {failure} id={:?} ({})",
                failure.id, failure.bytes
            ),
        }
        .unwrap();
    }
    for (reason, count) in documents.skipped() {
        writeln!(out, "skipped {count}: {reason}").unwrap();
    }
    out.replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), "ROOT")
}

#[track_caller]
pub(super) fn check(files: &[(&str, &[u8])], paths: &[&str], expected: &Expect) {
    expected.assert_eq(&read(&folder(files), paths, &SourceOptions::default()));
}

#[test]
fn source_code_is_told_by_its_extension() {
    check(
        &[
            ("a.rs", b"fn a() {}"),
            ("b.PY", b"b = 1"),
            ("c.tsx", b"<C/>"),
            ("d.h", b"int d;"),
            ("e.mjs", b"e()"),
        ],
        &[""],
        &expect![[r#"
            a.rs "fn a() {}" title=None uri=Some("a.rs") rust Metadata({}) from a.rs (9)
            b.PY "b = 1" title=None uri=Some("b.PY") python Metadata({}) from b.PY (5)
            c.tsx "<C/>" title=None uri=Some("c.tsx") tsx Metadata({}) from c.tsx (4)
            d.h "int d;" title=None uri=Some("d.h") c Metadata({}) from d.h (6)
            e.mjs "e()" title=None uri=Some("e.mjs") javascript Metadata({}) from e.mjs (3)
        "#]],
    );
}

#[test]
fn html_is_told_by_how_a_text_begins() {
    check(
        &[
            ("a.txt", b"\n<!DOCTYPE HTML><p>a"),
            ("b.md", b"<html>"),
            ("c.txt", b"no <html>"),
        ],
        &[""],
        &expect![[r#"
            a.txt "\n<!DOCTYPE HTML><p>a" title=None uri=Some("a.txt") html Metadata({}) from a.txt (20)
            b.md "<html>" title=None uri=Some("b.md") markdown Metadata({}) from b.md (6)
            c.txt "no <html>" title=None uri=Some("c.txt") text Metadata({}) from c.txt (9)
        "#]],
    );
}

#[test]
fn files_that_are_not_text_need_a_parser() {
    check(
        &[
            ("a.pdf", b"%PDF-1.4 ..."),
            ("b.txt", b"%PDF-1.4 ..."),
            ("c", b"%PDF-1.4 ..."),
            ("d.zip", b"PK\x03\x04 other"),
            ("e.md", b"about %PDF-1.4"),
        ],
        &[""],
        &expect![[r#"
            FAILED a.pdf: pdf files are not read here id=Some(DocumentId("a.pdf")) (12)
            FAILED b.txt: pdf files are not read here id=Some(DocumentId("b.txt")) (12)
            FAILED c: pdf files are not read here id=Some(DocumentId("c")) (12)
            e.md "about %PDF-1.4" title=None uri=Some("e.md") markdown Metadata({}) from e.md (14)
            skipped 1: unsupported extension .zip
        "#]],
    );
}

#[test]
fn folders_are_walked_in_order_and_by_extension() {
    check(
        &[
            ("b.txt", b"text"),
            ("a.md", b"# A"),
            ("sub/deep/c.HTML", b"<p>c"),
            ("sub/d.rst", b"rst"),
            ("image.png", b"\x89PNG"),
            ("Makefile", b"all:"),
            ("other.png", b"x"),
        ],
        &[""],
        &expect![[r##"
            a.md "# A" title=None uri=Some("a.md") markdown Metadata({}) from a.md (3)
            b.txt "text" title=None uri=Some("b.txt") text Metadata({}) from b.txt (4)
            sub/d.rst "rst" title=None uri=Some("sub/d.rst") text Metadata({}) from sub/d.rst (3)
            sub/deep/c.HTML "<p>c" title=None uri=Some("sub/deep/c.HTML") html Metadata({}) from sub/deep/c.HTML (4)
            skipped 1: no file extension
            skipped 2: unsupported extension .png
        "##]],
    );
}

#[test]
fn hidden_and_ignored_files_are_not_looked_at() {
    check(
        &[
            (".gitignore", b"/build/\n*.tmp.md\n"),
            (".hidden.md", b"x"),
            (".dir/a.md", b"x"),
            ("build/a.md", b"x"),
            ("a.tmp.md", b"x"),
            ("sub/.gitignore", b"local.md\n"),
            ("sub/local.md", b"x"),
            ("local.md", b"kept"),
            (".ignore", b"local.md\n"),
        ],
        &[""],
        &expect![[r#"
            local.md "kept" title=None uri=Some("local.md") markdown Metadata({}) from local.md (4)
        "#]],
    );
}

#[test]
fn bad_files_are_reported_and_the_rest_goes_on() {
    let long = format!("{}.md", "x".repeat(250));
    let deep = format!("{0}/{0}/{long}", "y".repeat(200));
    check(
        &[
            ("a.txt", b"ab\xff"),
            ("b.txt", b" \n"),
            ("c.txt", b""),
            ("d.txt", b"\xef\xbb\xbf"),
            (&deep, b"text"),
            ("z.txt", b"fine"),
        ],
        &[""],
        &expect![[r#"
            FAILED a.txt: not valid UTF-8 at byte 2 id=Some(DocumentId("a.txt")) (3)
            FAILED b.txt: empty id=Some(DocumentId("b.txt")) (2)
            FAILED c.txt: empty id=Some(DocumentId("c.txt")) (0)
            FAILED d.txt: empty id=Some(DocumentId("d.txt")) (3)
            FAILED yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy/yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.md: document id is 655 bytes long, the limit is 480 id=None (4)
            z.txt "fine" title=None uri=Some("z.txt") text Metadata({}) from z.txt (4)
        "#]],
    );
}

#[test]
fn a_file_named_by_the_caller_is_read_whatever_it_is_called() {
    check(
        &[("LICENSE", b"text"), ("sub/.n.md", b"# N")],
        &["LICENSE", "sub/.n.md"],
        &expect![[r##"
            LICENSE "text" title=None uri=Some("LICENSE") text Metadata({}) from LICENSE (4)
            .n.md "# N" title=None uri=Some("sub/.n.md") markdown Metadata({}) from sub/.n.md (3)
        "##]],
    );
}

#[cfg(unix)]
#[test]
fn links_and_special_files_are_safe() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let folder = folder(&[("docs/a.md", b"# A"), ("outside/b.md", b"# B")]);
    let docs = folder.path().join("docs");
    symlink(&docs, docs.join("loop")).unwrap();
    symlink("../../outside/b.md", docs.join("dangling.md")).unwrap();
    symlink("../outside/b.md", docs.join("link.md")).unwrap();
    symlink("../outside", docs.join("folder")).unwrap();
    symlink("self.md", docs.join("self.md")).unwrap();
    let _socket = UnixListener::bind(docs.join("socket.md")).unwrap();
    symlink(&docs, folder.path().join("root-link")).unwrap();
    expect![[r##"
        a.md "# A" title=None uri=Some("root-link/a.md") markdown Metadata({}) from root-link/a.md (3)
        FAILED root-link/dangling.md: cannot be read: No such file or directory (os error 2) id=Some(DocumentId("dangling.md")) (0)
        link.md "# B" title=None uri=Some("root-link/link.md") markdown Metadata({}) from root-link/link.md (3)
        FAILED root-link/self.md: cannot be read: Too many levels of symbolic links (os error 40) id=Some(DocumentId("self.md")) (0)
        skipped 1: not a regular file
        skipped 2: symbolic link to a folder
    "##]].assert_eq(&read(&folder, &["root-link"], &SourceOptions::default()));
}

#[test]
fn records_are_read_line_by_line() {
    let lines = r#"{"id": "a", "text": "one", "title": "T", "uri": "u", "format": "markdown", "metadata": {"n": 1, "b": true, "s": "x", "l": ["p", "q"], "none": null}, "extra": [1]}

{"_id": 7, "text": "two", "title": "", "metadata": {}}
{"id": "a", "text": "again"}
{"id": "c", "text": "three"
{"id": "d"}
{"id": "e", "text": 5}
{"id": "f", "text": " "}
{"id": "g", "text": "", "title": "only a title"}
{"text": "no id"}
{"id": "", "text": "x"}
{"id": "h", "text": "x", "format": "pdf"}
{"id": "i", "text": "x", "metadata": {"deep": {"a": 1}}}
{"id": "j", "text": "x", "metadata": 3}
[1]
{"id": "z", "text": "last"}"#;
    check(
        &[("a.jsonl", lines.as_bytes())],
        &["a.jsonl"],
        &expect![[r#"
            a "one" title=Some("T") uri=Some("u") markdown Metadata({"b": Bool(true), "l": Strings(["p", "q"]), "n": Number(1.0), "s": String("x")}) from a.jsonl:1 (163)
            7 "two" title=None uri=None text Metadata({}) from a.jsonl:3 (55)
            FAILED a.jsonl:4: duplicate id, first at a.jsonl:1 id=Some(DocumentId("a")) (29)
            FAILED a.jsonl:5: not valid JSON at column 27: EOF while parsing an object id=None (28)
            FAILED a.jsonl:6: has no "text" id=Some(DocumentId("d")) (12)
            FAILED a.jsonl:7: "text" must be a string id=Some(DocumentId("e")) (23)
            FAILED a.jsonl:8: empty id=Some(DocumentId("f")) (25)
            g "only a title" title=None uri=None text Metadata({}) from a.jsonl:9 (49)
            FAILED a.jsonl:10: has no "id" id=None (18)
            FAILED a.jsonl:11: document id is empty id=None (24)
            FAILED a.jsonl:12: unknown format "pdf": use one of text, markdown, html, c, go, java, javascript, python, rust, tsx, typescript id=Some(DocumentId("h")) (42)
            FAILED a.jsonl:13: metadata "deep" must be a string, number, boolean or array of strings id=Some(DocumentId("i")) (57)
            FAILED a.jsonl:14: "metadata" must be an object id=Some(DocumentId("j")) (40)
            FAILED a.jsonl:15: not a JSON object id=None (4)
            z "last" title=None uri=None text Metadata({}) from a.jsonl:16 (27)
        "#]],
    );
}

#[test]
fn bytes_that_are_not_utf8_fail_one_record() {
    let lines = b"\xef\xbb\xbf{\"id\": \"a\", \"text\": \"x\"}\r\n{\"id\": \"\xff\"}\n{\"id\": \"b\", \"text\": \"y\"}\n";
    check(
        &[("a.ndjson", lines)],
        &["a.ndjson"],
        &expect![[r#"
        a "x" title=None uri=None text Metadata({}) from a.ndjson:1 (29)
        FAILED a.ndjson:2: not valid UTF-8 at byte 8 id=None (12)
        b "y" title=None uri=None text Metadata({}) from a.ndjson:3 (25)
    "#]],
    );
}

#[test]
fn fields_can_be_named() {
    let folder = folder(&[(
        "a.jsonl",
        br#"{"key": "k", "id": "i", "body": "b", "text": "t"}"#,
    )]);
    let options = SourceOptions {
        id_field: Some("key".to_owned()),
        text_field: Some("body".to_owned()),
        ..SourceOptions::default()
    };
    let read = read(&folder, &["a.jsonl"], &options);
    assert!(read.starts_with("k \"b\" "), "{read}");
}

#[test]
fn beir_folders_are_recognised() {
    let corpus = br#"{"_id": "1", "title": "T", "text": "x", "metadata": {"url": "u"}}"#;
    check(
        &[
            ("set/corpus.jsonl", corpus),
            ("set/readme.md", b"not a document"),
        ],
        &["set"],
        &expect![[r#"
            1 "x" title=Some("T") uri=None text Metadata({"url": String("u")}) from set/corpus.jsonl:1 (65)
        "#]],
    );
}

#[test]
fn ids_are_unique_across_sources() {
    check(
        &[
            ("x/a.md", b"# A"),
            ("y/a.md", b"# A again"),
            ("z.jsonl", b"{\"id\": \"a.md\", \"text\": \"x\"}\n{\"id\": \"n\", \"text\": \"x\"}\n{\"id\": \"n\", \"text\": \"x\"}"),
        ],
        &["x", "y", "z.jsonl"],
        &expect![[r##"
            a.md "# A" title=None uri=Some("x/a.md") markdown Metadata({}) from x/a.md (3)
            FAILED y/a.md: duplicate id, first in x id=Some(DocumentId("a.md")) (9)
            FAILED z.jsonl:1: duplicate id, first in x id=Some(DocumentId("a.md")) (28)
            n "x" title=None uri=None text Metadata({}) from z.jsonl:2 (25)
            FAILED z.jsonl:3: duplicate id, first at z.jsonl:2 id=Some(DocumentId("n")) (24)
        "##]],
    );
}

#[test]
fn the_callers_metadata_is_added_and_wins() {
    let folder = folder(&[(
        "a.jsonl",
        br#"{"id": "a", "text": "t", "metadata": {"k": 1, "own": 2}}"#,
    )]);
    let given = BTreeMap::from([parse_metadata("k=given").unwrap()]);
    let options = SourceOptions {
        metadata: Metadata::new(given).unwrap(),
        ..SourceOptions::default()
    };
    let read = read(&folder, &["a.jsonl"], &options);
    assert!(
        read.contains(r#"{"k": String("given"), "own": Number(2.0)}"#),
        "{read}"
    );
}

#[test]
fn a_line_over_the_limit_fails_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.jsonl");
    let text = "x".repeat(braid_core::limits::MAX_DOCUMENT_BYTES + 1);
    fs::write(
        &path,
        format!("{{\"id\":\"a\",\"text\":\"{text}\"}}\n{{\"id\":\"b\",\"text\":\"y\"}}"),
    )
    .unwrap();
    let found: Vec<_> = open(&[path], &SourceOptions::default()).unwrap().collect();
    let failure = found[0].as_ref().unwrap_err();
    assert!(failure.reason.contains("the limit is"), "{failure}");
    assert_eq!(found[1].as_ref().unwrap().document.text, "y");
}

#[test]
fn paths_that_cannot_be_sources_are_refused_before_anything_is_read() {
    let folder = folder(&[("a.md", b"x")]);
    let refused = |path: &str, format| {
        let options = SourceOptions {
            format,
            ..SourceOptions::default()
        };
        open(&[folder.path().join(path)], &options)
            .unwrap_err()
            .message()
            .to_owned()
    };
    assert!(refused("absent", SourceFormat::Auto).contains("absent"));
    assert!(refused("", SourceFormat::Beir).contains("has no corpus.jsonl"));
    assert!(refused("", SourceFormat::Jsonl).contains("is not a file"));
    assert!("xml".parse::<SourceFormat>().is_err());
}

#[test]
fn progress_adds_up_to_the_total() {
    let folder = folder(&[
        ("docs/a.md", b"# A"),
        ("docs/bad.md", b"\xff"),
        ("docs/skipped.png", b"123"),
        ("r.jsonl", b"{\"id\": \"a\", \"text\": \"x\"}\n{}\n"),
    ]);
    let paths = [folder.path().join("docs"), folder.path().join("r.jsonl")];
    let options = SourceOptions::default();
    let read: u64 = open(&paths, &options)
        .unwrap()
        .map(|item| item.map_or_else(|failure| failure.bytes, |found| found.bytes))
        .sum();
    assert_eq!(read, total_bytes(&paths, &options).unwrap());
    assert_eq!(read, 3 + 1 + 28);
}
