//! The documents that say a phrase.

use braid_core::{Result, SlotSet, TextField};
use braid_text::lexical::{Forms, Phrase, STEP, lane};
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, TERMINATED};

use crate::error::{io_error, lexical_error};
use crate::languages::LanguageColumn;
use crate::lookup::Lookup;
use crate::schema::Fields;
use crate::scoring::{slot_column, slot_of};

/// A document that says a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub(crate) document: u32,
    /// How often.
    pub(crate) count: u32,
}

/// The documents of the segment that is the `ordinal`th that say `phrase`, within `field` where it is
/// given, by rising number.
pub(crate) fn occurrences(
    lookup: &Lookup<'_>,
    ordinal: usize,
    fields: &Fields,
    phrase: &Phrase,
    field: Option<TextField>,
) -> Result<Vec<Occurrence>> {
    let is_positional = phrase.places().len() > 1 || field.is_some();
    let recorded = if is_positional {
        IndexRecordOption::WithFreqsAndPositions
    } else {
        IndexRecordOption::WithFreqs
    };
    // A word that is said twice is read once.
    let mut offsets: Vec<(&[String], Vec<u32>)> = Vec::new();
    for place in phrase.places() {
        match offsets.iter_mut().find(|(terms, _)| *terms == place.terms) {
            Some((_, known)) => known.push(place.offset),
            None => offsets.push((&place.terms, vec![place.offset])),
        }
    }
    let mut readers = Vec::with_capacity(offsets.len());
    for (terms, offsets) in offsets {
        let reader = WordReader::open((lookup, ordinal), fields, (terms, offsets), recorded)?;
        if reader.lists.is_empty() {
            return Ok(Vec::new());
        }
        readers.push(reader);
    }
    // The rarest word leads.
    let lead = (0..readers.len()).min_by_key(|place| readers[*place].documents);
    let Some(lead) = lead else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut document = readers[lead].next_from(0);
    while document != TERMINATED {
        if readers.iter_mut().all(|reader| reader.is_at(document)) {
            let count = if is_positional {
                count_starts(&mut readers, document, field)
            } else {
                readers[lead].frequency(document)
            };
            if count > 0 {
                found.push(Occurrence { document, count });
            }
        }
        document = readers[lead].next_from(document + 1);
    }
    Ok(found)
}

/// The posting lists of one word.
struct WordReader {
    /// Where in the phrase it is.
    offsets: Vec<u32>,
    lists: Vec<SegmentPostings>,
    /// At most so many documents have it.
    documents: u64,
}

impl WordReader {
    fn open(
        place: (&Lookup<'_>, usize),
        fields: &Fields,
        (terms, offsets): (&[String], Vec<u32>),
        recorded: IndexRecordOption,
    ) -> Result<Self> {
        let mut reader = Self {
            offsets,
            lists: Vec::new(),
            documents: 0,
        };
        for field in [fields.content, fields.names] {
            for text in terms {
                if let Some(list) = open_list(place, field, text, recorded)? {
                    reader.documents += u64::from(list.doc_freq());
                    reader.lists.push(list);
                }
            }
        }
        Ok(reader)
    }

    /// The first document from `document` on that has the word.
    fn next_from(&mut self, document: u32) -> u32 {
        if document >= TERMINATED {
            return TERMINATED;
        }
        let next = self.lists.iter_mut().map(|list| seek(list, document));
        next.min().unwrap_or(TERMINATED)
    }

    fn is_at(&mut self, document: u32) -> bool {
        let mut is_at = false;
        for list in &mut self.lists {
            is_at |= seek(list, document) == document;
        }
        is_at
    }

    fn frequency(&self, document: u32) -> u32 {
        let lists = self.lists.iter();
        let at = lists.filter(|list| list.doc() == document);
        at.map(Postings::term_freq).sum()
    }

    /// Where the word is, in rising order.
    fn positions(&mut self, document: u32) -> Vec<u32> {
        let (mut all, mut positions) = (Vec::new(), Vec::new());
        for list in &mut self.lists {
            if list.doc() == document {
                list.positions(&mut positions);
                all.append(&mut positions);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn seek(list: &mut SegmentPostings, document: u32) -> u32 {
    if list.doc() < document {
        list.seek(document)
    } else {
        list.doc()
    }
}

fn open_list(
    (lookup, ordinal): (&Lookup<'_>, usize),
    field: Field,
    text: &str,
    recorded: IndexRecordOption,
) -> Result<Option<SegmentPostings>> {
    let found = lookup.find(field, text)?;
    let Some(info) = &found.segments[ordinal] else {
        return Ok(None);
    };
    let list = lookup
        .searcher
        .segment_reader(ordinal as u32)
        .inverted_index(field)
        .map_err(|error| lexical_error("cannot read the postings of the lexical index", error))?
        .read_postings_from_terminfo(info, recorded)
        .map_err(|error| io_error("cannot read a posting list", error))?;
    Ok(Some(list))
}

/// How often all words stand in a row in a document that every reader is at.
fn count_starts(readers: &mut [WordReader], document: u32, field: Option<TextField>) -> u32 {
    let mut kept: Option<Vec<u32>> = None;
    for reader in readers {
        let positions = reader.positions(document);
        for offset in &reader.offsets {
            let before = offset.saturating_mul(STEP);
            let both: Vec<u32> = match kept.take() {
                None => {
                    let starts = positions.iter();
                    starts
                        .filter_map(|position| position.checked_sub(before))
                        .collect()
                }
                Some(mut kept) => {
                    kept.retain(|start| {
                        positions
                            .binary_search(&start.saturating_add(before))
                            .is_ok()
                    });
                    kept
                }
            };
            if both.is_empty() {
                return 0;
            }
            kept = Some(both);
        }
    }
    let is_within = |start: &&u32| field.is_none_or(|field| *start % STEP == lane(field));
    kept.unwrap_or_default().iter().filter(is_within).count() as u32
}

/// The slots of the documents that say a phrase, each in the form of its own language.
pub(crate) fn slots_saying(
    lookup: &Lookup<'_>,
    fields: &Fields,
    forms: &Forms,
    field: Option<TextField>,
) -> Result<SlotSet> {
    let mut slots = SlotSet::new();
    for (ordinal, segment) in lookup.searcher.segment_readers().iter().enumerate() {
        let column = slot_column(segment)?;
        for (phrase, languages) in forms.iter() {
            let within = languages
                .map(|languages| Ok((LanguageColumn::open(segment)?, languages)))
                .transpose()?;
            let found = occurrences(lookup, ordinal, fields, phrase, field)?;
            for Occurrence { document, count: _ } in found {
                let is_within = within
                    .as_ref()
                    .is_none_or(|(column, languages)| column.is_within(document, *languages));
                if is_within && !segment.is_deleted(document) {
                    slots.insert(slot_of(&*column, document).0);
                }
            }
        }
    }
    Ok(slots)
}
