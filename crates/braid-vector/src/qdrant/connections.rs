//! [`Connections`] to one server, made anew where they have gone silent.
//!
//! A connection that a firewall or a dead node forgot stays open here, and nothing comes through it:
//! the system gives it up after a quarter of an hour. The client replaces one whose request ran into
//! the client's own time limit, but a search is given up before that, so it says so here.

use std::sync::Arc;

use ::qdrant_client::Qdrant;
use ::qdrant_client::config::QdrantConfig;
use braid_core::Result;
use parking_lot::RwLock;

use super::error::translate;

pub(super) struct Connections {
    config: QdrantConfig,
    current: RwLock<Arc<Qdrant>>,
}

impl Connections {
    /// Makes none yet: each is made with the first request over it.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a bad address.
    pub(super) fn new(config: QdrantConfig) -> Result<Self> {
        let client = Qdrant::new(config.clone()).map_err(|error| translate(&error))?;
        Ok(Self {
            config,
            current: RwLock::new(Arc::new(client)),
        })
    }

    pub(super) fn client(&self) -> Arc<Qdrant> {
        Arc::clone(&self.current.read())
    }

    /// Requests from now on take new connections, unless somebody replaced `silent` already. Those that
    /// are under way keep theirs.
    pub(super) fn replace(&self, silent: &Arc<Qdrant>) {
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
