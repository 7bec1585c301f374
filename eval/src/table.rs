//! Tables for people; every command has the same rows as JSON.

use std::collections::BTreeMap;

use braid_core::{Error, Result};
use serde::Serialize;
use serde_json::Value;

/// What a command has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// The same for programs.
    pub json: Value,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done,
    /// Some topics failed, or documents are not searched; they are named.
    Partly,
    /// What was checked does not hold.
    Failed,
}

impl Verdict {
    /// Done, or in part where something is missing.
    pub fn of(is_whole: bool) -> Self {
        if is_whole { Self::Done } else { Self::Partly }
    }
}

impl Answer {
    /// An answer of `rows`, shown as `text`.
    ///
    /// # Errors
    /// `Internal` for rows that have no JSON form.
    pub fn new(text: impl Into<String>, rows: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_value(rows)
            .map_err(|error| Error::internal("cannot write as JSON").with_source(error))?;
        Ok(Self {
            text: text.into(),
            json,
            verdict: Verdict::Done,
        })
    }

    /// The same with another verdict.
    #[must_use]
    pub fn ending(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}

/// Rows as columns as wide as their widest cell; every row has a cell for each column.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths);
        let padded = padded.map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows
        .iter()
        .map(|row| render(row.iter().map(String::as_str).collect()));
    let lines: Vec<String> = std::iter::once(render(header.to_vec()))
        .chain(rows)
        .collect();
    lines.join("\n")
}

/// A mean with its interval.
pub fn with_interval(mean: f64, low: f64, high: f64) -> String {
    format!("{mean:.4} [{low:.4}, {high:.4}]")
}

/// A p-value: those that four places would show as 0 in powers of ten.
pub fn p_value(p: f64) -> String {
    if p < 0.000_05 {
        format!("{p:.0e}")
    } else {
        format!("{p:.4}")
    }
}

/// One line for each topic that failed and each document that is not searched, with the reason.
pub fn partly(
    failed: &BTreeMap<String, String>,
    not_searched: &BTreeMap<String, String>,
) -> Vec<String> {
    let failed = failed.iter();
    let failed = failed.map(|(topic, reason)| format!("failed, scored 0: {topic}: {reason}"));
    let unseen = not_searched.iter();
    let unseen = unseen.map(|(document, reason)| format!("not searched: {document}: {reason}"));
    failed.chain(unseen).collect()
}

/// A difference with its interval.
pub fn signed(mean: f64, low: f64, high: f64) -> String {
    format!("{mean:+.4} [{low:+.4}, {high:+.4}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned()],
            vec!["long".to_owned(), String::new()],
        ];
        assert_eq!(table(&["name", "n"], &rows), "name  n\na     1\nlong");
    }

    #[test]
    fn a_p_value_is_never_shown_as_nothing() {
        let shown = [1.0, 0.0499, 0.000_1, 0.000_04, 3.2e-17].map(p_value);
        assert_eq!(shown, ["1.0000", "0.0499", "0.0001", "4e-5", "3e-17"]);
    }
}
