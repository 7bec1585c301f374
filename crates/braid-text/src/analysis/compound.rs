//! Compounds to terms: identifiers whole, then their atoms.

use super::atom::{AtomWriter, Surroundings};
use super::scan::{Atom, Compound, Script, is_word_char};
use super::stem::WordForm;
use super::{Output, TermKind};

/// A longer whole is not emitted; its groups still are.
const MAX_WHOLE_BYTES: usize = 128;
/// A first atom of at most so many letters is likely a prefix: `e-mail`, `non-linear`, `pre-trained`.
const MAX_PREFIX_LETTERS: usize = 6;

/// Writes the terms of compounds; holds the buffers and the word before.
pub(super) struct CompoundWriter<'a> {
    form: &'a WordForm,
    text: &'a str,
    lowered: String,
    term: String,
    joined: String,
    /// Byte range of the compound before, where it was one plain word.
    previous_word: Option<(usize, usize)>,
}

impl<'a> CompoundWriter<'a> {
    pub(super) fn new(form: &'a WordForm, text: &'a str) -> Self {
        Self {
            form,
            text,
            lowered: String::new(),
            term: String::new(),
            joined: String::new(),
            previous_word: None,
        }
    }

    pub(super) fn write(
        &mut self,
        compound: &Compound,
        atoms: &mut AtomWriter<'_>,
        output: &mut Output<'_>,
    ) {
        self.write_numbered(compound, output);
        self.previous_word = self.plain_word(compound);
        if self.write_number(compound, output) {
            return;
        }
        self.write_wholes(compound, output);
        let is_lone = compound.atoms.len() == 1;
        for atom in &compound.atoms {
            let surroundings = if is_clitic(self.text, *atom) {
                Surroundings::Clitic
            } else if is_lone {
                Surroundings::Lone
            } else {
                Surroundings::Joined
            };
            atoms.write(self.text, *atom, surroundings, output);
        }
    }

    /// Writes a word and the number after it (`RFC 1918`, `Python 3.12`) as one whole.
    fn write_numbered(&mut self, compound: &Compound, output: &mut Output<'_>) {
        let Some((start, end)) = self.previous_word else {
            return;
        };
        let (number, number_end) = bounds(&compound.atoms);
        let is_number = self.text.as_bytes()[number].is_ascii_digit();
        if !is_number || &self.text[end..number] != " " {
            return;
        }
        let word = &self.text[start..end];
        self.form.lower_into(word, &mut self.lowered);
        if self.form.is_stop_word(&self.lowered) {
            return;
        }
        let joined = format!("{word}-{}", &self.text[number..number_end]);
        self.write_whole(&joined, output);
    }

    /// The byte range of a compound that is one word of at least two letters.
    fn plain_word(&self, compound: &Compound) -> Option<(usize, usize)> {
        let [atom] = compound.atoms[..] else {
            return None;
        };
        let raw = &self.text[atom.start..atom.end];
        let is_word = atom.end == compound.end
            && atom.script == Script::Spaced
            && raw.len() > 1
            && raw.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_word.then_some((atom.start, atom.end))
    }

    /// Writes a number with thousands separators as one word; false where it is none.
    fn write_number(&mut self, compound: &Compound, output: &mut Output<'_>) -> bool {
        let text = self.text;
        let is_digits = |atom: &Atom| {
            text[atom.start..atom.end]
                .bytes()
                .all(|b| b.is_ascii_digit())
        };
        let [first, rest @ ..] = &compound.atoms[..] else {
            return false;
        };
        let is_number = !rest.is_empty()
            && first.end - first.start <= 3
            && compound.atoms.iter().all(is_digits)
            && rest
                .iter()
                .all(|atom| atom.end - atom.start == 3 && text.as_bytes()[atom.start - 1] == b',');
        if !is_number {
            return false;
        }
        let (start, end) = bounds(&compound.atoms);
        self.write_whole(&text[start..end], output);
        self.joined.clear();
        self.joined
            .extend(text[start..end].chars().filter(char::is_ascii_digit));
        let position = output.next_position();
        output.term(&self.joined, TermKind::Word, position);
        true
    }

    /// Writes the whole identifier, and the identifiers within it.
    fn write_wholes(&mut self, compound: &Compound, output: &mut Output<'_>) {
        let (start, end) = bounds(&compound.atoms);
        let is_decorated = compound.start < start || compound.end > end;
        if is_decorated {
            self.write_whole(&self.text[compound.start..compound.end], output);
        }
        if compound.atoms.len() == 1 {
            return;
        }
        self.write_group(&compound.atoms, output);
        self.write_joined(&compound.atoms, output);
        let text = self.text;
        let is_inner_group =
            |group: &&[Atom]| group.len() > 1 && group.len() < compound.atoms.len();
        let groups = compound
            .atoms
            .chunk_by(|a, b| !parts_names(&text[a.end..b.start]));
        groups
            .filter(is_inner_group)
            .for_each(|group| self.write_group(group, output));
        for pair in compound.atoms.windows(2) {
            if text[pair[0].end..].starts_with("++") {
                self.write_whole(&text[pair[0].start..pair[0].end + 2], output);
            }
        }
    }

    /// Writes atoms with the separators between them, a version also without its `v`.
    fn write_group(&mut self, atoms: &[Atom], output: &mut Output<'_>) {
        let has_separator = atoms.windows(2).any(|pair| pair[0].end < pair[1].start);
        if !has_separator {
            return;
        }
        let (start, end) = bounds(atoms);
        let whole = &self.text[start..end];
        self.write_whole(whole, output);
        if let [b'v' | b'V', digit, ..] = whole.as_bytes()
            && digit.is_ascii_digit()
        {
            self.write_whole(&whole[1..], output);
        }
    }

    /// Writes `e-mail` as `email` and `U.S.A` as `usa`.
    fn write_joined(&mut self, atoms: &[Atom], output: &mut Output<'_>) {
        let text = self.text;
        let is_letters = |atom: &Atom| {
            text[atom.start..atom.end]
                .bytes()
                .all(|b| b.is_ascii_alphabetic())
        };
        let separated_by = |separator: &str| {
            atoms
                .windows(2)
                .all(|pair| &text[pair[0].end..pair[1].start] == separator)
        };
        let len = |atom: &Atom| atom.end - atom.start;
        let is_prefixed =
            atoms.len() == 2 && separated_by("-") && len(&atoms[0]) <= MAX_PREFIX_LETTERS;
        let is_initials = separated_by(".") && atoms.iter().all(|atom| len(atom) == 1);
        if !(is_prefixed || is_initials) || !atoms.iter().all(is_letters) {
            return;
        }
        let (start, end) = bounds(atoms);
        self.joined.clear();
        self.joined
            .extend(text[start..end].chars().filter(char::is_ascii_alphabetic));
        self.form.lower_into(&self.joined, &mut self.lowered);
        self.form.term_into(&self.lowered, &mut self.term);
        output.term(&self.term, TermKind::Part, output.position);
    }

    fn write_whole(&mut self, raw: &str, output: &mut Output<'_>) {
        if raw.len() <= MAX_WHOLE_BYTES {
            self.form.lower_into(raw, &mut self.lowered);
            self.form.plain_into(&self.lowered, &mut self.term);
            output.term(&self.term, TermKind::Whole, output.position);
        }
    }
}

/// First and last byte offset of atoms.
fn bounds(atoms: &[Atom]) -> (usize, usize) {
    let start = atoms.first().map_or(0, |atom| atom.start);
    (start, atoms.last().map_or(start, |atom| atom.end))
}

/// Whether a separator stands between names rather than within one: `path/to`, `std::fs`, `a@b`.
fn parts_names(separator: &str) -> bool {
    matches!(
        separator,
        "/" | "\\" | ":" | "::" | "://" | ":\\" | "@" | "#" | "=" | "&" | "->"
    )
}

/// Whether an apostrophe makes this atom of one or two letters the short end of a word.
fn is_clitic(text: &str, atom: Atom) -> bool {
    const MAX_CLITIC_BYTES: usize = 2;
    if atom.end - atom.start > MAX_CLITIC_BYTES {
        return false;
    }
    let joins = |c: Option<char>| c.is_some_and(is_word_char);
    let before = text[..atom.start].strip_suffix('\'');
    let after = text[atom.end..].strip_prefix('\'');
    before.is_some_and(|rest| joins(rest.chars().next_back()))
        || after.is_some_and(|rest| joins(rest.chars().next()))
}
