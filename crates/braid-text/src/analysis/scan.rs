//! Scanning: text to compounds, runs of atoms joined by single separators without white space.

use unicode_normalization::char::is_combining_mark;

/// How the characters of an atom make words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Letters and digits of a script that parts words by spaces.
    Spaced,
    /// A script without spaces between words (Han, kana, Thai, ...).
    Unspaced,
}

/// A maximal run of letters, digits and marks of one [`Script`]; byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) script: Script,
}

/// Atoms with the separators between them. The separator before atom `i` is what stands between
/// it and atom `i - 1`, possibly nothing.
#[derive(Debug, Default)]
pub(super) struct Compound {
    pub(super) atoms: Vec<Atom>,
    /// Where a symbol that belongs to the front starts (`.NET`, `--flag`), else the first atom's start.
    pub(super) start: usize,
    /// Where a symbol that belongs to the back ends (`C++`, `F#`), else the last atom's end.
    pub(super) end: usize,
}

/// More atoms than an identifier has: a longer run is cut, so that memory stays bounded.
const MAX_ATOMS: usize = 24;

/// Finds compounds in normalised text.
pub(super) struct Scanner<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, position: 0 }
    }

    /// Puts the next compound into `compound`; false at the end of the text.
    pub(super) fn next_compound(&mut self, compound: &mut Compound) -> bool {
        compound.atoms.clear();
        let Some(start) = self.find_atom() else {
            return false;
        };
        compound.start = start - prefix_len(&self.text[..start]);
        self.position = start;
        while let Some(atom) = self.take_atom() {
            compound.atoms.push(atom);
            compound.end = atom.end;
            if compound.atoms.len() == MAX_ATOMS {
                break;
            }
            self.position += separator_len(&self.text[..atom.end], &self.text[atom.end..]);
        }
        self.position = compound.end;
        compound.end += suffix_len(&self.text[compound.end..]);
        true
    }

    /// Where the next atom starts.
    fn find_atom(&self) -> Option<usize> {
        let starts = |c: char| class(c).is_some() && !is_mark(c);
        let offset = find(
            &self.text[self.position..],
            |byte| byte.is_ascii_alphanumeric(),
            starts,
        )?;
        Some(self.position + offset)
    }

    /// Takes the atom that starts here, if one does.
    fn take_atom(&mut self) -> Option<Atom> {
        let start = self.position;
        let rest = &self.text[start..];
        let script = rest.chars().next().and_then(class)?;
        let is_spaced = script == Script::Spaced;
        let ends_at = |byte: u8| !(is_spaced && byte.is_ascii_alphanumeric());
        let len = find(rest, ends_at, |c| !continues(c, script)).unwrap_or(rest.len());
        self.position = start + len;
        Some(Atom {
            start,
            end: start + len,
            script,
        })
    }
}

/// Offset of the first ASCII byte or other character that satisfies its condition. Most text is
/// ASCII, which needs no decoding.
fn find(
    text: &str,
    is_ascii: impl Fn(u8) -> bool,
    is_other: impl Fn(char) -> bool,
) -> Option<usize> {
    let mut offset = 0;
    while let Some(byte) = text.as_bytes().get(offset) {
        if byte.is_ascii() {
            if is_ascii(*byte) {
                return Some(offset);
            }
            offset += 1;
        } else {
            let c = text[offset..].chars().next()?;
            if is_other(c) {
                return Some(offset);
            }
            offset += c.len_utf8();
        }
    }
    None
}

/// Whether `c` continues an atom of `script`. Marks continue any.
fn continues(c: char, script: Script) -> bool {
    class(c).is_some_and(|found| found == script || is_mark(c))
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

/// The script of a character that words are made of; `None` for any other.
fn class(c: char) -> Option<Script> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then_some(Script::Spaced);
    }
    let is_word = c.is_alphanumeric() || is_combining_mark(c);
    is_word.then_some(match c {
        // Thai, Lao; Myanmar; Khmer.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => {
            Script::Unspaced
        }
        // Radicals, kana, bopomofo, Han and its extensions; Hangul; compatibility ideographs.
        '\u{2e80}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' => {
            Script::Unspaced
        }
        '\u{1100}'..='\u{11ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
            Script::Unspaced
        }
        _ => Script::Spaced,
    })
}

/// Whether words are made of `c`.
pub(super) fn is_word_char(c: char) -> bool {
    class(c).is_some()
}

/// Bytes of the separator at the start of `rest` that joins an atom that ends `before` to the next;
/// 0 where none does (a following atom of another script still joins).
fn separator_len(before: &str, rest: &str) -> usize {
    let after_digit = before.as_bytes().last().is_some_and(u8::is_ascii_digit);
    let len = match rest.as_bytes() {
        [b':', b':' | b'\\', ..] | [b'-', b'>', ..] | [b'+', b'+', ..] => 2,
        [b':', b'/', b'/', ..] => 3,
        [
            b'.' | b'-' | b'_' | b'/' | b':' | b'@' | b'+' | b'#' | b'\\' | b'&' | b'=',
            ..,
        ] => 1,
        // Only within numbers: `1,000`.
        [b',', next, ..] if after_digit && next.is_ascii_digit() => 1,
        _ => 0,
    };
    let joins = rest[len..].chars().next().is_some_and(is_word_char);
    if joins { len } else { 0 }
}

/// Bytes of the symbol at the end of `before` that belongs to an identifier which starts there.
fn prefix_len(before: &str) -> usize {
    let bytes = before.as_bytes();
    let (len, symbol) = match bytes {
        [.., b'-', b'-'] => (2, b'-'),
        [.., symbol @ (b'.' | b'#' | b'@' | b'$')] => (1, *symbol),
        _ => return 0,
    };
    let outside = before[..before.len() - len].chars().next_back();
    let stands_alone = outside.is_none_or(|c| !is_word_char(c) && c != char::from(symbol));
    if stands_alone { len } else { 0 }
}

/// Bytes of the symbol at the start of `after` that belongs to an identifier which ends there.
fn suffix_len(after: &str) -> usize {
    let len = match after.as_bytes() {
        [b'+', b'+', ..] => 2,
        [b'+' | b'#', ..] => 1,
        _ => return 0,
    };
    let outside = after[len..].chars().next();
    if outside.is_none_or(|c| !is_word_char(c)) {
        len
    } else {
        0
    }
}
