//! `braid collection`.

use braid_config::Settings;
use braid_core::ports::Recorded;
use braid_core::{
    ChunkingOverride, CollectionName, Error, ErrorCode, FormatFamily, FormatOverrides, Result,
};
use braid_engine::{LoadModels, RebuildProgress};
use braid_ingest::remote::segment;
use braid_server::dto::collections::{
    ChunkingAnswer, ChunkingBody, CollectionAnswer, CollectionBody, CollectionsAnswer,
    DeletedAnswer, FormatChunking, FormatsChunking,
};
use braid_server::dto::duplicates::{DuplicatesAnswer, DuplicatesBody};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{CollectionCommand, CreateArgs};
use crate::commands::{ask, synonyms};
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, command: CollectionCommand) -> Result<Exit> {
    match command {
        CollectionCommand::Create(args) => create(settings, args).await,
        CollectionCommand::List { server, json } => list(settings, server, json).await,
        CollectionCommand::Delete { name, server, json } => {
            let exit = delete(settings, name.clone(), server).await?;
            if exit == Exit::Done && json {
                output::json(&DeletedAnswer { deleted: true })?;
            } else if exit == Exit::Done {
                output::line(format!("deleted {name}"));
            }
            Ok(exit)
        }
        CollectionCommand::Synonyms(args) => synonyms::run(settings, args).await,
        CollectionCommand::Rebuild {
            name,
            with_configured_settings,
            json,
        } => {
            let directory = Directory::Found(LoadModels::Embedder);
            with_engine(settings, directory, async |engine| {
                let settings =
                    with_configured_settings.then(|| engine.default_collection_settings());
                let bar = rebuild_bar();
                engine
                    .rebuild(&name, settings, move |at| show(&bar, at))
                    .await?;
                print(&engine.collection_info(&name).await?.into(), json)
            })
            .await
        }
    }
}

async fn create(settings: &Settings, args: CreateArgs) -> Result<Exit> {
    if let Some(url) = &args.server {
        let path = format!("/v1/collections/{}", segment(args.name.as_str()));
        let body = serde_json::to_value(body(&args))
            .map_err(|error| Error::internal("cannot write as JSON").with_source(error))?;
        let made = ask(url, move |remote| remote.put(&path, &body)).await?;
        return print(&made, args.json);
    }
    let directory = Directory::Made(LoadModels::Embedder);
    with_engine(settings, directory, async |engine| {
        let settings = body(&args).into_settings(engine.default_collection_settings())?;
        engine
            .create_collection(args.name.clone(), settings, None)
            .await?;
        let made = engine.collection_info(&args.name).await?;
        print(&made.into(), args.json)
    })
    .await
}

fn body(args: &CreateArgs) -> CollectionBody {
    CollectionBody {
        language: args.language.map(|language| language.to_string()),
        chunking: Some(ChunkingBody {
            strategy: args.strategy.map(|strategy| strategy.as_str().to_owned()),
            target_tokens: args.target_tokens,
            overlap_tokens: args.overlap_tokens,
            formats: (!args.chunking.is_empty()).then(|| formats(&args.chunking)),
        }),
        duplicates: Some(DuplicatesBody {
            action: args.duplicates.map(|action| action.as_str().to_owned()),
            min_similarity: args.min_similarity,
        }),
    }
}

fn formats(chosen: &[(FormatFamily, ChunkingOverride)]) -> FormatsChunking {
    let mut formats = FormatOverrides::default();
    for (family, chunking) in chosen {
        *formats.of_mut(*family) = *chunking;
    }
    formats.into()
}

/// Deletes a collection that exists.
async fn delete(settings: &Settings, name: CollectionName, server: Option<String>) -> Result<Exit> {
    if let Some(url) = &server {
        let path = format!("/v1/collections/{}", segment(name.as_str()));
        let answer: DeletedAnswer = ask(url, move |remote| remote.delete(&path)).await?;
        return was_deleted(&name, answer.deleted);
    }
    with_engine(
        settings,
        Directory::Found(LoadModels::None),
        async |engine| {
            let deleted = engine.delete_collection(&name, None).await?;
            was_deleted(&name, matches!(deleted, Recorded::Done(true)))
        },
    )
    .await
}

fn was_deleted(name: &CollectionName, deleted: bool) -> Result<Exit> {
    if deleted {
        return Ok(Exit::Done);
    }
    let message = format!("there is no collection {name}");
    Err(Error::new(ErrorCode::CollectionNotFound, message))
}

async fn list(settings: &Settings, server: Option<String>, json: bool) -> Result<Exit> {
    if let Some(url) = &server {
        let listed: CollectionsAnswer = ask(url, |remote| remote.get("/v1/collections")).await?;
        return print_list(listed, json);
    }
    with_engine(
        settings,
        Directory::Found(LoadModels::None),
        async |engine| {
            let infos = engine.collections().await?.into_iter();
            let collections = infos.map(CollectionAnswer::from).collect();
            print_list(CollectionsAnswer { collections }, json)
        },
    )
    .await
}

fn print_list(answer: CollectionsAnswer, json: bool) -> Result<Exit> {
    if json {
        output::json(&answer)?;
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
    let rows = answer.collections.into_iter().map(|answer| {
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

fn print(answer: &CollectionAnswer, json: bool) -> Result<Exit> {
    if json {
        output::json(answer)?;
    } else {
        output::line(format!(
            "{}: {} documents, {} chunks, {} analyzer, chunking {}, duplicates {}, generation {}",
            answer.name,
            answer.documents,
            answer.chunks,
            answer.language,
            described(&answer.chunking),
            said_of(&answer.duplicates),
            answer.generation
        ));
    }
    Ok(Exit::Done)
}

/// `report from 90 % on`.
pub(crate) fn said_of(duplicates: &DuplicatesAnswer) -> String {
    match duplicates.action.as_str() {
        "ignore" => duplicates.action.clone(),
        action => {
            let percent = duplicates.min_similarity * 100.0;
            format!("{action} from {percent:.0} % on")
        }
    }
}

/// `structure of 180 tokens (code: tokens of 120 tokens)`.
fn described(chunking: &ChunkingAnswer) -> String {
    let rule = |strategy: &str, target: usize| match strategy {
        "whole" => strategy.to_owned(),
        _ => format!("{strategy} of {target} tokens"),
    };
    let all = rule(&chunking.strategy, chunking.target_tokens);
    let formats = chunking.formats.clone().unwrap_or_default();
    let different = [
        ("text", formats.text),
        ("markdown", formats.markdown),
        ("html", formats.html),
        ("code", formats.code),
    ];
    let said = different.into_iter().filter_map(|(name, chosen)| {
        let FormatChunking {
            strategy,
            target_tokens,
            overlap_tokens: _,
        } = chosen?;
        let strategy = strategy.as_ref().unwrap_or(&chunking.strategy);
        let target = target_tokens.unwrap_or(chunking.target_tokens);
        Some(format!("{name}: {}", rule(strategy, target)))
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        all
    } else {
        format!("{all} ({})", said.join(", "))
    }
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
