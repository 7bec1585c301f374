//! How the parts of a message are written in JSON where the two encodings differ: names instead of
//! numbers of enums, and no number that JSON does not have.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The name of an enum's value; one that the contract does not know is written as its number, so that
/// the reader refuses it as it refuses any unknown name.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(super) fn write_name<E, S>(value: &i32, serializer: S) -> Result<S::Ok, S::Error>
where
    E: TryFrom<i32> + Serialize,
    S: Serializer,
{
    match E::try_from(*value) {
        Ok(known) => known.serialize(serializer),
        Err(_) => serializer.serialize_str(&value.to_string()),
    }
}

/// The reverse of [`write_name`].
pub(super) fn read_name<'de, E, D>(deserializer: D) -> Result<i32, D::Error>
where
    E: Into<i32> + Deserialize<'de>,
    D: Deserializer<'de>,
{
    E::deserialize(deserializer).map(Into::into)
}

/// The name of an enum's value in a query; `None` where it is left out.
pub(super) fn query_name<E: TryFrom<i32> + Serialize>(value: i32) -> Option<String> {
    if value == 0 {
        return None;
    }
    let known = E::try_from(value).ok().map(serde_json::to_value);
    let name = known.and_then(|name| name.ok()?.as_str().map(str::to_owned));
    Some(name.unwrap_or_else(|| value.to_string()))
}

/// Whether an enum is left out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(super) fn is_unset(value: &i32) -> bool {
    *value == 0
}

/// Whether a list or map is left out.
pub(super) fn is_empty<'a, C>(items: &'a C) -> bool
where
    &'a C: IntoIterator,
{
    items.into_iter().next().is_none()
}

/// A number. JSON has no other than finite ones: another is written in words, which the reader refuses
/// where it stands.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(super) fn finite<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        serializer.serialize_f64(*number)
    } else {
        serializer.collect_str(number)
    }
}

/// A number among values that may be text: one that JSON does not have is written as none, which the
/// reader refuses too.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(super) fn finite_value<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        serializer.serialize_f64(*number)
    } else {
        serializer.serialize_none()
    }
}

/// A number that may be left out.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn finite_option<S: Serializer>(
    number: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => finite(number, serializer),
        None => serializer.serialize_none(),
    }
}

/// Any JSON value.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn write_value<S: Serializer>(
    value: &Option<prost_types::Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.clone().map(to_json).serialize(serializer)
}

/// The reverse of [`write_value`]; a `null` that is there stays one.
pub(super) fn read_value<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<prost_types::Value>, D::Error> {
    Value::deserialize(deserializer).map(|value| Some(of_json(value)))
}

/// A JSON object.
#[expect(clippy::ref_option, reason = "serde passes fields by reference")]
pub(super) fn write_object<S: Serializer>(
    object: &Option<Struct>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    object.clone().map(object_to_json).serialize(serializer)
}

/// The reverse of [`write_object`].
pub(super) fn read_object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Struct>, D::Error> {
    let object = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let fields = object.into_iter();
    Ok(Some(Struct {
        fields: fields.map(|(key, value)| (key, of_json(value))).collect(),
    }))
}

fn object_to_json(object: Struct) -> Value {
    let fields = object.fields.into_iter();
    Value::Object(fields.map(|(key, value)| (key, to_json(value))).collect())
}

fn to_json(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => Value::from(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::StructValue(object)) => object_to_json(object),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(to_json).collect(),
    }
}

fn of_json(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(of_json).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .into_iter()
                .map(|(key, value)| (key, of_json(value)))
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

/// What an answer of the HTTP interface says, as a message.
pub(super) fn read_answer<A: DeserializeOwned>(body: &[u8]) -> serde_json::Result<A> {
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::grpc::proto::{Range, Wait, metadata_value};

    #[test]
    fn names_are_those_of_the_http_interface() {
        assert_eq!(query_name::<Wait>(0), None);
        assert_eq!(query_name::<Wait>(2).as_deref(), Some("indexed"));
        assert_eq!(query_name::<Wait>(99).as_deref(), Some("99"));
    }

    #[test]
    fn any_value_survives() {
        let object = json!({ "a": [null, true, 1.5, "x", { "b": [] }] });
        let read = read_object(object.clone()).unwrap();
        assert_eq!(read.map(object_to_json), Some(object));
    }

    #[test]
    fn what_is_no_number_in_json_does_not_pass_for_one() {
        let value = |number| json!(metadata_value::Kind::Number(number));
        let field = |gt| {
            json!(Range {
                gt: Some(gt),
                ..Range::default()
            })["gt"]
                .clone()
        };
        assert_eq!((value(1.5), field(1.5)), (json!(1.5), json!(1.5)));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(value(number).is_null(), "{number}");
            assert!(field(number).is_string(), "{number}");
        }
    }
}
