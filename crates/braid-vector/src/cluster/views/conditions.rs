//! What a chunk must say, and must not.
//!
//! Conditions become a filter on [`SAID`](crate::cluster::said::SAID). For one word the server tells exactly
//! which chunks say it. Of several in a row it tells which may: their texts are read and looked through
//! ([`Check`]) before they count, so that no hit breaks a condition. Where few chunks pass they are named
//! here, and both legs search among them; else the filter goes with the selection ([`Conditioned`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ::qdrant_client::qdrant as wire;
use braid_core::{
    Candidate, DocumentId, Language, LanguageSetting, Narrowed, RankedList, Result, Selection,
    Sequence, Slot, SlotSet, TextCondition,
};
use braid_text::Analyzers;
use braid_text::lexical::{EntryWords, Forms, Languages};
use futures::future::try_join_all;
use parking_lot::Mutex;

use super::rounds::{Sight, State};
use super::{Census, Searched};
use crate::cluster::cas::any_text;
use crate::cluster::chunks::{ANALYZED, ChunkPoint};
use crate::cluster::said::Saying;
use crate::cluster::sparse;

/// So few chunks are named, and counted without those of replaced versions.
const FEW: usize = 256;
/// Chunks whose texts are read at once.
const READ: usize = 256;
/// Most pairs of neighbours that the server is asked for, of one phrase in one language.
const PAIRS: usize = 12;
/// Most of all phrases of a query in all languages and fields, but one of each.
const ALL_PAIRS: usize = 2048;
/// Fields that a pair is asked for in.
const FIELDS: usize = 3;

/// A narrowed selection, as the legs get it in place of the pinned state.
pub(super) struct Conditioned {
    /// The pinned state.
    pub(super) state: Option<State>,
    /// The selection and, as far as the server can tell, the conditions.
    pub(super) filter: wire::Filter,
    /// What it cannot; `None` where there is no such thing.
    pub(super) check: Option<Arc<Check>>,
}

impl Conditioned {
    /// What goes with a selection, where it is narrowed.
    pub(super) fn of(selection: &Selection) -> Option<Arc<Self>> {
        let state: State = selection.state.clone()?;
        state.downcast().ok()
    }
}

/// A condition in the forms of every language that chunks are in.
#[derive(Clone)]
struct Asked {
    condition: TextCondition,
    forms: Forms,
    /// Of each form, with the languages of the chunks that it counts for; `None` for all.
    sayings: Vec<(Saying, Option<Languages>)>,
}

impl Asked {
    /// What every chunk that says its words meets.
    fn may(&self, languages: &[Language]) -> wire::Condition {
        let sayings = self.sayings.iter();
        let ways =
            sayings.map(|(saying, within)| limited(saying.may.clone(), within.as_ref(), languages));
        wire::Filter::should(ways).into()
    }

    /// What only chunks meet that say its words.
    fn does(&self, languages: &[Language]) -> Option<wire::Condition> {
        let sayings = self.sayings.iter();
        let ways = sayings.filter_map(|(saying, within)| {
            Some(limited(saying.does.clone()?, within.as_ref(), languages))
        });
        let ways: Vec<wire::Condition> = ways.collect();
        (!ways.is_empty()).then(|| wire::Filter::should(ways).into())
    }

    /// Whether the server tells exactly who says its words.
    fn is_exact(&self) -> bool {
        self.sayings.iter().all(|(saying, _)| saying.is_exact)
    }

    fn is_said(&self, words: &EntryWords, language: Language) -> bool {
        let mut forms = self.forms.iter();
        let form = forms.find(|(_, within)| within.is_none_or(|within| within.has(language)));
        form.is_some_and(|(phrase, _)| words.say(phrase, self.condition.field))
    }

    /// Without words, there is nothing to say or not to say.
    fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }
}

fn limited(
    said: wire::Condition,
    within: Option<&Languages>,
    languages: &[Language],
) -> wire::Condition {
    let Some(within) = within else {
        return said;
    };
    let languages = languages.iter().filter(|language| within.has(**language));
    wire::Filter::must([analyzed_in(languages), said]).into()
}

pub(super) fn analyzed_in<'l>(languages: impl Iterator<Item = &'l Language>) -> wire::Condition {
    any_text(ANALYZED, languages.map(Language::to_string).collect())
}

/// Looks through the texts of chunks, each once.
pub(super) struct Check {
    conditions: Vec<Asked>,
    known: Mutex<HashMap<Slot, bool>>,
}

impl Check {
    /// `None` where the server can tell all.
    fn new<'a>(conditions: impl IntoIterator<Item = &'a Asked>) -> Option<Arc<Self>> {
        let conditions: Vec<Asked> = conditions.into_iter().cloned().collect();
        let is_needed = !conditions.iter().all(Asked::is_exact);
        is_needed.then(|| {
            Arc::new(Self {
                conditions,
                known: Mutex::default(),
            })
        })
    }

    /// Whether a chunk meets every condition.
    fn passes(&self, chunk: &ChunkPoint, analyzers: &Analyzers) -> bool {
        let analyzer = analyzers.of_document(chunk.record.language);
        let words = EntryWords::new(sparse::texts(&chunk.record), analyzer);
        let mut conditions = self.conditions.iter();
        conditions
            .all(|asked| asked.is_said(&words, analyzer.language()) != asked.condition.is_excluded)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").finish_non_exhaustive()
    }
}

impl Searched {
    /// As [`braid_core::LexicalView::narrow`], but that slots are named only where they are few; see
    /// [`FEW`]. Counts of more include chunks of versions that were replaced a moment ago and, of words in a
    /// row, chunks of which the server cannot tell.
    pub(super) async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        let census = self.census().await?;
        let asked = self.asked(conditions, &census).await?;
        let base = self.base(selection, &census).await?;
        let sight = match &selection.state {
            Some(state) => Some(Sight::of(Some(Arc::clone(state)))?),
            // Whoever names slots and no state has chosen them.
            None => None,
        };
        let within = (&base, sight.as_ref());
        let counts = asked.iter().map(|one| self.saying(one, within, &census));
        let wanted: Vec<&Asked> = asked.iter().filter(|one| !one.is_empty()).collect();
        let filter = meeting(&base, &wanted, &census.languages);
        let check = Check::new(wanted);
        let few = self.few(&filter, check.as_ref(), sight.as_ref());
        let (saying, few) = futures::try_join!(try_join_all(counts), few)?;
        let selection = match few {
            Some(slots) => Selection {
                slots: Some(Arc::new(slots)),
                ..selection.clone()
            },
            None => Selection {
                state: Some(Arc::new(Conditioned {
                    state: selection.state.clone(),
                    filter,
                    check,
                })),
                ..selection.clone()
            },
        };
        Ok(Narrowed { selection, saying })
    }

    async fn asked(&self, conditions: &[TextCondition], census: &Census) -> Result<Vec<Asked>> {
        let analyzers = Arc::clone(&self.chunks.analyzers);
        let (conditions, languages) = (conditions.to_vec(), census.languages.clone());
        let made = self.chunks.points.site.pool.run(move || {
            let analyzers = languages.iter().map(|language| analyzers.of(*language));
            let analyzers: Vec<_> = analyzers.collect();
            let forms = conditions.iter();
            let forms: Vec<Forms> = forms
                .map(|condition| Forms::new(&analyzers, &condition.text))
                .collect();
            let all: usize = forms.iter().map(|forms| forms.iter().count()).sum();
            let pairs = (ALL_PAIRS / (FIELDS * all.max(1))).clamp(1, PAIRS);
            let asked = conditions.into_iter().zip(forms);
            let asked = asked.map(|(condition, forms)| {
                let of = |(phrase, within)| (Saying::new(phrase, condition.field, pairs), within);
                Asked {
                    sayings: forms.iter().map(of).collect(),
                    condition,
                    forms,
                }
            });
            asked.collect()
        });
        made.await
    }

    /// The selection, within the languages that conditions are known in: chunks may have come in another
    /// one since the census.
    async fn base(&self, selection: &Selection, census: &Census) -> Result<wire::Filter> {
        let mut base = self.filter(selection).await?.unwrap_or_default();
        if self.chunks.analyzers.setting() == LanguageSetting::Auto {
            base.must.push(analyzed_in(census.languages.iter()));
        }
        Ok(base)
    }

    /// How many chunks say the words of a condition, excluded or not.
    async fn saying(
        &self,
        one: &Asked,
        (base, sight): (&wire::Filter, Option<&Sight>),
        census: &Census,
    ) -> Result<u64> {
        let mut said = one.clone();
        said.condition.is_excluded = false;
        let filter = match one.is_empty() {
            true if one.condition.is_excluded => return Ok(0),
            true => base.clone(),
            false => meeting(base, &[&said], &census.languages),
        };
        match self
            .few(&filter, Check::new([&said]).as_ref(), sight)
            .await?
        {
            Some(slots) => Ok(slots.len()),
            None => self.guard.call(|| self.chunks.count_of(&filter)).await,
        }
    }

    /// The chunks that pass, are of versions that count and pass the check; `None` where they are many.
    async fn few(
        &self,
        filter: &wire::Filter,
        check: Option<&Arc<Check>>,
        sight: Option<&Sight>,
    ) -> Result<Option<SlotSet>> {
        let first = self.guard.call(|| self.chunks.first(filter, FEW + 1));
        let mut found = first.await?;
        if found.len() > FEW {
            return Ok(None);
        }
        if let Some(sight) = sight {
            let versions = found
                .iter()
                .map(|(_, document, sequence)| (document, *sequence));
            let versions: Vec<(&DocumentId, Sequence)> = versions.collect();
            let mut visible = sight.of_documents(&versions).await?.into_iter();
            found.retain(|(_, _, sequence)| visible.next().flatten() == Some(*sequence));
        }
        let slots: Vec<Slot> = found.iter().map(|(slot, ..)| *slot).collect();
        let passing = match check {
            Some(check) => self.passing(check, &slots).await?,
            None => vec![true; slots.len()],
        };
        let passing = slots.iter().zip(passing).filter(|(_, passes)| *passes);
        Ok(Some(passing.map(|(slot, _)| slot.0).collect()))
    }

    /// Those of `found`, best first, that pass the check. What comes after so many that `depth` are left
    /// and no more are as good is not looked at.
    pub(super) async fn checked(
        &self,
        check: &Arc<Check>,
        found: Vec<Candidate>,
        depth: usize,
    ) -> Result<RankedList> {
        let mut kept = RankedList::new();
        for page in found.chunks(READ) {
            let worst = depth.checked_sub(1).and_then(|last| kept.get(last));
            if worst.is_some_and(|worst| worst.score > page[0].score) {
                break;
            }
            let slots: Vec<Slot> = page.iter().map(|candidate| candidate.slot).collect();
            let passing = self.passing(check, &slots).await?;
            let passing = page.iter().zip(passing).filter(|(_, passes)| *passes);
            kept.extend(passing.map(|(candidate, _)| *candidate));
        }
        Ok(kept)
    }

    /// Whether each of these passes the check.
    async fn passing(&self, check: &Arc<Check>, slots: &[Slot]) -> Result<Vec<bool>> {
        let unknown: Vec<Slot> = {
            let known = check.known.lock();
            let slots = slots.iter().copied();
            slots.filter(|slot| !known.contains_key(slot)).collect()
        };
        for unknown in unknown.chunks(READ) {
            let chunks = self.guard.call(|| self.chunks.fetch(unknown)).await?;
            let (check, analyzers) = (Arc::clone(check), Arc::clone(&self.chunks.analyzers));
            let slots = unknown.to_vec();
            let look = move || {
                let passing = slots.into_iter().zip(chunks).map(|(slot, chunk)| {
                    let passes = chunk.is_some_and(|chunk| check.passes(&chunk, &analyzers));
                    (slot, passes)
                });
                let passing: Vec<(Slot, bool)> = passing.collect();
                check.known.lock().extend(passing);
            };
            self.chunks.points.site.pool.run(look).await?;
        }
        let known = check.known.lock();
        let verdict = |slot: &Slot| known.get(slot).copied().unwrap_or(false);
        Ok(slots.iter().map(verdict).collect())
    }
}

/// `base`, of which every condition holds as far as the server can tell.
fn meeting(base: &wire::Filter, conditions: &[&Asked], languages: &[Language]) -> wire::Filter {
    let mut filter = base.clone();
    for asked in conditions {
        if asked.condition.is_excluded {
            filter.must_not.extend(asked.does(languages));
        } else {
            filter.must.push(asked.may(languages));
        }
    }
    filter
}
