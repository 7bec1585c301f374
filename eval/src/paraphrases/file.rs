//! Files of labelled pairs.

use std::path::Path;

use braid_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Two questions and whether one answer is right for both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// One question, with one blank between words.
    pub one: String,
    /// The other.
    pub other: String,
    /// Whether they have the same answer.
    pub same: bool,
    /// What kind of pair it is, where the file says.
    #[serde(default)]
    pub kind: String,
}

/// Reads pairs: `.jsonl` with `{"one", "other", "same", "kind"?}` a line, anything else tab-separated
/// with the same columns under a header, `same` as 0 or 1.
///
/// # Errors
/// `InvalidRequest` naming the file and line.
pub fn read_pairs(path: &Path) -> Result<Vec<Pair>> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("{name} cannot be read: {error}")))?;
    let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl");
    let header = usize::from(!is_jsonl);
    if header == 1 && !text.starts_with("one\tother\tsame") {
        return Err(Error::invalid(format!("{name}:1: no header"))
            .with_help("begin with one, other, same and, if you like, kind, separated by tabs"));
    }
    let lines = text.lines().enumerate().skip(header);
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let pairs: Result<Vec<Pair>> = lines
        .map(|(number, line)| {
            let read = if is_jsonl {
                from_json(line)
            } else {
                from_tabs(line)
            };
            let pair = read.and_then(checked);
            pair.map_err(|problem| Error::invalid(format!("{name}:{}: {problem}", number + 1)))
        })
        .collect();
    let pairs = pairs?;
    if pairs.is_empty() {
        return Err(Error::invalid(format!("{name} has no pairs")));
    }
    Ok(pairs)
}

fn from_json(line: &str) -> Result<Pair, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

fn from_tabs(line: &str) -> Result<Pair, String> {
    let columns: Vec<&str> = line.split('\t').collect();
    let (one, other, same, kind) = match columns[..] {
        [one, other, same] => (one, other, same, ""),
        [one, other, same, kind] => (one, other, same, kind),
        _ => return Err(format!("{} columns, expected 3 or 4", columns.len())),
    };
    let same = match same {
        "1" => true,
        "0" => false,
        _ => return Err(format!("same is {same:?}, expected 0 or 1")),
    };
    Ok(Pair {
        one: one.to_owned(),
        other: other.to_owned(),
        same,
        kind: kind.to_owned(),
    })
}

fn checked(pair: Pair) -> Result<Pair, String> {
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let pair = Pair {
        one: spaced(&pair.one),
        other: spaced(&pair.other),
        ..pair
    };
    if pair.one.is_empty() || pair.other.is_empty() {
        return Err("a question is empty".to_owned());
    }
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str) -> Result<Vec<Pair>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_pairs(&path).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn both_layouts_say_the_same() {
        let tabs = "one\tother\tsame\tkind\na  b\tc\t1\tk\nd\te\t0\t\n\n";
        let json = "{\"one\":\"a b\",\"other\":\"c\",\"same\":true,\"kind\":\"k\"}\n\
                    {\"one\":\"d\",\"other\":\"e\",\"same\":false}\n";
        let pairs = check("p.tsv", tabs).unwrap();
        assert_eq!(pairs, check("p.jsonl", json).unwrap());
        assert_eq!(pairs[0].one, "a b");
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        let message = |name: &str, text: &str| check(name, text).unwrap_err();
        assert!(message("p.tsv", "a\tb\t1\n").ends_with("p.tsv:1: no header"));
        let header = "one\tother\tsame\n";
        let bad = message("p.tsv", &format!("{header}a\tb\tyes\n"));
        assert!(
            bad.ends_with("p.tsv:2: same is \"yes\", expected 0 or 1"),
            "{bad}"
        );
        assert!(message("p.tsv", &format!("{header}a\tb\n")).contains(":2: 2 columns"));
        assert!(message("p.tsv", &format!("{header} \tb\t1\n")).contains("empty"));
        assert!(message("p.tsv", header).ends_with("has no pairs"));
        assert!(
            message("p.jsonl", "{\"one\":\"a\",\"other\":\"b\"}").contains(":1: missing field")
        );
    }
}
