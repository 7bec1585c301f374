//! The plots of a report.

use super::svg::Plot;
use crate::losses::{Fate, Losses};
use crate::report::Report;

const WIDTH: f64 = 900.0;
/// Room for names on the left.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 60.0;
const ROW: f64 = 18.0;
/// Columns of a histogram.
const COLUMNS: usize = 40;

/// The colour of the stage or part at `index`.
fn series(index: usize) -> String {
    format!("s{}", index % 6)
}

fn along(share: f64) -> f64 {
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

/// Every metric of every stage as a dot on its interval.
pub(super) fn quality(report: &Report) -> String {
    let metrics = report.stages.first().map_or(0, |stage| stage.metrics.len());
    let block = ROW * (report.stages.len() as f64 + 1.0);
    let height = block * metrics as f64 + 30.0;
    let mut plot = Plot::new(WIDTH, height);
    for tenth in 0..=10_u32 {
        let share = f64::from(tenth) / 10.0;
        plot.line((along(share), 0.0), (along(share), height - 22.0), "axis");
        plot.text(
            (along(share), height - 6.0),
            "middle",
            "soft",
            &format!("{share:.1}"),
        );
    }
    for metric in 0..metrics {
        let top = block * metric as f64 + ROW;
        for (index, stage) in report.stages.iter().enumerate() {
            let Some(found) = stage.metrics.get(metric) else {
                continue;
            };
            let y = top + ROW * index as f64;
            let class = series(index);
            if index == 0 {
                plot.text((0.0, y + 4.0), "start", "", &found.metric);
            }
            plot.text((LEFT - 8.0, y + 4.0), "end", "soft", &stage.stage);
            plot.line((along(found.low), y), (along(found.high), y), &class);
            let title = format!(
                "{} {}: {:.4} [{:.4}, {:.4}]",
                stage.stage, found.metric, found.mean, found.low, found.high
            );
            plot.dot((along(found.mean), y), &class, &title);
        }
    }
    plot.finish("Metrics of each stage with intervals")
}

/// Recall at rising cuts, one line a stage, cuts on a logarithmic scale.
pub(super) fn recall(report: &Report) -> String {
    let deepest = report
        .stages
        .iter()
        .filter_map(|stage| stage.recall_at.last())
        .map(|(cut, _)| *cut);
    let deepest = deepest.max().unwrap_or(1).max(2) as f64;
    let (top, bottom) = (10.0, 270.0);
    let x = |cut: usize| along((cut.max(1) as f64).ln() / deepest.ln());
    let y = |share: f64| bottom - share * (bottom - top);
    let mut plot = Plot::new(WIDTH, 310.0);
    for tenth in [0_u32, 2, 4, 6, 8, 10] {
        let share = f64::from(tenth) / 10.0;
        plot.line((LEFT, y(share)), (WIDTH - RIGHT, y(share)), "axis");
        plot.text(
            (LEFT - 8.0, y(share) + 4.0),
            "end",
            "soft",
            &format!("{share:.1}"),
        );
    }
    for cut in [1_usize, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] {
        if cut as f64 <= deepest {
            plot.text((x(cut), bottom + 18.0), "middle", "soft", &cut.to_string());
        }
    }
    for (index, stage) in report.stages.iter().enumerate() {
        let points: Vec<(f64, f64)> = stage
            .recall_at
            .iter()
            .map(|(cut, recall)| (x(*cut), y(*recall)))
            .collect();
        let class = series(index);
        plot.path(&points, &class);
        for ((cut, recall), at) in stage.recall_at.iter().zip(&points) {
            plot.dot(
                *at,
                &class,
                &format!("{} R@{cut}: {recall:.4}", stage.stage),
            );
        }
        let at = (20.0, top + 14.0 + ROW * index as f64);
        plot.bar(
            (at.0 - 14.0, at.1 - 9.0),
            (at.0 - 4.0, at.1 + 1.0),
            &class,
            "",
        );
        plot.text(at, "start", "", &stage.stage);
    }
    plot.finish("Recall against depth")
}

/// One bar a topic, from the largest gain to the largest loss.
pub(super) fn gains(by_topic: &[(&str, f64)]) -> String {
    let (top, bottom) = (10.0, 170.0);
    let middle = (top + bottom) / 2.0;
    let mut plot = Plot::new(WIDTH, 180.0);
    for (value, label) in [(1.0, "+1"), (0.0, "0"), (-1.0, "-1")] {
        let y = middle - value * (bottom - top) / 2.0;
        plot.line((LEFT, y), (WIDTH - RIGHT, y), "axis");
        plot.text((LEFT - 8.0, y + 4.0), "end", "soft", label);
    }
    let count = by_topic.len().max(1) as f64;
    for (index, (topic, gain)) in by_topic.iter().enumerate() {
        if *gain == 0.0 {
            continue;
        }
        let (from, to) = (
            along(index as f64 / count),
            along((index + 1) as f64 / count),
        );
        let y = middle - gain.clamp(-1.0, 1.0) * (bottom - top) / 2.0;
        let class = if *gain > 0.0 { "up" } else { "down" };
        plot.bar(
            (from, middle),
            (to, y),
            class,
            &format!("{topic}: {gain:+.3}"),
        );
    }
    plot.finish("Difference of each query, from the largest gain to the largest loss")
}

/// How often each part of the pipeline took how long, on a logarithmic scale.
pub(super) fn latency(report: &Report) -> String {
    let all = report.latency_values_ms.values().flatten().copied();
    let positive: Vec<f64> = all.filter(|value| *value > 0.0).collect();
    let least = positive.iter().copied().fold(f64::INFINITY, f64::min);
    let most = positive.iter().copied().fold(0.0, f64::max);
    if positive.is_empty() {
        return String::new();
    }
    let span = (most / least).ln().max(f64::MIN_POSITIVE);
    let place = |value: f64| (value.max(least) / least).ln() / span;
    let block = 64.0;
    let height = block * report.latency_values_ms.len() as f64 + 30.0;
    let mut plot = Plot::new(WIDTH, height);
    for power in -4_i32..=5 {
        let mark = 10_f64.powi(power);
        if (least..=most).contains(&mark) {
            plot.line(
                (along(place(mark)), 0.0),
                (along(place(mark)), height - 22.0),
                "axis",
            );
            plot.text(
                (along(place(mark)), height - 6.0),
                "middle",
                "soft",
                &format!("{mark} ms"),
            );
        }
    }
    for (index, (part, values)) in report.latency_values_ms.iter().enumerate() {
        let bottom = block * (index + 1) as f64;
        let mut counts = [0_usize; COLUMNS];
        for value in values {
            counts[((place(*value) * COLUMNS as f64) as usize).min(COLUMNS - 1)] += 1;
        }
        let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        plot.text((LEFT - 8.0, bottom - 8.0), "end", "", part);
        for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (from, to) = (
                column as f64 / COLUMNS as f64,
                (column + 1) as f64 / COLUMNS as f64,
            );
            let low = least * (from * span).exp();
            let title = format!("{part}: {count} queries from {low:.3} ms");
            let tall = (block - 12.0) * *count as f64 / highest;
            plot.bar(
                (along(from), bottom),
                (along(to) - 1.0, bottom - tall),
                &series(index),
                &title,
            );
        }
    }
    plot.finish("Latency of each part of the pipeline")
}

/// One bar a fate.
pub(super) fn losses(losses: &Losses) -> String {
    let height = ROW * 1.3 * Fate::ALL.len() as f64 + 10.0;
    let mut plot = Plot::new(WIDTH, height);
    let all = losses.relevant.max(1) as f64;
    for (index, fate) in Fate::ALL.iter().enumerate() {
        let y = 8.0 + ROW * 1.3 * index as f64;
        let count = losses.count(*fate);
        let class = if *fate == Fate::Found { "up" } else { "down" };
        let share = count as f64 / all;
        plot.text((LEFT - 8.0, y + 10.0), "end", "", fate.as_str());
        plot.bar(
            (along(0.0), y),
            (along(share), y + 13.0),
            class,
            &format!("{}: {count}", fate.as_str()),
        );
        plot.text(
            (along(share) + 6.0, y + 11.0),
            "start",
            "soft",
            &count.to_string(),
        );
    }
    plot.finish("Relevant documents by what became of them")
}
