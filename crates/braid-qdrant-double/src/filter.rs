//! What a filter means, and which indexes it takes.

use std::collections::{BTreeSet, HashMap};

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::{Condition, FieldCondition, FieldType, Filter, Range, Value};
use tonic::Status;

use crate::state::{Id, Point};

/// Kinds of indexes that answer a condition.
type Kinds = &'static [FieldType];

/// The fields that `filter` names, each with the indexes that would answer it.
pub(crate) fn needed_indexes(
    filter: &Filter,
    needed: &mut BTreeSet<(String, Kinds)>,
) -> Result<(), Status> {
    let groups = [&filter.must, &filter.should, &filter.must_not];
    for condition in groups.into_iter().flatten() {
        match &condition.condition_one_of {
            Some(ConditionOneOf::Filter(filter)) => needed_indexes(filter, needed)?,
            Some(ConditionOneOf::Field(field)) => {
                check_path(&field.key)?;
                needed.insert((field.key.clone(), kinds(field)?));
            }
            Some(ConditionOneOf::HasId(_)) => {}
            _ => return Err(Status::unimplemented("a condition that Braid does not use")),
        }
    }
    Ok(())
}

/// A name of plain characters; others would have to be in quotes, which Braid does not use.
fn check_path(path: &str) -> Result<(), Status> {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if path.is_empty() || !path.chars().all(is_plain) {
        return Err(Status::invalid_argument(format!(
            "Invalid json path: '{path}'"
        )));
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
        Some(MatchValue::Keyword(_) | MatchValue::Keywords(_)) => Ok(&[FieldType::Keyword]),
        Some(MatchValue::Integer(_) | MatchValue::Integers(_)) => Ok(&[FieldType::Integer]),
        Some(MatchValue::Boolean(_)) => Ok(&[FieldType::Bool]),
        _ => Err(Status::unimplemented("a condition that Braid does not use")),
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
        Some(ConditionOneOf::HasId(ids)) => {
            let mut ids = ids.has_id.iter();
            ids.any(|wanted| Id::read(Some(wanted)).is_ok_and(|wanted| wanted == id))
        }
        _ => false,
    }
}

fn field_holds(field: &FieldCondition, payload: &HashMap<String, Value>) -> bool {
    let Some(value) = payload.get(&field.key) else {
        return false;
    };
    // An array meets a condition that one of its values meets.
    let values = match &value.kind {
        Some(Kind::ListValue(list)) => list.values.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let wanted = field
        .r#match
        .as_ref()
        .and_then(|it| it.match_value.as_ref());
    values.iter().any(|value| {
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
