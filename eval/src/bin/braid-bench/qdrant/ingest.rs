//! Chunks per second until retrievable.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use braid_config::Settings;
use braid_core::{CollectionName, Embedder, NewDocument};
use braid_engine::{Engine, Loader, OpenOptions};
use serde::Serialize;

use super::remote;
use super::server::{Ours, forget, settle};
use crate::ingest::instant;
use crate::load::COLLECTION;
use crate::passages::corpus;
use crate::{Cli, say};

/// Slices that are measured in turn.
const SLICES: usize = 4;

#[derive(Serialize)]
pub(super) struct Ingests {
    /// With made-up embeddings, which cost nothing: everything but the model.
    made_up: Ingest,
    /// With the embedder of the defaults.
    embedded: Option<Ingest>,
}

#[derive(Serialize)]
struct Ingest {
    passages: usize,
    chunks: u64,
    embedded_seconds: f64,
    qdrant_seconds: f64,
    /// Beside that, until Qdrant had built its graphs: embedded builds them within its seconds.
    graph_seconds: f64,
    /// Chunks a second of qdrant, as a share of those of embedded.
    share: f64,
}

pub(super) async fn measure(cli: &Cli, url: &str, rest: &str) -> Result<Option<Ingests>> {
    let sizes = &cli.qdrant;
    if sizes.qdrant_passages == 0 {
        return Ok(None);
    }
    let settings = Settings::default();
    let made_up = compare(cli, (url, rest), sizes.qdrant_passages, instant(&settings)?).await?;
    let embedded = match sizes.qdrant_embedded_passages {
        0 => None,
        passages => {
            let options = braid_engine::model_files::EmbedderOptions::default();
            let store = braid_engine::model_store(&settings);
            let embedder = store.load_embedder(&settings.models.embedder, &options)?;
            Some(compare(cli, (url, rest), passages, embedder).await?)
        }
    };
    Ok(Some(Ingests { made_up, embedded }))
}

async fn compare(
    cli: &Cli,
    (url, rest): (&str, &str),
    passages: usize,
    embedder: Arc<dyn Embedder>,
) -> Result<Ingest> {
    let documents = corpus(&cli.train, passages, 0)?.documents;
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.work.join("qdrant-ingest-embedded");
    let mut local = Loading::open(&settings, &embedder).await?;
    settings.storage.data_dir = cli.work.join("qdrant-ingest-remote");
    let far = remote(&settings, url);
    let mut away = Loading::open(&far, &embedder).await?;
    let mut graph_seconds = 0.0;
    for (index, slice) in documents
        .chunks(documents.len().div_ceil(SLICES).max(1))
        .enumerate()
    {
        // Who is first has cold caches.
        if index % 2 == 0 {
            local.load(slice).await?;
        }
        away.load(slice).await?;
        graph_seconds += settle(rest, &Ours::of(&far)?).await?;
        if index % 2 == 1 {
            local.load(slice).await?;
        }
    }
    let (chunks, qdrant_seconds) = away.close().await?;
    let (_, embedded_seconds) = local.close().await?;
    forget(rest, &Ours::of(&far)?)?;
    let share = embedded_seconds / qdrant_seconds;
    say(format!(
        "{chunks} chunks: embedded {embedded_seconds:.2} s, qdrant {qdrant_seconds:.2} s and {graph_seconds:.2} s for its graph, share {share:.3}"
    ));
    Ok(Ingest {
        passages: documents.len(),
        chunks,
        embedded_seconds,
        qdrant_seconds,
        graph_seconds,
        share,
    })
}

struct Loading {
    engine: Engine,
    name: CollectionName,
    seconds: f64,
}

impl Loading {
    async fn open(settings: &Settings, embedder: &Arc<dyn Embedder>) -> Result<Self> {
        if settings.storage.data_dir.exists() {
            std::fs::remove_dir_all(&settings.storage.data_dir)?;
        }
        let options = OpenOptions {
            instead_of_models: Some(Arc::clone(embedder)),
            ..OpenOptions::default()
        };
        let engine = Engine::open(settings, options).await?;
        let name = CollectionName::new(COLLECTION)?;
        engine.ensure_collection(&name).await?;
        Ok(Self {
            engine,
            name,
            seconds: 0.0,
        })
    }

    /// From handing documents in to all of them being retrievable.
    async fn load(&mut self, documents: &[NewDocument]) -> Result<()> {
        let start = Instant::now();
        let mut loader = Loader::new(self.engine.clone(), self.name.clone(), 256);
        for document in documents.iter().cloned() {
            loader.push(document).await?;
        }
        loader.flush().await?;
        let report = loader.finish().await?;
        self.seconds += start.elapsed().as_secs_f64();
        anyhow::ensure!(report.failed.is_empty(), "{:?}", report.failed);
        Ok(())
    }

    /// Its chunks, and the seconds they took.
    async fn close(self) -> Result<(u64, f64)> {
        let chunks = self.engine.collection_info(&self.name).await?.stats.chunks;
        self.engine.close().await;
        Ok((chunks, self.seconds))
    }
}
