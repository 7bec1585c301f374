//! Each dataset, setting and embedder has a collection of its own: nothing is measured on another's.

use std::collections::HashSet;

use braid_config::Settings;
use braid_core::limits::MAX_COLLECTION_NAME_BYTES;
use braid_core::{
    ChunkingStrategy, CollectionSettings, DuplicateAction, ErrorCode, Language, LanguageSetting,
};
use braid_engine::{collection_settings, retrieve_defaults};
use braid_eval::cli::{DataArgs, SweepArgs};
use braid_eval::dataset::Dataset;
use braid_eval::harness::{collection_named, collection_of, load_corpus};
use braid_eval::metrics::Metric;
use braid_eval::study::{self, StudyPlan};
use braid_eval::table::{Answer, Verdict};
use braid_eval::trials::trials;

use crate::world::{World, mini};

async fn swept(world: &World, grid: &[&str]) -> Answer {
    let args = SweepArgs {
        data: DataArgs {
            dataset: mini(),
            split: "test".to_owned(),
        },
        grid: grid.iter().map(|axis| axis.parse().unwrap()).collect(),
        metrics: vec!["nDCG@10".to_owned()],
        json: false,
    };
    let plan = args.prepare(&world.settings).unwrap();
    args.answer(&world.engine, &plan).await.unwrap()
}

#[test]
fn every_setting_is_in_a_name_and_every_name_is_valid() {
    let set = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        collection_settings(&settings)
    };
    let code = |settings: &mut Settings| {
        settings.chunking.code = Some("tokens:60".parse().unwrap());
    };
    let all: [CollectionSettings; 9] = [
        set(&|_| {}),
        set(&|settings| settings.duplicates.action = DuplicateAction::Link),
        set(&|settings| settings.duplicates.min_similarity = 0.9),
        set(&code),
        set(&|settings| settings.chunking.strategy = ChunkingStrategy::Whole),
        set(&|settings| {
            settings.chunking.strategy = ChunkingStrategy::Whole;
            settings.chunking.target_tokens = 40;
        }),
        set(&|settings| settings.chunking.target_tokens = usize::MAX),
        set(&|settings| {
            settings.chunking.target_tokens = usize::MAX;
            settings.chunking.overlap_tokens = 1;
        }),
        set(&|settings| settings.lexical.language = LanguageSetting::Fixed(Language::Portuguese)),
    ];
    let datasets = [
        "d",
        "D ",
        "a-name-of-more-than-24-letters-A",
        "a-name-of-more-than-24-letters-B",
        "",
    ];
    let mut names = HashSet::new();
    for dataset in datasets {
        for settings in &all {
            for embedder in ["one", "other"] {
                let name = collection_named(dataset, settings, embedder).unwrap();
                assert!(name.as_str().len() <= MAX_COLLECTION_NAME_BYTES, "{name}");
                assert!(names.insert(name.to_string()), "twice: {name}");
            }
        }
    }
    let name = collection_named("My Set", &all[0], "one").unwrap();
    assert!(
        name.as_str()
            .starts_with("eval-my-set-structure-180-0-auto-"),
        "{name}"
    );
    assert_eq!(name, collection_named("My Set", &all[0], "one").unwrap());
}

#[tokio::test]
async fn settings_that_a_name_does_not_spell_out_are_swept_too() {
    let world = World::new(40).await;
    for (grid, collections) in [
        (&["duplicates.action=report,link"][..], 2),
        (&["chunking.code=tokens:20,tokens:30"], 3),
        (
            &[
                "chunking.strategy=structure,whole",
                "chunking.target_tokens=8,40",
            ],
            4,
        ),
    ] {
        let answer = swept(&world, grid).await;
        assert_eq!(answer.verdict, Verdict::Done, "{}", answer.text);
        assert_eq!(answer.json["searches"], collections * 12, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_corpus_is_loaded_into_the_collection_of_its_settings() {
    let world = World::new(40).await;
    let dataset = Dataset::open(&mini(), "test").unwrap();
    let settings = world.engine.default_collection_settings();
    let mut linked = settings;
    linked.duplicates.action = DuplicateAction::Link;
    let mut names = Vec::new();
    for settings in [settings, linked, settings] {
        let loaded = load_corpus(&world.engine, settings, &dataset, |_| {})
            .await
            .unwrap();
        let info = world
            .engine
            .collection_info(&loaded.collection)
            .await
            .unwrap();
        assert_eq!(info.collection.settings, settings);
        assert_eq!(info.stats.documents, 31);
        names.push(loaded.collection);
    }
    assert!(names[0] == names[2] && names[0] != names[1]);
    assert_eq!(names[0], collection_of(&world.engine, &dataset).unwrap());
}

#[tokio::test]
async fn a_collection_that_is_made_of_something_else_is_not_measured() {
    let world = World::new(40).await;
    let dataset = Dataset::open(&mini(), "test").unwrap();
    let name = collection_of(&world.engine, &dataset).unwrap();
    let mut other = world.engine.default_collection_settings();
    other.duplicates.action = DuplicateAction::Link;
    let made = world.engine.create_collection(name, other, None).await;
    assert!(made.is_ok());
    let args = world.args(&mini());
    let prepared = args.prepare(&retrieve_defaults(&world.settings).unwrap());
    let error = prepared.unwrap().run(&world.engine).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CollectionExists);
}

/// The first collection finds nothing at all, the second a document for each query: labels drawn from
/// what the first found would be none.
#[tokio::test]
async fn random_labels_are_drawn_from_what_any_collection_finds() {
    let mut world = World::new(40).await;
    world.settings.retrieve.mode = braid_config::RetrieveMode::Lexical;
    world.settings.retrieve.rerank = false;
    world.settings.lexical.language = LanguageSetting::Fixed(Language::None);
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    std::fs::create_dir_all(path.join("qrels")).unwrap();
    let corpus: String = (0..6)
        .map(|n| format!("{{\"_id\":\"d{n}\",\"text\":\"fox family {n}{n}\"}}\n"))
        .collect();
    std::fs::write(path.join("corpus.jsonl"), corpus).unwrap();
    // Further from the words of the corpus than a typing error is.
    let queries = "{\"_id\":\"q1\",\"text\":\"foxes\"}\n{\"_id\":\"q2\",\"text\":\"families\"}\n";
    std::fs::write(path.join("queries.jsonl"), queries).unwrap();
    let qrels = "query-id\tcorpus-id\tscore\nq1\td0\t1\nq2\td1\t1\n";
    std::fs::write(path.join("qrels/test.tsv"), qrels).unwrap();
    let grid = ["lexical.language=english".parse().unwrap()];
    let plan = StudyPlan {
        dataset: Dataset::open(path, "test").unwrap(),
        trials: trials(&world.settings, &grid).unwrap(),
        metrics: vec![Metric::ndcg(10)],
        random_labels: 10,
    };
    let study = study::run(&world.engine, &plan, |_| {}).await.unwrap();
    assert!(study.failed.is_empty(), "{:?}", study.failed);
    assert_eq!(study.searches, 4);
    assert_eq!(study.values[0][0], [0.0, 0.0], "nothing is found");
    assert!(study.values[0][1].iter().all(|value| *value > 0.0));
    for seed in &study.random {
        assert_eq!(seed[0], [0.0, 0.0]);
        assert!(seed[1].iter().all(|value| *value > 0.0), "{seed:?}");
    }
}
