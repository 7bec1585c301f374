//! One module per command.

pub(crate) mod collection;
pub(crate) mod document;
pub(crate) mod models;
pub(crate) mod retrieve;
pub(crate) mod serve;
pub(crate) mod verify;
