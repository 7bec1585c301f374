//! How long a lookup takes in a full cache, embedding left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use braid_core::{CollectionName, Embedder, Embedding, Fingerprint, Result, Script, TokenCounter};
use braid_engine::Engine;
use braid_engine::query::SemanticCache;
use braid_engine::query::cache::semantic::{
    AnswerLookup, NewAnswer, SemanticOptions, SemanticParts,
};
use braid_runtime::CpuPool;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// Lookups that are timed.
const LOOKUPS: usize = 500;
/// The collection that answers are stored for; it is deleted afterwards.
const COLLECTION: &str = "eval-cache";

/// Time of a lookup that compares with every entry and reads the nearest ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LookupTime {
    /// Answers in the scope that is looked at.
    pub entries: usize,
    /// Lookups.
    pub lookups: usize,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
}

impl LookupTime {
    /// For people.
    pub fn text(&self) -> String {
        let Self {
            entries,
            lookups,
            p50_ms,
            p95_ms,
        } = self;
        format!(
            "a lookup among {entries} answers, embedding left out: p50 {p50_ms:.2} ms, p95 {p95_ms:.2} ms over {lookups}"
        )
    }
}

/// Fills a cache with questions whose embeddings point anywhere, and looks up others. Each lookup accepts
/// any similarity and is refused by the guard, so that it does all the work that there can be.
///
/// # Errors
/// What the engine reports.
pub async fn time_lookups(engine: &Engine, entries: usize) -> Result<LookupTime> {
    let collection = CollectionName::new(COLLECTION)?;
    engine.ensure_collection(&collection).await?;
    let cache = SemanticCache::new(
        SemanticParts {
            embedder: Arc::new(Scattered(Arc::clone(engine.embedder()))),
            ledger: Arc::clone(engine.ledger()),
            pool: CpuPool::with_available_cores()?,
        },
        SemanticOptions {
            entries,
            bytes: usize::MAX / 2,
            ttl: Duration::from_secs(3600),
            threshold: 0.0,
        },
    );
    for number in 0..entries {
        cache.store(stored(&collection, number)).await?;
    }
    let mut spent = Vec::with_capacity(LOOKUPS);
    for number in entries..entries + LOOKUPS {
        let asked = asked(&collection, number);
        let begun = Instant::now();
        let found = cache.lookup(asked).await?;
        spent.push(begun.elapsed().as_secs_f64() * 1e3);
        debug_assert!(found.found.is_err(), "numbers tell the questions apart");
    }
    engine.delete_collection(&collection, None).await?;
    spent.sort_by(f64::total_cmp);
    let at = |share: f64| spent[((spent.len() - 1) as f64 * share) as usize];
    Ok(LookupTime {
        entries,
        lookups: LOOKUPS,
        p50_ms: at(0.5),
        p95_ms: at(0.95),
    })
}

fn question(number: usize) -> String {
    format!("what does setting number {number} of the configuration file change in the server")
}

fn stored(collection: &CollectionName, number: usize) -> NewAnswer {
    NewAnswer {
        query: question(number),
        collection: collection.clone(),
        scope: None,
        answer: "\"\"".to_owned(),
        documents: Vec::new(),
        ttl: None,
        state: None,
    }
}

fn asked(collection: &CollectionName, number: usize) -> AnswerLookup {
    AnswerLookup {
        query: question(number),
        collection: collection.clone(),
        scope: None,
        threshold: None,
        guard: true,
        accept_stale: false,
    }
}

/// Embeddings of the model's dimension that differ by text alone and say nothing of it.
#[derive(Debug)]
struct Scattered(Arc<dyn Embedder>);

#[async_trait]
impl Embedder for Scattered {
    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }

    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let bytes = text.bytes();
        let seed = bytes.fold(7_u64, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut random = StdRng::seed_from_u64(seed);
        // All positive: every similarity is above 0.
        let numbers: Vec<f32> = (0..self.dimension()).map(|_| random.random()).collect();
        let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
        Ok(numbers.iter().map(|x| x / length).collect())
    }
}
