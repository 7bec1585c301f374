//! Context assembly: hits become one text for a language model, with citations.
//!
//! Each piece stands under its marker and source line; a source that the piece above has too is not
//! said again. A citation's span is exactly the characters of the document that stand in the piece, so
//! characters that two chunks share stand there once, and chunks that touch, or that white space alone
//! keeps apart, are one piece.
//!
//! Hits are offered in turn ([`choose`]) and taken while there is room; what room is left goes to
//! sentences of the others ([`cut`]). How the pieces stand in the text decides no more of what is taken
//! than how many source lines it takes.

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
pub use choose::left_out;
use coverage::Coverage;
use cut::best_part;
pub(crate) use estimates::{Characters, Words};
use piece::{Piece, Tokens, char_count, lead, plan_pieces};
pub(crate) use wanted::{Question, WantedTerms};

/// With fewer tokens left than this, after a hit that did not fit, the context is full: a marker, a source and a short sentence take
/// more.
const LEAST_CUT_TOKENS: usize = 16;

/// Most hits that are looked at for what room is left: each is taken apart into sentences.
const MOST_CUT: usize = 16;

/// How the context is to be made.
pub(crate) struct Assembling<'a> {
    pub(crate) options: ContextOptions,
    pub(crate) counter: &'a dyn TokenCounter,
    /// What the query asks for: a hit that is cut keeps the sentences with most of it.
    pub(crate) wanted: &'a WantedTerms,
}

/// Assembles at most `max_tokens` of context from `passages`, best first.
///
/// A hit that does not fit is taken without its neighbours if that makes it fit. Where it does not, what
/// room is left goes to whole sentences of it and the hits after it (to words, where no sentence fits),
/// those with most of the query's terms first.
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
        taken: Taken::default(),
    };
    let mut offered = choose(passages, &assembling.options).map(|place| passages[place]);
    while let Some(hit) = offered.next() {
        let around = neighborhood.around(&hit.record);
        if !assembly.push(hit, &around) && !assembly.push(hit, &[&hit.record]) {
            let rest = offered.by_ref().take(MOST_CUT - 1);
            assembly.push_parts(std::iter::once(hit).chain(rest).collect());
            break;
        }
    }
    assembly.finish()
}

/// Pieces as they are taken. What each costs is counted by itself: it begins on a blank line, across
/// which most tokenizers make no token. The end counts the whole.
struct Assembly<'a, 'p> {
    assembling: &'a Assembling<'a>,
    taken: Taken<'p>,
}

/// What was taken so far.
#[derive(Clone, Default)]
struct Taken<'p> {
    /// Its characters.
    coverage: Coverage<'p>,
    /// The pieces that each hit brought, best first.
    groups: Vec<Vec<Piece<'p>>>,
}

impl<'p> Assembly<'_, 'p> {
    /// Adds a hit with the `chunks` that belong to it, if all of that fits.
    fn push(&mut self, hit: &'p Passage, chunks: &[&'p ChunkRecord]) -> bool {
        let before = self.taken.clone();
        let pieces = plan_pieces(hit, chunks, &mut self.taken.coverage);
        self.take(pieces);
        let fits = self.tokens() <= self.assembling.options.max_tokens;
        if !fits {
            self.taken = before;
        }
        fits
    }

    /// Gives what room is left to parts of hits that do not fit, one a hit: first to that with most of
    /// the query's terms, of equal ones to that of the better hit.
    fn push_parts(&mut self, mut hits: Vec<&'p Passage>) {
        while self.left() >= LEAST_CUT_TOKENS || self.taken.groups.is_empty() {
            let mut best: Option<(u32, usize, Piece<'p>)> = None;
            for (place, hit) in hits.iter().enumerate() {
                let Some((terms, piece)) = self.part(hit) else {
                    continue;
                };
                if best.as_ref().is_none_or(|best| terms > best.0) {
                    best = Some((terms, place, piece));
                }
            }
            let Some((_, place, piece)) = best else {
                return;
            };
            // What is cut away is not in the context, but is not looked at again either.
            let hit = hits.remove(place);
            let coverage = &mut self.taken.coverage;
            coverage.take(&hit.record.document, hit.record.chunk.span);
            self.take(vec![piece]);
        }
    }

    /// As much as fits of a hit, and how many of the query's terms are in it.
    fn part(&self, hit: &'p Passage) -> Option<(u32, Piece<'p>)> {
        let mut coverage = self.taken.coverage.clone();
        let pieces = plan_pieces(hit, &[&hit.record], &mut coverage);
        let piece = pieces.into_iter().next()?;
        let lead = lead(&piece, self.taken.next_marker(), self.above_next());
        let counter = self.assembling.counter;
        let count = |part: &str| counter.count(&format!("{lead}{part}"));
        let part = best_part(&piece.body, self.left(), self.assembling.wanted, count)?;
        let start = piece.span.start + char_count(&piece.body[..part.start]);
        let end = start + char_count(part.text);
        let body = part.text.into();
        let terms = part.terms;
        let span = Span { start, end };
        let gap = if end == piece.span.end { piece.gap } else { "" };
        Some((
            terms,
            Piece {
                span,
                body,
                gap,
                ..piece
            },
        ))
    }

    /// Adds pieces; those that go on where others end, or end where others begin, become one with
    /// them, where the best ranked of them stands, and cost no marker of their own.
    fn take(&mut self, pieces: Vec<Piece<'p>>) {
        let mut rest = Vec::new();
        for mut piece in pieces {
            let marker = self.taken.next_marker() + rest.len();
            let mut home: Option<(usize, usize)> = None;
            while let Some(place) = self.taken.touching(&piece) {
                let other = self.taken.groups[place.0].remove(place.1);
                let is_better = home.is_none_or(|home| place < home);
                piece = match is_better {
                    true => other.joined(&piece),
                    false => piece.joined(&other),
                };
                home = Some(home.map_or(place, |home| home.min(place)));
            }
            piece.tokens = Tokens::of(&piece, marker, self.assembling.counter);
            match home {
                Some((group, at)) => {
                    let at = at.min(self.taken.groups[group].len());
                    self.taken.groups[group].insert(at, piece);
                }
                None => rest.push(piece),
            }
        }
        self.taken.groups.push(rest);
        self.taken.groups.retain(|group| !group.is_empty());
    }

    /// What the pieces cost, each below the one that it stands below.
    fn tokens(&self) -> usize {
        let mut above = None;
        let mut sum = 0;
        for piece in self.taken.in_order(self.assembling.options.order) {
            sum += piece.tokens.below(piece.repeats(above));
            above = Some(piece);
        }
        sum
    }

    /// The piece that the next one is to stand below, where that is known.
    fn above_next(&self) -> Option<&Piece<'p>> {
        match self.assembling.options.order {
            ContextOrder::Rank => self.taken.groups.last()?.last(),
            ContextOrder::Edges => None,
        }
    }

    fn left(&self) -> usize {
        let most = self.assembling.options.max_tokens;
        most.saturating_sub(self.tokens())
    }

    /// The text in the order asked for. Where the tokens of the whole are more than those of its
    /// pieces, the last that was taken goes.
    fn finish(mut self) -> AssembledContext {
        let options = self.assembling.options;
        loop {
            let mut context = self.taken.written(options.order);
            context.tokens = self.assembling.counter.count(&context.text);
            if context.tokens <= options.max_tokens {
                return context;
            }
            self.taken.groups.pop();
        }
    }
}

impl<'p> Taken<'p> {
    /// Group and place of a piece that touches this one.
    fn touching(&self, piece: &Piece<'_>) -> Option<(usize, usize)> {
        let mut groups = self.groups.iter().enumerate();
        groups.find_map(|(group, pieces)| {
            let at = pieces.iter().position(|one| one.touches(piece));
            at.map(|at| (group, at))
        })
    }

    fn next_marker(&self) -> usize {
        self.groups.iter().map(Vec::len).sum::<usize>() + 1
    }

    /// The pieces as they stand in the text.
    fn in_order(&self, order: ContextOrder) -> impl Iterator<Item = &Piece<'p>> {
        let places = places(self.groups.len(), order).into_iter();
        places.flat_map(|place| &self.groups[place])
    }

    /// The pieces one below the other, each under its marker.
    fn written(&self, order: ContextOrder) -> AssembledContext {
        let mut context = AssembledContext::default();
        let mut above = None;
        for (piece, marker) in self.in_order(order).zip(1..) {
            context.text.push_str(&lead(piece, marker, above));
            context.text.push_str(&piece.body);
            context.citations.push(Citation {
                marker: format!("[{marker}]"),
                chunk: piece.cited.id,
                document: piece.cited.document.clone(),
                span: piece.span,
            });
            above = Some(piece);
        }
        context
    }
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
