//! `POST /retrieve`: the wire forms of a request and its answer.

mod answer;
mod batch;
mod context;
mod query;
mod reason;
mod request;
mod trust;

pub use answer::*;
pub use batch::*;
pub use context::*;
pub use query::*;
pub use reason::*;
pub use request::*;
pub use trust::*;
