//! The HTTP and gRPC contracts, against a real embedded engine with a hashing embedder in place of a model.
//!
//! Every answer that any test sees is checked against `/openapi.json`: see `contract`. Start at
//! `server` for how a test talks to Braid.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod bad_bodies;
mod bad_input;
mod batch;
mod bounds;
mod browser;
mod bulk;
mod cache;
mod chunks;
mod citations;
mod codes;
mod collections;
mod contract;
mod documents;
mod duplicates;
mod example_page;
mod explain;
mod grpc;
mod idempotency;
mod idempotency_everywhere;
mod jobs;
mod languages;
mod models;
mod openapi;
mod operations;
mod overload;
mod pages;
mod paging;
mod playground;
mod poison;
mod retrieve;
mod server;
mod shutdown;
mod syntax;
mod tree;
mod two_braids;
#[cfg(unix)]
mod upload;
