//! `POST /v1/explain`: why a document was not returned, and what would return it.

mod answer;
mod request;

pub use answer::*;
pub use request::*;
