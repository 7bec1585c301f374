//! The runtime under Braid's pipelines: a CPU pool beside the async threads, circuit breakers,
//! shutdown, tracing and metrics set-up.
//!
//! Async threads must not block (for more than about half a millisecond): searches, chunking and
//! hashing run on a [`CpuPool`]; file and ledger I/O runs as [`Blocking`] work.
//! This crate knows nothing of documents or indexes. Start at [`pool`].

pub mod blocking;
pub mod breaker;
pub mod pool;
pub mod shutdown;
pub mod telemetry;

pub use blocking::Blocking;
pub use breaker::{BreakerPolicy, CircuitBreaker};
pub use pool::CpuPool;
pub use shutdown::Shutdown;
