//! Loading models, or standing in for ones that are not loaded.

use std::sync::Arc;

use async_trait::async_trait;
use braid_config::Settings;
use braid_core::{
    Embedder, Embedding, Error, ErrorCode, Fingerprint, Reranker, Result, Script, TokenCounter,
};

use braid_models::ModelStore;

use crate::engine::LoadModels;
use crate::wiring;

/// The models in use.
pub(crate) struct Models {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
}

/// Loads what `which` asks for. Loading reads and hashes files: it runs off the async threads.
pub(crate) async fn load(settings: &Settings, which: LoadModels) -> Result<Models> {
    let options = wiring::model_options(settings);
    let reranker_name = settings.models.reranker.clone();
    let embedder_name = settings.models.embedder.clone();
    let loaded = tokio::task::spawn_blocking(move || -> Result<Models> {
        if which == LoadModels::None {
            return Ok(Models {
                embedder: Arc::new(NotLoaded::default()),
                reranker: None,
            });
        }
        let store = ModelStore::new(options.store);
        let embedder = store.load_embedder(&embedder_name, &options.embedder)?;
        let reranker = match (which, reranker_name.as_str()) {
            (LoadModels::All, name) if name != "none" => {
                Some(store.load_reranker(name, &options.reranker)?)
            }
            (LoadModels::All | LoadModels::Embedder | LoadModels::None, _) => None,
        };
        Ok(Models { embedder, reranker })
    });
    loaded
        .await
        .map_err(|error| Error::internal("model loader stopped").with_source(error))?
}

/// Loads the configured embedder alone: its files are checked against the manifest, and its probes
/// run. Blocks. For [`OpenOptions::embedder`](crate::OpenOptions::instead_of_models), and to see whether it works.
///
/// # Errors
/// `ModelUnavailable`, with what mends it.
pub fn load_embedder(settings: &Settings) -> Result<Arc<dyn Embedder>> {
    let options = wiring::model_options(settings);
    let store = ModelStore::new(options.store);
    store.load_embedder(&settings.models.embedder, &options.embedder)
}

/// Loads the configured re-ranker alone, as [`load_embedder`]; `None` where none is configured.
///
/// # Errors
/// `ModelUnavailable`, with what mends it.
pub fn load_reranker(settings: &Settings) -> Result<Option<Arc<dyn Reranker>>> {
    if settings.models.reranker == "none" {
        return Ok(None);
    }
    let options = wiring::model_options(settings);
    let store = ModelStore::new(options.store);
    let loaded = store.load_reranker(&settings.models.reranker, &options.reranker)?;
    Ok(Some(loaded))
}

/// An embedder for commands that embed nothing.
#[derive(Debug)]
struct NotLoaded {
    fingerprint: Fingerprint,
}

impl Default for NotLoaded {
    fn default() -> Self {
        Self {
            fingerprint: Fingerprint::new("not-loaded"),
        }
    }
}

impl NotLoaded {
    fn error() -> Error {
        Error::new(
            ErrorCode::ModelUnavailable,
            "this command runs without models",
        )
        .with_help("run `braid ingest` or `braid serve`, which load them, to finish pending work")
    }
}

#[async_trait]
impl Embedder for NotLoaded {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        0
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        Arc::new(Characters)
    }

    fn reads(&self, _script: Script) -> bool {
        true
    }

    async fn embed_passages(&self, _texts: Vec<String>) -> Result<Vec<Embedding>> {
        Err(Self::error())
    }

    async fn embed_verbatim(&self, _texts: Vec<String>) -> Result<Vec<Embedding>> {
        Err(Self::error())
    }

    async fn embed_query(&self, _text: &str) -> Result<Embedding> {
        Err(Self::error())
    }
}

/// Never used to chunk: the engine refuses to ingest without an embedder.
#[derive(Debug)]
struct Characters;

impl TokenCounter for Characters {
    fn count(&self, text: &str) -> usize {
        text.chars().count()
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }
}
