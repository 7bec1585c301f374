//! Answers page by page: a list is made once, by the first request, and its pages are read from it.
//!
//! A [`Listing`] is every candidate of a retrieval in final order, by slot. Slots are never reused,
//! so whatever is written meanwhile, a candidate is either still the passage that was ranked, or gone:
//! then it is left out, and the page says so. Nothing is pinned between two pages, so purges and the
//! ledger's pages of old states do not wait for whoever may never ask again.

mod store;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use braid_core::{
    Collection, CollectionId, Error, ErrorCode, Expansion, Generation, LedgerPin, Passage, Result,
    Sequence, Slot,
};

pub use store::{PageLimits, PagingRetriever};

use crate::context::Question;
use crate::distinct::{Sameness, Told, best_page};
use crate::hydrate::passages_by_slot;
use crate::neighborhood::Neighborhood;
use crate::observe;
use crate::phrasings::PhrasingScores;
use crate::request::RetrieveRequest;
use crate::response::{
    Degradation, Note, RerankSummary, RetrieveResponse, RetrievedHit, ScoreStage, StageScores,
    Timings,
};
use crate::retriever::{Retriever, expansion};
use crate::search::milliseconds;
use crate::syntax::ConditionReport;
use crate::thresholds::EmptyReason;
use crate::trust::Trust;

/// Candidates read at once beyond a page, so that a few that are gone or say the same cost no second
/// read.
const SLACK: usize = 8;

/// A candidate of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) slot: Slot,
    /// 1-based rank in the final order, before passages that say the same are left out.
    pub(crate) rank: usize,
    pub(crate) score: f64,
    pub(crate) score_stage: ScoreStage,
    pub(crate) scores: StageScores,
    pub(crate) phrasings: Vec<PhrasingScores>,
    pub(crate) relevance: Option<f64>,
}

impl Listed {
    pub(crate) fn of(hit: &RetrievedHit) -> Self {
        Self {
            slot: hit.passage.record.slot,
            rank: hit.rank,
            score: hit.score,
            score_stage: hit.score_stage,
            scores: hit.scores,
            phrasings: hit.phrasings.clone(),
            relevance: hit.relevance,
        }
    }

    fn hit(&self, passage: Passage) -> RetrievedHit {
        RetrievedHit {
            rank: self.rank,
            score: self.score,
            score_stage: self.score_stage,
            passage,
            scores: self.scores,
            phrasings: self.phrasings.clone(),
            relevance: self.relevance,
            same: Vec::new(),
            ordered: self.rank,
        }
    }
}

/// The state that a list was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedState {
    collection: CollectionId,
    generation: Generation,
    published: Sequence,
}

impl ListedState {
    pub(crate) fn of(pin: &dyn LedgerPin) -> Self {
        let Collection { id, generation, .. } = pin.collection();
        Self {
            collection: *id,
            generation: *generation,
            published: pin.stats().published,
        }
    }
}

/// Every candidate of an answer, in final order, with what the answer says beside its hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub(crate) state: ListedState,
    pub(crate) listed: Vec<Listed>,
    pub(crate) sameness: Sameness,
    pub(crate) rerank: Option<RerankSummary>,
    pub(crate) terms: Vec<String>,
    pub(crate) expansions: Vec<Expansion>,
    pub(crate) conditions: Vec<ConditionReport>,
    pub(crate) notes: Vec<Note>,
    pub(crate) degraded: Vec<Degradation>,
    pub(crate) trust: Option<Trust>,
}

/// How far a list was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The first candidate, from 0, that the next page looks at.
    pub(crate) next: usize,
    /// Hits on the pages before.
    pub(crate) returned: usize,
}

/// What is left of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct More {
    pub(crate) listing: Arc<Listing>,
    pub(crate) place: Place,
}

/// Refuses a cursor whose list is not there.
pub(crate) fn not_kept() -> Error {
    Error::new(
        ErrorCode::CursorExpired,
        "the list that the cursor belongs to is no longer kept",
    )
    .with_help(
        "ask again without `cursor`; lists are kept for cache.pages_seconds after their last page, \
         within cache.pages_mib, and not over a restart",
    )
}

impl Listing {
    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let phrasings = self.listed.iter().map(|one| one.phrasings.len());
        self.listed.len() * size_of::<Listed>()
            + phrasings.sum::<usize>() * size_of::<PhrasingScores>()
            + self.terms.iter().map(String::len).sum::<usize>()
            + self.expansions.len() * size_of::<Expansion>()
            + self.conditions.len() * size_of::<ConditionReport>()
    }

    /// A rebuild makes every chunk anew: nothing of the list would be left.
    fn check_state(&self, now: ListedState) -> Result<()> {
        let ListedState {
            collection,
            generation,
            ..
        } = self.state;
        if (collection, generation) == (now.collection, now.generation) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::CursorExpired,
            "the collection was rebuilt or made anew since the first page",
        )
        .with_help("ask again without `cursor`"))
    }

    /// The candidates at these places that are still live, each with its place.
    async fn read(
        &self,
        pin: &dyn LedgerPin,
        places: Range<usize>,
    ) -> Result<Vec<(usize, RetrievedHit)>> {
        let listed = &self.listed[places.clone()];
        let slots: Vec<Slot> = listed.iter().map(|one| one.slot).collect();
        let mut by_slot = passages_by_slot(pin.hydrate(&slots).await?);
        let found = places.zip(listed).filter_map(|(place, one)| {
            let passage = by_slot.remove(&one.slot)?;
            Some((place, one.hit(passage)))
        });
        Ok(found.collect())
    }

    /// The next `count` hits from `place` on, where the page after them begins, and how many
    /// candidates between are gone.
    async fn page(&self, pin: &dyn LedgerPin, place: Place, count: usize) -> Result<Page> {
        let before = match self.sameness.is_any() {
            true => self.read(pin, 0..place.next).await?,
            false => Vec::new(),
        };
        let before: Vec<RetrievedHit> = before.into_iter().map(|(_, hit)| hit).collect();
        let mut told = Told::new(self.sameness);
        before.iter().for_each(|hit| told.tell(hit));
        let enough = told.count() + count;
        let (mut places, mut found) = (Vec::new(), Vec::new());
        let mut read = place.next;
        while read < self.listed.len() && told.count() <= enough {
            let end = (read + count + SLACK).min(self.listed.len());
            for (place, hit) in self.read(pin, read..end).await? {
                told.tell(&hit);
                places.push(place);
                found.push(hit);
            }
            read = end;
        }
        let (mut hits, next) = best_page(&before, found, count, self.sameness);
        let next = places.get(next).copied().unwrap_or(read);
        let alive = places.partition_point(|place| *place < next);
        for hit in &mut hits {
            hit.rank = hit.rank.saturating_add(place.returned);
        }
        Ok(Page {
            gone: next - place.next - alive,
            next: Place {
                next,
                returned: place.returned + hits.len(),
            },
            hits,
        })
    }
}

struct Page {
    hits: Vec<RetrievedHit>,
    next: Place,
    gone: usize,
}

impl Retriever {
    /// The page of a list that begins at `more`'s place, as it is now: without what was deleted or
    /// replaced since the list was made.
    ///
    /// # Errors
    /// `CursorExpired` where the collection was rebuilt since; `CollectionNotFound`.
    pub(crate) async fn page(
        &self,
        request: &RetrieveRequest,
        more: More,
        pin: Option<Arc<dyn LedgerPin>>,
    ) -> Result<RetrieveResponse> {
        let started = Instant::now();
        request.check()?;
        let More { listing, place } = more;
        let pin = match pin {
            Some(pin) => pin,
            None => self.parts.ledger.pin(&request.collection).await?,
        };
        listing.check_state(ListedState::of(&*pin))?;
        let page = listing.page(&*pin, place, request.top_k).await?;
        let records = page.hits.iter().map(|hit| &hit.passage.record);
        let neighborhood = Neighborhood::fetch(&*pin, records, expansion(request)).await?;
        let question = Question {
            text: request.syntax.read(&request.query).text,
            language: pin.collection().settings.language.of_document(None),
        };
        let lag = pin
            .stats()
            .newest
            .0
            .saturating_sub(listing.state.published.0);
        drop(pin);
        let mut timings = Timings {
            hydrate: milliseconds(started.elapsed()),
            ..Timings::default()
        };
        let assembling = Instant::now();
        let (hits, context) = self
            .assemble(page.hits, neighborhood, request, question)
            .await?;
        timings.assemble = milliseconds(assembling.elapsed());
        timings.total = milliseconds(started.elapsed());
        observe::record(&timings, &[]);
        let mut notes = listing.notes.clone();
        notes.extend((page.gone > 0).then_some(Note::Gone(page.gone)));
        Ok(RetrieveResponse {
            reason: hits.is_empty().then_some(EmptyReason::AtEnd),
            hits,
            context,
            timings,
            rerank: listing.rerank,
            lag,
            terms: listing.terms.clone(),
            expansions: listing.expansions.clone(),
            conditions: listing.conditions.clone(),
            notes,
            degraded: listing.degraded.clone(),
            cached: false,
            trust: listing.trust.clone(),
            more: (page.next.next < listing.listed.len()).then_some(More {
                listing,
                place: page.next,
            }),
            next_cursor: None,
        })
    }
}
