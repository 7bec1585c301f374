//! Printing: results to standard output, errors to standard error in one line.

use std::error::Error as _;
use std::io::Write;
use std::process::ExitCode;

use braid_core::{Error, ErrorCode, Result};
use serde::Serialize;

use crate::signals::Stop;

/// Prints what clap has to say: help and version as they are, wrong usage as one line.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // A reader that has gone away is not an error.
        let _ = error.print();
        return Exit::Done;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Usage;
    }
    let text = error.render().to_string();
    let wanted = |line: &&str| {
        let is_advice = line.starts_with("For more information") || line.starts_with("Usage:");
        !line.is_empty() && !is_advice
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(wanted).collect();
    note(format!("{} (see --help)", lines.join(" ")));
    Exit::Usage
}

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
    /// Stopped by a signal.
    Stopped(Stop),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Partly => 3,
            Exit::Stopped(stop) => stop.exit_status(),
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

/// Prints a value as JSON on one line.
pub(crate) fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => note(format!("error: cannot print as JSON: {error}")),
    }
}

/// Prints an error and says how the command ended: one line, with the cause where the message does
/// not say it; where several fields are bad, one line each.
pub(crate) fn failure(error: &Error) -> Exit {
    match error.fields() {
        fields @ [_, _, ..] => fields
            .iter()
            .for_each(|field| note(format!("error: {}: {}", field.pointer, field.detail))),
        [] | [_] => note(format!("error: {}", one_line(error))),
    }
    let is_usage = matches!(
        error.code(),
        ErrorCode::InvalidRequest | ErrorCode::MalformedJson
    );
    if is_usage { Exit::Usage } else { Exit::Failed }
}

/// Prints a line to standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// The message, each cause that it does not already contain, and the help.
fn one_line(error: &Error) -> String {
    match error.help() {
        Some(help) => one(&format!("{}; {help}", cause(error))),
        None => cause(error),
    }
}

/// The message and each cause that it does not already contain, on one line.
pub(crate) fn cause(error: &Error) -> String {
    let mut text = error.message().to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    one(&text)
}

fn one(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_cause_once() {
        let cause = std::io::Error::other("disk\non fire");
        let error = Error::internal("cannot commit")
            .with_source(cause)
            .with_help("buy another");
        assert_eq!(one_line(&error), "cannot commit: disk on fire; buy another");
        let said = Error::internal("cannot commit: no").with_source(std::io::Error::other("no"));
        assert_eq!(one_line(&said), "cannot commit: no");
    }
}
