//! Which hits are offered to the context, and in which order.

use std::collections::BTreeSet;

use braid_core::{DocumentId, Passage};
use rustc_hash::FxHashMap;

use crate::request::ContextOptions;
use crate::response::RetrievedHit;
use crate::word_runs::{SHINGLE, WordRuns};

/// The places of the hits to offer, first to last: in rank order, or by maximal marginal relevance;
/// without those that are nearly the same as one before, and at most so many of a document. Each is
/// looked at when it is asked for: a context that is full has cost no more.
pub(super) fn choose<'a>(
    passages: &'a [&'a Passage],
    options: &'a ContextOptions,
) -> impl Iterator<Item = usize> + 'a {
    let order: Vec<usize> = match options.mmr {
        None => (0..passages.len()).collect(),
        Some(lambda) => by_marginal_relevance(passages, lambda),
    };
    let mut chosen = Chosen {
        options,
        of_document: FxHashMap::default(),
        shingles: Vec::new(),
    };
    let places = order.into_iter();
    places.filter(move |place| chosen.takes(passages[*place]))
}

/// Documents of `hits`, best first, that a context made with these options has nothing of, whatever room there
/// is: passages before theirs say nearly the same. (The cap of a document keeps none out: its first passage is
/// below it.)
pub fn left_out(hits: &[RetrievedHit], options: &ContextOptions) -> BTreeSet<DocumentId> {
    let passages: Vec<&Passage> = hits.iter().map(|hit| &hit.passage).collect();
    let document = |passage: &&Passage| passage.record.document.clone();
    let mut documents: BTreeSet<DocumentId> = passages.iter().map(document).collect();
    for place in choose(&passages, options) {
        documents.remove(&passages[place].record.document);
    }
    documents
}

struct Chosen<'a> {
    options: &'a ContextOptions,
    of_document: FxHashMap<&'a DocumentId, usize>,
    shingles: Vec<WordRuns>,
}

impl<'a> Chosen<'a> {
    fn takes(&mut self, passage: &'a Passage) -> bool {
        let most = self.options.per_document.unwrap_or(usize::MAX);
        let taken = self.of_document.get(&passage.record.document);
        if taken.is_some_and(|taken| *taken >= most) {
            return false;
        }
        if let Some(most) = self.options.max_similarity {
            let shingles = WordRuns::of(&passage.record.chunk.text, SHINGLE);
            let is_near = |other: &WordRuns| shingles.similarity(other) > most;
            if self.shingles.iter().any(is_near) {
                return false;
            }
            self.shingles.push(shingles);
        }
        *self
            .of_document
            .entry(&passage.record.document)
            .or_default() += 1;
        true
    }
}

/// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each next hit has the most of
/// `lambda` x relevance - (1 - `lambda`) x its greatest similarity to a hit before it, the better
/// ranked of equal ones.
///
/// Relevance falls evenly with the rank, from 1: scores of one list can be of several stages, and
/// are not comparable then. Similarity is the share of words in common: the passages are at hand,
/// where stored embeddings would have to be read under the pin, for every hit of every backend, and
/// embeddings of passages about one thing are alike even where they say different things of it.
fn by_marginal_relevance(passages: &[&Passage], lambda: f64) -> Vec<usize> {
    let texts = passages
        .iter()
        .map(|passage| passage.record.chunk.text.as_str());
    let words: Vec<WordRuns> = texts.map(|text| WordRuns::of(text, 1)).collect();
    let relevance = |place: usize| 1.0 - place as f64 / passages.len() as f64;
    let mut nearest = vec![0.0_f64; passages.len()];
    let mut left: Vec<usize> = (0..passages.len()).collect();
    let mut order = Vec::with_capacity(passages.len());
    while !left.is_empty() {
        let value = |place: usize| lambda * relevance(place) - (1.0 - lambda) * nearest[place];
        let mut best = 0;
        for at in 1..left.len() {
            if value(left[at]) > value(left[best]) {
                best = at;
            }
        }
        let next = left.remove(best);
        for place in &left {
            nearest[*place] = nearest[*place].max(words[next].similarity(&words[*place]));
        }
        order.push(next);
    }
    order
}
