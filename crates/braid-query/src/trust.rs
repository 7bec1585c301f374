//! Leg trust: how much each leg counts for one query.
//!
//! The legs are not equally good at every query. A BM25 list whose best hit has a small part of what
//! the query weighs, or whose hits all have the same part, says little; one that tells its hits
//! apart says much, and so do cosines that lie far apart. So the weights asked for are shifted for
//! each query by a logistic model of few features, all of which are in the trace. What a model would
//! need many labelled queries to learn, and people know, is a rule: names and quoted phrases are
//! looked for as they are written, and an embedder says little about a script that it does not read.

use crate::fusion::scores::ScoredList;
use crate::legs::{LegHit, Legs};
use crate::request::{LegTrust, LegWeights};

/// Whose weights these are; `eval/tune/trust` fits them.
pub const MODEL: &str = "leg-trust-2";

/// What the model adds up, beside [`BIAS`], into the log-odds of the lexical leg.
const COEFFICIENTS: [(Feature, f64); 2] =
    [(Feature::LexicalSpread, 1.0), (Feature::DenseSpread, -1.0)];
const BIAS: f64 = -0.1;
/// A leg keeps at least this share of the weight, so that what it alone found stays in the list.
const LEAST_SHARE: f64 = 0.02;
/// Spreads are taken to be at least so much: no query has log-odds without end.
const LEAST_SPREAD: f64 = 1e-4;
/// How many times the odds of the lexical leg are multiplied for a query that is looked for as it is
/// written. A rule, not fitted: an embedder has hardly seen such words.
const AS_WRITTEN_ODDS: f64 = 4.0;

/// Something of a query that the model looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    /// Logarithm of the standard deviation of the BM25 scores, each as a share of what the query
    /// could score, over the chunks that any leg found.
    LexicalSpread,
    /// Logarithm of the standard deviation of the cosines over them.
    DenseSpread,
}

impl Feature {
    fn as_str(self) -> &'static str {
        match self {
            Self::LexicalSpread => "lexical_spread",
            Self::DenseSpread => "dense_spread",
        }
    }

    fn measure(self, legs: &Legs) -> f64 {
        match self {
            Self::LexicalSpread => {
                let ceiling = f64::from(legs.lexical.ceiling);
                let spread = spread(legs, &legs.lexical.hits, legs.lexical.floor());
                (spread / ceiling).max(LEAST_SPREAD).ln()
            }
            Self::DenseSpread => spread(legs, &legs.dense.hits, None).max(LEAST_SPREAD).ln(),
        }
    }
}

/// How far each leg was trusted for one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// What decided, the first of these that holds:
    ///
    /// - `off`: nothing was asked to;
    /// - `lexical_blind`, `dense_blind`: that leg found nothing;
    /// - `script_not_read`: most letters of the query are of a script that the embedder does not
    ///   read; the dense leg keeps the least share of the weight;
    /// - `as_written`: every word is a name (a number, a version, a path, an identifier) or in
    ///   quotes; the odds of the lexical leg are four times what the model says, or four to one
    ///   where it can say nothing;
    /// - `unknown`: the index does not know what the query could score;
    /// - the name of the model.
    pub rule: &'static str,
    /// What the model looked at, by name; nothing where it was not asked.
    pub features: Vec<(&'static str, f64)>,
    /// What it makes of them: the log-odds of the lexical leg are `constant` and each feature times its own;
    /// nothing where it was not asked.
    pub coefficients: Vec<(&'static str, f64)>,
    /// The weights that were asked for.
    pub before: LegWeights,
    /// The weights that the legs are fused with: their sum is that of the equal weights, 2, where
    /// both were 1.
    pub after: LegWeights,
}

/// The weights that legs are fused with. Where nothing was said of trust, one leg alone was asked: it
/// counts, whatever weight it would have beside the other.
pub(crate) fn weights_after(trust: Option<&Trust>) -> LegWeights {
    trust.map_or_else(LegWeights::default, |trust| trust.after)
}

/// What is to be done with the weights.
enum Ruling {
    /// They stay as they were asked for.
    Keep,
    /// The lexical leg gets this share of them.
    Share(f64),
    /// The model decides, this being added to its log-odds of the lexical leg.
    Model(f64),
}

/// The weights to fuse `legs` with, found for `query`.
pub(crate) fn trust(query: &str, legs: &Legs, weights: LegWeights, asked: LegTrust) -> Trust {
    let (rule, ruling) = rule(query, legs, asked);
    let (share, features) = match ruling {
        Ruling::Keep => (None, Vec::new()),
        Ruling::Share(share) => (Some(share), Vec::new()),
        Ruling::Model(more) => {
            let (odds, features) = modelled(legs);
            (Some(share_at(odds + more)), features)
        }
    };
    let coefficients = if features.is_empty() {
        Vec::new()
    } else {
        coefficients()
    };
    let after = share.map_or(weights, |share| LegWeights {
        lexical: 2.0 * share * weights.lexical,
        dense: 2.0 * (1.0 - share) * weights.dense,
    });
    Trust {
        rule,
        features,
        coefficients,
        before: weights,
        after,
    }
}

/// The first rule of [`Trust::rule`] that holds, and what it says.
fn rule(query: &str, legs: &Legs, asked: LegTrust) -> (&'static str, Ruling) {
    let (lexical, dense) = (&legs.lexical, &legs.dense);
    let has_ceiling = lexical.ceiling > 0.0;
    if asked == LegTrust::Off {
        ("off", Ruling::Keep)
    } else if lexical.hits.is_empty() {
        ("lexical_blind", Ruling::Keep)
    } else if dense.hits.is_empty() {
        ("dense_blind", Ruling::Keep)
    } else if dense.is_unread {
        ("script_not_read", Ruling::Share(1.0 - LEAST_SHARE))
    } else if is_as_written(query) {
        let more = AS_WRITTEN_ODDS.ln();
        let unmodelled = Ruling::Share(share_at(more));
        let ruling = if has_ceiling {
            Ruling::Model(more)
        } else {
            unmodelled
        };
        ("as_written", ruling)
    } else if has_ceiling {
        (MODEL, Ruling::Model(0.0))
    } else {
        ("unknown", Ruling::Keep)
    }
}

/// The model's log-odds of the lexical leg, and what it looked at.
fn modelled(legs: &Legs) -> (f64, Vec<(&'static str, f64)>) {
    let mut odds = BIAS;
    let mut features = Vec::with_capacity(COEFFICIENTS.len());
    for (feature, coefficient) in COEFFICIENTS {
        let value = feature.measure(legs);
        odds += coefficient * value;
        features.push((feature.as_str(), value));
    }
    (odds, features)
}

/// The model, by name.
fn coefficients() -> Vec<(&'static str, f64)> {
    let of_features = COEFFICIENTS.map(|(feature, coefficient)| (feature.as_str(), coefficient));
    [("constant", BIAS)]
        .into_iter()
        .chain(of_features)
        .collect()
}

/// The lexical leg's share of the weight at these log-odds.
fn share_at(odds: f64) -> f64 {
    let share = 1.0 / (1.0 + (-odds).exp());
    share.clamp(LEAST_SHARE, 1.0 - LEAST_SHARE)
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

/// Whether all of a query is looked for as it is written: every word is a name, or stands in quotes
/// that are closed.
fn is_as_written(query: &str) -> bool {
    let (mut is_open, mut has_words) = (false, false);
    for word in query.split_whitespace() {
        let quotes = word.matches(['"', '“', '”']).count();
        if !(is_open || quotes > 0 || is_name(word)) {
            return false;
        }
        is_open ^= quotes % 2 == 1;
        has_words = true;
    }
    has_words && !is_open
}

/// Whether a word is written as names are: with a digit, an underscore, a capital inside, or a mark
/// between letters that is neither a hyphen nor an apostrophe. Marks are those of ASCII: what stands
/// between the letters of other scripts belongs to their words.
pub(crate) fn is_name(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let letters: Vec<char> = word.chars().collect();
    let is_mark = |c: &char| c.is_ascii_punctuation() && !matches!(c, '-' | '\'');
    let rises = |pair: &[char]| pair[0].is_lowercase() && pair[1].is_uppercase();
    letters.iter().any(|c| c.is_ascii_digit() || is_mark(c)) || letters.windows(2).any(rises)
}

#[cfg(test)]
mod tests;
