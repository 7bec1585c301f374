//! Against the double, and where `BRAID_TEST_QDRANT_URL` names one against a real server.

mod batches;
mod conditions;
mod conformance;
mod parity;
mod synonyms;
mod versions;

use std::sync::Arc;

use braid_core::{
    Chunk, ChunkId, ChunkRecord, Collection, CollectionId, CollectionName, CollectionSettings,
    ContentHash, DocumentId, DuplicateAction, DuplicateSettings, Fingerprint, Generation,
    LanguageSetting, LexicalEntry, PipelineFingerprint, Selection, Sequence, Span,
};
use braid_qdrant_double::{QdrantDouble, Strictness};
use braid_runtime::CpuPool;

use super::*;
use crate::cluster::chunks::{Bm25Parameters, ChunkPoint};
use crate::cluster::tests::leftovers;
use crate::qdrant::QdrantOptions;
use crate::resilient::{BREAKER, Breaker, Retries};

const BM25: Bm25Parameters = Bm25Parameters {
    k1: 1.2,
    b: 0.75,
    mean_length: 6.0,
    revision: 0,
};

fn options(url: String) -> QdrantOptions {
    QdrantOptions {
        url,
        namespace: format!("braid-test-{}", uuid::Uuid::new_v4().simple()),
        // Several requests for most batches.
        upload_points: 100,
        ..QdrantOptions::default()
    }
}

/// A double that refuses filters without an index.
fn strict_double() -> QdrantDouble {
    QdrantDouble::start_with(Strictness {
        indexed_filters_only: true,
        ..Strictness::default()
    })
}

/// A real server, if there is one.
fn real_server() -> Option<QdrantOptions> {
    let real = crate::cluster::tests::real_server()?;
    let own = options(real.url.clone());
    Some(QdrantOptions {
        namespace: own.namespace,
        upload_points: own.upload_points,
        ..real
    })
}

/// In so many shards; how rare a term is is counted in each.
fn in_shards(shards: u32, mut options: QdrantOptions) -> QdrantOptions {
    options.collection.shards = Some(shards);
    options
}

fn site(options: QdrantOptions) -> Arc<Site> {
    Site::new(options, CpuPool::new(1).unwrap()).unwrap()
}

fn collection(id: u32, dimension: usize, language: LanguageSetting) -> Collection {
    Collection {
        id: CollectionId(id),
        name: CollectionName::new(format!("c{id}")).unwrap(),
        settings: CollectionSettings {
            language,
            duplicates: DuplicateSettings {
                action: DuplicateAction::Ignore,
                ..DuplicateSettings::default()
            },
            ..CollectionSettings::default()
        },
        synonyms: Arc::default(),
        fingerprint: PipelineFingerprint {
            embedder: Fingerprint::new("e"),
            chunker: Fingerprint::new("c"),
            analyzer: Fingerprint::new("a"),
        },
        dimension,
        generation: Generation(1),
        created_at_ms: 0,
    }
}

fn searched(site: &Arc<Site>, collection: &Collection) -> Arc<Searched> {
    let breaker = Arc::new(Breaker::new(BREAKER));
    let guard = Arc::new(Guard::new(Retries::default(), breaker, 1));
    Searched::new(Arc::clone(site), collection, guard, Weights::default())
}

/// A chunk that is a document of its own, which its slot names.
fn point(entry: &LexicalEntry) -> ChunkPoint {
    let slot = entry.slot;
    let mut key = [0; 32];
    key[..4].copy_from_slice(&slot.0.to_le_bytes());
    ChunkPoint {
        record: ChunkRecord {
            slot,
            id: entry.chunk,
            document: document(slot.0),
            sequence: Sequence(u64::from(slot.0) + 1),
            title: Some(entry.title.clone()),
            chunk: Chunk {
                ordinal: 0,
                span: Span { start: 0, end: 0 },
                page: None,
                heading_path: entry.headings.clone(),
                context_header: String::new(),
                text: entry.body.clone(),
                gap: String::new(),
            },
            embedding_key: ContentHash(key),
            language: entry.language,
        },
        metadata: Arc::clone(&entry.metadata),
        uri: None,
        duplicate_of: None,
    }
}

fn document(slot: u32) -> DocumentId {
    DocumentId::new(format!("d{slot}")).unwrap()
}

/// An entry of a slot, with nothing but a body.
fn entry(slot: u32, body: &str) -> LexicalEntry {
    LexicalEntry {
        slot: braid_core::Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u128(u128::from(slot))),
        title: String::new(),
        headings: Vec::new(),
        body: body.to_owned(),
        metadata: Arc::default(),
        language: None,
    }
}

/// Every version counts.
fn every() -> Selection {
    Selection {
        state: Some(Arc::new(EveryVersion)),
        ..Selection::default()
    }
}
