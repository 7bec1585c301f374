//! What stands beside a vector, and under which names.
//!
//! A metadata field is stored under a name that says its type, since an index of Qdrant holds one
//! type and a field of Braid may be a text in one document and a number in another: `str_KEY` for a
//! text or an array of them, `num_KEY`, `bool_KEY`. `keys` lists the fields that there are, which
//! answers `exists` for each of them with one index.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::{FieldType, ListValue, Value};
use braid_core::{IndexKey, LANGUAGE_KEY, Language, Metadata, MetadataValue, Slot, VectorEntry};
use uuid::Uuid;

/// The entry's slot.
pub(crate) const SLOT: &str = "slot";
/// The name of the chunk.
const CHUNK: &str = "chunk";
/// The metadata fields that the document has.
pub(crate) const KEYS: &str = "keys";
/// The newest operation, at [`watermark_id`] alone.
pub(crate) const WATERMARK: &str = "watermark";
/// The form of what is stored, at [`watermark_id`] alone.
pub(crate) const FORMAT: &str = "format";

/// Namespace of the ids of points.
const POINTS: Uuid = Uuid::from_u128(0x6272_6169_6400_5000_8000_7164_7261_6e74);

/// The type of a stored metadata field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Text,
    Number,
    Flag,
}

impl FieldKind {
    fn of(value: &MetadataValue) -> Self {
        match value {
            MetadataValue::String(_) | MetadataValue::Strings(_) => Self::Text,
            MetadataValue::Number(_) => Self::Number,
            MetadataValue::Bool(_) => Self::Flag,
        }
    }

    /// The type of the metadata field that is stored under `name`; `None` for other fields.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (kind, _) = name.split_once('_')?;
        match kind {
            "str" => Some(Self::Text),
            "num" => Some(Self::Number),
            "bool" => Some(Self::Flag),
            _ => None,
        }
    }

    /// The index that answers filters on it.
    pub(crate) fn index(self) -> FieldType {
        match self {
            Self::Text => FieldType::Keyword,
            Self::Number => FieldType::Float,
            Self::Flag => FieldType::Bool,
        }
    }

    /// The name under which field `key` is stored. Injective, and made of characters that stand for
    /// themselves in Qdrant's paths: others are `-` and their bytes in hexadecimal.
    pub(crate) fn name(self, key: &str) -> String {
        let mut name = String::from(match self {
            Self::Text => "str_",
            Self::Number => "num_",
            Self::Flag => "bool_",
        });
        for byte in key.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                name.push(char::from(byte));
            } else {
                name.push_str(&format!("-{byte:02X}"));
            }
        }
        name
    }
}

/// The id of the point in `slot`.
pub(crate) fn point_id(key: IndexKey, slot: Slot) -> String {
    id_of(key, &slot.to_string())
}

/// The id of the point that has the watermark.
pub(crate) fn watermark_id(key: IndexKey) -> String {
    id_of(key, WATERMARK)
}

fn id_of(key: IndexKey, what: &str) -> String {
    let name = format!("{}/{}/{what}", key.collection.0, key.generation.0);
    Uuid::new_v5(&POINTS, name.as_bytes()).to_string()
}

/// What a filter sees of an entry.
fn fields(entry: &VectorEntry) -> BTreeMap<&str, MetadataValue> {
    filtered(&entry.metadata, entry.language)
}

/// What a filter sees of a document with this metadata, in which this language was detected.
fn filtered(metadata: &Metadata, language: Option<Language>) -> BTreeMap<&str, MetadataValue> {
    let mut fields: BTreeMap<&str, MetadataValue> = metadata
        .iter()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    if let Some(language) = language {
        fields
            .entry(LANGUAGE_KEY)
            .or_insert_with(|| MetadataValue::String(language.to_string()));
    }
    fields
}

/// The metadata fields of an entry as they are stored, with their types.
pub(crate) fn stored_fields(entry: &VectorEntry) -> impl Iterator<Item = (String, FieldKind)> {
    fields(entry).into_iter().map(|(key, value)| {
        let kind = FieldKind::of(&value);
        (kind.name(key), kind)
    })
}

/// The payload of an entry's point.
pub(crate) fn payload(entry: &VectorEntry) -> HashMap<String, Value> {
    let mut payload = typed_fields(&entry.metadata, entry.language);
    payload.insert(SLOT.to_owned(), integer(i64::from(entry.slot.0)));
    payload.insert(CHUNK.to_owned(), text(entry.chunk.to_string()));
    payload
}

/// What filters ask of a document with this metadata, in which this language was detected.
pub(crate) fn typed_fields(
    metadata: &Metadata,
    language: Option<Language>,
) -> HashMap<String, Value> {
    let fields = filtered(metadata, language);
    let keys = fields.keys().map(|key| text(*key)).collect();
    let mut payload = HashMap::with_capacity(fields.len() + 3);
    payload.insert(KEYS.to_owned(), list(keys));
    for (key, value) in fields {
        let name = FieldKind::of(&value).name(key);
        payload.insert(name, stored(value));
    }
    payload
}

fn stored(field: MetadataValue) -> Value {
    match field {
        MetadataValue::String(field) => text(field),
        MetadataValue::Strings(field) => list(field.into_iter().map(text).collect()),
        MetadataValue::Number(number) => value(Kind::DoubleValue(positive_zero(number))),
        MetadataValue::Bool(flag) => value(Kind::BoolValue(flag)),
    }
}

/// There are two zeros, which are equal.
pub(crate) fn positive_zero(number: f64) -> f64 {
    number + 0.0
}

pub(crate) fn integer(number: i64) -> Value {
    value(Kind::IntegerValue(number))
}

/// The integer under `name`, if there is one.
pub(crate) fn read_integer(payload: &HashMap<String, Value>, name: &str) -> Option<i64> {
    match payload.get(name)?.kind {
        Some(Kind::IntegerValue(number)) => Some(number),
        _ => None,
    }
}

/// The slot of a point, if it is an entry.
pub(crate) fn read_slot(payload: &HashMap<String, Value>) -> Option<u32> {
    u32::try_from(read_integer(payload, SLOT)?).ok()
}

fn text(text: impl Into<String>) -> Value {
    value(Kind::StringValue(text.into()))
}

fn list(values: Vec<Value>) -> Value {
    value(Kind::ListValue(ListValue { values }))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_say_the_type_and_need_no_quotes() {
        assert_eq!(FieldKind::Text.name("lang"), "str_lang");
        assert_eq!(FieldKind::Number.name("published_at"), "num_published_at");
        assert_eq!(FieldKind::Flag.name("a.b-ä"), "bool_a-2Eb-2D-C3-A4");
    }

    #[test]
    fn ids_are_of_the_collection_the_generation_and_the_slot() {
        let key = |collection, generation| IndexKey {
            collection: braid_core::CollectionId(collection),
            generation: braid_core::Generation(generation),
        };
        let ids = [
            point_id(key(1, 1), Slot(1)),
            point_id(key(1, 1), Slot(2)),
            point_id(key(1, 2), Slot(1)),
            point_id(key(2, 1), Slot(1)),
            watermark_id(key(1, 1)),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        // Points are found by it for ever.
        assert_eq!(ids[0], point_id(key(1, 1), Slot(1)));
        assert_eq!(Uuid::parse_str(&ids[0]).unwrap().get_version_num(), 5);
    }

    proptest! {
        #[test]
        fn names_are_injective(a in "\\PC{0,6}", b in "\\PC{0,6}") {
            prop_assert_eq!(a == b, FieldKind::Text.name(&a) == FieldKind::Text.name(&b));
        }
    }
}
