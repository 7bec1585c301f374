//! Metadata on the wire.

use std::collections::BTreeMap;

use braid_core::{Metadata, MetadataValue, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Metadata fields by key.
pub type MetadataBody = BTreeMap<String, MetadataValueBody>;

/// A string, a number, a boolean or an array of strings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MetadataValueBody {
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Text.
    String(String),
    /// Several strings.
    Strings(Vec<String>),
}

impl From<MetadataValueBody> for MetadataValue {
    fn from(value: MetadataValueBody) -> Self {
        match value {
            MetadataValueBody::Bool(value) => Self::Bool(value),
            MetadataValueBody::Number(value) => Self::Number(value),
            MetadataValueBody::String(value) => Self::String(value),
            MetadataValueBody::Strings(value) => Self::Strings(value),
        }
    }
}

impl From<MetadataValue> for MetadataValueBody {
    fn from(value: MetadataValue) -> Self {
        match value {
            MetadataValue::Bool(value) => Self::Bool(value),
            MetadataValue::Number(value) => Self::Number(value),
            MetadataValue::String(value) => Self::String(value),
            MetadataValue::Strings(value) => Self::Strings(value),
        }
    }
}

/// Checked metadata.
///
/// # Errors
/// `InvalidRequest` with the pointer of the bad field, relative to the metadata object.
pub fn metadata(body: MetadataBody) -> Result<Metadata> {
    Metadata::new(
        body.into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect(),
    )
}

/// The wire form of checked metadata.
pub fn metadata_body(metadata: Metadata) -> MetadataBody {
    metadata
        .into_fields()
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect()
}
