//! Braid over HTTP and gRPC: axum routes, wire DTOs, OpenAPI, errors as problem documents; messages
//! and statuses.
//!
//! This crate turns bytes into engine calls and answers into bytes, with a limit on everything that
//! comes in. It never ranks, stores or retries. Every mutation takes an `Idempotency-Key` whose
//! answer the engine's ledger records in the mutation's own transaction. Start at [`app`] for the
//! router and its layers, at [`serve`] for listening and shutting down, at [`dto`] for the contract, at
//! [`grpc`] for the other protocol.

mod admission;
pub mod app;
pub mod dto;
mod error;
mod extract;
pub mod grpc;
mod idempotency;
mod playground;
mod reference;
mod request_id;
mod routes;
pub mod serve;
mod worker;

pub use app::{App, ServerOptions, openapi};
pub use serve::serve;
pub use worker::serve_worker;
