//! Conditions on fields of a payload.

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::{Condition, FieldCondition, Filter, Match, Range, RepeatedStrings};

/// Points that meet all of these.
pub(crate) fn all(must: Vec<Condition>) -> Filter {
    Filter {
        must,
        ..Filter::default()
    }
}

/// A text field that is this.
pub(crate) fn is_text(field: &str, value: impl Into<String>) -> Condition {
    on_match(field, MatchValue::Keyword(value.into()))
}

/// A text field that is one of these.
pub(crate) fn any_text(field: &str, strings: Vec<String>) -> Condition {
    on_match(field, MatchValue::Keywords(RepeatedStrings { strings }))
}

/// An integer field that is this.
pub(crate) fn is_integer(field: &str, value: i64) -> Condition {
    on_match(field, MatchValue::Integer(value))
}

/// A field that is true, or false.
pub(crate) fn is_flag(field: &str, value: bool) -> Condition {
    on_match(field, MatchValue::Boolean(value))
}

/// An integer field that is at most this.
pub(crate) fn at_most(field: &str, value: i64) -> Condition {
    on_range(
        field,
        Range {
            lte: Some(value as f64),
            ..Range::default()
        },
    )
}

/// An integer field that is less than this.
pub(crate) fn less_than(field: &str, value: i64) -> Condition {
    on_range(
        field,
        Range {
            lt: Some(value as f64),
            ..Range::default()
        },
    )
}

/// An integer field that is more than this.
pub(crate) fn more_than(field: &str, value: i64) -> Condition {
    on_range(
        field,
        Range {
            gt: Some(value as f64),
            ..Range::default()
        },
    )
}

fn on_match(field: &str, value: MatchValue) -> Condition {
    on_field(FieldCondition {
        key: field.to_owned(),
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..FieldCondition::default()
    })
}

fn on_range(field: &str, range: Range) -> Condition {
    on_field(FieldCondition {
        key: field.to_owned(),
        range: Some(range),
        ..FieldCondition::default()
    })
}

fn on_field(field: FieldCondition) -> Condition {
    Condition {
        condition_one_of: Some(ConditionOneOf::Field(field)),
    }
}
