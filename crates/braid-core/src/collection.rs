//! Collections: a name, the settings that shape what is stored, and the fingerprint that proves it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::chunking::ChunkingSettings;
use crate::duplicate::DuplicateSettings;
use crate::error::{Error, Result};
use crate::hash::Fingerprint;
use crate::id::{CollectionId, CollectionName, Generation, IndexKey};
use crate::synonyms::Synonyms;

/// A language that the analyzer knows: its stemmer and stop words, where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// No stemming: terms are lower-cased and folded only.
    None,
    /// Snowball Arabic.
    Arabic,
    /// No stemmer: pairs of characters.
    Chinese,
    /// Snowball Danish.
    Danish,
    /// Snowball Dutch.
    Dutch,
    /// Snowball English (Porter 2).
    #[default]
    English,
    /// Snowball Finnish.
    Finnish,
    /// Snowball French.
    French,
    /// Snowball German.
    German,
    /// Snowball Greek.
    Greek,
    /// Snowball Hungarian.
    Hungarian,
    /// Snowball Italian.
    Italian,
    /// No stemmer: pairs of characters.
    Japanese,
    /// No stemmer: pairs of characters.
    Korean,
    /// Snowball Norwegian.
    Norwegian,
    /// Snowball Portuguese.
    Portuguese,
    /// Snowball Romanian.
    Romanian,
    /// Snowball Russian.
    Russian,
    /// Snowball Spanish.
    Spanish,
    /// Snowball Swedish.
    Swedish,
    /// Snowball Tamil.
    Tamil,
    /// No stemmer: pairs of characters.
    Thai,
    /// Snowball Turkish.
    Turkish,
    /// Stop words, no stemmer.
    Ukrainian,
}

impl Language {
    /// Every language with its public name.
    pub const ALL: [(Self, &'static str); 24] = [
        (Self::None, "none"),
        (Self::Arabic, "arabic"),
        (Self::Chinese, "chinese"),
        (Self::Danish, "danish"),
        (Self::Dutch, "dutch"),
        (Self::English, "english"),
        (Self::Finnish, "finnish"),
        (Self::French, "french"),
        (Self::German, "german"),
        (Self::Greek, "greek"),
        (Self::Hungarian, "hungarian"),
        (Self::Italian, "italian"),
        (Self::Japanese, "japanese"),
        (Self::Korean, "korean"),
        (Self::Norwegian, "norwegian"),
        (Self::Portuguese, "portuguese"),
        (Self::Romanian, "romanian"),
        (Self::Russian, "russian"),
        (Self::Spanish, "spanish"),
        (Self::Swedish, "swedish"),
        (Self::Tamil, "tamil"),
        (Self::Thai, "thai"),
        (Self::Turkish, "turkish"),
        (Self::Ukrainian, "ukrainian"),
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(language, _)| *language == self)
            .map_or("none", |(_, name)| name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(language, _)| *language)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
                Error::invalid(format!(
                    "unknown language {name:?}: use one of {}",
                    known.join(", ")
                ))
            })
    }
}

/// In which language a collection's documents are analyzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LanguageSetting {
    /// Each document in the language that is detected in it.
    Auto,
    /// Every document in this one.
    Fixed(Language),
}

impl LanguageSetting {
    /// The public name of [`LanguageSetting::Auto`].
    pub const AUTO: &'static str = "auto";

    /// Every setting's public name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(Self::AUTO).chain(Language::ALL.map(|(_, name)| name))
    }

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => Self::AUTO,
            Self::Fixed(language) => language.as_str(),
        }
    }

    /// The language in which a document is analyzed in which `detected` was found. One whose
    /// language cannot be told is analyzed in the default language.
    pub fn of_document(self, detected: Option<Language>) -> Language {
        match self {
            Self::Auto => detected.unwrap_or_default(),
            Self::Fixed(language) => language,
        }
    }
}

impl Default for LanguageSetting {
    fn default() -> Self {
        Self::Fixed(Language::default())
    }
}

impl fmt::Display for LanguageSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LanguageSetting {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == Self::AUTO {
            return Ok(Self::Auto);
        }
        name.parse().map(Self::Fixed).map_err(|_: Error| {
            let known: Vec<_> = Self::names().collect();
            Error::invalid(format!(
                "unknown language {name:?}: use one of {}",
                known.join(", ")
            ))
        })
    }
}

/// What the creator of a collection chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CollectionSettings {
    /// Language of the analyzer.
    pub language: LanguageSetting,
    /// How documents are chunked.
    pub chunking: ChunkingSettings,
    /// What is done about duplicates.
    pub duplicates: DuplicateSettings,
}

/// Fingerprints of everything that shapes a collection's stored data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipelineFingerprint {
    /// Embedder: weights hash, pooling, prefix, dimension.
    pub embedder: Fingerprint,
    /// Reader and chunker: version and settings.
    pub chunker: Fingerprint,
    /// Analyzer: version and language setting.
    pub analyzer: Fingerprint,
}

/// A collection to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCollection {
    /// Its name.
    pub name: CollectionName,
    /// Its settings.
    pub settings: CollectionSettings,
    /// Fingerprint of the pipeline that will write it.
    pub fingerprint: PipelineFingerprint,
    /// Dimension of its embeddings.
    pub dimension: usize,
}

/// A collection as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The ledger's number.
    pub id: CollectionId,
    /// The caller's name.
    pub name: CollectionName,
    /// The creator's choices.
    pub settings: CollectionSettings,
    /// What queries are also searched for as. Not a setting of what is stored: it can be changed at
    /// any time.
    pub synonyms: Arc<Synonyms>,
    /// Fingerprint of the pipeline that wrote the current generation.
    pub fingerprint: PipelineFingerprint,
    /// Dimension of its embeddings.
    pub dimension: usize,
    /// The generation that is served.
    pub generation: Generation,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

impl Collection {
    /// Key of the indexes of the served generation.
    pub fn index_key(&self) -> IndexKey {
        IndexKey {
            collection: self.id,
            generation: self.generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_round_trip() {
        for (language, name) in Language::ALL {
            assert_eq!(name.parse::<Language>().unwrap(), language);
            assert_eq!(language.as_str(), name);
        }
        assert!("klingon".parse::<Language>().is_err());
        for name in LanguageSetting::names() {
            assert_eq!(name.parse::<LanguageSetting>().unwrap().as_str(), name);
        }
        assert!("klingon".parse::<LanguageSetting>().is_err());
    }
}
