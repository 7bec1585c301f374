//! The languages of an index whose documents are in several.

use std::cmp::Reverse;

use braid_core::{Language, LanguageSetting, Result};
use tantivy::columnar::ColumnValues;
use tantivy::index::SegmentReader;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use crate::error::lexical_error;
use crate::schema::{LANGUAGE, language_code};

/// A set of languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Languages(u64);

impl Languages {
    pub(crate) fn of(language: Language) -> Self {
        let mut set = Self::default();
        set.add(language);
        set
    }

    pub(crate) fn add(&mut self, language: Language) {
        self.0 |= 1 << language_code(language);
    }

    pub(crate) fn has(self, language: Language) -> bool {
        self.has_code(u64::from(language_code(language)))
    }

    fn has_code(self, code: u64) -> bool {
        self.0.checked_shr(code as u32).unwrap_or(0) & 1 == 1
    }
}

impl FromIterator<Language> for Languages {
    fn from_iter<I: IntoIterator<Item = Language>>(languages: I) -> Self {
        let mut set = Self::default();
        languages.into_iter().for_each(|language| set.add(language));
        set
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added() {
        let set: Languages = [Language::None, Language::Ukrainian].into_iter().collect();
        for (language, name) in Language::ALL {
            let wanted = matches!(language, Language::None | Language::Ukrainian);
            let code = u64::from(language_code(language));
            assert_eq!(set.has_code(code), wanted, "{name}");
        }
        assert!(!set.has_code(u64::MAX));
    }

    #[test]
    fn codes_are_distinct() {
        let codes = Language::ALL.map(|(language, _)| language_code(language));
        let distinct: std::collections::HashSet<u8> = codes.into_iter().collect();
        assert_eq!(distinct.len(), Language::ALL.len());
        assert!(distinct.iter().all(|code| *code < 64));
    }
}
