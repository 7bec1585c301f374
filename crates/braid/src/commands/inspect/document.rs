//! `braid inspect document`.

use braid_config::Settings;
use braid_core::{DocumentId, Result};
use braid_engine::{Engine, LoadModels};
use braid_ingest::remote::segment;
use braid_server::dto::chunks::{ChunkBody, ChunksAnswer};
use braid_server::dto::documents::{DocumentAnswer, DocumentSummaryAnswer};
use serde::Serialize;

use super::{field, time};
use crate::args::InCollection;
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Chunks fetched at a time.
const PAGE: usize = 1000;
/// Characters shown of a chunk's text.
const SHOWN: usize = 60;

/// A document's versions and its retrievable chunks.
#[derive(Serialize)]
struct Inspected {
    collection: String,
    /// Newest first. The retrievable one has status `published`.
    versions: Vec<DocumentSummaryAnswer>,
    /// Of the retrievable version, in ordinal order.
    chunks: Vec<ChunkBody>,
}

pub(super) async fn run(settings: &Settings, id: String, within: &InCollection) -> Result<Exit> {
    let id = DocumentId::new(id)?;
    if let Some(url) = &within.server {
        return print(&from_server(url, &id, within).await?, within.json);
    }
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        print(&from_engine(engine, &id, within).await?, within.json)
    })
    .await
}

async fn from_engine(engine: &Engine, id: &DocumentId, within: &InCollection) -> Result<Inspected> {
    let name = &within.collection;
    let versions = engine.document_versions(name, id).await?;
    let mut inspected = Inspected {
        collection: name.as_str().to_owned(),
        versions: versions.into_iter().map(Into::into).collect(),
        chunks: Vec::new(),
    };
    let mut cursor: Option<String> = None;
    loop {
        let chunks = engine.document_chunks(name, id, cursor.as_deref(), PAGE);
        let (collection, page) = chunks.await?;
        let page = ChunksAnswer::new(&collection, page);
        inspected.chunks.extend(page.chunks);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(inspected);
        }
    }
}

async fn from_server(url: &str, id: &DocumentId, within: &InCollection) -> Result<Inspected> {
    let collection = segment(within.collection.as_str());
    let path = format!(
        "/v1/collections/{collection}/documents/{}",
        segment(id.as_str())
    );
    let document_path = path.clone();
    let newest: DocumentAnswer = ask(url, move |remote| remote.get(&document_path)).await?;
    let mut inspected = Inspected {
        collection: within.collection.as_str().to_owned(),
        versions: vec![newest.summary],
        chunks: Vec::new(),
    };
    let mut after = String::new();
    loop {
        let path = format!("{path}/chunks?limit={PAGE}{after}");
        let page: ChunksAnswer = ask(url, move |remote| remote.get(&path)).await?;
        inspected.chunks.extend(page.chunks);
        // The retrievable version, where the newest is not yet or never will be.
        let retrievable = page.document.filter(|retrievable| {
            let mut known = inspected.versions.iter();
            known.all(|version| version.sequence != retrievable.sequence)
        });
        inspected.versions.extend(retrievable);
        match page.next_cursor {
            Some(cursor) => after = format!("&cursor={}", segment(&cursor)),
            None => return Ok(inspected),
        }
    }
}

fn print(inspected: &Inspected, json: bool) -> Result<Exit> {
    if json {
        output::json(inspected)?;
        return Ok(Exit::Done);
    }
    for version in &inspected.versions {
        print_version(version);
    }
    let rows = inspected.chunks.iter().map(|chunk| {
        let text = chunk.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = chunk.source.page.map(|page| page.to_string());
        vec![
            chunk.ordinal.to_string(),
            chunk.chunk_id.clone(),
            format!("{}-{}", chunk.source.char_start, chunk.source.char_end),
            page.unwrap_or_else(|| "-".to_owned()),
            chunk.source.heading_path.join(" > "),
            text.chars().take(SHOWN).collect(),
        ]
    });
    let header = ["ordinal", "chunk", "characters", "page", "headings", "text"];
    output::table(&header, &rows.collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn print_version(version: &DocumentSummaryAnswer) {
    let (id, sequence) = (&version.id, version.sequence);
    output::line(format!("document {id}, version of operation {sequence}"));
    let failure = version.failure.as_ref();
    let failure = failure.map(|reason| format!(": {reason}"));
    field(
        "status",
        format!("{}{}", version.status, failure.unwrap_or_default()),
    );
    field("acknowledged", time(version.updated_at_ms));
    field("source", version.uri.as_deref().unwrap_or("none given"));
    if let Some(title) = &version.title {
        field("title", title);
    }
    field(
        "content",
        format!("{}, hash {}", version.format, version.content_hash),
    );
    if let Some(origin) = &version.origin {
        field("file", format!("hash {}", origin.hash));
        field("parser", &origin.parser);
    }
    field("chunks", version.chunks.to_string());
    output::line("");
}
