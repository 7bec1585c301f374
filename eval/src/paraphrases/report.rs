//! Rates with intervals, as a table and as JSON.

use std::collections::BTreeMap;

use braid_engine::query::cache::guard::Difference;
use serde::Serialize;

use super::{LookupTime, Measured};
use crate::table::table;

/// The normal quantile of a 95% interval.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its 95% Wilson interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// The share; 0 of none.
    pub rate: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end; 1 of none.
    pub high: f64,
}

impl Rate {
    /// `count` of `of`.
    pub fn new(count: usize, of: usize) -> Self {
        if of == 0 {
            return Self {
                count,
                of,
                rate: 0.0,
                low: 0.0,
                high: 1.0,
            };
        }
        let (n, share) = (of as f64, count as f64 / of as f64);
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        Self {
            count,
            of,
            rate: share,
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
        }
    }

    fn shown(self) -> String {
        let Self {
            count,
            of,
            rate,
            low,
            high,
        } = self;
        format!("{rate:.3} [{low:.3}, {high:.3}] {count}/{of}")
    }
}

/// Hits at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hits {
    /// Of the pairs with the same answer.
    pub true_hits: Rate,
    /// Of the pairs with different answers.
    pub false_hits: Rate,
}

/// One threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The least similarity of a hit.
    pub threshold: f64,
    /// With the guard.
    pub guarded: Hits,
    /// By similarity alone.
    pub unguarded: Hits,
}

/// What one difference of the guard stops, whatever the similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stopped {
    /// The difference.
    pub difference: &'static str,
    /// Pairs with different answers that have it.
    pub different: Rate,
    /// Pairs with the same answer that have it: hits that are lost.
    pub same: Rate,
}

/// Pairs of one kind at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindRow {
    /// The kind.
    pub kind: String,
    /// Whether its pairs have the same answer.
    pub same: bool,
    /// Mean similarity.
    pub similarity: f64,
    /// Hits with the guard.
    pub guarded: Rate,
    /// Hits by similarity alone.
    pub unguarded: Rate,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairRow {
    /// One question.
    pub one: String,
    /// The other.
    pub other: String,
    /// Whether they have the same answer.
    pub same: bool,
    /// Its kind.
    pub kind: String,
    /// Cosine similarity.
    pub similarity: f64,
    /// What the guard finds between them.
    pub differences: Vec<&'static str>,
}

/// What pairs say about a cache of answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairsReport {
    /// The embedder.
    pub embedder: String,
    /// Pairs.
    pub pairs: usize,
    /// Pairs with the same answer.
    pub same: usize,
    /// By rising threshold.
    pub thresholds: Vec<Row>,
    /// By difference.
    pub guard: Vec<Stopped>,
    /// The threshold of `kinds`.
    pub at: f64,
    /// By kind, where pairs have kinds.
    pub kinds: Vec<KindRow>,
    /// Time of a lookup, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<LookupTime>,
    /// Every pair, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Vec<PairRow>>,
}

/// Measures pairs at each threshold, and by kind at `at`.
pub fn measure(
    embedder: String,
    measured: &[Measured],
    thresholds: &[f64],
    at: f64,
) -> PairsReport {
    let same = measured.iter().filter(|one| one.pair.same).count();
    PairsReport {
        embedder,
        pairs: measured.len(),
        same,
        thresholds: thresholds
            .iter()
            .map(|threshold| Row {
                threshold: *threshold,
                guarded: hits(measured, *threshold, true),
                unguarded: hits(measured, *threshold, false),
            })
            .collect(),
        guard: Difference::ALL
            .into_iter()
            .map(|difference| stopped(measured, difference))
            .collect(),
        at,
        kinds: kinds(measured, at),
        lookup: None,
        each: None,
    }
}

fn is_hit(one: &Measured, threshold: f64, guarded: bool) -> bool {
    let passes = !guarded || one.differences.is_empty();
    passes && one.similarity >= threshold
}

fn hits(measured: &[Measured], threshold: f64, guarded: bool) -> Hits {
    let rate = |same: bool| {
        let pairs = measured.iter().filter(|one| one.pair.same == same);
        share(pairs, |one| is_hit(one, threshold, guarded))
    };
    Hits {
        true_hits: rate(true),
        false_hits: rate(false),
    }
}

fn stopped(measured: &[Measured], difference: Difference) -> Stopped {
    let rate = |same: bool| {
        let pairs = measured.iter().filter(|one| one.pair.same == same);
        share(pairs, |one| one.differences.contains(&difference))
    };
    Stopped {
        difference: difference.as_str(),
        different: rate(false),
        same: rate(true),
    }
}

fn share<'m>(
    pairs: impl Iterator<Item = &'m Measured> + Clone,
    counts: impl Fn(&Measured) -> bool,
) -> Rate {
    let of = pairs.clone().count();
    Rate::new(pairs.filter(|one| counts(one)).count(), of)
}

fn kinds(measured: &[Measured], at: f64) -> Vec<KindRow> {
    let mut kinds: BTreeMap<(bool, &str), Vec<&Measured>> = BTreeMap::new();
    for one in measured.iter().filter(|one| !one.pair.kind.is_empty()) {
        let kind = (one.pair.same, one.pair.kind.as_str());
        kinds.entry(kind).or_default().push(one);
    }
    let rows = kinds.into_iter().map(|((same, kind), pairs)| {
        let total: f64 = pairs.iter().map(|one| one.similarity).sum();
        let rate = |guarded| share(pairs.iter().copied(), |one| is_hit(one, at, guarded));
        KindRow {
            kind: kind.to_owned(),
            same,
            similarity: total / pairs.len() as f64,
            guarded: rate(true),
            unguarded: rate(false),
        }
    });
    rows.collect()
}

impl PairsReport {
    /// The report with every pair.
    #[must_use]
    pub fn with_each(self, measured: &[Measured]) -> Self {
        let rows = measured.iter().map(|one| PairRow {
            one: one.pair.one.clone(),
            other: one.pair.other.clone(),
            same: one.pair.same,
            kind: one.pair.kind.clone(),
            similarity: one.similarity,
            differences: one.differences.iter().map(|found| found.as_str()).collect(),
        });
        Self {
            each: Some(rows.collect()),
            ..self
        }
    }

    /// For people: rates with their 95% intervals and counts.
    pub fn text(&self) -> String {
        let (pairs, same) = (self.pairs, self.same);
        let mut text = format!(
            "{pairs} pairs of questions, {same} with the same answer; embedder {}\n\n",
            self.embedder
        );
        let rows: Vec<Vec<String>> = self.thresholds.iter().map(threshold_cells).collect();
        let header = [
            "threshold",
            "true hits",
            "false hits",
            "true hits, no guard",
            "false hits, no guard",
        ];
        text.push_str(&table(&header, &rows));
        text.push_str("\n\n");
        let rows: Vec<Vec<String>> = self.guard.iter().map(stopped_cells).collect();
        let header = ["guard finds", "in different pairs", "in same pairs"];
        text.push_str(&table(&header, &rows));
        if !self.kinds.is_empty() {
            let rows: Vec<Vec<String>> = self.kinds.iter().map(kind_cells).collect();
            let at = self.at;
            let header = [
                "kind",
                "answer",
                "mean similarity",
                "hits",
                "hits, no guard",
            ];
            text.push_str(&format!("\n\nat {at}\n{}", table(&header, &rows)));
        }
        if let Some(lookup) = &self.lookup {
            text.push_str(&format!("\n\n{}", lookup.text()));
        }
        text
    }
}

fn threshold_cells(row: &Row) -> Vec<String> {
    vec![
        format!("{:.2}", row.threshold),
        row.guarded.true_hits.shown(),
        row.guarded.false_hits.shown(),
        row.unguarded.true_hits.shown(),
        row.unguarded.false_hits.shown(),
    ]
}

fn stopped_cells(row: &Stopped) -> Vec<String> {
    vec![
        row.difference.to_owned(),
        row.different.shown(),
        row.same.shown(),
    ]
}

fn kind_cells(row: &KindRow) -> Vec<String> {
    let answer = if row.same { "same" } else { "different" };
    let counts = |rate: Rate| format!("{}/{}", rate.count, rate.of);
    vec![
        row.kind.clone(),
        answer.to_owned(),
        format!("{:.3}", row.similarity),
        counts(row.guarded),
        counts(row.unguarded),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paraphrases::Pair;

    fn pair(same: bool, similarity: f64, differences: &[Difference]) -> Measured {
        Measured {
            pair: Pair {
                one: "a".to_owned(),
                other: "b".to_owned(),
                same,
                kind: if same { "rewritten" } else { "reversed" }.to_owned(),
            },
            similarity,
            differences: differences.to_vec(),
        }
    }

    /// Against R: `prop.test(x, n, correct = FALSE)$conf.int`.
    #[test]
    fn intervals_are_wilsons() {
        let check = |count, of, low: f64, high: f64| {
            let rate = Rate::new(count, of);
            let near = |one: f64, other: f64| (one - other).abs() < 5e-5;
            assert!(near(rate.low, low) && near(rate.high, high), "{rate:?}");
        };
        check(0, 10, 0.0, 0.2775);
        check(5, 10, 0.2366, 0.7634);
        check(81, 263, 0.2553, 0.3662);
        check(10, 10, 0.7225, 1.0);
        check(0, 0, 0.0, 1.0);
    }

    #[test]
    fn hits_are_counted_with_the_guard_and_without() {
        let measured = [
            pair(true, 0.99, &[]),
            pair(true, 0.97, &[Difference::Word]),
            pair(true, 0.90, &[]),
            pair(false, 0.98, &[Difference::Opposite, Difference::Word]),
            pair(false, 0.96, &[]),
            pair(false, 0.20, &[]),
        ];
        let report = measure("e".to_owned(), &measured, &[0.95, 0.5], 0.95);
        let counts = |hits: Hits| (hits.true_hits.count, hits.false_hits.count);
        let rows: Vec<_> = report.thresholds.iter().collect();
        assert_eq!(counts(rows[0].guarded), (1, 1));
        assert_eq!(counts(rows[0].unguarded), (2, 2));
        assert_eq!(counts(rows[1].guarded), (2, 1));
        assert_eq!(counts(rows[1].unguarded), (3, 2));
        let word = report.guard.iter().find(|row| row.difference == "word");
        let word = word.unwrap();
        assert_eq!((word.different.count, word.same.count), (1, 1));
        let kinds: Vec<_> = report
            .kinds
            .iter()
            .map(|row| (row.kind.as_str(), row.guarded.count))
            .collect();
        assert_eq!(kinds, [("reversed", 1), ("rewritten", 1)]);
        assert!(report.text().contains("0.95"));
        assert_eq!(report.with_each(&measured).each.unwrap().len(), 6);
    }
}
