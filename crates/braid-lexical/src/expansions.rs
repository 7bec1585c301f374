//! What a query is searched for as besides: weighed phrases that add to the scores of its words.

use braid_core::{Expansion, Result};
use braid_text::lexical::{K1, Languages, Phrase, inverse_frequency};

use crate::lookup::Lookup;
use crate::phrase::{Occurrence, occurrences};
use crate::scoring::{Scale, SegmentScores, Wanted};

/// A phrase that the query does not say.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    pub(crate) phrase: Phrase,
    /// The languages of the documents in which it counts; `None` for every document.
    pub(crate) languages: Option<Languages>,
    /// The most that it may be worth, before its weight: what the words are worth that it stands for,
    /// so that a rare synonym does not outweigh what was asked.
    pub(crate) at_most: f32,
    /// What is told of it; its weight multiplies the score.
    pub(crate) told: Expansion,
}

/// An expansion with what it needs of the whole index.
pub(crate) struct WeighedExpansion {
    /// By segment.
    occurrences: Vec<Vec<Occurrence>>,
    scale: Scale,
}

/// Looks up where expansions occur; those that do not are left out.
pub(crate) fn weigh(lookup: &Lookup<'_>, wanted: Wanted<'_>) -> Result<Vec<WeighedExpansion>> {
    let mut weighed = Vec::with_capacity(wanted.expansions.len());
    for expansion in wanted.expansions {
        let segments = 0..lookup.searcher.segment_readers().len();
        let phrase = &expansion.phrase;
        let found =
            segments.map(|ordinal| occurrences(lookup, ordinal, wanted.fields, phrase, None));
        let found = found.collect::<Result<Vec<_>>>()?;
        let matching: usize = found.iter().map(Vec::len).sum();
        if matching == 0 {
            continue;
        }
        let rarity = inverse_frequency(matching as u64, wanted.statistics.documents);
        let scale = Scale {
            factor: expansion.told.weight * rarity.min(expansion.at_most) * (K1 + 1.0),
            by_length: true,
            languages: expansion.languages,
        };
        weighed.push(WeighedExpansion {
            occurrences: found,
            scale,
        });
    }
    Ok(weighed)
}

impl WeighedExpansion {
    /// Adds its scores in the segment that is the `ordinal`th.
    pub(crate) fn add_to(&self, scores: &mut SegmentScores<'_>, ordinal: usize) -> Result<()> {
        let found = &self.occurrences[ordinal];
        if found.is_empty() {
            return Ok(());
        }
        let mut sum = scores.adding(self.scale)?;
        for Occurrence { document, count } in found {
            sum.add(*document, *count);
        }
        Ok(())
    }
}
