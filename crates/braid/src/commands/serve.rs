//! `braid serve`.

use std::time::Instant;

use braid_config::Settings;
use braid_core::{CollectionName, Error, Result};
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_runtime::telemetry;
use braid_server::{App, serve as http};

use crate::commands::parse_file;
use crate::open::server_options;
use crate::output::Exit;
use crate::signals::Signals;

pub(crate) async fn run(settings: &Settings) -> Result<Exit> {
    let start = Instant::now();
    let metrics = telemetry::install_metrics()?;
    let defaults = retrieve_defaults(settings)?;
    let server = &settings.server;
    let listener = http::bind(server.listen, server.allow_unauthenticated).await?;
    let options = OpenOptions {
        sweeps: true,
        parser: Some(parse_file::parser()?),
        ..OpenOptions::default()
    };
    let engine = Engine::open(settings, options).await?;
    engine
        .ensure_collection(&CollectionName::new("default")?)
        .await?;
    tokio::spawn(telemetry::keep_upkeep(metrics.clone()));
    let app = App::new(engine, server_options(settings), defaults, Some(metrics));
    let signals = Signals::watch()?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal(error.to_string()))?;
    tracing::info!(
        %address,
        place = %crate::open::place(settings),
        seconds = start.elapsed().as_secs_f64(),
        "ready"
    );
    let stop = async move {
        signals.stop().await;
    };
    http::serve(listener, app, stop).await?;
    tracing::info!("stopped");
    Ok(Exit::Done)
}
