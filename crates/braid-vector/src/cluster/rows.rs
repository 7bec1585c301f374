//! What stands in the payload of a point: fields that are searched by, and everything else as JSON in
//! one field, [`BODY`], which costs the server nothing to take apart.

use std::collections::HashMap;

use ::qdrant_client::qdrant::Value;
use ::qdrant_client::qdrant::value::Kind;
use braid_core::{Error, ErrorCode, Language, Metadata, MetadataValue, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of a point.
pub(crate) type Fields = HashMap<String, Value>;

/// The field with everything that is not searched by.
pub(crate) const BODY: &str = "body";

/// Namespace of the ids of points.
const POINTS: Uuid = Uuid::from_u128(0x6272_6169_6400_5000_8000_636c_7573_7465);

/// The id of the point that `name` names.
pub(crate) fn point_id(name: &str) -> Uuid {
    Uuid::new_v5(&POINTS, name.as_bytes())
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    value(Kind::StringValue(text.into()))
}

pub(crate) fn integer(number: i64) -> Value {
    value(Kind::IntegerValue(number))
}

pub(crate) fn flag(flag: bool) -> Value {
    value(Kind::BoolValue(flag))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

/// Sequences and the like stay far below the largest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn read_text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    match &fields.get(name)?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

pub(crate) fn read_integer(fields: &Fields, name: &str) -> Option<i64> {
    match fields.get(name)?.kind {
        Some(Kind::IntegerValue(number)) => Some(number),
        _ => None,
    }
}

/// `row` as JSON in a field.
pub(crate) fn write_json(row: &impl Serialize) -> Result<Value> {
    serde_json::to_string(row)
        .map(text)
        .map_err(|error| Error::internal("a row cannot be written").with_source(error))
}

/// The row in the field `name`.
///
/// # Errors
/// [`Corrupt`](ErrorCode::Corrupt) where there is none that can be read.
pub(crate) fn read_json<R: DeserializeOwned>(fields: &Fields, name: &str) -> Result<R> {
    let found = read_text(fields, name).ok_or_else(|| damaged(format!("has no field {name}")))?;
    serde_json::from_str(found)
        .map_err(|error| damaged(format!("has a bad field {name}")).with_source(error))
}

/// A point that is not as it was written.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorCode::Corrupt,
        format!("a stored point of Qdrant {what}"),
    )
    .with_help("was it written by something else, or by a newer release?")
}

/// A metadata value. Numbers are stored by their bits: JSON would round them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueRow {
    String(String),
    Number(u64),
    Bool(bool),
    Strings(Vec<String>),
}

/// Metadata, in key order.
pub(crate) type MetadataRow = Vec<(String, ValueRow)>;

pub(crate) fn metadata_row(metadata: &Metadata) -> MetadataRow {
    let row = |value: &MetadataValue| match value {
        MetadataValue::String(text) => ValueRow::String(text.clone()),
        MetadataValue::Number(number) => ValueRow::Number(number.to_bits()),
        MetadataValue::Bool(flag) => ValueRow::Bool(*flag),
        MetadataValue::Strings(texts) => ValueRow::Strings(texts.clone()),
    };
    let fields = metadata.iter();
    fields
        .map(|(key, value)| (key.to_owned(), row(value)))
        .collect()
}

pub(crate) fn metadata(row: &MetadataRow) -> Metadata {
    let read = |value: &ValueRow| match value {
        ValueRow::String(text) => MetadataValue::String(text.clone()),
        ValueRow::Number(bits) => MetadataValue::Number(f64::from_bits(*bits)),
        ValueRow::Bool(flag) => MetadataValue::Bool(*flag),
        ValueRow::Strings(texts) => MetadataValue::Strings(texts.clone()),
    };
    let fields = row.iter().map(|(key, value)| (key.clone(), read(value)));
    Metadata::stored(fields.collect())
}

/// A stored name of a language.
pub(crate) fn language(name: Option<&str>) -> Result<Option<Language>> {
    let language = name.map(str::parse).transpose();
    language.map_err(|error: Error| damaged("names no language").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let numbers = [0.1 + 0.2, -0.0, 1e300, 5e-324, 9_007_199_254_740_993.0];
        let fields = numbers.iter().enumerate();
        let fields = fields.map(|(at, it)| (at.to_string(), MetadataValue::Number(*it)));
        let before = Metadata::stored(fields.collect());
        let field = write_json(&metadata_row(&before)).unwrap();
        let fields = Fields::from([(BODY.to_owned(), field)]);
        let after = metadata(&read_json(&fields, BODY).unwrap());
        let bits = |metadata: &Metadata| -> Vec<Option<u64>> {
            let bits = |value: &MetadataValue| match value {
                MetadataValue::Number(number) => Some(number.to_bits()),
                MetadataValue::String(_) | MetadataValue::Bool(_) | MetadataValue::Strings(_) => {
                    None
                }
            };
            metadata.iter().map(|(_, value)| bits(value)).collect()
        };
        assert_eq!(bits(&after), bits(&before));
    }
}
