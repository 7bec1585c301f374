//! What can be changed in a request, and what has changed between two.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::limits::MAX_CANDIDATES;

use super::answer::{OptionChange, OptionValue};
use crate::request::{ContextOptions, Mode, RetrieveRequest};
use crate::response::StageScore;

/// An option of a request that can keep a document out, or a stage that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knob {
    /// Takes the query as plain text.
    Syntax,
    /// Drops the conditions of the filter that exclude the document.
    Filter,
    /// Searches both legs.
    Mode,
    /// Gives a leg that has no vote one.
    Weights,
    /// Lowers the lexical leg's threshold.
    LexicalThreshold,
    /// Lowers the dense leg's threshold.
    DenseThreshold,
    /// Deepens the lexical leg.
    LexicalDepth,
    /// Deepens the dense leg.
    DenseDepth,
    /// Leaves out phrasings that do not find the document.
    Phrasings,
    /// Re-ranks more hits.
    RerankCandidates,
    /// Does not re-rank.
    RerankOff,
    /// Lowers the re-ranker's threshold.
    RerankThreshold,
    /// Returns passages that say the same.
    Distinct,
    /// Returns more.
    TopK,
    /// Takes hits into the context however alike they are.
    MaxSimilarity,
    /// Gives the context more room.
    MaxTokens,
}

impl Knob {
    /// Every knob, in the order of the stages they change: what a later one must be set to depends
    /// on the earlier ones.
    pub(super) const ALL: [Self; 16] = [
        Self::Syntax,
        Self::Filter,
        Self::Mode,
        Self::Weights,
        Self::LexicalThreshold,
        Self::DenseThreshold,
        Self::LexicalDepth,
        Self::DenseDepth,
        Self::Phrasings,
        Self::RerankCandidates,
        Self::RerankOff,
        Self::RerankThreshold,
        Self::Distinct,
        Self::TopK,
        Self::MaxSimilarity,
        Self::MaxTokens,
    ];

    /// Whether it undoes what the caller asked for, rather than asking for more of it. Where nothing
    /// else brings a document back all at once, these are tried last.
    pub(super) fn is_switch(self) -> bool {
        matches!(
            self,
            Self::RerankOff | Self::RerankCandidates | Self::Phrasings
        )
    }
}

/// The options that differ between two requests.
pub(super) fn changes(
    from: &RetrieveRequest,
    to: &RetrieveRequest,
    dropped_conditions: &[String],
) -> Vec<OptionChange> {
    let mut changes = Vec::new();
    if from.filter != to.filter {
        changes.extend(dropped_conditions.iter().map(|pointer| OptionChange {
            option: format!("filter{}", pointer.replace('/', ".")),
            from: OptionValue::Set,
            to: OptionValue::Absent,
        }));
    }
    let options = values(from).into_iter().zip(values(to));
    changes.extend(
        options
            .filter(|(from, to)| from.1 != to.1)
            .map(|(from, to)| OptionChange {
                option: from.0.to_owned(),
                from: from.1,
                to: to.1,
            }),
    );
    changes
}

fn values(request: &RetrieveRequest) -> [(&'static str, OptionValue); 16] {
    use OptionValue::{Count, Mode, Named, Number, Switch, Texts};
    let number = |value: Option<f64>| value.map_or(OptionValue::Absent, Number);
    let (weights, thresholds) = (request.fusion.weights, request.thresholds);
    let also = match request.also.is_empty() {
        true => OptionValue::Absent,
        false => Texts(request.also.clone()),
    };
    [
        ("also", also),
        ("syntax", Named(request.syntax.as_str())),
        ("mode", Mode(request.mode)),
        ("fusion.weights.lexical", Number(weights.lexical)),
        ("fusion.weights.dense", Number(weights.dense)),
        ("thresholds.lexical", number(thresholds.lexical)),
        ("thresholds.dense", number(thresholds.dense)),
        ("candidates.lexical", Count(request.candidates.lexical)),
        ("candidates.dense", Count(request.candidates.dense)),
        ("rerank.candidates", Count(request.rerank.candidates)),
        ("rerank.enabled", Switch(request.rerank.enabled)),
        ("thresholds.rerank", number(thresholds.rerank)),
        ("distinct", Switch(request.distinct)),
        ("top_k", Count(request.top_k)),
        (
            "context.max_similarity",
            number(request.context.max_similarity),
        ),
        ("context.max_tokens", Count(request.context.max_tokens)),
    ]
}

/// Gives an option the value that it has in another request.
pub(super) fn take_back(option: &str, from: &RetrieveRequest, to: &mut RetrieveRequest) {
    match option {
        "also" => to.also.clone_from(&from.also),
        "syntax" => to.syntax = from.syntax,
        "mode" => to.mode = from.mode,
        "fusion.weights.lexical" => to.fusion.weights.lexical = from.fusion.weights.lexical,
        "fusion.weights.dense" => to.fusion.weights.dense = from.fusion.weights.dense,
        "thresholds.lexical" => to.thresholds.lexical = from.thresholds.lexical,
        "thresholds.dense" => to.thresholds.dense = from.thresholds.dense,
        "thresholds.rerank" => to.thresholds.rerank = from.thresholds.rerank,
        "candidates.lexical" => to.candidates.lexical = from.candidates.lexical,
        "candidates.dense" => to.candidates.dense = from.candidates.dense,
        "rerank.candidates" => to.rerank.candidates = from.rerank.candidates,
        "rerank.enabled" => to.rerank.enabled = from.rerank.enabled,
        "distinct" => to.distinct = from.distinct,
        "top_k" => to.top_k = from.top_k,
        "context.max_similarity" => to.context.max_similarity = from.context.max_similarity,
        "context.max_tokens" => to.context.max_tokens = from.context.max_tokens,
        // Conditions of the filter are dropped because they exclude the document: they stay so.
        filter => debug_assert!(filter.starts_with("filter."), "{filter}"),
    }
}

/// How large a change is, among changes of equally many options: how many times as much a count asks
/// for; for any other option as if it were four times as much.
pub(super) fn cost(changes: &[OptionChange]) -> f64 {
    let costs = changes
        .iter()
        .map(|change| match (&change.from, &change.to) {
            (OptionValue::Count(from), OptionValue::Count(to)) => {
                (*to as f64 / (*from).max(1) as f64).ln()
            }
            _ => 4.0_f64.ln(),
        });
    costs.sum()
}

/// Searches both legs where one was asked.
pub(super) fn ask_both(request: &mut RetrieveRequest) -> bool {
    let is_one = request.mode != Mode::Hybrid;
    request.mode = Mode::Hybrid;
    let weights = &mut request.fusion.weights;
    if is_one && weights.lexical == 0.0 && weights.dense == 0.0 {
        weights.lexical = 1.0;
        weights.dense = 1.0;
    }
    is_one
}

/// Gives legs without a vote the usual one.
pub(super) fn give_votes(request: &mut RetrieveRequest) -> bool {
    let weights = &mut request.fusion.weights;
    let mut gave = false;
    for weight in [&mut weights.lexical, &mut weights.dense] {
        if *weight == 0.0 && request.mode == Mode::Hybrid {
            *weight = 1.0;
            gave = true;
        }
    }
    gave
}

/// Leaves out phrasings that are not among those that find the document; `false` where none does, or all
/// do.
pub(super) fn keep_phrasings(
    also: &mut Vec<String>,
    finding: &BTreeMap<usize, StageScore>,
) -> bool {
    let before = also.len();
    if !finding.is_empty() {
        let mut numbers = 1..;
        also.retain(|_| {
            numbers
                .next()
                .is_some_and(|number| finding.contains_key(&number))
        });
    }
    also.len() < before
}

/// Puts a filter in the place of a request's.
pub(super) fn replace_filter(request: &mut RetrieveRequest, rest: Option<&braid_core::Filter>) {
    request.filter = rest.map(|rest| Arc::new(rest.clone()));
}

/// A threshold that `score` passes: at most it, and short to write.
pub(super) fn threshold_for(score: f64) -> f64 {
    const STEPS: f64 = 1e4;
    (score * STEPS).floor() / STEPS
}

/// Lets hits that are alike into a context; `false` where they are in it.
pub(super) fn allow_alike(context: &mut ContextOptions) -> bool {
    let most = context.max_similarity.filter(|most| *most < 1.0);
    context.max_similarity = most.map(|_| 1.0).or(context.max_similarity);
    most.is_some()
}

/// Raises a number of candidates to a depth; `false` where it is deep enough or too deep.
pub(super) fn deepen(candidates: &mut usize, top_k: usize, depth: usize) -> bool {
    let is_deeper = depth > (*candidates).max(top_k) && depth <= MAX_CANDIDATES;
    if is_deeper {
        *candidates = depth;
    }
    is_deeper
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Syntax;

    #[test]
    fn every_option_that_a_remedy_changes_is_taken_back() {
        let collection = braid_core::CollectionName::new("c").unwrap();
        let from = RetrieveRequest::new("fox", collection);
        let mut to = from.clone();
        to.also = vec!["vixen".to_owned()];
        to.syntax = Syntax::Off;
        to.mode = Mode::Dense;
        to.fusion.weights.lexical = 3.0;
        to.fusion.weights.dense = 3.0;
        to.thresholds.lexical = Some(0.5);
        to.thresholds.dense = Some(0.5);
        to.thresholds.rerank = Some(0.5);
        to.candidates.lexical += 1;
        to.candidates.dense += 1;
        to.rerank.candidates += 1;
        to.rerank.enabled = !to.rerank.enabled;
        to.distinct = !to.distinct;
        to.top_k += 1;
        to.context.max_similarity = None;
        to.context.max_tokens += 1;
        for (option, value) in values(&to) {
            let before = values(&from).into_iter().find(|(name, _)| *name == option);
            assert_ne!(before.map(|(_, value)| value), Some(value), "{option}");
            take_back(option, &from, &mut to);
        }
        assert_eq!(to, from);
    }

    #[test]
    fn a_threshold_for_a_score_lets_it_pass() {
        for score in [0.123_456, -0.123_456, 12.0, 0.3, 1e-9] {
            let threshold = threshold_for(score);
            assert!(threshold <= score && score - threshold < 1.1e-4, "{score}");
        }
    }
}
