//! [`Connections`] to one server, made anew where they have gone silent.
//!
//! A connection that a firewall or a dead node forgot stays open here, and nothing comes through it:
//! the system gives it up after a quarter of an hour. The client replaces one whose request ran into
//! the client's own time limit, and goes on with the others of its pool, which are as silent. Most
//! requests are given up before that by whoever waits for them. So all connections are replaced here
//! where a request was late, or was given up after the time of a search.

use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::config::QdrantConfig;
use ::qdrant_client::{Qdrant, QdrantError};
use braid_core::Result;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::error::{late, translate};
use super::options::QdrantOptions;

pub(crate) struct Connections {
    config: QdrantConfig,
    /// How long a request may go unanswered before its connection counts as silent.
    patience: Duration,
    current: RwLock<Arc<Qdrant>>,
}

impl Connections {
    /// Makes none yet: each is made with the first request over it.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a bad address.
    pub(crate) fn new(options: &QdrantOptions) -> Result<Self> {
        let config = options.client();
        let client = Qdrant::new(config.clone()).map_err(|error| translate(&error))?;
        Ok(Self {
            config,
            patience: options.search_timeout,
            current: RwLock::new(Arc::new(client)),
        })
    }

    pub(crate) fn client(&self) -> Arc<Qdrant> {
        Arc::clone(&self.current.read())
    }

    /// The answer to one request. Nothing is repeated here, but by the client: calls about points, once,
    /// where the connection broke or the client's time limit was over.
    ///
    /// # Cancel safety
    /// The server may do what it was asked. Connections are replaced where it was asked long ago.
    pub(crate) async fn ask<T, F>(
        &self,
        request: impl FnOnce(Arc<Qdrant>) -> F,
    ) -> std::result::Result<T, QdrantError>
    where
        F: Future<Output = std::result::Result<T, QdrantError>>,
    {
        let mut asked = Asked {
            connections: self,
            client: self.client(),
            began: Instant::now(),
            patience: self.patience,
        };
        let answer = request(Arc::clone(&asked.client)).await;
        // Slow, but not silent. Beyond this the client gave the first connection up.
        asked.patience = self.config.timeout;
        answer
    }

    /// What `work` comes to within `limit`; `what` says what is late otherwise.
    ///
    /// # Errors
    /// [`Timeout`](braid_core::ErrorCode::Timeout): connections are replaced then.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let silent = self.client();
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| {
            self.replace(&silent);
            Err(late(what, limit))
        })
    }

    /// The version of the server, which shows that it answers within `limit`.
    ///
    /// # Errors
    /// [`Unavailable`](braid_core::ErrorCode::Unavailable); [`Timeout`](braid_core::ErrorCode::Timeout).
    pub(crate) async fn version(&self, limit: Duration) -> Result<String> {
        let asked = async {
            let client = self.client();
            let answer = client.health_check().await;
            Ok(answer.map_err(|error| translate(&error))?.version)
        };
        self.within(limit, "to say its version", asked).await
    }

    /// Requests from now on take new connections, unless somebody replaced `silent` already. Those that
    /// are under way keep theirs.
    fn replace(&self, silent: &Arc<Qdrant>) {
        let mut current = self.current.write();
        if !Arc::ptr_eq(&current, silent) {
            return;
        }
        // The address is good: it was once.
        if let Ok(client) = Qdrant::new(self.config.clone()) {
            *current = Arc::new(client);
        }
    }
}

/// A request under way, or just over.
struct Asked<'c> {
    connections: &'c Connections,
    client: Arc<Qdrant>,
    began: Instant,
    patience: Duration,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.began.elapsed() >= self.patience {
            self.connections.replace(&self.client);
        }
    }
}
