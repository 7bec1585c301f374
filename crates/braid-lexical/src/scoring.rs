//! BM25, term by term over Tantivy's postings.
//!
//! Every clause adds its score to one accumulator a document, in query order. Unlike Tantivy's
//! own top-k collection this is exact over several segments, adds in the same order for every
//! document (so equal documents have equal scores, bit for bit), and lets a selection bind before
//! anything is ranked. The cost is linear in the postings read.

use braid_core::{Candidate, Result, Slot, SlotSet};
use tantivy::columnar::ColumnValues;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, TantivyError, Term};

use crate::error::{io_error, lexical_error};
use crate::expansions::{self, Expanded};
use crate::languages::{LanguageColumn, Languages};
use crate::schema::{Fields, SLOT};
use crate::top::TopCandidates;

/// Saturation of the term frequency.
pub(crate) const K1: f32 = 1.2;
/// How much a document's length counts.
const B: f32 = 0.75;

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
}

/// The `depth` best entries by the sum of the scores, among `slots` where given.
pub(crate) fn search(
    searcher: &Searcher,
    wanted: Wanted<'_>,
    slots: Option<&SlotSet>,
    depth: usize,
) -> Result<Vec<Candidate>> {
    let mut top = TopCandidates::new(depth);
    if depth == 0 || slots.is_some_and(SlotSet::is_empty) {
        return Ok(top.into_ranked());
    }
    let clauses = weigh(searcher, wanted.clauses)?;
    let weighed = expansions::weigh(searcher, wanted.fields, wanted.expansions)?;
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let scores = score_segment(segment, &clauses)?;
        let scores = expansions::add_scores((ordinal, segment), wanted.fields, &weighed, scores)?;
        if let Some(scores) = scores {
            collect(segment, &scores, slots, &mut top)?;
        }
    }
    Ok(top.into_ranked())
}

/// A clause with what it needs of the whole index.
struct WeighedClause {
    term: Term,
    /// Weight, inverse document frequency and BM25's constant factor.
    factor: f32,
    /// Mean length of the field, in terms; `None` where it has no length norm.
    mean_length: Option<f32>,
    languages: Option<Languages>,
}

/// Looks up document frequencies; clauses that match nothing are left out.
fn weigh(searcher: &Searcher, clauses: &[Clause]) -> Result<Vec<WeighedClause>> {
    let documents = documents(searcher);
    let mut weighed = Vec::with_capacity(clauses.len());
    for clause in clauses {
        let term = Term::from_field_text(clause.field, &clause.text);
        let matching = document_frequency(searcher, &term)?;
        if matching == 0 {
            continue;
        }
        weighed.push(WeighedClause {
            term,
            factor: clause.weight * inverse_frequency(matching, documents) * (K1 + 1.0),
            mean_length: mean_length(searcher, clause.field, documents)?,
            languages: clause.languages,
        });
    }
    Ok(weighed)
}

/// The most that the clauses of `field` can add up to. Terms that the index does not have count as
/// what they are: the rarest.
pub(crate) fn ceiling(searcher: &Searcher, clauses: &[Clause], field: Field) -> Result<f32> {
    let documents = documents(searcher);
    let mut sum = 0.0;
    for clause in clauses.iter().filter(|clause| clause.field == field) {
        let term = Term::from_field_text(clause.field, &clause.text);
        let matching = document_frequency(searcher, &term)?;
        sum += clause.weight * inverse_frequency(matching, documents) * (K1 + 1.0);
    }
    Ok(sum)
}

/// How many documents there are. Deleted ones count until their segment is merged, here as in the
/// document frequencies.
pub(crate) fn documents(searcher: &Searcher) -> u64 {
    let segments = searcher.segment_readers().iter();
    segments.map(|segment| u64::from(segment.max_doc())).sum()
}

/// How many documents have a term.
pub(crate) fn document_frequency(searcher: &Searcher, term: &Term) -> Result<u64> {
    let doing = "cannot read the statistics of the lexical index";
    searcher
        .doc_freq(term)
        .map_err(|error| lexical_error(doing, error))
}

/// `ln(1 + (N - n + 0.5) / (n + 0.5))`.
pub(crate) fn inverse_frequency(matching: u64, documents: u64) -> f32 {
    let rest = documents.saturating_sub(matching) as f32;
    (1.0 + (rest + 0.5) / (matching as f32 + 0.5)).ln()
}

pub(crate) fn mean_length(
    searcher: &Searcher,
    field: Field,
    documents: u64,
) -> Result<Option<f32>> {
    if !searcher.schema().get_field_entry(field).has_fieldnorms() {
        return Ok(None);
    }
    let mut terms = 0;
    for segment in searcher.segment_readers() {
        terms += postings(segment, field)?.total_num_tokens();
    }
    Ok(Some(terms as f32 / documents.max(1) as f32))
}

fn postings(segment: &SegmentReader, field: Field) -> Result<std::sync::Arc<InvertedIndexReader>> {
    segment
        .inverted_index(field)
        .map_err(|error| lexical_error("cannot read the postings of the lexical index", error))
}

/// The score of every document of a segment; `None` where nothing matches.
fn score_segment(segment: &SegmentReader, clauses: &[WeighedClause]) -> Result<Option<Vec<f32>>> {
    let mut scores: Option<Vec<f32>> = None;
    for clause in clauses {
        let field = clause.term.field();
        let blocks = postings(segment, field)?
            .read_block_postings(&clause.term, IndexRecordOption::WithFreqs)
            .map_err(|error| io_error("cannot read a posting list", error))?;
        let Some(mut blocks) = blocks else {
            continue;
        };
        let scores = scores.get_or_insert_with(|| vec![0.0; segment.max_doc() as usize]);
        let norms = Norms::open(segment, field, clause.mean_length)?;
        let within = match clause.languages {
            Some(languages) => Some((LanguageColumn::open(segment)?, languages)),
            None => None,
        };
        while !blocks.docs().is_empty() {
            for (document, frequency) in blocks.docs().iter().zip(blocks.freqs()) {
                if within
                    .as_ref()
                    .is_some_and(|(column, languages)| !column.is_within(*document, *languages))
                {
                    continue;
                }
                let frequency = *frequency as f32;
                let saturated = frequency / (frequency + norms.of(*document));
                scores[*document as usize] += clause.factor * saturated;
            }
            blocks.advance();
        }
    }
    Ok(scores)
}

/// `K1 * (1 - B + B * length / mean length)` by document.
pub(crate) enum Norms {
    Constant,
    ByLength {
        lengths: FieldNormReader,
        table: Box<[f32; 256]>,
    },
}

impl Norms {
    pub(crate) fn open(
        segment: &SegmentReader,
        field: Field,
        mean_length: Option<f32>,
    ) -> Result<Self> {
        let Some(mean_length) = mean_length else {
            return Ok(Self::Constant);
        };
        let lengths = segment
            .get_fieldnorms_reader(field)
            .map_err(|error: TantivyError| lexical_error("cannot read field lengths", error))?;
        let mut table = Box::new([0.0; 256]);
        for (id, norm) in (0..=u8::MAX).zip(table.iter_mut()) {
            let length = FieldNormReader::id_to_fieldnorm(id) as f32;
            *norm = K1 * (1.0 - B + B * length / mean_length.max(1.0));
        }
        Ok(Self::ByLength { lengths, table })
    }

    #[inline]
    pub(crate) fn of(&self, document: u32) -> f32 {
        match self {
            Self::Constant => K1,
            Self::ByLength { lengths, table } => table[usize::from(lengths.fieldnorm_id(document))],
        }
    }
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
pub(crate) fn slot_column(
    segment: &SegmentReader,
) -> Result<std::sync::Arc<dyn ColumnValues<u64>>> {
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
