//! Both legs over the chunks of one collection generation.
//!
//! [`Searched`] is what they share: the chunks, the task that sends both legs together, and what is known
//! of the words. Nothing is written here: chunks come with the publication of their version, so `apply`
//! is refused.

mod conditions;
mod dense;
mod lexical;
mod parts;
mod rounds;
mod synonyms;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::facet_value::Variant;
use ::qdrant_client::qdrant::{FacetCounts, FacetHit};
use braid_core::{Collection, Error, ErrorCode, Language, LanguageSetting, Result};
use braid_text::lexical::{SynonymForms, Weights};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::batcher::Batcher;
use super::chunks::{ANALYZED, ChunkStore};
use super::rarity::Rarities;
use super::site::Site;
use crate::resilient::Guard;
pub(crate) use dense::ChunkVectors;
pub(crate) use lexical::ChunkTerms;
#[cfg(test)]
pub(crate) use rounds::EveryVersion;

/// How long the languages of chunks, and their number, are taken to be as they were.
const FRESH: Duration = Duration::from_secs(1);

/// The chunks of one collection generation, to be searched.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) chunks: Arc<ChunkStore>,
    batcher: Batcher,
    guard: Arc<Guard>,
    rarities: Rarities,
    synonyms: Arc<SynonymForms>,
    weights: Weights,
    census: Mutex<Option<(Instant, Arc<Census>)>>,
}

/// What the chunks are, as a whole.
#[derive(Debug)]
struct Census {
    /// The languages that they were analyzed in, the most frequent first.
    languages: Vec<Language>,
    /// How many chunks of each there are.
    counts: Vec<u64>,
    chunks: u64,
}

impl Searched {
    pub(crate) fn new(
        site: Arc<Site>,
        collection: &Collection,
        guard: Arc<Guard>,
        weights: Weights,
    ) -> Arc<Self> {
        let chunks = Arc::new(ChunkStore::new(site, collection));
        Arc::new(Self {
            batcher: Batcher::new(Arc::clone(&chunks)),
            chunks,
            guard,
            rarities: Rarities::default(),
            synonyms: Arc::default(),
            weights,
            census: Mutex::default(),
        })
    }

    /// The census of a moment ago.
    async fn census(&self) -> Result<Arc<Census>> {
        // One asks, the others wait for it.
        let mut known = self.census.lock().await;
        if let Some((at, census)) = &*known
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(census));
        }
        let census = Arc::new(self.guard.call(|| self.take_census()).await?);
        *known = Some((Instant::now(), Arc::clone(&census)));
        Ok(census)
    }

    async fn take_census(&self) -> Result<Census> {
        let request = FacetCounts {
            collection_name: self.chunks.points.name.clone(),
            key: ANALYZED.to_owned(),
            limit: Some(Language::ALL.len() as u64),
            read_consistency: self.chunks.points.site.consistency(),
            ..FacetCounts::default()
        };
        let asked = self
            .chunks
            .points
            .ask(|client| async move { client.facet(request).await });
        let answer = asked.await?;
        let chunks = answer.hits.iter().map(|hit| hit.count).sum();
        let setting = self.chunks.analyzers.setting();
        let mut counted: Vec<(Language, u64)> = match setting {
            LanguageSetting::Fixed(language) => vec![(language, chunks)],
            LanguageSetting::Auto => {
                let mut hits = answer.hits;
                hits.sort_by_key(|hit| std::cmp::Reverse(hit.count));
                let hits = hits.iter();
                hits.filter_map(|hit| Some((language(hit)?, hit.count)))
                    .collect()
            }
        };
        if counted.is_empty() {
            counted.push((setting.of_document(None), chunks));
        }
        let (languages, counts) = counted.into_iter().unzip();
        Ok(Census {
            languages,
            counts,
            chunks,
        })
    }
}

fn language(hit: &FacetHit) -> Option<Language> {
    match hit.value.as_ref()?.variant.as_ref()? {
        Variant::StringValue(name) => name.parse().ok(),
        Variant::IntegerValue(_) | Variant::BoolValue(_) => None,
    }
}

/// Batches of entries are not how chunks come here.
fn not_applied<T>() -> Result<T> {
    Err(Error::new(
        ErrorCode::NotEnabled,
        "the indexes of the profile cluster take no batches",
    )
    .with_help("chunks are written when their version is published: see `braid ingest --worker`"))
}
