//! Fusion of lists by their scores: what RRF does not look at, how far apart the hits of a list are.

use super::{Fused, sum_by_key};

/// A ranked list with its scores.
#[derive(Clone, Copy, Debug)]
pub struct ScoredList<'a, K> {
    /// How much it counts; a list of weight 0 has no say.
    pub weight: f64,
    /// Its keys and their scores, best first. No key may stand twice.
    pub hits: &'a [(K, f64)],
    /// The score of every key that the list lacks, where that is known (a BM25 list that was not cut
    /// lacks what scores 0); else they are taken to score as its least hit does.
    pub floor: Option<f64>,
}

/// What makes the scores of two lists comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A list's scores from 0 (what it lacks) to 1 (its best).
    MinMax,
    /// Standard deviations from the mean over all keys of all lists.
    Deviations,
}

/// What equal values may deviate from their mean by rounding, relative to it.
const ROUNDING: f64 = 1e-9;

/// Fuses lists by score: a key scores the weighted mean of its scores in the lists, each brought to
/// `scale`; with [`Scale::MinMax`] that is min-max score fusion, with [`Scale::Deviations`]
/// distribution-based score fusion (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for
/// Hybrid Retrieval", 2023, compares such functions). Equal scores are ordered by rising key, so the
/// result is a total order whatever the order of the lists. Keys that only lists of weight 0 hold
/// are left out; a list without hits has no say.
///
/// A list whose scores are all equal ranks its keys alike: with [`Scale::MinMax`] it gives 1 to what
/// it holds and 0 to what it lacks, with [`Scale::Deviations`] it says something only where it has a
/// floor below them.
///
/// With both weights 1 and no floors, lexical `[a 9, b 6, c 3]` and dense `[b 0.8, d 0.4]`:
///
/// | key | lexical, min-max | dense, min-max | fused | lexical, deviations | dense, deviations | fused |
/// |-----|------------------|----------------|-------|---------------------|-------------------|-------|
/// | a   | 1                | 0              | 0.5   | 1.507557            | -0.577350         | 0.465103 |
/// | b   | 0.5              | 1              | 0.75  | 0.301511            | 1.732051          | 1.016781 |
/// | c   | 0                | 0              | 0     | -0.904534           | -0.577350         | -0.740942 |
/// | d   | 0                | 0              | 0     | -0.904534           | -0.577350         | -0.740942 |
pub fn fuse_scores<K: Copy + Ord>(lists: &[ScoredList<'_, K>], scale: Scale) -> Vec<Fused<K>> {
    let lists = lists.iter().filter(|list| list.weight > 0.0);
    let lists: Vec<&ScoredList<'_, K>> = lists.filter(|list| !list.hits.is_empty()).collect();
    let keys = distinct_keys(&lists);
    let mut weights: Vec<f64> = lists.iter().map(|list| list.weight).collect();
    // Sums are taken by rising size: floating-point addition is not associative, and the order of
    // the lists must not matter.
    weights.sort_by(f64::total_cmp);
    let total: f64 = weights.iter().sum();
    let mut votes: Vec<Fused<K>> = Vec::with_capacity(lists.len() * keys.len());
    for list in lists {
        votes.extend(list.votes(&keys, scale, total));
    }
    votes.sort_by(|a, b| a.key.cmp(&b.key).then(a.score.total_cmp(&b.score)));
    let mut fused = sum_by_key(&votes);
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
    fused
}

/// Every key of the lists, once, rising.
fn distinct_keys<K: Copy + Ord>(lists: &[&ScoredList<'_, K>]) -> Vec<K> {
    let keys = lists.iter().flat_map(|list| list.hits);
    let mut keys: Vec<K> = keys.map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl<K: Copy + Ord> ScoredList<'_, K> {
    /// The score of what the list lacks.
    pub(crate) fn missing(&self) -> f64 {
        let least = self.hits.iter().map(|(_, score)| *score);
        let least = least.reduce(f64::min).unwrap_or(0.0);
        self.floor.map_or(least, |floor| floor.min(least))
    }

    /// Mean and standard deviation of the list's scores among `count` keys.
    pub(crate) fn distribution(&self, count: usize) -> (f64, f64) {
        let count = count.max(self.hits.len()).max(1);
        let (lacking, of) = ((count - self.hits.len()) as f64, count as f64);
        let missing = self.missing();
        let scores = self.hits.iter().map(|(_, score)| *score);
        let mean = (scores.clone().sum::<f64>() + lacking * missing) / of;
        let square = |score: f64| (score - mean).powi(2);
        let squares = scores.map(square).sum::<f64>() + lacking * square(missing);
        let deviation = (squares / of).sqrt();
        if deviation > ROUNDING * mean.abs() {
            (mean, deviation)
        } else {
            (mean, 0.0)
        }
    }

    /// What the list adds to the score of each of `keys`, which are rising.
    fn votes(&self, keys: &[K], scale: Scale, total: f64) -> Vec<Fused<K>> {
        let missing = self.missing();
        let best = self.hits.iter().map(|(_, score)| *score);
        let best = best.reduce(f64::max).unwrap_or(missing);
        let (mean, deviation) = self.distribution(keys.len());
        let scaled = |score: Option<f64>| match scale {
            Scale::MinMax if best > missing => {
                (score.unwrap_or(missing) - missing) / (best - missing)
            }
            Scale::MinMax => f64::from(u8::from(score.is_some())),
            Scale::Deviations if deviation > 0.0 => (score.unwrap_or(missing) - mean) / deviation,
            Scale::Deviations => 0.0,
        };
        let mut own: Vec<(K, f64)> = self.hits.to_vec();
        own.sort_unstable_by_key(|(key, _)| *key);
        let score_of = |key: &K| {
            let place = own.binary_search_by(|(own, _)| own.cmp(key)).ok()?;
            Some(own[place].1)
        };
        let votes = keys.iter().map(|key| Fused {
            key: *key,
            score: self.weight * scaled(score_of(key)) / total,
        });
        votes.collect()
    }
}

#[cfg(test)]
mod tests;
