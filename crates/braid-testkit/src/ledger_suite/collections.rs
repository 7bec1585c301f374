//! Collections are made once, found by name, and deleted whole.

use std::sync::Arc;

use braid_core::ports::{IdempotencyKey, Recorded, StoredResponse, WriteGuard};
use braid_core::{
    CollectionName, ErrorCode, Fingerprint, Language, LanguageSetting, Ledger, NewCollection,
    Sequence, Synonyms,
};

use super::FreshLedger;
use super::scene::{Scene, hash, new_collection};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    creating_twice_gives_the_same(&*fresh().ledger).await;
    other_settings_are_refused(&*fresh().ledger).await;
    collections_are_listed_by_name(&*fresh().ledger).await;
    a_deleted_collection_is_gone(Scene::new(fresh()).await).await;
    collections_are_apart(Scene::new(fresh()).await).await;
    guarded_mutations_happen_once(&*fresh().ledger).await;
    synonyms_can_be_replaced(&*fresh().ledger).await;
}

async fn create(ledger: &dyn Ledger, new: NewCollection) -> braid_core::Collection {
    match ledger.create_collection(new, None).await.unwrap() {
        Recorded::Done(collection) => collection,
        Recorded::Replayed(_) => panic!("created without an idempotency key"),
    }
}

async fn creating_twice_gives_the_same(ledger: &dyn Ledger) {
    let made = create(ledger, new_collection("a")).await;
    assert_eq!(made.settings, new_collection("a").settings);
    assert_eq!(made.fingerprint, new_collection("a").fingerprint);
    assert_eq!(create(ledger, new_collection("a")).await, made);
    let found = ledger.collection(&made.name).await.unwrap();
    assert_eq!(found, Some(made));
}

async fn other_settings_are_refused(ledger: &dyn Ledger) {
    let made = create(ledger, new_collection("a")).await;
    let mut language = new_collection("a");
    language.settings.language = LanguageSetting::Fixed(Language::German);
    let mut chunking = new_collection("a");
    chunking.settings.chunking.target_tokens += 1;
    let mut embedder = new_collection("a");
    embedder.fingerprint.embedder = Fingerprint::new("another");
    let mut dimension = new_collection("a");
    dimension.dimension += 1;
    for other in [language, chunking, embedder, dimension] {
        let error = ledger.create_collection(other, None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CollectionExists);
    }
    assert_eq!(ledger.collections().await.unwrap(), [made]);
}

async fn collections_are_listed_by_name(ledger: &dyn Ledger) {
    assert!(ledger.collections().await.unwrap().is_empty());
    for name in ["b", "a", "c-1"] {
        create(ledger, new_collection(name)).await;
    }
    let listed = ledger.collections().await.unwrap();
    let names: Vec<_> = listed.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c-1"]);
    let absent = CollectionName::new("d").unwrap();
    assert_eq!(ledger.collection(&absent).await.unwrap(), None);
    let error = ledger.pin(&absent).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::CollectionNotFound);
}

async fn a_deleted_collection_is_gone(scene: Scene) {
    scene.put("d", &["one"]).await;
    scene.publish().await;
    scene.put("e", &["two"]).await;
    let (ledger, id) = (&scene.ledger, scene.collection.id);
    let name = &scene.collection.name;
    let deleted = ledger.delete_collection(name, None).await.unwrap();
    assert_eq!(deleted, Recorded::Done(true));
    let deleted = ledger.delete_collection(name, None).await.unwrap();
    assert_eq!(deleted, Recorded::Done(false));
    assert_eq!(ledger.collection(name).await.unwrap(), None);
    let gone = |code| assert_eq!(code, ErrorCode::CollectionNotFound);
    gone(ledger.stats(id).await.unwrap_err().code());
    gone(ledger.pin(name).await.err().unwrap().code());
    gone(ledger.publish(id, Sequence(2)).await.unwrap_err().code());
    gone(ledger.live_slots(id).await.unwrap_err().code());
    gone(ledger.stage_purge(id).await.unwrap_err().code());

    let again = create(&**ledger, new_collection("scene")).await;
    assert_ne!(again.id, id, "a number is never reused");
    let stats = ledger.stats(again.id).await.unwrap();
    assert_eq!(stats, braid_core::operation::CollectionStats::default());
    let listed = ledger.documents(again.id, None, 9).await.unwrap();
    assert!(listed.items.is_empty());
}

async fn collections_are_apart(scene: Scene) {
    scene.put("d", &["one"]).await;
    scene.publish().await;
    let other = create(&*scene.ledger, new_collection("other")).await;
    let twin = Scene::of(scene.ledger.clone()).await;
    assert_eq!(twin.collection, scene.collection);
    let listed = scene.ledger.documents(other.id, None, 9).await.unwrap();
    assert!(listed.items.is_empty());
    let deleted = scene.ledger.delete_collection(&other.name, None).await;
    assert_eq!(deleted.unwrap(), Recorded::Done(true));
    assert_eq!(scene.visible().await, ["d: one"]);
    scene.check_sound().await;
}

fn guard<R>(request: &str) -> Option<WriteGuard<R>> {
    Some(WriteGuard {
        key: IdempotencyKey {
            key: "key".to_owned(),
            request: hash(request),
            expires_at_ms: i64::MAX,
        },
        respond: Box::new(|_| StoredResponse {
            status: 201,
            body: b"made".to_vec(),
        }),
    })
}

async fn guarded_mutations_happen_once(ledger: &dyn Ledger) {
    let first = ledger.create_collection(new_collection("a"), guard("create"));
    assert!(matches!(first.await.unwrap(), Recorded::Done(_)));
    let replayed = ledger.create_collection(new_collection("a"), guard("create"));
    let Recorded::Replayed(response) = replayed.await.unwrap() else {
        panic!("the answer is recorded");
    };
    assert_eq!((response.status, &response.body[..]), (201, &b"made"[..]));
    let name = new_collection("a").name;
    let conflict = ledger.delete_collection(&name, guard("delete")).await;
    let code = conflict.unwrap_err().code();
    assert_eq!(code, ErrorCode::IdempotencyConflict);
    assert!(ledger.collection(&name).await.unwrap().is_some());
}

async fn synonyms_can_be_replaced(ledger: &dyn Ledger) {
    let made = create(ledger, new_collection("a")).await;
    let other = create(ledger, new_collection("b")).await;
    assert!(made.synonyms.is_empty(), "none at first");
    let before = ledger.pin(&made.name).await.unwrap();
    for rules in [
        &["k8s, kubernetes", "ml => machine learning"][..],
        &["a, b"],
        &[],
    ] {
        let synonyms = Arc::new(Synonyms::parse(rules).unwrap());
        let set = ledger.set_synonyms(&made.name, Arc::clone(&synonyms), None);
        let Recorded::Done(set) = set.await.unwrap() else {
            panic!("set without an idempotency key");
        };
        assert_eq!(set.synonyms, synonyms);
        assert_eq!(set.id, made.id);
        let found = ledger.collection(&made.name).await.unwrap();
        assert_eq!(found.as_ref(), Some(&set));
        let pin = ledger.pin(&made.name).await.unwrap();
        assert_eq!(pin.collection(), &set);
        let again = create(ledger, new_collection("a")).await;
        assert_eq!(again, set, "synonyms are no setting that could differ");
        let listed = ledger.collections().await.unwrap();
        assert_eq!(listed, [set, other.clone()]);
    }
    assert!(
        before.collection().synonyms.is_empty(),
        "a pin does not change"
    );
    let absent = CollectionName::new("absent").unwrap();
    let error = ledger.set_synonyms(&absent, Arc::default(), None).await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::CollectionNotFound);
    let rules = || Arc::new(Synonyms::parse(&["x, y"]).unwrap());
    let first = ledger.set_synonyms(&made.name, rules(), guard("synonyms"));
    assert!(matches!(first.await.unwrap(), Recorded::Done(_)));
    let again = ledger.set_synonyms(&made.name, rules(), guard("synonyms"));
    assert!(matches!(again.await.unwrap(), Recorded::Replayed(_)));
    ledger.delete_collection(&made.name, None).await.unwrap();
    let anew = create(ledger, new_collection("a")).await;
    assert!(anew.synonyms.is_empty(), "they go with their collection");
}
