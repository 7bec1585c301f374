//! The terms of one query in the dictionaries of an index, each looked up once.
//!
//! A query's terms are asked for several times: are they there, how rare are they, where are their
//! postings. In an index of many segments and languages the dictionaries take longer than the
//! postings.

use std::cell::RefCell;
use std::rc::Rc;

use braid_core::Result;
use rustc_hash::FxHashMap;
use tantivy::postings::TermInfo;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use crate::error::{io_error, lexical_error};

/// Looks terms up and remembers what it found, as long as one query takes.
pub(crate) struct Lookup<'s> {
    pub(crate) searcher: &'s Searcher,
    known: RefCell<FxHashMap<Term, Rc<Found>>>,
}

/// Where a term is.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// How many documents have it.
    pub(crate) documents: u64,
    /// Its postings by segment.
    pub(crate) segments: Vec<Option<TermInfo>>,
}

impl<'s> Lookup<'s> {
    pub(crate) fn new(searcher: &'s Searcher) -> Self {
        Self {
            searcher,
            known: RefCell::default(),
        }
    }

    pub(crate) fn find(&self, field: Field, text: &str) -> Result<Rc<Found>> {
        let term = Term::from_field_text(field, text);
        if let Some(found) = self.known.borrow().get(&term) {
            return Ok(Rc::clone(found));
        }
        let found = Rc::new(self.read(&term)?);
        let mut known = self.known.borrow_mut();
        known.insert(term, Rc::clone(&found));
        Ok(found)
    }

    /// How many documents have a term.
    pub(crate) fn documents(&self, field: Field, text: &str) -> Result<u64> {
        Ok(self.find(field, text)?.documents)
    }

    fn read(&self, term: &Term) -> Result<Found> {
        let doing = "cannot read the dictionary of the lexical index";
        let mut found = Found::default();
        for segment in self.searcher.segment_readers() {
            let inverted = segment
                .inverted_index(term.field())
                .map_err(|error| lexical_error(doing, error))?;
            let info = inverted
                .get_term_info(term)
                .map_err(|error| io_error(doing, error))?;
            let documents = info.as_ref().map_or(0, |info| info.doc_freq);
            found.documents += u64::from(documents);
            found.segments.push(info);
        }
        Ok(found)
    }
}
