//! `POST /retrieve`: the wire forms of a request and its answer.

mod answer;
mod request;

pub use answer::*;
pub use request::*;
