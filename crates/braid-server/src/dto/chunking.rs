//! How a collection's documents are chunked, on the wire.

use braid_core::{
    ChunkingOverride, ChunkingSettings, ChunkingStrategy, FieldError, FormatFamily, FormatOverrides,
};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::collections::chosen;
use super::object::optional_object;

/// Name of a chunking strategy.
#[derive(Debug)]
struct StrategyName;

impl PartialSchema for StrategyName {
    fn schema() -> RefOr<Schema> {
        let names = ChunkingStrategy::ALL.map(|(_, name)| name);
        let string = ObjectBuilder::new().schema_type(Type::String);
        string.enum_values(Some(names)).into()
    }
}

impl ToSchema for StrategyName {}

/// How documents are chunked; sizes are in tokens of the embedder.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChunkingBody {
    /// `structure` (by what a document is), `tokens`, `sentences`, `headings`, `code` or `whole` (one
    /// chunk a document).
    #[schema(value_type = Option<StrategyName>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Most tokens in a chunk; no more than the embedder reads.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<usize>,
    /// Most tokens repeated from the chunk before; at most half of `target_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_tokens: Option<usize>,
    /// What is different for some formats. Given, it replaces all that the configuration says of
    /// formats.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub formats: Option<FormatsChunking>,
}

/// What is different for some formats.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatsChunking {
    /// For plain text, PDF included.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub text: Option<FormatChunking>,
    /// For Markdown, Word and EPUB included.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub markdown: Option<FormatChunking>,
    /// For HTML.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub html: Option<FormatChunking>,
    /// For source code in any language.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub code: Option<FormatChunking>,
}

/// How documents of one format are chunked; what is left out is as for all.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatChunking {
    /// As for all formats.
    #[schema(value_type = Option<StrategyName>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Most tokens in a chunk.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<usize>,
    /// Most tokens repeated from the chunk before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_tokens: Option<usize>,
}

/// How documents are chunked.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChunkingAnswer {
    /// Where boundaries are sought.
    pub strategy: String,
    /// Most tokens in a chunk.
    pub target_tokens: usize,
    /// Most tokens repeated from the chunk before.
    pub overlap_tokens: usize,
    /// What is different for some formats; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<FormatsChunking>,
}

impl ChunkingBody {
    /// The settings, with what the body leaves open taken from `defaults`; what is bad is noted.
    pub(super) fn into_settings(
        self,
        defaults: ChunkingSettings,
        fields: &mut Vec<FieldError>,
    ) -> ChunkingSettings {
        let strategy = chosen(self.strategy, "/chunking/strategy", fields);
        let formats = self.formats.map(|formats| formats.into_overrides(fields));
        let settings = ChunkingSettings {
            strategy: strategy.unwrap_or(defaults.strategy),
            target_tokens: self.target_tokens.unwrap_or(defaults.target_tokens),
            overlap_tokens: self.overlap_tokens.unwrap_or(defaults.overlap_tokens),
            formats: formats.unwrap_or(defaults.formats),
        };
        check_sizes(&settings, fields);
        settings
    }
}

/// Notes each bad size once: where it is said of a format, there.
fn check_sizes(settings: &ChunkingSettings, fields: &mut Vec<FieldError>) {
    for family in FormatFamily::ALL {
        let Some((field, detail)) = settings.rule(family).problem() else {
            continue;
        };
        let pointer = if settings.formats.of(family).is_empty() {
            format!("/chunking/{field}")
        } else {
            format!("/chunking/formats/{}/{field}", family.as_str())
        };
        if !fields.iter().any(|noted| noted.pointer == pointer) {
            fields.push(FieldError::new(pointer, detail));
        }
    }
}

impl FormatsChunking {
    fn into_overrides(self, fields: &mut Vec<FieldError>) -> FormatOverrides {
        let Self {
            text,
            markdown,
            html,
            code,
        } = self;
        let mut overrides = FormatOverrides::default();
        for (family, chosen) in [
            (FormatFamily::Text, text),
            (FormatFamily::Markdown, markdown),
            (FormatFamily::Html, html),
            (FormatFamily::Code, code),
        ] {
            let body = chosen.unwrap_or_default();
            *overrides.of_mut(family) = body.into_override(family, fields);
        }
        overrides
    }
}

impl FormatChunking {
    fn into_override(self, family: FormatFamily, fields: &mut Vec<FieldError>) -> ChunkingOverride {
        let pointer = format!("/chunking/formats/{}/strategy", family.as_str());
        ChunkingOverride {
            strategy: chosen(self.strategy, &pointer, fields),
            target_tokens: self.target_tokens,
            overlap_tokens: self.overlap_tokens,
        }
    }
}

impl From<ChunkingOverride> for FormatChunking {
    fn from(chosen: ChunkingOverride) -> Self {
        Self {
            strategy: chosen.strategy.map(|it| it.as_str().to_owned()),
            target_tokens: chosen.target_tokens,
            overlap_tokens: chosen.overlap_tokens,
        }
    }
}

impl From<FormatOverrides> for FormatsChunking {
    fn from(formats: FormatOverrides) -> Self {
        let different = |family| {
            let chosen: ChunkingOverride = formats.of(family);
            (!chosen.is_empty()).then(|| chosen.into())
        };
        Self {
            text: different(FormatFamily::Text),
            markdown: different(FormatFamily::Markdown),
            html: different(FormatFamily::Html),
            code: different(FormatFamily::Code),
        }
    }
}

impl From<ChunkingSettings> for ChunkingAnswer {
    fn from(settings: ChunkingSettings) -> Self {
        let has_formats = settings.formats != FormatOverrides::default();
        Self {
            strategy: settings.strategy.as_str().to_owned(),
            target_tokens: settings.target_tokens,
            overlap_tokens: settings.overlap_tokens,
            formats: has_formats.then(|| settings.formats.into()),
        }
    }
}
