//! What a query is searched for as besides: weighed phrases that add to the scores of its words.

use braid_core::{Expansion, Result};
use tantivy::Searcher;
use tantivy::index::SegmentReader;

use crate::languages::{LanguageColumn, Languages};
use crate::phrase::{Occurrence, Phrase, occurrences};
use crate::schema::Fields;
use crate::scoring::{K1, Norms, documents, inverse_frequency, mean_length};

/// Most things that one query is searched for as besides.
pub(crate) const MAX_EXPANSIONS: usize = 32;

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
    factor: f32,
    mean_length: Option<f32>,
    languages: Option<Languages>,
}

/// Looks up where expansions occur; those that do not are left out.
pub(crate) fn weigh(
    searcher: &Searcher,
    fields: &Fields,
    expansions: &[Expanded],
) -> Result<Vec<WeighedExpansion>> {
    let mut weighed = Vec::with_capacity(expansions.len());
    for expansion in expansions {
        let segments = searcher.segment_readers().iter();
        let found = segments.map(|segment| occurrences(segment, fields, &expansion.phrase, None));
        let found = found.collect::<Result<Vec<_>>>()?;
        let matching: usize = found.iter().map(Vec::len).sum();
        if matching == 0 {
            continue;
        }
        let rarity = inverse_frequency(matching as u64, documents(searcher));
        weighed.push(WeighedExpansion {
            occurrences: found,
            factor: expansion.told.weight * rarity.min(expansion.at_most) * (K1 + 1.0),
            mean_length: mean_length(searcher, fields.content, documents(searcher))?,
            languages: expansion.languages,
        });
    }
    Ok(weighed)
}

/// Adds the scores of expansions to those of a segment's documents.
pub(crate) fn add_scores(
    (ordinal, segment): (usize, &SegmentReader),
    fields: &Fields,
    expansions: &[WeighedExpansion],
    mut scores: Option<Vec<f32>>,
) -> Result<Option<Vec<f32>>> {
    for expansion in expansions {
        let found = &expansion.occurrences[ordinal];
        if found.is_empty() {
            continue;
        }
        let norms = Norms::open(segment, fields.content, expansion.mean_length)?;
        let within = match expansion.languages {
            Some(languages) => Some((LanguageColumn::open(segment)?, languages)),
            None => None,
        };
        let scores = scores.get_or_insert_with(|| vec![0.0; segment.max_doc() as usize]);
        for Occurrence { document, count } in found {
            let is_within = within
                .as_ref()
                .is_none_or(|(column, languages)| column.is_within(*document, *languages));
            if is_within {
                let frequency = *count as f32;
                let saturated = frequency / (frequency + norms.of(*document));
                scores[*document as usize] += expansion.factor * saturated;
            }
        }
    }
    Ok(scores)
}
