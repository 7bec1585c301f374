//! BM25 as sparse vectors.
//!
//! A dimension stands for a term in a field: a hash of both, of 32 bits. Two terms of one chunk with the
//! same hash add up, as they do in a query; among a million different terms one in some four thousand
//! shares its dimension with another. A chunk's value is `(k1 + 1) * f / (f + norm)`, a query's the
//! weight of its clause, and the server multiplies by the rarity of the dimension: the sum is the score
//! that the embedded index works out, but that the mean length is [one that was drawn](super::lengths), and
//! that chunks in rare languages are searched for the terms of [all of those](super::views).

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::SparseVector;
use braid_core::ChunkRecord;
use braid_text::Analyzer;
use braid_text::lexical::{Clause, EntryTexts, LexicalField, stored_length, visit_entry};

use super::chunks::Bm25Parameters;

/// The dimension of a term in a field. It is stored: it never changes.
pub(crate) fn dimension(field: LexicalField, term: &str) -> u32 {
    let code = match field {
        LexicalField::Content => 0,
        LexicalField::Title => 1,
        LexicalField::Headings => 2,
        LexicalField::Names => 3,
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[code]).update(term.as_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What the lexical leg sees of a chunk.
pub(crate) fn texts(record: &ChunkRecord) -> EntryTexts<'_> {
    EntryTexts {
        title: record.title.as_deref().unwrap_or_default(),
        headings: &record.chunk.heading_path,
        body: &record.chunk.text,
    }
}

/// How many terms the content of a chunk has, repeated ones included.
pub(crate) fn content_length(texts: EntryTexts<'_>, analyzer: &Analyzer) -> u32 {
    let mut length = 0_u32;
    visit_entry(texts, analyzer, &mut |term| {
        length += u32::from(term.field == LexicalField::Content);
    });
    length
}

/// The vector of a chunk.
pub(crate) fn of_entry(
    texts: EntryTexts<'_>,
    analyzer: &Analyzer,
    parameters: Bm25Parameters,
) -> SparseVector {
    let mut counted: [HashMap<String, u32>; 4] = Default::default();
    let mut length = 0_u32;
    visit_entry(texts, analyzer, &mut |term| {
        length += u32::from(term.field == LexicalField::Content);
        let counts = &mut counted[term.field as usize];
        match counts.get_mut(term.text) {
            Some(count) => *count += 1,
            None => drop(counts.insert(term.text.to_owned(), 1)),
        }
    });
    let of_content = parameters.norm(stored_length(length));
    let fields = [
        LexicalField::Content,
        LexicalField::Title,
        LexicalField::Headings,
        LexicalField::Names,
    ];
    let mut values = Vec::new();
    for field in fields {
        let is_content = field == LexicalField::Content;
        let norm = if is_content {
            of_content
        } else {
            parameters.k1
        };
        for (term, count) in &counted[field as usize] {
            let value = parameters.value(*count, norm);
            values.push((dimension(field, term), value));
        }
    }
    // The order in which a map gives its terms must not show in a sum.
    values.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    summed(values)
}

/// The vector of a query.
pub(crate) fn of_query(clauses: &[Clause]) -> SparseVector {
    let weights = clauses.iter();
    let weights = weights.map(|clause| (dimension(clause.field, &clause.text), clause.weight));
    summed(weights.collect())
}

/// One value a dimension, by rising dimension.
fn summed(values: Vec<(u32, f32)>) -> SparseVector {
    let mut sums: BTreeMap<u32, f32> = BTreeMap::new();
    for (dimension, value) in values {
        *sums.entry(dimension).or_default() += value;
    }
    let (indices, values) = sums.into_iter().unzip();
    SparseVector { values, indices }
}

#[cfg(test)]
mod tests {
    use braid_core::Language;
    use braid_text::lexical::{Weights, clauses, length_norm, query_terms, saturation};

    use super::*;

    const PARAMETERS: Bm25Parameters = Bm25Parameters {
        k1: 1.2,
        b: 0.75,
        mean_length: 7.0,
        revision: 0,
    };

    fn entry(title: &str, body: &str) -> SparseVector {
        let headings = ["Über uns".to_owned()];
        let texts = EntryTexts {
            title,
            headings: &headings,
            body,
        };
        of_entry(texts, &Analyzer::new(Language::English), PARAMETERS)
    }

    fn value(vector: &SparseVector, field: LexicalField, term: &str) -> Option<f32> {
        let at = vector.indices.binary_search(&dimension(field, term));
        at.ok().map(|at| vector.values[at])
    }

    #[test]
    fn dimensions_are_for_ever() {
        assert_eq!(dimension(LexicalField::Content, "fox"), 1_032_843_764);
        assert_ne!(
            dimension(LexicalField::Title, "fox"),
            dimension(LexicalField::Content, "fox")
        );
    }

    #[test]
    fn values_are_those_of_the_embedded_scores() {
        let vector = entry("Red fox", "a fox and max_connections, a fox");
        assert!(vector.indices.is_sorted_by(|a, b| a < b), "{vector:?}");
        // red fox uber us fox max connect fox; stop words are no content.
        let analyzer = Analyzer::new(Language::English);
        let headings = ["Über uns".to_owned()];
        let texts = EntryTexts {
            title: "Red fox",
            headings: &headings,
            body: "a fox and max_connections, a fox",
        };
        let length = content_length(texts, &analyzer);
        let norm = length_norm(stored_length(length) as f32, 7.0);
        let found = value(&vector, LexicalField::Content, "fox").unwrap();
        assert!((found - 2.2 * saturation(3, norm)).abs() < 1e-6, "{found}");
        let found = value(&vector, LexicalField::Title, "fox").unwrap();
        assert!((found - 2.2 * saturation(1, 1.2)).abs() < 1e-6, "{found}");
        assert!(value(&vector, LexicalField::Names, "max_connections").is_some());
        assert!(value(&vector, LexicalField::Content, "a").is_none());
        assert_eq!(entry("Red fox", "x y z w"), entry("Red fox", "x y z w"));
    }

    #[test]
    fn what_collides_adds_up() {
        let vector = summed(vec![(9, 1.0), (4, 0.5), (9, 0.25)]);
        assert_eq!(vector.indices, [4, 9]);
        assert_eq!(vector.values, [0.5, 1.25]);
        let analyzer = Analyzer::new(Language::English);
        let terms = query_terms(&[&analyzer], "red fox");
        let vector = of_query(&clauses(&terms, Weights::default()));
        assert_eq!(vector.indices.len(), 8);
        assert_eq!(value(&vector, LexicalField::Content, "fox"), Some(1.0));
        assert_eq!(value(&vector, LexicalField::Title, "fox"), Some(0.2));
    }
}
