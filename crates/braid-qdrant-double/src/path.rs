//! Paths into a payload: `a`, `a.b`, `a[].b`.

use std::collections::HashMap;

use ::qdrant_client::qdrant::Value;
use ::qdrant_client::qdrant::value::Kind;
use tonic::Status;

/// What stands after a key whose array is gone through.
const EACH: &str = "[]";

/// Refuses what is no path of plain names; others would have to be in quotes, which Braid does not use.
pub(crate) fn check(path: &str) -> Result<(), Status> {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_key = |key: &str| {
        let key = key.strip_suffix(EACH).unwrap_or(key);
        !key.is_empty() && key.chars().all(is_plain)
    };
    if path.split('.').all(is_key) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "Invalid json path: '{path}'"
    )))
}

/// The values at `path`; an array at its end counts as one value.
pub(crate) fn values<'a>(payload: &'a HashMap<String, Value>, path: &str) -> Vec<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let key = first.strip_suffix(EACH).unwrap_or(first);
    let Some(value) = payload.get(key) else {
        return Vec::new();
    };
    let found = match &value.kind {
        Some(Kind::ListValue(list)) if key != first => list.values.iter().collect(),
        _ => vec![value],
    };
    if rest.is_empty() {
        return found;
    }
    let within = |value: &'a Value| match &value.kind {
        Some(Kind::StructValue(object)) => values(&object.fields, rest),
        _ => Vec::new(),
    };
    found.into_iter().flat_map(within).collect()
}
