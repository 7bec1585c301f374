//! A JSON object in bounded memory: only the fields that are asked for are kept, and only so many
//! values. JSON grows when it is parsed: `[0,0,…]` takes sixteen times its bytes.

use std::cell::Cell;
use std::fmt;

use serde_json::{Map, Value};
// serde's own words for reading what has no type yet.
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most values within the fields that are kept: several times the most that metadata can have.
const MAX_VALUES: usize = 100_000;

/// The fields of the one object in `json` whose names are `wanted`.
///
/// # Errors
/// What is wrong and where.
pub(super) fn parse_object(
    json: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Map<String, Value>, String> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let fields = Fields {
        wanted: &wanted,
        left: &Cell::new(MAX_VALUES),
    };
    let parsed = fields.deserialize(&mut reader);
    let object = parsed.and_then(|object| reader.end().map(|()| object));
    object.map_err(|error| match cause(&error).as_str() {
        NOT_AN_OBJECT => NOT_AN_OBJECT.to_owned(),
        // Only a whole file has lines: a line of JSONL is one.
        "trailing characters" if error.line() > 1 => {
            format!(
                "not valid JSON at {}: trailing characters; {JSONL}",
                place(&error)
            )
        }
        cause => format!("not valid JSON at {}: {cause}", place(&error)),
    })
}

const JSONL: &str = "objects one a line are JSONL: name it .jsonl, or give --format jsonl";
const NOT_AN_OBJECT: &str = "not a JSON object";

/// Counted from the object's own start.
fn place(error: &serde_json::Error) -> String {
    match error.line() {
        0 | 1 => format!("column {}", error.column()),
        line => format!("line {line}, column {}", error.column()),
    }
}

/// A JSON error's message without its place.
fn cause(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((cause, _)) => cause.to_owned(),
        None => message,
    }
}

/// Reads an object's wanted fields.
struct Fields<'a, W> {
    wanted: &'a W,
    left: &'a Cell<usize>,
}

impl<'de, W: Fn(&str) -> bool> DeserializeSeed<'de> for Fields<'_, W> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

/// Refuses what is no object, having passed over it: it must at least be sound JSON.
macro_rules! no_objects {
    ($($visit:ident: $value:ty),+) => {$(
        fn $visit<E: Error>(self, _: $value) -> Result<Self::Value, E> {
            Err(E::custom(NOT_AN_OBJECT))
        }
    )+};
}

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Fields<'_, W> {
    type Value = Map<String, Value>;

    no_objects!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(E::custom(NOT_AN_OBJECT))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom(NOT_AN_OBJECT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if (self.wanted)(&name) {
                let value = entries.next_value_seed(Bounded(self.left))?;
                object.insert(name, value);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// Reads any value while there are values left.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl Bounded<'_> {
    fn take<E: Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format!("more than {MAX_VALUES} values")))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        self.take()?;
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            found.push(item);
        }
        Ok(found.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            found.insert(name, entries.next_value_seed(self)?);
        }
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Map<String, Value>, String> {
        parse_object(json, |name| name.starts_with('a'))
    }

    #[test]
    fn wanted_fields_are_read_as_serde_json_reads_them() {
        let json = r#"{"a1": [1, -2, 2.5, "x\n", true, null, {"b": [[]]}], "b": [1, {"a1": 2}], "a2": {"a": "é"}}"#;
        let mut expected: Map<String, Value> = serde_json::from_str(json).unwrap();
        expected.remove("b");
        assert_eq!(parse(json).unwrap(), expected);
    }

    #[test]
    fn what_is_no_sound_object_is_refused_with_its_place() {
        for (json, said) in [
            ("[1, 2]", "not a JSON object"),
            ("\"a\"", "not a JSON object"),
            ("null", "not a JSON object"),
            ("12", "not a JSON object"),
            (
                "{\"a\": 1} x",
                "not valid JSON at column 10: trailing characters",
            ),
            (
                "{\n\"b\": tru }",
                "not valid JSON at line 2, column 9: expected ident",
            ),
            ("", "not valid JSON at column 0: EOF while parsing a value"),
            ("[1, }", "not valid JSON at column 5: expected value"),
        ] {
            assert_eq!(parse(json).unwrap_err(), said, "{json}");
        }
    }

    #[test]
    fn values_and_nesting_are_bounded() {
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(
            parse(&format!("{{\"a\": {many}}}"))
                .unwrap_err()
                .contains("more than")
        );
        assert!(parse(&format!("{{\"b\": {many}}}")).is_ok(), "passed over");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let refused = parse(&format!("{{\"a\": {deep}}}")).unwrap_err();
        assert!(refused.contains("recursion limit"), "{refused}");
        assert!(parse(&format!("{{\"b\": {deep}}}")).is_ok(), "passed over");
        let refused = parse(&deep).unwrap_err();
        assert!(
            refused.contains("not a JSON object") || refused.contains("recursion"),
            "{refused}"
        );
    }
}
