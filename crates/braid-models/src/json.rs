//! JSON that people write: what is wrong with it is said with its line, the path of its key, and what
//! is allowed there.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Reads `text`.
///
/// # Errors
/// The problem on one line, such as `line 3: reranker.batching: "all" is not known, use single or
/// tokens`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader);
    let value = value.map_err(|error| told(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| told(".", &error))?;
    Ok(value)
}

fn told(path: &str, error: &serde_json::Error) -> String {
    let line = error.line();
    let said = error.to_string();
    // It ends with the line and column, which stand first here.
    let said = said
        .rsplit_once(" at line ")
        .map_or(&*said, |(said, _)| said);
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => format!("line {line}: not JSON: {said}"),
        Category::Data => format!("line {line}: {}", in_words(path, said)),
    }
}

/// What serde says of a value, in other words.
fn in_words(path: &str, said: &str) -> String {
    let (said, expected) = said.split_once(", expected ").unwrap_or((said, ""));
    let quoted = || said.split('`').nth(1).unwrap_or_default();
    let allowed = expected.trim_start_matches("one of ").replace('`', "");
    let key = if path == "." { "the whole" } else { path };
    if said.starts_with("missing field") {
        return format!("{} is missing", below(path, quoted()));
    }
    if said.starts_with("unknown field") {
        let key = below(path, quoted());
        return format!("{key} is not known, use {allowed}");
    }
    if said.starts_with("unknown variant") {
        return format!("{key}: {:?} is not known, use {allowed}", quoted());
    }
    let found = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "));
    match found {
        Some(found) => format!("{key}: expected {}, found {found}", kind(&allowed)),
        None => format!("{key}: {said}"),
    }
}

/// The path of a key in what `path` names, which may name the key already.
fn below(path: &str, key: &str) -> String {
    let is_named = path == key || path.ends_with(&format!(".{key}"));
    match path {
        "." => key.to_owned(),
        path if is_named => path.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// A kind of value, without a type's name.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        named if named.starts_with("struct ") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only refusals are looked at")]
    struct Outer {
        size: usize,
        #[serde(default)]
        share: f64,
        inner: Option<Inner>,
        #[serde(default)]
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only refusals are looked at")]
    struct Inner {
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Other,
    }

    #[test]
    fn a_problem_is_told_with_its_place_and_what_is_allowed() {
        let cases = [
            (
                "{\n\"size\": \"x\"}",
                "line 2: size: expected a whole number, 0 or more, found string \"x\"",
            ),
            (
                "{\"size\": -1}",
                "line 1: size: expected a whole number, 0 or more, found integer `-1`",
            ),
            (
                "{\"size\": 1, \"share\": true}",
                "line 1: share: expected a number, found boolean `true`",
            ),
            (
                "{\"size\": 1, \"names\": [\"a\", 2]}",
                "line 1: names[1]: expected a string, found integer `2`",
            ),
            (
                "{\"size\": 1, \"inner\": {}}",
                "line 1: inner.kind is missing",
            ),
            (
                "{\"size\": 1, \"inner\": {\"kind\": \"two\"}}",
                "line 1: inner.kind: \"two\" is not known, use one or other",
            ),
            (
                "{\"size\": 1, \"inner\": {\"kid\": 1}}",
                "line 1: inner.kid is not known, use kind",
            ),
            (
                "{\"sise\": 1}",
                "line 1: sise is not known, use size, share, inner, names",
            ),
            ("{}", "line 1: size is missing"),
            ("{\n\"size\": 1,\n}", "line 3: not JSON: trailing comma"),
            ("{\"size\": 1} x", "line 1: not JSON: trailing characters"),
        ];
        for (text, expected) in cases {
            assert_eq!(read::<Outer>(text).unwrap_err(), expected, "{text}");
        }
        assert!(read::<Outer>("{\"size\": 1, \"inner\": {\"kind\": \"one\"}}").is_ok());
    }
}
