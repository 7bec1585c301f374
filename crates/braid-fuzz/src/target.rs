//! What is fuzzed: bytes in, text and chunks out, or a refusal.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use braid_core::{
    Chunk, ChunkingSettings, CodeLanguage, ExtractedText, Format, Reader, TokenCounter,
};
use braid_readers::file::{FileKind, parse};
use braid_readers::source::{SourceOptions, open};
use braid_readers::{FormatReader, decode};
use braid_text::chunking::Chunker;

/// One parser or reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A parser that runs in a process of its own: it may die, in time.
    File(FileKind),
    /// A reader of texts.
    Format(Format),
    /// A reader of records, by the extension of its files.
    Source(&'static str),
}

/// Extensions of files that hold records.
const SOURCES: [&str; 4] = ["csv", "tsv", "json", "jsonl"];
/// Tokens of a chunk at most; small, so that little text makes many chunks.
const TARGET_TOKENS: usize = 24;

impl Target {
    /// Every target.
    pub fn all() -> Vec<Self> {
        let files = FileKind::ALL.map(Self::File);
        let formats = [Format::Text, Format::Markdown, Format::Html].map(Self::Format);
        let code = CodeLanguage::ALL.map(|language| Self::Format(Format::Code(language)));
        let sources = SOURCES.map(Self::Source);
        [&files[..], &formats[..], &code[..], &sources[..]].concat()
    }

    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|target| target.name() == name)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::File(kind) => kind.as_str(),
            Self::Format(format) => format.as_str(),
            Self::Source(extension) => extension,
        }
    }

    /// Whether a process of its own reads it, so that its end is that document's failure alone.
    pub fn is_isolated(self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads `bytes`; what becomes text is chunked and the chunks are checked. Gives the number of
    /// chunks; `folder` is for files.
    ///
    /// # Errors
    /// Why the input is refused.
    ///
    /// # Panics
    /// When it should not, or when the chunks are not the text.
    pub fn read(self, bytes: &[u8], folder: &Path) -> Result<usize, String> {
        match self {
            Self::File(kind) => {
                let parsed = parse(kind, bytes)?;
                chunked(parsed.format, &parsed.text)
            }
            Self::Format(format) => chunked(format, &decode(bytes.to_vec())?),
            Self::Source(extension) => records(extension, bytes, folder),
        }
    }
}

fn records(extension: &str, bytes: &[u8], folder: &Path) -> Result<usize, String> {
    let path = folder.join(format!("input.{extension}"));
    fs::write(&path, bytes).map_err(|error| error.to_string())?;
    let documents = open(&[path], &SourceOptions::default()).map_err(|error| error.to_string())?;
    let mut chunks = 0;
    let mut refused = None;
    for item in documents {
        match item {
            Ok(found) => {
                let document = found.document;
                chunks += chunked(document.format, &document.text).unwrap_or(0);
            }
            Err(failure) => refused = Some(failure.reason),
        }
    }
    match (chunks, refused) {
        (0, Some(reason)) => Err(reason),
        (count, _) => Ok(count),
    }
}

fn chunked(format: Format, text: &str) -> Result<usize, String> {
    let extracted = FormatReader
        .extract(format, text)
        .map_err(|error| error.to_string())?;
    let chunks = CHUNKER.chunk(&extracted, format.into(), extracted.title.as_deref());
    check(&extracted, &chunks);
    Ok(chunks.len())
}

/// A chunk is its span of the text and within the limit, and chunks leave out nothing but white
/// space.
fn check(extracted: &ExtractedText, chunks: &[Chunk]) {
    let mut places = extracted
        .text
        .char_indices()
        .map(|(at, _)| at)
        .collect::<Vec<_>>();
    places.push(extracted.text.len());
    let place = |character: u32| places[character as usize];
    let mut covered = 0;
    for chunk in chunks {
        let (start, end) = (place(chunk.span.start), place(chunk.span.end));
        assert_eq!(
            &extracted.text[start..end],
            chunk.text,
            "a chunk is its span"
        );
        let tokens = Characters.count(&chunk.text);
        assert!(tokens <= TARGET_TOKENS, "a chunk of {tokens} tokens");
        let between = extracted.text.get(covered..start).unwrap_or("");
        assert!(between.trim().is_empty(), "{between:?} is in no chunk");
        covered = covered.max(end);
    }
    let rest = extracted.text[covered..].trim();
    assert!(rest.is_empty(), "the end is in no chunk");
}

static CHUNKER: LazyLock<Chunker> = LazyLock::new(|| {
    let settings = ChunkingSettings {
        target_tokens: TARGET_TOKENS,
        overlap_tokens: 4,
        ..ChunkingSettings::default()
    };
    // Invariant: the settings above are valid.
    Chunker::new(Arc::new(Characters), settings).expect("valid settings")
});

/// Four characters a token: quick, and no word is one token by itself.
#[derive(Debug)]
struct Characters;

impl TokenCounter for Characters {
    fn count(&self, text: &str) -> usize {
        text.chars().count().div_ceil(4)
    }

    fn max_tokens(&self) -> usize {
        512
    }
}
