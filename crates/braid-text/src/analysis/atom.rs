//! Atoms to terms: words, the pieces of mixed words, n-grams of scripts without spaces.

use super::scan::{Atom, Script};
use super::stem::WordForm;
use super::{Output, TermKind};

/// A longer atom is cut to this: it is data, not a word, but must not be lost altogether.
const MAX_ATOM_BYTES: usize = 128;
/// An atom of more pieces is data (base64, say), not a name made of words.
const MAX_PIECES: usize = 8;

/// What surrounds an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// It stands alone.
    Lone,
    /// It is joined to other atoms.
    Joined,
    /// It is the short end of a word with an apostrophe: `l'`, `'s`.
    Clitic,
}

/// Writes the terms of atoms; holds the buffers.
pub(super) struct AtomWriter<'a> {
    form: &'a WordForm,
    lowered: String,
    term: String,
    whole: String,
    cuts: Vec<usize>,
}

impl<'a> AtomWriter<'a> {
    pub(super) fn new(form: &'a WordForm) -> Self {
        Self {
            form,
            lowered: String::new(),
            term: String::new(),
            whole: String::new(),
            cuts: Vec::new(),
        }
    }

    pub(super) fn write(
        &mut self,
        text: &str,
        atom: Atom,
        surroundings: Surroundings,
        output: &mut Output<'_>,
    ) {
        let raw = &text[atom.start..atom.end];
        match atom.script {
            Script::Unspaced => write_grams(raw, output),
            Script::Spaced => self.write_word(cut(raw), surroundings, output),
        }
    }

    fn write_word(&mut self, raw: &str, surroundings: Surroundings, output: &mut Output<'_>) {
        let position = output.next_position();
        self.form.lower_into(raw, &mut self.lowered);
        let form = self.form;
        if surroundings == Surroundings::Clitic || form.is_stop_word(&self.lowered) {
            form.plain_into(&self.lowered, &mut self.term);
            output.term(&self.term, TermKind::StopWord, position);
            if !is_acronym(raw) {
                return;
            }
        }
        // One letter between separators says little (`U.S.`, `e-mail`), and would count as a word.
        let is_initial = surroundings == Surroundings::Joined && raw.chars().nth(1).is_none();
        let kind = if is_initial {
            TermKind::Part
        } else {
            TermKind::Word
        };
        form.term_into(&self.lowered, &mut self.term);
        output.term(&self.term, kind, position);
        self.write_pieces(raw, position, output);
    }

    /// Writes the humps of `camelCase`, and letters and digits of `RFC1918` with the whole as it
    /// is written with a hyphen, so that `RFC1918`, `RFC-1918` and `RFC 1918` are one.
    fn write_pieces(&mut self, raw: &str, position: u32, output: &mut Output<'_>) {
        let has_humps = find_cuts(raw, &mut self.cuts);
        if self.cuts.is_empty() || self.cuts.len() >= MAX_PIECES {
            return;
        }
        if has_humps {
            self.form.plain_into(&self.lowered, &mut self.term);
            output.term(&self.term, TermKind::Whole, position);
        } else if self.cuts.len() > 1 {
            return;
        } else if !raw.starts_with(|c: char| c.is_ascii_digit()) {
            let (letters, digits) = raw.split_at(self.cuts[0]);
            self.form.lower_into(letters, &mut self.lowered);
            self.form.plain_into(&self.lowered, &mut self.whole);
            self.whole.push('-');
            self.whole.push_str(digits);
            output.term(&self.whole, TermKind::Whole, position);
        }
        let mut start = 0;
        for index in 0..=self.cuts.len() {
            let end = self.cuts.get(index).copied().unwrap_or(raw.len());
            self.write_piece(&raw[start..end], position, output);
            start = end;
        }
    }

    fn write_piece(&mut self, raw: &str, position: u32, output: &mut Output<'_>) {
        let is_digits = raw.bytes().all(|byte| byte.is_ascii_digit());
        self.form.lower_into(raw, &mut self.lowered);
        if (is_digits || raw.len() > 1) && !self.form.is_stop_word(&self.lowered) {
            self.form.term_into(&self.lowered, &mut self.term);
            output.term(&self.term, TermKind::Part, position);
        }
    }
}

/// `WHO` and `IT` are names, and `WHERE` is a keyword, where `who`, `it` and `where` are not.
fn is_acronym(raw: &str) -> bool {
    raw.len() > 1 && raw.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The first [`MAX_ATOM_BYTES`] of an atom, at a character boundary.
fn cut(raw: &str) -> &str {
    &raw[..raw.floor_char_boundary(MAX_ATOM_BYTES)]
}

/// Puts the byte offsets between pieces into `cuts`; says whether letter case made any of them.
fn find_cuts(raw: &str, cuts: &mut Vec<usize>) -> bool {
    cuts.clear();
    let is_plain = |byte: u8| byte.is_ascii_lowercase();
    if raw.bytes().skip(1).all(is_plain) && raw.bytes().next().is_none_or(|b| !b.is_ascii_digit()) {
        return false;
    }
    let mut has_humps = false;
    let mut chars = raw.char_indices().peekable();
    let mut previous = '\0';
    while let Some((offset, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        // `URLs` and `APIs` are plurals, not humps.
        let is_plural = next == Some('s') && offset + c.len_utf8() + 1 == raw.len();
        let follows_lower = previous.is_lowercase() && c.is_uppercase();
        let ends_acronym = previous.is_uppercase()
            && c.is_uppercase()
            && next.is_some_and(char::is_lowercase)
            && !is_plural;
        let meets_digit = offset > 0 && previous.is_ascii_digit() != c.is_ascii_digit();
        has_humps |= follows_lower || ends_acronym;
        if follows_lower || ends_acronym || meets_digit {
            cuts.push(offset);
        }
        previous = c;
    }
    has_humps
}

/// Writes each pair of neighbours as a word and each character as a part: without a dictionary
/// that is what finds words in scripts without spaces. A lone character is a word.
fn write_grams(raw: &str, output: &mut Output<'_>) {
    let mut offsets = raw.char_indices().map(|(offset, _)| offset).skip(1);
    let mut start = 0;
    let mut middle = offsets.next().unwrap_or(raw.len());
    if middle == raw.len() {
        let position = output.next_position();
        output.term(raw, TermKind::Word, position);
        return;
    }
    loop {
        let position = output.next_position();
        let end = offsets.next().unwrap_or(raw.len());
        if end > middle {
            output.term(&raw[start..end], TermKind::Word, position);
        }
        output.term(&raw[start..middle], TermKind::Part, position);
        if middle == raw.len() {
            return;
        }
        (start, middle) = (middle, end);
    }
}
