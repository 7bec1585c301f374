//! Wire forms: everything that crosses HTTP, with its OpenAPI schema. Requests refuse unknown
//! fields; conversions to core types check every limit.

pub mod cache;
pub mod chunking;
pub mod chunks;
pub mod collections;
pub mod documents;
pub mod duplicates;
pub mod explain;
pub mod filter;
pub mod jobs;
pub mod metadata;
pub mod models;
mod number;
pub(crate) mod object;
pub mod problem;
pub mod retrieve;
pub mod synonyms;
