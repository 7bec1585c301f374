//! What a threshold on relevance does: how often it leaves a query without a hit that the collection
//! has an answer to, and how often one that it has no answer to still gets hits.

use anyhow::Result;
use braid_core::Calibration;
use braid_eval::bootstrap::mean;
use braid_eval::calibration::left_empty;
use braid_eval::dataset::{Dataset, Topic};
use serde::Serialize;

use super::{Asked, Candidates, Source};

const THRESHOLDS: [f64; 7] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4];

/// A collection, and the set whose queries have no answer in it, being about something else. mtrag
/// holds passages of an encyclopedia, as squad does: it is asked about software.
const FOREIGN: [(&str, &str); 6] = [
    ("doc_faq", "squad_v1.1_dev"),
    ("mtrag", "doc_faq"),
    ("scifact", "squad_v1.1_dev"),
    ("cranfield", "squad_v1.1_dev"),
    ("claude_docs", "squad_v1.1_dev"),
    ("squad_v1.1_dev", "scifact"),
];

/// Most topics of another set that a collection is asked.
const FOREIGN_TOPICS: usize = 100;

/// Topics of another set.
pub(super) struct Foreign {
    pub(super) from: &'static str,
    pub(super) topics: Vec<Topic>,
}

/// One set's queries, and what each threshold does to them.
#[derive(Serialize)]
pub(super) struct Row {
    set: String,
    answerable: usize,
    unanswerable: usize,
    from: &'static str,
    rates: Vec<Rates>,
}

#[derive(Serialize)]
struct Rates {
    threshold: f64,
    /// The share of answerable queries that are left without a hit.
    emptied: f64,
    /// The share of unanswerable queries that still get a hit.
    answered: f64,
}

/// What `source` is asked that it has no answer to, at most `most` topics; nothing where that is not
/// settled, or where the other set is absent.
pub(super) fn foreign_to(
    source: &Source,
    sources: &[Source],
    most: usize,
) -> Result<Option<Foreign>> {
    let pair = FOREIGN.iter().find(|(set, _)| *set == source.name);
    let other = pair.and_then(|(_, from)| sources.iter().find(|other| other.name == *from));
    let Some(other) = other else {
        return Ok(None);
    };
    let topics = Dataset::open(&other.folder, other.split)?.topics;
    Ok(Some(Foreign {
        from: other.name,
        topics: spread(topics, most.min(FOREIGN_TOPICS)),
    }))
}

/// `most` topics, evenly over all: neighbours are often about one document.
fn spread(topics: Vec<Topic>, most: usize) -> Vec<Topic> {
    let step = topics.len() / most.max(1);
    topics.into_iter().step_by(step.max(1)).take(most).collect()
}

/// What each threshold does to one set's queries; nothing where it was not asked another's.
pub(super) fn row(asked: &Asked, calibration: Calibration) -> Option<Row> {
    let (from, foreign) = asked.foreign.as_ref()?;
    let answerable = best(asked.held_out(), calibration);
    let unanswerable = best(foreign.iter(), calibration);
    let rates = THRESHOLDS.map(|threshold| {
        Some(Rates {
            threshold,
            emptied: left_empty(&answerable, threshold)?,
            answered: 1.0 - left_empty(&unanswerable, threshold)?,
        })
    });
    Some(Row {
        set: asked.label(),
        answerable: answerable.len(),
        unanswerable: unanswerable.len(),
        from,
        rates: rates.into_iter().collect::<Option<Vec<_>>>()?,
    })
}

/// The relevance of each query's best candidate. One that has none (an operator in it asks what no
/// passage meets) gets no hit whatever the threshold, and does not count.
fn best<'a>(queries: impl Iterator<Item = &'a Candidates>, calibration: Calibration) -> Vec<f64> {
    let highest = queries.filter_map(|pairs| pairs.iter().map(|pair| pair.score).reduce(f64::max));
    highest.map(|score| calibration.relevance(score)).collect()
}

/// In each cell: answerable queries without a hit / unanswerable queries with one.
pub(super) fn table(rows: &[Row]) -> String {
    let thresholds = THRESHOLDS.map(|threshold| threshold.to_string());
    let mut table = format!(
        "| set | answerable | unanswerable | {} |\n|{}\n",
        thresholds.join(" | "),
        "---|".repeat(3 + THRESHOLDS.len())
    );
    for row in rows {
        table += &format!(
            "| {} | {} | {} of {} | {} |\n",
            row.set,
            row.answerable,
            row.unanswerable,
            row.from,
            cells(&row.rates)
        );
    }
    table += &format!("| mean | | | {} |\n", cells(&means(rows)));
    table
}

fn cells(rates: &[Rates]) -> String {
    let cell = |rate: &Rates| format!("{:.3} / {:.3}", rate.emptied, rate.answered);
    rates.iter().map(cell).collect::<Vec<_>>().join(" | ")
}

/// Over the sets, each counting once.
fn means(rows: &[Row]) -> Vec<Rates> {
    let means = THRESHOLDS.iter().enumerate().map(|(at, threshold)| {
        let of = |share: fn(&Rates) -> f64| {
            let shares = rows.iter().map(|row| share(&row.rates[at]));
            mean(&shares.collect::<Vec<_>>())
        };
        Rates {
            threshold: *threshold,
            emptied: of(|rates| rates.emptied),
            answered: of(|rates| rates.answered),
        }
    });
    means.collect()
}
