//! Metadata on the wire.

use std::collections::BTreeMap;
use std::fmt;

use braid_core::{Metadata, MetadataValue, Result};
use serde::Serialize;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::number;

/// What a value may be, in words.
const VALUE: &str = "a metadata value must be a string, number, boolean or array of strings";
/// What a value to compare with may be, in words.
const SCALAR: &str = "must be a string, number or boolean";

/// Metadata fields by key: at most 64, each key 1 to 128 bytes long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct MetadataBody(pub BTreeMap<String, MetadataValueBody>);

/// A string, a number, a boolean or an array of strings (at most 256). A string has at most 2048
/// bytes, a whole number at most 2^53 in size.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MetadataValue)]
pub enum MetadataValueBody {
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(#[serde(serialize_with = "number::serialize")] f64),
    /// Text.
    String(String),
    /// Several strings.
    Strings(Vec<String>),
}

/// A string, a number or a boolean.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MetadataScalar)]
pub enum MetadataScalarBody {
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(#[serde(serialize_with = "number::serialize")] f64),
    /// Text.
    String(String),
}

impl<'de> Deserialize<'de> for MetadataBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = MetadataBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let repeated = fields.contains_key(&key);
            let value = map.next_value_seed(FieldSeed { repeated })?;
            fields.insert(key, value);
        }
        Ok(MetadataBody(fields))
    }
}

/// Reads a field's value; refuses it there, so that the error's path names the field.
struct FieldSeed {
    repeated: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = MetadataValueBody;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.repeated {
            return Err(de::Error::custom("the key occurs twice"));
        }
        MetadataValueBody::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for MetadataValueBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor { arrays: true })
    }
}

impl<'de> Deserialize<'de> for MetadataScalarBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ValueVisitor { arrays: false })? {
            MetadataValueBody::Bool(value) => Ok(Self::Bool(value)),
            MetadataValueBody::Number(value) => Ok(Self::Number(value)),
            MetadataValueBody::String(value) => Ok(Self::String(value)),
            MetadataValueBody::Strings(_) => Err(de::Error::custom(SCALAR)),
        }
    }
}

/// Reads what a derived untagged enum would, with errors that say what is accepted.
struct ValueVisitor {
    arrays: bool,
}

impl ValueVisitor {
    fn refuse<T, E: de::Error>(&self) -> Result<T, E> {
        Err(E::custom(if self.arrays { VALUE } else { SCALAR }))
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = MetadataValueBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.arrays { VALUE } else { SCALAR })
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(MetadataValueBody::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        number::from_unsigned(value).map(MetadataValueBody::Number)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        number::from_signed(value).map(MetadataValueBody::Number)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(MetadataValueBody::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(MetadataValueBody::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(MetadataValueBody::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        if !self.arrays {
            return self.refuse();
        }
        let mut strings = Vec::new();
        while let Some(text) = array.next_element()? {
            strings.push(text);
        }
        Ok(MetadataValueBody::Strings(strings))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        self.refuse()
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.refuse()
    }
}

impl From<MetadataValueBody> for MetadataValue {
    fn from(value: MetadataValueBody) -> Self {
        match value {
            MetadataValueBody::Bool(value) => Self::Bool(value),
            MetadataValueBody::Number(value) => Self::Number(value),
            MetadataValueBody::String(value) => Self::String(value),
            MetadataValueBody::Strings(value) => Self::Strings(value),
        }
    }
}

impl From<MetadataScalarBody> for MetadataValue {
    fn from(value: MetadataScalarBody) -> Self {
        match value {
            MetadataScalarBody::Bool(value) => Self::Bool(value),
            MetadataScalarBody::Number(value) => Self::Number(value),
            MetadataScalarBody::String(value) => Self::String(value),
        }
    }
}

impl From<MetadataValue> for MetadataValueBody {
    fn from(value: MetadataValue) -> Self {
        match value {
            MetadataValue::Bool(value) => Self::Bool(value),
            MetadataValue::Number(value) => Self::Number(value),
            MetadataValue::String(value) => Self::String(value),
            MetadataValue::Strings(value) => Self::Strings(value),
        }
    }
}

/// Checked metadata.
///
/// # Errors
/// `InvalidRequest` with the pointer of the bad field, relative to the metadata object.
pub fn metadata(body: MetadataBody) -> Result<Metadata> {
    let fields = body.0.into_iter();
    Metadata::new(fields.map(|(key, value)| (key, value.into())).collect())
}

/// The wire form of checked metadata.
pub fn metadata_body(metadata: Metadata) -> MetadataBody {
    let fields = metadata.into_fields().into_iter();
    MetadataBody(fields.map(|(key, value)| (key, value.into())).collect())
}
