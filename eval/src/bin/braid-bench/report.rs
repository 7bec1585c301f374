//! docs/benchmarks.md from the measured parts.

mod ingestion;
mod legs;
mod qdrant;

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Cli, say};

type Render = fn(&mut String, &Value) -> Result<()>;

pub(crate) fn write(cli: &Cli) -> Result<()> {
    let mut page = String::from(
        "# Benchmarks\n\nWritten by `make bench`; every number below was measured by it. Reference values come from other\nsoftware on the same embedder, one vector a document: BM25 is bm25s (k1 1.2, b 0.75, English stop words and stemmer), dense\nis exact search, fusion is RRF with k = 60 at depth 100.\n",
    );
    let parts: [(&str, Render); 13] = [
        ("quality", quality),
        ("gain", gain),
        ("rerank", rerank),
        ("throughput", ingestion::throughput),
        ("rerun", ingestion::rerun),
        ("memory", ingestion::memory),
        ("load", ingestion::load),
        ("load_cut", ingestion::load),
        ("latency", latency),
        ("http", http),
        ("startup", startup),
        ("qdrant", qdrant::qdrant),
        ("clone", clone_times),
    ];
    let mut machine = None;
    let mut body = String::new();
    for (name, render) in parts {
        let Some(value) = cli.saved(name)? else {
            // Cutting passages is something to ask for, not a part.
            if name != "load_cut" {
                writeln!(body, "\n## Not measured: {name}")?;
            }
            continue;
        };
        machine = machine.or_else(|| value.get("machine").cloned());
        render(&mut body, &value).with_context(|| format!("rendering {name}"))?;
    }
    if let Some(machine) = machine {
        writeln!(
            page,
            "\nMachine: {} ({} cores, {:.0} GiB, Linux {}).",
            text(&machine, "cpu")?,
            machine["cores"],
            number(&machine, "memory_gib")?,
            text(&machine, "kernel")?
        )?;
    }
    page.push_str(&body);
    std::fs::write(&cli.out, page)
        .with_context(|| format!("cannot write {}", cli.out.display()))?;
    say(format!("wrote {}", cli.out.display()));
    write_card(cli)
}

/// Where what is measured stands in a model's card.
const MARKS: (&str, &str) = ("<!-- measured -->\n", "<!-- /measured -->");

/// The re-ranker's own numbers, between the marks of its card.
fn write_card(cli: &Cli) -> Result<()> {
    let unreadable = || format!("cannot use {}", cli.card.display());
    if !cli.card.is_file() {
        say(format!("skipping {}: it is absent", cli.card.display()));
        return Ok(());
    }
    let card = std::fs::read_to_string(&cli.card).with_context(unreadable)?;
    let (head, rest) = card
        .split_once(MARKS.0)
        .with_context(|| format!("{} has no mark {}", cli.card.display(), MARKS.0.trim()))?;
    let (_, tail) = rest
        .split_once(MARKS.1)
        .with_context(|| format!("{} has no mark {}", cli.card.display(), MARKS.1))?;
    let mut measured = String::new();
    let parts: [(&str, Render); 2] = [("gain", gain), ("rerank", rerank)];
    for (name, render) in parts {
        if let Some(value) = cli.saved(name)? {
            render(&mut measured, &value)?;
        }
    }
    let measured = measured.replace("\n## ", "\n### ");
    let card = format!("{head}{}{measured}\n{}{tail}", MARKS.0, MARKS.1);
    std::fs::write(&cli.card, card).with_context(unreadable)?;
    say(format!("wrote {}", cli.card.display()));
    Ok(())
}

fn quality(page: &mut String, value: &Value) -> Result<()> {
    page.push_str("\n## Ranking quality\n\nnDCG@10 with 95% bootstrap intervals; in brackets the reference. Hybrid by RRF fuses the same legs by their ranks\nalone: k = 60, both with the same weight for every query. `make bench PARTS=quality,report`.\n\n");
    page.push_str("| set | lexical | dense | hybrid | hybrid by RRF | re-ranked | served hybrid (50 a leg) | served re-ranked |\n|---|---|---|---|---|---|---|---|\n");
    let sets = value.as_object().context("not an object")?;
    for (name, set) in sets {
        write!(page, "| {name} ")?;
        let stages = set["report"]["stages"].as_array().context("no stages")?;
        for (index, stage) in stages.iter().enumerate() {
            let ndcg = metric(stage, "nDCG@10")?;
            write!(page, "| {}", interval(ndcg)?)?;
            match set["reference"].get(index).and_then(Value::as_f64) {
                Some(reference) => write!(page, " ({reference:.3}) ")?,
                None => page.push(' '),
            }
            if text(stage, "stage")? == "hybrid" {
                let ndcg = metric(&set["rrf"], "nDCG@10")?;
                write!(page, "| {} ", interval(ndcg)?)?;
            }
        }
        if stages.len() < 4 {
            page.push_str("| not measured ");
        }
        let served = &set["served"];
        let reranked = match served.get("reranked") {
            Some(measured) => interval(measured)?,
            None => "not measured".to_owned(),
        };
        writeln!(page, "| {} | {reranked} |", interval(&served["fused"])?)?;
    }
    legs::beside_better_leg(page, sets)?;
    page.push_str("\nEvery metric of every stage:\n\n| set | stage | nDCG@10 | recall@10 | recall@50 | recall@100 | MRR@10 | MAP |\n|---|---|---|---|---|---|---|---|\n");
    for (name, set) in sets {
        for stage in set["report"]["stages"].as_array().context("no stages")? {
            write!(page, "| {name} | {} ", text(stage, "stage")?)?;
            for metric in stage["metrics"].as_array().context("no metrics")? {
                write!(page, "| {:.3} ", number(metric, "mean")?)?;
            }
            page.push_str("|\n");
        }
    }
    page.push_str("\n| set | documents | chunks | topics | failed | ms p50/p95: embed | lexical | dense | re-rank 30 | past the served deadline |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (name, set) in sets {
        let report = &set["report"];
        let settings = &report["settings"];
        let latency = |part: &str| -> Result<String> {
            let Some(part) = report["latency_ms"].get(part) else {
                return Ok("-".to_owned());
            };
            Ok(format!(
                "{:.1}/{:.1}",
                number(part, "p50")?,
                number(part, "p95")?
            ))
        };
        writeln!(
            page,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            settings["documents"],
            settings["chunks"],
            report["topics"],
            report["failed"].as_object().map_or(0, serde_json::Map::len),
            latency("embed")?,
            latency("lexical")?,
            latency("dense")?,
            latency("rerank")?,
            report["missed_deadline"]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
        )?;
    }
    Ok(())
}

fn gain(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## What re-ranking gains\n\nnDCG@10 of the committed hybrid runs (`eval/runs`), their first {} hits re-ranked by {} without a deadline, topic by topic, with the\n95% interval of the paired difference and the p-value of a randomisation test. The recommended blend is {:.2}; the other lines tell\nwhere the gain comes from. `make bench PARTS=gain,report`.\n\n| set | | hybrid | re-ranked | gain | p | better / worse topics |\n|---|---|---|---|---|---|---|",
        value["candidates"],
        text(value, "model")?,
        number(value, "blend")?
    )?;
    for (name, variants) in value["sets"].as_object().context("not an object")? {
        for (variant, gain) in variants.as_object().context("not an object")? {
            writeln!(
                page,
                "| {name} | {variant} | {:.3} | {:.3} | {:+.3} [{:+.3}, {:+.3}] | {:.3} | {} / {} |",
                number(gain, "a")?,
                number(gain, "b")?,
                number(gain, "difference")?,
                number(gain, "low")?,
                number(gain, "high")?,
                number(gain, "p")?,
                gain["wins"],
                gain["losses"]
            )?;
        }
    }
    page.push_str("\nMean gain over the sets:");
    let means = value["means"].as_object().context("not an object")?;
    for (place, (variant, mean)) in means.iter().enumerate() {
        let mean = mean.as_f64().context("not a number")?;
        let comma = if place == 0 { "" } else { "," };
        write!(page, "{comma} {variant} {mean:+.4}")?;
    }
    page.push_str(".\n");
    Ok(())
}

fn latency(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Retrieval in process\n\n{} chunks, {} distinct queries one after another (150 with re-ranking), no caches. Milliseconds. Own share is the total minus the longer of\nlexical and embed + dense. Targets without re-ranking: total p50 8, p95 25; own share p50 1.5. `make bench PARTS=latency,report`.\n\n| | total p50 | p95 | embed p50 | lexical p50 | dense p50 | own share p50 | p95 | re-rank p50 | p95 |\n|---|---|---|---|---|---|---|---|---|---|",
        value["chunks"], value["queries"]
    )?;
    for (name, part) in [
        ("not re-ranked", &value["fused"]),
        ("re-ranked", &value["reranked"]),
    ] {
        let cell = |stage: &str, at: &str| number(&part[stage], at);
        writeln!(
            page,
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} |",
            cell("total", "p50")?,
            cell("total", "p95")?,
            cell("embed", "p50")?,
            cell("lexical", "p50")?,
            cell("dense", "p50")?,
            cell("own", "p50")?,
            cell("own", "p95")?,
            cell("rerank", "p50")?,
            cell("rerank", "p95")?
        )?;
    }
    writeln!(
        page,
        "\nThe same query asked again, with the cache of answers (elsewhere on this page it is off): p50 {:.3} ms, p95 {:.3} ms over {} queries (target: at most\n0.5).",
        number(&value["cached"], "p50")?,
        number(&value["cached"], "p95")?,
        value["asked_again"]
    )?;
    writeln!(
        page,
        "\nOf the own share, reading the hits takes {:.2} ms and building the context {:.2} ms at p50. Recall@10 of the dense leg against\nexact search, {} queries: {:.3} (target: at least 0.98).",
        number(&value["fused"]["hydrate"], "p50")?,
        number(&value["fused"]["assemble"], "p50")?,
        value["compared"],
        number(value, "dense_recall")?
    )?;
    Ok(())
}

fn rerank(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Re-ranking a window of pairs\n\n{}, {} windows of each size, in process. Milliseconds. Target: p95 150 for 30 pairs of 128 tokens.\n`make bench PARTS=rerank,report`.\n\n| pairs | tokens a pair | p50 | p95 |\n|---|---|---|---|",
        text(value, "model")?,
        value["windows"]
    )?;
    for size in value["sizes"].as_array().into_iter().flatten() {
        writeln!(
            page,
            "| {} | {} | {:.0} | {:.0} |",
            size["pairs"],
            size["tokens"],
            number(&size["milliseconds"], "p50")?,
            number(&size["milliseconds"], "p95")?
        )?;
    }
    Ok(())
}

fn http(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Over HTTP\n\n{} clients on the same machine (they share its cores with the server). `make bench PARTS=http,report`.\n\n| | requests | requests/s | p50 ms | p95 ms | p99 ms | cut short | failed |\n|---|---|---|---|---|---|---|---|",
        value["clients"]
    )?;
    for (name, part) in [
        ("not re-ranked", &value["fused"]),
        ("re-ranked", &value["reranked"]),
    ] {
        writeln!(
            page,
            "| {name} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {} | {} |",
            part["requests"],
            number(part, "requests_per_second")?,
            number(part, "p50_ms")?,
            number(part, "p95_ms")?,
            number(part, "p99_ms")?,
            part["cut_short"],
            part["failed"]
        )?;
    }
    writeln!(
        page,
        "\nCut short are answers in which a stage fell short: re-ranking, which met its deadline half-way. Anonymous memory after these requests: {:.0} MiB (target: at most 500).",
        number(value, "anonymous_mib_after")?
    )?;
    Ok(())
}

fn startup(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## Start-up\n\nFrom starting the process to `/readyz`, with the loaded collection and warm files, {} starts: median {:.2} s, longest {:.2} s\n(target: at most 2 s). Anonymous memory when ready: {:.0} MiB. `make bench PARTS=startup,report`.",
        value["starts"],
        number(value, "median_seconds")?,
        number(value, "longest_seconds")?,
        number(value, "anonymous_mib_idle")?
    )?;
    Ok(())
}

fn clone_times(page: &mut String, value: &Value) -> Result<()> {
    writeln!(
        page,
        "\n## From a clean clone\n\n`scripts/bench-clone.sh`: `make run` was ready after {:.0} s, `make test` took {:.0} s; crates already downloaded, nothing built.",
        number(value, "run_seconds")?,
        number(value, "test_seconds")?
    )?;
    Ok(())
}

fn metric<'a>(stage: &'a Value, name: &str) -> Result<&'a Value> {
    let metrics = stage["metrics"].as_array().context("no metrics")?;
    metrics
        .iter()
        .find(|metric| metric["metric"] == name)
        .context("metric is missing")
}

fn interval(value: &Value) -> Result<String> {
    let (mean, low, high) = (
        number(value, "mean")?,
        number(value, "low")?,
        number(value, "high")?,
    );
    Ok(format!("{mean:.3} [{low:.3}, {high:.3}]"))
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key]
        .as_f64()
        .with_context(|| format!("{key} is not a number"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("{key} is not a text"))
}
