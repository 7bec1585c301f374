//! The lexical leg finds what that of `embedded` finds, and scores it the same.

use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::{DocumentId, Format, Metadata, NewDocument};
use braid_engine::Engine;
use braid_engine::query::Mode;
use braid_testkit::HashEmbedder;

use crate::world::{DIMENSION, World, ingest, name, open, request};

/// Short ones first: they say nothing of how long the later ones are.
const SHORT: [&str; 4] = [
    "The moth flew to the lamp.",
    "A lamp by the door.",
    "My mother has a lamp.",
    "The door of the mill.",
];
const LONG: [&str; 4] = [
    "The mother of the miller told her children about the moth that came to the lamp every evening, \
     and how the youngest of them opened the door of the mill to let it out into the garden again.",
    "When the river rose in spring, the miller and his children carried the flour to the upper floor \
     of the mill, where it stayed dry, and closed the door behind them until the water had gone.",
    "Die Mutter des Müllers erzählte den Kindern jeden Abend von der Mühle am Fluss, von der Lampe \
     über der Tür und von dem Hund, der im Winter vor dem Ofen schlief und nicht gestört werden wollte.",
    "Im Frühling stieg das Wasser im Fluss, und der Müller trug mit seinen Kindern das Mehl nach oben, \
     wo es trocken blieb, schloss die Tür und wartete, bis das Wasser wieder gefallen war.",
];
const QUERIES: [&str; 6] = [
    "how did the mother open the door",
    "moth",
    "the lamp of the mill",
    "Mutter und Kinder am Fluss",
    "die Tür der Mühle",
    "why was the flour dry",
];

fn documents(texts: &[&str], group: &str) -> Vec<NewDocument> {
    let texts = texts.iter().enumerate();
    let documents = texts.map(|(number, text)| NewDocument {
        id: DocumentId::new(format!("{group}/{number}")).unwrap(),
        text: (*text).to_owned(),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    });
    documents.collect()
}

async fn scored(engine: &Engine, query: &str) -> Vec<(String, f64)> {
    let answer = engine
        .retrieve(request(query, Mode::Lexical))
        .await
        .unwrap();
    assert!(answer.degraded.is_empty(), "{:?}", answer.degraded);
    let hits = answer.hits.into_iter();
    let scored = hits.map(|hit| (hit.passage.record.document.to_string(), hit.score));
    let mut scored: Vec<_> = scored.collect();
    // Equal ones are in no order.
    scored.sort_by(|a, b| a.0.cmp(&b.0));
    scored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scores_are_those_of_embedded_whatever_came_first() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let mut settings: Settings = world.settings();
    settings.storage.profile = StorageProfile::Embedded;
    settings.storage.data_dir = directory.path().to_owned();
    settings.storage.map_size_gib = 0.0625;
    settings.lexical.writer_memory_mib = 16;
    let embedded = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    let mut settings = world.settings();
    // How rare a term is is counted in each shard.
    settings.qdrant.shards = 1;
    let cluster = open(&settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
    for engine in [&embedded, &cluster] {
        engine.ensure_collection(&name()).await.unwrap();
    }
    for batch in [documents(&SHORT, "short"), documents(&LONG, "long")] {
        ingest(&cluster, batch.clone()).await;
        world.work().await;
        let through = ingest(&embedded, batch).await;
        embedded.wait_published(&name(), through).await.unwrap();
    }
    for query in QUERIES {
        let (here, there) = (
            scored(&embedded, query).await,
            scored(&cluster, query).await,
        );
        assert!(!here.is_empty(), "{query}");
        let names = |scored: &[(String, f64)]| -> Vec<String> {
            scored.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&here), names(&there), "{query}");
        for ((name, here), (_, there)) in here.iter().zip(&there) {
            assert!(
                (here - there).abs() <= 0.01 * here,
                "{query}: {name} {here} {there}"
            );
        }
    }
    embedded.close().await;
    cluster.close().await;
}
