//! Whether what answers is the model: probes, and what is said where they differ.

use braid_core::{Error, ErrorCode, Fingerprint};

use crate::remote::endpoint::Endpoint;

/// Another model, or the same in arithmetic too far from the model's own.
pub(crate) fn other_model(endpoint: &Endpoint, expected: &Fingerprint, detail: &str) -> Error {
    let message = format!("the model at {endpoint} is not {expected}: {detail}");
    Error::new(ErrorCode::ModelUnavailable, message).with_help(format!(
        "serve that model at {endpoint}, or configure the model that it serves and rebuild the collections"
    ))
}
