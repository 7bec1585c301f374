//! The re-ranking stage: which hits are scored, how the scores order them, and what is said when
//! the model falls short.

use std::time::Duration;

use braid_core::{Language, LanguageSetting, Reranker};

use crate::blend::{Placed, blend_window};
use crate::by_scores::{by_scores, deviations};
use crate::phrasings::by_phrasings;
use crate::request::{FusionMethod, LegWeights, RerankOptions};
use crate::response::{Degradation, RerankSummary, RetrievedHit, ScoreStage, StageScore};
use crate::scoring::{Shortfall, WindowScores, passage_text, score_passages};

/// What the stage did.
#[derive(Debug)]
pub(crate) struct Reranked {
    /// Every hit, in final order, ranked anew.
    pub(crate) hits: Vec<RetrievedHit>,
    /// How much of the window was scored.
    pub(crate) summary: RerankSummary,
    /// Why not all of it, if so.
    pub(crate) shortfall: Option<Shortfall>,
}

impl Reranked {
    /// The shortfall as the response says it.
    pub(crate) fn degradation(&self) -> Option<Degradation> {
        let RerankSummary { scored, of } = self.summary;
        let shortfall = self.shortfall.as_ref();
        shortfall.map(|shortfall| Degradation {
            stage: "rerank",
            reason: shortfall.describe(scored, of),
        })
    }
}

/// What to re-rank for, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RerankPlan<'a> {
    pub(crate) query: &'a str,
    pub(crate) options: &'a RerankOptions,
    /// How the hits were fused: their fused scores tell distances, or ranks alone.
    pub(crate) method: FusionMethod,
    /// The weights that they were fused with.
    pub(crate) weights: LegWeights,
    /// What a hit scores in a lexical leg that did not find it, where that is known.
    pub(crate) lexical_floor: Option<f64>,
    /// The same for each of several phrasings; empty where there is one.
    pub(crate) phrasings: &'a [(usize, Option<f64>)],
    /// The collection's: a model that does not know it gets no weight unless asked for.
    pub(crate) language: LanguageSetting,
}

/// Re-ranks the head of `hits`, which are in base order: the first `options.candidates` are scored
/// and ordered by their blended score, the rest follows in base order. The deadline starts now.
pub(crate) async fn rerank(
    reranker: Option<&dyn Reranker>,
    plan: RerankPlan<'_>,
    mut hits: Vec<RetrievedHit>,
) -> Reranked {
    let RerankPlan { query, options, .. } = plan;
    let rest = hits.split_off(options.candidates.min(hits.len()));
    let of = hits.len();
    let Some(reranker) = reranker else {
        hits.extend(rest);
        return Reranked {
            hits,
            summary: RerankSummary { scored: 0, of },
            shortfall: Some(Shortfall::NotLoaded),
        };
    };
    let texts = hits.iter().map(|hit| passage_text(&hit.passage.record));
    let texts: Vec<String> = texts.collect();
    let languages = hits.iter().map(|hit| hit.passage.record.language);
    let languages: Vec<Option<Language>> = languages.collect();
    let deadline = options.deadline_ms.map(Duration::from_millis);
    let scores = score_passages(reranker, query, &texts, deadline).await;
    let language = language_of(plan.language, languages);
    let blend = options.blend;
    let blend = blend.unwrap_or_else(|| reranker.recommended_blend(language));
    let base = base_scores(&hits, &plan);
    let mut ordered = order(hits, &blend_window(&base, &scores.raw, blend), &scores);
    if let Some(calibration) = reranker.calibration(language) {
        for hit in &mut ordered {
            let raw = hit.scores.rerank.map(|at| at.score);
            hit.relevance = raw.map(|raw| calibration.relevance(raw));
        }
    }
    ordered.extend(rest);
    for (hit, rank) in ordered.iter_mut().zip(1..) {
        hit.rank = rank;
    }
    let scored = scores.scored();
    Reranked {
        hits: ordered,
        summary: RerankSummary { scored, of },
        shortfall: scores.shortfall,
    }
}

/// What each hit of a window has without the model, in standard deviations from the mean over the
/// window: the fused score, so that a model without a say leaves the fused order as it is. Where
/// that is made of ranks, which say nothing of distances, where one leg alone was asked, and where
/// lists of several phrasings were fused, it is made of the legs' scores.
fn base_scores(hits: &[RetrievedHit], plan: &RerankPlan<'_>) -> Vec<f64> {
    if !plan.phrasings.is_empty() {
        return by_phrasings(hits, plan.weights, plan.phrasings);
    }
    let scores = hits.iter().map(|hit| hit.scores);
    let fused: Option<Vec<f64>> = scores
        .clone()
        .map(|own| own.fused.map(|at| at.score))
        .collect();
    match (plan.method, fused) {
        (FusionMethod::MinMax | FusionMethod::Dbsf, Some(fused)) => deviations(fused),
        (FusionMethod::Rrf, _) | (_, None) => by_scores(
            &scores.collect::<Vec<_>>(),
            plan.weights,
            plan.lexical_floor,
        ),
    }
}

/// The language of most passages of a window, in which `detected` was found; the better placed
/// where several tie.
fn language_of(setting: LanguageSetting, detected: Vec<Option<Language>>) -> Language {
    let languages = detected.into_iter().map(|one| setting.of_document(one));
    let languages: Vec<Language> = languages.collect();
    let count = |wanted: &Language| languages.iter().filter(|one| *one == wanted).count();
    // Of equal ones the last is taken.
    let most = languages.iter().rev().max_by_key(|one| count(one));
    most.copied().unwrap_or(setting.of_document(None))
}

/// Puts the window in blended order and notes raw scores and final ranks.
fn order(hits: Vec<RetrievedHit>, placed: &[Placed], scores: &WindowScores) -> Vec<RetrievedHit> {
    let mut hits: Vec<Option<RetrievedHit>> = hits.into_iter().map(Some).collect();
    let ordered = placed.iter().zip(1..).filter_map(|(placed, rank)| {
        let mut hit = hits[placed.index].take()?;
        note(&mut hit, placed, scores.raw[placed.index], rank);
        Some(hit)
    });
    ordered.collect()
}

fn note(hit: &mut RetrievedHit, placed: &Placed, raw: Option<f64>, rank: usize) {
    if let (Some(blended), Some(raw)) = (placed.blended, raw) {
        hit.score = blended;
        hit.score_stage = ScoreStage::Rerank;
        hit.scores.rerank = Some(StageScore { rank, score: raw });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_passages_decide_where_languages_are_detected() {
        let (french, thai) = (Some(Language::French), Some(Language::Thai));
        let auto = |detected: &[_]| language_of(LanguageSetting::Auto, detected.to_vec());
        assert_eq!(auto(&[]), Language::English);
        assert_eq!(auto(&[None]), Language::English);
        assert_eq!(auto(&[french, thai, thai]), Language::Thai);
        assert_eq!(auto(&[french, thai, thai, french]), Language::French);
        assert_eq!(auto(&[french, None, None]), Language::English);
        let fixed = LanguageSetting::Fixed(Language::German);
        assert_eq!(language_of(fixed, vec![french]), Language::German);
    }
}
