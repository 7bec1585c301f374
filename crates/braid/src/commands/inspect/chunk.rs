//! `braid inspect chunk`.

use braid_config::Settings;
use braid_core::{ChunkId, Error, LanguageSetting, Leg, Result};
use braid_engine::{ChunkTerms, Engine, LoadModels};
use braid_ingest::remote::segment;
use braid_server::dto::chunks::ChunkAnswer;
use braid_server::dto::collections::CollectionAnswer;
use serde::Serialize;

use super::{field, time};
use crate::args::InCollection;
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Every stored chunk of one id, newest first; a server gives the retrievable one alone.
#[derive(Serialize)]
struct Inspected {
    chunks: Vec<InspectedChunk>,
}

#[derive(Serialize)]
struct InspectedChunk {
    #[serde(flatten)]
    chunk: ChunkAnswer,
    /// Whether each index has an entry; `null` where a server was asked.
    indexes: Option<Indexed>,
    terms: Terms,
}

#[derive(Clone, Copy, Serialize)]
struct Indexed {
    lexical: bool,
    dense: bool,
}

/// What the analyzer makes of title, headings and text.
#[derive(Serialize)]
struct Terms {
    /// Searched by every query.
    words: Vec<String>,
    /// Identifiers, pieces of words and stop words.
    names: Vec<String>,
    /// Distinct terms left out of both.
    more: usize,
}

pub(super) async fn run(
    settings: &Settings,
    id: &str,
    most_terms: usize,
    within: &InCollection,
) -> Result<Exit> {
    let id: ChunkId = id.parse().map(ChunkId).map_err(|_| {
        Error::invalid(format!("chunk id {id:?} is not valid"))
            .with_help("give a UUID, as `chunk_id` of a hit or `braid inspect document` shows it")
    })?;
    if let Some(url) = &within.server {
        return print(&from_server(url, id, most_terms, within).await?, within);
    }
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        print(&from_engine(engine, id, most_terms, within).await?, within)
    })
    .await
}

async fn from_engine(
    engine: &Engine,
    id: ChunkId,
    most_terms: usize,
    within: &InCollection,
) -> Result<Inspected> {
    let (collection, found) = engine.chunk(&within.collection, id).await?;
    // In a cluster a chunk that is found is an entry of both.
    let slots = match engine.has_workers() {
        true => None,
        false => Some(engine.indexed_slots(&collection).await?),
    };
    let setting = collection.settings.language;
    let inspect = |lineage: braid_core::ChunkLineage| {
        let slots = slots.as_ref();
        let has = |leg| slots.is_none_or(|slots| slots.has(leg, &lineage.record));
        let indexes = Indexed {
            lexical: has(Leg::Lexical),
            dense: has(Leg::Dense),
        };
        let record = &lineage.record;
        let (title, headings) = (record.title.as_deref(), &record.chunk.heading_path);
        let language = setting.of_document(record.language);
        let terms = ChunkTerms::of(language, title, headings, &record.chunk.text);
        InspectedChunk {
            terms: Terms::new(terms, most_terms),
            chunk: ChunkAnswer::new(&collection, lineage),
            indexes: Some(indexes),
        }
    };
    Ok(Inspected {
        chunks: found.into_iter().map(inspect).collect(),
    })
}

async fn from_server(
    url: &str,
    id: ChunkId,
    most_terms: usize,
    within: &InCollection,
) -> Result<Inspected> {
    let path = format!("/v1/collections/{}", segment(within.collection.as_str()));
    let chunk_path = format!("{path}/chunks/{id}");
    let answer: ChunkAnswer = ask(url, move |remote| remote.get(&chunk_path)).await?;
    let collection: CollectionAnswer = ask(url, move |remote| remote.get(&path)).await?;
    let source = &answer.chunk.source;
    let (title, headings) = (source.title.as_deref(), &source.heading_path);
    let setting: LanguageSetting = collection.language.parse()?;
    let document = answer.document.as_ref();
    let detected = document.and_then(|document| document.language.as_deref());
    let detected = detected.map(str::parse).transpose()?;
    let language = setting.of_document(detected);
    let terms = ChunkTerms::of(language, title, headings, &answer.chunk.text);
    Ok(Inspected {
        chunks: vec![InspectedChunk {
            terms: Terms::new(terms, most_terms),
            chunk: answer,
            indexes: None,
        }],
    })
}

impl Terms {
    fn new(terms: ChunkTerms, most: usize) -> Self {
        let all = terms.words.len() + terms.names.len();
        let first = |mut terms: Vec<String>| {
            terms.truncate(most);
            terms
        };
        let (words, names) = (first(terms.words), first(terms.names));
        Self {
            more: all - words.len() - names.len(),
            words,
            names,
        }
    }
}

fn print(inspected: &Inspected, within: &InCollection) -> Result<Exit> {
    if within.json {
        output::json(inspected)?;
        return Ok(Exit::Done);
    }
    for (number, chunk) in inspected.chunks.iter().enumerate() {
        if number > 0 {
            output::line("");
        }
        print_chunk(chunk);
    }
    Ok(Exit::Done)
}

fn print_chunk(inspected: &InspectedChunk) {
    let (chunk, document) = (&inspected.chunk.chunk, inspected.chunk.document.as_ref());
    output::line(format!("chunk {}", chunk.chunk_id));
    field("status", status(&chunk.status, chunk.superseded_by));
    let place = format!("ordinal {}", chunk.ordinal);
    field("document", format!("{}, {place}", chunk.document_id));
    let (collection, generation) = (&chunk.collection, chunk.generation);
    let slot = chunk.slot;
    field(
        "collection",
        format!("{collection}, generation {generation}, slot {slot}"),
    );
    let source = &chunk.source;
    let page = source.page.map(|page| format!(", page {page}"));
    let (start, end) = (source.char_start, source.char_end);
    field(
        "characters",
        format!("{start} to {end}{}", page.unwrap_or_default()),
    );
    if let Some(header) = &chunk.source.context_header {
        field("header", header);
    }
    let acknowledged = chunk.acknowledged_at_ms.map(time);
    let at = acknowledged.map(|time| format!(", acknowledged {time}"));
    let at = at.unwrap_or_default();
    field("operation", format!("{}{at}", chunk.sequence));
    if let Some(document) = document {
        field("source", document.uri.as_deref().unwrap_or("none given"));
        field(
            "content",
            format!("{}, hash {}", document.format, document.content_hash),
        );
        if let Some(origin) = &document.origin {
            field("file", format!("hash {}", origin.hash));
            field("parser", &origin.parser);
        }
    }
    field("chunker", &chunk.fingerprint.chunker);
    field("analyzer", &chunk.fingerprint.analyzer);
    field("embedder", &chunk.fingerprint.embedder);
    field("embedding", &chunk.embedding_key);
    if let Some(Indexed { lexical, dense }) = inspected.indexes {
        let entry = |has| if has { "has it" } else { "lacks it" };
        let (lexical, dense) = (entry(lexical), entry(dense));
        field(
            "indexes",
            format!("the lexical index {lexical}, the vector store {dense}"),
        );
    }
    print_terms(&inspected.terms);
    output::line("  text");
    for line in chunk.text.lines() {
        output::line(format!("    {line}"));
    }
}

fn print_terms(terms: &Terms) {
    let said = |terms: &[String]| match terms {
        [] => "none".to_owned(),
        terms => terms.join(" "),
    };
    field("words", said(&terms.words));
    field("names", said(&terms.names));
    if terms.more > 0 {
        field("", format!("and {} more: see --terms", terms.more));
    }
}

/// What a status means for a query.
fn status(status: &str, superseded_by: Option<u64>) -> String {
    let meaning = match status {
        "live" => "retrievable",
        "pending" => "acknowledged, not retrievable yet",
        "retired" => "not retrievable: replaced, deleted or failed, soon gone",
        "unreferenced" => "not retrievable: left by a rebuild",
        other => other,
    };
    let newer = superseded_by.map(|sequence| format!("; operation {sequence} is a newer version"));
    format!("{status} ({meaning}){}", newer.unwrap_or_default())
}
