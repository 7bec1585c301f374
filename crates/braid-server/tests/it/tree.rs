//! JSON in the order and the words in which it was sent, laid out for people.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Longest line that is not broken.
const WIDTH: usize = 110;

/// A JSON value whose objects keep their order.
pub(crate) enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    Leaf(Value),
}

impl Tree {
    pub(crate) fn of(json: &[u8]) -> Self {
        serde_json::from_slice(json).unwrap()
    }

    /// On as few lines as can be read.
    pub(crate) fn pretty(&self, indent: usize) -> String {
        let flat = self.flat();
        if flat.len() + indent <= WIDTH {
            return flat;
        }
        let (open, parts, close) = match self {
            Self::Leaf(_) => return flat,
            Self::Object(fields) => {
                let parts = fields.iter();
                let parts = parts.map(|(key, value)| named(key, &value.pretty(indent + 2)));
                ('{', parts.collect::<Vec<_>>(), '}')
            }
            Self::Array(values) => {
                let parts = values.iter().map(|value| value.pretty(indent + 2));
                ('[', parts.collect(), ']')
            }
        };
        let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
        let parts = parts.join(&format!(",\n{inner}"));
        format!("{open}\n{inner}{parts}\n{outer}{close}")
    }

    fn flat(&self) -> String {
        match self {
            Self::Leaf(value) => leaf(value),
            Self::Object(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(key, value)| named(key, &value.flat()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Array(values) => {
                let values: Vec<_> = values.iter().map(Self::flat).collect();
                format!("[{}]", values.join(", "))
            }
        }
    }
}

fn named(key: &str, value: &str) -> String {
    format!("{}: {value}", Value::from(key))
}

/// Numbers with four significant digits: more says nothing to a reader.
fn leaf(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() => {
            let rounded: f64 = format!("{number:.3e}").parse().unwrap();
            Value::from(rounded).to_string()
        }
        _ => value.to_string(),
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Tree::Array(values))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }
}
