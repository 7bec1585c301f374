//! Where chunks came from.

use braid_core::ports::RechunkedDocument;
use braid_core::{ChunkId, ChunkLineage, ChunkStatus, DocumentId, DocumentStatus, ErrorCode, Slot};

use super::{FreshLedger, Scene, staged_chunks};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_chunk_is_followed_from_staging_to_purge(Scene::new(fresh()).await).await;
    a_repeated_chunk_is_found_in_both_versions(Scene::new(fresh()).await).await;
    a_chunk_of_a_rebuild_is_unreferenced(Scene::new(fresh()).await).await;
    chunks_of_a_document_come_in_pages(Scene::new(fresh()).await).await;
    versions_of_a_document(Scene::new(fresh()).await).await;
    use_grows(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    chunks_of_a_document_come_in_pages(Scene::new(fresh()).await).await;
    versions_of_a_document(Scene::new(fresh()).await).await;
}

fn name_of(document: &str, texts: &[&str], ordinal: usize) -> ChunkId {
    staged_chunks(document, texts)[ordinal].id
}

async fn find(scene: &Scene, id: ChunkId) -> Vec<ChunkLineage> {
    let found = scene.ledger.find_chunk(scene.collection.id, id);
    found.await.unwrap()
}

async fn statuses(scene: &Scene, id: ChunkId) -> Vec<(Slot, ChunkStatus)> {
    let found = find(scene, id).await;
    found
        .into_iter()
        .map(|it| (it.record.slot, it.status))
        .collect()
}

async fn a_chunk_is_followed_from_staging_to_purge(scene: Scene) {
    scene.put("other", &["else"]).await;
    let put = scene.put("d", &["zero", "one"]).await;
    let one = name_of("d", &["zero", "one"], 1);
    assert_eq!(
        statuses(&scene, one).await,
        [(Slot(2), ChunkStatus::Pending)]
    );
    scene.publish().await;
    let found = find(&scene, one).await;
    let [live] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(live.status, ChunkStatus::Live);
    assert_eq!((live.record.sequence, live.record.chunk.ordinal), (put, 1));
    assert_eq!(live.record.chunk.text, "one");
    assert_eq!(live.superseded_by, None);
    let version = live.version.as_ref().unwrap();
    let document = scene
        .ledger
        .document(scene.collection.id, &live.record.document);
    assert_eq!(**version, document.await.unwrap().unwrap().summary);

    let newer = scene.put("d", &["other"]).await;
    let live = find(&scene, one).await.remove(0);
    assert_eq!(
        live.status,
        ChunkStatus::Live,
        "until the newer is published"
    );
    assert_eq!(live.superseded_by, Some(newer));
    assert_eq!(live.version.unwrap().status, DocumentStatus::Published);
    scene.publish().await;
    let retired = find(&scene, one).await.remove(0);
    assert_eq!(retired.status, ChunkStatus::Retired);
    assert_eq!(retired.superseded_by, Some(newer));
    assert_eq!(retired.version, None, "nothing else is left of it");
    scene.delete("d").await;
    let retired = find(&scene, one).await.remove(0);
    assert_eq!(retired.superseded_by, None, "its document is gone");
    scene.purge().await.unwrap();
    assert_eq!(
        statuses(&scene, one).await,
        [(Slot(2), ChunkStatus::Retired)]
    );
    scene.publish().await;
    assert!(find(&scene, one).await.is_empty());
}

async fn a_repeated_chunk_is_found_in_both_versions(scene: Scene) {
    scene.put("d", &["same"]).await; // slot 0
    scene.publish().await;
    let newer = scene.put("d", &["same", "new"]).await; // slots 1 and 2
    let same = name_of("d", &["same"], 0);
    let both = [
        (Slot(1), ChunkStatus::Pending),
        (Slot(0), ChunkStatus::Live),
    ];
    assert_eq!(statuses(&scene, same).await, both);
    scene.fail(newer, "the reason").await;
    let found = find(&scene, same).await;
    assert_eq!(found[0].status, ChunkStatus::Retired);
    let failed = DocumentStatus::Failed("the reason".to_owned());
    assert_eq!(found[0].version.as_ref().unwrap().status, failed);
    assert_eq!(found[1].status, ChunkStatus::Live);
    assert!(
        find(&scene, name_of("absent", &["same"], 0))
            .await
            .is_empty()
    );
}

async fn a_chunk_of_a_rebuild_is_unreferenced(scene: Scene) {
    scene.put("d", &["one"]).await;
    scene.publish().await;
    let id = DocumentId::new("d").unwrap();
    let staged = staged_chunks("d", &["two"]);
    let name = staged[0].id;
    let rechunked = RechunkedDocument {
        title: None,
        language: None,
        chunks: staged,
    };
    let collection = scene.collection.id;
    let staged = scene.ledger.stage_rechunked(collection, &id, rechunked);
    staged.await.unwrap();
    let unreferenced = [(Slot(1), ChunkStatus::Unreferenced)];
    assert_eq!(statuses(&scene, name).await, unreferenced);
}

async fn chunks_of_a_document_come_in_pages(scene: Scene) {
    let page = async |id: &str, cursor: Option<&str>, limit| {
        let id = DocumentId::new(id).unwrap();
        let ledger = &scene.ledger;
        ledger
            .document_chunks(scene.collection.id, &id, cursor, limit)
            .await
    };
    scene.put("d", &["zero", "one", "two"]).await;
    let pending = page("d", None, 2).await.unwrap().unwrap();
    assert_eq!((pending.items.len(), pending.next), (0, None));
    scene.publish().await;
    scene.put("d", &["later"]).await;
    let first = page("d", None, 2).await.unwrap().unwrap();
    let texts = |page: &[ChunkLineage]| -> Vec<String> {
        page.iter().map(|it| it.record.chunk.text.clone()).collect()
    };
    assert_eq!(texts(&first.items), ["zero", "one"]);
    assert!(first.items.iter().all(|it| it.status == ChunkStatus::Live));
    assert!(first.items.iter().all(|it| it.version.is_some()));
    let second = page("d", first.next.as_deref(), 2).await.unwrap().unwrap();
    assert_eq!(texts(&second.items), ["two"]);
    assert_eq!(second.next, None);
    let whole = page("d", None, 3).await.unwrap().unwrap();
    assert_eq!((whole.items.len(), whole.next), (3, None));
    let beyond = page("d", Some("99"), 3).await.unwrap().unwrap();
    assert!(beyond.items.is_empty());
    assert!(page("absent", None, 2).await.unwrap().is_none());
    let error = page("d", Some("x"), 2).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
}

async fn versions_of_a_document(scene: Scene) {
    let id = DocumentId::new("d").unwrap();
    let versions = async || {
        let ledger = &scene.ledger;
        let versions = ledger.document_versions(scene.collection.id, &id);
        versions.await.unwrap()
    };
    assert!(versions().await.is_empty());
    let live = scene.put("d", &["one"]).await;
    scene.publish().await;
    let failed = scene.put("d", &["poison"]).await;
    scene.fail(failed, "the reason").await;
    let found: Vec<_> = versions()
        .await
        .into_iter()
        .map(|version| (version.sequence, version.status))
        .collect();
    let expected = [
        (failed, DocumentStatus::Failed("the reason".to_owned())),
        (live, DocumentStatus::Published),
    ];
    assert_eq!(found, expected);
    scene.delete("d").await;
    assert!(versions().await.is_empty());
}

async fn use_grows(scene: Scene) {
    let before = scene.ledger.storage_use().await.unwrap();
    assert!(before.used_bytes < before.limit_bytes);
    let text = "many words ".repeat(10_000);
    scene.put("d", &[&text]).await;
    let after = scene.ledger.storage_use().await.unwrap();
    assert!(
        after.used_bytes >= before.used_bytes + text.len() as u64,
        "{before:?} {after:?}"
    );
    assert_eq!(after.limit_bytes, before.limit_bytes);
}
