//! A pin is one state, whatever happens meanwhile.

use std::sync::Arc;

use braid_core::{Filter, Slot};

use super::FreshLedger;
use super::scene::{Scene, put, staged, visible};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_pin_does_not_change(Scene::new(fresh()).await).await;
    only_live_slots_are_shown(Scene::new(fresh()).await).await;
    passages_are_whole(Scene::new(fresh()).await).await;
    neighbours_are_found(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    only_live_slots_are_shown(Scene::new(fresh()).await).await;
    passages_are_whole(Scene::new(fresh()).await).await;
    neighbours_are_found(Scene::new(fresh()).await).await;
}

async fn a_pin_does_not_change(scene: Scene) {
    let empty = scene.pin().await;
    scene.put("a", &["a1"]).await;
    scene.put("b", &["b1"]).await;
    scene.publish().await;
    let pin = scene.pin().await;
    let (stats, before) = (pin.stats().clone(), visible(&*pin, None).await);
    assert_eq!(before, ["a: a1", "b: b1"]);
    assert_eq!(stats, scene.stats().await);
    assert_eq!(pin.collection(), &scene.collection);
    scene.put("a", &["a2"]).await;
    scene.delete("b").await;
    scene.publish().await;
    scene.purge().await;
    scene.publish().await;
    let deleted = scene.ledger.delete_collection(&scene.collection.name, None);
    deleted.await.unwrap();
    scene.ledger.sweep().await.unwrap();
    assert_eq!(visible(&*pin, None).await, before);
    let filter = Some(Arc::new(Filter::default()));
    assert_eq!(visible(&*pin, filter).await, before);
    assert_eq!(*pin.stats(), stats);
    assert!(visible(&*empty, None).await.is_empty());
}

async fn only_live_slots_are_shown(scene: Scene) {
    scene.put("a", &["old"]).await; // slot 0
    scene.publish().await;
    scene.put("a", &["new"]).await; // slot 1
    scene.publish().await;
    scene.put("a", &["newer"]).await; // slot 2
    let pin = scene.pin().await;
    let slots = [2, 1, 0, 99].map(Slot);
    let ids = pin.chunk_ids(&slots).await.unwrap();
    let known: Vec<_> = ids.iter().map(Option::is_some).collect();
    assert_eq!(known, [false, true, false, false]);
    let passages = pin.hydrate(&slots).await.unwrap();
    let texts: Vec<_> = passages
        .iter()
        .map(|it| it.record.chunk.text.as_str())
        .collect();
    assert_eq!(texts, ["new"]);
}

async fn passages_are_whole(scene: Scene) {
    let mut document = staged("d", &["one", "two"]);
    document.document.title = Some("title".to_owned());
    document.document.metadata = super::metadata(&[("n", braid_core::MetadataValue::Number(1.5))]);
    scene.stage_one(put(document.clone())).await;
    scene.publish().await;
    let pin = scene.pin().await;
    let passages = pin.hydrate(&[Slot(1), Slot(0)]).await.unwrap();
    assert_eq!(passages.len(), 2, "in the order asked for");
    for (passage, staged) in passages.iter().zip(document.chunks.iter().rev()) {
        assert_eq!(passage.record.chunk, staged.chunk);
        assert_eq!(passage.record.title, document.document.title);
        assert_eq!(passage.uri, document.document.uri);
        assert_eq!(*passage.metadata, document.document.metadata);
    }
}

async fn neighbours_are_found(scene: Scene) {
    scene.put("d", &["zero", "one", "two", "three"]).await;
    scene.put("pending", &["zero"]).await;
    scene.publish_through(braid_core::Sequence(1)).await;
    let pin = scene.pin().await;
    let texts = async |id: &str, ordinals| -> Vec<String> {
        let id = braid_core::DocumentId::new(id).unwrap();
        let chunks = pin.document_chunks(&id, ordinals).await.unwrap();
        chunks.into_iter().map(|record| record.chunk.text).collect()
    };
    assert_eq!(texts("d", 1..=2).await, ["one", "two"]);
    assert_eq!(texts("d", 3..=9).await, ["three"]);
    assert!(texts("d", 4..=9).await.is_empty());
    assert!(texts("pending", 0..=9).await.is_empty());
    assert!(texts("absent", 0..=9).await.is_empty());
}
