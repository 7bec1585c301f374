//! The profile `qdrant` beside `embedded`.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{number, text};

pub(super) fn qdrant(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Profiles qdrant and cluster beside embedded\n\nQdrant {}, one node on the same machine over loopback, which it shares with Braid. Same corpus, embeddings and queries;\nall are measured in turn. `make bench PARTS=qdrant,report` with `BRAID_TEST_QDRANT_URL`.",
        text(value, "version")?
    )?;
    if !value["latency"].is_null() {
        latency(page, &value["latency"])?;
    }
    if !value["ingest"].is_null() {
        ingest(page, &value["ingest"])?;
    }
    parity(page, value["parity"].as_array().context("no parity")?)
}

fn latency(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\nRetrieval over {} chunks, {} distinct queries of each mode one after another, not re-ranked, no caches, after Qdrant\nbuilt its graph; milliseconds. Then {} clients at once, whose queries Qdrant shares the cores with. Target: profile `qdrant`, hybrid, at most 3 ms\nmore at p50. `braid migrate` copied all of it into the cluster in {:.0} s, comparing both sides included.\n\n| mode | profile | p50 | p95 | more at p50 | dense leg p50 | same of the best ten | queries/s, {} clients |\n|---|---|---|---|---|---|---|---|",
        value["chunks"],
        value["queries"],
        value["clients"],
        number(value, "migrate_seconds")?,
        value["clients"]
    )?;
    for mode in ["lexical", "dense", "hybrid"] {
        let part = &value["modes"][mode];
        times(page, (mode, "embedded"), &part["embedded"])?;
        for profile in ["qdrant", "cluster"] {
            times(page, (mode, profile), &part["remote"][profile])?;
        }
    }
    servers(page, &value["servers"])
}

fn servers(page: &mut String, value: &Value) -> Result<()> {
    if value.is_null() {
        page.push_str("\nTwo query servers of profile `cluster` beside one: not measured, it takes 8 cores. Target: 1.8 times the requests.\n");
        return Ok(());
    }
    let one = number(&value["one"], "requests_per_second")?;
    let two = number(&value["two"], "requests_per_second")?;
    writeln!(
        page,
        "\nQuery servers of profile `cluster` on {} cores each, over HTTP, hybrid, not re-ranked: one {one:.0} requests/s, two {two:.0}, {:.2} times (target: 1.8\nwhere there are 8 cores or more).",
        value["cores"],
        two / one
    )?;
    Ok(())
}

/// One row; `value` compares itself with embedded where it is another profile.
fn times(page: &mut String, (mode, profile): (&str, &str), value: &Value) -> Result<()> {
    let compared = |key: &str| value[key].as_f64();
    writeln!(
        page,
        "| {mode} | {profile} | {:.2} | {:.2} | {} | {:.2} | {} | {:.0} |",
        number(&value["total"], "p50")?,
        number(&value["total"], "p95")?,
        compared("added_p50").map_or(String::new(), |ms| format!("{ms:+.2}")),
        number(&value["dense"], "p50")?,
        compared("overlap").map_or(String::new(), |share| format!("{share:.3}")),
        number(value, "per_second")?
    )?;
    Ok(())
}

fn ingest(page: &mut String, value: &Value) -> Result<()> {
    page.push_str("\nIngest until retrievable; under `cluster` by one worker, in the same process and beside the handing in. Embedded has built its graph by then; Qdrant builds its own beside and\nafter, and compares every vector of what is not in one yet: that time is beside. Target: profile `qdrant`, share 0.9.\n\n| embeddings | chunks | profile | chunks/s | share of embedded | then Qdrant's graph, s | share with it |\n|---|---|---|---|---|---|---|\n");
    for (name, part) in [
        ("made up, at no cost", &value["made_up"]),
        ("the embedder's", &value["embedded"]),
    ] {
        if part.is_null() {
            continue;
        }
        let chunks = number(part, "chunks")?;
        let here = number(part, "embedded_seconds")?;
        writeln!(
            page,
            "| {name} | {chunks} | embedded | {:.0} | | | |",
            chunks / here
        )?;
        for profile in ["qdrant", "cluster"] {
            let away = &part[profile];
            let (seconds, graph) = (number(away, "seconds")?, number(away, "graph_seconds")?);
            writeln!(
                page,
                "| {name} | {chunks} | {profile} | {:.0} | {:.2} | {graph:.1} | {:.2} |",
                chunks / seconds,
                number(away, "share")?,
                here / (seconds + graph)
            )?;
        }
    }
    Ok(())
}

fn parity(page: &mut String, sets: &[Value]) -> Result<()> {
    page.push_str("\nParity at depth 100, of profile `cluster` too. Targets: overlap@10 at least 0.98 dense and 0.90 lexical, nDCG@10 within 0.01.\n\n| set | profile | stage | overlap@10 | nDCG@10 embedded | of the profile |\n|---|---|---|---|---|---|\n");
    for set in sets {
        for (profile, stages) in [("qdrant", &set["stages"]), ("cluster", &set["cluster"])] {
            for stage in stages.as_array().into_iter().flatten() {
                writeln!(
                    page,
                    "| {} | {profile} | {} | {:.4} | {:.4} | {:.4} |",
                    text(set, "set")?,
                    text(stage, "stage")?,
                    number(stage, "overlap")?,
                    number(stage, "embedded_ndcg")?,
                    number(stage, "remote_ndcg")?
                )?;
            }
        }
    }
    Ok(())
}
