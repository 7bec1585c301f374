//! The profile `qdrant` beside `embedded`.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{number, text};

pub(super) fn qdrant(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Profile qdrant beside embedded\n\nQdrant {}, one node on the same machine over loopback, which it shares with Braid. Same corpus, embeddings and queries;\nboth sides are measured in turn. `make bench PARTS=qdrant,report` with `BRAID_TEST_QDRANT_URL`.",
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
        "\nRetrieval over {} chunks, {} distinct queries of each mode one after another, not re-ranked, no caches, after Qdrant\nbuilt its graph. Milliseconds. Target: hybrid at most 3 ms more at p50.\n\n| mode | embedded p50 | p95 | qdrant p50 | p95 | more at p50 | dense leg embedded p50 | qdrant p50 | same of the best ten |\n|---|---|---|---|---|---|---|---|---|",
        value["chunks"], value["queries"]
    )?;
    for mode in ["lexical", "dense", "hybrid"] {
        let part = &value["modes"][mode];
        let (here, there) = (&part["embedded"], &part["qdrant"]);
        writeln!(
            page,
            "| {mode} | {:.2} | {:.2} | {:.2} | {:.2} | {:+.2} | {:.2} | {:.2} | {:.3} |",
            number(&here["total"], "p50")?,
            number(&here["total"], "p95")?,
            number(&there["total"], "p50")?,
            number(&there["total"], "p95")?,
            number(part, "added_p50")?,
            number(&here["dense"], "p50")?,
            number(&there["dense"], "p50")?,
            number(part, "overlap")?
        )?;
    }
    Ok(())
}

fn ingest(page: &mut String, value: &Value) -> Result<()> {
    page.push_str("\nIngest until retrievable. Embedded has built its graph by then; Qdrant builds its own beside and after, and compares every vector of what is not in\none yet: that time is beside. Target: share 0.9.\n\n| embeddings | chunks | embedded chunks/s | qdrant chunks/s | share | then Qdrant's graph, s | share with it |\n|---|---|---|---|---|---|---|\n");
    for (name, part) in [
        ("made up, at no cost", &value["made_up"]),
        ("the embedder's", &value["embedded"]),
    ] {
        if part.is_null() {
            continue;
        }
        let chunks = number(part, "chunks")?;
        let (here, there) = (
            number(part, "embedded_seconds")?,
            number(part, "qdrant_seconds")?,
        );
        let graph = number(part, "graph_seconds")?;
        writeln!(
            page,
            "| {name} | {chunks} | {:.0} | {:.0} | {:.2} | {graph:.1} | {:.2} |",
            chunks / here,
            chunks / there,
            number(part, "share")?,
            here / (there + graph)
        )?;
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
