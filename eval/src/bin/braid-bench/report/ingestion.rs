//! What docs/benchmarks.md says about ingestion.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{number, text};

/// The steps of a write in their order: name in the metrics, and what it is.
const STEPS: [(&str, &str); 11] = [
    ("hash", "hashing documents"),
    ("look_up", "looking up what is stored"),
    ("extract", "extracting text (thread time)"),
    ("chunk", "chunking (thread time)"),
    ("stage", "staging in the ledger (durable)"),
    ("read_chunks", "reading chunks back"),
    ("put_embeddings", "storing embeddings"),
    ("read_embeddings", "reading embeddings"),
    ("apply dense", "applying to the vectors, reading included"),
    (
        "apply lexical",
        "applying to the lexical index, reading included",
    ),
    ("publish", "publishing"),
];

pub(super) fn throughput(page: &mut String, value: &Value) -> Result<()> {
    let (documents, chunks) = (number(value, "documents")?, number(value, "chunks")?);
    let tokens = number(value, "tokens")?;
    writeln!(
        page,
        "\n## Ingesting without the model\n\n{documents} Markdown files of {}, {chunks} chunks of {:.0} tokens, through the whole pipeline as `braid ingest` runs it, the model\nreplaced by made-up vectors at no cost (its tokenizer is used to chunk), and the vectors' graph left out. Steps overlap: their\nseconds add up to more than the whole. Target: at least 3,000 chunks/s overall. `make bench PARTS=throughput,report`.\n\n| step | seconds | documents/s | chunks/s | tokens/s |\n|---|---|---|---|---|",
        text(value, "source")?,
        tokens / chunks
    )?;
    let mut row = |name: &str, seconds: f64| -> Result<()> {
        let rate = |count: f64| count / seconds.max(1e-9);
        writeln!(
            page,
            "| {name} | {seconds:.2} | {:.0} | {:.0} | {:.0} |",
            rate(documents),
            rate(chunks),
            rate(tokens)
        )?;
        Ok(())
    };
    row("reading the files, alone", number(value, "read_seconds")?)?;
    for (step, name) in STEPS {
        row(name, number(&value["steps"], step)?)?;
    }
    row("until all is durable", number(value, "staged_seconds")?)?;
    row("**until all is retrievable**", number(value, "seconds")?)
}

pub(super) fn rerun(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Running again over {} unchanged documents\n\n`braid ingest` on their files took {:.2} s, start-up included, and a bulk request over HTTP {:.2} s until its job was done (target:\nunder 3 s). {} texts were embedded, {} index files and {} operations written. `make bench PARTS=rerun,report`.",
        value["documents"],
        number(value, "command_seconds")?,
        number(value, "http_seconds")?,
        value["embedded"],
        value["index_files_written"],
        value["operations_written"]
    )?;
    Ok(())
}

pub(super) fn memory(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Memory while ingesting\n\nPeak anonymous memory (file-backed pages apart), sampled every 20 ms, of chunks of about 200 tokens with all indexes. Target: under\n600 MiB, and flat in the size of the corpus. `make bench PARTS=memory,report`.\n\n| | chunks | peak MiB | seconds |\n|---|---|---|---|"
    )?;
    let marks = value["marks"].as_array().context("no marks")?;
    let marks = marks.iter().map(|mark| ("made-up vectors, so far", mark));
    for (name, mark) in marks.chain([("`braid ingest` with the model", &value["command"])]) {
        writeln!(
            page,
            "| {name} | {} | {:.0} | {:.0} |",
            mark["chunks"],
            number(mark, "peak_mib")?,
            number(mark, "seconds")?
        )?;
    }
    Ok(())
}

/// In ascending order, chunks a second of each slice as shares of the embedder's alone.
fn shares_of_embedder(value: &Value, prefix: &str) -> Result<Vec<f64>> {
    let slices = value["slices"].as_array().context("no slices")?;
    let share = |slice: &Value| {
        let rate = number(slice, "chunks")? / number(slice, &format!("{prefix}_seconds"))?;
        let alone = number(slice, "embedder_chunks")? / number(slice, "embedder_seconds")?;
        Ok(rate / alone)
    };
    let mut shares = slices.iter().map(share).collect::<Result<Vec<f64>>>()?;
    shares.sort_by(f64::total_cmp);
    Ok(shares)
}

pub(super) fn load(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Initial load of {} chunks\n\n{} {}, those longer than the model's window cut. `braid-bench load` (`--passages N`, `--words N` cuts each).\n\n| | chunks | chunks/s | seconds | of the embedder alone | target |\n|---|---|---|---|---|---|",
        value["chunks"],
        value["documents"],
        text(value, "source")?
    )?;
    writeln!(
        page,
        "| embedder alone, every fifth of the same chunks | {} | {:.1} | {:.1} | | |",
        value["embedder_passages"],
        number(value, "embedder_chunks_per_second")?,
        number(value, "embedder_seconds")?
    )?;
    for (name, prefix, target) in [
        ("load without the vectors' graph", "plain", "0.9"),
        ("load, until all are retrievable", "load", "0.8"),
    ] {
        let shares = shares_of_embedder(value, prefix)?;
        let (Some(least), Some(most)) = (shares.first(), shares.last()) else {
            anyhow::bail!("the load has no slices");
        };
        writeln!(
            page,
            "| {name} | {} | {:.1} | {:.1} | {:.2} ({least:.2} to {most:.2}) | {target} |",
            value["chunks"],
            number(value, &format!("{prefix}_chunks_per_second"))?,
            number(value, &format!("{prefix}_seconds"))?,
            shares[shares.len() / 2]
        )?;
    }
    writeln!(
        page,
        "\nLoaded and embedded in turn, slice by slice, as the host is shared: the share is the median of the slices (least to greatest)."
    )?;
    writeln!(
        page,
        "\nAll documents were durable after {:.1} s. The data directory takes {:.0} MiB.",
        number(value, "staged_seconds")?,
        number(value, "disk_mib")?
    )?;
    Ok(())
}
