//! Query syntax: `"exact phrase"`, `-word`, `-"phrase"`, `field:word`, for those who want it.
//!
//! Reading never fails. What is not exactly an operator is plain text: unbalanced quotes, `-1`, `e-mail`,
//! `http://x`, `12:30`, `std::vec`, fields that do not exist. A query without any operator is searched for
//! as it is, to the byte.

#[cfg(test)]
mod tests;

use braid_core::{TextCondition, TextField};

/// Most operators of one query: a text with more was pasted, not written to be one.
pub const MAX_OPERATORS: usize = 16;

/// Whether operators are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// What is an operator is one.
    #[default]
    Auto,
    /// Every query is plain text.
    Off,
}

impl Syntax {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }

    /// A query as it is understood.
    pub(crate) fn read(self, query: &str) -> ParsedQuery {
        match self {
            Self::Auto => parse_query(query),
            Self::Off => ParsedQuery::plain(query),
        }
    }
}

/// Whether words that the index does not have are searched for as words that are written nearly so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Typos {
    /// They are.
    #[default]
    Auto,
    /// Every word stands as it is.
    Off,
}

impl Typos {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

/// A query as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedQuery {
    /// What both legs and the re-ranker look for: the query without operators and without what it
    /// excludes.
    pub text: String,
    /// What passages must say, and must not, in order.
    pub conditions: Vec<TextCondition>,
    /// Whether there were more than [`MAX_OPERATORS`], so that none was read.
    pub has_too_many: bool,
}

impl ParsedQuery {
    /// A query that is nothing but text.
    pub(crate) fn plain(query: &str) -> Self {
        Self {
            text: query.to_owned(),
            ..Self::default()
        }
    }
}

/// A condition of a query, with how far it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionReport {
    /// The condition.
    pub condition: TextCondition,
    /// How many passages that the filter lets pass say its words.
    pub saying: u64,
}

/// Reads a query. Exclusions alone are plain text: there would be nothing to look for.
pub fn parse_query(query: &str) -> ParsedQuery {
    let mut text = String::with_capacity(query.len());
    let mut conditions: Vec<TextCondition> = Vec::new();
    let mut operators = 0;
    let mut rest = query;
    let mut is_start = true;
    while let Some(first) = rest.chars().next() {
        if is_start && let Some(operator) = operator(rest) {
            operators += 1;
            if !operator.condition.is_excluded {
                text.push_str(&operator.condition.text);
            }
            if !conditions.contains(&operator.condition) {
                conditions.push(operator.condition);
            }
            rest = &rest[operator.bytes..];
            is_start = false;
            continue;
        }
        is_start = first.is_whitespace() || first == '(';
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    let has_too_many = operators > MAX_OPERATORS;
    let is_searchable = text.chars().any(char::is_alphanumeric);
    if conditions.is_empty() || has_too_many || !is_searchable {
        return ParsedQuery {
            has_too_many,
            ..ParsedQuery::plain(query)
        };
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    ParsedQuery {
        text: words.join(" "),
        conditions,
        has_too_many,
    }
}

/// An operator at the start of a text.
struct Operator {
    condition: TextCondition,
    /// Its length.
    bytes: usize,
}

fn operator(text: &str) -> Option<Operator> {
    let unsigned = text.strip_prefix('-');
    let (field, operand) = field(unsigned.unwrap_or(text));
    let before = text.len() - operand.len();
    let (words, bytes) = match quoted(operand) {
        Some(quoted) => quoted,
        None => {
            let word = word(operand)?;
            let stands = field.is_some() || (unsigned.is_some() && is_excludable(word));
            stands.then_some((word, word.len()))?
        }
    };
    Some(Operator {
        condition: TextCondition {
            text: words.trim().to_owned(),
            field,
            is_excluded: unsigned.is_some(),
        },
        bytes: before + bytes,
    })
}

/// The field that a text starts with, and what follows it.
fn field(text: &str) -> (Option<TextField>, &str) {
    for (field, name) in TextField::ALL {
        let operand = text
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'));
        if let Some(operand) = operand {
            return (Some(field), operand);
        }
    }
    (None, text)
}

/// What stands in quotes at the start of a text, and the length with the quotes. The quotes must stand
/// apart from words (`5" pipe` and `"a"b` have none) and have a letter or digit between them.
fn quoted(text: &str) -> Option<(&str, usize)> {
    let mut chars = text.chars();
    let open = chars.next()?;
    let inner = chars.as_str();
    let closes = |c: char| match open {
        '"' => c == '"',
        '\u{201c}' => c == '\u{201d}',
        '\u{201e}' => matches!(c, '\u{201c}' | '\u{201d}'),
        _ => false,
    };
    let end = inner.find(closes)?;
    let close = inner[end..].chars().next()?;
    let bytes = open.len_utf8() + end + close.len_utf8();
    let phrase = &inner[..end];
    let stands_apart = text[bytes..]
        .chars()
        .next()
        .is_none_or(|after| !after.is_alphanumeric() && after != '_' && !closes(after));
    let says_something = phrase.chars().any(char::is_alphanumeric);
    (stands_apart && says_something).then_some((phrase, bytes))
}

/// What stands up to the next white space, without the punctuation at its end; it starts with a letter
/// or digit.
fn word(text: &str) -> Option<&str> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let word = text[..end].trim_end_matches(|c: char| !c.is_alphanumeric());
    word.starts_with(char::is_alphanumeric).then_some(word)
}

/// Whether `-word` can mean to leave it out: a word of two characters or more that starts with a letter.
/// `-1` is a number, `-r` a flag, and what has other marks in it than words have is a path or a formula.
fn is_excludable(word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\'' | '\u{2019}');
    word.starts_with(char::is_alphabetic)
        && word.chars().nth(1).is_some()
        && word.chars().all(inner)
}
