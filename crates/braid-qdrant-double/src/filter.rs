//! What a filter means, and which indexes it takes.

use std::collections::{BTreeSet, HashMap};

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::{
    Condition, FieldCondition, FieldType, Filter, IsEmptyCondition, IsNullCondition, Range, Value,
};
use tonic::Status;
use uuid::Uuid;

use crate::path;
use crate::state::{Id, Point};

/// Kinds of indexes that answer a condition.
type Kinds = &'static [FieldType];

/// Any will do.
const ANY_KIND: Kinds = &[
    FieldType::Keyword,
    FieldType::Integer,
    FieldType::Float,
    FieldType::Bool,
    FieldType::Uuid,
    FieldType::Text,
];

/// The fields that `filter` names, each with the indexes that would answer it.
pub(crate) fn needed_indexes(
    filter: &Filter,
    needed: &mut BTreeSet<(String, Kinds)>,
) -> Result<(), Status> {
    if filter.min_should.is_some() {
        return Err(Status::unimplemented("a filter that Braid does not use"));
    }
    let groups = [&filter.must, &filter.should, &filter.must_not];
    for condition in groups.into_iter().flatten() {
        match &condition.condition_one_of {
            Some(ConditionOneOf::Filter(filter)) => needed_indexes(filter, needed)?,
            Some(ConditionOneOf::Field(field)) => {
                path::check(&field.key)?;
                let kinds = kinds(field)?;
                if !kinds.is_empty() {
                    needed.insert((field.key.clone(), kinds));
                }
            }
            Some(ConditionOneOf::IsEmpty(IsEmptyCondition { key }))
            | Some(ConditionOneOf::IsNull(IsNullCondition { key })) => {
                path::check(key)?;
                needed.insert((key.clone(), ANY_KIND));
            }
            Some(ConditionOneOf::HasId(ids)) => {
                for id in &ids.has_id {
                    Id::read(Some(id))?;
                }
            }
            _ => return Err(Status::unimplemented("a condition that Braid does not use")),
        }
    }
    Ok(())
}

fn kinds(field: &FieldCondition) -> Result<Kinds, Status> {
    if field.range.is_some() {
        return Ok(&[FieldType::Integer, FieldType::Float]);
    }
    match field
        .r#match
        .as_ref()
        .and_then(|it| it.match_value.as_ref())
    {
        Some(MatchValue::Keyword(text)) => Ok(kinds_of(std::slice::from_ref(text))),
        Some(MatchValue::Keywords(texts)) => Ok(kinds_of(&texts.strings)),
        Some(MatchValue::Integers(numbers)) if numbers.integers.is_empty() => Ok(&[]),
        Some(MatchValue::Integer(_) | MatchValue::Integers(_)) => Ok(&[FieldType::Integer]),
        Some(MatchValue::Boolean(_)) => Ok(&[FieldType::Bool]),
        Some(MatchValue::Phrase(_) | MatchValue::TextAny(_)) => Ok(&[FieldType::Text]),
        _ => Err(Status::unimplemented("a condition that Braid does not use")),
    }
}

/// A choice of nothing takes no index; an index of UUIDs answers for nothing else.
fn kinds_of(texts: &[String]) -> Kinds {
    if texts.is_empty() {
        &[]
    } else if texts.iter().all(|text| Uuid::parse_str(text).is_ok()) {
        &[FieldType::Keyword, FieldType::Uuid]
    } else {
        &[FieldType::Keyword]
    }
}

/// Whether a point passes. The filter was checked.
pub(crate) fn passes(filter: Option<&Filter>, id: Id, point: &Point) -> bool {
    let Some(filter) = filter else {
        return true;
    };
    let holds = |condition: &Condition| holds(condition, id, point);
    filter.must.iter().all(holds)
        && (filter.should.is_empty() || filter.should.iter().any(holds))
        && !filter.must_not.iter().any(holds)
}

fn holds(condition: &Condition, id: Id, point: &Point) -> bool {
    match &condition.condition_one_of {
        Some(ConditionOneOf::Filter(filter)) => passes(Some(filter), id, point),
        Some(ConditionOneOf::Field(field)) => field_holds(field, &point.payload),
        Some(ConditionOneOf::IsEmpty(IsEmptyCondition { key })) => {
            let values = path::values(&point.payload, key);
            values.into_iter().all(|value| match &value.kind {
                None | Some(Kind::NullValue(_)) => true,
                Some(Kind::ListValue(list)) => list.values.is_empty(),
                Some(_) => false,
            })
        }
        Some(ConditionOneOf::IsNull(IsNullCondition { key })) => {
            let values = path::values(&point.payload, key);
            let is_null = |value: &&Value| matches!(value.kind, Some(Kind::NullValue(_)));
            values.iter().any(is_null)
        }
        Some(ConditionOneOf::HasId(ids)) => {
            let mut ids = ids.has_id.iter();
            ids.any(|wanted| Id::read(Some(wanted)).is_ok_and(|wanted| wanted == id))
        }
        _ => false,
    }
}

fn field_holds(field: &FieldCondition, payload: &HashMap<String, Value>) -> bool {
    // An array meets a condition that one of its values meets.
    let found = path::values(payload, &field.key);
    let mut values = found.into_iter().flat_map(|value| match &value.kind {
        Some(Kind::ListValue(list)) => list.values.as_slice(),
        _ => std::slice::from_ref(value),
    });
    let wanted = field
        .r#match
        .as_ref()
        .and_then(|it| it.match_value.as_ref());
    values.any(|value| {
        let matches = wanted.is_none_or(|wanted| is_match(wanted, value));
        matches
            && field
                .range
                .as_ref()
                .is_none_or(|range| is_within(range, value))
    })
}

fn is_match(wanted: &MatchValue, value: &Value) -> bool {
    match (wanted, &value.kind) {
        (MatchValue::Keyword(wanted), Some(Kind::StringValue(value))) => wanted == value,
        (MatchValue::Keywords(wanted), Some(Kind::StringValue(value))) => {
            wanted.strings.contains(value)
        }
        (MatchValue::Integer(wanted), Some(Kind::IntegerValue(value))) => wanted == value,
        (MatchValue::Integers(wanted), Some(Kind::IntegerValue(value))) => {
            wanted.integers.contains(value)
        }
        (MatchValue::Boolean(wanted), Some(Kind::BoolValue(value))) => wanted == value,
        (MatchValue::TextAny(wanted), Some(Kind::StringValue(value))) => {
            let mut tokens = value.split_whitespace();
            tokens.any(|token| wanted.split_whitespace().any(|wanted| wanted == token))
        }
        (MatchValue::Phrase(wanted), Some(Kind::StringValue(value))) => {
            let wanted: Vec<&str> = wanted.split_whitespace().collect();
            let tokens: Vec<&str> = value.split_whitespace().collect();
            // One of no tokens is said by nothing.
            !wanted.is_empty() && tokens.windows(wanted.len()).any(|row| row == wanted)
        }
        _ => false,
    }
}

fn is_within(range: &Range, value: &Value) -> bool {
    let number = match &value.kind {
        Some(Kind::DoubleValue(number)) => *number,
        Some(Kind::IntegerValue(number)) => *number as f64,
        _ => return false,
    };
    range.gt.is_none_or(|bound| number > bound)
        && range.gte.is_none_or(|bound| number >= bound)
        && range.lt.is_none_or(|bound| number < bound)
        && range.lte.is_none_or(|bound| number <= bound)
}
