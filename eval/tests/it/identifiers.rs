//! Names, numbers and codes among near misses: the sets of `eval/identifiers`, with the bundled
//! models. They fail, with the command that mends it, when the library has not been fetched
//! (`make models`).

use std::path::{Path, PathBuf};

use braid_config::Settings;
use braid_engine::{LoadModels, OpenOptions};
use braid_eval::dataset::Dataset;
use braid_eval::trec::read_run;

use crate::world::World;

fn set(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("identifiers");
    folder.join(name)
}

/// Queries that were asked, and those without a relevant document among the first five.
async fn asked_and_missed(name: &str) -> (usize, Vec<String>) {
    let options = OpenOptions {
        models: LoadModels::Embedder,
        ..OpenOptions::default()
    };
    let world = World::open(Settings::default(), options).await;
    let mut args = world.args(&set(name));
    args.stages = vec!["hybrid".to_owned()];
    let report = world.run(&args).await;
    assert!(report.failed.is_empty() && report.not_searched.is_empty());
    let dataset = Dataset::open(&set(name), "test").unwrap();
    let run = read_run(&world.out().join("run.hybrid.trec")).unwrap();
    let is_missed = |topic: &String| {
        let first = run.get(topic).into_iter().flatten().take(5);
        let judged = &dataset.qrels[topic];
        !first
            .into_iter()
            .any(|document| judged.contains_key(document))
    };
    let topics = dataset.topics.iter().map(|topic| &topic.id);
    let missed = topics.filter(|topic| is_missed(topic)).cloned();
    (dataset.topics.len(), missed.collect())
}

#[tokio::test]
async fn a_name_is_among_the_first_five_hits_for_it() {
    let (mut asked, mut missed) = asked_and_missed("generated").await;
    let (more, also) = asked_and_missed("docs").await;
    asked += more;
    missed.extend(also);
    assert!(asked >= 100, "{asked}");
    let hits = asked - missed.len();
    assert!(
        hits as f64 / asked as f64 >= 0.98,
        "hit@5 {hits} of {asked}, missed {missed:?}"
    );
}
