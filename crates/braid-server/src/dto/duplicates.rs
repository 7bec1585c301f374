//! Duplicates on the wire.

use braid_core::duplicate::LEAST_PERCENT;
use braid_core::{Duplicate, DuplicateSettings, FieldError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is done about documents that say the same as another.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DuplicatesBody {
    /// `ignore` does not look for them; `report` stores them and says so; `skip` does not store new
    /// ones; `link` stores them, and retrieves what they share once.
    #[schema(value_type = Option<ActionName>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// From which similarity of their words on; 1 takes only the same words in the same order.
    #[schema(minimum = 0.8, maximum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_similarity: Option<f64>,
}

/// Name of an action.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ActionName {
    /// Duplicates are not looked for.
    Ignore,
    /// They are stored, and said to be duplicates.
    Report,
    /// New ones are not stored.
    Skip,
    /// They are stored, and what they share is retrieved once.
    Link,
}

impl DuplicatesBody {
    /// The settings; bad fields are noted.
    pub(super) fn into_settings(
        self,
        defaults: DuplicateSettings,
        fields: &mut Vec<FieldError>,
    ) -> DuplicateSettings {
        let mut settings = defaults;
        match self.action.map(|name| name.parse()).transpose() {
            Ok(action) => settings.action = action.unwrap_or(defaults.action),
            Err(error) => {
                let error: braid_core::Error = error;
                fields.push(FieldError::new("/duplicates/action", error.message()));
            }
        }
        if let Some(least) = self.min_similarity {
            settings.min_percent = percent(least);
            let allowed = f64::from(LEAST_PERCENT) / 100.0..=1.0;
            if !allowed.contains(&least) {
                let detail = format!("must be from {} to 1, not {least}", allowed.start());
                fields.push(FieldError::new("/duplicates/min_similarity", detail));
            }
        }
        settings
    }
}

/// What is done about documents that say the same as another.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct DuplicatesAnswer {
    /// `ignore`, `report`, `skip` or `link`.
    pub action: String,
    /// From which similarity on.
    pub min_similarity: f64,
}

impl From<DuplicateSettings> for DuplicatesAnswer {
    fn from(settings: DuplicateSettings) -> Self {
        Self {
            action: settings.action.as_str().to_owned(),
            min_similarity: share(settings.min_percent),
        }
    }
}

/// The document that another one is a duplicate of.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct DuplicateAnswer {
    /// Its id. It may be gone since.
    pub of: String,
    /// The similarity: 1 for the same words, an estimate below.
    pub similarity: f64,
}

impl From<Duplicate> for DuplicateAnswer {
    fn from(duplicate: Duplicate) -> Self {
        Self {
            of: duplicate.of.to_string(),
            similarity: share(duplicate.percent),
        }
    }
}

fn percent(share: f64) -> u8 {
    (share * 100.0).round().clamp(0.0, 255.0) as u8
}

fn share(percent: u8) -> f64 {
    f64::from(percent) / 100.0
}
