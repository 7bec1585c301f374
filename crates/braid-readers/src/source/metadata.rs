//! Metadata from JSON and from the command line.

use std::collections::BTreeMap;

use braid_core::{Error, Metadata, MetadataValue, Result};
use serde_json::{Map, Value};

/// Parses `KEY=VALUE` as given on a command line. A value that reads as a JSON number, boolean,
/// string or array of strings is one (`007` and `yes` are not, `"1"` is a string); anything else
/// is taken as text.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) when there is no `=` or no key.
pub fn parse_metadata(argument: &str) -> Result<(String, MetadataValue)> {
    let (key, value) = argument
        .split_once('=')
        .map(|(key, value)| (key.trim(), value))
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| {
            Error::invalid(format!("metadata {argument:?} is not valid: use KEY=VALUE"))
        })?;
    Ok((key.to_owned(), value_of(value)))
}

/// A value as [`parse_metadata`] reads it.
pub(super) fn value_of(text: &str) -> MetadataValue {
    let parsed = serde_json::from_str(text).ok().as_ref().and_then(to_value);
    parsed.unwrap_or_else(|| MetadataValue::String(text.to_owned()))
}

/// A JSON object as metadata; fields that are null are left out.
///
/// # Errors
/// The reason, naming the field.
pub fn from_object(object: &Map<String, Value>) -> Result<Metadata, String> {
    let mut fields = BTreeMap::new();
    for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let value = to_value(value).ok_or_else(|| {
            format!("metadata {key:?} must be a string, number, boolean or array of strings")
        })?;
        fields.insert(key.clone(), value);
    }
    Metadata::new(fields).map_err(|error| format!("metadata {}", error.message()))
}

fn to_value(value: &Value) -> Option<MetadataValue> {
    match value {
        Value::String(text) => Some(MetadataValue::String(text.clone())),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.is_finite())
            .map(MetadataValue::Number),
        Value::Bool(value) => Some(MetadataValue::Bool(*value)),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(MetadataValue::Strings),
        Value::Null | Value::Object(_) => None,
    }
}

/// `base` with the fields of `above` over it.
///
/// # Errors
/// As [`Metadata::new`].
pub(super) fn overlay(base: &Metadata, above: &Metadata) -> Result<Metadata> {
    if above.is_empty() {
        return Ok(base.clone());
    }
    let mut fields = base.clone().into_fields();
    fields.extend(above.clone().into_fields());
    Metadata::new(fields).map_err(|error| error.context("metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_values_are_typed() {
        let string = |text: &str| MetadataValue::String(text.to_owned());
        let cases = [
            ("a=1", MetadataValue::Number(1.0)),
            ("a=-2.5e3", MetadataValue::Number(-2500.0)),
            ("a=true", MetadataValue::Bool(true)),
            ("a=\"1\"", string("1")),
            ("a=007", string("007")),
            ("a=NaN", string("NaN")),
            ("a=null", string("null")),
            ("a=", string("")),
            ("a=b=c", string("b=c")),
            ("a={\"b\":1}", string("{\"b\":1}")),
            (
                "a=[\"x\",\"y\"]",
                MetadataValue::Strings(vec!["x".to_owned(), "y".to_owned()]),
            ),
        ];
        for (argument, expected) in cases {
            let (key, value) = parse_metadata(argument).unwrap();
            assert_eq!((key.as_str(), value), ("a", expected), "{argument}");
        }
        for bad in ["a", "=1", " =1", ""] {
            assert!(parse_metadata(bad).is_err(), "{bad}");
        }
    }
}
