//! `POST /retrieve`: the wire forms of a request and its answer.

mod answer;
mod request;
mod trust;

pub use answer::*;
pub use request::*;
pub use trust::*;
