//! Tables as an ingestion sees them.

use braid_core::limits::MAX_METADATA_BYTES;
use expect_test::expect;

use super::tests::{check, folder, read};
use super::*;

#[test]
fn rows_of_a_table_are_documents() {
    check(
        &[(
            "t.csv",
            b"\xef\xbb\xbfid;name;price;in stock;note\n7;\"Lamp; red\";12.5;true;\n\n;nameless;1;false;x\n8;Chair;;;\"two\nlines\"\n9;a;b;c;d;e\n7;again;;;\n",
        )],
        &["t.csv"],
        &expect![[r#"
            7 "id: 7\nname: Lamp; red\nprice: 12.5\nin stock: true" title=None uri=Some("t.csv:2") text Metadata({"id": String("7"), "in stock": Bool(true), "name": String("Lamp; red"), "price": Number(12.5)}) from t.csv:2 (53)
            FAILED t.csv:4: column "id" is empty id=None (21)
            8 "id: 8\nname: Chair\nnote: two\nlines" title=None uri=Some("t.csv:5") text Metadata({"id": String("8"), "name": String("Chair"), "note": String("two\nlines")}) from t.csv:5 (22)
            FAILED t.csv:7: has 6 fields, the header names 5 id=Some(DocumentId("9")) (12)
            FAILED t.csv:8: duplicate id, first at t.csv:2 id=Some(DocumentId("7")) (11)
        "#]],
    );
    check(
        &[(
            "t.tsv",
            b"title\ttext\tyear\nA\tsome, text\t2020\n\tmore\t\n\xff\tbad\t1\n",
        )],
        &["t.tsv"],
        &expect![[r#"
            t.tsv#1 "some, text" title=Some("A") uri=Some("t.tsv:2") text Metadata({"year": Number(2020.0)}) from t.tsv:2 (34)
            t.tsv#2 "more" title=None uri=Some("t.tsv:3") text Metadata({}) from t.tsv:3 (7)
            FAILED t.tsv:4: column "title" is not valid UTF-8 id=None (8)
        "#]],
    );
}

#[test]
fn rows_can_be_grouped_and_columns_chosen() {
    let files: [(&str, &[u8]); 1] = [("t.csv", b"key,body,kind\na,one,x\nb,two,x\nc,three,y\n")];
    let options = |text: Option<&str>, id: Option<&str>, rows| SourceOptions {
        id_field: id.map(str::to_owned),
        text_field: text.map(str::to_owned),
        rows_per_document: rows,
        ..SourceOptions::default()
    };
    let found = read(&folder(&files), &["t.csv"], &options(None, None, 2));
    expect![[r#"
        t.csv#1-2 "key: a\nbody: one\nkind: x\n\nkey: b\nbody: two\nkind: x" title=None uri=Some("t.csv:2") text Metadata({"kind": String("x")}) from t.csv:2 (30)
        t.csv#3-3 "key: c\nbody: three\nkind: y" title=None uri=Some("t.csv:4") text Metadata({"body": String("three"), "key": String("c"), "kind": String("y")}) from t.csv:4 (10)
    "#]].assert_eq(&found);
    let found = read(
        &folder(&files),
        &["t.csv"],
        &options(Some("body"), Some("key"), 1),
    );
    expect![[r#"
        a "one" title=None uri=Some("t.csv:2") text Metadata({"key": String("a"), "kind": String("x")}) from t.csv:2 (22)
        b "two" title=None uri=Some("t.csv:3") text Metadata({"key": String("b"), "kind": String("x")}) from t.csv:3 (8)
        c "three" title=None uri=Some("t.csv:4") text Metadata({"key": String("c"), "kind": String("y")}) from t.csv:4 (10)
    "#]].assert_eq(&found);
    let found = read(&folder(&files), &["t.csv"], &options(Some("text"), None, 1));
    expect![[r#"
        FAILED t.csv: has no column "text"; its columns are key, body, kind id=None (0)
    "#]]
    .assert_eq(&found);
}

#[test]
fn a_bad_row_takes_none_of_its_group_with_it() {
    let files: [(&str, &[u8]); 1] = [("t.csv", b"a,b\n1,2\n3,4\n5,6,7\n8,9\n")];
    let options = SourceOptions {
        rows_per_document: 3,
        ..SourceOptions::default()
    };
    expect![[r#"
        t.csv#1-2 "a: 1\nb: 2\n\na: 3\nb: 4" title=None uri=Some("t.csv:2") text Metadata({}) from t.csv:2 (12)
        FAILED t.csv:4: has 3 fields, the header names 2 id=None (6)
        t.csv#4-4 "a: 8\nb: 9" title=None uri=Some("t.csv:5") text Metadata({"a": Number(8.0), "b": Number(9.0)}) from t.csv:5 (4)
    "#]].assert_eq(&read(&folder(&files), &["t.csv"], &options));
}

#[test]
fn columns_leave_room_for_the_callers_metadata() {
    let names: Vec<String> = (0..80).map(|at| format!("c{at}")).collect();
    let table = format!("{}\n{}\n", names.join(","), vec!["1"; 80].join(","));
    let options = SourceOptions {
        metadata: Metadata::new([parse_metadata("set=yes").unwrap()].into()).unwrap(),
        ..SourceOptions::default()
    };
    let folder = folder(&[("t.csv", table.as_bytes())]);
    let mut documents = open(&[folder.path().join("t.csv")], &options).unwrap();
    let found = documents.next().unwrap().unwrap();
    assert_eq!(found.document.metadata.iter().count(), 64);
    assert!(found.document.metadata.get("set").is_some());
}

/// Wide rows keep what fits, from the left.
#[test]
fn columns_beyond_what_metadata_may_have_in_all_are_left_out() {
    let names: Vec<String> = (0..40).map(|at| format!("c{at:02}")).collect();
    let values = vec!["v".repeat(2000); 40];
    let table = format!("{}\n{}\n", names.join(","), values.join(","));
    let options = SourceOptions {
        metadata: Metadata::new([parse_metadata("set=yes").unwrap()].into()).unwrap(),
        ..SourceOptions::default()
    };
    let folder = folder(&[("t.csv", table.as_bytes())]);
    let mut documents = open(&[folder.path().join("t.csv")], &options).unwrap();
    let found = documents.next().unwrap().unwrap().document.metadata;
    assert!(found.bytes() <= MAX_METADATA_BYTES);
    assert_eq!(found.iter().count(), 1 + MAX_METADATA_BYTES / 2003);
    assert!(found.get("c31").is_some() && found.get("c32").is_none());
    assert!(found.get("set").is_some());
}

#[test]
fn a_table_that_cannot_be_read_is_reported() {
    check(
        &[
            ("empty.csv", b""),
            ("twice.csv", b"a,b,a\n1,2,3\n"),
            ("header.csv", b"a,b\n"),
            ("in/folder.csv", b"a\n1\n"),
        ],
        &["empty.csv", "twice.csv", "header.csv", "in"],
        &expect![[r#"
            FAILED empty.csv: has no header: its first row must name the columns id=None (0)
            FAILED twice.csv: names column "a" twice id=None (0)
            skipped 1: a table (.csv): name the file itself to ingest its rows
        "#]],
    );
}
