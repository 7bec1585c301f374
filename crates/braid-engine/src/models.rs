//! Loading models, or standing in for ones that are not loaded.

use std::sync::Arc;

use async_trait::async_trait;
use braid_config::Settings;
use braid_core::{
    Embedder, Embedding, Error, ErrorCode, Fingerprint, Reranker, Result, Script, TokenCounter,
};

use braid_models::{ModelPlace, ModelStore, RemoteOptions};

use crate::engine::LoadModels;
use crate::wiring;

/// The models in use.
pub(crate) struct Models {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
}

/// Loads what `which` asks for. Loading reads and hashes files, and asks model servers: it runs off
/// the async threads.
pub(crate) async fn load(settings: &Settings, which: LoadModels) -> Result<Models> {
    let settings = settings.clone();
    let loaded = tokio::task::spawn_blocking(move || -> Result<Models> {
        if which == LoadModels::None {
            return Ok(Models {
                embedder: Arc::new(NotLoaded::default()),
                reranker: None,
            });
        }
        let store = ModelStore::new(wiring::model_options(&settings).store);
        let embedder = embedder_of(&store, &settings)?;
        let reranker = match which {
            LoadModels::All => reranker_of(&store, &settings)?,
            LoadModels::Embedder | LoadModels::None => None,
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
    let store = ModelStore::new(wiring::model_options(settings).store);
    embedder_of(&store, settings)
}

/// Loads the configured re-ranker alone, as [`load_embedder`]; `None` where none is configured.
///
/// # Errors
/// `ModelUnavailable`, with what mends it.
pub fn load_reranker(settings: &Settings) -> Result<Option<Arc<dyn Reranker>>> {
    let store = ModelStore::new(wiring::model_options(settings).store);
    reranker_of(&store, settings)
}

fn embedder_of(store: &ModelStore, settings: &Settings) -> Result<Arc<dyn Embedder>> {
    let options = wiring::model_options(settings).embedder;
    let places = wiring::embedder_places(settings)?;
    let remote = wiring::embedder_calls(settings)?;
    store.load_embedder_at(&settings.models.embedder, &places, &options, &remote)
}

fn reranker_of(store: &ModelStore, settings: &Settings) -> Result<Option<Arc<dyn Reranker>>> {
    if settings.models.reranker == "none" {
        return Ok(None);
    }
    let options = wiring::model_options(settings).reranker;
    let places = wiring::reranker_places(settings)?;
    let remote = wiring::reranker_calls(settings)?;
    let name = &settings.models.reranker;
    let loaded = store.load_reranker_at(name, &places, &options, &remote)?;
    Ok(Some(loaded))
}

/// What a configured model server said to the probes.
#[derive(Debug)]
pub struct ServerCheck {
    /// `embedder` or `reranker`.
    pub model: &'static str,
    /// Its address.
    pub endpoint: String,
    /// Whether it has the model; a retryable code where it cannot be asked now.
    pub outcome: Result<()>,
}

/// Asks every configured model server. Blocks, some seconds a server at most.
///
/// # Errors
/// `InvalidRequest` for an address that is none, `ModelUnavailable` for a bad key.
pub fn check_model_servers(settings: &Settings) -> Result<Vec<ServerCheck>> {
    let store = ModelStore::new(wiring::model_options(settings).store);
    let mut checks = Vec::new();
    let mut check = |model, name: &str, places: Vec<ModelPlace>, remote: RemoteOptions| {
        for place in places {
            if let ModelPlace::At(endpoint) = place {
                checks.push(ServerCheck {
                    model,
                    endpoint: endpoint.to_string(),
                    outcome: store.check_endpoint(name, &endpoint, &remote),
                });
            }
        }
    };
    let models = &settings.models;
    let places = wiring::embedder_places(settings)?;
    check(
        "embedder",
        &models.embedder,
        places,
        wiring::embedder_calls(settings)?,
    );
    if models.reranker != "none" {
        let places = wiring::reranker_places(settings)?;
        check(
            "reranker",
            &models.reranker,
            places,
            wiring::reranker_calls(settings)?,
        );
    }
    Ok(checks)
}

/// Whether any configured model runs in this process, which needs ONNX Runtime.
///
/// # Errors
/// `InvalidRequest` for an address that is none.
pub fn runs_models_here(settings: &Settings) -> Result<bool> {
    let here = |places: Vec<ModelPlace>| places.contains(&ModelPlace::Here);
    let reranker = settings.models.reranker != "none" && here(wiring::reranker_places(settings)?);
    Ok(here(wiring::embedder_places(settings)?) || reranker)
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
