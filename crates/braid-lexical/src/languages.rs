//! The languages of an index whose documents are in several.

use std::cmp::Reverse;

use braid_core::{Language, LanguageSetting, Result};
use braid_text::lexical::{Languages, language_code};
use tantivy::columnar::ColumnValues;
use tantivy::index::SegmentReader;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use crate::error::lexical_error;
use crate::schema::LANGUAGE;

/// The languages that documents are in, the most frequent first; the default one where there are
/// no documents. Deleted entries count until their segment is merged, as in all statistics.
pub(crate) fn present(searcher: &Searcher, field: Field) -> Result<Vec<Language>> {
    let mut counted = Vec::new();
    for (language, _) in Language::ALL {
        let term = Term::from_field_u64(field, u64::from(language_code(language)));
        let documents = searcher.doc_freq(&term).map_err(|error| {
            lexical_error("cannot count the languages of the lexical index", error)
        })?;
        if documents > 0 {
            counted.push((Reverse(documents), language));
        }
    }
    if counted.is_empty() {
        return Ok(vec![LanguageSetting::Auto.of_document(None)]);
    }
    counted.sort_by_key(|(documents, _)| *documents);
    Ok(counted.into_iter().map(|(_, language)| language).collect())
}

/// The languages of a segment's documents.
pub(crate) struct LanguageColumn(std::sync::Arc<dyn ColumnValues<u64>>);

impl LanguageColumn {
    pub(crate) fn open(segment: &SegmentReader) -> Result<Self> {
        let column = segment.fast_fields().u64(LANGUAGE).map_err(|error| {
            lexical_error("cannot read the languages of the lexical index", error)
        })?;
        Ok(Self(column.first_or_default_col(u64::MAX)))
    }

    #[inline]
    pub(crate) fn is_within(&self, document: u32, languages: Languages) -> bool {
        languages.has_code(self.0.get_val(document))
    }
}
