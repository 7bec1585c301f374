//! The suites of the ports, as far as they apply. Batches are applied through the chunk store, each entry
//! as a document of its own. Not run: that a pinned view does not change (it is of one mind about each
//! document instead, see `versions`), durability of watermarks (there are none), typos (not corrected) and
//! phrases as synonyms (looked for word by word, see `synonyms`).

use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    Embedding, Error, IndexBatch, LexicalIndex, LexicalQuery, LexicalView, Narrowed, RankedList,
    SlotSet, TextCondition, VectorEntry, VectorStore, VectorView,
};
use braid_testkit::{remote_lexical_suite, remote_vector_store_suite};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use tokio::sync::OnceCell;

use super::*;

/// The indexes of one collection, with a way to apply batches.
#[derive(Debug)]
struct Applied {
    searched: Arc<Searched>,
    made: OnceCell<()>,
    watermark: AtomicU64,
}

impl Applied {
    fn new(site: &Arc<Site>, id: u32, dimension: usize) -> Self {
        let collection = collection(id, dimension, LanguageSetting::Auto);
        Self {
            searched: searched(site, &collection),
            made: OnceCell::new(),
            watermark: AtomicU64::new(0),
        }
    }

    async fn made(&self) -> &ChunkStore {
        let chunks = &self.searched.chunks;
        let made = self.made.get_or_try_init(|| chunks.ensure()).await;
        made.unwrap();
        chunks
    }

    async fn write(
        &self,
        points: Vec<(ChunkPoint, Embedding)>,
        delete: &SlotSet,
        watermark: Sequence,
    ) -> Result<()> {
        let chunks = self.made().await;
        // A bad vector leaves nothing behind.
        for (_, embedding) in &points {
            crate::cosine::unit(embedding, chunks.dimension)?;
        }
        let gone = delete.iter();
        let gone: Vec<_> = gone
            .map(|slot| (document(slot), Sequence(u64::from(slot) + 1)))
            .collect();
        chunks.delete_versions(&gone).await?;
        chunks.put(points, BM25).await?;
        self.watermark.store(watermark.0, Relaxed);
        Ok(())
    }

    /// Every version counts, in each search.
    fn seen(selection: &Selection) -> Selection {
        Selection {
            filter: selection.filter.clone(),
            slots: selection.slots.clone(),
            ..every()
        }
    }
}

struct View(Arc<Searched>);

#[async_trait]
impl LexicalView for View {
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        let view = ChunkTerms(Arc::clone(&self.0));
        view.find(query, &Applied::seen(selection), depth).await
    }

    async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        let view = ChunkTerms(Arc::clone(&self.0));
        view.narrow(conditions, &Applied::seen(selection)).await
    }
}

#[async_trait]
impl VectorView for View {
    async fn search(
        &self,
        query: &Embedding,
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let view = ChunkVectors(Arc::clone(&self.0));
        view.search(query, &Applied::seen(selection), depth).await
    }
}

#[async_trait]
impl LexicalIndex for Applied {
    async fn apply(&self, batch: IndexBatch<LexicalEntry>) -> Result<()> {
        let dimension = self.searched.chunks.dimension;
        let flat = || Embedding::from(vec![1.0; dimension]);
        let points = batch.add.iter().map(|entry| (point(entry), flat()));
        self.write(points.collect(), &batch.delete, batch.watermark)
            .await
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(Sequence(self.watermark.load(Relaxed)))
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.made().await.slots().await
    }

    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        self.made().await;
        Ok(Arc::new(View(Arc::clone(&self.searched))))
    }
}

#[async_trait]
impl VectorStore for Applied {
    async fn apply(&self, batch: IndexBatch<VectorEntry>) -> Result<()> {
        let points = batch.add.iter().map(|added| {
            let text = LexicalEntry {
                chunk: added.chunk,
                metadata: Arc::clone(&added.metadata),
                language: added.language,
                ..entry(added.slot.0, "x")
            };
            (point(&text), added.embedding.clone())
        });
        self.write(points.collect(), &batch.delete, batch.watermark)
            .await
    }

    async fn watermark(&self) -> Result<Sequence> {
        Ok(Sequence(self.watermark.load(Relaxed)))
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.made().await.slots().await
    }

    async fn pin(&self) -> Result<Arc<dyn VectorView>> {
        self.made().await;
        Ok(Arc::new(View(Arc::clone(&self.searched))))
    }
}

async fn conforms(options: QdrantOptions) {
    let next = AtomicU32::new(0);
    let fresh = |site: &Arc<Site>, dimension: usize| {
        Arc::new(Applied::new(site, next.fetch_add(1, Relaxed), dimension))
    };
    let words = site(in_shards(1, options.clone()));
    remote_lexical_suite(&|| fresh(&words, 2)).await;
    let vectors = site(options);
    remote_vector_store_suite(&|dimension| fresh(&vectors, dimension)).await;
    for id in 0..next.load(Relaxed) {
        let made = Applied::new(&vectors, id, 2);
        made.searched.chunks.remove().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_against_the_double() {
    let double = strict_double();
    conforms(options(double.url())).await;
    assert!(double.collections().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_against_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    conforms(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused() {
    let double = strict_double();
    let site = site(options(double.url()));
    let searched = searched(&site, &collection(1, 2, LanguageSetting::Auto));
    let (terms, vectors) = (ChunkTerms(Arc::clone(&searched)), ChunkVectors(searched));
    let refused = |error: Error| assert_eq!(error.code(), ErrorCode::NotEnabled, "{error}");
    fn nothing<E>() -> IndexBatch<E> {
        IndexBatch {
            add: Vec::new(),
            delete: SlotSet::new(),
            watermark: Sequence(1),
        }
    }
    refused(terms.apply(nothing()).await.unwrap_err());
    refused(vectors.apply(nothing()).await.unwrap_err());
    // A search must know which versions count.
    let (query, nothing) = (Embedding::from(vec![1.0, 0.0]), Selection::default());
    let blind = vectors.search(&query, &nothing, 3).await;
    assert_eq!(blind.unwrap_err().code(), ErrorCode::Internal);
}
