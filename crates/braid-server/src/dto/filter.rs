//! Metadata filters on the wire.

use braid_core::{Condition, Filter, Predicate, Range};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::metadata::MetadataScalarBody;
use super::object::{Object, optional_object};

/// All of `must`, none of `must_not`, and at least one of `should` where there are any. At most 64
/// conditions in all.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Filter)]
pub struct FilterBody {
    /// Conditions that must all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub must: Vec<ConditionBody>,
    /// Conditions of which one must hold, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub should: Vec<ConditionBody>,
    /// Conditions none of which may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub must_not: Vec<ConditionBody>,
}

/// A condition on one metadata field: its key and exactly one of `match`, `any`, `range`, `exists`. The key `language` is the
/// detected language of documents that have no metadata field of that name.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Condition)]
pub enum ConditionBody {
    /// On equality.
    Match(MatchCondition),
    /// On membership.
    Any(AnyCondition),
    /// On a number's size.
    Range(RangeCondition),
    /// On presence.
    Exists(ExistsCondition),
}

/// The field equals a value, or is an array that has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchCondition {
    /// The field.
    #[schema(min_length = 1)]
    pub key: String,
    /// The value.
    #[serde(rename = "match")]
    pub equals: MetadataScalarBody,
}

/// The field equals one of several values, or is an array that has one of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnyCondition {
    /// The field.
    #[schema(min_length = 1)]
    pub key: String,
    /// The values.
    #[schema(max_items = 256)]
    pub any: Vec<MetadataScalarBody>,
}

/// The field is a number within bounds.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeCondition {
    /// The field.
    #[schema(min_length = 1)]
    pub key: String,
    /// The bounds.
    pub range: RangeBody,
}

/// The field is there, or is not.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistsCondition {
    /// The field.
    #[schema(min_length = 1)]
    pub key: String,
    /// Whether it is there.
    pub exists: bool,
}

/// Bounds on a number; at least one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Range)]
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

/// What is read before "exactly one" is checked: a derived untagged enum could not say what is
/// wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LooseCondition {
    key: String,
    #[serde(rename = "match", default)]
    equals: Option<MetadataScalarBody>,
    #[serde(default)]
    any: Option<Vec<MetadataScalarBody>>,
    #[serde(default, deserialize_with = "optional_object")]
    range: Option<RangeBody>,
    #[serde(default)]
    exists: Option<bool>,
}

impl<'de> Deserialize<'de> for ConditionBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(loose) = Object::<LooseCondition>::deserialize(deserializer)?;
        loose.condition().ok_or_else(|| {
            de::Error::custom("a condition takes exactly one of match, any, range, exists")
        })
    }
}

impl LooseCondition {
    fn condition(self) -> Option<ConditionBody> {
        let key = self.key;
        match (self.equals, self.any, self.range, self.exists) {
            (Some(equals), None, None, None) => {
                Some(ConditionBody::Match(MatchCondition { key, equals }))
            }
            (None, Some(any), None, None) => Some(ConditionBody::Any(AnyCondition { key, any })),
            (None, None, Some(range), None) => {
                Some(ConditionBody::Range(RangeCondition { key, range }))
            }
            (None, None, None, Some(exists)) => {
                Some(ConditionBody::Exists(ExistsCondition { key, exists }))
            }
            _ => None,
        }
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
        let (key, predicate) = match body {
            ConditionBody::Match(MatchCondition { key, equals }) => {
                (key, Predicate::Match(equals.into()))
            }
            ConditionBody::Any(AnyCondition { key, any }) => {
                let values = any.into_iter().map(Into::into).collect();
                (key, Predicate::Any(values))
            }
            ConditionBody::Range(RangeCondition { key, range }) => {
                let RangeBody { gt, gte, lt, lte } = range;
                (key, Predicate::Range(Range { gt, gte, lt, lte }))
            }
            ConditionBody::Exists(ExistsCondition { key, exists }) => {
                (key, Predicate::Exists(exists))
            }
        };
        Self { key, predicate }
    }
}
