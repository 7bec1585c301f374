//! `braid inspect collection`.

use braid_config::Settings;
use braid_core::{CollectionName, Result};
use braid_engine::{CollectionInfo, Engine, IndexState, LoadModels};
use braid_ingest::remote::segment;
use braid_server::dto::collections::{CollectionAnswer, CollectionsAnswer};
use serde::Serialize;

use super::{field, size, time};
use crate::commands::ask;
use crate::commands::collection::said_of;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Collections, and the ledger that they share.
#[derive(Serialize)]
struct Inspected {
    collections: Vec<InspectedCollection>,
    /// `null` where a server was asked, and in a cluster.
    ledger: Option<LedgerUse>,
}

#[derive(Serialize)]
struct InspectedCollection {
    #[serde(flatten)]
    collection: CollectionAnswer,
    /// `null` where a server was asked, and in a cluster.
    watermarks: Option<Watermarks>,
    /// Empty where a server was asked.
    indexes: Vec<InspectedIndex>,
}

#[derive(Clone, Copy, Serialize)]
struct Watermarks {
    newest: u64,
    published: u64,
    /// Chunks that are hidden and still in the indexes.
    retired: u64,
}

#[derive(Serialize)]
struct InspectedIndex {
    leg: String,
    size_bytes: u64,
    entries: Option<u64>,
    missing: Option<u64>,
    extra: Option<u64>,
    watermark: Option<u64>,
    /// Why it cannot be opened.
    error: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
struct LedgerUse {
    used_bytes: u64,
    limit_bytes: u64,
}

pub(super) async fn run(
    settings: &Settings,
    name: Option<CollectionName>,
    (server, json): (Option<String>, bool),
) -> Result<Exit> {
    if let Some(url) = &server {
        return print(&from_server(url, name).await?, json);
    }
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        print(&from_engine(engine, name.as_ref()).await?, json)
    })
    .await
}

async fn from_engine(engine: &Engine, name: Option<&CollectionName>) -> Result<Inspected> {
    let infos = match name {
        Some(name) => vec![engine.collection_info(name).await?],
        None => engine.collections().await?,
    };
    let mut collections = Vec::new();
    for info in infos {
        collections.push(match engine.has_workers() {
            true => InspectedCollection::bare(info.into()),
            false => {
                let states = engine.index_states(&info.collection).await?;
                InspectedCollection::new(info, states)
            }
        });
    }
    let in_use = engine.storage_use().await?;
    Ok(Inspected {
        collections,
        ledger: (!engine.has_workers()).then_some(LedgerUse {
            used_bytes: in_use.used_bytes,
            limit_bytes: in_use.limit_bytes,
        }),
    })
}

async fn from_server(url: &str, name: Option<CollectionName>) -> Result<Inspected> {
    let collections = match name {
        Some(name) => {
            let path = format!("/v1/collections/{}", segment(name.as_str()));
            vec![ask(url, move |remote| remote.get(&path)).await?]
        }
        None => {
            let listed: CollectionsAnswer =
                ask(url, |remote| remote.get("/v1/collections")).await?;
            listed.collections
        }
    };
    Ok(Inspected {
        collections: collections
            .into_iter()
            .map(InspectedCollection::bare)
            .collect(),
        ledger: None,
    })
}

impl InspectedCollection {
    /// Without what only files of a data directory tell.
    fn bare(collection: CollectionAnswer) -> Self {
        Self {
            collection,
            watermarks: None,
            indexes: Vec::new(),
        }
    }

    fn new(info: CollectionInfo, states: [IndexState; 2]) -> Self {
        let stats = &info.stats;
        Self {
            watermarks: Some(Watermarks {
                newest: stats.newest.0,
                published: stats.published.0,
                retired: stats.retired,
            }),
            collection: info.into(),
            indexes: states.into_iter().map(InspectedIndex::from).collect(),
        }
    }
}

impl From<IndexState> for InspectedIndex {
    fn from(state: IndexState) -> Self {
        let report = state.report.as_ref().ok();
        Self {
            leg: state.leg.as_str().to_owned(),
            size_bytes: state.bytes,
            entries: report.map(|report| report.held),
            missing: report.map(|report| report.missing.len()),
            extra: report.map(|report| report.extra.len()),
            watermark: report.map(|report| report.watermark.0),
            error: state.report.as_ref().err().map(ToString::to_string),
        }
    }
}

fn print(inspected: &Inspected, json: bool) -> Result<Exit> {
    if json {
        output::json(inspected)?;
        return Ok(Exit::Done);
    }
    for collection in &inspected.collections {
        print_collection(collection);
    }
    if let Some(ledger) = inspected.ledger {
        let (used, limit) = (size(ledger.used_bytes), size(ledger.limit_bytes));
        output::line(format!("ledger of all collections: {used} of {limit}"));
    }
    Ok(Exit::Done)
}

fn print_collection(inspected: &InspectedCollection) {
    let collection = &inspected.collection;
    output::line(format!("collection {}", collection.name));
    field(
        "made",
        format!(
            "{}, generation {}",
            time(collection.created_at_ms),
            collection.generation
        ),
    );
    field("language", &collection.language);
    let chunking = &collection.chunking;
    field(
        "chunking",
        format!(
            "{} of {} tokens, overlap {}",
            chunking.strategy, chunking.target_tokens, chunking.overlap_tokens
        ),
    );
    field("duplicates", said_of(&collection.duplicates));
    field("chunker", &collection.fingerprint.chunker);
    field("analyzer", &collection.fingerprint.analyzer);
    field(
        "embedder",
        format!(
            "{}, {} dimensions",
            collection.fingerprint.embedder, collection.dimension
        ),
    );
    field("documents", collection.documents.to_string());
    field("chunks", collection.chunks.to_string());
    field("failed", collection.failed.to_string());
    field("lag", collection.lag.to_string());
    if let Some(Watermarks {
        newest,
        published,
        retired,
    }) = inspected.watermarks
    {
        field(
            "operations",
            format!("{published} published of {newest}; {retired} chunks retired"),
        );
    }
    for index in &inspected.indexes {
        field(&index.leg, describe(index));
    }
    output::line("");
}

fn describe(index: &InspectedIndex) -> String {
    let bytes = size(index.size_bytes);
    match (&index.error, index.entries, index.watermark) {
        (None, Some(entries), Some(watermark)) => format!(
            "{bytes}, {entries} entries up to operation {watermark}, {} missing, {} extra",
            index.missing.unwrap_or(0),
            index.extra.unwrap_or(0)
        ),
        (Some(error), _, _) => format!("{bytes}, cannot be opened: {error}"),
        (None, _, _) => bytes,
    }
}
