//! What is indexed, under which field, and what a commit says of itself.

use braid_core::{Error, ErrorCode, Fingerprint, Result, Sequence};
use braid_text::lexical::LexicalField;
use serde::{Deserialize, Serialize};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use crate::error::with_rebuild_help;
use crate::terms::TOKENIZER;

/// Rises whenever an index of an older version cannot be searched as one of this version.
const FORMAT: u32 = 3;

/// Name of the slot field's column.
pub(crate) const SLOT: &str = "slot";

/// Name of the language field's column.
pub(crate) const LANGUAGE: &str = "language";

/// The fields of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The slot: the key by which entries are deleted, and a column.
    pub(crate) slot: Field,
    /// Words of title, headings and body together, with their positions; the only field with a
    /// length norm.
    pub(crate) content: Field,
    /// Words of the title once more, for their extra weight.
    pub(crate) title: Field,
    /// Words of the headings once more.
    pub(crate) headings: Field,
    /// Whole identifiers and pieces of words, which would distort the length of `content`, and stop
    /// words, which are only searched when a query has nothing else. With positions, as in `content`:
    /// a phrase has its words from both.
    pub(crate) names: Field,
    /// The [`language_code`](braid_text::lexical::language_code) a document was analyzed in, where documents of one index differ.
    pub(crate) language: Field,
}

impl Fields {
    /// The field of the schema that keeps the terms of `field`.
    pub(crate) fn of(&self, field: LexicalField) -> Field {
        match field {
            LexicalField::Content => self.content,
            LexicalField::Title => self.title,
            LexicalField::Headings => self.headings,
            LexicalField::Names => self.names,
        }
    }
}

/// The schema and its fields.
pub(crate) fn schema() -> (Schema, Fields) {
    use IndexRecordOption::{WithFreqs, WithFreqsAndPositions};
    let mut builder = SchemaBuilder::new();
    let fields = Fields {
        slot: builder.add_u64_field(SLOT, INDEXED | FAST),
        content: builder.add_text_field("content", terms(true, WithFreqsAndPositions)),
        title: builder.add_text_field("title", terms(false, WithFreqs)),
        headings: builder.add_text_field("headings", terms(false, WithFreqs)),
        names: builder.add_text_field("names", terms(false, WithFreqsAndPositions)),
        language: builder.add_u64_field(LANGUAGE, INDEXED | FAST),
    };
    (builder.build(), fields)
}

/// Terms as Braid's analyzer makes them.
fn terms(has_norms: bool, recorded: IndexRecordOption) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_fieldnorms(has_norms)
        .set_index_option(recorded);
    TextOptions::default().set_indexing_options(indexing)
}

/// The payload of every commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitPayload {
    format: u32,
    analyzer: String,
    watermark: u64,
}

impl CommitPayload {
    pub(crate) fn new(analyzer: &Fingerprint, watermark: Sequence) -> Self {
        Self {
            format: FORMAT,
            analyzer: analyzer.as_str().to_owned(),
            watermark: watermark.0,
        }
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("cannot write a commit payload").with_source(error))
    }

    /// The watermark of a commit's payload; [`Sequence::ZERO`] before the first commit.
    pub(crate) fn read(payload: Option<&str>, analyzer: &Fingerprint) -> Result<Sequence> {
        let Some(json) = payload else {
            return Ok(Sequence::ZERO);
        };
        let payload: Self = serde_json::from_str(json).map_err(|error| {
            with_rebuild_help(
                Error::new(
                    ErrorCode::Corrupt,
                    "the lexical index has an unreadable commit payload",
                )
                .with_source(error),
            )
        })?;
        if payload.format != FORMAT {
            return Err(with_rebuild_help(Error::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "the lexical index has format {}, this version reads {FORMAT}",
                    payload.format
                ),
            )));
        }
        if payload.analyzer != analyzer.as_str() {
            return Err(with_rebuild_help(Error::new(
                ErrorCode::FingerprintMismatch,
                format!(
                    "the lexical index was made by {}, not {analyzer}",
                    payload.analyzer
                ),
            )));
        }
        Ok(Sequence(payload.watermark))
    }
}
