//! The part of a retrieval that needs the pinned state: pin, embed, search both legs.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{
    Collection, CollectionName, Embedding, Error, ErrorCode, Filter, LedgerPin, LexicalQuery,
    LexicalView, Result, Selection, TextCondition, VectorView,
};
use braid_text::script::main_script;
use futures::channel::oneshot;
use futures::future::{MaybeDone, maybe_done};

use crate::legs::{LegRun, Reach, Scope, Searcher, within};
use crate::request::Mode;
use crate::response::Timings;
use crate::retriever::RetrieverParts;
use crate::syntax::{ConditionReport, ParsedQuery, Typos};

/// What to search, and where.
#[derive(Clone, Copy)]
pub(crate) struct SearchPlan<'a> {
    /// The query without operators.
    pub(crate) query: &'a str,
    /// What every candidate must meet.
    pub(crate) conditions: &'a [TextCondition],
    pub(crate) typos: Typos,
    pub(crate) collection: &'a CollectionName,
    pub(crate) mode: Mode,
    pub(crate) filter: Option<&'a Arc<Filter>>,
    pub(crate) lexical: Reach,
    pub(crate) dense: Reach,
    /// The state to search, where one is pinned already.
    pub(crate) pin: Option<&'a Arc<dyn LedgerPin>>,
}

impl<'a> SearchPlan<'a> {
    /// The plan for a query as it was read, with everything else as it is.
    pub(crate) fn asking(self, asked: &'a ParsedQuery) -> Self {
        Self {
            query: &asked.text,
            conditions: &asked.conditions,
            ..self
        }
    }
}

/// What the legs gave, with the ledger still pinned (the views are not).
pub(crate) struct Searched {
    pub(crate) pin: Arc<dyn LedgerPin>,
    /// `None` where the mode does not ask the leg.
    pub(crate) lexical: Option<Result<LegRun>>,
    pub(crate) dense: Option<Result<LegRun>>,
    /// The plan's conditions.
    pub(crate) conditions: Vec<ConditionReport>,
    /// Whether nothing that the filter lets pass meets them.
    pub(crate) is_unmet: bool,
    /// `embed`, `lexical` and `dense` are filled.
    pub(crate) timings: Timings,
}

/// One consistent state: the ledger, pinned first, and views of the asked legs' indexes, which
/// therefore hold every slot that is live in it.
struct Pinned {
    pin: Arc<dyn LedgerPin>,
    selection: Selection,
    lexical: Option<Result<Arc<dyn LexicalView>>>,
    vector: Option<Result<Arc<dyn VectorView>>>,
    conditions: Vec<ConditionReport>,
    is_unmet: bool,
    narrowing: Duration,
}

impl Mode {
    pub(crate) fn asks_lexical(self) -> bool {
        self != Self::Dense
    }

    pub(crate) fn asks_dense(self) -> bool {
        self != Self::Lexical
    }
}

/// Searches the legs that the plan asks for. The query is embedded while the state is being pinned;
/// the lexical leg is searched beside the dense one, once the query is embedded: embedding uses as
/// many cores as help, and a search that takes one of them makes it later than it saves.
///
/// # Cancel safety
/// Dropping the future releases the pin and the views.
pub(crate) async fn search(parts: &RetrieverParts, plan: SearchPlan<'_>) -> Result<Searched> {
    let embedding = maybe_done(embed(parts, plan));
    let mut embedding = std::pin::pin!(embedding);
    let pinned = beside(pin(parts, plan), embedding.as_mut()).await?;
    let scope = Scope {
        pin: &*pinned.pin,
        selection: &pinned.selection,
    };
    let (embedded, is_embedded) = oneshot::channel();
    let query = LexicalQuery {
        text: plan.query.to_owned(),
        typos: plan.typos == Typos::Auto,
        synonyms: Arc::clone(&pinned.pin.collection().synonyms),
    };
    let lexical = async {
        // Always the error that says that `embedded` is gone: the query is embedded, or the dense leg
        // gave up before it was, or was not asked.
        let _ = is_embedded.await;
        let search = search_lexical(plan, &query, scope, pinned.lexical);
        timed(within(parts.leg_timeout, search)).await
    };
    let dense = search_dense(plan, scope, pinned.vector, embedding, embedded);
    let (lexical, mut dense) = futures::join!(lexical, timed(within(parts.leg_timeout, dense)));
    if let Ok(run) = &mut dense.0 {
        run.is_unread = plan.mode.asks_dense() && is_unread(parts, plan.query);
    }
    let timings = Timings {
        embed: milliseconds(dense.0.as_ref().map_or(Duration::ZERO, |run| run.embedding)),
        lexical: searching_time(&lexical) + milliseconds(pinned.narrowing),
        dense: searching_time(&dense),
        ..Timings::default()
    };
    Ok(Searched {
        pin: pinned.pin,
        lexical: plan.mode.asks_lexical().then_some(lexical.0),
        dense: plan.mode.asks_dense().then_some(dense.0),
        conditions: pinned.conditions,
        is_unmet: pinned.is_unmet,
        timings,
    })
}

/// Pins the ledger, then views of the asked indexes. An index that cannot be opened fails its leg,
/// not the retrieval.
async fn pin(parts: &RetrieverParts, plan: SearchPlan<'_>) -> Result<Pinned> {
    let pin = match plan.pin {
        Some(pin) => Arc::clone(pin),
        None => parts.ledger.pin(plan.collection).await?,
    };
    let collection = pin.collection();
    if plan.mode.asks_dense() {
        check_fingerprint(parts, collection)?;
    }
    let lexical = async {
        if plan.mode.asks_lexical() {
            Some(open_lexical(parts, collection).await)
        } else {
            None
        }
    };
    let vector = async {
        if plan.mode.asks_dense() {
            Some(open_vector(parts, collection).await)
        } else {
            None
        }
    };
    let selection = pin.select(plan.filter.cloned());
    let (selection, lexical, vector) = futures::join!(selection, lexical, vector);
    let mut pinned = Pinned {
        selection: selection?,
        lexical,
        vector,
        pin,
        conditions: Vec::new(),
        is_unmet: false,
        narrowing: Duration::ZERO,
    };
    if !plan.conditions.is_empty() {
        pinned.narrow(parts, plan).await?;
    }
    Ok(pinned)
}

impl Pinned {
    /// Leaves in the selection what meets the plan's conditions, so that both legs search among that
    /// alone, as with a filter. Where they cannot be checked the retrieval fails: nothing that may break
    /// a condition is returned.
    async fn narrow(&mut self, parts: &RetrieverParts, plan: SearchPlan<'_>) -> Result<()> {
        let view = match self.lexical.take() {
            Some(view) => view,
            None => open_lexical(parts, self.pin.collection()).await,
        };
        let doing = "checking the conditions of the query";
        let view = view.map_err(|error| error.context(doing))?;
        let narrowing = view.narrow(plan.conditions, &self.selection);
        let (narrowed, elapsed) = timed(within(parts.leg_timeout, narrowing)).await;
        let narrowed = narrowed.map_err(|error| error.context(doing))?;
        let reports = plan.conditions.iter().zip(narrowed.saying);
        self.conditions = reports
            .map(|(condition, saying)| ConditionReport {
                condition: condition.clone(),
                saying,
            })
            .collect();
        self.is_unmet = narrowed
            .selection
            .slots
            .as_ref()
            .is_some_and(|slots| slots.is_empty());
        self.selection = narrowed.selection;
        self.narrowing = elapsed;
        self.lexical = plan.mode.asks_lexical().then_some(Ok(view));
        Ok(())
    }
}

pub(crate) async fn open_lexical(
    parts: &RetrieverParts,
    collection: &Collection,
) -> Result<Arc<dyn LexicalView>> {
    let index = parts.indexes.lexical(collection, collection.index_key());
    index.await?.pin().await
}

async fn open_vector(
    parts: &RetrieverParts,
    collection: &Collection,
) -> Result<Arc<dyn VectorView>> {
    let store = parts.indexes.vector(collection, collection.index_key());
    store.await?.pin().await
}

/// Vectors of two models are never compared.
fn check_fingerprint(parts: &RetrieverParts, collection: &Collection) -> Result<()> {
    let (built, running) = (
        &collection.fingerprint.embedder,
        parts.embedder.fingerprint(),
    );
    if built == running {
        return Ok(());
    }
    let name = &collection.name;
    Err(Error::new(
        ErrorCode::FingerprintMismatch,
        format!("collection {name} was embedded with {built}, the running embedder is {running}"),
    )
    .with_help(format!(
        "run `braid collection rebuild {name}`, or search with mode lexical"
    )))
}

/// The embedded query with the time it took.
type Embedded = (Result<Embedding>, Duration);

async fn embed(parts: &RetrieverParts, plan: SearchPlan<'_>) -> Option<Embedded> {
    if plan.mode.asks_dense() {
        Some(timed(parts.embedder.embed_query(plan.query)).await)
    } else {
        None
    }
}

/// Whether the embedder says that it does not read the script of most of the query's letters.
fn is_unread(parts: &RetrieverParts, query: &str) -> bool {
    main_script(query).is_some_and(|script| !parts.embedder.reads(script))
}

async fn search_lexical(
    plan: SearchPlan<'_>,
    query: &LexicalQuery,
    scope: Scope<'_>,
    view: Option<Result<Arc<dyn LexicalView>>>,
) -> Result<LegRun> {
    let Some(view) = view else {
        return Ok(LegRun::default());
    };
    let searcher = Searcher::Lexical { view: view?, query };
    searcher.run(scope, plan.lexical).await
}

/// Drops `embedded` as soon as it no longer waits for the query's embedding.
async fn search_dense(
    plan: SearchPlan<'_>,
    scope: Scope<'_>,
    view: Option<Result<Arc<dyn VectorView>>>,
    mut embedding: Pin<&mut MaybeDone<impl Future<Output = Option<Embedded>>>>,
    embedded: oneshot::Sender<()>,
) -> Result<LegRun> {
    let Some(view) = view else {
        return Ok(LegRun::default());
    };
    let view = view?;
    embedding.as_mut().await;
    drop(embedded);
    let Some((embedded, spent)) = embedding.take_output().flatten() else {
        return Err(Error::internal("the query was not embedded"));
    };
    let embedding = embedded.map_err(|error| error.context("embedding the query"))?;
    let searcher = Searcher::Dense { view, embedding };
    let mut run = searcher.run(scope, plan.dense).await?;
    run.embedding = spent;
    Ok(run)
}

/// Runs `work` to its end; `other` makes progress meanwhile.
async fn beside<W: Future, O: Future>(work: W, mut other: Pin<&mut MaybeDone<O>>) -> W::Output {
    let mut work = std::pin::pin!(work);
    poll_fn(|context| {
        let _ = other.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let output = work.await;
    (output, started.elapsed())
}

/// Time in the index alone; of a leg that failed, all of its time.
fn searching_time((outcome, elapsed): &(Result<LegRun>, Duration)) -> f64 {
    milliseconds(outcome.as_ref().map_or(*elapsed, |run| run.searching))
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
