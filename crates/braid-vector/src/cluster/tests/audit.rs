//! Planted drift is found and mended.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{DocumentId, ErrorCode, Ledger, Sequence, SlotSet, WorkQueue};
use braid_testkit::ledger_suite::{Scene, staged};

use super::{World, everywhere};
use crate::cluster::audit::Audit;
use crate::cluster::heads::{DUE, Lease};
use crate::cluster::ledger::ClusterLedger;
use crate::cluster::rows::{BODY, integer, point_id, text};
use crate::cluster::versions::{Version, version_id};

const DAY_MS: i64 = 86_400_000;

everywhere!(
    what_is_whole_is_sound,
    lost_chunks_are_indexed_again,
    what_no_head_names_is_removed,
    what_lost_its_head_is_kept,
    a_collection_that_qdrant_lost_is_told,
    heads_are_what_they_are_searched_by,
    a_lost_version_is_left,
    what_is_damaged_is_told_and_nothing_of_it_removed,
    a_damaged_version_ends_nothing,
);

struct Stage {
    ledger: Arc<ClusterLedger>,
    scene: Scene,
    world: World,
}

impl Stage {
    /// Three documents are published, one was replaced, one deleted, one waits.
    async fn new(world: World) -> Self {
        let ledger = world.open().await;
        let scene = Scene::of(ledger.clone()).await.indexed_by(ledger.clone());
        for id in ["a", "b", "c", "gone"] {
            scene.put(id, &["zero", id, "two"]).await;
        }
        scene.put("empty", &[]).await;
        scene.publish().await;
        scene.put("b", &["newer"]).await;
        scene.delete("gone").await;
        scene.publish().await;
        scene.put("waits", &["later"]).await;
        Self {
            ledger,
            scene,
            world,
        }
    }

    async fn audit(&self, repair: bool) -> Audit {
        let id = self.scene.collection.id;
        self.ledger.audit(id, repair).await.unwrap()
    }

    fn shelf(&self) -> Arc<crate::cluster::shelf::Shelf> {
        self.ledger.shelf_of(&self.scene.collection)
    }

    async fn published(&self, id: &str) -> (DocumentId, Sequence) {
        let document = DocumentId::new(id).unwrap();
        let head = self.shelf().heads.read_one(&document).await.unwrap();
        (document, head.published_sequence().unwrap())
    }
}

#[track_caller]
fn sound(audit: &Audit) {
    assert_eq!(audit.problems, [""; 0], "{audit:?}");
    assert!(audit.missing.is_empty() && audit.extra.is_empty() && audit.left.is_empty());
}

async fn what_is_whole_is_sound(world: World) {
    let stage = Stage::new(world).await;
    // a and c; b twice; gone.
    for _ in 0..2 {
        let found = stage.audit(false).await;
        sound(&found);
        assert_eq!(
            found.chunks,
            3 * 4 + 1,
            "replaced versions are stored still"
        );
        let mended = stage.audit(true).await;
        sound(&mended);
        assert_eq!((mended.again, mended.removed), (0, 0));
        // Old enough to be left over, and named.
        stage.world.advance_ms(2 * DAY_MS);
    }
    let before = stage.scene.visible().await;
    stage.scene.publish().await;
    assert_eq!(stage.scene.visible().await.len(), before.len() + 1);
}

async fn lost_chunks_are_indexed_again(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    let (a, b) = (stage.published("a").await, stage.published("b").await);
    let chunks = shelf.chunks.of_document(&a.0, a.1, 1..=1).await.unwrap();
    let lost = chunks[0].record.slot.0;
    shelf
        .chunks
        .delete_slots(&[braid_core::Slot(lost)])
        .await
        .unwrap();
    shelf
        .chunks
        .delete_versions(std::slice::from_ref(&b))
        .await
        .unwrap();
    let found = stage.audit(false).await;
    assert_eq!(found.problems.len(), 2, "{found:?}");
    assert_eq!(found.missing.len(), 2);
    assert!(found.missing.contains(lost) && found.extra.is_empty());
    assert_eq!(found.again, 0, "nothing is mended without being asked");
    let mended = stage.audit(true).await;
    assert_eq!((mended.again, &mended.left[..]), (2, &[][..]));
    let there = stage.scene.visible().await;
    assert!(there.contains(&"a: zero | two".to_owned()), "{there:?}");
    // They wait, and asking once more changes nothing.
    assert_eq!(stage.audit(true).await.again, 2);
    assert_eq!(
        stage
            .ledger
            .stats(stage.scene.collection.id)
            .await
            .unwrap()
            .lag(),
        3
    );
    stage.scene.publish().await;
    let there = stage.scene.visible().await;
    for text in ["a: zero | a | two", "b: newer", "c: zero | c | two"] {
        assert!(there.contains(&text.to_owned()), "{there:?}");
    }
    sound(&stage.audit(false).await);
    // The same content is unchanged still.
    let again = stage
        .scene
        .stage_one(braid_testkit::ledger_suite::put(staged("b", &["newer"])));
    assert!(matches!(
        again.await,
        braid_core::operation::ChangeOutcome::Unchanged { .. }
    ));
}

async fn what_no_head_names_is_removed(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    let version = |sequence: u64| {
        let slots: Vec<_> = (9000..9003).map(braid_core::Slot).collect();
        let staged = staged("a", &["never", "named", "by a head"]);
        Version::new(&staged, Sequence(sequence), &slots, stage.ledger.now_ms())
    };
    shelf.versions.write(&[&version(700)]).await.unwrap();
    sound(&stage.audit(false).await);
    stage.world.advance_ms(DAY_MS);
    let found = stage.audit(false).await;
    assert_eq!(found.problems.len(), 1, "{found:?}");
    let (document, sequence) = stage.published("a").await;
    let chunks = shelf.chunks.of_document(&document, sequence, 0..=9).await;
    let mut late = chunks.unwrap().remove(0);
    late.record.slot = braid_core::Slot(9001);
    late.record.sequence = Sequence(700);
    let bm25 = crate::cluster::chunks::Bm25Parameters {
        k1: 1.2,
        b: 0.75,
        mean_length: 6.0,
        revision: 0,
    };
    let dimension = stage.scene.collection.dimension;
    let embedding = vec![1.0; dimension].into();
    shelf
        .chunks
        .put(vec![(late, embedding)], bm25)
        .await
        .unwrap();
    let found = stage.audit(false).await;
    assert_eq!(found.problems.len(), 2, "{found:?}");
    assert_eq!(found.extra, SlotSet::from([9001]));
    let mended = stage.audit(true).await;
    assert_eq!((mended.removed, &mended.left[..]), (2, &[][..]));
    sound(&stage.audit(false).await);
}

/// Heads as of an older snapshot: the version is the only text that there is.
async fn what_lost_its_head_is_kept(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    let lost = stage.published("c").await;
    shelf.heads.table.delete(&[point_id("c")]).await.unwrap();
    stage.world.advance_ms(DAY_MS);
    for repair in [false, true] {
        let found = stage.audit(repair).await;
        assert_eq!(found.problems.len(), 1, "{found:?}");
        assert!(found.problems[0].contains("\"c\" is there and its head is not"));
        assert_eq!((found.removed, found.left.len()), (0, usize::from(repair)));
        assert!(found.extra.is_empty(), "{found:?}");
    }
    WorkQueue::sweep(&*stage.ledger, Duration::ZERO)
        .await
        .unwrap();
    let whole = shelf.versions.whole(&lost.0, lost.1).await.unwrap();
    assert!(whole.is_some());
    let chunks = shelf.chunks.of_document(&lost.0, lost.1, 0..=9).await;
    assert_eq!(chunks.unwrap().len(), 3);
    // As the audit says.
    stage.scene.put("c", &["again"]).await;
    stage.scene.publish().await;
    let mended = stage.audit(true).await;
    assert_eq!((mended.removed, &mended.left[..]), (4, &[][..]));
    sound(&stage.audit(false).await);
}

async fn a_collection_that_qdrant_lost_is_told(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    shelf.versions.table.remove().await.unwrap();
    for repair in [false, true] {
        let found = stage.audit(repair).await;
        assert_eq!(found.problems.len(), 1, "{found:?}");
        assert!(found.problems[0].contains("has no collection"), "{found:?}");
        assert_eq!(found.left.len(), usize::from(repair));
    }
    let name = stage.scene.collection.name.clone();
    let deleted = stage.ledger.delete_collection(&name, None).await;
    deleted.unwrap();
    let gone = stage.ledger.audit(stage.scene.collection.id, false).await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::CollectionNotFound);
}

async fn heads_are_what_they_are_searched_by(world: World) {
    let stage = Stage::new(world).await;
    let heads = &stage.shelf().heads;
    let id = point_id("waits");
    let mut fields = heads
        .table
        .get(&[id], &[])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let right = fields.clone();
    fields.insert("n:9:year".to_owned(), integer(1999));
    heads.table.put(vec![(id, fields.clone())]).await.unwrap();
    let found = stage.audit(false).await;
    assert!(found.problems[0].contains("year"), "{found:?}");
    fields = right;
    fields.insert(DUE.to_owned(), integer(40 * DAY_MS));
    heads.table.put(vec![(id, fields)]).await.unwrap();
    assert_eq!(stage.scene.publish().await.published, 0, "nobody finds it");
    let found = stage.audit(false).await;
    assert!(found.problems[0].contains(DUE), "{found:?}");
    assert_eq!(stage.audit(true).await.left, [""; 0]);
    sound(&stage.audit(false).await);
    // Claimed by a process whose clock is a month ahead.
    let lease = Lease {
        token: 1,
        until_ms: 30 * DAY_MS,
    };
    let claim = |_: usize, head: crate::cluster::heads::Head| Ok(Ok::<_, ()>(head.claim(lease)));
    let documents = [DocumentId::new("waits").unwrap()];
    heads.step(&documents, (), claim).await.unwrap();
    let found = stage.audit(true).await;
    assert!(found.problems[0].contains("clock"), "{found:?}");
    sound(&stage.audit(false).await);
    assert_eq!(stage.scene.publish().await.published, 1);
}

async fn a_lost_version_is_left(world: World) {
    let stage = Stage::new(world).await;
    let published = stage.published("c").await;
    let versions = &stage.shelf().versions;
    versions
        .delete(std::slice::from_ref(&published))
        .await
        .unwrap();
    let mended = stage.audit(true).await;
    assert_eq!(mended.problems.len(), 1);
    assert_eq!(mended.left, mended.problems);
    // Its chunks are found still.
    let chunks = &stage.shelf().chunks;
    let there = chunks.of_document(&published.0, published.1, 0..=9).await;
    assert_eq!(there.unwrap().len(), 3);
}

async fn what_is_damaged_is_told_and_nothing_of_it_removed(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    let (a, c) = (stage.published("a").await, stage.published("c").await);
    shelf.chunks.delete_versions(&[c]).await.unwrap();
    let id = point_id("a");
    let head = shelf.heads.table.get(&[id], &[]).await.unwrap().remove(0);
    let mut head = head.unwrap();
    head.insert(BODY.to_owned(), text("no JSON"));
    shelf.heads.table.put(vec![(id, head)]).await.unwrap();
    stage.world.advance_ms(2 * DAY_MS);
    for repair in [false, true] {
        let found = stage.audit(repair).await;
        let told = |part: &str| found.problems.iter().any(|it| it.contains(part));
        assert!(told("cannot be read") && told("\"c\" lacks 3"), "{found:?}");
        assert_eq!(found.problems.len(), 2, "{found:?}");
        assert_eq!((found.removed, found.left.len()), (0, usize::from(repair)));
    }
    let there = shelf.chunks.of_document(&a.0, a.1, 0..=9).await.unwrap();
    assert_eq!(there.len(), 3);
    let version = shelf.versions.whole(&a.0, a.1).await.unwrap();
    assert!(version.is_some());
}

/// Neither which slots its chunks had can be told, nor can they be indexed again.
async fn a_damaged_version_ends_nothing(world: World) {
    let stage = Stage::new(world).await;
    let shelf = stage.shelf();
    let (a, c) = (stage.published("a").await, stage.published("c").await);
    let chunks = shelf.chunks.of_document(&a.0, a.1, 0..=0).await.unwrap();
    let lost = chunks[0].record.slot;
    shelf.chunks.delete_slots(&[lost]).await.unwrap();
    shelf.chunks.delete_versions(&[c]).await.unwrap();
    let id = version_id(a.0.as_str(), a.1.0);
    let table = &shelf.versions.table;
    let mut version = table.get(&[id], &[]).await.unwrap().remove(0).unwrap();
    version.insert("chunks".to_owned(), text("no JSON"));
    table.put(vec![(id, version)]).await.unwrap();
    let mended = stage.audit(true).await;
    let told = |part: &str| mended.problems.iter().any(|it| it.contains(part));
    assert!(told("\"a\" lacks 1") && told("\"c\" lacks 3") && told("cannot be read"));
    assert_eq!(mended.again, 1, "{mended:?}");
    let is_left = |it: &String| it.contains("\"a\" is gone");
    assert!(mended.left.iter().any(is_left), "{mended:?}");
}
