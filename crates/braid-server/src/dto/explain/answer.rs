//! What became of a document.

use braid_engine::query::{
    Cut, Explanation, LegOutcome as Outcome, LegTrace, OptionChange, OptionValue, PhrasingTrace,
    Remedy, RerankTrace,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::dto::filter::FilterBody;
use crate::dto::retrieve::{DegradedBody, ScoreBody};

/// Where a document was lost for a retrieval, and what would return it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ExplainAnswer {
    /// Names this request in logs.
    pub request_id: String,
    /// The document asked about.
    pub document_id: String,
    /// Its chunk that came furthest; `null` where none is retrievable.
    pub chunk_id: Option<String>,
    /// Its rank among the hits; `null` where it is none.
    pub rank: Option<usize>,
    /// Whether it stands in the context; `null` where it is no hit, or no context was asked for.
    pub in_context: Option<bool>,
    /// The first stage that cut it; `null` where it was returned.
    pub cut: Option<CutBody>,
    /// Conditions of the filter that exclude it, as JSON pointers into the request.
    pub failed_conditions: Vec<String>,
    /// What each leg made of it, lexical first; empty where it is not retrievable. Of several phrasings,
    /// each leg is that of the one with which the document came furthest.
    pub legs: Vec<LegBody>,
    /// What each of several phrasings made of it; absent where there is one. A phrasing that repeats
    /// another is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phrasings: Vec<PhrasingTraceBody>,
    /// Its place in the list that both legs, or several phrasings, make, where it has one.
    pub fused: Option<ScoreBody>,
    /// What the re-ranker made of it, where it was scored.
    pub rerank: Option<RerankTraceBody>,
    /// Changes of the request that return it, the smallest first. Each was tried.
    pub remedies: Vec<RemedyBody>,
    /// Acknowledged writes that are not reflected.
    pub lag: u64,
    /// Stages that did not do their full work.
    pub degraded: Vec<DegradedBody>,
}

/// The first stage that cut a document.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CutBody {
    /// The stage.
    pub stage: CutStage,
    /// The same for a person.
    pub detail: String,
}

/// A stage that can cut a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CutStage {
    /// The collection has no such document.
    NotFound,
    /// It is known and not retrievable.
    NotIndexed,
    /// The filter excludes it.
    Filtered,
    /// No passage of it meets the conditions of the query's operators.
    ConditionsUnmet,
    /// No leg that was asked ranks it: none of the query's terms is in it.
    LexicalMiss,
    /// The dense leg alone was asked and does not rank it to the depth explained.
    DenseMiss,
    /// Each leg that ranks it does so below the number of its candidates.
    BelowDepth,
    /// Fused, it stands beyond what is returned, and re-ranking did not bring it up.
    FusedOut,
    /// The re-ranker put others before it.
    Demoted,
    /// Another passage that says the same stands for it.
    Deduplicated,
    /// It is below a threshold.
    BelowThreshold,
    /// It is a hit, and not in the context: a hit before it says nearly the same.
    NearDuplicate,
    /// It is a hit, and the context had no room for it.
    Budget,
}

/// What a leg made of a document: of its chunk that the leg ranks best.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct LegBody {
    /// `lexical` or `dense`.
    pub leg: String,
    /// Whether the retrieval asks it.
    pub asked: bool,
    /// What became of the document.
    pub outcome: LegOutcome,
    /// 1-based rank, to the depth explained; where the filter excludes the document, the one that it
    /// would have.
    pub rank: Option<usize>,
    /// The leg's score.
    pub score: Option<f64>,
    /// The leg's candidates: at least as many as hits are to be returned.
    pub candidates: usize,
}

/// What one of several phrasings made of a document.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct PhrasingTraceBody {
    /// 0 is `query`, 1 the first of `also`.
    pub phrasing: usize,
    /// Conditions of its operators, and of those of `query`, that exclude the document, written as in a
    /// query; the legs are those without them.
    pub failed_conditions: Vec<String>,
    /// What each leg made of it, lexical first.
    pub legs: Vec<LegBody>,
    /// Its best place in the list that this phrasing makes alone; `null` where it is not in it.
    pub place: Option<ScoreBody>,
}

/// What became of a document in a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegOutcome {
    /// Among the candidates.
    Found,
    /// Among them, and below the leg's threshold.
    BelowThreshold,
    /// Ranked, below the number of candidates.
    BelowDepth,
    /// Not ranked to the depth explained.
    Miss,
    /// The leg failed.
    Failed,
}

/// The re-ranker's view of a document.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct RerankTraceBody {
    /// 1-based rank after re-ranking, before passages that say the same were left out.
    pub rank: usize,
    /// The raw score.
    pub score: f64,
    /// The calibrated probability that it is relevant, where the model has one.
    pub relevance: Option<f64>,
}

/// A change of the request that returns the document.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RemedyBody {
    /// The options that change.
    pub changes: Vec<ChangeBody>,
    /// The same as a JSON merge patch (RFC 7396) of the retrieval.
    #[schema(value_type = Object, additional_properties = true)]
    pub patch: Value,
    /// The document's rank then.
    pub rank: usize,
    /// The changes for a person.
    pub detail: String,
}

/// One option changed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChangeBody {
    /// Its name, with dots: `candidates.dense`, `filter.must.0`.
    pub option: String,
    /// What it was; `null` where it was not set.
    pub from: Value,
    /// What it is; `null` where it is taken out.
    pub to: Value,
}

impl ExplainAnswer {
    /// The wire form of an explanation for a retrieval with `filter`.
    pub fn new(
        request_id: String,
        document_id: String,
        filter: Option<&FilterBody>,
        explanation: Explanation,
    ) -> Self {
        let cut = explanation.cut.as_ref();
        let pointers = explanation.failed_conditions.iter();
        Self {
            request_id,
            document_id,
            chunk_id: explanation.chunk.map(|chunk| chunk.to_string()),
            rank: explanation.rank,
            in_context: explanation.in_context,
            cut: cut.map(CutBody::from),
            failed_conditions: pointers
                .map(|pointer| format!("/filter{pointer}"))
                .collect(),
            legs: explanation.legs.iter().map(LegBody::from).collect(),
            phrasings: explanation
                .phrasings
                .iter()
                .map(PhrasingTraceBody::from)
                .collect(),
            fused: explanation.fused.map(ScoreBody::from),
            rerank: explanation.rerank.map(RerankTraceBody::from),
            remedies: explanation
                .remedies
                .iter()
                .map(|remedy| RemedyBody::new(remedy, filter))
                .collect(),
            lag: explanation.lag,
            degraded: explanation
                .degraded
                .into_iter()
                .map(DegradedBody::from)
                .collect(),
        }
    }
}

impl RemedyBody {
    fn new(remedy: &Remedy, filter: Option<&FilterBody>) -> Self {
        let filter = filter.map_or(Value::Null, |filter| json!(filter));
        let changes: Vec<ChangeBody> = remedy
            .changes
            .iter()
            .map(|change| ChangeBody::new(change, &filter))
            .collect();
        let told: Vec<String> = changes.iter().map(ChangeBody::detail).collect();
        Self {
            patch: patch(&changes, &filter),
            rank: remedy.rank,
            detail: told.join(", "),
            changes,
        }
    }
}

impl ChangeBody {
    fn new(change: &OptionChange, filter: &Value) -> Self {
        let condition = change.option.strip_prefix("filter.");
        let from = match condition {
            Some(path) => {
                let pointer = format!("/{}", path.replace('.', "/"));
                filter.pointer(&pointer).cloned().unwrap_or_default()
            }
            None => value(&change.from),
        };
        Self {
            option: change.option.clone(),
            from,
            to: value(&change.to),
        }
    }

    fn detail(&self) -> String {
        let Self { option, from, to } = self;
        if to.is_null() {
            return format!("{option} dropped ({from})");
        }
        format!("{option} {to} instead of {from}")
    }
}

fn value(value: &OptionValue) -> Value {
    match value {
        OptionValue::Absent | OptionValue::Set => Value::Null,
        OptionValue::Count(count) => json!(count),
        OptionValue::Number(number) => json!(number),
        OptionValue::Switch(on) => json!(on),
        OptionValue::Mode(mode) => json!(mode.as_str()),
        OptionValue::Named(name) => json!(name),
        OptionValue::Texts(texts) => json!(texts),
    }
}

/// The changes as a merge patch: nested objects, arrays of conditions without those dropped.
fn patch(changes: &[ChangeBody], filter: &Value) -> Value {
    let mut patch = Map::new();
    for change in changes {
        if !change.option.starts_with("filter.") {
            insert(&mut patch, &change.option, change.to.clone());
        }
    }
    for group in ["must", "should", "must_not"] {
        let prefix = format!("filter.{group}");
        let dropped = |at: usize| {
            let named = |change: &ChangeBody| {
                change.option == prefix || change.option == format!("{prefix}.{at}")
            };
            changes.iter().any(named)
        };
        let conditions = filter[group].as_array().into_iter().flatten();
        let kept = conditions
            .clone()
            .enumerate()
            .filter(|(at, _)| !dropped(*at));
        let kept: Vec<&Value> = kept.map(|(_, condition)| condition).collect();
        if kept.len() < conditions.count() {
            insert(&mut patch, &prefix, json!(kept));
        }
    }
    Value::Object(patch)
}

/// Sets what the dotted `path` names.
fn insert(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

impl From<&Cut> for CutBody {
    fn from(cut: &Cut) -> Self {
        let stage = match cut {
            Cut::NotFound => CutStage::NotFound,
            Cut::NotIndexed(_) => CutStage::NotIndexed,
            Cut::Filtered => CutStage::Filtered,
            Cut::ConditionsUnmet(_) => CutStage::ConditionsUnmet,
            Cut::LexicalMiss => CutStage::LexicalMiss,
            Cut::DenseMiss => CutStage::DenseMiss,
            Cut::BelowDepth => CutStage::BelowDepth,
            Cut::FusedOut => CutStage::FusedOut,
            Cut::Demoted => CutStage::Demoted,
            Cut::Deduplicated { .. } => CutStage::Deduplicated,
            Cut::BelowThreshold(_) => CutStage::BelowThreshold,
            Cut::NearDuplicate => CutStage::NearDuplicate,
            Cut::Budget => CutStage::Budget,
        };
        Self {
            stage,
            detail: cut.detail(),
        }
    }
}

impl From<&LegTrace> for LegBody {
    fn from(leg: &LegTrace) -> Self {
        let outcome = match leg.outcome {
            Outcome::Found => LegOutcome::Found,
            Outcome::BelowThreshold => LegOutcome::BelowThreshold,
            Outcome::BelowDepth => LegOutcome::BelowDepth,
            Outcome::Miss => LegOutcome::Miss,
            Outcome::Failed => LegOutcome::Failed,
        };
        Self {
            leg: leg.leg.as_str().to_owned(),
            asked: leg.asked,
            outcome,
            rank: leg.at.map(|at| at.rank),
            score: leg.at.map(|at| at.score),
            candidates: leg.candidates,
        }
    }
}

impl From<&PhrasingTrace> for PhrasingTraceBody {
    fn from(trace: &PhrasingTrace) -> Self {
        Self {
            phrasing: trace.phrasing,
            failed_conditions: trace.failed_conditions.clone(),
            legs: trace.legs.iter().map(LegBody::from).collect(),
            place: trace.place.map(ScoreBody::from),
        }
    }
}

impl From<RerankTrace> for RerankTraceBody {
    fn from(trace: RerankTrace) -> Self {
        Self {
            rank: trace.at.rank,
            score: trace.at.score,
            relevance: trace.relevance,
        }
    }
}
