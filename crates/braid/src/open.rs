//! From the command line to settings, and from settings to an open engine.

use std::path::Path;
use std::time::Duration;

use braid_config::{LogFormat, Overrides, Settings, StorageProfile};
use braid_core::{Error, ErrorCode, Result};
use braid_engine::{Engine, LoadModels, OpenOptions};
use braid_runtime::telemetry;
use braid_server::ServerOptions;
use tempfile::TempDir;

use crate::args::{Cli, Command};
use crate::output::{self, Exit};
use crate::signals::Signals;

/// Said when a signal ends a command.
pub(crate) const STOPPED: &str = "stopped: what was stored stays stored and is indexed when the \
     data directory is next opened; run the command again to go on";

/// Reads the settings and has log lines written as they say.
///
/// # Errors
/// `InvalidRequest` with everything that is wrong, each with where it is.
pub(crate) fn configure(cli: &Cli) -> Result<Settings> {
    let settings = load_settings(cli)?;
    refuse_data_dir(cli, &settings)?;
    install_tracing(cli, &settings)?;
    Ok(settings)
}

/// A data directory that would not be used is a mistake.
fn refuse_data_dir(cli: &Cli, settings: &Settings) -> Result<()> {
    let is_cluster = settings.storage.profile == StorageProfile::Cluster;
    let is_migration = matches!(cli.command, Command::Migrate(_));
    if !is_cluster || is_migration || cli.global.data_dir.is_none() {
        return Ok(());
    }
    let message = "storage.profile = cluster has no data directory";
    Err(Error::invalid(message).with_help("leave --data-dir out, or choose another profile"))
}

/// Settings from defaults, file, environment and flags.
///
/// # Errors
/// `InvalidRequest` with everything that is wrong, each with where it is.
fn load_settings(cli: &Cli) -> Result<Settings> {
    let set = cli.global.set.iter().cloned();
    let mut flags: Vec<_> = set
        .map(|(key, value)| ("--set".to_owned(), key, value))
        .collect();
    let mut flag = |name: &str, key: &str, value: Option<String>| {
        if let Some(value) = value {
            flags.push((name.to_owned(), key.to_owned(), value));
        }
    };
    let data_dir = cli
        .global
        .data_dir
        .as_ref()
        .map(|path| path.display().to_string());
    flag("--data-dir", "storage.data_dir", data_dir);
    flag("--log-level", "log.level", cli.global.log_level.clone());
    if let Command::Serve(serve) = &cli.command {
        flag(
            "--listen",
            "server.listen",
            serve.listen.map(|address| address.to_string()),
        );
        let allow = serve.allow_unauthenticated.then(|| "true".to_owned());
        flag(
            "--allow-unauthenticated",
            "server.allow_unauthenticated",
            allow,
        );
    }
    braid_config::load(&Overrides {
        file: cli.global.config.clone(),
        environment: std::env::vars().collect(),
        flags,
    })
}

/// Sends log lines to standard error. Commands that print results log warnings only, unless told
/// otherwise.
///
/// # Errors
/// `InvalidRequest` for a bad level.
fn install_tracing(cli: &Cli, settings: &Settings) -> Result<()> {
    let format = match settings.log.format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    let is_default = settings.log == Settings::default().log;
    let is_worker = matches!(&cli.command, Command::Ingest(command) if command.worker);
    let is_server = is_worker || matches!(cli.command, Command::Serve(_));
    let level = if is_default && !is_server {
        "warn"
    } else {
        &settings.log.level
    };
    telemetry::install_tracing(level, format)
}

/// What a command needs of the data directory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Directory {
    /// It is made where it does not exist.
    Made(LoadModels),
    /// The same, by a process that stays and keeps the directory tidy.
    Kept(LoadModels),
    /// It must be there: a mistyped path is said to be one, not filled with an empty directory.
    Found(LoadModels),
}

/// Opens the engine, runs `work` with it, and closes it whatever came of that, a signal included.
pub(crate) async fn with_engine(
    settings: &Settings,
    directory: Directory,
    work: impl AsyncFnOnce(&Engine) -> Result<Exit>,
) -> Result<Exit> {
    let models = match directory {
        Directory::Made(models) | Directory::Kept(models) => models,
        Directory::Found(models) => {
            if settings.storage.profile != StorageProfile::Cluster {
                find_data_dir(&settings.storage.data_dir)?;
            }
            models
        }
    };
    let signals = Signals::watch()?;
    let options = OpenOptions {
        models,
        sweeps: matches!(directory, Directory::Kept(_)),
        ..OpenOptions::default()
    };
    let engine = Engine::open(settings, options).await?;
    let done = tokio::select! {
        done = work(&engine) => done,
        stop = signals.stop() => {
            output::note(STOPPED);
            Ok(Exit::Stopped(stop))
        }
    };
    engine.close().await;
    done
}

/// Where everything is stored, for log lines.
pub(crate) fn place(settings: &Settings) -> String {
    match settings.storage.profile {
        StorageProfile::Embedded | StorageProfile::Qdrant => {
            settings.storage.data_dir.display().to_string()
        }
        StorageProfile::Cluster => settings.qdrant.url.clone(),
    }
}

fn find_data_dir(directory: &Path) -> Result<()> {
    if directory.join("ledger").is_dir() {
        return Ok(());
    }
    let message = format!("there is no data in {}", directory.display());
    let help = "run `braid ingest PATH` first, or name the data directory with --data-dir";
    Err(Error::new(ErrorCode::Unavailable, message).with_help(help))
}

/// Settings of an evaluation: a temporary data directory, removed afterwards, unless one was named.
///
/// # Errors
/// `Unavailable` when no temporary directory can be made.
pub(crate) fn eval_settings(
    cli_data_dir: Option<&Path>,
    settings: &Settings,
) -> Result<(Settings, Option<TempDir>)> {
    if cli_data_dir.is_some() || settings.storage.profile == StorageProfile::Cluster {
        return Ok((settings.clone(), None));
    }
    let temporary = tempfile::tempdir().map_err(|error| {
        Error::new(
            ErrorCode::Unavailable,
            format!("cannot make a temporary directory: {error}"),
        )
        .with_help("name one with --data-dir")
    })?;
    let mut settings = settings.clone();
    settings.storage.data_dir = temporary.path().join("data");
    Ok((settings, Some(temporary)))
}

pub(crate) fn server_options(settings: &Settings) -> ServerOptions {
    let server = &settings.server;
    ServerOptions {
        max_body_bytes: server.max_body_bytes,
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        max_concurrent_requests: server.max_concurrent_requests,
        max_waiting_requests: server.max_waiting_requests,
        shutdown_grace: Duration::from_millis(server.shutdown_grace_ms),
        max_batch_requests: server.max_batch_requests,
        batch_concurrency: server.batch_concurrency,
    }
}
