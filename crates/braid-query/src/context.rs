//! Context assembly: hits in rank order become one text for a language model, with citations.
//!
//! Each piece stands under its marker and source line. A citation's span is exactly the characters
//! of the document that stand in the piece, so characters that two chunks share stand there once.

mod coverage;
mod prefix;

use braid_core::{ChunkRecord, Passage, Span, TokenCounter};

use crate::neighborhood::Neighborhood;
use crate::response::{AssembledContext, Citation};
use coverage::Coverage;
use prefix::longest_prefix;

/// With fewer tokens left than this, a piece that does not fit whole is left out rather than cut.
const LEAST_CUT_TOKENS: usize = 32;

/// Assembles at most `max_tokens` of context from `passages`, best first.
///
/// The first hit that does not fit ends the context: without its neighbours if that makes it fit,
/// else cut at the end of a sentence (of a word, where no sentence fits). Tokens are counted hit by
/// hit: each begins on a blank line, across which tokenizers make no token.
pub(crate) fn assemble_context(
    passages: &[&Passage],
    neighborhood: &Neighborhood,
    max_tokens: usize,
    counter: &dyn TokenCounter,
) -> AssembledContext {
    let mut assembly = Assembly {
        counter,
        max_tokens,
        coverage: Coverage::default(),
        context: AssembledContext::default(),
    };
    if max_tokens == 0 {
        return assembly.context;
    }
    for hit in passages {
        if !assembly.push(hit, &neighborhood.around(&hit.record)) {
            assembly.push_part(hit);
            break;
        }
    }
    assembly.context
}

/// A run of characters of one document, to stand under one marker.
#[derive(Clone, Debug)]
struct Piece<'a> {
    /// The chunk to cite: the hit's own where it is part of the run.
    cited: &'a ChunkRecord,
    span: Span,
    body: String,
    source: String,
}

struct Assembly<'a> {
    counter: &'a dyn TokenCounter,
    max_tokens: usize,
    /// Characters taken so far.
    coverage: Coverage<'a>,
    context: AssembledContext,
}

impl<'a> Assembly<'a> {
    /// Adds a hit with the `chunks` that belong to it, if all of that fits.
    fn push(&mut self, hit: &'a Passage, chunks: &[&'a ChunkRecord]) -> bool {
        let pieces = plan_pieces(hit, chunks, &mut self.coverage);
        let text = render(&pieces, self.next_marker());
        let tokens = self.counter.count(&text);
        let fits = self.context.tokens + tokens <= self.max_tokens;
        if fits {
            self.append(&text, tokens, &pieces);
        }
        fits
    }

    /// Adds as much as fits of a hit that did not fit with all its chunks.
    fn push_part(&mut self, hit: &Passage) {
        // The chunks that did not fit were taken: only what was cited stands in the context.
        let cited = self.context.citations.clone();
        let mut coverage = Coverage::default();
        for citation in &cited {
            coverage.take(&citation.document, citation.span);
        }
        let pieces = plan_pieces(hit, &[&hit.record], &mut coverage);
        let Some(first) = pieces.first() else {
            return;
        };
        let marker = self.next_marker();
        let text = render(&pieces, marker);
        let left = self.max_tokens - self.context.tokens;
        let tokens = self.counter.count(&text);
        if tokens <= left {
            self.append(&text, tokens, &pieces);
        } else if left >= LEAST_CUT_TOKENS || self.context.citations.is_empty() {
            self.push_prefix(first, marker, left);
        }
    }

    fn push_prefix(&mut self, piece: &Piece<'_>, marker: usize, left: usize) {
        let lead = lead(piece, marker);
        let count = |prefix: &str| self.counter.count(&format!("{lead}{prefix}"));
        let Some(prefix) = longest_prefix(&piece.body, left, count) else {
            return;
        };
        let tokens = count(prefix);
        let cut = Piece {
            span: Span {
                start: piece.span.start,
                end: piece.span.start + char_count(prefix),
            },
            body: prefix.to_owned(),
            ..piece.clone()
        };
        self.append(&format!("{lead}{prefix}"), tokens, &[cut]);
    }

    fn next_marker(&self) -> usize {
        self.context.citations.len() + 1
    }

    fn append(&mut self, text: &str, tokens: usize, pieces: &[Piece<'_>]) {
        self.context.text.push_str(text);
        self.context.tokens += tokens;
        for piece in pieces {
            let marker = self.next_marker();
            self.context.citations.push(Citation {
                marker: format!("[{marker}]"),
                chunk: piece.cited.id,
                document: piece.cited.document.clone(),
                span: piece.span,
            });
        }
    }
}

/// The runs of `chunks` (of one document, by ordinal) that no earlier piece covers.
fn plan_pieces<'a>(
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
            let is_hit = record.id == hit.record.id;
            match pieces
                .last_mut()
                .filter(|last| continues(last, record, span))
            {
                Some(last) => {
                    last.body.push_str(body);
                    last.span.end = span.end;
                    if is_hit {
                        last.cited = record;
                    }
                }
                None => pieces.push(Piece {
                    cited: record,
                    span,
                    body: body.to_owned(),
                    source: source_line(record, hit.uri.as_deref()),
                }),
            }
        }
    }
    pieces
}

/// Whether a run of `record` goes on where `piece` ends, under the same headings.
fn continues(piece: &Piece<'_>, record: &ChunkRecord, span: Span) -> bool {
    piece.span.end == span.start && piece.cited.chunk.heading_path == record.chunk.heading_path
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

fn render(pieces: &[Piece<'_>], first_marker: usize) -> String {
    let numbered = pieces.iter().zip(first_marker..);
    numbered
        .map(|(piece, marker)| lead(piece, marker) + &piece.body)
        .collect()
}

/// What stands before a piece's body: a blank line where something stands above, marker, source.
fn lead(piece: &Piece<'_>, marker: usize) -> String {
    let gap = if marker == 1 { "" } else { "\n\n" };
    format!("{gap}[{marker}] {}\n", piece.source)
}

fn char_count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
