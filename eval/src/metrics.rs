//! Ranking metrics with trec_eval's definitions and the names of `ir_measures`, against which they
//! are checked to 1e-6.
//!
//! Relevance grades are integers; a grade of 0 or less is not relevant. What is judged by grade (nDCG)
//! uses them all; what is judged by yes or no counts grades from `rel` on, 1 where nothing is said. All
//! metrics are in 0..=1, and 0 for a topic without results or without anything relevant. A cut beyond
//! the list is as trec_eval has it: precision is still divided by the cut.

mod name;

use std::collections::HashMap;

pub use name::metrics;

/// Grades of one topic's judged documents.
pub type Judgements = HashMap<String, i32>;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002; linear gain, log2
    /// discount).
    Ndcg,
    /// Share of the relevant documents that are found.
    Recall,
    /// Share of the cut that is relevant.
    Precision,
    /// One over the rank of the first relevant document.
    ReciprocalRank,
    /// Mean of the precisions at the relevant documents, those not found counting 0.
    AveragePrecision,
    /// 1 where anything relevant is found.
    Success,
}

/// One measure of a ranking, to a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metric {
    /// What is measured.
    pub measure: Measure,
    /// How far down; `None` is the whole list.
    pub cut: Option<usize>,
    /// The least grade that counts as relevant; nDCG does not ask.
    pub rel: i32,
}

impl Metric {
    /// The metrics every report has.
    pub const REPORTED: [Self; 6] = [
        Self::ndcg(10),
        Self::recall(10),
        Self::recall(50),
        Self::recall(100),
        Self::new(Measure::ReciprocalRank, Some(10)),
        Self::new(Measure::AveragePrecision, None),
    ];

    /// A measure to a cut, where any grade above 0 is relevant.
    pub const fn new(measure: Measure, cut: Option<usize>) -> Self {
        Self {
            measure,
            cut,
            rel: 1,
        }
    }

    /// nDCG to a cut.
    pub const fn ndcg(cut: usize) -> Self {
        Self::new(Measure::Ndcg, Some(cut))
    }

    /// Recall to a cut.
    pub const fn recall(cut: usize) -> Self {
        Self::new(Measure::Recall, Some(cut))
    }

    /// The measure of `ranking` (document ids, best first) against `judgements`.
    pub fn measure(self, ranking: &[String], judgements: &Judgements) -> f64 {
        let grade = |id: &String| judgements.get(id).copied().unwrap_or(0);
        let reach = self.cut.unwrap_or(ranking.len()).min(ranking.len());
        let found: Vec<i32> = ranking[..reach].iter().map(grade).collect();
        let judged: Vec<i32> = judgements.values().copied().collect();
        self.of_grades(&found, &judged)
    }

    /// The measure of a list of grades, best place first, where `judged` are the grades of every
    /// judged document, in any order.
    pub fn of_grades(self, found: &[i32], judged: &[i32]) -> f64 {
        let found = &found[..self.cut.unwrap_or(found.len()).min(found.len())];
        let is_relevant = |grade: &&i32| **grade >= self.rel;
        let relevant = judged.iter().filter(is_relevant).count();
        if relevant == 0 {
            return 0.0;
        }
        let count = found.iter().filter(is_relevant).count() as f64;
        match self.measure {
            Measure::Ndcg => {
                let mut ideal = judged.to_vec();
                ideal.sort_unstable_by(|a, b| b.cmp(a));
                discounted(found)
                    / discounted(&ideal[..self.cut.unwrap_or(ideal.len()).min(ideal.len())])
            }
            Measure::Recall => count / relevant as f64,
            Measure::Precision => count / self.cut.unwrap_or(found.len()).max(1) as f64,
            Measure::ReciprocalRank => {
                let first = found.iter().position(|grade| *grade >= self.rel);
                first.map_or(0.0, |index| 1.0 / (index + 1) as f64)
            }
            Measure::AveragePrecision => precisions(found, self.rel) / relevant as f64,
            Measure::Success => f64::from(u8::from(count > 0.0)),
        }
    }
}

fn discounted(grades: &[i32]) -> f64 {
    let gains = grades.iter().enumerate();
    gains
        .map(|(index, grade)| f64::from((*grade).max(0)) / ((index + 2) as f64).log2())
        .sum()
}

/// The sum of the precisions at the relevant places.
fn precisions(grades: &[i32], rel: i32) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (index, grade) in grades.iter().enumerate() {
        if *grade >= rel {
            found += 1;
            sum += f64::from(found) / (index + 1) as f64;
        }
    }
    sum
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
    fn check(metric: &str, ranking: &[&str], grades: &[(&str, i32)], expected: f64) {
        let metric: Metric = metric.parse().unwrap();
        let measured = metric.measure(&ids(ranking), &judged(grades));
        assert!(
            (measured - expected).abs() < 1e-12,
            "{metric}: {measured} is not {expected}"
        );
    }

    #[test]
    fn hand_computed_values() {
        let grades = [("a", 2), ("b", 1), ("c", 0), ("d", 1)];
        let ranking = ["c", "a", "x", "b"];
        let ideal = 2.0 + 1.0 / 3f64.log2() + 1.0 / 2.0;
        let gained = 2.0 / 3f64.log2() + 1.0 / 5f64.log2();
        for (metric, expected) in [
            ("nDCG@10", gained / ideal),
            ("nDCG", gained / ideal),
            ("nDCG@2", (2.0 / 3f64.log2()) / (2.0 + 1.0 / 3f64.log2())),
            ("R@10", 2.0 / 3.0),
            ("R@2", 1.0 / 3.0),
            ("R(rel=2)@2", 1.0),
            ("P@2", 0.5),
            ("P@10", 0.2),
            ("P(rel=2)@4", 0.25),
            ("RR@10", 0.5),
            ("RR@1", 0.0),
            ("RR", 0.5),
            ("AP", (0.5 + 0.5) / 3.0),
            ("AP@2", 0.5 / 3.0),
            ("AP(rel=2)", 0.5),
            ("Success@1", 0.0),
            ("Success@2", 1.0),
            ("Success(rel=3)@4", 0.0),
        ] {
            check(metric, &ranking, &grades, expected);
        }
    }

    #[test]
    fn nothing_found_or_nothing_relevant_is_zero() {
        for metric in ["nDCG@10", "R@5", "P@5", "RR", "AP", "Success@5"] {
            check(metric, &[], &[("a", 1)], 0.0);
            check(metric, &["a"], &[("a", 0)], 0.0);
            check(metric, &["a"], &[("a", -1)], 0.0);
        }
    }

    proptest! {
        #[test]
        fn within_bounds_and_best_for_the_ideal_order(
            grades in proptest::collection::vec(-1i32..4, 1..12),
            order in proptest::collection::vec(any::<u32>(), 12),
            cut in proptest::option::of(1usize..15),
            rel in 1i32..4,
        ) {
            let judgements: Judgements = grades.iter().enumerate()
                .map(|(index, grade)| (index.to_string(), *grade)).collect();
            let mut shuffled: Vec<usize> = (0..grades.len()).collect();
            shuffled.sort_by_key(|index| order[*index]);
            let mut ideal: Vec<usize> = (0..grades.len()).collect();
            ideal.sort_by_key(|index| -grades[*index]);
            let names = |order: &[usize]| order.iter().map(usize::to_string).collect::<Vec<_>>();
            for measure in [
                Measure::Ndcg, Measure::Recall, Measure::Precision, Measure::ReciprocalRank,
                Measure::AveragePrecision, Measure::Success,
            ] {
                let metric = Metric { measure, cut, rel };
                let measured = metric.measure(&names(&shuffled), &judgements);
                let best = metric.measure(&names(&ideal), &judgements);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&measured), "{}: {}", metric, measured);
                prop_assert!(measured <= best + 1e-12, "{}", metric);
            }
        }
    }
}
