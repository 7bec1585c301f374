//! JSON files as an ingestion sees them.

use expect_test::expect;

use super::tests::{check, folder, read};
use super::*;

#[test]
fn elements_of_an_array_are_documents() {
    let json = r#"[
 {"id": "a", "text": "one, [two]", "title": "T", "metadata": {"n": 1}},
 {"id": 7, "text": "seven"}, {"id": "a", "text": "again"},
 nonsense, {"text": "no id"}, [1], {"id": "c", "text": "three"},
]"#;
    check(
        &[("a.json", json.as_bytes())],
        &["a.json"],
        &expect![[r#"
            a "one, [two]" title=Some("T") uri=None text Metadata({"n": Number(1.0)}) from a.json[0] (73)
            7 "seven" title=None uri=None text Metadata({}) from a.json[1] (29)
            FAILED a.json[2]: duplicate id, first at a.json[0] id=Some(DocumentId("a")) (30)
            FAILED a.json[3]: not valid JSON at column 2: expected ident id=None (11)
            FAILED a.json[4]: has no "id" id=None (19)
            FAILED a.json[5]: not a JSON object id=None (5)
            c "three" title=None uri=None text Metadata({}) from a.json[6] (30)
            FAILED a.json[7]: a comma with no element beside it id=None (2)
        "#]],
    );
}

#[test]
fn an_object_is_one_document() {
    check(
        &[
            ("a.json", b"{\n \"id\": \"a\",\n \"text\": \"one\"\n}\n"),
            (
                "b.json",
                b"{\"id\": \"b\", \"text\": \"x\"}\n{\"id\": \"c\", \"text\": \"y\"}",
            ),
            ("c.json", b"plain"),
            ("d.json", b""),
            ("e.json", b"[]"),
            ("f.json", b"[{\"id\": \"f\", \"text\": \"six\"}"),
        ],
        &["a.json", "b.json", "c.json", "d.json", "e.json", "f.json"],
        &expect![[r#"
            a "one" title=None uri=None text Metadata({}) from a.json (31)
            FAILED b.json: not valid JSON at line 2, column 1: trailing characters; objects one a line are JSONL: name it .jsonl, or give --format jsonl id=None (49)
            FAILED c.json: is not JSON: it must begin with [ or { id=None (0)
            FAILED d.json: empty id=None (0)
            FAILED f.json[0]: the file ends within the array id=None (27)
        "#]],
    );
}

#[test]
fn json_in_a_folder_is_skipped_with_what_to_do() {
    check(
        &[("a.json", b"[]"), ("b.md", b"# B")],
        &[""],
        &expect![[r##"
            b.md "# B" title=None uri=Some("b.md") markdown Metadata({}) from b.md (3)
            skipped 1: data (.json): name the file itself to ingest its objects as documents
        "##]],
    );
}

#[test]
fn any_file_can_be_said_to_be_json() {
    let folder = folder(&[("a.txt", br#"[{"key": 1, "body": "b"}]"#)]);
    let options = SourceOptions {
        format: SourceFormat::Json,
        id_field: Some("key".to_owned()),
        text_field: Some("body".to_owned()),
        ..SourceOptions::default()
    };
    let read = read(&folder, &["a.txt"], &options);
    assert!(read.starts_with("1 \"b\" "), "{read}");
    let refused = open(&[folder.path().to_owned()], &options).unwrap_err();
    assert!(refused.message().contains("is not a file"), "{refused}");
}

#[test]
fn nesting_and_size_fail_one_element() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let json = format!(
        "[{{\"id\": 1, \"text\": \"x\", \"other\": {deep}}}, {{\"id\": 2, \"text\": {deep}}}, {{\"id\": 3, \"text\": \"z\"}}]"
    );
    let folder = folder(&[("a.json", json.as_bytes())]);
    let found: Vec<Item> = open(&[folder.path().join("a.json")], &SourceOptions::default())
        .unwrap()
        .collect();
    assert!(found[0].is_ok(), "{:?}", found[0]);
    let failure = found[1].as_ref().unwrap_err();
    assert!(failure.reason.contains("recursion limit"), "{failure}");
    assert!(found[2].is_ok());
}
