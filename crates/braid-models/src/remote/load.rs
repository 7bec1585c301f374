//! Loading models that run elsewhere, and checking at once what can be reached.

use std::sync::Arc;
use std::thread;

use braid_core::{Embedder, Error, ErrorCode, Reranker, Result};

use crate::manifest::{ModelKind, TOKENIZER_FILE};
use crate::options::{EmbedderOptions, RerankerOptions};
use crate::remote::embedder::RemoteEmbedder;
use crate::remote::endpoint::{Endpoint, ModelPlace};
use crate::remote::fallback::{FallbackEmbedder, FallbackReranker, Named};
use crate::remote::options::{FIRST_CHECK_TIMEOUT, RemoteOptions};
use crate::remote::reranker::RemoteReranker;
use crate::store::{ModelDir, ModelStore};
use crate::verify::{Depth, check_files};

/// What the place that is this process is called.
const HERE: &str = "this process";

impl ModelStore {
    /// Loads an embedder that runs at `places`, asked in their order. Servers that answer are
    /// checked with the model's probes; ones that do not are checked before they are first used.
    /// Blocks for as long as that takes, some seconds a server at most.
    ///
    /// # Errors
    /// As [`ModelStore::load_embedder`]; [`ModelUnavailable`](ErrorCode::ModelUnavailable) when a
    /// server has another model, or does not take what is sent.
    pub fn load_embedder_at(
        &self,
        name: &str,
        places: &[ModelPlace],
        options: &EmbedderOptions,
        remote: &RemoteOptions,
    ) -> Result<Arc<dyn Embedder>> {
        if places == [ModelPlace::Here] {
            return self.load_embedder(name, options);
        }
        let mut named = Vec::new();
        for (place, limits) in with_limits(places, remote) {
            named.push(match place {
                ModelPlace::Here => Named::new(HERE, self.load_embedder(name, options)?),
                ModelPlace::At(endpoint) => {
                    let model = self.find_served(name, ModelKind::Embedder)?;
                    let embedder = RemoteEmbedder::new(&model, endpoint.clone(), limits)?;
                    if is_known(endpoint, self.check_endpoint(name, endpoint, remote))? {
                        embedder.recognition().mark_known();
                    }
                    let recognition = Arc::clone(embedder.recognition());
                    let model = Arc::new(embedder) as Arc<dyn Embedder>;
                    Named::new(endpoint, model).checked_by(recognition)
                }
            });
        }
        Ok(Arc::new(FallbackEmbedder::of(named)?))
    }

    /// Loads a cross-encoder that runs at `places`; otherwise as [`ModelStore::load_embedder_at`].
    ///
    /// # Errors
    /// As [`ModelStore::load_embedder_at`].
    pub fn load_reranker_at(
        &self,
        name: &str,
        places: &[ModelPlace],
        options: &RerankerOptions,
        remote: &RemoteOptions,
    ) -> Result<Arc<dyn Reranker>> {
        if places == [ModelPlace::Here] {
            return self.load_reranker(name, options);
        }
        let mut named = Vec::new();
        for (place, limits) in with_limits(places, remote) {
            named.push(match place {
                ModelPlace::Here => Named::new(HERE, self.load_reranker(name, options)?),
                ModelPlace::At(endpoint) => {
                    let model = self.find_served(name, ModelKind::Reranker)?;
                    let reranker = RemoteReranker::new(&model, endpoint.clone(), limits)?;
                    if is_known(endpoint, self.check_endpoint(name, endpoint, remote))? {
                        reranker.recognition().mark_known();
                    }
                    let recognition = Arc::clone(reranker.recognition());
                    let model = Arc::new(reranker) as Arc<dyn Reranker>;
                    Named::new(endpoint, model).checked_by(recognition)
                }
            });
        }
        Ok(Arc::new(FallbackReranker::of(named)?))
    }

    /// Sends the model's probes to a server, and compares what comes back. Blocks, some seconds at
    /// most.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when the server has another model, or does
    /// not take what is sent; a code that may be retried when it cannot say now.
    pub fn check_endpoint(
        &self,
        name: &str,
        endpoint: &Endpoint,
        remote: &RemoteOptions,
    ) -> Result<()> {
        if let Some(what) = exposed(endpoint, remote.key.is_some()) {
            tracing::warn!(%endpoint, "{what} the network unencrypted; use https");
        }
        let (kind, limits) = (endpoint.kind(), first_limits(remote));
        let model = self.find_served(name, kind)?;
        match kind {
            ModelKind::Embedder => {
                let trial = RemoteEmbedder::new(&model, endpoint.clone(), limits)?;
                run_apart(trial.check())
            }
            ModelKind::Reranker => {
                let trial = RemoteReranker::new(&model, endpoint.clone(), limits)?;
                run_apart(trial.check())
            }
        }
    }

    /// A model whose weights need not be here. What is here of it is verified.
    fn find_served(&self, name: &str, kind: ModelKind) -> Result<ModelDir> {
        let model = self.find(name)?;
        if !model.has_manifest {
            let message =
                format!("the model {name} has no manifest, which one served elsewhere needs");
            return Err(Error::new(ErrorCode::ModelUnavailable, message)
                .with_help("write one: docs/models.md says what is in it"));
        }
        model.check_kind(kind)?;
        let mut files = model.manifest.files.clone();
        files.retain(|file, _| file == TOKENIZER_FILE || model.path.join(file).is_file());
        model.check_found(&check_files(&model.path, &files, Depth::Hashes))?;
        Ok(model)
    }
}

impl ModelDir {
    /// The manifest does not say what is needed of a model that is served elsewhere.
    pub(crate) fn lacks(&self, what: &str) -> Error {
        let message = format!(
            "the manifest of {} lacks {what}, without which no server can be told to have that model",
            self.name
        );
        Error::new(ErrorCode::ModelUnavailable, message)
            .with_help("add them: docs/models.md says how")
    }
}

/// The places with their limits: a call that fails is tried again where there is no other place.
fn with_limits<'a>(
    places: &'a [ModelPlace],
    remote: &'a RemoteOptions,
) -> impl Iterator<Item = (&'a ModelPlace, RemoteOptions)> {
    let last = places.len().saturating_sub(1);
    places.iter().enumerate().map(move |(at, place)| {
        let mut limits = remote.clone();
        if at < last {
            limits.attempts = 1;
        }
        (place, limits)
    })
}

/// What of the requests to `endpoint` can be read on the way.
fn exposed(endpoint: &Endpoint, has_key: bool) -> Option<&'static str> {
    endpoint.is_exposed().then_some(match has_key {
        true => "the API key, which whoever reads it can use, and every text cross",
        false => "every text crosses",
    })
}

/// Limits of the check at start, which must not hold it up.
fn first_limits(remote: &RemoteOptions) -> RemoteOptions {
    RemoteOptions {
        attempts: 1,
        timeout: remote.timeout.min(FIRST_CHECK_TIMEOUT),
        ..remote.clone()
    }
}

/// Whether a server gave what it must; false where it cannot say now.
fn is_known(endpoint: &Endpoint, checked: Result<()>) -> Result<bool> {
    match checked {
        Ok(()) => Ok(true),
        Err(error) if error.code().is_retryable() => {
            tracing::warn!(%endpoint, error = error.chain(), "a model server cannot be checked now; it is before its first use");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Runs `work` on a thread and a runtime of its own: models are loaded by threads with and without
/// one.
fn run_apart<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("cannot start a runtime").with_source(error))?;
        runtime.block_on(work)
    };
    thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(Error::internal("checking a model server panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_the_open_are_warned_of_with_and_without_a_key() {
        let exposed = |url, has_key| {
            let endpoint = Endpoint::new(url, ModelKind::Embedder).unwrap();
            super::exposed(&endpoint, has_key)
        };
        assert_eq!(
            exposed("http://gpu/embed", false),
            Some("every text crosses")
        );
        assert!(
            exposed("http://gpu/embed", true)
                .unwrap()
                .contains("the API key")
        );
        for url in ["https://gpu/embed", "http://127.0.0.1:9/embed"] {
            assert_eq!((exposed(url, false), exposed(url, true)), (None, None));
        }
    }
}
