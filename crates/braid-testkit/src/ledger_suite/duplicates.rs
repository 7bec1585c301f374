//! Documents that say the same as another are found, and treated as the collection asks.

use braid_core::duplicate::SKETCH_VALUES;
use braid_core::operation::{ChangeOutcome, StagedDocument};
use braid_core::ports::{JobChange, JobItemStatus, Recorded};
use braid_core::{
    CollectionSettings, Duplicate, DuplicateAction, DuplicateSettings, JobId, Likeness,
};
use uuid::Uuid;

use super::FreshLedger;
use super::scene::{Scene, hash, new_collection, put, staged};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    let scene = async |action, min_percent| {
        let settings = DuplicateSettings {
            action,
            min_percent,
        };
        with_settings(Scene::new(fresh()).await, settings).await
    };
    the_same_words_are_reported(scene(DuplicateAction::Report, 100).await).await;
    what_is_gone_or_failed_has_no_duplicates(scene(DuplicateAction::Report, 100).await).await;
    a_new_duplicate_is_skipped_a_stored_one_replaced(scene(DuplicateAction::Skip, 100).await).await;
    what_was_skipped_stands_where_its_original_does(scene(DuplicateAction::Skip, 100).await).await;
    near_duplicates_are_of_the_most_similar(scene(DuplicateAction::Link, 80).await).await;
    what_is_ignored_is_not_found(scene(DuplicateAction::Ignore, 80).await).await;
    the_duplicates_of_what_is_gone_are_of_each_other(scene(DuplicateAction::Link, 80).await).await;
    a_taken_back_original_is_named_no_more(scene(DuplicateAction::Report, 100).await).await;
}

/// The scene in a collection of its own.
async fn with_settings(scene: Scene, duplicates: DuplicateSettings) -> Scene {
    let mut new = new_collection("duplicates");
    new.settings = CollectionSettings {
        duplicates,
        ..CollectionSettings::default()
    };
    let made = scene.ledger.create_collection(new, None).await.unwrap();
    let Recorded::Done(collection) = made else {
        panic!("created without an idempotency key");
    };
    assert_eq!(collection.settings.duplicates, duplicates);
    scene.within(collection)
}

/// A document with these words; the first `different` values of its sketch are its own.
fn like(id: &str, words: &str, different: usize) -> StagedDocument {
    let mut sketch = Box::new([1; SKETCH_VALUES]);
    let own = u32::from_le_bytes([hash(words).0[0], hash(words).0[1], 1, 0]);
    sketch[..different].fill(own);
    StagedDocument {
        likeness: Some(Likeness {
            words: hash(words),
            sketch: Some(sketch),
        }),
        ..staged(id, &[words])
    }
}

async fn stage(scene: &Scene, document: StagedDocument) -> Option<(String, u8)> {
    let outcome = scene.stage_one(put(document)).await;
    let duplicate = match outcome {
        ChangeOutcome::Staged { duplicate, .. } => duplicate,
        ChangeOutcome::Duplicate(duplicate) => Some(duplicate),
        ChangeOutcome::Unchanged { .. }
        | ChangeOutcome::Deleted { .. }
        | ChangeOutcome::Absent
        | ChangeOutcome::Unmet => panic!("{outcome:?}"),
    };
    duplicate.map(|Duplicate { of, percent }| (of.to_string(), percent))
}

fn of(id: &str, percent: u8) -> Option<(String, u8)> {
    Some((id.to_owned(), percent))
}

async fn the_same_words_are_reported(scene: Scene) {
    assert_eq!(stage(&scene, like("a", "words", 0)).await, None);
    assert_eq!(stage(&scene, like("b", "words", 0)).await, of("a", 100));
    assert_eq!(
        stage(&scene, like("c", "other", 0)).await,
        None,
        "only near"
    );
    let again = stage(&scene, like("d", "words", 0)).await;
    assert_eq!(again, of("a", 100), "of the original");
    scene.publish().await;
    let page = scene.ledger.documents(scene.collection.id, None, 9).await;
    let found = page.unwrap().items.into_iter();
    let found: Vec<_> = found
        .filter_map(|it| Some((it.id.to_string(), it.duplicate?.of.to_string())))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(found, [pair("b", "a"), pair("d", "a")]);
    let slots = scene.pin().await.select(None).await.unwrap().slots.unwrap();
    let slots: Vec<_> = slots.iter().map(braid_core::Slot).collect();
    let passages = scene.pin().await.hydrate(&slots).await.unwrap();
    let linked = passages.iter().filter(|it| it.duplicate_of.is_some());
    assert_eq!(linked.count(), 2, "a passage says so too");
    let changed = stage(&scene, like("b", "changed", 0)).await;
    assert_eq!(changed, None);
    scene.check_sound().await;
}

async fn what_is_gone_or_failed_has_no_duplicates(scene: Scene) {
    stage(&scene, like("a", "words", 0)).await;
    scene.publish().await;
    scene.delete("a").await;
    assert_eq!(
        stage(&scene, like("b", "words", 0)).await,
        None,
        "a is gone"
    );
    let failed = scene.stats().await.newest;
    scene.fail(failed, "poison").await;
    assert_eq!(stage(&scene, like("c", "words", 0)).await, None, "b failed");
    stage(&scene, like("c", "new words", 0)).await;
    assert_eq!(
        stage(&scene, like("d", "words", 0)).await,
        None,
        "c changed"
    );
    assert_eq!(stage(&scene, like("e", "words", 0)).await, of("d", 100));
    scene.publish().await;
    scene.delete("d").await;
    let last = stage(&scene, like("f", "words", 0)).await;
    assert_eq!(last, of("e", 100), "the original is gone");
    scene.check_sound().await;
}

async fn a_new_duplicate_is_skipped_a_stored_one_replaced(scene: Scene) {
    stage(&scene, like("a", "words", 0)).await;
    stage(&scene, like("b", "own words", 0)).await;
    scene.publish().await;
    let newest = scene.stats().await.newest;
    let job = JobId(Uuid::from_u128(5));
    let changes = vec![put(like("c", "words", 0)), put(like("b", "words", 0))];
    let receipt = scene.stage_as(job, changes).await;
    assert!(matches!(&receipt.outcomes[0], ChangeOutcome::Duplicate(it) if it.of.as_str() == "a"));
    assert!(matches!(
        &receipt.outcomes[1],
        ChangeOutcome::Staged { replaced: true, duplicate: Some(it), .. } if it.of.as_str() == "a"
    ));
    assert_eq!(
        receipt.newest,
        newest.next(),
        "the skipped one is not logged"
    );
    let items = scene.ledger.job(job).await.unwrap().unwrap().items;
    assert_eq!(items[0].status, JobItemStatus::Skipped);
    assert_eq!(items[0].change, Some(JobChange::Duplicate));
    let named = items.iter().map(|item| item.duplicate.as_ref().unwrap());
    assert!(
        named
            .into_iter()
            .all(|duplicate| duplicate.of.as_str() == "a")
    );
    scene.publish().await;
    assert_eq!(scene.visible().await, ["a: words", "b: words"]);
    scene.delete("a").await;
    scene.delete("b").await;
    assert_eq!(stage(&scene, like("c", "words", 0)).await, None);
    scene.check_sound().await;
}

/// What is skipped is not stored: while its original may still fail nobody is told that it is done,
/// and it fails with it.
async fn what_was_skipped_stands_where_its_original_does(scene: Scene) {
    let job = JobId(Uuid::from_u128(6));
    let status = async || {
        let job = scene.ledger.job(job).await.unwrap().unwrap();
        let [item] = &job.items[..] else {
            panic!("{job:?}");
        };
        assert_eq!(item.change, Some(JobChange::Duplicate));
        item.status.clone()
    };
    stage(&scene, like("a", "words", 0)).await;
    let original = scene.stats().await.newest;
    scene.stage_as(job, vec![put(like("b", "words", 0))]).await;
    assert_eq!(status().await, JobItemStatus::Pending);
    scene.fail(original, "poison").await;
    scene.publish().await;
    let JobItemStatus::Failed(reason) = status().await else {
        panic!("{:?}", status().await);
    };
    assert!(
        reason.contains("\"a\"") && reason.contains("poison"),
        "{reason}"
    );
    stage(&scene, like("a", "words", 0)).await;
    assert_eq!(status().await, JobItemStatus::Pending, "tried again");
    scene.publish().await;
    assert_eq!(status().await, JobItemStatus::Skipped);
    scene.advance_ms(1);
    stage(&scene, like("a", "later words", 0)).await;
    assert_eq!(status().await, JobItemStatus::Skipped, "a later version");
    let later = scene.stats().await.newest;
    scene.fail(later, "poison").await;
    scene.publish().await;
    assert_eq!(status().await, JobItemStatus::Skipped);
    scene.delete("a").await;
    assert_eq!(status().await, JobItemStatus::Skipped);
    scene.check_sound().await;
}

async fn near_duplicates_are_of_the_most_similar(scene: Scene) {
    // 26 of 128 values differ: 79 percent are equal.
    stage(&scene, like("far", "one", 26)).await;
    stage(&scene, like("near", "two", 20)).await;
    assert_eq!(stage(&scene, like("a", "three", 0)).await, of("near", 84));
    assert_eq!(stage(&scene, like("b", "two", 20)).await, of("near", 100));
    let most = stage(&scene, like("c", "four", 1)).await;
    assert_eq!(most, of("near", 84), "of a, so of what a is of");
    stage(&scene, like("near", "something else", SKETCH_VALUES)).await;
    let left = stage(&scene, like("d", "two", 20)).await;
    assert_eq!(left, of("b", 100), "the original says something else now");
    scene.check_sound().await;
}

/// Each document that is a duplicate, and of which.
async fn named(scene: &Scene) -> Vec<String> {
    let page = scene.ledger.documents(scene.collection.id, None, 99).await;
    let found = page.unwrap().items.into_iter();
    let named = found.filter_map(|it| {
        let Duplicate { of, percent } = it.duplicate?;
        Some(format!("{}: {percent}% {of}", it.id))
    });
    named.collect()
}

/// A renamed document is put under its new name, and then deleted under the old one.
async fn the_duplicates_of_what_is_gone_are_of_each_other(scene: Scene) {
    stage(&scene, like("old", "words", 0)).await;
    stage(&scene, like("b", "words", 0)).await;
    stage(&scene, like("far", "other words", 20)).await;
    scene.publish().await;
    stage(&scene, like("new", "words", 0)).await;
    assert_eq!(
        named(&scene).await,
        ["b: 100% old", "far: 84% old", "new: 100% old"]
    );
    scene.delete("old").await;
    scene.check_sound().await;
    assert_eq!(named(&scene).await, ["far: 84% b", "new: 100% b"]);
    scene.publish().await;
    stage(&scene, like("b", "words once more", SKETCH_VALUES)).await;
    scene.delete("b").await;
    assert_eq!(named(&scene).await, ["new: 84% far"], "the oldest of them");
    scene.delete("far").await;
    scene.delete("new").await;
    scene.publish().await;
    scene.check_sound().await;
}

async fn a_taken_back_original_is_named_no_more(scene: Scene) {
    let job = JobId(Uuid::from_u128(6));
    scene.stage_as(job, vec![put(like("a", "words", 0))]).await;
    assert_eq!(stage(&scene, like("b", "words", 0)).await, of("a", 100));
    scene.ledger.cancel_job(job, None).await.unwrap();
    assert!(named(&scene).await.is_empty());
    scene.check_sound().await;
}

async fn what_is_ignored_is_not_found(scene: Scene) {
    stage(&scene, like("a", "words", 0)).await;
    assert_eq!(stage(&scene, like("b", "words", 0)).await, None);
    scene.check_sound().await;
}
