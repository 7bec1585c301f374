//! Chunks per second until retrievable.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use braid_config::{Settings, StorageProfile};
use braid_core::{CollectionName, Embedder, NewDocument};
use braid_engine::{Engine, Loader, OpenOptions};
use serde::Serialize;

use super::server::{Ours, forget, settle};
use super::{clustered, remote, work};
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
    qdrant: Away,
    cluster: Away,
}

/// A profile with a server.
#[derive(Serialize)]
struct Away {
    seconds: f64,
    /// Beside that, until Qdrant had built its graphs: embedded builds them within its seconds.
    graph_seconds: f64,
    /// Its chunks a second, as a share of those of embedded.
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
    settings.storage.data_dir = cli.work.join("qdrant-ingest-remote");
    let far = remote(&settings, url);
    settings.storage.data_dir = cli.work.join("qdrant-ingest-cluster");
    let shared = clustered(&settings, url);
    // What an interrupted run left would be taken for this one's.
    forget(rest, &Ours::of(&shared)?)?;
    settings.storage.data_dir = cli.work.join("qdrant-ingest-embedded");
    let mut sides = Vec::new();
    for settings in [&settings, &far, &shared] {
        sides.push(Loading::open(settings, &embedder).await?);
    }
    let slices = documents.chunks(documents.len().div_ceil(SLICES).max(1));
    for (index, slice) in slices.enumerate() {
        for turn in 0..sides.len() {
            // Who is first has cold caches.
            let side = (index + turn) % sides.len();
            let side = &mut sides[side];
            side.load(slice).await?;
            if side.settings.storage.profile != StorageProfile::Embedded {
                side.graph_seconds += settle(rest, &Ours::of(&side.settings)?).await?;
            }
        }
    }
    let (chunks, embedded_seconds) = (sides[0].chunks().await?, sides[0].seconds);
    let away = |side: &Loading| Away {
        seconds: side.seconds,
        graph_seconds: side.graph_seconds,
        share: embedded_seconds / side.seconds,
    };
    let ingest = Ingest {
        passages: documents.len(),
        chunks,
        embedded_seconds,
        qdrant: away(&sides[1]),
        cluster: away(&sides[2]),
    };
    for side in sides {
        side.engine.close().await;
        if side.settings.storage.profile != StorageProfile::Embedded {
            forget(rest, &Ours::of(&side.settings)?)?;
        }
    }
    say(format!(
        "{chunks} chunks: embedded {embedded_seconds:.2} s, qdrant {:.2} s and {:.2} s for its graph, cluster {:.2} s and {:.2} s",
        ingest.qdrant.seconds,
        ingest.qdrant.graph_seconds,
        ingest.cluster.seconds,
        ingest.cluster.graph_seconds
    ));
    Ok(ingest)
}

struct Loading {
    settings: Settings,
    engine: Engine,
    name: CollectionName,
    seconds: f64,
    graph_seconds: f64,
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
        work(&engine)?;
        Ok(Self {
            settings: settings.clone(),
            engine,
            name,
            seconds: 0.0,
            graph_seconds: 0.0,
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

    async fn chunks(&self) -> Result<u64> {
        Ok(self.engine.collection_info(&self.name).await?.stats.chunks)
    }
}
