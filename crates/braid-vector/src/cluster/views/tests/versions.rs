//! Which versions a query sees, with the real ledger.

use std::time::Duration;

use braid_core::operation::{Change, StagedChunk, StagedDocument};
use braid_core::ports::{Recorded, StageRequest, WorkItem};
use braid_core::{
    Candidate, Embedding, Format, IndexProvider, Ledger, LedgerPin, LexicalView, NewCollection,
    NewDocument, VectorView, WorkQueue,
};
use braid_qdrant_double::{Fault, Kind};

use super::*;
use crate::cluster::{ClusterIndexes, ClusterLedger};

/// A collection with its ledger and indexes.
struct Place {
    ledger: Arc<ClusterLedger>,
    indexes: ClusterIndexes,
    collection: Collection,
}

impl Place {
    async fn new(options: QdrantOptions) -> Self {
        let site = site(options);
        let ledger = ClusterLedger::open(Arc::clone(&site)).await.unwrap();
        let wanted = collection(1, 2, LanguageSetting::Auto);
        let new = NewCollection {
            name: wanted.name,
            settings: wanted.settings,
            fingerprint: wanted.fingerprint,
            dimension: wanted.dimension,
        };
        let made = ledger.create_collection(new, None).await.unwrap();
        let Recorded::Done(collection) = made else {
            panic!("made without a key")
        };
        let indexes = ClusterIndexes::new(site, Arc::clone(&ledger));
        Self {
            ledger,
            indexes,
            collection,
        }
    }

    async fn stage(&self, id: &str, chunks: &[&str]) {
        let request = StageRequest {
            changes: vec![Change::Put(Box::new(staged(id, chunks)))],
            job: None,
            guard: None,
        };
        self.ledger
            .stage(self.collection.id, request)
            .await
            .unwrap();
    }

    async fn claim(&self) -> Vec<WorkItem> {
        let embedder = &self.collection.fingerprint.embedder;
        let lease = Duration::from_secs(60);
        self.ledger.claim(embedder, 100, lease).await.unwrap()
    }

    /// Indexes what waits.
    async fn index(&self) {
        let claimed = self.claim().await;
        assert!(!claimed.is_empty(), "something waits");
        let work = claimed.into_iter().map(|item| {
            let embeddings = item.chunks.iter().map(|_| embedding()).collect();
            (item, embeddings)
        });
        self.publish(work.collect()).await;
    }

    async fn publish(&self, work: Vec<(WorkItem, Vec<Embedding>)>) {
        WorkQueue::publish(&*self.ledger, work).await.unwrap();
    }

    async fn put(&self, id: &str, chunks: &[&str]) {
        self.stage(id, chunks).await;
        self.index().await;
    }

    async fn pin(&self) -> Arc<dyn LedgerPin> {
        self.ledger.pin(&self.collection.name).await.unwrap()
    }

    async fn terms(&self) -> Arc<dyn LexicalView> {
        let key = self.collection.index_key();
        let index = self.indexes.lexical(&self.collection, key).await.unwrap();
        index.pin().await.unwrap()
    }

    async fn vectors(&self) -> Arc<dyn VectorView> {
        let key = self.collection.index_key();
        let store = self.indexes.vector(&self.collection, key).await.unwrap();
        store.pin().await.unwrap()
    }

    async fn remove(&self) {
        let name = &self.collection.name;
        self.ledger.delete_collection(name, None).await.unwrap();
        self.indexes
            .remove(self.collection.index_key())
            .await
            .unwrap();
    }
}

fn embedding() -> Embedding {
    vec![1.0, 0.0].into()
}

fn hash(text: &str) -> ContentHash {
    ContentHash(*blake3::hash(text.as_bytes()).as_bytes())
}

fn staged(id: &str, chunks: &[&str]) -> StagedDocument {
    let text = chunks.join(" ");
    let chunks = (0..).zip(chunks).map(|(ordinal, text)| StagedChunk {
        id: ChunkId(uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            text.as_bytes(),
        )),
        chunk: Chunk {
            ordinal,
            span: Span { start: 0, end: 1 },
            page: None,
            heading_path: Vec::new(),
            context_header: String::new(),
            text: (*text).to_owned(),
            gap: String::new(),
        },
        embedding_key: hash(text),
    });
    StagedDocument {
        document: NewDocument {
            id: DocumentId::new(id).unwrap(),
            text: text.clone(),
            title: None,
            uri: None,
            format: Format::Text,
            metadata: braid_core::Metadata::default(),
            origin: None,
        },
        content_hash: hash(&text),
        pipeline: Fingerprint::new("p"),
        chunks: chunks.collect(),
        likeness: None,
        language: None,
    }
}

/// What a pin says of candidates.
async fn said(pin: &Arc<dyn LedgerPin>, found: &[Candidate]) -> Vec<String> {
    let slots: Vec<_> = found.iter().map(|it| it.slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap();
    let mut said: Vec<_> = passages
        .into_iter()
        .map(|it| it.record.chunk.text)
        .collect();
    said.sort();
    said
}

async fn legs_see_one_version(options: QdrantOptions) {
    let place = Place::new(options).await;
    place.put("a", &["amber one", "amber two"]).await;
    place.put("b", &["basil"]).await;
    let (terms, vectors) = (place.terms().await, place.vectors().await);
    let (before, query) = (place.pin().await, embedding());
    let selection = before.select(None).await.unwrap();
    let found = terms
        .search("amber", &selection, 10)
        .await
        .unwrap()
        .candidates;
    assert_eq!(said(&before, &found).await, ["amber one", "amber two"]);

    // What is staged does not show before it is published.
    place.stage("a", &["amber three"]).await;
    let now = place.pin().await;
    let fresh = now.select(None).await.unwrap();
    let found = terms.search("amber", &fresh, 10).await.unwrap().candidates;
    assert_eq!(said(&now, &found).await, ["amber one", "amber two"]);
    place.index().await;

    // The query that saw the old version sees it with its other leg too.
    let found = vectors.search(&query, &selection, 10).await.unwrap();
    assert_eq!(
        said(&before, &found).await,
        ["amber one", "amber two", "basil"]
    );
    let after = place.pin().await;
    let selection = after.select(None).await.unwrap();
    for found in [
        vectors.search(&query, &selection, 10).await.unwrap(),
        terms
            .search("amber basil", &selection, 10)
            .await
            .unwrap()
            .candidates,
    ] {
        assert_eq!(said(&after, &found).await, ["amber three", "basil"]);
    }
    // A version of which nothing is left for the depth uses none of it up.
    let found = vectors.search(&query, &selection, 1).await.unwrap();
    assert_eq!(found.len(), 1);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_legs_of_a_query_see_one_version_in_the_double() {
    let double = strict_double();
    legs_see_one_version(options(double.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_legs_of_a_query_see_one_version_in_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    legs_see_one_version(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_between_search_and_pointer_is_found_in_the_next_round() {
    let double = strict_double();
    let place = Place::new(options(double.url())).await;
    place.put("a", &["amber one"]).await;
    place.put("b", &["basil"]).await;
    let (vectors, pin) = (place.vectors().await, place.pin().await);
    let selection = pin.select(None).await.unwrap();
    place.stage("a", &["amber two"]).await;
    let claimed = place.claim().await;

    let searches = double.searches();
    // The search is answered; the question which versions count waits.
    double.inject(Kind::Read, Fault::Held, 1);
    let search = tokio::spawn(async move {
        let found = vectors.search(&embedding(), &selection, 10).await;
        found.unwrap()
    });
    double.holds_a_call().await;
    let work = claimed.into_iter().map(|item| (item, vec![embedding()]));
    place.publish(work.collect()).await;
    double.release();
    let found = search.await.unwrap();
    assert_eq!(said(&pin, &found).await, ["amber two", "basil"]);
    assert_eq!(double.searches() - searches, 2, "one more round");
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_kept_with_their_chunks() {
    let double = strict_double();
    let place = Place::new(options(double.url())).await;
    place.put("a", &["amber one", "amber two"]).await;
    let embedder = &place.collection.fingerprint.embedder;
    let keys = [hash("amber two"), hash("nobody says it"), hash("amber one")];
    let found = place.ledger.embeddings(embedder, &keys).await.unwrap();
    assert_eq!(found, [Some(embedding()), None, Some(embedding())]);
}
