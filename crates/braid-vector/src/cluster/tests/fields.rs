//! Filters on metadata fields that have no index.

use std::sync::Arc;

use braid_core::{Condition, Filter, IndexProvider, MetadataValue, Predicate};
use braid_testkit::ledger_suite::{Scene, metadata, put, staged};

use super::{World, everywhere};
use crate::cluster::ClusterIndexes;

everywhere!(fields_without_an_index_are_found_under_any_limit);

/// The same names, with so many fields indexed.
fn indexing(world: &World, fields: usize) -> World {
    let mut world = world.clone();
    world.options.collection.indexed_fields = fields;
    world
}

/// Documents whose metadata `filter` lets pass, as a process sees them that indexes so many fields.
async fn found(world: &World, fields: usize, filter: Filter) -> Vec<String> {
    let world = indexing(world, fields);
    let ledger = world.open().await;
    let scene = Scene::of(ledger.clone()).await;
    let indexes = ClusterIndexes::new(world.site(), ledger);
    let vectors = indexes.vector(&scene.collection, scene.collection.index_key());
    let (vectors, pin) = (
        vectors.await.unwrap().pin().await.unwrap(),
        scene.pin().await,
    );
    let selection = pin.select(Some(Arc::new(filter))).await.unwrap();
    let query = vec![1.0, 0.0].into();
    let found = vectors.search(&query, &selection, 9).await.unwrap();
    let slots: Vec<_> = found.iter().map(|it| it.slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap().into_iter();
    let mut names: Vec<String> = passages.map(|it| it.record.document.to_string()).collect();
    names.sort_unstable();
    names
}

fn is(key: &str, value: &str) -> Vec<Condition> {
    vec![Condition {
        key: key.to_owned(),
        predicate: Predicate::Match(MetadataValue::String(value.to_owned())),
    }]
}

async fn fields_without_an_index_are_found_under_any_limit(world: World) {
    let ledger = indexing(&world, 1).open().await;
    let scene = Scene::of(ledger.clone()).await.indexed_by(ledger);
    let value = |text: &str| MetadataValue::String(text.to_owned());
    let documents = [
        ("one", metadata(&[("first", value("x"))])),
        (
            "two",
            metadata(&[("first", value("x")), ("second", value("y"))]),
        ),
    ];
    for (id, metadata) in documents {
        let mut document = staged(id, &[id]);
        document.document.metadata = metadata;
        scene.stage_one(put(document)).await;
        scene.publish().await;
    }
    for fields in [0, 1, 2, 9] {
        for (must, must_not, wanted) in [
            (is("second", "y"), Vec::new(), vec!["two"]),
            (Vec::new(), is("second", "y"), vec!["one"]),
            (is("first", "x"), is("third", "z"), vec!["one", "two"]),
            (is("third", "z"), Vec::new(), vec![]),
        ] {
            let filter = Filter {
                must,
                must_not,
                ..Filter::default()
            };
            let shown = format!("{fields} {filter:?}");
            assert_eq!(found(&world, fields, filter).await, wanted, "{shown}");
        }
    }
}
