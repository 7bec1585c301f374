//! Where documents come from: file formats and document sources.
//!
//! [`FormatReader`] turns a document's raw form (plain text, Markdown, HTML) into extracted text that
//! keeps its structure; it is pure and never panics on bad input. [`source`] walks folders and reads
//! JSONL and BEIR corpora as a stream of documents, one in memory at a time; what cannot be read is
//! reported and the rest goes on. Nothing here chunks, embeds or stores.
//!
//! Start at [`source::open`] for ingestion and at [`FormatReader`] for one document.

mod html;
mod markdown;
mod reader;
pub mod source;

pub use reader::FormatReader;
