//! `braid inspect`: lineage on the command line.

use serde_json::Value;

use crate::run::Place;
use crate::serve::Server;

/// Two sections, which are two chunks.
fn ingested() -> Place {
    let place = Place::new();
    let section = |name: &str| format!("# {name}\n\n{}\n\n", "Some more words. ".repeat(50));
    place.write("docs/a.md", ["Apples", "Bread"].map(section).concat());
    place.write("docs/b.html", "<h1>Cheese</h1><p>A loaf of it.</p>");
    place.ok(&["ingest", "docs"]);
    place
}

fn first_hit(place: &Place, query: &str) -> String {
    let answer = place.json(&["retrieve", query, "--no-rerank"], 0);
    let id = answer["hits"][0]["chunk_id"].as_str();
    id.unwrap().to_owned()
}

#[test]
fn a_hit_is_followed_to_where_it_came_from() {
    let place = ingested();
    let id = first_hit(&place, "bread");
    let inspected = place.json(&["inspect", "chunk", &id], 0);
    let [chunk] = inspected["chunks"].as_array().unwrap().as_slice() else {
        panic!("{inspected:#}");
    };
    assert_eq!(chunk["chunk_id"], id);
    assert_eq!(chunk["status"], "live");
    assert_eq!(chunk["document_id"], "a.md");
    assert_eq!(chunk["source"]["context_header"], "Apples > Bread");
    assert!(
        chunk["document"]["uri"]
            .as_str()
            .unwrap()
            .ends_with("docs/a.md")
    );
    assert_eq!(
        chunk["document"]["content_hash"].as_str().unwrap().len(),
        64
    );
    for (part, word) in [
        ("embedder", "MiniLM"),
        ("chunker", "reader-"),
        ("analyzer", "auto"),
    ] {
        let fingerprint = chunk["fingerprint"][part].as_str().unwrap();
        assert!(fingerprint.contains(word), "{fingerprint}");
    }
    let indexes = &chunk["indexes"];
    assert_eq!(
        (&indexes["lexical"], &indexes["dense"]),
        (&true.into(), &true.into())
    );
    let words = chunk["terms"]["words"].as_array().unwrap();
    assert!(words.contains(&"bread".into()), "{words:?}");
    let few = place.json(&["inspect", "chunk", &id, "--terms", "1"], 0);
    let few = &few["chunks"][0]["terms"];
    assert_eq!(few["words"].as_array().unwrap().len(), 1);
    assert!(few["more"].as_u64().unwrap() > 0, "{few}");

    let text = place.ok(&["inspect", "chunk", &id]);
    let said = [
        "live (retrievable)",
        "docs/a.md",
        "Apples > Bread",
        "the lexical index has it",
        "Some more words.",
    ];
    for word in said {
        assert!(text.contains(word), "no {word} in {text}");
    }
    place.fails(&["inspect", "chunk", "x"], 2, &["UUID"]);
    let absent = "00000000-0000-0000-0000-000000000000";
    place.fails(&["inspect", "chunk", absent], 1, &["no chunk", "default"]);
}

#[test]
fn an_entry_that_an_index_lost_is_seen() {
    let place = ingested();
    let id = first_hit(&place, "bread");
    std::fs::remove_dir_all(place.path().join("data/indexes")).unwrap();
    let inspected = place.json(&["inspect", "chunk", &id], 0);
    let indexes = &inspected["chunks"][0]["indexes"];
    assert_eq!(
        (&indexes["lexical"], &indexes["dense"]),
        (&false.into(), &false.into())
    );
}

#[test]
fn documents_and_collections() {
    let place = ingested();
    let inspected = place.json(&["inspect", "document", "a.md"], 0);
    let versions = inspected["versions"].as_array().unwrap();
    assert_eq!(
        (versions.len(), &versions[0]["status"]),
        (1, &"published".into())
    );
    let chunks = inspected["chunks"].as_array().unwrap();
    assert_eq!(versions[0]["chunks"], chunks.len());
    assert_eq!(chunks[0]["source"]["char_start"], 0);
    let text = place.ok(&["inspect", "document", "a.md"]);
    assert!(
        text.contains(chunks[0]["chunk_id"].as_str().unwrap()),
        "{text}"
    );
    place.fails(&["inspect", "document", "absent"], 1, &["absent"]);

    let inspected = place.json(&["inspect", "collection"], 0);
    let [collection] = inspected["collections"].as_array().unwrap().as_slice() else {
        panic!("{inspected:#}");
    };
    assert_eq!(collection["documents"], 2);
    assert_eq!(
        collection["watermarks"]["newest"],
        collection["watermarks"]["published"]
    );
    let live = &collection["chunks"];
    for index in collection["indexes"].as_array().unwrap() {
        assert_eq!(&index["entries"], live, "{index}");
        assert_eq!((&index["missing"], &index["extra"]), (&0.into(), &0.into()));
        assert!(index["size_bytes"].as_u64().unwrap() > 0);
    }
    let ledger = &inspected["ledger"];
    assert!(
        ledger["used_bytes"].as_u64() < ledger["limit_bytes"].as_u64(),
        "{ledger}"
    );
    assert!(
        place
            .ok(&["inspect", "collection", "default"])
            .contains("auto")
    );
    place.fails(&["inspect", "collection", "none"], 1, &["none"]);
}

#[test]
fn a_server_says_the_same() {
    let place = ingested();
    let id = first_hit(&place, "bread");
    let chunk = ["inspect", "chunk", &id];
    let document = ["inspect", "document", "a.md"];
    let local = [&chunk, &document].map(|arguments| place.json(arguments, 0));
    let server = Server::start(&place, &[]);
    let url = server.url();
    let ask = |arguments: &[&str]| place.json(&[arguments, &["--server", &url]].concat(), 0);
    let mut expected = local[0]["chunks"][0].clone();
    expected["indexes"] = Value::Null;
    assert_eq!(ask(&chunk)["chunks"][0], expected);
    assert_eq!(ask(&document), local[1]);
    let collections = ask(&["inspect", "collection"]);
    assert_eq!(collections["collections"][0]["documents"], 2);
    assert_eq!(collections["ledger"], Value::Null);
}
