//! [`Faulty`]: a port that fails, or waits, on the calls a script names.
//!
//! ```text
//! let gate = Gate::new();
//! let store = Faulty::new(RamVectorStore::new(8))
//!     .on(Call::Apply, 1, Fault::FailBefore(ErrorCode::Unavailable)) // refused, nothing done
//!     .on(Call::Apply, 2, Fault::HoldAfter(gate.clone()));            // done, answer withheld
//! // ... start the work, then `gate.arrived().await`, look around, and `gate.open()`
//! ```

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    Calibration, Embedder, Embedding, Error, ErrorCode, Fingerprint, IndexBatch, Language,
    LexicalEntry, LexicalIndex, LexicalQuery, LexicalView, Narrowed, RankedList, Reranker, Result,
    Selection, Sequence, SlotSet, TextCondition, TokenCounter, VectorEntry, VectorStore,
    VectorView,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// A call of a port that a script can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `apply` of either index.
    Apply,
    /// `watermark` of either index.
    Watermark,
    /// `slots` of either index.
    Slots,
    /// `pin` of either index.
    Pin,
    /// `search` of a pinned view, counted over all views of the index.
    Search,
    /// `narrow` of a pinned view of a lexical index.
    Narrow,
    /// `embed_passages`.
    EmbedPassages,
    /// [`Embedder::embed_verbatim`].
    EmbedVerbatim,
    /// `embed_query`.
    EmbedQuery,
    /// `score` of a re-ranker.
    Score,
}

/// What happens to a scripted call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Fails with this code; the wrapped port is not called.
    FailBefore(ErrorCode),
    /// Calls the wrapped port, then fails with this code: done, but the caller cannot know.
    FailAfter(ErrorCode),
    /// Waits at the gate, then calls the wrapped port.
    HoldBefore(Gate),
    /// Calls the wrapped port, then waits at the gate before it answers.
    HoldAfter(Gate),
}

/// A place where a call waits until the test lets it go on.
#[derive(Clone, Debug)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    arrivals: Semaphore,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(GateState {
            arrivals: Semaphore::new(0),
            open: watch::Sender::new(false),
        }))
    }

    /// Waits until a call has come to the gate; each arrival is reported once.
    pub async fn arrived(&self) {
        let arrival = self.0.arrivals.acquire().await;
        arrival.expect("the semaphore is never closed").forget();
    }

    /// Lets every call through, waiting ones and later ones.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        self.0.arrivals.add_permits(1);
        let mut open = self.0.open.subscribe();
        let opened = open.wait_for(|open| *open).await;
        opened.expect("the sender lives as long as the gate");
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// Which calls of a kind a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Nth(usize),
    From(usize),
}

impl When {
    fn meets(self, nth: usize) -> bool {
        match self {
            Self::Nth(wanted) => nth == wanted,
            Self::From(first) => nth >= first,
        }
    }
}

#[derive(Debug, Default)]
struct Script {
    faults: Mutex<Vec<(Call, When, Fault)>>,
    counts: Mutex<HashMap<Call, usize>>,
}

impl Script {
    async fn play<T>(&self, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (nth, fault) = self.next(call);
        match fault {
            None => work.await,
            Some(Fault::FailBefore(code)) => Err(scripted(code, call, nth)),
            Some(Fault::FailAfter(code)) => {
                work.await?;
                Err(scripted(code, call, nth))
            }
            Some(Fault::HoldBefore(gate)) => {
                gate.pass().await;
                work.await
            }
            Some(Fault::HoldAfter(gate)) => {
                let answer = work.await;
                gate.pass().await;
                answer
            }
        }
    }

    fn next(&self, call: Call) -> (usize, Option<Fault>) {
        let mut counts = self.counts.lock();
        let nth = counts.entry(call).or_insert(0);
        *nth += 1;
        let faults = self.faults.lock();
        let fault = faults
            .iter()
            .find(|(scripted, when, _)| *scripted == call && when.meets(*nth))
            .map(|(_, _, fault)| fault.clone());
        (*nth, fault)
    }
}

fn scripted(code: ErrorCode, call: Call, nth: usize) -> Error {
    Error::new(code, format!("scripted fault on {call:?} call {nth}"))
}

/// A port whose calls follow a script; every call outside the script goes straight through.
pub struct Faulty<T: ?Sized> {
    script: Arc<Script>,
    inner: Arc<T>,
}

impl<T> Faulty<T> {
    /// Wraps `inner` with an empty script.
    pub fn new(inner: T) -> Self {
        Self::shared(Arc::new(inner))
    }
}

impl<T: ?Sized> Faulty<T> {
    /// As [`Faulty::new`] for a port that the test also holds itself, a trait object included.
    pub fn shared(inner: Arc<T>) -> Self {
        Self {
            script: Arc::default(),
            inner,
        }
    }

    /// Adds `fault` to the `nth` call (from 1).
    #[must_use]
    pub fn on(self, call: Call, nth: usize, fault: Fault) -> Self {
        self.add(call, When::Nth(nth), fault)
    }

    /// Adds `fault` to the `first` call (from 1) and every later one.
    #[must_use]
    pub fn on_from(self, call: Call, first: usize, fault: Fault) -> Self {
        self.add(call, When::From(first), fault)
    }

    /// Forgets the script: from now on every call goes straight through. Counts go on.
    pub fn heal(&self) {
        self.script.faults.lock().clear();
    }

    /// How many times `call` was made.
    pub fn count(&self, call: Call) -> usize {
        self.script.counts.lock().get(&call).copied().unwrap_or(0)
    }

    /// The wrapped port.
    pub fn inner(&self) -> &Arc<T> {
        &self.inner
    }

    fn add(self, call: Call, when: When, fault: Fault) -> Self {
        self.script.faults.lock().push((call, when, fault));
        self
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<T: LexicalIndex + ?Sized> LexicalIndex for Faulty<T> {
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        let work = self.inner.apply(batch);
        self.script.play(Call::Apply, work).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        let work = self.inner.watermark();
        self.script.play(Call::Watermark, work).await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.script.play(Call::Slots, self.inner.slots()).await
    }

    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        let inner = self.script.play(Call::Pin, self.inner.pin()).await?;
        let script = Arc::clone(&self.script);
        Ok(Arc::new(FaultyView { script, inner }))
    }
}

#[async_trait]
impl<T: VectorStore + ?Sized> VectorStore for Faulty<T> {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        let work = self.inner.apply(batch);
        self.script.play(Call::Apply, work).await
    }

    async fn watermark(&self) -> Result<Sequence> {
        let work = self.inner.watermark();
        self.script.play(Call::Watermark, work).await
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.script.play(Call::Slots, self.inner.slots()).await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        let inner = self.script.play(Call::Pin, self.inner.pin()).await?;
        let script = Arc::clone(&self.script);
        Ok(Arc::new(FaultyView { script, inner }))
    }
}

struct FaultyView<V: ?Sized> {
    script: Arc<Script>,
    inner: Arc<V>,
}

#[async_trait]
impl LexicalView for FaultyView<dyn LexicalView> {
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        let work = self.inner.find(query, selection, depth);
        self.script.play(Call::Search, work).await
    }

    async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        let work = self.inner.narrow(conditions, selection);
        self.script.play(Call::Narrow, work).await
    }
}

#[async_trait]
impl VectorView for FaultyView<dyn VectorView> {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let work = self.inner.search(query, selection, depth);
        self.script.play(Call::Search, work).await
    }
}

#[async_trait]
impl<T: Embedder + ?Sized> Embedder for Faulty<T> {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.token_counter()
    }

    fn reads(&self, script: braid_core::Script) -> bool {
        self.inner.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        let work = self.inner.embed_passages(texts);
        self.script.play(Call::EmbedPassages, work).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        let work = self.inner.embed_verbatim(texts);
        self.script.play(Call::EmbedVerbatim, work).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let work = self.inner.embed_query(text);
        self.script.play(Call::EmbedQuery, work).await
    }
}

#[async_trait]
impl<T: Reranker + ?Sized> Reranker for Faulty<T> {
    fn fingerprint(&self) -> &Fingerprint {
        self.inner.fingerprint()
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        self.inner.recommended_blend(language)
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        self.inner.calibration(language)
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let work = self.inner.score(query, passages);
        self.script.play(Call::Score, work).await
    }
}

#[cfg(test)]
mod tests;
