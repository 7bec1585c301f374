//! As many different documents as wanted, made of real sentences.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::passages::corpus;

/// Passages the sentences are taken from.
const PASSAGES: usize = 5_000;

/// Words of one chunk: about 200 tokens.
pub(super) const WORDS_PER_CHUNK: usize = 145;

/// Paragraphs of one section.
const PARAGRAPHS: usize = 8;

/// Sentences to put together.
pub(super) struct Prose {
    pub(super) source: String,
    sentences: Vec<String>,
}

impl Prose {
    pub(super) fn read(train: &Path) -> Result<Self> {
        let corpus = corpus(train, PASSAGES, 0)?;
        let mut sentences = Vec::new();
        for document in &corpus.documents {
            for sentence in document.text.split_inclusive(". ") {
                let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
                // What would read as a heading or a list is left out.
                if sentence.starts_with(|first: char| first.is_alphabetic()) {
                    sentences.push(sentence);
                }
            }
        }
        anyhow::ensure!(!sentences.is_empty(), "the passages have no sentence");
        let source = format!("sentences of {}, in random order", corpus.source);
        Ok(Self { source, sentences })
    }

    /// The `index`th text of about `words` words. Always the same for the same sentences.
    pub(super) fn text(&self, index: usize, words: usize) -> String {
        let mut random = StdRng::seed_from_u64(index as u64);
        let mut text = String::new();
        let mut left = words as isize;
        while left > 0 {
            let Some(sentence) = self.sentences.choose(&mut random) else {
                break;
            };
            left -= sentence.split(' ').count() as isize;
            text.push_str(sentence);
            text.push(' ');
        }
        // No two texts are the same, nor are the vectors of any two.
        let number = random.random::<u64>();
        let _ = write!(text, "This was number {index} with mark {number:x}.");
        text
    }

    /// The `index`th Markdown document: a title and headings over sections of about two chunks.
    pub(super) fn markdown(&self, index: usize, chunks: usize) -> String {
        let mut page = format!("# Document {index}\n");
        for section in 0..chunks / 2 {
            let number = index * chunks + section;
            let _ = write!(page, "\n## Section {section}\n\n");
            for paragraph in 0..PARAGRAPHS {
                let words = 2 * WORDS_PER_CHUNK / PARAGRAPHS;
                let text = self.text(number * PARAGRAPHS + paragraph, words);
                let _ = writeln!(page, "{text}\n");
            }
        }
        page
    }
}
