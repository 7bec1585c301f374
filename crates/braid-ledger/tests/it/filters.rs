//! Bitmaps against [`Filter::matches`], over random metadata, replacements, deletes and filters.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::operation::Change;
use braid_core::{
    Condition, DocumentId, Filter, LANGUAGE_KEY, Language, Metadata, MetadataValue, Predicate,
    Range, Slot,
};
use braid_testkit::ledger_suite::{Scene, hash, put, staged};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use crate::open;

fn key() -> impl Strategy<Value = String> {
    select(&["k", "kk", "k/", "ключ", "j", LANGUAGE_KEY][..]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["", "a", "b", "ab", "a\u{0}", "é", "thai", "german"][..]).prop_map(str::to_owned),
        (254..258_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        select(&[-0.0, 0.0, 1.0, -1.0, 1.5, 1e9, -1e9, f64::MAX, f64::MIN][..]),
        -2.0..2.0,
    ]
}

fn scalar() -> impl Strategy<Value = MetadataValue> {
    prop_oneof![
        text().prop_map(MetadataValue::String),
        number().prop_map(MetadataValue::Number),
        any::<bool>().prop_map(MetadataValue::Bool),
    ]
}

fn value() -> impl Strategy<Value = MetadataValue> {
    prop_oneof![3 => scalar(), 1 => vec(text(), 0..4).prop_map(MetadataValue::Strings)]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map(key(), value(), 0..4).prop_map(|fields| Metadata::new(fields).unwrap())
}

fn range() -> impl Strategy<Value = Range> {
    let bounds = (of(number()), of(number()), of(number()), of(number()));
    bounds.prop_map(|(gt, gte, lt, lte)| Range {
        gt,
        gte: gte.or(gt.is_none().then_some(-1.0)),
        lt,
        lte,
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let predicate = prop_oneof![
        3 => scalar().prop_map(Predicate::Match),
        2 => vec(scalar(), 0..3).prop_map(Predicate::Any),
        2 => range().prop_map(Predicate::Range),
        1 => any::<bool>().prop_map(Predicate::Exists),
    ];
    (key(), predicate).prop_map(|(key, predicate)| Condition { key, predicate })
}

fn filter() -> impl Strategy<Value = Filter> {
    let conditions = || vec(condition(), 0..3);
    (conditions(), conditions(), conditions()).prop_map(|(must, should, must_not)| Filter {
        must,
        should,
        must_not,
    })
}

/// What filters see of a document.
type Seen = (Metadata, Option<Language>);

fn seen() -> impl Strategy<Value = Seen> {
    (
        metadata(),
        of(select(&[Language::Thai, Language::German][..])),
    )
}

/// A document's number and what filters are to see of it, or its deletion.
fn edits() -> impl Strategy<Value = Vec<(u8, Option<Seen>)>> {
    vec((0..8_u8, prop::option::weighted(0.9, seen())), 1..24)
}

async fn live_documents(
    scene: &Scene,
    edits: Vec<(u8, Option<Seen>)>,
) -> BTreeMap<DocumentId, Seen> {
    let mut live = BTreeMap::new();
    for (count, (document, seen)) in edits.into_iter().enumerate() {
        let id = DocumentId::new(format!("d{document}")).unwrap();
        match seen {
            Some((metadata, language)) => {
                let mut document = staged(id.as_str(), &["one", "two"]);
                document.content_hash = hash(&format!("edit {count}"));
                document.document.metadata = metadata.clone();
                document.language = language;
                scene.stage_one(put(document)).await;
                live.insert(id, (metadata, language));
            }
            None => {
                scene.stage_one(Change::Delete(id.clone())).await;
                live.remove(&id);
            }
        }
        if count % 3 == 0 {
            scene.publish().await;
        }
    }
    scene.publish().await;
    live
}

/// Documents that a query with this filter may return.
async fn selected(scene: &Scene, filter: &Filter) -> Vec<DocumentId> {
    let pin = scene.pin().await;
    let selection = pin.select(Some(Arc::new(filter.clone()))).await.unwrap();
    let slots: Vec<Slot> = selection.slots.unwrap().iter().map(Slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap();
    let mut ids: Vec<_> = passages.into_iter().map(|it| it.record.document).collect();
    ids.sort_unstable();
    ids
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn bitmaps_agree_with_the_definition(edits in edits(), filters in vec(filter(), 24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let scene = Scene::of(Arc::new(open(dir.path()))).await;
            let live = live_documents(&scene, edits).await;
            scene.check_sound().await;
            for filter in &filters {
                let passes = |(metadata, language): &Seen| filter.matches(metadata, *language);
                let matching = live.iter().filter(|(_, seen)| passes(seen));
                let expected: Vec<DocumentId> = matching
                    .flat_map(|(id, _)| [id.clone(), id.clone()])
                    .collect();
                assert_eq!(selected(&scene, filter).await, expected, "{filter:?}");
            }
        });
    }
}
