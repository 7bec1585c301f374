//! The harness over a small corpus of its own, against `ir_measures`, and on real data.

mod bad_input;
mod harness;
mod parity;
mod real;
mod world;
