//! Fuzzing of every parser and reader, and of the chunks of whatever comes out: `make fuzz`.
//!
//! Sound files ([`seeds`]) are damaged at random ([`mutate`]), in their parts where a container would
//! hide them from the parser, and read ([`target`]). What may not happen is a panic, ten seconds of
//! CPU time, more memory than the limit, or chunks that are not the text. Nothing is embedded or
//! stored. A seed gives the same inputs every time. Plain stable Rust: nothing is instrumented.
//! Dev-only; start at `main.rs`.

pub mod container;
pub mod mutate;
pub mod replay;
pub mod run;
pub mod seeds;
pub mod taken;
pub mod target;
