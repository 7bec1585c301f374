//! A data directory, the engine on it, and a model that misbehaves on demand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use braid_config::Settings;
use braid_core::{
    Collection, CollectionName, Embedder, Embedding, Error, ErrorCode, Fingerprint, Result, Script,
    TokenCounter,
};
use braid_engine::{Breakpoints, Engine, OpenOptions};
use braid_testkit::HashEmbedder;

const DIMENSION: usize = 48;

/// The collection every test writes.
pub(crate) fn name() -> CollectionName {
    CollectionName::new("crash").unwrap()
}

/// Settings for small corpora of short sentences: chunks of one sentence each.
pub(crate) fn settings(directory: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.storage.data_dir = directory.to_owned();
    settings.storage.map_size_gib = 0.0625;
    settings.chunking.target_tokens = 6;
    settings.lexical.writer_memory_mib = 15;
    settings
}

/// Counts what it embeds, and refuses every text with `poison` in it until it is cured.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) inner: HashEmbedder,
    is_cured: AtomicBool,
}

impl Model {
    pub(crate) fn new() -> Arc<Self> {
        let inner = HashEmbedder::new(DIMENSION);
        let is_cured = AtomicBool::new(false);
        Arc::new(Self { inner, is_cured })
    }

    pub(crate) fn cure(&self) {
        self.is_cured.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_cured(&self) -> bool {
        self.is_cured.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for Model {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.inner.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        if !self.is_cured() && texts.iter().any(|text| text.contains("poison")) {
            return Err(Error::new(ErrorCode::Internal, "a vector is not finite"));
        }
        self.inner.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.inner.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.inner.embed_query(text).await
    }
}

/// An engine with the collection of the tests in it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) engine: Engine,
    pub(crate) model: Arc<Model>,
}

impl Life {
    pub(crate) async fn open(directory: &Path, breakpoints: Breakpoints) -> Self {
        Self::with_cure(directory, breakpoints, false).await
    }

    /// With a model that is cured from the beginning, or not.
    pub(crate) async fn with_cure(
        directory: &Path,
        breakpoints: Breakpoints,
        is_cured: bool,
    ) -> Self {
        let model = Model::new();
        if is_cured {
            model.cure();
        }
        Self::with_model(&settings(directory), breakpoints, model).await
    }

    pub(crate) async fn with_settings(settings: &Settings, breakpoints: Breakpoints) -> Self {
        Self::with_model(settings, breakpoints, Model::new()).await
    }

    async fn with_model(settings: &Settings, breakpoints: Breakpoints, model: Arc<Model>) -> Self {
        let options = OpenOptions {
            instead_of_models: Some(Arc::clone(&model) as Arc<dyn Embedder>),
            breakpoints,
            sweeps: true,
            ..OpenOptions::default()
        };
        let engine = Engine::open(settings, options).await.expect("it opens");
        engine.ensure_collection(&name()).await.expect("it is made");
        Self { engine, model }
    }

    pub(crate) async fn collection(&self) -> Collection {
        self.engine.collection(&name()).await.unwrap()
    }

    /// Everything acknowledged is published and every retired slot is purged; the clock stands
    /// still meanwhile.
    pub(crate) async fn drain(&self) {
        tokio::time::pause();
        self.idle().await;
        tokio::time::resume();
    }

    /// As [`Life::drain`] where the clock stands still already.
    pub(crate) async fn idle(&self) {
        let id = self.collection().await.id;
        self.engine
            .indexer()
            .wait_idle(id)
            .await
            .expect("it drains");
    }

    /// Nothing is applied or published from now on.
    pub(crate) async fn hold(&self) {
        let id = self.collection().await.id;
        self.engine.indexer().pause(id).unwrap();
    }

    pub(crate) async fn release(&self) {
        let id = self.collection().await.id;
        self.engine.indexer().resume(id).unwrap();
    }

    /// Ends as a process does that is asked to.
    pub(crate) async fn close(self) {
        self.engine.close().await;
    }
}

/// A folder for one test's data: in memory where there is such a place, because killing a process
/// loses nothing that was written, on whatever disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let root = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("braid-crash-")
        .tempdir_in(root)
        .unwrap()
}

/// Runs `work` on one thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work)
}

/// Runs `work` with a clock that stands still while anything is being done, so that waits for
/// retries and purges take no time.
pub(crate) fn run_timeless<T>(work: impl Future<Output = T>) -> T {
    run(async {
        tokio::time::pause();
        work.await
    })
}
