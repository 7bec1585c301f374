//! Braid's filters as Qdrant's.
//!
//! A translation means what [`Filter::matches`] means, or less strictly the same where conditions had
//! to be left out because Qdrant has no index for them. It lets pass whatever the filter does; the
//! slots of the selection say what does not belong.

use std::collections::BTreeSet;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::{
    self as wire, FieldCondition, Match, RepeatedIntegers, RepeatedStrings,
};
use braid_core::{Condition, Filter, MetadataValue, Predicate, Range, SlotSet};

use super::payload::{FieldKind, KEYS, SLOT, positive_zero};

/// No slot: a condition that nothing meets.
const NO_SLOT: i64 = -1;

/// Translates `filter`, without conditions on fields that `indexed` lacks; with all of them where it
/// is `None`.
pub(super) fn translate(filter: &Filter, indexed: Option<&BTreeSet<String>>) -> wire::Filter {
    let translated = |conditions: &[Condition]| -> Vec<Option<wire::Condition>> {
        let each = conditions.iter();
        each.map(|condition| translate_condition(condition, indexed))
            .collect()
    };
    // A choice of which one part is not known lets everything pass.
    let should: Option<Vec<_>> = translated(&filter.should).into_iter().collect();
    wire::Filter {
        must: translated(&filter.must).into_iter().flatten().collect(),
        should: should.unwrap_or_default(),
        must_not: translated(&filter.must_not).into_iter().flatten().collect(),
        min_should: None,
    }
}

/// `filter` for slots from `slots`' least to its greatest.
pub(super) fn within(filter: Option<wire::Filter>, slots: &SlotSet) -> wire::Filter {
    let mut filter = filter.unwrap_or_default();
    let range = wire::Range {
        gte: slots.min().map(f64::from),
        lte: slots.max().map(f64::from),
        ..wire::Range::default()
    };
    filter.must.push(on_range(SLOT, range));
    filter
}

/// Exactly these slots.
pub(super) fn any_of(slots: &[u32]) -> wire::Filter {
    let integers = slots.iter().map(|slot| i64::from(*slot)).collect();
    all_of(on_match(
        SLOT,
        MatchValue::Integers(RepeatedIntegers { integers }),
    ))
}

fn translate_condition(
    condition: &Condition,
    indexed: Option<&BTreeSet<String>>,
) -> Option<wire::Condition> {
    let key = condition.key.as_str();
    let is_indexed = |kind: FieldKind| indexed.is_none_or(|names| names.contains(&kind.name(key)));
    match &condition.predicate {
        Predicate::Match(value) => one_of(key, std::slice::from_ref(value), is_indexed),
        Predicate::Any(values) => one_of(key, values, is_indexed),
        Predicate::Range(range) => {
            let number = FieldKind::Number;
            is_indexed(number).then(|| on_range(&number.name(key), bounds(*range)))
        }
        Predicate::Exists(wanted) => Some(exists(key, *wanted)),
    }
}

/// That a field has one of `values`; `None` where a field that it takes has no index.
fn one_of(
    key: &str,
    values: &[MetadataValue],
    is_indexed: impl Fn(FieldKind) -> bool,
) -> Option<wire::Condition> {
    let mut texts = Vec::new();
    let mut choices = Vec::new();
    for value in values {
        match value {
            MetadataValue::String(text) => texts.push(text.clone()),
            MetadataValue::Number(number) => {
                if !is_indexed(FieldKind::Number) {
                    return None;
                }
                choices.push(on_range(&FieldKind::Number.name(key), exactly(*number)));
            }
            MetadataValue::Bool(flag) => {
                if !is_indexed(FieldKind::Flag) {
                    return None;
                }
                let name = FieldKind::Flag.name(key);
                choices.push(on_match(&name, MatchValue::Boolean(*flag)));
            }
            // A filter that was checked asks for none.
            MetadataValue::Strings(_) => return None,
        }
    }
    if !texts.is_empty() {
        if !is_indexed(FieldKind::Text) {
            return None;
        }
        let texts = RepeatedStrings { strings: texts };
        let name = FieldKind::Text.name(key);
        choices.push(on_match(&name, MatchValue::Keywords(texts)));
    }
    Some(match choices.len() {
        0 => on_match(SLOT, MatchValue::Integer(NO_SLOT)),
        1 => choices.remove(0),
        _ => nested(wire::Filter {
            should: choices,
            ..wire::Filter::default()
        }),
    })
}

fn exists(key: &str, wanted: bool) -> wire::Condition {
    let there = on_match(KEYS, MatchValue::Keyword(key.to_owned()));
    if wanted {
        return there;
    }
    nested(wire::Filter {
        must_not: vec![there],
        ..wire::Filter::default()
    })
}

fn exactly(number: f64) -> wire::Range {
    let number = Some(positive_zero(number));
    wire::Range {
        gte: number,
        lte: number,
        ..wire::Range::default()
    }
}

fn bounds(range: Range) -> wire::Range {
    let bound = |bound: Option<f64>| bound.map(positive_zero);
    wire::Range {
        lt: bound(range.lt),
        gt: bound(range.gt),
        gte: bound(range.gte),
        lte: bound(range.lte),
    }
}

fn on_match(name: &str, value: MatchValue) -> wire::Condition {
    on_field(FieldCondition {
        key: name.to_owned(),
        r#match: Some(Match {
            match_value: Some(value),
        }),
        ..FieldCondition::default()
    })
}

fn on_range(name: &str, range: wire::Range) -> wire::Condition {
    on_field(FieldCondition {
        key: name.to_owned(),
        range: Some(range),
        ..FieldCondition::default()
    })
}

fn on_field(field: FieldCondition) -> wire::Condition {
    wire::Condition {
        condition_one_of: Some(ConditionOneOf::Field(field)),
    }
}

fn nested(filter: wire::Filter) -> wire::Condition {
    wire::Condition {
        condition_one_of: Some(ConditionOneOf::Filter(filter)),
    }
}

fn all_of(condition: wire::Condition) -> wire::Filter {
    wire::Filter {
        must: vec![condition],
        ..wire::Filter::default()
    }
}
