//! How a query was read.

use braid_core::{Expansion, ExpansionKind};
use braid_engine::query::{ConditionReport, Syntax, Typos};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether operators of the query are read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyntaxName {
    /// `"exact phrase"`, `-word`, `-"phrase"`, and `title:`, `heading:` or `body:` before a word or
    /// phrase; anything else is text.
    Auto,
    /// Every query is text.
    Off,
}

/// Whether words that no document has are searched for as words that are written nearly so.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TyposName {
    /// They are, in the lexical leg.
    Auto,
    /// Every word stands as it is.
    Off,
}

/// What the lexical leg searched for that the query does not say.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ExpansionBody {
    /// The words of the query that it stands for.
    pub term: String,
    /// What was searched for: as the rule says it, or the index's own term.
    pub to: String,
    /// Why.
    pub kind: ExpansionKindName,
    /// Edits between the two; present with `typo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<u8>,
    /// What a match counts, where a word of the query counts 1.
    pub weight: f64,
}

/// Why something was searched for that the query does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpansionKindName {
    /// A rule of the collection's synonyms.
    Synonym,
    /// No document has the word, and some have one that is written nearly so.
    Typo,
}

/// What an operator of the query asks of every hit.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ConditionBody {
    /// The words, which must follow one another.
    pub text: String,
    /// The part of a passage that they must stand in: `title`, `heading` or `body`; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Whether passages that say it are left out, rather than required to say it.
    pub excluded: bool,
    /// How many passages that the filter lets pass say it.
    pub passages: u64,
}

impl From<SyntaxName> for Syntax {
    fn from(name: SyntaxName) -> Self {
        match name {
            SyntaxName::Auto => Self::Auto,
            SyntaxName::Off => Self::Off,
        }
    }
}

impl From<TyposName> for Typos {
    fn from(name: TyposName) -> Self {
        match name {
            TyposName::Auto => Self::Auto,
            TyposName::Off => Self::Off,
        }
    }
}

impl From<Expansion> for ExpansionBody {
    fn from(expansion: Expansion) -> Self {
        let (kind, distance) = match expansion.kind {
            ExpansionKind::Synonym => (ExpansionKindName::Synonym, None),
            ExpansionKind::Typo { distance } => (ExpansionKindName::Typo, Some(distance)),
        };
        Self {
            term: expansion.term,
            to: expansion.to,
            kind,
            distance,
            // To the digits that it was written with.
            weight: (f64::from(expansion.weight) * 1e6).round() / 1e6,
        }
    }
}

impl From<ConditionReport> for ConditionBody {
    fn from(report: ConditionReport) -> Self {
        let ConditionReport { condition, saying } = report;
        Self {
            text: condition.text,
            field: condition.field.map(|field| field.as_str().to_owned()),
            excluded: condition.is_excluded,
            passages: saying,
        }
    }
}
