//! `braid serve`.

use std::time::Instant;

use braid_config::Settings;
use braid_core::{CollectionName, Error, Result};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_runtime::telemetry;
use braid_server::{App, serve as http};
use tokio::signal::unix::{SignalKind, signal};

use crate::open::server_options;
use crate::output::Exit;

pub(crate) async fn run(settings: &Settings) -> Result<Exit> {
    let start = Instant::now();
    let metrics = telemetry::install_metrics()?;
    let defaults = retrieve_defaults(settings)?;
    let server = &settings.server;
    let listener = http::bind(server.listen, server.allow_unauthenticated).await?;
    let engine = Engine::open(settings, OpenOptions::default()).await?;
    engine
        .ensure_collection(&CollectionName::new("default")?)
        .await?;
    let app = App::new(engine, server_options(settings), defaults, Some(metrics));
    let stop = stop_signal()?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal(error.to_string()))?;
    tracing::info!(
        %address,
        data_dir = %settings.storage.data_dir.display(),
        seconds = start.elapsed().as_secs_f64(),
        "ready"
    );
    http::serve(listener, app, stop).await?;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// Resolves at SIGINT or SIGTERM. Registered before the server starts, so that none is missed.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    let register = |kind| {
        signal(kind).map_err(|error| Error::internal("cannot watch signals").with_source(error))
    };
    let mut interrupt = register(SignalKind::interrupt())?;
    let mut terminate = register(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
