//! The `braid` binary: the command line over the engine, the server, batch ingest and evaluation.

mod args;
mod commands;
mod open;
mod output;
mod signals;

use std::process::ExitCode;

use anyhow::Context;
use braid_config::Settings;
use braid_core::Result;
use braid_engine::LoadModels;
use braid_engine::file::isolated;
use braid_ingest::remote::Remote;
use braid_ingest::{IngestArgs, IngestReport, Target, Told};
use clap::Parser;

use crate::args::{Cli, Command, IngestCommand};
use crate::open::{Directory, with_engine};
use crate::output::Exit;
use crate::signals::Signals;

/// Gives memory back that was needed once: the C library's allocator keeps what threads freed among
/// what others still use, so that long ingestion took the more memory the longer it ran.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(exit) = commands::parse_file::run() {
        return exit;
    }
    let cli = match Cli::try_parse_from(args::set_first(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return Ok(output::usage(&error).into()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("braid-async")
        .build()
        .context("cannot start the async runtime")?;
    let exit = runtime
        .block_on(run(cli))
        .unwrap_or_else(|error| output::failure(&error));
    // What is still running has been told to stop and holds nothing that is not durable.
    runtime.shutdown_background();
    Ok(exit.into())
}

async fn run(cli: Cli) -> Result<Exit> {
    let settings = open::configure(&cli);
    match cli.command {
        Command::Serve(_) => commands::serve::run(&settings?).await,
        Command::Ingest(command) => ingest(&settings?, command).await,
        Command::Retrieve(args) => commands::retrieve::run(&settings?, args).await,
        Command::Explain(args) => commands::explain::run(&settings?, args).await,
        Command::Eval(args) => commands::eval::run(&settings?, &cli.global, args.command).await,
        Command::Collection(command) => commands::collection::run(&settings?, command).await,
        Command::Document(command) => commands::document::run(&settings?, command).await,
        Command::Job(command) => commands::job::run(&settings?, command).await,
        Command::Cache(command) => commands::cache::run(command).await,
        Command::Models(command) => commands::models::run(&settings?, command),
        Command::Verify(args) => commands::verify::run(&settings?, args).await,
        // A configuration that cannot be read is one of its findings.
        Command::Doctor(args) => commands::doctor::run(settings, &args).await,
        Command::Inspect(command) => commands::inspect::run(&settings?, command).await,
        Command::Migrate(args) => commands::migrate::run(&settings?, args).await,
        Command::Plan(args) => commands::plan::run(&args),
    }
}

async fn ingest(settings: &Settings, command: IngestCommand) -> Result<Exit> {
    let args = &command.ingest;
    if command.worker {
        return commands::worker::run(settings, command.once, args.json).await;
    }
    let parser = commands::parse_file::parser()?;
    let Some(url) = &command.server else {
        let models = LoadModels::Embedder;
        let directory = match args.watch {
            true => Directory::Kept(models),
            false => Directory::Made(models),
        };
        return with_engine(settings, directory, async |engine| {
            take(args, parser.clone(), Target::Local(engine.clone())).await
        })
        .await;
    };
    let signals = Signals::watch()?;
    tokio::select! {
        done = take(args, parser, Target::Server(Remote::new(url)?)) => done,
        stop = signals.stop() => {
            output::note("stopped: what the server acknowledged is durable; run the command again to go on");
            Ok(Exit::Stopped(stop))
        }
    }
}

/// Ingests once, or until a signal comes.
async fn take(args: &IngestArgs, parser: isolated::Parser, target: Target) -> Result<Exit> {
    if args.watch {
        let tell = |told: Told<'_>| print_told(told, args.json);
        braid_ingest::watch(args, Some(parser), target, tell).await?;
        return Ok(Exit::Done);
    }
    let waits = matches!(&target, Target::Local(engine) if engine.has_workers());
    let report = braid_ingest::run(args, Some(parser), target).await?;
    if waits {
        output::note(
            "stored: it is retrievable once a worker has indexed it (`braid ingest --worker`)",
        );
    }
    print_ingested(&report, args.json)
}

/// One line a batch, and one for each document that failed.
fn print_told(told: Told<'_>, json: bool) {
    match told {
        Told::Failed(error) => {
            output::failure(error);
        }
        Told::First(report) | Told::Batch(report) if json => output::json_line(report),
        Told::First(report) | Told::Batch(report) => {
            report.lines().iter().for_each(output::line);
        }
    }
    if let Told::First(_) = told {
        output::note("watching for changes: Ctrl-C ends it");
    }
}

fn print_ingested(report: &IngestReport, json: bool) -> Result<Exit> {
    if json {
        output::json(report)?;
    } else {
        report.lines().iter().for_each(output::line);
    }
    Ok(if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::Partly
    })
}
