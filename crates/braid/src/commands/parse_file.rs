//! The process that parses one file: this program again, under an argument that is not for people.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use braid_core::{Error, Result};
use braid_engine::file::isolated::{ParseLimits, Parser, Request, serve};

/// What asks for it, as the first argument.
const ARGUMENT: &str = "__parse-file";

/// Runs a parser that starts this program.
///
/// # Errors
/// When the program does not know where it is.
pub(crate) fn parser() -> Result<Parser> {
    let program = std::env::current_exe().map_err(|error| {
        Error::internal("cannot find this program's own file").with_source(error)
    })?;
    Ok(Parser::new(
        program,
        vec![ARGUMENT.into()],
        ParseLimits::default(),
    ))
}

/// Parses a file if that is what this process was started for.
pub(crate) fn run() -> Option<anyhow::Result<ExitCode>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let arguments: Vec<OsString> = arguments.collect();
    Some(parse(&arguments))
}

fn parse(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let request = Request::of(arguments).context("not started by braid")?;
    serve(&request, std::io::stdout().lock()).context("cannot say what is in the file")?;
    Ok(ExitCode::SUCCESS)
}
