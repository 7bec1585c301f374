//! Collections as they are stored.

use std::sync::Arc;

use braid_core::{
    ChunkingOverride, ChunkingSettings, Collection, CollectionId, CollectionName,
    CollectionSettings, DuplicateSettings, Error, Fingerprint, FormatFamily, FormatOverrides,
    Generation, NewCollection, PipelineFingerprint, Result, Synonyms,
};
use serde::{Deserialize, Serialize};

use crate::cluster::rows::damaged;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CollectionRow {
    pub(crate) number: u32,
    name: String,
    language: String,
    strategy: String,
    target_tokens: usize,
    overlap_tokens: usize,
    /// Chunking of formats that differ, as `FORMAT` and what a [`ChunkingOverride`] is written as.
    formats: Vec<(String, String)>,
    duplicates: String,
    duplicates_min_percent: u8,
    embedder: String,
    chunker: String,
    analyzer: String,
    dimension: usize,
    generation: u32,
    created_at_ms: i64,
    synonyms: Vec<String>,
    /// Not all of its collections of Qdrant are known to be there: nobody uses it yet.
    #[serde(default)]
    pub(crate) is_making: bool,
}

impl CollectionRow {
    pub(crate) fn new(new: &NewCollection, id: CollectionId, now_ms: i64) -> Self {
        let chunking = &new.settings.chunking;
        let chosen = FormatFamily::ALL.map(|family| (family, chunking.formats.of(family)));
        let formats = chosen.into_iter().filter(|(_, chosen)| !chosen.is_empty());
        Self {
            number: id.0,
            name: new.name.to_string(),
            language: new.settings.language.to_string(),
            strategy: chunking.strategy.as_str().to_owned(),
            target_tokens: chunking.target_tokens,
            overlap_tokens: chunking.overlap_tokens,
            formats: formats
                .map(|(family, chosen)| (family.as_str().to_owned(), chosen.to_string()))
                .collect(),
            duplicates: new.settings.duplicates.action.as_str().to_owned(),
            duplicates_min_percent: new.settings.duplicates.min_percent,
            embedder: new.fingerprint.embedder.to_string(),
            chunker: new.fingerprint.chunker.to_string(),
            analyzer: new.fingerprint.analyzer.to_string(),
            dimension: new.dimension,
            generation: 1,
            created_at_ms: now_ms,
            synonyms: Vec::new(),
            is_making: true,
        }
    }

    pub(crate) fn made(mut self) -> Self {
        self.is_making = false;
        self
    }

    pub(crate) fn with_synonyms(mut self, synonyms: &Synonyms) -> Self {
        self.synonyms = synonyms.lines().to_vec();
        self
    }

    pub(crate) fn collection(&self) -> Result<Collection> {
        self.read()
            .map_err(|error| damaged("is no collection").with_source(error))
    }

    fn read(&self) -> Result<Collection> {
        let mut formats = FormatOverrides::default();
        for (family, chosen) in &self.formats {
            let family: FormatFamily = family.parse()?;
            *formats.of_mut(family) = chosen.parse::<ChunkingOverride>()?;
        }
        Ok(Collection {
            id: CollectionId(self.number),
            name: CollectionName::new(self.name.as_str())?,
            settings: CollectionSettings {
                language: self.language.parse()?,
                chunking: ChunkingSettings {
                    strategy: self.strategy.parse()?,
                    target_tokens: self.target_tokens,
                    overlap_tokens: self.overlap_tokens,
                    formats,
                },
                duplicates: DuplicateSettings {
                    action: self.duplicates.parse()?,
                    min_percent: self.duplicates_min_percent,
                },
            },
            synonyms: Arc::new(Synonyms::parse(&self.synonyms)?),
            fingerprint: PipelineFingerprint {
                embedder: Fingerprint::new(self.embedder.as_str()),
                chunker: Fingerprint::new(self.chunker.as_str()),
                analyzer: Fingerprint::new(self.analyzer.as_str()),
            },
            dimension: self.dimension,
            generation: Generation(self.generation),
            created_at_ms: self.created_at_ms,
        })
    }
}

/// Whether `found` is what `new` asks for.
pub(crate) fn is_same(found: &Collection, new: &NewCollection) -> Result<(), Error> {
    let same = found.settings == new.settings
        && found.fingerprint == new.fingerprint
        && found.dimension == new.dimension;
    if same {
        return Ok(());
    }
    Err(Error::new(
        braid_core::ErrorCode::CollectionExists,
        format!("collection {} exists with other settings", new.name),
    )
    .with_help("choose another name, or delete it first"))
}
