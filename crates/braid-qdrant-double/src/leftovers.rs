//! What a test left on a server that others use too.

use std::thread;
use std::time::Duration;

use ::qdrant_client::{Qdrant, QdrantError};
use tokio::runtime::Builder;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The collections of a server whose names begin with a prefix. They are removed when this is dropped,
/// also where the test fails.
#[derive(Clone, Debug)]
pub struct Leftovers {
    url: String,
    prefix: String,
}

impl Leftovers {
    /// Of the server at `url`, with the key that `BRAID_TEST_QDRANT_API_KEY` has, if there is one.
    pub fn of(url: &str, prefix: &str) -> Self {
        let (url, prefix) = (url.to_owned(), prefix.to_owned());
        Self { url, prefix }
    }

    async fn remove(&self) -> Result<(), QdrantError> {
        let key = std::env::var("BRAID_TEST_QDRANT_API_KEY").ok();
        let config = Qdrant::from_url(&self.url).timeout(TIMEOUT).api_key(key);
        let client = config.skip_compatibility_check().build()?;
        for found in client.list_collections().await?.collections {
            if found.name.starts_with(&self.prefix) {
                client.delete_collection(found.name).await?;
            }
        }
        Ok(())
    }
}

impl Drop for Leftovers {
    #[expect(clippy::print_stderr, reason = "a test that fails anyway says so")]
    fn drop(&mut self) {
        // A runtime of its own: this one may be about to end.
        let removing = thread::scope(|scope| {
            let runtime = Builder::new_current_thread().enable_all().build();
            let this = &*self;
            let remove = move || runtime.expect("a runtime").block_on(this.remove());
            scope.spawn(remove).join()
        });
        match removing {
            Ok(Ok(())) => {}
            failed if thread::panicking() => eprintln!("{self:?} stay: {failed:?}"),
            failed => panic!("{self:?} stay: {failed:?}"),
        }
    }
}
