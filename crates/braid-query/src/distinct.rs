//! Passages that say the same: the best stands for all, and names the others.

use braid_core::{DocumentId, DuplicateAction, DuplicateSettings, Passage};
use rustc_hash::FxHashMap;

use crate::response::{RetrievedHit, SameText};
use crate::word_runs::{SHINGLE, WordRuns};

/// Which passages count as saying the same. Those of one text always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sameness {
    /// Whether nothing does: every passage stands for itself.
    keeps_all: bool,
    /// The similarity, in percent, from which on passages of linked documents do too.
    linked_from: Option<u8>,
}

impl Sameness {
    /// As the collection treats duplicates.
    pub(crate) fn of(settings: DuplicateSettings) -> Self {
        let links = settings.action == DuplicateAction::Link && settings.is_near();
        Self {
            keeps_all: false,
            linked_from: links.then_some(settings.min_percent),
        }
    }

    /// Whether passages can say the same at all.
    pub(crate) fn is_any(self) -> bool {
        !self.keeps_all
    }

    /// The same where passages that say the same are to be told once (`distinct`); else that none do.
    pub(crate) fn asked(self, distinct: bool) -> Self {
        Self {
            keeps_all: !distinct,
            ..self
        }
    }
}

/// The first `count` hits that say different things, ranked anew, each with those that say the same.
pub(crate) fn best_distinct(
    hits: Vec<RetrievedHit>,
    count: usize,
    sameness: Sameness,
) -> Vec<RetrievedHit> {
    best_page(&[], hits, count, sameness).0
}

/// As [`best_distinct`], of what `before` does not say already; and the place, among `hits`, of the
/// first that says something new and is not returned: where the next page begins.
pub(crate) fn best_page(
    before: &[RetrievedHit],
    hits: Vec<RetrievedHit>,
    count: usize,
    sameness: Sameness,
) -> (Vec<RetrievedHit>, usize) {
    let mut told = Told::new(sameness);
    for hit in before {
        told.place(&hit.passage);
    }
    let first = told.count;
    let mut next = hits.len();
    let mut best: Vec<RetrievedHit> = Vec::new();
    for (index, hit) in hits.into_iter().enumerate() {
        match told.place(&hit.passage) {
            // A place beyond the count is of a hit that is not returned, one before the first of a
            // hit of an earlier page.
            Place::Of(place) => {
                let kept = place.checked_sub(first).and_then(|at| best.get_mut(at));
                if let Some(kept) = kept {
                    kept.same.push(SameText::of(&hit.passage));
                }
            }
            Place::New if best.len() < count => best.push(hit),
            Place::New => next = next.min(index),
        }
    }
    for (hit, rank) in best.iter_mut().zip(1..) {
        hit.ordered = hit.rank;
        hit.rank = rank;
    }
    (best, next)
}

/// Where a hit stands among those that say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the first to say it, at this 1-based rank.
    Kept(usize),
    /// The hit at this 1-based rank says the same.
    SameAs(usize),
}

/// Where each of the hits stands, as [`best_distinct`] would have it.
pub(crate) fn standings(hits: &[RetrievedHit], sameness: Sameness) -> Vec<Standing> {
    let mut told = Told::new(sameness);
    let standings = hits.iter().map(|hit| match told.place(&hit.passage) {
        Place::New => Standing::Kept(told.count),
        Place::Of(place) => Standing::SameAs(place + 1),
    });
    standings.collect()
}

enum Place {
    /// Nothing said so far is the same.
    New,
    /// The passage of that place says the same.
    Of(usize),
}

/// What was said so far.
pub(crate) struct Told {
    sameness: Sameness,
    count: usize,
    texts: FxHashMap<String, usize>,
    /// By the document that their documents are duplicates of, or are.
    linked: FxHashMap<DocumentId, Vec<Linked>>,
}

/// A passage of a document that others may be linked to.
struct Linked {
    place: usize,
    document: DocumentId,
    shingles: WordRuns,
}

impl Told {
    /// How many of the hits so far say different things.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes one more hit.
    pub(crate) fn tell(&mut self, hit: &RetrievedHit) {
        self.place(&hit.passage);
    }

    pub(crate) fn new(sameness: Sameness) -> Self {
        Self {
            sameness,
            count: 0,
            texts: FxHashMap::default(),
            linked: FxHashMap::default(),
        }
    }

    fn place(&mut self, passage: &Passage) -> Place {
        let text = &passage.record.chunk.text;
        if self.sameness.keeps_all {
            self.count += 1;
            return Place::New;
        }
        if let Some(place) = self.texts.get(text) {
            return Place::Of(*place);
        }
        let place = self.count;
        if let Some(least) = self.sameness.linked_from {
            let document = &passage.record.document;
            let original = passage.duplicate_of.as_ref().unwrap_or(document);
            let linked = self.linked.entry(original.clone()).or_default();
            let shingles = WordRuns::of(text, SHINGLE);
            // What a document says twice in other words is its own affair.
            let is_same = |other: &&Linked| {
                other.document != *document && shingles.similarity_percent(&other.shingles) >= least
            };
            if let Some(same) = linked.iter().find(is_same) {
                let place = same.place;
                self.texts.insert(text.clone(), place);
                return Place::Of(place);
            }
            linked.push(Linked {
                place,
                document: document.clone(),
                shingles,
            });
        }
        self.texts.insert(text.clone(), place);
        self.count += 1;
        Place::New
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use braid_core::{Chunk, ChunkId, ChunkRecord, ContentHash, Sequence, Slot, Span};

    use super::*;
    use crate::response::{ScoreStage, StageScores};

    fn hit(document: &str, text: &str, duplicate_of: Option<&str>) -> RetrievedHit {
        let id = |id: &str| DocumentId::new(id).unwrap();
        let record = ChunkRecord {
            slot: Slot(0),
            id: ChunkId(uuid::Uuid::nil()),
            document: id(document),
            sequence: Sequence(1),
            title: None,
            chunk: Chunk {
                ordinal: 0,
                span: Span { start: 0, end: 1 },
                page: None,
                heading_path: Vec::new(),
                context_header: String::new(),
                text: text.to_owned(),
                gap: String::new(),
            },
            embedding_key: ContentHash([0; 32]),
            language: None,
        };
        RetrievedHit {
            rank: 9,
            score: 1.0,
            score_stage: ScoreStage::Fused,
            passage: Passage {
                record,
                uri: Some(format!("file:///{document}")),
                metadata: Arc::default(),
                duplicate_of: duplicate_of.map(id),
            },
            scores: StageScores::default(),
            phrasings: Vec::new(),
            relevance: None,
            same: Vec::new(),
            ordered: 9,
        }
    }

    const FIRST: &str = "one two three four five six seven eight nine ten eleven twelve";
    const NEARLY: &str = "one two three four five six seven eight nine ten eleven dozen";
    const OTHERWISE: &str = "one two three four five six seven eight nine ten eleven dozens";

    fn hits() -> Vec<RetrievedHit> {
        vec![
            hit("copy", FIRST, Some("original")),
            hit("other", NEARLY, None),
            hit("original", OTHERWISE, None),
            hit("far", FIRST, None),
            hit("last", "something else", None),
        ]
    }

    fn shown(action: DuplicateAction, min_percent: u8, count: usize) -> Vec<String> {
        let settings = DuplicateSettings {
            action,
            min_percent,
        };
        let sameness = Sameness::of(settings);
        let hits = hits();
        let mut told = Told::new(sameness);
        hits.iter().for_each(|hit| told.tell(hit));
        assert!(told.count() >= count.min(3));
        let best = best_distinct(hits, count, sameness).into_iter();
        best.map(|hit| {
            let same: Vec<_> = hit.same.iter().map(|it| it.document.as_str()).collect();
            let document = hit.passage.record.document;
            format!("{} {document} = {}", hit.rank, same.join(" "))
        })
        .collect()
    }

    #[test]
    fn one_text_is_told_once_and_names_who_else_says_it() {
        let exact = ["1 copy = far", "2 other = ", "3 original = ", "4 last = "];
        assert_eq!(shown(DuplicateAction::Report, 80, 5), exact);
        assert_eq!(shown(DuplicateAction::Link, 100, 5), exact);
        assert_eq!(shown(DuplicateAction::Report, 80, 1), ["1 copy = far"]);
    }

    #[test]
    fn linked_documents_tell_nearly_the_same_once() {
        let linked = ["1 copy = original far", "2 other = ", "3 last = "];
        assert_eq!(shown(DuplicateAction::Link, 80, 5), linked);
        let own = vec![
            hit("original", FIRST, None),
            hit("original", NEARLY, None),
            hit("copy", OTHERWISE, Some("original")),
            hit("original", "{}", None),
            hit("copy", "};", Some("original")),
        ];
        let settings = DuplicateSettings {
            action: DuplicateAction::Link,
            min_percent: 80,
        };
        let best = best_distinct(own, 9, Sameness::of(settings));
        let texts: Vec<_> = best
            .iter()
            .map(|hit| hit.passage.record.chunk.text.as_str())
            .collect();
        assert_eq!(texts, [FIRST, NEARLY, "{}", "};"]);
        let strict = ["1 copy = far", "2 other = ", "3 original = ", "4 last = "];
        assert_eq!(shown(DuplicateAction::Link, 95, 5), strict);
    }
}
