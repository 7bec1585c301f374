//! Leg trust: how much each leg counts for one query.
//!
//! The legs are not equally good at every query. A BM25 list whose best hit has a small part of what
//! the query weighs, or whose hits all have the same part, says little; one that tells its hits
//! apart says much, and so do cosines that lie far apart. So the weights asked for are shifted for
//! each query by a logistic model of few features, all of which are in the trace.

use crate::fusion::scores::ScoredList;
use crate::legs::{LegHit, Legs};
use crate::request::{LegTrust, LegWeights};

/// Whose weights these are; `eval/tune/trust` fits them.
pub const MODEL: &str = "leg-trust-1";

/// What the model adds up, beside [`BIAS`], into the log-odds of the lexical leg.
const COEFFICIENTS: [(Feature, f64); 4] = [
    (Feature::LexicalSpread, 1.0),
    (Feature::DenseSpread, -1.0),
    (Feature::QueryWeight, 0.0),
    (Feature::Names, 0.0),
];
const BIAS: f64 = -0.1;
/// A leg keeps at least this share of the weight, so that what it alone found stays in the list.
const LEAST_SHARE: f64 = 0.02;
/// Spreads are taken to be at least so much: no query has log-odds without end.
const LEAST_SPREAD: f64 = 1e-4;

/// Something of a query that the model looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    /// Logarithm of the standard deviation of the BM25 scores, each as a share of what the query
    /// could score, over the chunks that any leg found.
    LexicalSpread,
    /// Logarithm of the standard deviation of the cosines over them.
    DenseSpread,
    /// Logarithm of what the query could score: many and rare words weigh more.
    QueryWeight,
    /// Share of the query's words that are names: numbers, versions, paths, identifiers, quoted.
    Names,
}

impl Feature {
    fn as_str(self) -> &'static str {
        match self {
            Self::LexicalSpread => "lexical_spread",
            Self::DenseSpread => "dense_spread",
            Self::QueryWeight => "query_weight",
            Self::Names => "names",
        }
    }
}

/// How far each leg was trusted for one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// What decided: the name of the model, or `off`, `lexical_blind` (nothing matched),
    /// `dense_blind` (nothing was found), `unknown` (the index does not know what the query could
    /// score).
    pub rule: &'static str,
    /// What the model looked at, by name; nothing where it was not asked.
    pub features: Vec<(&'static str, f64)>,
    /// The weights that were asked for.
    pub before: LegWeights,
    /// The weights that the legs are fused with: their sum is that of the equal weights, 2, where
    /// both were 1.
    pub after: LegWeights,
}

/// The weights to fuse `legs` with, found for `query`.
pub(crate) fn trust(query: &str, legs: &Legs, weights: LegWeights, asked: LegTrust) -> Trust {
    let (lexical, dense) = (&legs.lexical, &legs.dense);
    let rule = if asked == LegTrust::Off {
        "off"
    } else if lexical.hits.is_empty() {
        "lexical_blind"
    } else if dense.hits.is_empty() {
        "dense_blind"
    } else if lexical.ceiling <= 0.0 {
        "unknown"
    } else {
        MODEL
    };
    let mut trust = Trust {
        rule,
        features: Vec::new(),
        before: weights,
        after: weights,
    };
    if rule == MODEL {
        let features =
            COEFFICIENTS.map(|(feature, weight)| (feature, measure(feature, query, legs), weight));
        let odds = features.iter().map(|(_, value, weight)| value * weight);
        let share = logistic(BIAS + odds.sum::<f64>()).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
        let named = features.iter();
        trust.features = named
            .map(|(feature, value, _)| (feature.as_str(), *value))
            .collect();
        trust.after = LegWeights {
            lexical: 2.0 * share * weights.lexical,
            dense: 2.0 * (1.0 - share) * weights.dense,
        };
    }
    trust
}

fn measure(feature: Feature, query: &str, legs: &Legs) -> f64 {
    match feature {
        Feature::LexicalSpread => {
            let ceiling = f64::from(legs.lexical.ceiling);
            let spread = spread(legs, &legs.lexical.hits, legs.lexical.floor());
            (spread / ceiling).max(LEAST_SPREAD).ln()
        }
        Feature::DenseSpread => spread(legs, &legs.dense.hits, None).max(LEAST_SPREAD).ln(),
        Feature::QueryWeight => f64::from(legs.lexical.ceiling).ln(),
        Feature::Names => names(query),
    }
}

/// Standard deviation of a leg's scores over the chunks that any leg found.
fn spread(legs: &Legs, hits: &[LegHit], floor: Option<f64>) -> f64 {
    let scored: Vec<_> = hits.iter().map(LegHit::scored).collect();
    let list = ScoredList {
        weight: 1.0,
        hits: &scored,
        floor,
    };
    list.distribution(legs.found()).1
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// The share of a query's words that are looked for as they are written.
fn names(query: &str) -> f64 {
    let mut quoted = false;
    let (mut names, mut words) = (0.0, 0.0_f64);
    for word in query.split_whitespace() {
        let quotes = word.matches('"').count();
        let is_quoted = quoted || quotes > 0;
        quoted ^= quotes % 2 == 1;
        words += 1.0;
        if is_quoted || is_name(word) {
            names += 1.0;
        }
    }
    names / words.max(1.0)
}

/// Whether a word is written as names are: with a digit, an underscore, a capital inside, or a mark
/// between letters that is neither a hyphen nor an apostrophe.
pub(crate) fn is_name(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let letters: Vec<char> = word.chars().collect();
    let is_mark = |c: &char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’');
    let rises = |pair: &[char]| pair[0].is_lowercase() && pair[1].is_uppercase();
    letters.iter().any(|c| c.is_ascii_digit() || is_mark(c)) || letters.windows(2).any(rises)
}

#[cfg(test)]
mod tests;
