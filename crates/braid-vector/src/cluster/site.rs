//! A Qdrant server or cluster that holds everything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::{self as wire, WriteOrdering, WriteOrderingType};
use ::qdrant_client::{Qdrant, QdrantError};
use braid_core::{CollectionId, Error, ErrorCode, Generation, Result};
use braid_runtime::CpuPool;
use futures::future::BoxFuture;

use crate::qdrant::connections::Connections;
use crate::qdrant::error::translate;
use crate::qdrant::options::{QdrantOptions, ReadConsistency};

/// The oldest server whose upserts can be told to update only, or to insert only. An older one takes
/// them for plain upserts, and writes would be lost.
const OLDEST: (u32, u32) = (1, 17);

/// Connections to Qdrant: made with the first request, and again when they broke or went silent.
pub struct Site {
    pub(crate) connections: Connections,
    pub(crate) options: Arc<QdrantOptions>,
    pub(crate) pool: Arc<CpuPool>,
    pub(crate) prefix: String,
}

impl Site {
    /// A site that has asked nothing yet; vectors are put into messages on `pool`.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for options that make no sense.
    pub fn new(options: QdrantOptions, pool: Arc<CpuPool>) -> Result<Arc<Self>> {
        options.check()?;
        Ok(Arc::new(Self {
            connections: Connections::new(&options)?,
            prefix: options.namespace.clone(),
            options: Arc::new(options),
            pool,
        }))
    }

    /// The version of the server, which shows that it answers within `limit` and is new enough.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable), [`Timeout`](ErrorCode::Timeout),
    /// [`UnsupportedVersion`](ErrorCode::UnsupportedVersion).
    pub async fn check(&self, limit: Duration) -> Result<String> {
        let version = self.connections.version(limit).await?;
        match read_version(&version) {
            Some(found) if found >= OLDEST => Ok(version),
            _ => Err(Error::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Qdrant is {version}, the profile cluster needs {}.{} or newer",
                    OLDEST.0, OLDEST.1
                ),
            )
            .with_help(
                "upgrade Qdrant: older servers ignore the conditions that writes depend on",
            )),
        }
    }

    /// The answer to one request, over connections as [`Connections::ask`] keeps them.
    /// In a box: the types of all that callers put around it would become too deep for the compiler.
    pub(crate) fn ask<'s, T, F>(
        &'s self,
        request: impl FnOnce(Arc<Qdrant>) -> F + Send + 's,
    ) -> BoxFuture<'s, std::result::Result<T, QdrantError>>
    where
        T: Send + 's,
        F: Future<Output = std::result::Result<T, QdrantError>> + Send + 's,
    {
        Box::pin(self.connections.ask(request))
    }

    /// The names of the collections of Qdrant that there are.
    pub(crate) async fn collections(&self) -> Result<Vec<String>> {
        let asked = self.ask(|client| async move { client.list_collections().await });
        let listed = asked.await.map_err(|error| translate(&error))?;
        Ok(listed.collections.into_iter().map(|it| it.name).collect())
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.options.url
    }

    pub(crate) fn registry_name(&self) -> String {
        format!("{}-registry", self.prefix)
    }

    /// The registry is not there, and it was.
    pub(crate) fn registry_lost(&self, code: ErrorCode) -> Error {
        let name = self.registry_name();
        Error::new(
            code,
            format!("Qdrant has no collection {name}, which says what the collections are"),
        )
        .with_help(format!(
            "restore {name} from a snapshot. To begin anew, take another qdrant.prefix, or delete \
             the collections {}-c* of Qdrant",
            self.prefix
        ))
    }

    pub(crate) fn heads_name(&self, collection: CollectionId) -> String {
        format!("{}-c{}-heads", self.prefix, collection.0)
    }

    pub(crate) fn versions_name(&self, collection: CollectionId) -> String {
        format!("{}-c{}-versions", self.prefix, collection.0)
    }

    pub(crate) fn chunks_name(&self, collection: CollectionId, generation: Generation) -> String {
        let (id, generation) = (collection.0, generation.0);
        format!("{}-c{id}-g{generation}-chunks", self.prefix)
    }

    /// The collection whose data a collection of Qdrant holds; `None` where it is not of this site, or
    /// is the registry.
    pub(crate) fn owner_of(&self, name: &str) -> Option<CollectionId> {
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix("-c")?;
        let (number, kind) = rest.split_once('-')?;
        let is_chunks = |kind: &str| {
            let generation = kind
                .strip_prefix('g')
                .and_then(|it| it.strip_suffix("-chunks"));
            generation.is_some_and(|it| it.parse::<u32>().map(Generation).is_ok())
        };
        let is_ours = kind == "heads" || kind == "versions" || is_chunks(kind);
        let number = number.parse().ok().filter(|_| is_ours)?;
        Some(CollectionId(number))
    }

    /// How copies are read: as configured. What was acknowledged is on every copy that Qdrant takes for
    /// a live one, so that one is enough, and a query is answered while a node is lost.
    pub(crate) fn consistency(&self) -> Option<wire::ReadConsistency> {
        self.options.consistency()
    }

    /// How it is read whether a write was applied: as configured, but of one copy alone only where there
    /// is one. Copies that disagree show no write, and it counts as lost.
    pub(crate) fn agreement(&self) -> Option<wire::ReadConsistency> {
        let quorum = || self.is_replicated().then(|| ReadConsistency::Quorum.wire());
        self.consistency().or_else(quorum)
    }

    /// Whether there are copies that may differ for a moment.
    pub(crate) fn is_replicated(&self) -> bool {
        self.options.collection.replication > 1
    }

    /// Copies that must have taken a write before it counts: most of them.
    pub(crate) fn write_consistency(&self) -> u32 {
        let options = &self.options.collection;
        options.write_consistency.max(options.replication / 2 + 1)
    }
}

/// Replicas take writes in one order, through one leader: two compare-and-sets could both win on different
/// copies otherwise, and the weights of a chunk that is written anew while its mean is corrected differ.
pub(crate) fn strong() -> WriteOrdering {
    WriteOrdering {
        r#type: WriteOrderingType::Strong.into(),
    }
}

/// Major and minor version.
fn read_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let mut part = || parts.next()?.parse().ok();
    Some((part()?, part()?))
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("url", &self.options.url)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_made() {
        let options = QdrantOptions::default();
        let site = Site::new(options, CpuPool::new(1).unwrap()).unwrap();
        let id = CollectionId(7);
        for name in [site.heads_name(id), site.versions_name(id)] {
            assert_eq!(site.owner_of(&name), Some(id), "{name}");
        }
        assert_eq!(site.owner_of("braid-c7-g1-chunks"), Some(id));
        let others = [
            "braid-registry",
            "braid-7-1",
            "other-c7-heads",
            "braid-c7-x",
            "braid-1-c7-heads",
        ];
        for name in others {
            assert_eq!(site.owner_of(name), None, "{name}");
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(read_version("1.18.0-dev").unwrap() >= OLDEST);
        assert!(read_version("1.9.7").unwrap() < OLDEST);
        assert_eq!(read_version("new"), None);
    }
}
