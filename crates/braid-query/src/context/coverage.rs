//! Which characters of which documents stand in the context already.

use braid_core::{DocumentId, Span};
use rustc_hash::FxHashMap;

/// Spans per document, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage<'a> {
    spans: FxHashMap<&'a DocumentId, Vec<Span>>,
}

impl<'a> Coverage<'a> {
    /// The parts of `span` that nothing covers yet, in order; they are covered from now on.
    pub(super) fn take(&mut self, document: &'a DocumentId, span: Span) -> Vec<Span> {
        let covered = self.spans.entry(document).or_default();
        let free = covered.iter().fold(vec![span], |free, taken| {
            free.into_iter()
                .flat_map(|part| minus(part, *taken))
                .collect()
        });
        covered.extend(&free);
        free
    }
}

/// What is left of `part` without `taken`: nothing, one span or two.
fn minus(part: Span, taken: Span) -> impl Iterator<Item = Span> {
    let left = Span {
        start: part.start,
        end: part.end.min(taken.start),
    };
    let right = Span {
        start: part.start.max(taken.end),
        end: part.end,
    };
    let apart = taken.end <= part.start || part.end <= taken.start;
    let rest = if apart { [part, EMPTY] } else { [left, right] };
    rest.into_iter().filter(|span| span.start < span.end)
}

const EMPTY: Span = Span { start: 0, end: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_taken_once() {
        let document = DocumentId::new("d").unwrap();
        let other = DocumentId::new("e").unwrap();
        let mut coverage = Coverage::default();
        let mut take = |document, start, end| -> Vec<(u32, u32)> {
            let taken = coverage.take(document, Span { start, end });
            taken.iter().map(|span| (span.start, span.end)).collect()
        };
        assert_eq!(take(&document, 10, 20), [(10, 20)]);
        assert_eq!(take(&document, 0, 10), [(0, 10)]);
        assert_eq!(take(&document, 15, 25), [(20, 25)]);
        assert_eq!(take(&document, 30, 40), [(30, 40)]);
        assert_eq!(take(&document, 22, 50), [(25, 30), (40, 50)]);
        assert_eq!(take(&document, 0, 50), []);
        assert_eq!(take(&other, 0, 50), [(0, 50)]);
    }
}
