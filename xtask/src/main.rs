//! Repository chores: `cargo xtask tidy` proves the rules that the compiler cannot.
//!
//! The rules are data in [`rules`]: which crate sits in which layer, which external crate belongs
//! to whom, what may lie in the tree. The checks in [`tidy`] are pure functions over the parsed
//! `cargo metadata` ([`workspace`]) and the tracked files ([`tree`]), so that each has a test with
//! a planted violation. Nothing here is part of the product, nothing depends on this crate, and no
//! check changes a file. `cargo xtask codegen` writes the files that are made from code.
//!
//! Start at [`rules`] to change a rule, at [`tidy::check`] to add one.

mod codegen;
mod rules;
mod tidy;
mod tree;
mod workspace;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::codegen::Mode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Repository chores of Braid")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check the dependency, source and file rules; one line per violation, exit status 1 if any
    Tidy,
    /// Write the files that are generated from the code
    Codegen {
        /// Compare instead of writing; exit status 1 if a file is stale
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().task {
        Task::Tidy => run_tidy(),
        Task::Codegen { check: true } => run_codegen(Mode::Check),
        Task::Codegen { check: false } => run_codegen(Mode::Write),
    }
}

fn run_codegen(mode: Mode) -> Result<ExitCode> {
    let stale = codegen::run(&workspace::read()?.root, mode)?;
    let mut out = io::stdout().lock();
    for path in &stale {
        match mode {
            Mode::Write => writeln!(out, "{path}: written")?,
            Mode::Check => writeln!(out, "{path}: stale: run `cargo xtask codegen`")?,
        }
    }
    let failed = mode == Mode::Check && !stale.is_empty();
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn run_tidy() -> Result<ExitCode> {
    let workspace = workspace::read()?;
    let tree = tree::read(&workspace.root)?;
    let violations = tidy::check(&workspace, &tree);
    let mut out = io::stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    let (crates, files) = (workspace.packages.len(), tree.files.len());
    if violations.is_empty() {
        writeln!(
            out,
            "tidy: {crates} crates and {files} files keep the rules"
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "tidy: {} violations", violations.len())?;
    Ok(ExitCode::FAILURE)
}
