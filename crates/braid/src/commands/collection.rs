//! `braid collection`.

use braid_config::Settings;
use braid_core::ports::Recorded;
use braid_core::{CollectionSettings, Error, Result};
use braid_engine::{CollectionInfo, Engine, LoadModels, RebuildProgress};
use braid_server::dto::collections::{CollectionAnswer, CollectionsAnswer, DeletedAnswer};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{CollectionCommand, CreateArgs};
use crate::open::with_engine;
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, command: CollectionCommand) -> Result<Exit> {
    let models = match command {
        CollectionCommand::List { .. } | CollectionCommand::Delete { .. } => LoadModels::None,
        CollectionCommand::Create(_) | CollectionCommand::Rebuild { .. } => LoadModels::Embedder,
    };
    with_engine(settings, models, async |engine| match command {
        CollectionCommand::Create(args) => create(engine, args).await,
        CollectionCommand::List { json } => list(engine, json).await,
        CollectionCommand::Delete { name, json } => {
            let deleted = matches!(
                engine.delete_collection(&name, None).await?,
                Recorded::Done(true)
            );
            if json {
                output::json(&DeletedAnswer { deleted })?;
            } else if deleted {
                output::line(format!("deleted {name}"));
            } else {
                output::line(format!("there is no collection {name}"));
            }
            Ok(if deleted { Exit::Done } else { Exit::Failed })
        }
        CollectionCommand::Rebuild {
            name,
            with_configured_settings,
            json,
        } => {
            let settings = with_configured_settings.then(|| engine.default_collection_settings());
            let bar = rebuild_bar();
            let collection = engine
                .rebuild(&name, settings, move |at| show(&bar, at))
                .await?;
            print(engine.collection_info(&collection.name).await?, json)
        }
    })
    .await
}

async fn create(engine: &Engine, args: CreateArgs) -> Result<Exit> {
    let defaults = engine.default_collection_settings();
    let mut chunking = defaults.chunking;
    chunking.strategy = args.strategy.unwrap_or(chunking.strategy);
    chunking.target_tokens = args.target_tokens.unwrap_or(chunking.target_tokens);
    chunking.overlap_tokens = args.overlap_tokens.unwrap_or(chunking.overlap_tokens);
    let settings = CollectionSettings {
        language: args.language.unwrap_or(defaults.language),
        chunking,
    };
    match engine
        .create_collection(args.name.clone(), settings, None)
        .await?
    {
        Recorded::Done(_) => print(engine.collection_info(&args.name).await?, args.json),
        Recorded::Replayed(_) => Err(Error::internal("an unguarded write was replayed")),
    }
}

async fn list(engine: &Engine, json: bool) -> Result<Exit> {
    let infos = engine.collections().await?;
    if json {
        let collections = infos.into_iter().map(CollectionAnswer::from).collect();
        output::json(&CollectionsAnswer { collections })?;
        return Ok(Exit::Done);
    }
    let header = [
        "name",
        "documents",
        "chunks",
        "failed",
        "lag",
        "language",
        "generation",
    ];
    let rows = infos.into_iter().map(|info| {
        let answer = CollectionAnswer::from(info);
        vec![
            answer.name,
            answer.documents.to_string(),
            answer.chunks.to_string(),
            answer.failed.to_string(),
            answer.lag.to_string(),
            answer.language,
            answer.generation.to_string(),
        ]
    });
    output::table(&header, &rows.collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn print(info: CollectionInfo, json: bool) -> Result<Exit> {
    let answer = CollectionAnswer::from(info);
    if json {
        output::json(&answer)?;
    } else {
        output::line(format!(
            "{}: {} documents, {} chunks, {} analyzer, chunking {} of {} tokens, generation {}",
            answer.name,
            answer.documents,
            answer.chunks,
            answer.language,
            answer.chunking.strategy,
            answer.chunking.target_tokens,
            answer.generation
        ));
    }
    Ok(Exit::Done)
}

fn rebuild_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("rebuilding {wide_bar} {pos}/{len} {per_sec} ETA {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Each chunk is embedded (or found embedded) once and written to two indexes.
fn show(bar: &ProgressBar, at: RebuildProgress) {
    bar.set_length(at.chunks * 3);
    bar.set_position(at.embedded + at.written);
}
