//! Filters mean what [`Filter::matches`] says.

use braid_core::MetadataValue::{Bool, Number, Strings};
use braid_core::{
    Condition, ErrorCode, Filter, LANGUAGE_KEY, Language, Metadata, MetadataValue, Predicate, Range,
};

use super::FreshLedger;
use super::scene::{Scene, metadata, put, staged};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    filters_agree_with_their_definition(Scene::new(fresh()).await).await;
    filters_follow_the_live_version(Scene::new(fresh()).await).await;
    documents_are_found_by_any_filter(Scene::new(fresh()).await).await;
    documents_are_found_by_their_newest_version(Scene::new(fresh()).await).await;
    a_detected_language_is_a_field(Scene::new(fresh()).await).await;
    bad_filters_are_refused(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    documents_are_found_by_any_filter(Scene::new(fresh()).await).await;
    documents_are_found_by_their_newest_version(Scene::new(fresh()).await).await;
    bad_filters_are_refused(Scene::new(fresh()).await).await;
}

fn string(text: &str) -> MetadataValue {
    MetadataValue::String(text.to_owned())
}

fn strings(texts: &[&str]) -> MetadataValue {
    Strings(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn corpus() -> Vec<Metadata> {
    let long = "x".repeat(2048);
    let longer = format!("{}y", &long[1..]);
    vec![
        metadata(&[]),
        metadata(&[("k", string("a"))]),
        metadata(&[("k", string("")), ("k2", string("a"))]),
        metadata(&[("k", string("true"))]),
        metadata(&[("k", Bool(true))]),
        metadata(&[("k", Bool(false)), ("j", Bool(true))]),
        metadata(&[("k", Number(0.0))]),
        metadata(&[("k", Number(-0.0)), ("j", Number(1.0))]),
        metadata(&[("k", Number(-1.5))]),
        metadata(&[("k", Number(1e300))]),
        metadata(&[("k", Number(2.0)), ("j", string("a"))]),
        metadata(&[("k", strings(&["a", "b", "a"]))]),
        metadata(&[("k", strings(&[]))]),
        metadata(&[("k", string(&long))]),
        metadata(&[("k", strings(&[&long, &longer]))]),
        metadata(&[(&"f".repeat(128), string(&longer))]),
    ]
}

fn predicates() -> Vec<Predicate> {
    let long = "x".repeat(2048);
    let range = |gt, gte, lt, lte| Predicate::Range(Range { gt, gte, lt, lte });
    let zero = Some(0.0);
    vec![
        Predicate::Match(string("a")),
        Predicate::Match(string("")),
        Predicate::Match(string("true")),
        Predicate::Match(string(&long)),
        Predicate::Match(string(&long[1..])),
        Predicate::Match(Bool(true)),
        Predicate::Match(Bool(false)),
        Predicate::Match(Number(0.0)),
        Predicate::Match(Number(-0.0)),
        Predicate::Match(Number(2.0)),
        Predicate::Any(vec![]),
        Predicate::Any(vec![string("b"), Number(2.0), Bool(true)]),
        range(zero, None, None, None),
        range(None, zero, None, None),
        range(None, None, zero, None),
        range(None, None, None, zero),
        range(Some(-2.0), None, Some(2.0), None),
        range(None, Some(2.0), None, Some(2.0)),
        range(Some(2.0), Some(2.0), None, None),
        range(Some(3.0), None, Some(-3.0), None),
        Predicate::Exists(true),
        Predicate::Exists(false),
    ]
}

fn filters() -> Vec<Filter> {
    let keys = [
        "k",
        "j",
        "absent",
        "k\n",
        &"f".repeat(128),
        &"f".repeat(600),
    ];
    let conditions: Vec<Condition> = keys
        .iter()
        .flat_map(|key| {
            predicates().into_iter().map(|predicate| Condition {
                key: (*key).to_owned(),
                predicate,
            })
        })
        .collect();
    let mut filters = vec![Filter::default()];
    for (index, condition) in conditions.iter().enumerate() {
        let other = conditions[(index * 7 + 3) % conditions.len()].clone();
        let third = conditions[(index * 11 + 5) % conditions.len()].clone();
        let filter = |must, should, must_not| Filter {
            must,
            should,
            must_not,
        };
        filters.extend([
            filter(vec![condition.clone()], vec![], vec![]),
            filter(vec![], vec![condition.clone(), other.clone()], vec![]),
            filter(vec![], vec![], vec![condition.clone()]),
            filter(vec![third], vec![other], vec![condition.clone()]),
        ]);
    }
    filters
}

async fn put_corpus(scene: &Scene, corpus: &[Metadata]) {
    let documents = (0..).zip(corpus).map(|(index, metadata)| {
        let mut document = staged(&format!("d{index:02}"), &["one", "two"]);
        document.document.metadata = metadata.clone();
        put(document)
    });
    scene.stage(documents.collect()).await;
}

async fn documents_are_found_by_any_filter(scene: Scene) {
    let corpus = corpus();
    put_corpus(&scene, &corpus).await;
    for filter in filters() {
        let matching = (0..)
            .zip(&corpus)
            .filter(|(_, it)| filter.matches(it, None));
        let expected: Vec<String> = matching
            .map(|(index, _): (usize, _)| format!("d{index:02}"))
            .collect();
        let found = scene.ledger.find_documents(scene.collection.id, &filter);
        let found = found.await.unwrap();
        let found: Vec<&str> = found.iter().map(braid_core::DocumentId::as_str).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn filters_agree_with_their_definition(scene: Scene) {
    let corpus = corpus();
    put_corpus(&scene, &corpus).await;
    scene.publish().await;
    scene.check_sound().await;
    for filter in filters() {
        let matching = (0..)
            .zip(&corpus)
            .filter(|(_, it)| filter.matches(it, None));
        let expected: Vec<String> = matching
            .map(|(index, _): (usize, _)| format!("d{index:02}: one | two"))
            .collect();
        let found = scene.visible_with(filter.clone()).await;
        assert_eq!(found, expected, "{filter:?}");
    }
}

fn matching(key: &str, value: MetadataValue) -> Filter {
    Filter {
        must: vec![Condition {
            key: key.to_owned(),
            predicate: Predicate::Match(value),
        }],
        ..Filter::default()
    }
}

async fn put_with_lang(scene: &Scene, id: &str, lang: &str) {
    let mut document = staged(id, &[lang]);
    document.document.metadata = metadata(&[("lang", string(lang))]);
    scene.stage_one(put(document)).await;
}

async fn filters_follow_the_live_version(scene: Scene) {
    put_with_lang(&scene, "a", "en").await;
    put_with_lang(&scene, "b", "en").await;
    scene.publish().await;
    put_with_lang(&scene, "a", "de").await;
    let shown = async |lang| scene.visible_with(matching("lang", string(lang))).await;
    assert_eq!(
        shown("en").await,
        ["a: en", "b: en"],
        "the new one is staged"
    );
    scene.publish().await;
    assert_eq!(shown("en").await, ["b: en"]);
    assert_eq!(shown("de").await, ["a: de"]);
    scene.delete("b").await;
    assert!(shown("en").await.is_empty(), "a delete hides at once");
    scene.check_sound().await;
}

async fn documents_are_found_by_their_newest_version(scene: Scene) {
    put_with_lang(&scene, "b", "en").await;
    put_with_lang(&scene, "a", "en").await;
    put_with_lang(&scene, "c", "en").await;
    scene.publish().await;
    put_with_lang(&scene, "b", "de").await;
    scene.delete("c").await;
    let found = async |lang| -> Vec<String> {
        let filter = matching("lang", string(lang));
        let found = scene.ledger.find_documents(scene.collection.id, &filter);
        let found = found.await.unwrap();
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(found("en").await, ["a"]);
    assert_eq!(found("de").await, ["b"]);
}

async fn put_in(scene: &Scene, id: &str, language: Option<Language>, said: Option<&str>) {
    let mut document = staged(id, &[id]);
    document.content_hash = super::scene::hash(&format!("{id} {language:?}"));
    document.language = language;
    if let Some(said) = said {
        document.document.metadata = metadata(&[(LANGUAGE_KEY, string(said))]);
    }
    scene.stage_one(put(document)).await;
}

async fn a_detected_language_is_a_field(scene: Scene) {
    put_in(&scene, "a", Some(Language::German), None).await;
    put_in(&scene, "b", Some(Language::English), None).await;
    put_in(&scene, "c", None, None).await;
    put_in(&scene, "d", Some(Language::German), Some("english")).await;
    scene.publish().await;
    scene.check_sound().await;
    let shown = async |filter: Filter| scene.visible_with(filter).await;
    let is = |name: &str| matching(LANGUAGE_KEY, string(name));
    assert_eq!(shown(is("german")).await, ["a: a"]);
    assert_eq!(
        shown(is("english")).await,
        ["b: b", "d: d"],
        "what is said goes before"
    );
    let none = Filter {
        must_not: vec![Condition {
            key: LANGUAGE_KEY.to_owned(),
            predicate: Predicate::Exists(true),
        }],
        ..Filter::default()
    };
    assert_eq!(shown(none).await, ["c: c"]);
    let english = is("english");
    let found = scene.ledger.find_documents(scene.collection.id, &english);
    let found = found.await.unwrap();
    let found: Vec<&str> = found.iter().map(braid_core::DocumentId::as_str).collect();
    assert_eq!(found, ["b", "d"], "deleting by filter finds the same");
    put_in(&scene, "a", Some(Language::English), None).await;
    scene.publish().await;
    assert!(shown(is("german")).await.is_empty());
    scene.delete("b").await;
    assert_eq!(shown(is("english")).await, ["a: a", "d: d"]);
    scene.check_sound().await;
}

async fn bad_filters_are_refused(scene: Scene) {
    let bad = matching("k", strings(&["a"]));
    let found = scene.ledger.find_documents(scene.collection.id, &bad);
    assert_eq!(found.await.unwrap_err().code(), ErrorCode::InvalidRequest);
    let selected = scene.pin().await.select(Some(bad.into())).await;
    assert_eq!(selected.unwrap_err().code(), ErrorCode::InvalidRequest);
}
