//! Vectors in Qdrant: which server, whose collections, and what is done while it is away.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use braid_config::Settings;
use braid_core::{Error, ErrorCode, IndexKey, Result};
use braid_runtime::CpuPool;
use braid_vector::qdrant::ApiKey;
use braid_vector::{Breaker, QdrantOptions, QdrantSite, QdrantVectors, Resilient, Retries};
use uuid::Uuid;

use crate::durable::sync_directory;
use crate::wiring;

/// The file of a data directory that tells its collections from those of others in one server.
const ID_FILE: &str = "qdrant-id";

/// How long a check of the server takes at most.
pub(crate) const CHECK: Duration = Duration::from_secs(1);

/// The vectors of one data directory in Qdrant. Calls are tried again, and not made for a while when
/// they keep failing.
#[derive(Debug)]
pub(crate) struct RemoteVectors {
    site: QdrantSite,
    retries: Retries,
    breaker: Arc<Breaker>,
}

/// The server that has a data directory's vectors.
#[derive(Debug)]
pub struct VectorServer {
    /// Where it is.
    pub url: String,
    /// Its version, or why it cannot be reached.
    pub version: Result<String>,
}

impl RemoteVectors {
    /// The vectors of `directory`, which this process owns. Asks the server nothing. Blocks on files.
    ///
    /// # Errors
    /// `InvalidRequest` for settings that make no sense; `Unavailable` for a key or a file that cannot
    /// be read.
    pub(crate) fn open(settings: &Settings, directory: &Path, pool: Arc<CpuPool>) -> Result<Self> {
        let section = &settings.qdrant;
        let id = data_id(&directory.join(ID_FILE))?;
        let options = QdrantOptions {
            api_key: api_key(settings)?,
            namespace: format!("{}-{id}", section.prefix),
            ..wiring::qdrant_options(settings)
        };
        warn_of_bare_key(&options);
        Ok(Self {
            site: QdrantSite::new(options, pool)?,
            retries: wiring::qdrant_retries(settings),
            breaker: Arc::new(Breaker::new(wiring::qdrant_breaker(settings))),
        })
    }

    /// The store of a collection generation.
    pub(crate) fn store(&self, key: IndexKey, dimension: usize) -> Resilient<QdrantVectors> {
        // Processes that fail together must not come back together.
        let (seed, _) = Uuid::new_v4().as_u64_pair();
        let store = self.site.store(key, dimension);
        Resilient::new(store, self.retries, Arc::clone(&self.breaker), seed)
    }

    /// Removes the collection of `key`.
    pub(crate) async fn remove(&self, key: IndexKey) -> Result<()> {
        self.site.remove(key).await
    }

    /// As [`RemoteVectors::remove`]; left for the next start where the server is away.
    pub(crate) async fn remove_if_reachable(&self, key: IndexKey) -> Result<()> {
        unless_away(self.site.remove(key).await)
    }

    /// Removes every collection of this data directory except those of `keep`, as above.
    pub(crate) async fn retain_if_reachable(&self, keep: &[IndexKey]) -> Result<()> {
        unless_away(self.site.retain(keep).await)
    }

    /// Asks the server for its version.
    pub(crate) async fn server(&self) -> VectorServer {
        VectorServer {
            url: self.site.url().to_owned(),
            version: self.site.version(CHECK).await,
        }
    }

    /// Why the server cannot be reached, if it cannot.
    pub(crate) async fn unreachable(&self) -> Option<String> {
        match self.breaker.is_open() {
            Some(reason) => Some(reason),
            None => self.server().await.version.err().map(|error| error.chain()),
        }
    }
}

pub(crate) fn warn_of_bare_key(options: &QdrantOptions) {
    if options.api_key.is_some() && options.url.starts_with("http://") {
        tracing::warn!(url = %options.url, "the API key of Qdrant is sent without TLS");
    }
}

fn unless_away(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.code().is_retryable() => {
            tracing::warn!(error = %error.chain(), "left-over collections of Qdrant are removed at the next start");
            Ok(())
        }
        done => done,
    }
}

/// The key that the settings point to.
pub(crate) fn api_key(settings: &Settings) -> Result<Option<ApiKey>> {
    let section = &settings.qdrant;
    let unreadable = |what: &str, error: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "the API key of Qdrant cannot be read from {what}: {error}"
        ))
    };
    let text = match (&section.api_key_env, &section.api_key_file) {
        (Some(variable), _) => std::env::var(variable)
            .map_err(|error| unreadable(&format!("the variable {variable}"), &error))?,
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| unreadable(&file.display().to_string(), &error))?,
        (None, None) => return Ok(None),
    };
    ApiKey::new(&text).map(Some)
}

/// The id in `file`, made where there is none.
fn data_id(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let id = text.trim();
            let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_id.then(|| id.to_owned()).ok_or_else(|| {
                let message = format!("{} has no id of 16 hexadecimal digits", file.display());
                let help = "restore it, or remove it: the vectors are brought to Qdrant again";
                Error::new(ErrorCode::Corrupt, message).with_help(help)
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (id, _) = Uuid::new_v4().as_u64_pair();
            let id = format!("{id:016x}");
            store_durably(file, &id)?;
            Ok(id)
        }
        Err(error) => Err(unusable(file, error)),
    }
}

/// Writes a file that is there whole or not at all.
fn store_durably(file: &Path, text: &str) -> Result<()> {
    let unfinished = file.with_extension("new");
    let written = std::fs::File::create(&unfinished).and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        std::fs::rename(&unfinished, file)
    });
    written.map_err(|error| unusable(file, error))?;
    file.parent().map_or(Ok(()), sync_directory)
}

fn unusable(file: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot use {}: {error}", file.display());
    Error::new(ErrorCode::Unavailable, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_data_directory_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(ID_FILE);
        let id = data_id(&file).unwrap();
        assert_eq!(data_id(&file).unwrap(), id);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(data_id(&other.path().join(ID_FILE)).unwrap(), id);
        std::fs::write(&file, "not an id").unwrap();
        assert_eq!(data_id(&file).unwrap_err().code(), ErrorCode::Corrupt);
    }

    #[test]
    fn the_key_comes_from_a_file_and_is_in_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "two words\n").unwrap();
        let mut settings = Settings::default();
        assert_eq!(api_key(&settings).unwrap(), None);
        settings.qdrant.api_key_file = Some(file.clone());
        let error = api_key(&settings).unwrap_err().to_string();
        assert!(!error.contains("words"), "{error}");
        std::fs::write(&file, "secret\n").unwrap();
        assert_eq!(
            api_key(&settings).unwrap(),
            Some(ApiKey::new("secret").unwrap())
        );
        settings.qdrant.api_key_file = None;
        settings.qdrant.api_key_env = Some("BRAID_NO_SUCH_VARIABLE".to_owned());
        let error = api_key(&settings).unwrap_err().to_string();
        assert!(error.contains("BRAID_NO_SUCH_VARIABLE"), "{error}");
    }
}
