//! Bytes to requests: strict JSON, with errors that say where and what in words of JSON.

use braid_core::{Error, ErrorCode, Result};
use serde::de::DeserializeOwned;

use crate::dto::object::Object;

/// Bodies up to this are parsed where they arrive: it takes less than half a millisecond.
const SMALL: usize = 64 * 1024;

/// Runs work on a body of `size` bytes; work on a large one leaves the async threads free.
pub(crate) async fn off_thread<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if size <= SMALL {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorCode::ShuttingDown, "reading has stopped")),
        },
    }
}

/// Parses a JSON object; a type error names the field by JSON pointer.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut reader);
    let Object(parsed) = parsed.map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Error::invalid_field(pointer, plain(&inner))
        } else {
            Error::new(
                ErrorCode::MalformedJson,
                format!("the body is not JSON: {inner}"),
            )
        }
    })?;
    reader.end().map_err(|error| {
        Error::new(
            ErrorCode::MalformedJson,
            format!("text after the JSON body: {error}"),
        )
    })?;
    Ok(parsed)
}

/// The JSON pointer (RFC 6901) of a path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// What a parser calls things, and what they are called in JSON.
const WORDS: [(&str, &str); 9] = [
    ("unknown variant ", "unknown value "),
    ("invalid type: sequence", "found an array"),
    ("invalid type: map", "found an object"),
    ("invalid type: integer ", "found the number "),
    ("invalid type: floating point ", "found the number "),
    ("invalid type: string ", "found the string "),
    ("invalid type: ", "found "),
    ("invalid value: integer ", "found the number "),
    ("invalid value: ", "found "),
];

/// What is wrong, without line and column (the pointer says where) and in words of JSON.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
    let word = WORDS.iter().find(|(theirs, _)| text.starts_with(theirs));
    let text = match word {
        Some((theirs, ours)) => text.replacen(theirs, ours, 1),
        None => text.to_owned(),
    };
    match text.rsplit_once(", expected ") {
        Some((said, "usize" | "u64" | "u32")) => format!("{said}, expected a whole number"),
        Some((said, "f64")) => format!("{said}, expected a number"),
        Some((said, "a sequence")) => format!("{said}, expected an array"),
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only parsed")]
        items: Vec<u32>,
    }

    #[track_caller]
    fn check(text: &str, code: ErrorCode, pointer: Option<&str>, message: &str) {
        let error = parse::<Body>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let field = error.fields().first();
        assert_eq!(field.map(|field| field.pointer.as_str()), pointer);
        assert!(error.message().ends_with(message), "{error}");
    }

    #[test]
    fn errors_name_the_field_in_words_of_json() {
        let invalid = |text, pointer, message| {
            check(text, ErrorCode::InvalidRequest, Some(pointer), message);
        };
        invalid(
            r#"{"items": [1, "x"]}"#,
            "/items/1",
            r#"found the string "x", expected a whole number"#,
        );
        invalid(
            r#"{"items": [], "a/b": 1}"#,
            "/a~1b",
            "unknown field `a/b`, expected `items`",
        );
        invalid("{}", "", "missing field `items`");
        invalid(r#"{"items": 3}"#, "/items", "expected an array");
        invalid(r#"{"items": [-1]}"#, "/items/0", "expected a whole number");
        invalid("[[1]]", "", "expected an object");
        invalid(
            r#"{"items": [], "items": []}"#,
            "",
            "duplicate field `items`",
        );
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let malformed = |text| check(text, ErrorCode::MalformedJson, None, "");
        malformed(r#"{"items": ["#);
        malformed(r#"{"items": []} x"#);
        malformed("");
        malformed(r#"{"items": [NaN]}"#);
        malformed(r#"{"items": [1e999]}"#);
    }
}
