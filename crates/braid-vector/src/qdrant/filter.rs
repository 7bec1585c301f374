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

/// The fields that have an index, and what to do about a condition on another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed<'a> {
    pub(crate) fields: &'a BTreeSet<String>,
    pub(crate) others: Others,
}

/// What to do about a condition on a field without an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Leave it out: slots say what it means.
    LeaveOut,
    /// No entry has the field, since each that one has got an index.
    Absent,
    /// Ask it all the same; the server may refuse, or look at every entry.
    Ask,
}

/// Translates `filter`.
pub(crate) fn translate(filter: &Filter, indexed: Indexed<'_>) -> wire::Filter {
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

/// The stored names of the fields that `filter` looks at.
pub(crate) fn names(filter: &Filter) -> BTreeSet<String> {
    let groups = [&filter.must, &filter.should, &filter.must_not];
    let conditions = groups.into_iter().flatten();
    let names = conditions.flat_map(|condition| {
        let key = condition.key.as_str();
        let asked = match &condition.predicate {
            Predicate::Match(value) => choices(key, std::slice::from_ref(value)),
            Predicate::Any(values) => choices(key, values),
            Predicate::Range(_) => return vec![FieldKind::Number.name(key)],
            Predicate::Exists(_) => return vec![KEYS.to_owned()],
        };
        asked.into_iter().map(|(name, _)| name).collect()
    });
    names.collect()
}

/// `filter` for slots from `slots`' least to its greatest.
pub(crate) fn within(filter: Option<wire::Filter>, slots: &SlotSet) -> wire::Filter {
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
pub(crate) fn any_of(slots: &[u32]) -> wire::Filter {
    let integers = slots.iter().map(|slot| i64::from(*slot)).collect();
    all_of(on_match(
        SLOT,
        MatchValue::Integers(RepeatedIntegers { integers }),
    ))
}

/// `None` where it is left out.
fn translate_condition(condition: &Condition, indexed: Indexed<'_>) -> Option<wire::Condition> {
    let key = condition.key.as_str();
    let choices = match &condition.predicate {
        Predicate::Match(value) => choices(key, std::slice::from_ref(value)),
        Predicate::Any(values) => choices(key, values),
        Predicate::Range(range) => {
            let name = FieldKind::Number.name(key);
            let condition = on_range(&name, bounds(*range));
            vec![(name, condition)]
        }
        Predicate::Exists(wanted) => return Some(exists(key, *wanted)),
    };
    let mut asked = Vec::with_capacity(choices.len());
    for (name, choice) in choices {
        if indexed.fields.contains(&name) || indexed.others == Others::Ask {
            asked.push(choice);
        } else if indexed.others == Others::LeaveOut {
            return None;
        }
    }
    Some(one_of(asked))
}

/// Conditions one of which holds where the field has one of `values`, each with the name of what it
/// looks at.
fn choices(key: &str, values: &[MetadataValue]) -> Vec<(String, wire::Condition)> {
    let mut texts = Vec::new();
    let mut choices = Vec::new();
    for value in values {
        match value {
            MetadataValue::String(text) => texts.push(text.clone()),
            MetadataValue::Number(number) => {
                let name = FieldKind::Number.name(key);
                let condition = on_range(&name, exactly(*number));
                choices.push((name, condition));
            }
            MetadataValue::Bool(flag) => {
                let name = FieldKind::Flag.name(key);
                let condition = on_match(&name, MatchValue::Boolean(*flag));
                choices.push((name, condition));
            }
            // A filter that was checked has none, and nothing is equal to one.
            MetadataValue::Strings(_) => {}
        }
    }
    if !texts.is_empty() {
        let name = FieldKind::Text.name(key);
        let texts = RepeatedStrings { strings: texts };
        let condition = on_match(&name, MatchValue::Keywords(texts));
        choices.push((name, condition));
    }
    choices
}

/// One of `choices`; nothing meets it where there are none.
fn one_of(mut choices: Vec<wire::Condition>) -> wire::Condition {
    match choices.len() {
        0 => on_match(SLOT, MatchValue::Integer(NO_SLOT)),
        1 => choices.remove(0),
        _ => nested(wire::Filter {
            should: choices,
            ..wire::Filter::default()
        }),
    }
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
