//! Ranking metrics with trec_eval's definitions (checked against `ir_measures` to 1e-6).
//!
//! Relevance grades are integers; a grade of 0 or less is not relevant. All metrics are in 0..=1
//! and 0 for a topic without results.

use std::collections::HashMap;

/// Grades of one topic's judged documents.
pub type Judgements = HashMap<String, i32>;

/// One measure of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Normalised discounted cumulative gain at a cutoff (Järvelin and Kekäläinen 2002; linear
    /// gain, log2 discount).
    Ndcg(usize),
    /// Share of the relevant documents that are within the cutoff.
    Recall(usize),
    /// One over the rank of the first relevant document within the cutoff.
    ReciprocalRank(usize),
    /// Average precision over the whole list.
    AveragePrecision,
}

impl Metric {
    /// The metrics every report has.
    pub const REPORTED: [Self; 6] = [
        Self::Ndcg(10),
        Self::Recall(10),
        Self::Recall(50),
        Self::Recall(100),
        Self::ReciprocalRank(10),
        Self::AveragePrecision,
    ];

    /// The name in reports.
    pub fn name(self) -> String {
        match self {
            Self::Ndcg(cutoff) => format!("ndcg@{cutoff}"),
            Self::Recall(cutoff) => format!("recall@{cutoff}"),
            Self::ReciprocalRank(cutoff) => format!("mrr@{cutoff}"),
            Self::AveragePrecision => "map".to_owned(),
        }
    }

    /// The measure of `ranking` (document ids, best first) against `judgements`.
    pub fn measure(self, ranking: &[String], judgements: &Judgements) -> f64 {
        let grade = |document: &String| judgements.get(document).copied().unwrap_or(0).max(0);
        let relevant = judgements.values().filter(|grade| **grade > 0).count();
        if relevant == 0 {
            return 0.0;
        }
        match self {
            Self::Ndcg(cutoff) => {
                let gained = discounted(ranking.iter().take(cutoff).map(grade));
                let mut ideal: Vec<i32> =
                    judgements.values().map(|grade| (*grade).max(0)).collect();
                ideal.sort_unstable_by(|a, b| b.cmp(a));
                gained / discounted(ideal.into_iter().take(cutoff))
            }
            Self::Recall(cutoff) => {
                let found = ranking
                    .iter()
                    .take(cutoff)
                    .filter(|id| grade(id) > 0)
                    .count();
                found as f64 / relevant as f64
            }
            Self::ReciprocalRank(cutoff) => ranking
                .iter()
                .take(cutoff)
                .position(|document| grade(document) > 0)
                .map_or(0.0, |index| 1.0 / (index + 1) as f64),
            Self::AveragePrecision => average_precision(ranking.iter().map(grade), relevant),
        }
    }
}

fn discounted(grades: impl Iterator<Item = i32>) -> f64 {
    grades
        .enumerate()
        .map(|(index, grade)| f64::from(grade) / ((index + 2) as f64).log2())
        .sum()
}

fn average_precision(grades: impl Iterator<Item = i32>, relevant: usize) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (index, grade) in grades.enumerate() {
        if grade > 0 {
            found += 1;
            sum += f64::from(found) / (index + 1) as f64;
        }
    }
    sum / relevant as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn judged(grades: &[(&str, i32)]) -> Judgements {
        grades
            .iter()
            .map(|(id, grade)| ((*id).to_owned(), *grade))
            .collect()
    }

    #[track_caller]
    fn check(metric: Metric, ranking: &[&str], grades: &[(&str, i32)], expected: f64) {
        let measured = metric.measure(&ids(ranking), &judged(grades));
        assert!(
            (measured - expected).abs() < 1e-12,
            "{measured} is not {expected}"
        );
    }

    #[test]
    fn hand_computed_values() {
        let grades = [("a", 2), ("b", 1), ("c", 0), ("d", 1)];
        let ranking = ["c", "a", "x", "b"];
        let ideal = 2.0 + 1.0 / 3f64.log2() + 1.0 / 2.0;
        check(
            Metric::Ndcg(10),
            &ranking,
            &grades,
            (2.0 / 3f64.log2() + 1.0 / 5f64.log2()) / ideal,
        );
        check(Metric::Recall(10), &ranking, &grades, 2.0 / 3.0);
        check(Metric::Recall(2), &ranking, &grades, 1.0 / 3.0);
        check(Metric::ReciprocalRank(10), &ranking, &grades, 0.5);
        check(Metric::ReciprocalRank(1), &ranking, &grades, 0.0);
        check(
            Metric::AveragePrecision,
            &ranking,
            &grades,
            (0.5 + 0.5) / 3.0,
        );
    }

    #[test]
    fn nothing_found_or_nothing_relevant_is_zero() {
        for metric in Metric::REPORTED {
            check(metric, &[], &[("a", 1)], 0.0);
            check(metric, &["a"], &[("a", 0)], 0.0);
        }
    }

    proptest! {
        #[test]
        fn within_bounds_and_best_for_the_ideal_order(
            grades in proptest::collection::vec(0i32..4, 1..12),
            order in proptest::collection::vec(any::<u32>(), 12),
        ) {
            let judgements: Judgements = grades.iter().enumerate()
                .map(|(index, grade)| (index.to_string(), *grade)).collect();
            let mut shuffled: Vec<usize> = (0..grades.len()).collect();
            shuffled.sort_by_key(|index| order[*index]);
            let mut ideal: Vec<usize> = (0..grades.len()).collect();
            ideal.sort_by_key(|index| -grades[*index]);
            let names = |order: &[usize]| order.iter().map(usize::to_string).collect::<Vec<_>>();
            for metric in Metric::REPORTED {
                let measured = metric.measure(&names(&shuffled), &judgements);
                let best = metric.measure(&names(&ideal), &judgements);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&measured));
                prop_assert!(measured <= best + 1e-12);
            }
        }
    }
}
