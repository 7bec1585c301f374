//! `braid retrieve` from a data directory.

use serde_json::Value;

use crate::run::Place;

fn corpus() -> Place {
    let place = Place::new();
    let documents = [
        (
            "net",
            "en",
            2019,
            "Private addresses are those of RFC 1918, such as 10.0.0.0/8.",
        ),
        (
            "cve",
            "en",
            2024,
            "The backdoor in xz is CVE-2024-3094; upgrade to v5.6.2 at once.",
        ),
        (
            "code",
            "en",
            2021,
            "Call max_retry_count on the client before the first request.",
        ),
        ("release", "de", 2023, "Version v1.2.3 mends the importer."),
        ("cat", "en", 2020, "A kitten purrs when it is stroked."),
        (
            "bread",
            "en",
            2018,
            "Knead the dough, let it rise, and bake the loaf.",
        ),
    ];
    let lines = documents.map(|(id, lang, year, text)| {
        serde_json::json!({"id": id, "text": text, "metadata": {"lang": lang, "year": year}})
            .to_string()
    });
    place.write("docs.jsonl", lines.join("\n"));
    place.ok(&["ingest", "docs.jsonl"]);
    place
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["document_id"].as_str().unwrap())
        .collect()
}

#[test]
fn each_leg_finds_what_it_is_for() {
    let place = corpus();
    let first = |query: &str, mode: &str| {
        let arguments = ["retrieve", query, "--mode", mode, "--no-rerank"];
        let answer = place.json(&arguments, 0);
        assert_eq!(answer["degraded"], serde_json::json!([]));
        ids(&answer).first().map(|&id| id.to_owned())
    };
    let found = |id: &str| Some(id.to_owned());
    for (query, id) in [
        ("RFC 1918", "net"),
        ("cve-2024-3094", "cve"),
        ("max_retry_count", "code"),
    ] {
        assert_eq!(first(query, "lexical"), found(id), "{query}");
    }
    assert_eq!(first("v1.2.3", "lexical"), found("release"));
    assert_eq!(first("feline happiness", "lexical"), None);
    assert_eq!(first("feline happiness", "dense"), found("cat"));
    assert_eq!(first("feline happiness", "hybrid"), found("cat"));
    assert_eq!(first("RFC 1918", "hybrid"), found("net"));
}

#[test]
fn filters_explanations_and_the_shape_of_the_answer() {
    let place = corpus();
    let filter =
        r#"{"must": [{"key": "lang", "match": "en"}, {"key": "year", "range": {"gte": 2021}}]}"#;
    let arguments = [
        "retrieve",
        "upgrade the client",
        "--filter",
        filter,
        "--explain",
        "-k",
        "5",
    ];
    let answer = place.json(&arguments, 0);
    let mut found = ids(&answer);
    found.sort_unstable();
    assert_eq!(found, ["code", "cve"]);
    for key in [
        "request_id",
        "hits",
        "context",
        "timings_ms",
        "rerank",
        "lag",
        "notes",
        "degraded",
    ] {
        assert!(answer.get(key).is_some(), "no {key} in {answer:#}");
    }
    assert_eq!(
        answer["rerank"]["scored"], answer["rerank"]["of"],
        "one-shot waits for all"
    );
    let hit = &answer["hits"][0];
    assert_eq!(hit["score_stage"], "rerank");
    for stage in ["lexical", "dense", "fused", "rerank"] {
        assert!(hit["scores"].get(stage).is_some(), "no {stage} in {hit:#}");
    }
    assert!(answer["context"]["text"].as_str().unwrap().contains("[1]"));
    assert_eq!(hit["moves"][1]["stage"], "rerank");

    let text = place.ok(&["retrieve", "CVE-2024-3094", "--explain", "-k", "1"]);
    for stage in ["lexical #1", "dense #", "fused #1", "rerank #1"] {
        assert!(text.contains(stage), "no {stage} in {text}");
    }
    let text = place.ok(&["retrieve", "!!!", "--explain"]);
    assert!(text.contains("note: the query has no word"), "{text}");
    let cut = place.json(&["retrieve", "upgrade", "--rerank-deadline-ms", "0"], 0);
    assert_eq!(cut["degraded"][0]["stage"], "rerank", "{cut:#}");
}

#[test]
fn bad_requests_are_refused_in_one_line() {
    let place = Place::new();
    place.write("one.md", "# One\n\nA single document.");
    place.ok(&["ingest", "one.md"]);
    let long = "a".repeat(8193);
    let refused: [(&[&str], &[&str]); 9] = [
        (&[""], &["/query", "empty"]),
        (&[" \t "], &["/query", "empty"]),
        (&[&long], &["/query", "8192"]),
        (&["x", "--top-k", "0"], &["/top_k", "1 to 1000"]),
        (&["x", "--top-k", "10000"], &["/top_k", "1 to 1000"]),
        (&["x", "--filter", "{"], &["--filter", "JSON"]),
        (&["x", "--filter", r#"{"must": [{"kei": 1}]}"#], &["kei"]),
        (
            &[
                "x",
                "--filter",
                r#"{"must": [{"key": "a", "match": 1, "match": 2}]}"#,
            ],
            &["/filter/must/0", "match"],
        ),
        (
            &["x", "--filter", r#"{"must": {"key": "a"}}"#],
            &["/filter/must", "found an object, expected an array"],
        ),
    ];
    for (arguments, words) in refused {
        place.fails(&[&["retrieve"], arguments].concat(), 2, words);
    }
    let unknown = ["retrieve", "x", "--collection", "nope"];
    place.fails(&unknown, 1, &["nope", "braid collection create"]);
    place.fails(
        &["retrieve", "x", "--data-dir", "typo"],
        1,
        &["typo", "braid ingest"],
    );
}

#[test]
fn a_missing_document_is_explained() {
    let place = corpus();
    let arguments = ["explain", "kitten", "--document", "bread", "-k", "1"];
    let answer = place.json(&arguments, 0);
    assert_eq!(answer["rank"], Value::Null);
    assert!(
        !answer["remedies"].as_array().unwrap().is_empty(),
        "{answer:#}"
    );
    let text = place.ok(&arguments);
    for part in ["bread is not returned", "lexical", "with top_k"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let text = place.ok(&["explain", "kitten", "--document", "cat"]);
    assert!(text.contains("cat is returned at rank 1"), "{text}");
    let text = place.ok(&["explain", "kitten", "--document", "dog"]);
    assert!(text.contains("no such document"), "{text}");
}

#[test]
fn flags_say_what_the_request_can() {
    let place = corpus();
    place.write(
        "copies.jsonl",
        [
            r#"{"id": "copy", "text": "A kitten purrs when it is stroked."}"#,
            r#"{"id": "long", "text": "A kitten purrs. ", "title": "Kittens"}"#,
        ]
        .join("\n"),
    );
    place.ok(&["ingest", "copies.jsonl"]);
    let found = |flags: &[&str]| {
        let answer = place.json(
            &[&["retrieve", "kitten purrs", "--no-rerank"], flags].concat(),
            0,
        );
        ids(&answer)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all = found(&[]);
    assert_eq!(
        all.iter()
            .filter(|id| *id == "cat" || *id == "copy")
            .count(),
        1,
        "{all:?}"
    );
    assert_eq!(found(&["--no-distinct"]).len(), all.len() + 1);
    let close = found(&["--mode", "dense", "--min-dense", "0.5"]);
    assert!(!close.is_empty() && close.len() < all.len(), "{close:?}");
    assert!(found(&["--mode", "lexical", "--min-lexical", "1000"]).is_empty());
    let either = found(&["--mode", "lexical", "--also", "RFC 1918", "--also", "dough"]);
    for id in ["net", "bread", "long"] {
        assert!(either.contains(&id.to_owned()), "no {id} in {either:?}");
    }
    let context = |flags: &[&str]| {
        let asked = [
            "retrieve",
            "kitten stroked",
            "--no-rerank",
            "--no-distinct",
            "--mode",
            "lexical",
        ];
        let answer = place.json(&[&asked, flags].concat(), 0);
        let citations = answer["context"]["citations"].as_array().unwrap().iter();
        citations
            .map(|one| one["document_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let ranked = context(&["--max-similarity", "1"]);
    assert_eq!(ranked.len(), 3);
    assert_eq!(context(&[]).len(), 2, "one of two copies");
    let edges = context(&["--max-similarity", "1", "--order", "edges"]);
    assert_eq!(
        edges,
        [&ranked[0], &ranked[2], &ranked[1]].map(String::clone)
    );
    let novel = context(&["--max-similarity", "1", "--mmr", "0"]);
    assert_eq!(novel[0], ranked[0]);
    assert_ne!(novel, ranked, "the copy comes last");
    assert_eq!(
        context(&["--per-document", "1", "--max-similarity", "1"]),
        ranked
    );
    for (flags, words) in [
        (["--mmr", "2"], ["/context/mmr/lambda", "0 to 1"]),
        (
            ["--max-similarity", "-1"],
            ["/context/max_similarity", "0 to 1"],
        ),
        (
            ["--per-document", "0"],
            ["/context/per_document", "1 or more"],
        ),
        (["--also", " "], ["/also/0", "empty"]),
        (["--cursor", "x"], ["--server", "required"]),
        (["--batch", "x"], ["--batch", "cannot be used with"]),
    ] {
        place.fails(&[&["retrieve", "x"][..], &flags].concat(), 2, &words);
    }
    let explained = ["explain", "kitten purrs", "-d", "copy", "--no-rerank"];
    let answer = place.json(&explained, 0);
    let kept = place.json(&[&explained[..], &["--no-distinct"]].concat(), 0);
    let of = |answer: &Value| answer["cut"]["stage"] == "deduplicated";
    let cat = place.json(&["explain", "kitten purrs", "-d", "cat", "--no-rerank"], 0);
    assert!(
        of(&answer) != of(&cat),
        "one of the copies stands for the other"
    );
    assert!(!of(&kept));
}

#[test]
fn the_context_shows_what_expand_says() {
    let place = Place::new();
    let section = |name: &str| format!("# {name}\n\nA passage about {name} and no more.\n");
    let sections = ["walnuts", "kittens", "harbours"].map(section);
    place.write("one.md", sections.join("\n"));
    let small = ["--set", "chunking.target_tokens=12"];
    place.ok(&[&["ingest", "one.md"][..], &small].concat());
    let context = |expand: &str| {
        let asked = ["retrieve", "kittens", "--no-rerank", "-k", "1"];
        let legs = ["--mode", "lexical", "--expand", expand];
        let answer = place.json(&[&asked[..], &legs].concat(), 0);
        answer["context"]["text"].as_str().unwrap().to_owned()
    };
    for (expand, with_neighbours) in [("none", false), ("section", false), ("neighbors", true)] {
        let text = context(expand);
        assert!(text.contains("kittens and no more"), "{expand}: {text}");
        for other in ["walnuts and no more", "harbours and no more"] {
            assert_eq!(text.contains(other), with_neighbours, "{expand}: {text}");
        }
    }
    let words = ["--expand", "possible values"];
    place.fails(&["retrieve", "x", "--expand", "all"], 2, &words);
}

#[test]
fn a_batch_answers_every_line() {
    let place = corpus();
    place.write(
        "asked.jsonl",
        [
            r#"{"query": "kitten", "top_k": 1}"#,
            "",
            r#"{"query": "CVE-2024-3094"}"#,
            r#"{"query": " "}"#,
            "not JSON",
            r#"["query", "kitten"]"#,
            r#"{"query": "dough", "collection": "nope"}"#,
        ]
        .join("\n"),
    );
    let asked = [
        "retrieve",
        "--batch",
        "asked.jsonl",
        "--no-rerank",
        "-k",
        "2",
        "--mode",
        "lexical",
    ];
    let ran = place.braid(&[&asked[..], &["--json"]].concat());
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("4 of 6 retrievals failed"),
        "{}",
        ran.stderr
    );
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(ids(&lines[0]), ["cat"]);
    assert_eq!(ids(&lines[1]), ["cve"]);
    let codes: Vec<_> = lines[2..].iter().map(|line| &line["error_code"]).collect();
    assert_eq!(
        codes,
        [
            "INVALID_REQUEST",
            "MALFORMED_JSON",
            "MALFORMED_JSON",
            "COLLECTION_NOT_FOUND"
        ]
    );
    let text = place.braid(&asked).stdout;
    for part in [
        "== kitten",
        "[1] cat",
        "error: /query: must not be empty",
        "line 5 is not a JSON object: expected ident in column 2\n",
        "line 6 is not a JSON object: invalid type: sequence, expected a map\n",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    place.write("good.jsonl", r#"{"query": "kitten"}"#);
    let text = place.ok(&["retrieve", "--batch", "good.jsonl", "--no-rerank"]);
    assert!(text.contains("[1] cat"), "{text}");
    place.fails(&["retrieve", "--batch", "none.jsonl"], 2, &["none.jsonl"]);
}

#[test]
fn operators_and_synonyms_are_for_those_who_want_them() {
    let place = corpus();
    let ask = |query: &str, more: &[&str]| {
        let arguments = ["retrieve", query, "--no-rerank", "--mode", "lexical"];
        place.json(&[&arguments[..], more].concat(), 0)
    };
    let answer = ask("\"bake the loaf\"", &[]);
    assert_eq!(ids(&answer), ["bread"]);
    let answer = ask("\"the loaf bake\"", &[]);
    assert_eq!(answer["reason"]["code"], "conditions_unmet");
    let said = place.ok(&["retrieve", "\"the loaf bake\"", "--no-rerank"]);
    assert!(said.contains("nothing found: no passage meets"), "{said}");
    let answer = ask("\"the loaf bake\"", &["--syntax", "off"]);
    assert_eq!(ids(&answer), ["bread"]);
    let answer = ask("kiten", &[]);
    assert_eq!(ids(&answer), ["cat"]);
    let said = place.ok(&["retrieve", "kiten", "--no-rerank"]);
    assert!(said.contains("also searched for kitten (kiten)"), "{said}");
    let answer = ask("kiten", &["--typos", "off"]);
    assert_eq!(ids(&answer), [""; 0]);

    let synonyms = |more: &[&str], status| {
        let arguments = ["collection", "synonyms", "default"];
        place.json(&[&arguments[..], more].concat(), status)
    };
    assert_eq!(synonyms(&[], 0)["rules"], serde_json::json!([]));
    place.write(
        "rules.txt",
        "# animals\n\nfeline => kitten\nloaf, bread roll\n",
    );
    let set = synonyms(&["--rules", "rules.txt"], 0);
    let rules = serde_json::json!(["feline => kitten", "loaf, bread roll"]);
    assert_eq!(set["rules"], rules);
    assert_eq!(synonyms(&[], 0)["rules"], rules);
    assert_eq!(ids(&ask("feline", &[])), ["cat"]);
    assert_eq!(ids(&ask("a bread roll", &[])), ["bread"]);
    let bad = ["collection", "synonyms", "default", "--rules", "bad.txt"];
    for (rules, line) in [("alone\n", 1), ("# animals\n\na, b\nalone\n", 4)] {
        place.write("bad.txt", rules);
        let said = format!("error: bad.txt:{line}: the rule has one term");
        place.fails(&bad, 2, &[said.as_str(), "`a, b`"]);
    }
    let missing = ["collection", "synonyms", "nowhere"];
    place.fails(&missing, 1, &["nowhere"]);
    let said = place.ok(&["collection", "synonyms", "default", "--clear"]);
    assert!(said.contains("no synonyms"), "{said}");
    assert_eq!(ids(&ask("feline", &[])), [""; 0]);
}
