//! Stems of the words a thread saw lately. Stemming takes most of an analysis, and a few thousand
//! words make most of any text.

use std::cell::RefCell;
use std::hash::Hasher;

use frostem::{Algorithm, Stemmer};
use rustc_hash::FxHasher;

/// Words remembered; a power of two. About half a megabyte a thread at most.
const WORDS: usize = 4096;

#[derive(Clone, Default)]
struct Entry {
    algorithm: Option<Algorithm>,
    word: String,
    stem: String,
}

thread_local! {
    static MEMO: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Appends the stem of `word` to `output`.
pub(super) fn stem_into(stemmer: Stemmer, word: &str, output: &mut String) {
    MEMO.with_borrow_mut(|entries| {
        if entries.is_empty() {
            entries.resize(WORDS, Entry::default());
        }
        let entry = &mut entries[place(word)];
        let algorithm = Some(stemmer.algorithm());
        if entry.word != word || entry.algorithm != algorithm {
            entry.algorithm = algorithm;
            replace(&mut entry.word, word);
            replace(&mut entry.stem, &stemmer.stem(word));
        }
        output.push_str(&entry.stem);
    });
}

fn place(word: &str) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(word.as_bytes());
    // The high bits of this hash are the mixed ones.
    (hasher.finish() >> 32) as usize % WORDS
}

fn replace(old: &mut String, new: &str) {
    old.clear();
    old.push_str(new);
}
