//! Random interleavings of writes, publishes, crashes and rebuilds against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::{Job, JobItemStatus, Recorded};
use braid_core::{
    Collection, Embedder, Embedding, ErrorCode, Fingerprint, IndexBatch, IndexKey, IndexProvider,
    JobId, Ledger, LedgerPin, LexicalEntry, LexicalIndex, LexicalView, Result, Script, Sequence,
    SlotSet, TokenCounter, VectorEntry, VectorStore, VectorView,
};
use braid_testkit::HashEmbedder;
use proptest::prelude::*;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::world::{DIMENSION, Life, PoisonedEmbedder, World, name, settings};

/// A port that takes its time, so that other tasks run in the middle of every step.
#[derive(Debug)]
struct Slow<T: ?Sized>(Arc<T>);

async fn pause() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

async fn slowly<T>(work: impl Future<Output = T>) -> T {
    pause().await;
    let done = work.await;
    pause().await;
    done
}

#[async_trait]
impl Embedder for Slow<dyn Embedder> {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }
    fn dimension(&self) -> usize {
        self.0.dimension()
    }
    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }
    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }
    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        slowly(self.0.embed_passages(texts)).await
    }
    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }
    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}

#[async_trait]
impl VectorStore for Slow<dyn VectorStore> {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        slowly(self.0.apply(batch)).await
    }
    async fn watermark(&self) -> Result<Sequence> {
        slowly(self.0.watermark()).await
    }
    async fn slots(&self) -> Result<SlotSet> {
        self.0.slots().await
    }
    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        self.0.pin().await
    }
}

#[async_trait]
impl LexicalIndex for Slow<dyn LexicalIndex> {
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        slowly(self.0.apply(batch)).await
    }
    async fn watermark(&self) -> Result<Sequence> {
        slowly(self.0.watermark()).await
    }
    async fn slots(&self) -> Result<SlotSet> {
        self.0.slots().await
    }
    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        self.0.pin().await
    }
}

#[async_trait]
impl IndexProvider for Slow<dyn IndexProvider> {
    async fn lexical(
        &self,
        collection: &Collection,
        key: IndexKey,
    ) -> Result<Arc<dyn LexicalIndex>> {
        Ok(Arc::new(Slow(self.0.lexical(collection, key).await?)))
    }
    async fn vector(&self, collection: &Collection, key: IndexKey) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(Slow(self.0.vector(collection, key).await?)))
    }
    async fn remove(&self, key: IndexKey) -> Result<()> {
        self.0.remove(key).await
    }
    async fn retain(&self, keep: &[IndexKey]) -> Result<()> {
        self.0.retain(keep).await
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Documents with their versions; version 0 cannot be embedded.
    Put(Vec<(u8, u8)>),
    Delete(u8),
    /// Takes back what of the newest put is pending.
    Cancel,
    /// Stages what failed again.
    Retry,
    /// Lets the background tasks take this many turns.
    Turns(u8),
    Pause,
    Resume,
    Idle,
    /// The process dies wherever its background tasks are, and another one starts.
    Crash,
    Pin,
    Unpin,
    /// In the background, to this many tokens a chunk.
    Rebuild(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let puts = prop::collection::vec((0..4_u8, 0..6_u8), 1..3);
    let act = prop_oneof![
        6 => puts.prop_map(Act::Put),
        4 => (0..4_u8).prop_map(Act::Delete),
        2 => Just(Act::Cancel),
        1 => Just(Act::Retry),
        8 => (1..40_u8).prop_map(Act::Turns),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        1 => Just(Act::Idle),
        2 => Just(Act::Crash),
        1 => Just(Act::Pin),
        1 => Just(Act::Unpin),
        1 => (2..5_usize).prop_map(Act::Rebuild),
    ];
    prop::collection::vec(act, 1..40)
}

fn text(document: u8, version: u8) -> String {
    match version {
        0 => format!("poison of d{document}"),
        _ => format!("d{document} version {version} of some length, v{version}"),
    }
}

/// What callers were told: per document the versions put since it was last deleted.
#[derive(Debug, Default)]
struct Model {
    documents: BTreeMap<u8, Versions>,
}

#[derive(Debug, Default)]
struct Versions {
    put: Vec<u8>,
    /// The newest version that is known to have become retrievable: its place in `put`.
    published: Option<usize>,
}

impl Versions {
    /// The versions that may be retrievable once everything is indexed, or none. A version that a
    /// newer one overtook before it was published is not brought back when the newer one fails.
    fn in_the_end(&self) -> &[u8] {
        match self.put.as_slice() {
            [.., 0] => &self.put[self.published.unwrap_or(0)..],
            [.., newest] => std::slice::from_ref(newest),
            [] => &[],
        }
    }

    fn may_be_absent(&self) -> bool {
        self.published.is_none() && self.put.last().is_none_or(|newest| *newest == 0)
    }

    fn note_idle(&mut self) {
        let newest = self.put.iter().rposition(|version| *version > 0);
        // Where the newest version failed, an overtaken one may be missing.
        if self.put.last().is_some_and(|newest| *newest > 0) {
            self.published = newest;
        }
    }
}

impl Model {
    fn put(&mut self, document: u8, version: u8) {
        self.documents
            .entry(document)
            .or_default()
            .put
            .push(version);
    }

    fn note_idle(&mut self) {
        self.documents.values_mut().for_each(Versions::note_idle);
    }

    /// Once everything is indexed.
    fn check_in_the_end(&self, live: &BTreeMap<String, String>) {
        for (document, versions) in &self.documents {
            let found = live.get(&format!("d{document}"));
            let mut allowed = versions.in_the_end().iter();
            let fits = found.map_or(versions.may_be_absent(), |found| {
                allowed.any(|version| text(*document, *version) == *found)
            });
            assert!(fits, "d{document} is live as {found:?} after {versions:?}");
        }
        self.check(live);
    }

    /// At any time: nothing deleted, nothing but whole versions that were put since.
    fn check(&self, live: &BTreeMap<String, String>) {
        for (id, live) in live {
            let document: u8 = id[1..].parse().unwrap();
            let versions = self.documents.get(&document);
            let mut versions = versions.into_iter().flat_map(|versions| &versions.put);
            let whole = versions.any(|version| text(document, *version) == *live);
            assert!(whole, "{id} is live as {live:?}");
        }
    }
}

struct Run {
    world: World,
    model: Model,
    next_act: usize,
    jobs: u128,
}

/// Why a life ended.
enum End {
    Crash,
    Done,
}

impl Run {
    async fn live(&mut self, acts: &[Act]) -> End {
        let life = self.world.open().await;
        let mut pin: Option<Arc<dyn LedgerPin>> = None;
        let mut rebuild: Option<JoinHandle<()>> = None;
        while let Some(act) = acts.get(self.next_act) {
            self.next_act += 1;
            let rebuilding = rebuild.as_ref().is_some_and(|task| !task.is_finished());
            match act {
                Act::Put(puts) => self.put(&life, puts).await,
                Act::Delete(document) => {
                    life.delete(&[&format!("d{document}")]).await;
                    self.model.documents.remove(document);
                }
                Act::Cancel => self.cancel(&life).await,
                Act::Retry => {
                    life.retry_failed().await;
                }
                Act::Turns(turns) => take_turns(*turns).await,
                // The last step of a rebuild holds writers until the appliers have caught up.
                Act::Pause if rebuilding => {}
                Act::Pause => life.indexer.pause(life.collection.id).unwrap(),
                Act::Resume => life.indexer.resume(life.collection.id).unwrap(),
                Act::Idle => {
                    pin = None;
                    idle(&life).await;
                    self.model.note_idle();
                }
                Act::Crash => return End::Crash,
                Act::Pin => pin = Some(self.world.ledger.pin(&name()).await.unwrap()),
                Act::Unpin => pin = None,
                Act::Rebuild(tokens) => {
                    life.indexer.resume(life.collection.id).unwrap();
                    rebuild.get_or_insert_with(|| tokio::spawn(rebuild_to(life.clone(), *tokens)));
                }
            }
            self.check_always().await;
        }
        drop(pin);
        idle(&life).await;
        if let Some(rebuild) = rebuild {
            rebuild.await.unwrap();
        }
        idle(&life).await;
        End::Done
    }

    async fn put(&mut self, life: &Life, puts: &[(u8, u8)]) {
        let puts: BTreeMap<u8, u8> = puts.iter().copied().collect();
        let lines: Vec<_> = puts
            .iter()
            .map(|(document, version)| format!("d{document}: {}", text(*document, *version)))
            .collect();
        self.jobs += 1;
        let job = JobId(Uuid::from_u128(self.jobs));
        let outcome = life.ingest_as(job, &lines.join("\n")).await;
        let Recorded::Done(receipt) = outcome.staged else {
            panic!("staged without an idempotency key");
        };
        for ((document, version), outcome) in puts.into_iter().zip(receipt.outcomes) {
            if matches!(outcome, ChangeOutcome::Staged { .. }) {
                self.model.put(document, version);
            }
        }
    }

    /// Cancels the newest job. What it takes back was never put.
    async fn cancel(&mut self, life: &Life) {
        let job = JobId(Uuid::from_u128(self.jobs));
        if self.jobs == 0 {
            return;
        }
        let items = |job: Option<Job>| job.unwrap().items.into_iter();
        let ledger = life.world.ledger.clone();
        let before: Vec<_> = items(ledger.job(job).await.unwrap()).collect();
        let cancelled = life.indexer.cancel_job(&life.collection, job, None).await;
        cancelled.unwrap();
        for (before, after) in before.iter().zip(items(ledger.job(job).await.unwrap())) {
            let newly = before.status != after.status && after.status == JobItemStatus::Cancelled;
            let document = after.document[1..].parse().unwrap();
            if newly && let Some(versions) = self.model.documents.get_mut(&document) {
                versions.put.pop();
            }
        }
    }

    /// What every reader relies on, whatever the background tasks are in the middle of.
    async fn check_always(&self) {
        let pin = self.world.ledger.pin(&name()).await.unwrap();
        let selection = pin.select(None).await.unwrap();
        let live = selection.slots.unwrap();
        let key = pin.collection().index_key();
        let lexical = self
            .world
            .indexes
            .lexical(pin.collection(), key)
            .await
            .unwrap();
        let vector = self
            .world
            .indexes
            .vector(pin.collection(), key)
            .await
            .unwrap();
        assert!(
            live.is_subset(&lexical.slots().await.unwrap()),
            "lexical lags behind readers"
        );
        assert!(
            live.is_subset(&vector.slots().await.unwrap()),
            "vector lags behind readers"
        );
        self.model.check(&self.joined().await);
    }

    async fn joined(&self) -> BTreeMap<String, String> {
        let live = self.world.live().await.into_iter();
        live.map(|(id, chunks)| (id, chunks.join(" "))).collect()
    }
}

async fn take_turns(turns: u8) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

async fn idle(life: &Life) {
    life.indexer.resume(life.collection.id).unwrap();
    life.idle().await;
}

async fn rebuild_to(life: Life, tokens: usize) {
    let collection = life.world.ledger_collection().await;
    let rebuilt = life
        .indexer
        .rebuild(&collection, settings(tokens), |_| {})
        .await
        .unwrap();
    assert_eq!(rebuilt.settings, settings(tokens));
}

fn check(acts: &[Act]) {
    let embedder: Arc<dyn Embedder> = Arc::new(PoisonedEmbedder {
        inner: HashEmbedder::new(DIMENSION),
        code: ErrorCode::Internal,
    });
    let mut world = World::with_embedder(Arc::new(Slow(embedder)));
    let provider: Arc<dyn IndexProvider> = Arc::clone(&world.indexes) as _;
    world.provider = Arc::new(Slow(provider));
    let mut run = Run {
        world,
        model: Model::default(),
        next_act: 0,
        jobs: 0,
    };
    loop {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let end = runtime.block_on(run.live(acts));
        runtime.shutdown_background();
        match end {
            End::Crash => {}
            End::Done => break,
        }
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().unwrap().block_on(async {
        run.model.check_in_the_end(&run.joined().await);
        run.world.assert_sound().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_121),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_interleaving_ends_where_the_map_ends(acts in acts()) {
        check(&acts);
    }
}
