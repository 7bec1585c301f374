//! Where documents come from: file formats and document sources.
//!
//! [`FormatReader`] turns a document's raw form (plain text, Markdown, HTML, source code) into extracted
//! text that keeps its structure; it is pure and never panics on bad input. [`file`] makes text of files
//! that are none (PDF, Word, OpenDocument, EPUB), each in a process of its own. [`source`] walks folders and
//! reads tables, JSON, JSONL and BEIR corpora as a stream of documents, one in memory at a time; what cannot be read is
//! reported and the rest goes on. Nothing here chunks, embeds or stores.
//!
//! Start at [`source::open`] for ingestion and at [`FormatReader`] for one document.

mod decode;
pub mod file;
mod html;
mod markdown;
mod reader;
pub mod source;

pub use decode::decode;
pub use reader::FormatReader;
