//! Languages: detected when a document is staged, kept with its version, used by the lexical index.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{CollectionSettings, DocumentId, Language, LanguageSetting, Ledger, Slot};
use braid_testkit::HashEmbedder;

use crate::world::{DIMENSION, Life, World, settings};

const GERMAN: &str = "Der Ausschuss hat den Bericht am Dienstag veröffentlicht, und die Ministerin \
     will ihn lesen.";
const LINES: &str = "en: The committee published its report on Tuesday, and the minister will read it.\n\
     code: x1 = y2(z3)";

fn with(language: LanguageSetting) -> CollectionSettings {
    CollectionSettings {
        language,
        ..settings(4)
    }
}

async fn open(world: &World, language: LanguageSetting) -> Life {
    let (indexer, _shutdown) = world.indexer();
    world.create(&indexer, with(language)).await;
    world.open().await
}

/// By document: the language of its newest version, which is that of each of its live chunks.
async fn languages(life: &Life) -> BTreeMap<String, Option<Language>> {
    let ledger = &life.world.ledger;
    let id = life.collection.id;
    let live = ledger.live_slots(id).await.unwrap();
    let slots: Vec<_> = live.iter().map(Slot).collect();
    let mut found = BTreeMap::new();
    for chunk in ledger.chunks(id, &slots).await.unwrap() {
        let record = chunk.record;
        let document = ledger.document(id, &record.document).await.unwrap();
        let language = document.unwrap().summary.language;
        assert_eq!(record.language, language, "{}", record.document);
        found.insert(record.document.to_string(), language);
    }
    found
}

fn expected(pairs: &[(&str, Option<Language>)]) -> BTreeMap<String, Option<Language>> {
    let owned = pairs
        .iter()
        .map(|(id, language)| ((*id).to_owned(), *language));
    owned.collect()
}

fn detected() -> BTreeMap<String, Option<Language>> {
    expected(&[
        ("code", None),
        ("de", Some(Language::German)),
        ("en", Some(Language::English)),
    ])
}

#[tokio::test(start_paused = true)]
async fn a_language_is_detected_where_the_collection_asks_for_it() {
    let lines = format!("{LINES}\nde: {GERMAN}");
    let world = World::new();
    let life = open(&world, LanguageSetting::Auto).await;
    life.ingest(&lines).await;
    life.idle().await;
    assert_eq!(languages(&life).await, detected());
    let world = World::new();
    let life = open(&world, LanguageSetting::Fixed(Language::French)).await;
    life.ingest(&lines).await;
    life.idle().await;
    let none = [("code", None), ("de", None), ("en", None)];
    assert_eq!(languages(&life).await, expected(&none));
}

#[tokio::test(start_paused = true)]
async fn a_new_version_has_a_language_of_its_own() {
    let world = World::new();
    let life = open(&world, LanguageSetting::Auto).await;
    life.ingest(LINES).await;
    life.ingest(&format!("en: {GERMAN}")).await;
    life.idle().await;
    let id = DocumentId::new("en").unwrap();
    let document = world.ledger.document(life.collection.id, &id).await;
    let language = document.unwrap().unwrap().summary.language;
    assert_eq!(language, Some(Language::German));
    world.assert_sound().await;
}

/// Embeddings are of the same texts, whatever language they are in.
#[tokio::test(start_paused = true)]
async fn a_rebuild_that_asks_for_languages_reads_the_documents_again() {
    let embedder = Arc::new(HashEmbedder::new(DIMENSION));
    let world = World::with_embedder(Arc::clone(&embedder) as _);
    let life = open(&world, LanguageSetting::default()).await;
    life.ingest(&format!("{LINES}\nde: {GERMAN}")).await;
    life.idle().await;
    let embedded = embedder.passages_embedded();
    let auto = with(LanguageSetting::Auto);
    let rebuild = life.indexer.rebuild(&life.collection, auto, |_| {});
    let rebuilt = rebuild.await.unwrap();
    assert_eq!(rebuilt.settings, auto);
    assert_eq!(embedder.passages_embedded(), embedded);
    life.idle().await;
    assert_eq!(languages(&life).await, detected());
    world.assert_sound().await;
}
