//! Printing: results to standard output, errors to standard error in one line.

use std::io::Write;
use std::process::ExitCode;

use braid_core::{Error, ErrorCode, Result};
use serde::Serialize;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Wrong usage.
    Usage,
    /// Some documents failed.
    Partly,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Partly => 3,
        })
    }
}

/// Prints a line. A reader that has gone away (`| head`) is not an error.
pub(crate) fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
}

/// Prints a value as indented JSON.
///
/// # Errors
/// `Internal` for a value that has no JSON form.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("cannot print as JSON").with_source(error))?;
    line(text);
    Ok(())
}

/// Prints an error, every bad field included, and says how the command ended.
pub(crate) fn failure(error: &Error) -> Exit {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "error: {error}");
    for field in error.fields().iter().skip(1) {
        let _ = writeln!(err, "error: {}: {}", field.pointer, field.detail);
    }
    let is_usage = matches!(
        error.code(),
        ErrorCode::InvalidRequest | ErrorCode::MalformedJson
    );
    if is_usage { Exit::Usage } else { Exit::Failed }
}

/// Rows as columns as wide as their widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(render(header.to_vec()));
    for row in rows {
        line(render(row.iter().map(String::as_str).collect()));
    }
}
