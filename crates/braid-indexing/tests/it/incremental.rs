//! What a change costs: only the chunks around it are embedded again.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{
    ChunkRecord, ChunkingSettings, ChunkingStrategy, CollectionSettings, Format, FormatFamily,
    Ledger, NewDocument, Slot,
};
use braid_indexing::IngestRequest;
use braid_testkit::HashEmbedder;

use crate::world::{DIMENSION, Life, World, document};

const TARGET: usize = 100;
const PARAGRAPHS: usize = 600;

/// A world of one collection, and what counts its embeddings.
struct Counted {
    life: Life,
    embedder: Arc<HashEmbedder>,
}

impl Counted {
    async fn new(settings: CollectionSettings) -> Self {
        let embedder = Arc::new(HashEmbedder::new(DIMENSION));
        let world = World::with_embedder(Arc::clone(&embedder) as _);
        let (indexer, shutdown) = world.indexer();
        world.create(&indexer, settings).await;
        shutdown.finish().await;
        let life = world.open().await;
        Self { life, embedder }
    }

    /// Passages embedded to make `document` retrievable.
    async fn put(&self, document: NewDocument) -> usize {
        let before = self.embedder.passages_embedded();
        let request = IngestRequest {
            documents: vec![document],
            job: None,
            guard: None,
        };
        let ingest = self.life.indexer.ingest(&self.life.collection, request);
        assert!(ingest.await.unwrap().rejected.is_empty());
        self.life.idle().await;
        self.embedder.passages_embedded() - before
    }

    async fn records(&self) -> Vec<ChunkRecord> {
        let (ledger, id) = (&self.life.world.ledger, self.life.collection.id);
        let live = ledger.live_slots(id).await.unwrap();
        let slots: Vec<_> = live.iter().map(Slot).collect();
        let chunks = ledger.chunks(id, &slots).await.unwrap();
        chunks.into_iter().map(|chunk| chunk.record).collect()
    }
}

fn settings(strategy: ChunkingStrategy, overlap_tokens: usize) -> CollectionSettings {
    CollectionSettings {
        chunking: ChunkingSettings {
            strategy,
            target_tokens: TARGET,
            overlap_tokens,
            ..ChunkingSettings::default()
        },
        ..CollectionSettings::default()
    }
}

/// Paragraphs of 12 to 35 words, each different, with a heading above every 25th.
fn paragraphs(format: Format) -> Vec<String> {
    let paragraph = |n: usize| {
        let words = (0..12 + n * 31 % 24).map(|at| format!("word{}", (n * 131 + at * 17) % 4001));
        let text = format!("Number {n}: {}.", words.collect::<Vec<_>>().join(" "));
        match format {
            Format::Markdown if n.is_multiple_of(25) => format!("## Part {n}\n\n{text}"),
            Format::Text | Format::Markdown | Format::Html | Format::Code(_) => text,
        }
    };
    (0..PARAGRAPHS).map(paragraph).collect()
}

fn long(paragraphs: &[String], format: Format) -> NewDocument {
    NewDocument {
        format,
        ..document("long", &paragraphs.join("\n\n"))
    }
}

/// A change in one paragraph, which shifts the span of everything after it, embeds no more than the
/// stretch of some chunks that it is in; putting it back embeds nothing.
async fn check(strategy: ChunkingStrategy, overlap: usize, format: Format) {
    let world = Counted::new(settings(strategy, overlap)).await;
    let mut text = paragraphs(format);
    let original = long(&text, format);
    let all = world.put(original.clone()).await;
    assert!(all > 120, "{all}");
    for at in [1, PARAGRAPHS / 2, PARAGRAPHS - 2] {
        let kept = std::mem::take(&mut text[at]);
        text[at] = format!("{kept} And some words that were not here before.");
        let changed = world.put(long(&text, format)).await;
        let most = 12;
        assert!(
            (1..=most).contains(&changed),
            "{strategy:?} {format} {at}: {changed} of {all}"
        );
        text[at] = kept;
    }
    assert_eq!(world.put(original.clone()).await, 0);
    let chars: Vec<char> = original.text.chars().collect();
    for record in world.records().await {
        let span = record.chunk.span.start as usize..record.chunk.span.end as usize;
        assert_eq!(chars[span].iter().collect::<String>(), record.chunk.text);
    }
    world.life.world.assert_sound().await;
}

#[tokio::test(start_paused = true)]
async fn one_changed_paragraph_embeds_the_chunks_around_it() {
    check(ChunkingStrategy::Structure, 0, Format::Text).await;
    check(ChunkingStrategy::Structure, 10, Format::Text).await;
    check(ChunkingStrategy::Structure, 0, Format::Markdown).await;
    check(ChunkingStrategy::Sentences, 0, Format::Text).await;
    check(ChunkingStrategy::Tokens, 10, Format::Text).await;
    check(ChunkingStrategy::Tokens, 0, Format::Markdown).await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_document_is_not_embedded_again() {
    let world = Counted::new(settings(ChunkingStrategy::Structure, 0)).await;
    let original = long(&paragraphs(Format::Text), Format::Text);
    world.put(original.clone()).await;
    let renamed = NewDocument {
        id: document("moved/long", "").id,
        ..original.clone()
    };
    assert_eq!(world.put(renamed).await, 0);
    world.life.delete(&["long"]).await;
    world.life.idle().await;
    let documents = world.life.world.live().await;
    assert_eq!(documents.keys().collect::<Vec<_>>(), ["moved/long"]);
    // The other way round, too: what a delete leaves is swept later.
    world.life.delete(&["moved/long"]).await;
    assert_eq!(world.put(original).await, 0);
    world.life.world.assert_sound().await;
}

/// Other rules for one format ask for a rebuild, which chunks the documents of that format anew and
/// embeds what is new in them.
#[tokio::test(start_paused = true)]
async fn a_rebuild_takes_up_the_rule_of_a_format() {
    let before = settings(ChunkingStrategy::Structure, 0);
    let world = Counted::new(before).await;
    world
        .put(document("text", &"One two three four five. ".repeat(20)))
        .await;
    let guide = "# Guide\n\nSome words here.\n\n## Install\n\nSome more of them.\n";
    let markdown = NewDocument {
        format: Format::Markdown,
        title: Some("Manual".to_owned()),
        ..document("guide", guide)
    };
    world.put(markdown).await;
    let by_document = || async {
        let mut found: BTreeMap<String, Vec<ChunkRecord>> = BTreeMap::new();
        for record in world.records().await {
            found
                .entry(record.document.to_string())
                .or_default()
                .push(record);
        }
        found
    };
    let old = by_document().await;
    let headers = |records: &[ChunkRecord]| -> Vec<String> {
        records
            .iter()
            .map(|it| it.chunk.context_header.clone())
            .collect()
    };
    assert_eq!(
        headers(&old["guide"]),
        ["Manual > Guide", "Manual > Guide > Install"]
    );

    let mut after = before;
    *after.chunking.formats.of_mut(FormatFamily::Markdown) = "whole".parse().unwrap();
    let (indexer, collection) = (&world.life.indexer, &world.life.collection);
    let fingerprint = |settings| indexer.pipeline_fingerprint(settings).unwrap().chunker;
    assert_ne!(fingerprint(&after), fingerprint(&before));
    let embedded = world.embedder.passages_embedded();
    let rebuilt = indexer.rebuild(collection, after, |_| {}).await.unwrap();
    assert_eq!(
        (rebuilt.settings, &rebuilt.fingerprint.chunker),
        (after, &fingerprint(&after))
    );
    world.life.idle().await;
    let new = by_document().await;
    let texts = |records: &[ChunkRecord]| -> Vec<String> {
        records.iter().map(ChunkRecord::embedded_text).collect()
    };
    assert_eq!(texts(&new["text"]), texts(&old["text"]));
    assert_eq!(
        texts(&new["guide"]),
        [format!("Manual\n{}", guide.trim_end())]
    );
    assert_eq!(world.embedder.passages_embedded(), embedded + 1);
    world.life.world.assert_sound().await;
}
