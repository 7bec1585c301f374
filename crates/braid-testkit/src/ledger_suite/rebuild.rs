//! A rebuild changes nothing until the switch, and everything at it.

use braid_core::operation::ChangeOutcome;
use braid_core::ports::{RechunkedDocument, SwitchGeneration};
use braid_core::{
    Collection, DocumentId, ErrorCode, Fingerprint, Generation, Language, LanguageSetting,
    PipelineFingerprint, Result, Sequence, Slot,
};

use super::FreshLedger;
use super::scene::{Scene, put, staged, staged_chunks};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_switch_serves_the_new_chunks(Scene::new(fresh()).await).await;
    a_switched_collection_goes_on(Scene::new(fresh()).await).await;
    a_switch_publishes_what_is_pending(Scene::new(fresh()).await).await;
    a_switch_that_is_refused_publishes_nothing(Scene::new(fresh()).await).await;
    a_switch_refuses_stale_chunks(Scene::new(fresh()).await).await;
    what_failed_is_not_rechunked(Scene::new(fresh()).await).await;
    chunks_of_a_rebuild_under_way_are_kept(Scene::new(fresh()).await).await;
}

async fn rechunk(scene: &Scene, id: &str, texts: &[&str]) -> Result<Vec<Slot>> {
    let document = DocumentId::new(id).unwrap();
    let rechunked = RechunkedDocument {
        title: Some("found".to_owned()),
        language: Some(Language::Thai),
        chunks: staged_chunks(id, texts),
    };
    let collection = scene.collection.id;
    scene
        .ledger
        .stage_rechunked(collection, &document, rechunked)
        .await
}

fn switch(rechunked: &[(&str, Vec<Slot>)]) -> SwitchGeneration {
    let mut settings = super::new_collection("scene").settings;
    settings.language = LanguageSetting::Auto;
    let rechunked = rechunked.iter().cloned();
    SwitchGeneration {
        generation: Generation(2),
        fingerprint: PipelineFingerprint {
            embedder: Fingerprint::new("embedder 2"),
            chunker: Fingerprint::new("chunker 2"),
            analyzer: Fingerprint::new("analyzer 2"),
        },
        settings,
        dimension: 3,
        pipeline: Fingerprint::new("pipeline 2"),
        publish_through: Sequence(u64::MAX),
        rechunked: rechunked
            .map(|(id, slots)| (DocumentId::new(id).unwrap(), slots))
            .collect(),
    }
}

async fn refusal(scene: &Scene, switch: SwitchGeneration) -> ErrorCode {
    let switched = scene.ledger.switch_generation(scene.collection.id, switch);
    switched.await.unwrap_err().code()
}

/// The scene with `a` chunked anew, and its new slots.
async fn rechunked(scene: &Scene) -> Vec<Slot> {
    scene.put("a", &["a one", "a two"]).await; // slots 0, 1
    scene.put("b", &["b"]).await; // slot 2
    scene.publish().await;
    let slots = rechunk(scene, "a", &["a", "one a", "two"]).await.unwrap();
    assert_eq!(slots, [3, 4, 5].map(Slot));
    slots
}

async fn language(scene: &Scene, id: &str) -> Option<Language> {
    let id = DocumentId::new(id).unwrap();
    let document = scene.ledger.document(scene.collection.id, &id).await;
    document.unwrap().unwrap().summary.language
}

async fn switch_to(scene: &Scene, rechunked: &[(&str, Vec<Slot>)]) -> Collection {
    let (id, switch) = (scene.collection.id, switch(rechunked));
    scene.ledger.switch_generation(id, switch).await.unwrap()
}

async fn a_switch_serves_the_new_chunks(scene: Scene) {
    let slots = rechunked(&scene).await;
    let before = ["a: a one | a two", "b: b"];
    assert_eq!(scene.visible().await, before);
    scene.check_sound().await;
    let chunks = scene.ledger.chunks(scene.collection.id, &slots).await;
    let chunks = chunks.unwrap();
    assert_eq!(chunks.len(), 3, "they can be indexed");
    assert_eq!(chunks[0].record.title.as_deref(), Some("found"));
    assert_eq!(chunks[0].record.language, Some(Language::Thai));
    assert_eq!(language(&scene, "a").await, None, "the version's own");
    let pin = scene.pin().await;
    let switched = switch_to(&scene, &[("a", slots)]).await;
    let wanted = switch(&[]);
    assert_eq!(switched.generation, Generation(2));
    assert_eq!(switched.dimension, 3);
    assert_eq!(switched.settings, wanted.settings);
    assert_eq!(switched.fingerprint, wanted.fingerprint);
    let found = scene.ledger.collection(&scene.collection.name).await;
    assert_eq!(found.unwrap(), Some(switched));
    assert_eq!(scene.visible().await, ["a: a | one a | two", "b: b"]);
    assert_eq!(super::scene::visible(&*pin, None).await, before);
    assert_eq!(pin.collection().generation, Generation(1));
    assert_eq!(language(&scene, "a").await, Some(Language::Thai));
    assert_eq!(language(&scene, "b").await, None, "not chunked anew");
    scene.check_sound().await;
}

async fn a_switched_collection_goes_on(scene: Scene) {
    let slots = rechunked(&scene).await;
    switch_to(&scene, &[("a", slots)]).await;
    let purged = scene.purge().await;
    assert_eq!(purged, Some(vec![Slot(0), Slot(1)]), "the old chunks");
    scene.publish().await;
    let mut again = staged("a", &["a one", "a two"]);
    again.pipeline = switch(&[]).pipeline;
    let outcome = scene.stage_one(put(again)).await;
    assert!(
        matches!(outcome, ChangeOutcome::Unchanged { .. }),
        "{outcome:?}"
    );
    scene.delete("a").await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["b: b"]);
    scene.check_sound().await;
}

/// Replaced, new and failed versions, with one that is chunked anew before it is published.
async fn a_switch_publishes_what_is_pending(scene: Scene) {
    scene.put("a", &["a"]).await; // slot 0
    scene.put("b", &["b"]).await; // slot 1
    scene.publish().await;
    scene.put("a", &["a overtaken"]).await; // slot 2
    scene.put("a", &["a replaced"]).await; // slot 3
    scene.put("c", &["c"]).await; // slot 4
    let failed = scene.put("b", &["poison"]).await; // slot 5
    scene.fail(failed, "reason").await;
    let slots = rechunk(&scene, "a", &["a", "replaced"]).await.unwrap();
    assert_eq!(slots, [6, 7].map(Slot));
    let before = ["a: a", "b: b"];
    assert_eq!(scene.visible().await, before);
    let pin = scene.pin().await;
    switch_to(&scene, &[("a", slots)]).await;
    let stats = scene.stats().await;
    assert_eq!((stats.published, stats.lag()), (stats.newest, 0));
    let after = ["a: a | replaced", "b: b", "c: c"];
    assert_eq!(scene.visible().await, after);
    assert_eq!(super::scene::visible(&*pin, None).await, before);
    let failed = scene.purge().await;
    assert_eq!(failed, Some(vec![Slot(5)]), "the pin sees slot 0");
    scene.check_sound().await;
    drop(pin);
    let replaced = scene.purge().await;
    assert_eq!(replaced, Some([0, 2, 3].map(Slot).to_vec()));
    scene.publish().await;
    scene.check_sound().await;
}

async fn a_switch_that_is_refused_publishes_nothing(scene: Scene) {
    scene.put("a", &["a"]).await;
    scene.publish().await;
    let stale = rechunk(&scene, "a", &["a anew"]).await.unwrap();
    scene.put("a", &["a replaced"]).await;
    let before = scene.stats().await;
    let too_early = SwitchGeneration {
        publish_through: before.published,
        ..switch(&[])
    };
    for refused in [too_early, switch(&[("a", stale)])] {
        let code = refusal(&scene, refused).await;
        assert_eq!(code, ErrorCode::InvalidRequest);
        assert_eq!(scene.stats().await, before);
        assert_eq!(scene.visible().await, ["a: a"]);
    }
    scene.check_sound().await;
}

async fn a_switch_refuses_stale_chunks(scene: Scene) {
    scene.put("a", &["a"]).await;
    scene.put("b", &["b"]).await;
    scene.put("c", &["c"]).await;
    scene.publish().await;
    let of_a = rechunk(&scene, "a", &["a anew"]).await.unwrap();
    let of_b = rechunk(&scene, "b", &["b anew"]).await.unwrap();
    let of_c = rechunk(&scene, "c", &["c anew"]).await.unwrap();
    scene.put("a", &["a replaced"]).await;
    scene.delete("b").await;
    scene.publish().await;
    let stale = [
        switch(&[("c", of_c.clone()), ("a", of_a.clone())]),
        switch(&[("b", of_b)]),
        switch(&[("c", of_a)]),
        switch(&[("c", vec![Slot(999)])]),
    ];
    for stale in stale {
        assert_eq!(refusal(&scene, stale).await, ErrorCode::InvalidRequest);
    }
    assert_eq!(scene.visible().await, ["a: a replaced", "c: c"]);
    scene.check_sound().await;
}

async fn what_failed_is_not_rechunked(scene: Scene) {
    let refused = |result: Result<Vec<Slot>>| {
        let code = result.unwrap_err().code();
        assert_eq!(code, ErrorCode::InvalidRequest);
    };
    refused(rechunk(&scene, "absent", &["x"]).await);
    scene.put("a", &["a"]).await;
    scene.publish().await;
    let failed = scene.put("a", &["poison"]).await;
    scene.fail(failed, "reason").await;
    scene.publish().await;
    refused(rechunk(&scene, "a", &["x"]).await);
}

async fn chunks_of_a_rebuild_under_way_are_kept(scene: Scene) {
    scene.put("a", &["a"]).await;
    scene.publish().await;
    let slots = rechunk(&scene, "a", &["anew"]).await.unwrap();
    assert_eq!(scene.ledger.sweep().await.unwrap(), 0);
    switch_to(&scene, &[("a", slots)]).await;
    assert_eq!(scene.visible().await, ["a: anew"]);
}
