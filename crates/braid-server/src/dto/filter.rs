//! Metadata filters on the wire.

use braid_core::{Condition, Filter, MetadataValue, Predicate, Range};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::metadata::MetadataValueBody;

/// All of `must`, none of `must_not`, and at least one of `should` where there are any.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    /// Conditions that must all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must: Vec<ConditionBody>,
    /// Conditions of which one must hold, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub should: Vec<ConditionBody>,
    /// Conditions none of which may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_not: Vec<ConditionBody>,
}

/// A condition on one metadata field: its key and exactly one of `match`, `any`, `range`, `exists`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "LooseCondition", into = "LooseCondition")]
#[schema(as = Condition)]
pub struct ConditionBody {
    /// The field.
    pub key: String,
    /// What must hold.
    #[serde(flatten)]
    pub predicate: PredicateBody,
}

/// What must hold of a field.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredicateBody {
    /// Equal to this, or an array that has it.
    Match(MetadataValueBody),
    /// Equal to one of these, or an array that has one of them.
    Any(Vec<MetadataValueBody>),
    /// A number within these bounds.
    Range(RangeBody),
    /// Whether the field is there.
    Exists(bool),
}

/// Bounds on a number; at least one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeBody {
    /// Greater than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gt: Option<f64>,
    /// Greater than or equal to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gte: Option<f64>,
    /// Less than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lt: Option<f64>,
    /// Less than or equal to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lte: Option<f64>,
}

/// What is accepted before "exactly one" is checked: flattened enums would let unknown and extra
/// fields pass.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LooseCondition {
    key: String,
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    equals: Option<MetadataValueBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any: Option<Vec<MetadataValueBody>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<RangeBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
}

impl TryFrom<LooseCondition> for ConditionBody {
    type Error = String;

    fn try_from(loose: LooseCondition) -> Result<Self, String> {
        let LooseCondition {
            key,
            equals,
            any,
            range,
            exists,
        } = loose;
        let mut given = [
            equals.map(PredicateBody::Match),
            any.map(PredicateBody::Any),
            range.map(PredicateBody::Range),
            exists.map(PredicateBody::Exists),
        ]
        .into_iter()
        .flatten();
        match (given.next(), given.next()) {
            (Some(predicate), None) => Ok(Self { key, predicate }),
            _ => Err("a condition takes exactly one of match, any, range, exists".to_owned()),
        }
    }
}

impl From<ConditionBody> for LooseCondition {
    fn from(condition: ConditionBody) -> Self {
        let mut loose = Self {
            key: condition.key,
            ..Self::default()
        };
        match condition.predicate {
            PredicateBody::Match(value) => loose.equals = Some(value),
            PredicateBody::Any(values) => loose.any = Some(values),
            PredicateBody::Range(range) => loose.range = Some(range),
            PredicateBody::Exists(wanted) => loose.exists = Some(wanted),
        }
        loose
    }
}

impl From<FilterBody> for Filter {
    fn from(body: FilterBody) -> Self {
        let conditions =
            |bodies: Vec<ConditionBody>| bodies.into_iter().map(Condition::from).collect();
        Self {
            must: conditions(body.must),
            should: conditions(body.should),
            must_not: conditions(body.must_not),
        }
    }
}

impl From<ConditionBody> for Condition {
    fn from(body: ConditionBody) -> Self {
        let values =
            |bodies: Vec<MetadataValueBody>| bodies.into_iter().map(MetadataValue::from).collect();
        let predicate = match body.predicate {
            PredicateBody::Match(value) => Predicate::Match(value.into()),
            PredicateBody::Any(bodies) => Predicate::Any(values(bodies)),
            PredicateBody::Range(RangeBody { gt, gte, lt, lte }) => {
                Predicate::Range(Range { gt, gte, lt, lte })
            }
            PredicateBody::Exists(wanted) => Predicate::Exists(wanted),
        };
        Self {
            key: body.key,
            predicate,
        }
    }
}
