//! Passages that say the same: the best stands for all, and names the others.

use braid_core::{DocumentId, DuplicateAction, DuplicateSettings, Passage};
use braid_text::likeness::similarity_percent;
use rustc_hash::FxHashMap;

use crate::response::{RetrievedHit, SameText};

/// Which passages count as saying the same. Those of one text always do.
#[derive(Clone, Copy, Debug, Default)]
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
    let mut told = Told::new(sameness);
    let mut best: Vec<RetrievedHit> = Vec::new();
    for hit in hits {
        match told.place(&hit.passage) {
            // A place beyond the count is of a hit that is not returned.
            Place::Of(place) => {
                if let Some(kept) = best.get_mut(place) {
                    kept.same.push(SameText::of(&hit.passage));
                }
            }
            Place::New if best.len() < count => best.push(hit),
            Place::New => {}
        }
    }
    for (hit, rank) in best.iter_mut().zip(1..) {
        hit.ordered = hit.rank;
        hit.rank = rank;
    }
    best
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

/// How many of the hits say different things.
pub(crate) fn count_distinct(hits: &[RetrievedHit], sameness: Sameness) -> usize {
    let mut told = Told::new(sameness);
    for hit in hits {
        told.place(&hit.passage);
    }
    told.count
}

enum Place {
    /// Nothing said so far is the same.
    New,
    /// The passage of that place says the same.
    Of(usize),
}

/// What was said so far.
struct Told {
    sameness: Sameness,
    count: usize,
    texts: FxHashMap<String, usize>,
    /// Texts by the document that their documents are duplicates of, or are.
    linked: FxHashMap<DocumentId, Vec<(usize, String)>>,
}

impl Told {
    fn new(sameness: Sameness) -> Self {
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
            let original = passage.duplicate_of.as_ref();
            let original = original.unwrap_or(&passage.record.document).clone();
            let linked = self.linked.entry(original).or_default();
            let is_same = |(_, other): &&(usize, String)| similarity_percent(text, other) >= least;
            if let Some((place, _)) = linked.iter().find(is_same) {
                self.texts.insert(text.clone(), *place);
                return Place::Of(*place);
            }
            linked.push((place, text.clone()));
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
        assert!(count_distinct(&hits, sameness) >= count.min(3));
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
        let strict = ["1 copy = far", "2 other = ", "3 original = ", "4 last = "];
        assert_eq!(shown(DuplicateAction::Link, 95, 5), strict);
    }
}
