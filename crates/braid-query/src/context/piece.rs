//! Runs of characters of one document, each to stand under one marker.

use std::rc::Rc;

use braid_core::{ChunkRecord, Passage, Span, TokenCounter};

use super::coverage::Coverage;

/// A run of characters of one document.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    /// The chunk to cite: the hit's own where it is part of the run.
    pub(super) cited: &'a ChunkRecord,
    pub(super) span: Span,
    pub(super) body: Rc<str>,
    /// The white space behind it, up to the next chunk.
    pub(super) gap: &'a str,
    pub(super) source: Rc<str>,
    pub(super) tokens: Tokens,
}

/// What a piece costs, with its marker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    /// And with its source.
    whole: usize,
    /// Without, where the piece above is of the same source.
    repeated: usize,
}

impl Tokens {
    pub(super) fn of(piece: &Piece<'_>, marker: usize, counter: &dyn TokenCounter) -> Self {
        let count = |above| counter.count(&(lead(piece, marker, above) + &piece.body));
        Self {
            whole: count(None),
            repeated: count(Some(piece)),
        }
    }

    /// Below `above`.
    pub(super) fn below(self, is_repeated: bool) -> usize {
        match is_repeated {
            true => self.repeated,
            false => self.whole,
        }
    }
}

impl Piece<'_> {
    /// Whether the source that stands above need not be said again.
    pub(super) fn repeats(&self, above: Option<&Piece<'_>>) -> bool {
        above.is_some_and(|above| above.source == self.source)
    }

    /// Whether one goes on where the other ends, under the same headings.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.cited.document == other.cited.document
            && self.cited.chunk.heading_path == other.cited.chunk.heading_path
            && (self.ends_at(other.span.start) || other.ends_at(self.span.start))
    }

    /// Whether nothing but white space that is known stands between it and `position`.
    fn ends_at(&self, position: u32) -> bool {
        let end = self.span.end;
        end == position || end + char_count(self.gap) == position
    }

    /// The run that it becomes together with one that it touches; cited as this one.
    pub(super) fn joined(&self, other: &Self) -> Self {
        let (first, second) = match self.ends_at(other.span.start) {
            true => (self, other),
            false => (other, self),
        };
        let gap = match first.span.end == second.span.start {
            true => "",
            false => first.gap,
        };
        Self {
            span: Span {
                start: first.span.start,
                end: second.span.end,
            },
            body: format!("{}{gap}{}", first.body, second.body).into(),
            gap: second.gap,
            ..self.clone()
        }
    }
}

/// The runs of `chunks` (of one document, by ordinal) that no earlier piece covers.
pub(super) fn plan_pieces<'a>(
    hit: &'a Passage,
    chunks: &[&'a ChunkRecord],
    coverage: &mut Coverage<'a>,
) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for &record in chunks {
        for span in coverage.take(&record.document, record.chunk.span) {
            let body = slice(&record.chunk.text, record.chunk.span, span);
            if body.trim().is_empty() {
                continue;
            }
            let run = Piece {
                cited: record,
                span,
                body: body.into(),
                gap: match span.end == record.chunk.span.end {
                    true => &record.chunk.gap,
                    false => "",
                },
                source: source_line(record, hit.uri.as_deref()).into(),
                tokens: Tokens::default(),
            };
            match pieces
                .last_mut()
                .filter(|last| continues(last, record, span))
            {
                Some(last) if record.id == hit.record.id => *last = run.joined(last),
                Some(last) => *last = last.joined(&run),
                None => pieces.push(run),
            }
        }
    }
    pieces
}

/// Whether a run of `record` goes on where `piece` ends, under the same headings.
fn continues(piece: &Piece<'_>, record: &ChunkRecord, span: Span) -> bool {
    piece.ends_at(span.start) && piece.cited.chunk.heading_path == record.chunk.heading_path
}

/// Title and headings, else the source, else the document's id.
fn source_line(record: &ChunkRecord, uri: Option<&str>) -> String {
    match record.chunk.context_header.as_str() {
        "" => uri.unwrap_or(record.document.as_str()).to_owned(),
        header => header.to_owned(),
    }
}

/// The characters of `text`, which stands at `whole` in its document, that stand at `part` there.
fn slice(text: &str, whole: Span, part: Span) -> &str {
    if whole == part {
        return text;
    }
    let byte_of = |position: u32| {
        let characters = position.saturating_sub(whole.start) as usize;
        let found = text.char_indices().nth(characters);
        found.map_or(text.len(), |(byte, _)| byte)
    };
    &text[byte_of(part.start)..byte_of(part.end)]
}

/// What stands before a piece's body: a blank line where something stands above, marker, source. A source
/// that stands above already is not said again: it would take room from other passages.
pub(super) fn lead(piece: &Piece<'_>, marker: usize, above: Option<&Piece<'_>>) -> String {
    let gap = if marker == 1 { "" } else { "\n\n" };
    match piece.repeats(above) {
        true => format!("{gap}[{marker}]\n"),
        false => format!("{gap}[{marker}] {}\n", piece.source),
    }
}

pub(super) fn char_count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}
