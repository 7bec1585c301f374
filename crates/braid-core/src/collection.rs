//! Collections: a name, the settings that shape what is stored, and the fingerprint that proves it.

use std::fmt;
use std::str::FromStr;

use crate::chunking::ChunkingSettings;
use crate::duplicate::DuplicateSettings;
use crate::error::{Error, Result};
use crate::hash::Fingerprint;
use crate::id::{CollectionId, CollectionName, Generation, IndexKey};

/// The language whose stemmer and stop words the analyzer uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// No stemming: terms are lower-cased and folded only.
    None,
    /// Snowball Arabic.
    Arabic,
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
    /// Snowball Turkish.
    Turkish,
}

impl Language {
    /// Every language with its public name.
    pub const ALL: [(Self, &'static str); 19] = [
        (Self::None, "none"),
        (Self::Arabic, "arabic"),
        (Self::Danish, "danish"),
        (Self::Dutch, "dutch"),
        (Self::English, "english"),
        (Self::Finnish, "finnish"),
        (Self::French, "french"),
        (Self::German, "german"),
        (Self::Greek, "greek"),
        (Self::Hungarian, "hungarian"),
        (Self::Italian, "italian"),
        (Self::Norwegian, "norwegian"),
        (Self::Portuguese, "portuguese"),
        (Self::Romanian, "romanian"),
        (Self::Russian, "russian"),
        (Self::Spanish, "spanish"),
        (Self::Swedish, "swedish"),
        (Self::Tamil, "tamil"),
        (Self::Turkish, "turkish"),
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

/// What the creator of a collection chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CollectionSettings {
    /// Language of the analyzer.
    pub language: Language,
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
    /// Analyzer: version and language.
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
    }
}
