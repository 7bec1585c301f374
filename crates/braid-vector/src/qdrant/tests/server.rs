//! A server that is shared.

use super::*;

async fn make(site: &QdrantSite, collection: u32, generation: u32) -> IndexKey {
    let key = IndexKey {
        collection: CollectionId(collection),
        generation: Generation(generation),
    };
    let nothing = IndexBatch {
        add: Vec::new(),
        delete: SlotSet::new(),
        watermark: Sequence(1),
    };
    site.store(key, 2).apply(nothing).await.unwrap();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn only_left_over_collections_of_the_own_namespace_are_removed() {
    let double = QdrantDouble::start();
    let named = |namespace: &str| {
        site(QdrantOptions {
            namespace: namespace.to_owned(),
            ..options(double.url())
        })
    };
    let (ours, theirs, similar) = (named("ours"), named("theirs"), named("ours-1"));
    let kept = make(&ours, 1, 2).await;
    make(&ours, 1, 1).await;
    let removed = make(&ours, 2, 1).await;
    make(&theirs, 1, 1).await;
    make(&similar, 1, 1).await;
    ours.remove(removed).await.unwrap();
    ours.remove(removed).await.unwrap();
    ours.retain(&[kept]).await.unwrap();
    assert_eq!(
        double.collections(),
        ["ours-1-1-1", "ours-1-2", "theirs-1-1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_asks_nothing_before_it_is_used() {
    let site = site(options("http://127.0.0.1:1".to_owned()));
    let store = site.store(key(1), 2);
    assert!(store.pin().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_makes_nothing() {
    let double = QdrantDouble::start();
    let store = site(options(double.url())).store(key(1), 2);
    assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
    assert!(store.slots().await.unwrap().is_empty());
    assert!(double.collections().is_empty());
}
