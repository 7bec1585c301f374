//! Every command says what it takes.

use crate::run::Place;

const GLOBAL: [&str; 4] = ["--config", "--data-dir", "--set", "--log-level"];

#[test]
fn every_command_documents_its_flags() {
    let commands: [(&str, &[&str]); 41] = [
        (
            "migrate",
            &[
                "--from",
                "--to",
                "--collection",
                "--json",
                "embedded",
                "cluster",
            ],
        ),
        (
            "plan",
            &[
                "--chunks",
                "--qps",
                "--dimension",
                "--profile",
                "--quantization",
                "--vectors-on-disk",
                "--replicas",
                "--node-memory",
                "--node-cores",
                "--no-rerank",
                "--json",
            ],
        ),
        (
            "job list",
            &["--collection", "--limit", "--server", "--json"],
        ),
        ("job get", &["<ID>", "--server", "--json"]),
        ("job cancel", &["<ID>", "--server", "--json"]),
        ("job failures", &["--collection", "--server", "--json"]),
        (
            "job retry",
            &["[IDS]", "--collection", "--server", "--json"],
        ),
        (
            "explain",
            &[
                "<QUERY>",
                "--also",
                "--document",
                "--collection",
                "--server",
                "--depth",
                "--top-k",
                "--mode",
                "--filter",
                "--min-relevance",
                "--min-lexical",
                "--min-dense",
                "--no-distinct",
                "--per-document",
                "--max-similarity",
                "--mmr",
                "--order",
                "--no-rerank",
                "--json",
            ],
        ),
        ("serve", &["--listen", "--allow-unauthenticated"]),
        (
            "ingest",
            &[
                "[PATHS]",
                "--worker",
                "--once",
                "--collection",
                "--server",
                "--sync",
                "--format",
                "--id-field",
                "--text-field",
                "--metadata",
                "--json",
            ],
        ),
        (
            "retrieve",
            &[
                "[QUERY]",
                "--also",
                "--batch",
                "--cursor",
                "--mmr",
                "--order",
                "--per-document",
                "--max-similarity",
                "--no-distinct",
                "--min-lexical",
                "--min-dense",
                "--collection",
                "--server",
                "--top-k",
                "--mode",
                "--syntax",
                "--typos",
                "--filter",
                "--no-rerank",
                "--rerank-deadline-ms",
                "--context-tokens",
                "--tokenizer",
                "--expand",
                "--min-relevance",
                "--explain",
                "--json",
            ],
        ),
        (
            "eval run",
            &[
                "--dataset",
                "--split",
                "--stages",
                "--depth",
                "--deadline",
                "--metrics",
                "--losses",
                "--html",
                "--out",
                "--json",
            ],
        ),
        (
            "eval compare",
            &["<A>", "<B>...", "--qrels", "--metrics", "--json"],
        ),
        (
            "eval score",
            &["<RUNS>...", "--qrels", "--metrics", "--per-topic", "--json"],
        ),
        (
            "eval cache",
            &[
                "--pairs",
                "--thresholds",
                "--at",
                "--entries",
                "--per-pair",
                "--json",
            ],
        ),
        ("eval convert", &["<FILE>", "--to", "--out"]),
        (
            "eval gate",
            &[
                "<REPORT>",
                "--baseline",
                "--stages",
                "--metrics",
                "--tolerance",
                "--alpha",
                "--at-least",
                "--json",
            ],
        ),
        (
            "eval losses",
            &[
                "--dataset",
                "--split",
                "--top-k",
                "--deep",
                "--where",
                "--json",
            ],
        ),
        (
            "eval ablate",
            &["--dataset", "--split", "--reingest", "--metrics", "--json"],
        ),
        (
            "eval sweep",
            &["--dataset", "--split", "--grid", "--metrics", "--json"],
        ),
        (
            "eval tune",
            &[
                "--dataset",
                "--split",
                "--grid",
                "--metric",
                "--validation",
                "--random-labels",
                "--seed",
                "--json",
            ],
        ),
        (
            "collection create",
            &[
                "--language",
                "--strategy",
                "--target-tokens",
                "--overlap-tokens",
                "--server",
                "--json",
            ],
        ),
        ("collection list", &["--server", "--json"]),
        ("collection delete", &["<NAME>", "--server", "--json"]),
        (
            "collection synonyms",
            &["<NAME>", "--rules", "--clear", "--server", "--json"],
        ),
        (
            "collection rebuild",
            &["<NAME>", "--with-configured-settings", "--json"],
        ),
        ("document list", &["--collection", "--server", "--json"]),
        (
            "document get",
            &["<ID>", "--collection", "--server", "--json"],
        ),
        (
            "document delete",
            &["<IDS>", "--collection", "--server", "--json"],
        ),
        (
            "cache lookup",
            &[
                "<QUERY>",
                "--server",
                "--collection",
                "--scope",
                "--threshold",
                "--no-guard",
                "--accept-stale",
                "--json",
            ],
        ),
        (
            "cache store",
            &[
                "<QUERY>",
                "--answer",
                "--answer-json",
                "--server",
                "--collection",
                "--scope",
                "--document",
                "--ttl-seconds",
                "--collection-state",
                "--json",
            ],
        ),
        (
            "cache delete",
            &["--server", "--collection", "--scope", "--all", "--json"],
        ),
        ("models list", &["--json"]),
        ("models pull", &["<NAME>", "--json"]),
        ("models verify", &["[NAME]", "--json"]),
        ("verify", &["--collection", "--repair", "--json"]),
        ("doctor", &["--server", "--quick", "--json"]),
        (
            "inspect chunk",
            &["<ID>", "--terms", "--collection", "--server", "--json"],
        ),
        (
            "inspect document",
            &["<ID>", "--collection", "--server", "--json"],
        ),
        ("inspect collection", &["[NAME]", "--server", "--json"]),
        (
            "",
            &[
                "serve",
                "ingest",
                "retrieve",
                "eval",
                "collection",
                "document",
                "cache",
                "models",
                "verify",
                "doctor",
                "migrate",
                "inspect",
                "plan",
            ],
        ),
    ];
    let place = Place::new();
    for (command, words) in commands {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let help = place.ok(&arguments);
        for word in words.iter().chain(&GLOBAL) {
            assert!(
                help.contains(word),
                "no {word} in the help of {command:?}: {help}"
            );
        }
    }
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    let place = Place::new();
    place.fails(&["ingest"], 2, &["<PATHS>"]);
    place.fails(
        &["retrieve", "x", "--mode", "fast"],
        2,
        &["--mode", "hybrid"],
    );
    place.fails(
        &["retrieve", "x", "--collection", "Bad Name"],
        2,
        &["a-z, 0-9"],
    );
    place.fails(&["frobnicate"], 2, &["frobnicate"]);
    assert_eq!(place.braid(&[]).status, 2);
    assert!(place.ok(&["--version"]).starts_with("braid "));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["models", "list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = crate::run::Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}
