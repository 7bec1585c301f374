//! Staging acknowledges, logs and does not show; deleting hides at once.

use braid_core::operation::{Change, ChangeOutcome, OperationKind};
use braid_core::{
    DocumentId, DocumentStatus, ErrorCode, Fingerprint, Format, Language, Origin, Sequence, Slot,
};

use super::FreshLedger;
use super::scene::{Scene, hash, put, staged};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_staged_document_is_pending(Scene::new(fresh()).await).await;
    a_document_reads_back(Scene::new(fresh()).await).await;
    staged_chunks_can_be_indexed(Scene::new(fresh()).await).await;
    the_same_content_is_unchanged(Scene::new(fresh()).await).await;
    the_later_put_of_a_request_wins(Scene::new(fresh()).await).await;
    a_delete_hides_at_once(Scene::new(fresh()).await).await;
    a_pending_document_can_be_deleted(Scene::new(fresh()).await).await;
    slots_are_never_reused(Scene::new(fresh()).await).await;
    the_log_is_read_in_parts(Scene::new(fresh()).await).await;
    documents_are_listed_in_id_order(Scene::new(fresh()).await).await;
    a_document_may_have_no_chunk(Scene::new(fresh()).await).await;
    hashes_are_those_of_the_newest_versions(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    a_document_reads_back(Scene::new(fresh()).await).await;
    a_document_may_have_no_chunk(Scene::new(fresh()).await).await;
    hashes_are_those_of_the_newest_versions(Scene::new(fresh()).await).await;
}

async fn hashes_are_those_of_the_newest_versions(scene: Scene) {
    scene.put("live", &["one"]).await;
    scene.publish().await;
    scene.put("pending", &["two"]).await;
    scene.put("replaced", &["old"]).await;
    scene.publish().await;
    scene.put("replaced", &["new"]).await;
    scene.put("deleted", &["gone"]).await;
    scene.delete("deleted").await;
    let failed = scene.put("failed", &["poison"]).await;
    scene.fail(failed, "reason").await;
    let ids = ["replaced", "absent", "live", "failed", "deleted", "pending"];
    let ids = ids.map(|id| DocumentId::new(id).unwrap());
    let hashes = scene.ledger.content_hashes(scene.collection.id, &ids).await;
    let stored = |id, text| Some(staged(id, &[text]).content_hash);
    let expected = [
        stored("replaced", "new"),
        None,
        stored("live", "one"),
        None,
        None,
        stored("pending", "two"),
    ];
    assert_eq!(hashes.unwrap(), expected);
}

async fn a_staged_document_is_pending(scene: Scene) {
    let outcome = scene.stage_one(put(staged("d", &["one"]))).await;
    let sequence = Sequence(1);
    let replaced = false;
    assert_eq!(
        outcome,
        ChangeOutcome::Staged {
            sequence,
            replaced,
            duplicate: None
        }
    );
    assert!(scene.visible().await.is_empty());
    let stats = scene.stats().await;
    assert_eq!((stats.newest, stats.lag()), (sequence, 1));
    assert_eq!((stats.documents, stats.chunks), (0, 0));
    assert_eq!(status(&scene, "d").await, Some(DocumentStatus::Pending));
    scene.publish().await;
    assert_eq!(status(&scene, "d").await, Some(DocumentStatus::Published));
    let stats = scene.stats().await;
    assert_eq!((stats.documents, stats.chunks, stats.lag()), (1, 1, 0));
    let outcome = scene.stage_one(put(staged("d", &["two"]))).await;
    let (sequence, replaced) = (Sequence(2), true);
    assert_eq!(
        outcome,
        ChangeOutcome::Staged {
            sequence,
            replaced,
            duplicate: None
        }
    );
    scene.check_sound().await;
}

async fn status(scene: &Scene, id: &str) -> Option<DocumentStatus> {
    let id = DocumentId::new(id).unwrap();
    let document = scene.ledger.document(scene.collection.id, &id).await;
    document.unwrap().map(|document| document.summary.status)
}

async fn a_document_reads_back(scene: Scene) {
    let mut document = staged("a/b c", &["ein", "zwei"]);
    document.document.text = "ein  zwei\n".to_owned();
    document.document.title = Some("Zahlen".to_owned());
    document.document.uri = None;
    document.document.format = Format::Markdown;
    document.language = Some(Language::German);
    document.document.origin = Some(Origin {
        hash: hash("a file"),
        parser: "a parser 1.2".to_owned(),
    });
    scene.advance_ms(1234);
    scene.stage_one(put(document.clone())).await;
    let id = &document.document.id;
    let read = scene.ledger.document(scene.collection.id, id).await;
    let read = read.unwrap().unwrap();
    assert_eq!(read.text, document.document.text);
    let summary = read.summary;
    assert_eq!(summary.title, document.document.title);
    assert_eq!((summary.uri, summary.format), (None, Format::Markdown));
    assert_eq!(summary.origin, document.document.origin);
    assert_eq!(summary.content_hash, document.content_hash);
    assert_eq!((summary.chunks, summary.updated_at_ms), (2, 1234));
    assert_eq!(summary.language, Some(Language::German));
    let absent = DocumentId::new("a/b").unwrap();
    let read = scene.ledger.document(scene.collection.id, &absent).await;
    assert_eq!(read.unwrap(), None);
}

async fn staged_chunks_can_be_indexed(scene: Scene) {
    let mut document = staged("d", &["one", "two"]);
    document.document.title = Some("title".to_owned());
    document.language = Some(Language::None);
    scene.stage_one(put(document.clone())).await;
    let slots = scene.slots_of(Sequence(1)).await;
    let wanted = [slots[1], Slot(4_000_000), slots[0]];
    let chunks = scene.ledger.chunks(scene.collection.id, &wanted).await;
    let chunks = chunks.unwrap();
    assert_eq!(chunks.len(), 2, "a slot without a chunk is left out");
    for (found, (slot, staged)) in chunks.iter().zip([(1, 1), (0, 0)]) {
        let staged = &document.chunks[staged];
        assert_eq!(found.record.slot, slots[slot]);
        assert_eq!(found.record.id, staged.id);
        assert_eq!(found.record.chunk, staged.chunk);
        assert_eq!(found.record.embedding_key, staged.embedding_key);
        assert_eq!(found.record.document, document.document.id);
        assert_eq!(found.record.sequence, Sequence(1));
        assert_eq!(found.record.title.as_deref(), Some("title"));
        assert_eq!(found.record.language, Some(Language::None));
        assert_eq!(*found.metadata, document.document.metadata);
    }
}

async fn the_same_content_is_unchanged(scene: Scene) {
    let first = scene.put("d", &["one"]).await;
    let unchanged = ChangeOutcome::Unchanged { sequence: first };
    assert_eq!(scene.stage_one(put(staged("d", &["one"]))).await, unchanged);
    scene.publish().await;
    assert_eq!(scene.stage_one(put(staged("d", &["one"]))).await, unchanged);
    assert_eq!(scene.stats().await.newest, first, "nothing was written");
    let mut pipeline = staged("d", &["one"]);
    pipeline.pipeline = Fingerprint::new("another");
    let outcome = scene.stage_one(put(pipeline)).await;
    assert!(
        matches!(outcome, ChangeOutcome::Staged { replaced: true, .. }),
        "{outcome:?}"
    );
    scene.publish().await;
    scene.delete("d").await;
    let outcome = scene.stage_one(put(staged("d", &["one"]))).await;
    assert!(
        matches!(
            outcome,
            ChangeOutcome::Staged {
                replaced: false,
                ..
            }
        ),
        "{outcome:?}"
    );
    let failed = scene.put("e", &["poison"]).await;
    scene.fail(failed, "reason").await;
    let outcome = scene.stage_one(put(staged("e", &["poison"]))).await;
    assert!(
        matches!(outcome, ChangeOutcome::Staged { .. }),
        "a failed version is tried again"
    );
}

async fn the_later_put_of_a_request_wins(scene: Scene) {
    let changes = [&["old"], &["new"], &["new"]].map(|chunks| put(staged("d", chunks)));
    let receipt = scene.stage(changes.into()).await;
    let sequence = Sequence(2);
    assert_eq!(
        receipt.outcomes[1..],
        [
            ChangeOutcome::Staged {
                sequence,
                replaced: true,
                duplicate: None,
            },
            ChangeOutcome::Unchanged { sequence },
        ]
    );
    assert_eq!(receipt.newest, sequence);
    let published = scene.publish().await;
    assert_eq!((published.published, published.superseded), (1, 1));
    assert_eq!(scene.visible().await, ["d: new"]);
    let delete = Change::Delete(DocumentId::new("d").unwrap());
    scene
        .stage(vec![put(staged("d", &["newer"])), delete])
        .await;
    assert!(scene.visible().await.is_empty());
    scene.publish().await;
    assert!(scene.visible().await.is_empty());
    scene.check_sound().await;
}

async fn a_delete_hides_at_once(scene: Scene) {
    assert_eq!(scene.delete("d").await, ChangeOutcome::Absent);
    scene.put("d", &["one"]).await;
    scene.put("e", &["two"]).await;
    scene.publish().await;
    let sequence = Sequence(3);
    assert_eq!(scene.delete("d").await, ChangeOutcome::Deleted { sequence });
    assert_eq!(scene.visible().await, ["e: two"]);
    assert_eq!(status(&scene, "d").await, None);
    let stats = scene.stats().await;
    assert_eq!((stats.documents, stats.chunks, stats.retired), (1, 1, 1));
    assert_eq!(stats.lag(), 1);
    assert_eq!(scene.delete("d").await, ChangeOutcome::Absent);
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["e: two"]);
    scene.check_sound().await;
}

async fn a_pending_document_can_be_deleted(scene: Scene) {
    scene.put("d", &["one"]).await;
    scene.delete("d").await;
    assert_eq!(scene.stats().await.newest, Sequence(2));
    scene.put("d", &["two"]).await;
    let receipt = scene.publish_through(Sequence(2)).await;
    assert_eq!((receipt.published, receipt.superseded), (0, 1));
    assert!(scene.visible().await.is_empty());
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: two"]);
    scene.check_sound().await;
}

async fn slots_are_never_reused(scene: Scene) {
    let mut last = None;
    for round in 0..4 {
        let text = format!("round {round}");
        let sequence = scene.put("d", &[&text, "same"]).await;
        for slot in scene.slots_of(sequence).await {
            assert!(last < Some(slot), "{slot} after {last:?}");
            last = Some(slot);
        }
        scene.publish().await;
        if round == 1 {
            scene.delete("d").await;
        }
        scene.purge().await;
        scene.publish().await;
    }
}

async fn the_log_is_read_in_parts(scene: Scene) {
    for id in ["a", "b", "c"] {
        scene.put(id, &[id]).await;
    }
    scene.delete("b").await;
    let names: Vec<_> = scene.log(Sequence(1), 2).await.iter().map(name).collect();
    assert_eq!(names, ["put b", "put c"]);
    assert_eq!(scene.log(Sequence::ZERO, 9).await.len(), 4);
    assert!(scene.log(Sequence(4), 9).await.is_empty());
    scene.publish_through(Sequence(3)).await;
    let names: Vec<_> = scene
        .log(Sequence::ZERO, 9)
        .await
        .iter()
        .map(name)
        .collect();
    assert_eq!(names, ["delete b"], "published operations leave the log");
    let error = scene
        .ledger
        .documents(scene.collection.id, Some("\n"), 3)
        .await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::InvalidRequest);
}

fn name(kind: &OperationKind) -> String {
    match kind {
        OperationKind::Put { document, .. } => format!("put {document}"),
        OperationKind::Delete { document } => format!("delete {document}"),
        OperationKind::Purge { slots } => format!("purge {}", slots.len()),
        OperationKind::Failed { reason } => format!("failed: {reason}"),
    }
}

async fn documents_are_listed_in_id_order(scene: Scene) {
    let ids = ["b", "a/2", "a", "c", "ä"];
    for id in ids {
        scene.put(id, &[id]).await;
    }
    let id = scene.collection.id;
    let first = scene.ledger.documents(id, None, 2).await.unwrap();
    let listed = |items: &[braid_core::DocumentSummary]| -> Vec<String> {
        items.iter().map(|item| item.id.to_string()).collect()
    };
    assert_eq!(listed(&first.items), ["a", "a/2"]);
    let next = first.next.expect("there is more");
    let second = scene.ledger.documents(id, Some(&next), 3).await.unwrap();
    assert_eq!(listed(&second.items), ["b", "c", "ä"]);
    assert_eq!(second.next, None);
}

async fn a_document_may_have_no_chunk(scene: Scene) {
    scene.put("d", &[]).await;
    scene.publish().await;
    assert_eq!(scene.stats().await.documents, 1);
    assert!(scene.visible().await.is_empty());
    scene.delete("d").await;
    scene.publish().await;
    assert_eq!(scene.stats().await.documents, 0);
    assert_eq!(scene.purge().await, None);
    scene.check_sound().await;
}
