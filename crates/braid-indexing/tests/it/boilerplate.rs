//! Text that many documents share.

use braid_indexing::{BoilerplateReport, SharedKind};

use crate::world::{Life, World, document, settings};

const FOOTER: &str = "Copyright Example Corporation, all rights reserved.";
const NOTICE: &str = "This page is a stub that somebody should extend one day.";

/// So many documents with the footer under a line of their own, and ten that are one notice.
async fn life(with_footer: usize, without: usize) -> Life {
    let world = World::new();
    let (indexer, shutdown) = world.indexer();
    world.create(&indexer, settings(200)).await;
    shutdown.finish().await;
    let life = world.open().await;
    let with = (0..with_footer).map(|number| {
        let text = format!("A page about the matter of number {number}\n{FOOTER}");
        document(&format!("with-{number}"), &text)
    });
    let without = (0..without).map(|number| {
        let text = format!("Another page about a thing of number {number}");
        document(&format!("without-{number}"), &text)
    });
    let stubs = (0..10).map(|number| document(&format!("stub-{number}"), NOTICE));
    let request = braid_indexing::IngestRequest {
        documents: with.chain(without).chain(stubs).collect(),
        job: None,
        guard: None,
    };
    life.indexer
        .ingest(&life.collection, request)
        .await
        .unwrap();
    life.idle().await;
    life
}

async fn report(life: &Life, most: usize) -> BoilerplateReport {
    life.indexer
        .boilerplate(&life.collection, most)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn shared_lines_and_chunks_are_found() {
    let life = life(20, 30).await;
    let found = report(&life, 5).await;
    assert_eq!((found.chunks, found.least_documents), (60, 5));
    let top: Vec<_> = found
        .top
        .iter()
        .map(|it| (it.kind, it.text.as_str(), it.documents))
        .collect();
    let expected = [
        (SharedKind::Line, FOOTER, 20),
        (SharedKind::Chunk, NOTICE, 10),
    ];
    assert_eq!(top, expected);
    assert_eq!(found.top[0].example.as_str(), "with-0");
    let shared = FOOTER.len() * 20 + NOTICE.len() * 10;
    assert_eq!(found.shared_characters, shared as u64);
    assert!(found.share() > 0.3 && found.share() < 0.7, "{found:?}");
    assert_eq!(report(&life, 1).await.top.len(), 1);
    assert_eq!(report(&life, 5).await, found, "it is deterministic");
}

#[tokio::test(start_paused = true)]
async fn what_few_documents_share_is_none() {
    let life = life(4, 0).await;
    let found = report(&life, 5).await;
    assert_eq!(found.top.len(), 1, "{found:?}");
    // One in a hundred: eleven of 1,100 documents would be enough, ten are not.
    let life = self::life(4, 1086).await;
    let found = report(&life, 5).await;
    assert_eq!((found.least_documents, found.top.len()), (11, 0));
    assert_eq!(found.shared_characters, 0);
}

#[tokio::test(start_paused = true)]
async fn hidden_chunks_do_not_count() {
    let life = life(6, 0).await;
    life.delete(&["with-0", "with-1"]).await;
    let found = report(&life, 5).await;
    let top: Vec<_> = found.top.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(top, [NOTICE]);
}
