//! The report as one page: tables and plots, nothing fetched, nothing run. It opens from a disk without a
//! network.

mod plots;
mod svg;

use std::fmt::Write;

use crate::bootstrap::mean;
use crate::losses::Fate;
use crate::report::{Report, StageReport};

/// Queries that a table of gains or losses names.
const NAMED: usize = 10;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667;--line:#d5d9e0;--paper:#fff;
--c0:#3b6fb6;--c1:#c26a1b;--c2:#2d8a5f;--c3:#8a4fb0;--c4:#b03a4a;--c5:#5b7f8c;--up:#2d8a5f;--down:#b03a4a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#9aa3b0;--line:#3a414c;--paper:#14171c;
--c0:#7fb0f0;--c1:#f0a45c;--c2:#66c79a;--c3:#c695e8;--c4:#ef8492;--c5:#9dc3d0;--up:#66c79a;--down:#ef8492}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}p{max-width:46rem}.soft{color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.wide{overflow-x:auto}svg{display:block;max-width:100%;height:auto;margin:.6rem 0}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}
svg .axis{stroke:var(--line);fill:none}svg .up{fill:var(--up)}svg .down{fill:var(--down)}
.s0{stroke:var(--c0);fill:var(--c0)}.s1{stroke:var(--c1);fill:var(--c1)}.s2{stroke:var(--c2);fill:var(--c2)}
.s3{stroke:var(--c3);fill:var(--c3)}.s4{stroke:var(--c4);fill:var(--c4)}.s5{stroke:var(--c5);fill:var(--c5)}
polyline{fill:none!important;stroke-width:2}";

/// Text as it stands in a page, attributes included.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = escape(&format!("{} ({})", report.dataset, report.split));
    let mut body = format!(
        "<h1>{title}</h1>\n<p class=soft>{} topics, {} failed · {} documents, {} chunks · ranked to depth {} · Braid {}</p>\n",
        report.topics,
        report.failed.len(),
        report.settings.documents,
        report.settings.chunks,
        report.settings.depth,
        escape(&report.version)
    );
    let sections: [(&str, String); 6] = [
        ("Quality of each stage", quality(report)),
        ("Recall against depth", plots::recall(report)),
        ("Gains and losses by query", gains(report)),
        ("Where relevant documents were lost", losses(report)),
        ("Latency", latency(report)),
        ("Settings", settings(report)),
    ];
    for (name, section) in sections.iter().filter(|(_, section)| !section.is_empty()) {
        let _ = write!(body, "<h2>{name}</h2>\n{section}\n");
    }
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A table; cells are escaped here.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells
            .map(|cell| format!("<{tag}>{}</{tag}>", escape(&cell)))
            .collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = cells("th", &mut header.iter().map(|cell| (*cell).to_owned()));
    let rows: String = rows
        .iter()
        .map(|row| cells("td", &mut row.iter().cloned()))
        .collect();
    format!("<div class=wide><table>\n{head}{rows}</table></div>\n")
}

fn quality(report: &Report) -> String {
    let Some(first) = report.stages.first() else {
        return String::new();
    };
    let header: Vec<&str> = std::iter::once("stage")
        .chain(first.metrics.iter().map(|metric| metric.metric.as_str()))
        .collect();
    let rows = report.stages.iter().map(|stage| {
        let cells = stage
            .metrics
            .iter()
            .map(|m| format!("{:.3} [{:.3}, {:.3}]", m.mean, m.low, m.high));
        std::iter::once(stage.stage.clone()).chain(cells).collect()
    });
    let note = "<p class=soft>Means over all judged topics with 95% bootstrap intervals.</p>\n";
    format!(
        "{note}{}{}",
        plots::quality(report),
        table(&header, &rows.collect::<Vec<_>>())
    )
}

/// Each stage against the one before it that it builds on, by the first metric.
fn gains(report: &Report) -> String {
    let stage = |name: &str| report.stages.iter().find(|stage| stage.stage == name);
    let legs = [
        ("lexical", "hybrid"),
        ("dense", "hybrid"),
        ("hybrid", "rerank"),
    ];
    let pairs = legs
        .into_iter()
        .filter_map(|(before, after)| Some((stage(before)?, stage(after)?)));
    pairs
        .map(|(before, after)| gain(report, before, after))
        .collect()
}

fn gain(report: &Report, before: &StageReport, after: &StageReport) -> String {
    let (Some(a), Some(b)) = (before.metrics.first(), after.metrics.first()) else {
        return String::new();
    };
    let differences = a.values.iter().zip(&b.values).map(|(a, b)| b - a);
    let mut by_topic: Vec<(&str, f64)> = report
        .topic_ids
        .iter()
        .map(String::as_str)
        .zip(differences)
        .collect();
    by_topic.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let up = by_topic.iter().filter(|(_, gain)| *gain > 0.0).count();
    let down = by_topic.iter().filter(|(_, gain)| *gain < 0.0).count();
    let values: Vec<f64> = by_topic.iter().map(|(_, gain)| *gain).collect();
    let mut section = format!(
        "<p>{} over {}, {}: {up} better, {down} worse, {} the same; mean {:+.4}.</p>\n{}",
        escape(&after.stage),
        escape(&before.stage),
        escape(&a.metric),
        by_topic.len() - up - down,
        mean(&values),
        plots::gains(&by_topic)
    );
    let row = |(topic, gain): &(&str, f64)| vec![(*topic).to_owned(), format!("{gain:+.3}")];
    let best = by_topic
        .iter()
        .filter(|(_, gain)| *gain > 0.0)
        .take(NAMED)
        .map(row);
    let worst = by_topic
        .iter()
        .rev()
        .filter(|(_, gain)| *gain < 0.0)
        .take(NAMED)
        .map(row);
    let rows: Vec<Vec<String>> = best.chain(worst).collect();
    if !rows.is_empty() {
        let inner = table(&["topic", "difference"], &rows);
        let _ = writeln!(
            section,
            "<details><summary>Largest gains and losses</summary>{inner}</details>"
        );
    }
    section
}

fn losses(report: &Report) -> String {
    let Some(losses) = &report.losses else {
        return String::new();
    };
    let all = losses.relevant.max(1) as f64;
    let row = |fate: &Fate| {
        let count = losses.count(*fate);
        vec![
            fate.as_str().to_owned(),
            count.to_string(),
            format!("{:.1}%", 100.0 * count as f64 / all),
        ]
    };
    let rows: Vec<Vec<String>> = Fate::ALL.iter().map(row).collect();
    format!(
        "<p class=soft>{} relevant documents, each in one row: the first stage that lost it. {} passages are returned for a query.</p>\n{}{}",
        losses.relevant,
        losses.top_k,
        plots::losses(losses),
        table(&["stage", "relevant documents", "share"], &rows)
    )
}

fn latency(report: &Report) -> String {
    if report.latency_ms.is_empty() {
        return String::new();
    }
    let rows = report.latency_ms.iter().map(|(part, latency)| {
        vec![
            part.clone(),
            format!("{:.2}", latency.p50),
            format!("{:.2}", latency.p95),
        ]
    });
    let note = "<p class=soft>One query at a time, legs widened to the depth above: not the times of a served request, but for embedding and re-ranking.</p>\n";
    format!(
        "{note}{}{}",
        plots::latency(report),
        table(&["part", "p50 ms", "p95 ms"], &rows.collect::<Vec<_>>())
    )
}

fn settings(report: &Report) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&report.settings) else {
        return String::new();
    };
    let shown = |value: serde_json::Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    let rows = fields
        .into_iter()
        .map(|(name, value)| vec![name, shown(value)]);
    table(&["setting", "value"], &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
