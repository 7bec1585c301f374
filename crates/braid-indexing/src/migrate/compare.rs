//! Whether both sides hold, and find, the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use braid_core::chunk::ChunkRecord;
use braid_core::{
    ChunkId, Collection, DocumentId, DocumentStatus, Embedding, LedgerPin, LexicalView, RankedList,
    Result, Slot, VectorView,
};

use super::{Counted, Migrated, Migration, Sampled, Side};

/// Documents whose texts are searched for.
const SAMPLE: usize = 50;
/// Documents listed at a time.
const PAGE: usize = 1000;
/// Results that are compared.
const BEST: usize = 10;
/// Scores that differ by less are equal.
const TIE: f32 = 1e-3;
/// Words of a query.
const WORDS: usize = 12;
/// What draws the sample.
const SEED: &[u8] = b"braid migrate 1";

/// What both sides are asked.
struct Query {
    words: String,
    embedding: Embedding,
}

/// Documents that are drawn, the same each time: those whose seeded hashes are the smallest.
#[derive(Default)]
struct Drawn(BTreeMap<[u8; 32], DocumentId>);

impl Drawn {
    fn look_at(&mut self, id: DocumentId) {
        let mut hash = blake3::Hasher::new();
        hash.update(SEED).update(id.as_str().as_bytes());
        self.0.insert(*hash.finalize().as_bytes(), id);
        if self.0.len() > SAMPLE {
            self.0.pop_last();
        }
    }
}

/// Documents whose newest version is retrievable, and their chunks. They are counted one by one: an
/// index may have chunks of replaced versions as well.
async fn count(
    side: &Side,
    collection: &Collection,
    mut see: impl FnMut(DocumentId),
) -> Result<(u64, u64)> {
    let (mut documents, mut chunks, mut cursor) = (0, 0, None::<String>);
    loop {
        let listing = side
            .ledger
            .documents(collection.id, cursor.as_deref(), PAGE);
        let page = listing.await?;
        for summary in page.items {
            if summary.status == DocumentStatus::Published {
                documents += 1;
                chunks += summary.chunks as u64;
                see(summary.id);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok((documents, chunks));
        }
    }
}

/// What one leg found: names and scores, best first.
type Found = Vec<(ChunkId, f32)>;

/// One side as it is now.
struct View {
    pin: Arc<dyn LedgerPin>,
    lexical: Arc<dyn LexicalView>,
    dense: Arc<dyn VectorView>,
}

impl Migration {
    pub(super) async fn compare(
        &self,
        source: &Collection,
        target: &Collection,
        migrated: &mut Migrated,
    ) -> Result<()> {
        let mut drawn = Drawn::default();
        let of_source = count(&self.source, source, |id| drawn.look_at(id)).await?;
        let of_target = count(&self.target, target, |_| {}).await?;
        migrated.documents = Counted {
            source: of_source.0,
            target: of_target.0,
        };
        migrated.chunks = Counted {
            source: of_source.1,
            target: of_target.1,
        };
        let before = View::of(&self.source, source).await?;
        let after = View::of(&self.target, target).await?;
        let (mut lexical, mut dense, mut queries) = (0.0, 0.0, 0);
        for id in drawn.0.into_values() {
            let Some(query) = self.query(source, &*before.pin, &id).await? else {
                continue;
            };
            queries += 1;
            lexical += overlap(
                &before.by_words(&query).await?,
                &after.by_words(&query).await?,
            );
            dense += overlap(
                &before.by_embedding(&query).await?,
                &after.by_embedding(&query).await?,
            );
        }
        let mean = |sum: f64| {
            if queries == 0 {
                1.0
            } else {
                sum / queries as f64
            }
        };
        migrated.sampled = Sampled {
            queries,
            lexical: mean(lexical),
            dense: mean(dense),
        };
        Ok(())
    }

    /// What a document is searched for by: its title, or its first words, and the stored embedding of
    /// its first chunk.
    async fn query(
        &self,
        source: &Collection,
        pin: &dyn LedgerPin,
        id: &DocumentId,
    ) -> Result<Option<Query>> {
        let chunks = pin.document_chunks(id, 0..=0).await?;
        let Some(first) = chunks.first() else {
            return Ok(None);
        };
        let embedder = &source.fingerprint.embedder;
        let key = [first.embedding_key];
        let stored = self.source.ledger.embeddings(embedder, &key);
        let embedding = stored.await?.pop().flatten();
        Ok(embedding.map(|embedding| Query {
            words: words(first),
            embedding,
        }))
    }
}

fn words(first: &ChunkRecord) -> String {
    let title = first.title.as_deref().map(str::trim);
    let text = title.filter(|title| !title.is_empty());
    let text = text.unwrap_or(&first.chunk.text);
    let words: Vec<_> = text.split_whitespace().take(WORDS).collect();
    words.join(" ")
}

impl View {
    async fn of(side: &Side, collection: &Collection) -> Result<Self> {
        let pin = side.ledger.pin(&collection.name).await?;
        let key = collection.index_key();
        let lexical = side.indexes.lexical(collection, key).await?;
        let dense = side.indexes.vector(collection, key).await?;
        Ok(Self {
            pin,
            lexical: lexical.pin().await?,
            dense: dense.pin().await?,
        })
    }

    async fn by_words(&self, query: &Query) -> Result<Found> {
        let all = self.pin.select(None).await?;
        let found = self.lexical.search(&query.words, &all, BEST).await?;
        self.names(&found.candidates).await
    }

    async fn by_embedding(&self, query: &Query) -> Result<Found> {
        let all = self.pin.select(None).await?;
        let found = self.dense.search(&query.embedding, &all, BEST).await?;
        self.names(&found).await
    }

    async fn names(&self, found: &RankedList) -> Result<Found> {
        let slots: Vec<Slot> = found.iter().map(|candidate| candidate.slot).collect();
        let names = self.pin.chunk_ids(&slots).await?;
        let named = names.into_iter().zip(found);
        Ok(named
            .filter_map(|(name, candidate)| Some((name?, candidate.score)))
            .collect())
    }
}

/// The part of `before` that is in `after`. Of those that score like the last one others may be in
/// their place, so they are not asked for.
fn overlap(before: &Found, after: &Found) -> f64 {
    let Some((_, last)) = before.last() else {
        return if after.is_empty() { 1.0 } else { 0.0 };
    };
    let limit = if before.len() < BEST {
        f32::NEG_INFINITY
    } else {
        last + last.abs() * TIE
    };
    let sure: Vec<_> = before.iter().filter(|(_, score)| *score > limit).collect();
    if sure.is_empty() {
        return if after.is_empty() { 0.0 } else { 1.0 };
    }
    let found: BTreeSet<ChunkId> = after.iter().map(|(name, _)| *name).collect();
    let kept = sure.iter().filter(|(name, _)| found.contains(name)).count();
    kept as f64 / sure.len() as f64
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn found(scores: &[(u128, f32)]) -> Found {
        let named = scores
            .iter()
            .map(|(name, score)| (ChunkId(Uuid::from_u128(*name)), *score));
        named.collect()
    }

    #[test]
    fn equal_scores_at_the_end_may_change_places() {
        let tied: Vec<_> = (1..=10)
            .map(|name| (name, if name == 1 { 2.0 } else { 1.0 }))
            .collect();
        let others: Vec<_> = (1..=10)
            .map(|name| (if name == 1 { 1 } else { name + 50 }, 1.0))
            .collect();
        assert_eq!(overlap(&found(&tied), &found(&others)), 1.0);
        let lost: Vec<_> = (50..60).map(|name| (name, 1.0)).collect();
        assert_eq!(overlap(&found(&tied), &found(&lost)), 0.0);
    }

    #[test]
    fn few_results_must_all_be_there() {
        let before = found(&[(1, 3.0), (2, 1.0)]);
        assert_eq!(overlap(&before, &found(&[(2, 3.0), (1, 1.0)])), 1.0);
        assert_eq!(overlap(&before, &found(&[(1, 3.0)])), 0.5);
        assert_eq!(overlap(&before, &found(&[])), 0.0);
        assert_eq!(overlap(&found(&[]), &found(&[])), 1.0);
    }
}
