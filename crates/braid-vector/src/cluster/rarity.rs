//! How rare terms are: what a query could score at most is worked out from it, and what a synonym may
//! count.
//!
//! The server multiplies by the rarity of a dimension and does not say it. But a search for one
//! dimension scores its best chunk with rarity times the chunk's own value, which comes with it; so one
//! small search tells. What was told is kept a while: rarity changes slowly, and only shares of scores
//! are worked out with it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ::qdrant_client::qdrant::vector_output::Vector as OutputKind;
use ::qdrant_client::qdrant::{
    self as wire, QueryPoints, ScoredPoint, VectorInput, WithVectorsSelector,
};
use braid_core::Language;
use braid_text::lexical::{Clause, LexicalField, inverse_frequency};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::chunks::SPARSE;
use super::sparse::dimension;

/// How long a rarity is taken to be as it was.
const FRESH: Duration = Duration::from_secs(60);
/// Most dimensions that are remembered.
const REMEMBERED: usize = 1 << 16;

/// What is known of the rarity of a dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rarity {
    Unknown,
    /// No chunk has it.
    Absent,
    /// What a match is multiplied by.
    Of(f32),
}

impl Rarity {
    /// What a match is multiplied by among so many chunks, if that is known. What no chunk has counts as
    /// what it is, the rarest.
    pub(crate) fn worth(self, chunks: u64) -> Option<f32> {
        match self {
            Self::Unknown => None,
            Self::Absent => Some(inverse_frequency(0, chunks)),
            Self::Of(rarity) => Some(rarity),
        }
    }
}

/// What is known of the rarity of dimensions.
#[derive(Debug, Default)]
pub(crate) struct Rarities(Mutex<HashMap<u32, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    rarity: Rarity,
    at: Instant,
}

impl Rarities {
    /// Of these dimensions the first `most` of which nothing is known.
    pub(crate) fn unknown(
        &self,
        dimensions: impl IntoIterator<Item = u32>,
        most: usize,
    ) -> Vec<u32> {
        let known = self.0.lock();
        let is_fresh = |known: &Known| known.at.elapsed() < FRESH;
        let mut seen = HashSet::new();
        let unknown = dimensions
            .into_iter()
            .filter(|dimension| !known.get(dimension).is_some_and(is_fresh))
            .filter(|dimension| seen.insert(*dimension));
        unknown.take(most).collect()
    }

    /// What was told of a dimension last.
    pub(crate) fn of(&self, dimension: u32) -> Rarity {
        let known = self.0.lock();
        known
            .get(&dimension)
            .map_or(Rarity::Unknown, |it| it.rarity)
    }

    /// Remembers what the search for a dimension found.
    pub(crate) fn note(&self, dimension: u32, found: Vec<ScoredPoint>) {
        let best = found.into_iter().next();
        let rarity = match best.map(|best| rarity(dimension, best)) {
            None => Rarity::Absent,
            // An answer without the vector says nothing.
            Some(None) => return,
            Some(Some(rarity)) => Rarity::Of(rarity),
        };
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let at = Instant::now();
        known.insert(dimension, Known { rarity, at });
    }

    /// What the content of a chunk adds up to at most that says every term over and over, in whichever
    /// of `languages` it is. Terms that no chunk has count as what they are, the rarest of `chunks`. 0
    /// where not all is known.
    pub(crate) fn ceiling(
        &self,
        clauses: &[Clause],
        languages: &[Language],
        chunks: u64,
        k1: f32,
    ) -> f32 {
        let mut sums = vec![0.0_f32; languages.len()];
        for (dimension, clause) in of_content(clauses) {
            let Some(rarity) = self.of(dimension).worth(chunks) else {
                return 0.0;
            };
            for (sum, language) in sums.iter_mut().zip(languages) {
                if clause.languages.is_none_or(|within| within.has(*language)) {
                    *sum += clause.weight * rarity * (k1 + 1.0);
                }
            }
        }
        sums.into_iter().fold(0.0, f32::max)
    }
}

/// The clauses of the content, each with its dimension.
pub(crate) fn of_content(clauses: &[Clause]) -> impl Iterator<Item = (u32, &Clause)> {
    let of_content = clauses
        .iter()
        .filter(|it| it.field == LexicalField::Content);
    of_content.map(|clause| (dimension(clause.field, &clause.text), clause))
}

/// The search that tells the rarity of a dimension.
pub(crate) fn question(collection: &str, dimension: u32) -> QueryPoints {
    let input = VectorInput::new_sparse(vec![dimension], vec![1.0]);
    QueryPoints {
        collection_name: collection.to_owned(),
        query: Some(wire::Query::new_nearest(input)),
        using: Some(SPARSE.to_owned()),
        limit: Some(1),
        with_payload: Some(false.into()),
        with_vectors: Some(WithVectorsSelector::from(vec![SPARSE])),
        ..QueryPoints::default()
    }
}

fn rarity(dimension: u32, best: ScoredPoint) -> Option<f32> {
    let score = best.score;
    let vectors = best.vectors?;
    let OutputKind::Sparse(stored) = vectors.get_vector_by_name(SPARSE)? else {
        return None;
    };
    let at = stored
        .indices
        .iter()
        .position(|index| *index == dimension)?;
    let value = stored
        .values
        .get(at)
        .copied()
        .filter(|value| *value > 0.0)?;
    Some(score / value)
}
