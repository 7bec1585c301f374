//! Context assembly: hits become one text for a language model, with citations.
//!
//! Each piece stands under its marker and source line. A citation's span is exactly the characters
//! of the document that stand in the piece, so characters that two chunks share stand there once,
//! and chunks that touch are one piece.
//!
//! Hits are offered in turn ([`choose`]) and taken while there is room; what does not fit is cut ([`cut`]). How the
//! pieces stand in the text is decided last, so that it never decides what is taken.

mod choose;
mod coverage;
mod cut;
mod estimates;
mod piece;
mod wanted;

use braid_core::{ChunkRecord, Passage, Span, TokenCounter};

use crate::neighborhood::Neighborhood;
use crate::request::{ContextOptions, ContextOrder};
use crate::response::{AssembledContext, Citation};
use choose::choose;
use coverage::Coverage;
use cut::best_part;
pub(crate) use estimates::{Characters, Words};
use piece::{Piece, char_count, lead, plan_pieces};
pub(crate) use wanted::{Question, WantedTerms};

/// With fewer tokens left than this, after a hit that did not fit, the context is full: a marker, a source and a short sentence take
/// more.
const LEAST_CUT_TOKENS: usize = 16;

/// How the context is to be made.
pub(crate) struct Assembling<'a> {
    pub(crate) options: ContextOptions,
    pub(crate) counter: &'a dyn TokenCounter,
    /// What the query asks for: a hit that is cut keeps the sentences with most of it.
    pub(crate) wanted: &'a WantedTerms,
}

/// Assembles at most `max_tokens` of context from `passages`, best first.
///
/// A hit that does not fit is taken without its neighbours if that makes it fit, else cut to whole
/// sentences (to words, where no sentence fits); what room is left goes to the next in the same way.
pub(crate) fn assemble_context(
    passages: &[&Passage],
    neighborhood: &Neighborhood,
    assembling: &Assembling<'_>,
) -> AssembledContext {
    if assembling.options.max_tokens == 0 {
        return AssembledContext::default();
    }
    let mut assembly = Assembly {
        assembling,
        coverage: Coverage::default(),
        groups: Vec::new(),
        tokens: 0,
    };
    for place in choose(passages, &assembling.options) {
        let hit = passages[place];
        if !assembly.push(hit, &neighborhood.around(&hit.record)) {
            assembly.push_part(hit);
            if assembly.left() < LEAST_CUT_TOKENS {
                break;
            }
        }
    }
    assembly.finish()
}

/// Pieces as they are taken. What each costs is counted by itself: it begins on a blank line, across
/// which most tokenizers make no token. The end counts the whole.
struct Assembly<'a, 'p> {
    assembling: &'a Assembling<'a>,
    /// Characters taken so far.
    coverage: Coverage<'p>,
    /// The pieces that each hit brought, best first.
    groups: Vec<Vec<Piece<'p>>>,
    tokens: usize,
}

impl<'p> Assembly<'_, 'p> {
    /// Adds a hit with the `chunks` that belong to it, if all of that fits.
    fn push(&mut self, hit: &'p Passage, chunks: &[&'p ChunkRecord]) -> bool {
        let before = self.coverage.clone();
        let mut pieces = plan_pieces(hit, chunks, &mut self.coverage);
        let added = self.cost(&mut pieces);
        let fits = self.tokens + added <= self.assembling.options.max_tokens;
        if fits {
            self.take(pieces, added);
        } else {
            self.coverage = before;
        }
        fits
    }

    /// Adds as much as fits of a hit that did not fit with all its chunks.
    fn push_part(&mut self, hit: &'p Passage) {
        if self.push(hit, &[&hit.record]) {
            return;
        }
        // What is cut away is not in the context, but is not looked at again either.
        let pieces = plan_pieces(hit, &[&hit.record], &mut self.coverage);
        let Some(piece) = pieces.into_iter().next() else {
            return;
        };
        let left = self.left();
        if left < LEAST_CUT_TOKENS && !self.groups.is_empty() {
            return;
        }
        let lead = lead(&piece, self.next_marker());
        let counter = self.assembling.counter;
        let count = |part: &str| counter.count(&format!("{lead}{part}"));
        let Some((skipped, part)) = best_part(&piece.body, left, self.assembling.wanted, count)
        else {
            return;
        };
        let start = piece.span.start + char_count(&piece.body[..skipped]);
        let end = start + char_count(part);
        let tokens = count(part);
        let cut = Piece {
            span: Span { start, end },
            body: part.to_owned(),
            tokens,
            ..piece
        };
        self.take(vec![cut], tokens);
    }

    /// Counts each piece, and what they add to the context in all.
    fn cost(&self, pieces: &mut [Piece<'p>]) -> usize {
        let markers = self.next_marker()..;
        let mut sum = 0;
        for (piece, marker) in pieces.iter_mut().zip(markers) {
            let text = lead(piece, marker) + &piece.body;
            piece.tokens = self.assembling.counter.count(&text);
            sum += piece.tokens;
        }
        sum
    }

    /// Adds pieces; those that go on where others end, or end where others begin, become one with
    /// them, where the best ranked of them stands, and cost no marker of their own.
    fn take(&mut self, pieces: Vec<Piece<'p>>, added: usize) {
        self.tokens += added;
        let mut rest = Vec::new();
        for mut piece in pieces {
            let mut home: Option<(usize, usize)> = None;
            while let Some(place) = self.touching(&piece) {
                let other = self.groups[place.0].remove(place.1);
                self.tokens -= other.tokens + piece.tokens;
                let is_better = home.is_none_or(|home| place < home);
                piece = match is_better {
                    true => other.joined(&piece),
                    false => piece.joined(&other),
                };
                let text = lead(&piece, self.next_marker() + 1) + &piece.body;
                piece.tokens = self.assembling.counter.count(&text);
                self.tokens += piece.tokens;
                home = Some(home.map_or(place, |home| home.min(place)));
            }
            match home {
                Some((group, at)) => {
                    let at = at.min(self.groups[group].len());
                    self.groups[group].insert(at, piece);
                }
                None => rest.push(piece),
            }
        }
        self.groups.push(rest);
        self.groups.retain(|group| !group.is_empty());
    }

    /// Group and place of a piece that touches this one.
    fn touching(&self, piece: &Piece<'_>) -> Option<(usize, usize)> {
        let mut groups = self.groups.iter().enumerate();
        groups.find_map(|(group, pieces)| {
            let at = pieces.iter().position(|one| one.touches(piece));
            at.map(|at| (group, at))
        })
    }

    fn left(&self) -> usize {
        self.assembling
            .options
            .max_tokens
            .saturating_sub(self.tokens)
    }

    fn next_marker(&self) -> usize {
        self.groups.iter().map(Vec::len).sum::<usize>() + 1
    }

    /// The text in the order asked for. Where the tokens of the whole are more than those of its
    /// pieces, the last that was taken goes.
    fn finish(mut self) -> AssembledContext {
        let options = self.assembling.options;
        loop {
            let mut context = written(&self.groups, options.order);
            context.tokens = self.assembling.counter.count(&context.text);
            if context.tokens <= options.max_tokens {
                return context;
            }
            self.groups.pop();
        }
    }
}

/// The pieces one below the other, each under its marker.
fn written(groups: &[Vec<Piece<'_>>], order: ContextOrder) -> AssembledContext {
    let mut context = AssembledContext::default();
    let pieces = places(groups.len(), order)
        .into_iter()
        .flat_map(|place| &groups[place]);
    for (piece, marker) in pieces.zip(1..) {
        context.text.push_str(&lead(piece, marker));
        context.text.push_str(&piece.body);
        context.citations.push(Citation {
            marker: format!("[{marker}]"),
            chunk: piece.cited.id,
            document: piece.cited.document.clone(),
            span: piece.span,
        });
    }
    context
}

/// In which order the groups stand in the text.
fn places(count: usize, order: ContextOrder) -> Vec<usize> {
    match order {
        ContextOrder::Rank => (0..count).collect(),
        ContextOrder::Edges => {
            let first = (0..count).step_by(2);
            let last = (1..count).step_by(2).rev();
            first.chain(last).collect()
        }
    }
}

#[cfg(test)]
mod tests;
