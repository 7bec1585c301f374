//! Synonyms of a collection on the wire.

use braid_core::{Error, FieldError, Result, Synonyms};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The synonyms that a collection is to have, instead of those it has.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SynonymsBody {
    /// Rules: `k8s, kubernetes` makes terms equivalent, `ml => machine learning` searches for the right
    /// side too where a query says the left. At most 1000 rules of 1024 bytes, 32 terms a rule, 8 words
    /// a term; none takes all synonyms away.
    #[schema(max_items = 1000, example = json!(["k8s, kubernetes", "ml => machine learning"]))]
    pub rules: Vec<String>,
}

/// The synonyms of a collection.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SynonymsAnswer {
    /// The rules, in the order they were given in.
    pub rules: Vec<String>,
}

impl SynonymsBody {
    /// The rules as they are applied.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad rule by JSON pointer.
    pub fn into_synonyms(self) -> Result<Synonyms> {
        Synonyms::parse(&self.rules).map_err(|error| {
            let fields = error.fields().iter();
            let fields = fields.map(|field| {
                FieldError::new(format!("/rules{}", field.pointer), field.detail.clone())
            });
            Error::invalid(error.message().to_owned()).with_fields(fields.collect())
        })
    }
}

impl From<&Synonyms> for SynonymsAnswer {
    fn from(synonyms: &Synonyms) -> Self {
        Self {
            rules: synonyms.lines().to_vec(),
        }
    }
}
