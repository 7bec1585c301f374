//! How a Qdrant server or cluster is reached and how collections are made in it.

use std::fmt;
use std::time::Duration;

use ::qdrant_client::config::QdrantConfig;
use ::qdrant_client::qdrant::read_consistency::Value;
use ::qdrant_client::qdrant::{self as wire, ReadConsistencyType};
use braid_core::{Error, Result};

/// Longest namespace, in bytes: Qdrant takes collection names of 255.
const MAX_NAMESPACE_BYTES: usize = 100;

/// Where Qdrant is, and how Braid uses it. What is said of collections holds for those that are made
/// from now on; existing ones keep what they were made with.
#[derive(Clone, Debug, PartialEq)]
pub struct QdrantOptions {
    /// The gRPC address: `http://host:6334`, or `https://` for TLS, checked against the system's
    /// certificates (`SSL_CERT_FILE` names others).
    pub url: String,
    /// Sent with every request, where there is one.
    pub api_key: Option<ApiKey>,
    /// What the names of this ledger's collections begin with; two ledgers that share a server must
    /// not share it.
    pub namespace: String,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Longest time of one search, all its requests included. Less than whoever asks would wait: a
    /// search that nobody waits for any more tells nobody that the server hangs.
    pub search_timeout: Duration,
    /// Longest time of connecting.
    pub connect_timeout: Duration,
    /// How collections are made.
    pub collection: CollectionOptions,
    /// Neighbours kept while the graph is walked.
    pub ef_search: usize,
    /// How replicas are read; Qdrant's own default where `None`: one replica answers.
    pub read_consistency: Option<ReadConsistency>,
    /// In which order replicas take writes.
    pub write_ordering: WriteOrdering,
    /// Most requests of one upload at a time, and connections.
    pub upload_concurrency: usize,
    /// Most points in one request; it is cut earlier by bytes.
    pub upload_points: usize,
}

/// What a Qdrant collection is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionOptions {
    /// Links of a vector in the graph.
    pub hnsw_links: usize,
    /// Neighbours considered when a vector is linked.
    pub ef_construction: usize,
    /// How vectors are compressed for searching; the originals are kept and score what was found.
    pub quantization: Quantization,
    /// Shards, over the nodes of a cluster; Qdrant's own default where `None`.
    pub shards: Option<u32>,
    /// Copies of each shard.
    pub replication: u32,
    /// Copies that must have taken a write before it counts.
    pub write_consistency: u32,
    /// Whether original vectors stay on disk and are read from there.
    pub vectors_on_disk: bool,
    /// Whether payload stays on disk.
    pub payload_on_disk: bool,
    /// Most metadata fields with an index. Filters on others are left to the ledger.
    pub indexed_fields: usize,
}

/// How vectors are compressed for searching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantization {
    /// They are not.
    #[default]
    None,
    /// A byte a number.
    Scalar,
    /// A bit a number.
    Binary,
}

/// How many replicas must agree on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadConsistency {
    /// More than half of them, all of them asked.
    Majority,
    /// Half of them and one, each.
    Quorum,
    /// All of them.
    All,
}

/// In which order replicas take writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteOrdering {
    /// As they come.
    #[default]
    Weak,
    /// Through a leader that is chosen as needed.
    Medium,
    /// Through the permanent leader; writes wait while it is down.
    Strong,
}

/// A secret. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key, without white space around it.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a key that cannot be sent in a
    /// header; the message does not have it.
    pub fn new(key: &str) -> Result<Self> {
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::invalid("the API key of Qdrant is empty"));
        }
        // The client would put one that it cannot send into an error message.
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(
                "the API key of Qdrant has characters that no header can carry",
            ));
        }
        Ok(Self(key.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(...)")
    }
}

impl ReadConsistency {
    /// In Qdrant's words.
    pub(crate) fn wire(self) -> wire::ReadConsistency {
        let kind = match self {
            Self::Majority => ReadConsistencyType::Majority,
            Self::Quorum => ReadConsistencyType::Quorum,
            Self::All => ReadConsistencyType::All,
        };
        wire::ReadConsistency {
            value: Some(Value::Type(kind.into())),
        }
    }
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self {
            hnsw_links: 16,
            ef_construction: 144,
            quantization: Quantization::None,
            shards: None,
            replication: 1,
            write_consistency: 1,
            vectors_on_disk: false,
            payload_on_disk: true,
            indexed_fields: 64,
        }
    }
}

impl Default for QdrantOptions {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".to_owned(),
            api_key: None,
            namespace: "braid".to_owned(),
            timeout: Duration::from_secs(10),
            search_timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(2),
            collection: CollectionOptions::default(),
            ef_search: 160,
            read_consistency: None,
            write_ordering: WriteOrdering::Weak,
            upload_concurrency: 4,
            upload_points: 512,
        }
    }
}

impl QdrantOptions {
    /// Checks what Qdrant would refuse or do badly.
    ///
    /// # Errors
    /// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest).
    pub fn check(&self) -> Result<()> {
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) {
            return Err(Error::invalid(format!(
                "the URL of Qdrant must begin with http:// or https://, found {:?}",
                self.url
            )));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let length = self.namespace.len();
        if !(1..=MAX_NAMESPACE_BYTES).contains(&length) || !self.namespace.bytes().all(is_plain) {
            return Err(Error::invalid(format!(
                "names in Qdrant begin with up to {MAX_NAMESPACE_BYTES} letters, digits, - and _, not with {:?}",
                self.namespace
            )));
        }
        let collection = &self.collection;
        let needed = [
            ("upload_concurrency", self.upload_concurrency),
            ("upload_points", self.upload_points),
            ("ef_search", self.ef_search),
            ("ef_construction", collection.ef_construction),
            ("replication", collection.replication as usize),
            ("write_consistency", collection.write_consistency as usize),
            (
                "shards",
                collection.shards.map_or(1, |shards| shards as usize),
            ),
        ];
        if let Some((name, _)) = needed.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid(format!("{name} must be 1 or more")));
        }
        if collection.write_consistency > collection.replication {
            return Err(Error::invalid(format!(
                "{} copies cannot take a write where there are {}",
                collection.write_consistency, collection.replication
            )));
        }
        Ok(())
    }

    /// How replicas are read, in Qdrant's words.
    pub(crate) fn consistency(&self) -> Option<wire::ReadConsistency> {
        self.read_consistency.map(ReadConsistency::wire)
    }

    /// What the client is made with.
    pub(crate) fn client(&self) -> QdrantConfig {
        let mut config = QdrantConfig::from_url(&self.url)
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            // It would print to the standard output, and block.
            .skip_compatibility_check()
            .api_key(self.api_key.as_ref().map(ApiKey::as_str));
        config.set_pool_size(self.upload_concurrency);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_never_printed() {
        let key = ApiKey::new(" secret\n").unwrap();
        assert_eq!(key.as_str(), "secret");
        let options = QdrantOptions {
            api_key: Some(key),
            ..QdrantOptions::default()
        };
        assert!(!format!("{options:?}").contains("secret"));
        for bad in ["", "  ", "a b", "schlüssel", "a\nb"] {
            let refused = ApiKey::new(bad).unwrap_err().to_string();
            assert!(bad.trim().is_empty() || !refused.contains(bad.trim()));
        }
    }

    #[test]
    fn options_that_qdrant_would_refuse_are_refused() {
        assert!(QdrantOptions::default().check().is_ok());
        let check = |change: fn(&mut QdrantOptions)| {
            let mut options = QdrantOptions::default();
            change(&mut options);
            options.check().unwrap_err()
        };
        check(|options| options.url = "localhost:6334".to_owned());
        check(|options| options.namespace = "a/b".to_owned());
        check(|options| options.upload_points = 0);
        check(|options| options.collection.write_consistency = 2);
        check(|options| options.collection.shards = Some(0));
    }
}
