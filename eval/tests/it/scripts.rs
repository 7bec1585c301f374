//! Queries in scripts that the bundled embedder does not read: the collections of
//! `braid_testkit::scripts`, all in one, with the bundled embedder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use braid_config::Settings;
use braid_engine::{LoadModels, OpenOptions};
use braid_testkit::scripts;
use serde_json::json;

use crate::world::{World, mean};

/// Writes every set into one BEIR folder; returns how many queries there are.
fn write(folder: &Path) -> usize {
    let (mut corpus, mut queries) = (String::new(), String::new());
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_owned();
    let mut count = 0;
    for set in scripts::all() {
        let id = |name: &str| format!("{}-{name}", set.language);
        for (name, text) in &set.documents {
            let document = json!({ "_id": id(name), "title": "", "text": text });
            writeln!(corpus, "{document}").unwrap();
        }
        for (text, wanted) in &set.queries {
            writeln!(
                queries,
                "{}",
                json!({ "_id": format!("q{count}"), "text": text })
            )
            .unwrap();
            writeln!(qrels, "q{count}\t{}\t1", id(wanted)).unwrap();
            count += 1;
        }
    }
    fs::create_dir_all(folder.join("qrels")).unwrap();
    fs::write(folder.join("corpus.jsonl"), corpus).unwrap();
    fs::write(folder.join("queries.jsonl"), queries).unwrap();
    fs::write(folder.join("qrels/test.tsv"), qrels).unwrap();
    count
}

/// The lexical leg alone has the answer first nearly always, the dense leg every other time. Fused with
/// the weights that the model of leg trust would give, a tenth of the answers is lost: cosines of texts
/// that the embedder does not know lie far apart, too.
#[tokio::test]
async fn an_embedder_that_does_not_read_the_script_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(write(folder.path()) >= 100);
    let options = OpenOptions {
        models: LoadModels::Embedder,
        ..OpenOptions::default()
    };
    let world = World::open(Settings::default(), options).await;
    let mut args = world.args(folder.path());
    args.stages = ["lexical", "dense", "hybrid"].map(str::to_owned).to_vec();
    let report = world.run(&args).await;
    assert!(report.failed.is_empty() && report.not_searched.is_empty());
    let first = |stage| mean(&report, stage, "RR@10");
    let (lexical, dense, hybrid) = (first("lexical"), first("dense"), first("hybrid"));
    assert!(lexical >= 0.98 && dense <= 0.6, "{lexical} {dense}");
    assert!(hybrid >= lexical - 0.01, "{lexical} {hybrid}");
}
