//! Capacity planning: from what was measured at a few sizes to what other sizes need.
//!
//! [`Measured`] is the one file of constants, written by `braid-bench capacity`; a [`Series`] predicts one of
//! them at any size; [`plan`] is the arithmetic. Nothing here measures, and nothing is guessed: what was not
//! measured is `None` and named in [`Plan::not_measured`], and everything that is taken for granted is in
//! [`Plan::assumptions`]. `docs/scaling.md` says the same in prose.

mod measured;
mod model;
mod nodes;
mod series;
mod store;
#[cfg(test)]
mod tests;

pub use measured::{Machine, Measured, MeasuredModels, MeasuredSize, MeasuredStore};
pub use model::{Component, Error, StoreQuantity, errors};
pub use nodes::{Driver, Nodes, Part, Plan, Profile, Quantization, Wanted, plan};
pub use series::{Growth, Series};

/// What this repository has measured.
///
/// # Panics
/// Never: a test reads the file.
pub fn measured() -> Measured {
    let text = include_str!("../capacity/measured.json");
    serde_json::from_str(text).expect("the measurements of this repository are well-formed")
}
