//! Embeddings are kept by embedder and text, and dropped when no chunk has the text.

use braid_core::{ContentHash, Embedding, Fingerprint};

use super::FreshLedger;
use super::scene::{Scene, hash};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    embeddings_read_back(Scene::new(fresh()).await).await;
    unused_embeddings_are_swept(Scene::new(fresh()).await).await;
    missing_embeddings_are_reported(Scene::new(fresh()).await).await;
}

fn embedding(values: &[f32]) -> Embedding {
    values.into()
}

async fn store(scene: &Scene, embedder: &str, stored: &[(&str, &[f32])]) {
    let embeddings = stored
        .iter()
        .map(|(text, values)| (hash(text), embedding(values)));
    let embedder = Fingerprint::new(embedder);
    let put = scene.ledger.put_embeddings(&embedder, embeddings.collect());
    put.await.unwrap();
}

async fn read(scene: &Scene, embedder: &str, texts: &[&str]) -> Vec<Option<Embedding>> {
    let keys: Vec<ContentHash> = texts.iter().map(|text| hash(text)).collect();
    let embedder = Fingerprint::new(embedder);
    scene.ledger.embeddings(&embedder, &keys).await.unwrap()
}

async fn embeddings_read_back(scene: Scene) {
    store(
        &scene,
        "embedder",
        &[("b", &[0.5, -0.25]), ("a", &[1e-30, 1.0])],
    )
    .await;
    store(&scene, "embedder", &[]).await;
    let found = read(&scene, "embedder", &["a", "absent", "b"]).await;
    let expected = [
        Some(embedding(&[1e-30, 1.0])),
        None,
        Some(embedding(&[0.5, -0.25])),
    ];
    assert_eq!(found, expected);
    assert_eq!(read(&scene, "other", &["a"]).await, [None]);
    store(
        &scene,
        "embedder",
        &[("a", &[0.0, 0.0]), ("c", &[3.0, 4.0])],
    )
    .await;
    let found = read(&scene, "embedder", &["a", "c"]).await;
    let expected = [Some(embedding(&[1e-30, 1.0])), Some(embedding(&[3.0, 4.0]))];
    assert_eq!(found, expected, "what is there is kept");
}

async fn unused_embeddings_are_swept(scene: Scene) {
    scene.put("d", &["kept", "shared"]).await;
    scene.put("e", &["shared", "dropped"]).await;
    let texts: [(&str, &[f32]); 3] = [("kept", &[1.0]), ("shared", &[2.0]), ("dropped", &[3.0])];
    store(&scene, "embedder", &texts).await;
    scene.publish().await;
    assert_eq!(scene.ledger.sweep().await.unwrap(), 0);
    scene.delete("e").await;
    assert_eq!(
        scene.ledger.sweep().await.unwrap(),
        0,
        "its chunks are not purged yet"
    );
    scene.purge().await;
    scene.publish().await;
    assert_eq!(scene.ledger.sweep().await.unwrap(), 1);
    let found = read(&scene, "embedder", &["kept", "shared", "dropped"]).await;
    let known: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, true, false]);
}

async fn missing_embeddings_are_reported(scene: Scene) {
    scene.put("d", &["one", "two"]).await;
    scene.publish().await;
    store(&scene, "embedder", &[("one", &[1.0])]).await;
    let found = scene.ledger.check(scene.collection.id).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    store(&scene, "embedder", &[("two", &[1.0])]).await;
    let found = scene.ledger.check(scene.collection.id).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}
