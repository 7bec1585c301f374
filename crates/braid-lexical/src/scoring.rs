//! BM25, term by term over Tantivy's postings.
//!
//! Every clause adds its score to one accumulator a document, in query order. Unlike Tantivy's
//! own top-k collection this is exact over several segments, adds in the same order for every
//! document (so equal documents have equal scores, bit for bit), and lets a selection bind before
//! anything is ranked. The cost is linear in the postings read.

use std::rc::Rc;
use std::sync::Arc;

use braid_core::{Candidate, Result, Slot, SlotSet};
use braid_text::lexical::{K1, Languages, inverse_frequency, length_norm, saturation};
use tantivy::Searcher;
use tantivy::columnar::ColumnValues;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::schema::{Field, IndexRecordOption};

use crate::error::{io_error, lexical_error};
use crate::expansions::{self, Expanded};
use crate::languages::LanguageColumn;
use crate::lookup::{Found, Lookup};
use crate::schema::{Fields, SLOT};
use crate::statistics::Statistics;
use crate::top::TopCandidates;

/// A term to be looked for in one field.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) field: Field,
    pub(crate) text: String,
    /// What its BM25 score is multiplied by; more than 0.
    pub(crate) weight: f32,
    /// The languages of the documents in which it counts; `None` for every document.
    pub(crate) languages: Option<Languages>,
}

/// What is scored: the clauses of a query, and what it is searched for as besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) clauses: &'a [Clause],
    pub(crate) expansions: &'a [Expanded],
    pub(crate) fields: &'a Fields,
    pub(crate) statistics: &'a Statistics,
}

/// The `depth` best entries by the sum of the scores, among `slots` where given.
pub(crate) fn search(
    lookup: &Lookup<'_>,
    wanted: Wanted<'_>,
    slots: Option<&SlotSet>,
    depth: usize,
) -> Result<Vec<Candidate>> {
    let mut top = TopCandidates::new(depth);
    if depth == 0 || slots.is_some_and(SlotSet::is_empty) {
        return Ok(top.into_ranked());
    }
    let clauses = weigh(lookup, wanted)?;
    let expansions = expansions::weigh(lookup, wanted)?;
    for (ordinal, segment) in lookup.searcher.segment_readers().iter().enumerate() {
        let mut scores = SegmentScores::new(segment, wanted);
        for clause in &clauses {
            clause.add_to(&mut scores, ordinal)?;
        }
        for expansion in &expansions {
            expansion.add_to(&mut scores, ordinal)?;
        }
        if let Some(scores) = scores.scores {
            collect(segment, &scores, slots, &mut top)?;
        }
    }
    Ok(top.into_ranked())
}

/// A clause with what it needs of the whole index.
struct WeighedClause {
    field: Field,
    found: Rc<Found>,
    scale: Scale,
}

/// Looks up document frequencies; clauses that match nothing are left out.
fn weigh(lookup: &Lookup<'_>, wanted: Wanted<'_>) -> Result<Vec<WeighedClause>> {
    let documents = wanted.statistics.documents;
    let mut weighed = Vec::with_capacity(wanted.clauses.len());
    for clause in wanted.clauses {
        let found = lookup.find(clause.field, &clause.text)?;
        if found.documents == 0 {
            continue;
        }
        let scale = Scale {
            factor: clause.weight * inverse_frequency(found.documents, documents) * (K1 + 1.0),
            by_length: clause.field == wanted.fields.content,
            languages: clause.languages,
        };
        weighed.push(WeighedClause {
            field: clause.field,
            found,
            scale,
        });
    }
    Ok(weighed)
}

impl WeighedClause {
    /// Adds its scores in the segment that is the `ordinal`th.
    fn add_to(&self, scores: &mut SegmentScores<'_>, ordinal: usize) -> Result<()> {
        let Some(info) = &self.found.segments[ordinal] else {
            return Ok(());
        };
        let mut blocks = postings(scores.segment, self.field)?
            .read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)
            .map_err(|error| io_error("cannot read a posting list", error))?;
        let mut sum = scores.adding(self.scale)?;
        while !blocks.docs().is_empty() {
            for (document, frequency) in blocks.docs().iter().zip(blocks.freqs()) {
                sum.add(*document, *frequency);
            }
            blocks.advance();
        }
        Ok(())
    }
}

/// What one term's matches count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Weight, inverse document frequency and BM25's constant factor.
    pub(crate) factor: f32,
    /// Whether a document's length counts, as it does in the content.
    pub(crate) by_length: bool,
    /// The languages of the documents in which it counts; `None` for every document.
    pub(crate) languages: Option<Languages>,
}

/// The scores of a segment's documents so far, with the columns they are worked out from. Each is opened
/// when it is first needed, once a query.
pub(crate) struct SegmentScores<'a> {
    segment: &'a SegmentReader,
    wanted: Wanted<'a>,
    lengths: Option<FieldNormReader>,
    languages: Option<LanguageColumn>,
    /// `None` where nothing matches.
    scores: Option<Vec<f32>>,
}

impl<'a> SegmentScores<'a> {
    fn new(segment: &'a SegmentReader, wanted: Wanted<'a>) -> Self {
        Self {
            segment,
            wanted,
            lengths: None,
            languages: None,
            scores: None,
        }
    }

    /// To add the matches of one term.
    pub(crate) fn adding(&mut self, scale: Scale) -> Result<Sum<'_>> {
        let doing = "cannot read field lengths";
        if scale.by_length && self.lengths.is_none() {
            let lengths = self
                .segment
                .get_fieldnorms_reader(self.wanted.fields.content);
            self.lengths = Some(lengths.map_err(|error| lexical_error(doing, error))?);
        }
        if scale.languages.is_some() && self.languages.is_none() {
            self.languages = Some(LanguageColumn::open(self.segment)?);
        }
        let documents = self.segment.max_doc() as usize;
        let lengths = self.lengths.as_ref().filter(|_| scale.by_length);
        Ok(Sum {
            factor: scale.factor,
            norms: lengths.map(|lengths| (lengths, &self.wanted.statistics.norms)),
            within: self.languages.as_ref().zip(scale.languages),
            scores: self.scores.get_or_insert_with(|| vec![0.0; documents]),
        })
    }
}

/// Adds the matches of one term to the scores of a segment.
pub(crate) struct Sum<'a> {
    factor: f32,
    norms: Option<(&'a FieldNormReader, &'a LengthNorms)>,
    within: Option<(&'a LanguageColumn, Languages)>,
    scores: &'a mut [f32],
}

impl Sum<'_> {
    #[inline]
    pub(crate) fn add(&mut self, document: u32, frequency: u32) {
        if let Some((column, languages)) = self.within
            && !column.is_within(document, languages)
        {
            return;
        }
        let norm = match self.norms {
            Some((lengths, norms)) => norms.0[usize::from(lengths.fieldnorm_id(document))],
            None => K1,
        };
        self.scores[document as usize] += self.factor * saturation(frequency, norm);
    }
}

/// [`length_norm`] by the code of a length.
#[derive(Debug)]
pub(crate) struct LengthNorms(Box<[f32; 256]>);

impl LengthNorms {
    /// For documents of so many terms on average.
    pub(crate) fn new(mean_length: f32) -> Self {
        let mut table = Box::new([0.0; 256]);
        for (id, norm) in (0..=u8::MAX).zip(table.iter_mut()) {
            let length = FieldNormReader::id_to_fieldnorm(id) as f32;
            *norm = length_norm(length, mean_length);
        }
        Self(table)
    }
}

/// The most that the clauses of a field can add up to in a document, whichever its language is. Terms
/// that the index does not have count as what they are: the rarest.
pub(crate) fn ceiling(lookup: &Lookup<'_>, wanted: Wanted<'_>, field: Field) -> Result<f32> {
    let statistics = wanted.statistics;
    let mut sums = vec![0.0_f32; statistics.languages.len()];
    for clause in wanted.clauses.iter().filter(|one| one.field == field) {
        let matching = lookup.documents(clause.field, &clause.text)?;
        let most = clause.weight * inverse_frequency(matching, statistics.documents) * (K1 + 1.0);
        for (sum, language) in sums.iter_mut().zip(&statistics.languages) {
            let counts = clause.languages.is_none_or(|within| within.has(*language));
            *sum += if counts { most } else { 0.0 };
        }
    }
    Ok(sums.into_iter().fold(0.0, f32::max))
}

/// Mean length of a field in terms, over `documents`.
pub(crate) fn mean_length(searcher: &Searcher, field: Field, documents: u64) -> Result<f32> {
    let mut terms = 0;
    for segment in searcher.segment_readers() {
        terms += postings(segment, field)?.total_num_tokens();
    }
    Ok(terms as f32 / documents.max(1) as f32)
}

fn postings(segment: &SegmentReader, field: Field) -> Result<Arc<InvertedIndexReader>> {
    segment
        .inverted_index(field)
        .map_err(|error| lexical_error("cannot read the postings of the lexical index", error))
}

/// Offers every matching, alive and selected document of a segment.
fn collect(
    segment: &SegmentReader,
    scores: &[f32],
    slots: Option<&SlotSet>,
    top: &mut TopCandidates,
) -> Result<()> {
    let column = slot_column(segment)?;
    for (document, score) in (0..).zip(scores) {
        if *score < top.bar() || segment.is_deleted(document) {
            continue;
        }
        let slot = slot_of(&*column, document);
        if slots.is_none_or(|slots| slots.contains(slot.0)) {
            top.push(Candidate {
                slot,
                score: *score,
            });
        }
    }
    Ok(())
}

/// The column of a segment's slots.
pub(crate) fn slot_column(segment: &SegmentReader) -> Result<Arc<dyn ColumnValues<u64>>> {
    segment
        .fast_fields()
        .u64(SLOT)
        .map(|column| column.first_or_default_col(u64::MAX))
        .map_err(|error| lexical_error("cannot read the slots of the lexical index", error))
}

/// The slot of a document. Every document has one, and slots are made from 32 bits.
pub(crate) fn slot_of(column: &dyn ColumnValues<u64>, document: u32) -> Slot {
    let value = column.get_val(document);
    debug_assert!(
        value <= u64::from(u32::MAX),
        "slot {value} of document {document}"
    );
    Slot(value as u32)
}

#[cfg(test)]
mod tests {
    use braid_text::lexical::stored_length;

    use super::*;

    #[test]
    fn lengths_are_stored_as_other_adapters_count_them() {
        let lengths = (0..10_000).chain([1 << 20, (1 << 24) + 12_345, 2_000_000_000]);
        for length in lengths {
            let code = FieldNormReader::fieldnorm_to_id(length);
            assert_eq!(
                stored_length(length),
                FieldNormReader::id_to_fieldnorm(code),
                "{length}"
            );
        }
    }
}
