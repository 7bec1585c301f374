//! How a remote model is called.

use std::time::Duration;

use crate::remote::key::ApiKey;

/// Calls that answer a query, in flight at once to one endpoint; one more is refused as overloaded.
pub(crate) const MOST_QUERY_CALLS: usize = 128;
/// Longest time to open a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time for the probes when a model is loaded; a server that takes longer is checked later.
pub(crate) const FIRST_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of one endpoint's calls.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Sent as a bearer token with every request.
    pub key: Option<ApiKey>,
    /// Longest time for one request, its answer read to the end.
    pub timeout: Duration,
    /// Longest time for a call that somebody waits for, all its tries together.
    pub query_timeout: Duration,
    /// Most texts in one request.
    pub batch_texts: usize,
    /// Most bytes of text in one request, but for a single text that is longer.
    pub batch_bytes: usize,
    /// Bulk requests in flight at once; also how many windows of re-ranking are useful at once.
    pub concurrency: usize,
    /// How often a request is tried that failed for a reason that passes.
    pub attempts: u32,
    /// Wait before the second try; it doubles up to [`RemoteOptions::longest_wait`].
    pub first_wait: Duration,
    /// Longest wait between two tries. A server that asks for a longer one is not asked again.
    pub longest_wait: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            key: None,
            timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(30),
            batch_texts: 32,
            batch_bytes: 1024 * 1024,
            concurrency: 4,
            attempts: 3,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(5),
        }
    }
}
