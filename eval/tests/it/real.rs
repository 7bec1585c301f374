//! The bundled models. They fail, with the command that mends it, when the library has not been
//! fetched (`make models`).

use std::path::{Path, PathBuf};

use braid_config::Settings;
use braid_engine::{LoadModels, OpenOptions};

use crate::world::{World, mean, mini};

async fn world(models: LoadModels) -> World {
    let options = OpenOptions {
        models,
        ..OpenOptions::default()
    };
    World::open(Settings::default(), options).await
}

#[tokio::test]
async fn the_bundled_models_rank_the_small_collection_well() {
    let world = world(LoadModels::All).await;
    let report = world.run(&world.args(&mini())).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let ndcg = |stage| mean(&report, stage, "nDCG@10");
    let shown = report.table();
    assert!(ndcg("lexical") > 0.75 && ndcg("dense") > 0.75, "{shown}");
    let best = ndcg("lexical").max(ndcg("dense"));
    assert!(ndcg("hybrid") > best - 0.05, "{shown}");
    assert!(ndcg("rerank") > best - 0.15, "{shown}");
    assert!(mean(&report, "dense", "R@10") > 0.9, "{shown}");
    let missed = report.missed_deadline.unwrap();
    assert!((0.0..=1.0).contains(&missed));
    for part in ["embed", "lexical", "dense", "fuse", "rerank"] {
        let latency = report.latency_ms[part];
        assert!(0.0 < latency.p50 && latency.p50 <= latency.p95, "{part}");
    }
}

/// Folders of real test collections: `BRAID_DATA_DIR`, by default beside the checkout.
fn data_folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("BRAID_DATA_DIR").map_or_else(beside, PathBuf::from)
}

/// References: the same embedder with one vector a document, and BM25 with k1 1.2 and b 0.75.
#[tokio::test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
async fn technical_documentation_is_ranked_as_well_as_the_references_and_re_ranking_helps() {
    let folder = data_folder().join("claude_docs");
    if !folder.is_dir() {
        eprintln!(
            "skipped: {} is absent; BRAID_DATA_DIR names another place",
            folder.display()
        );
        return;
    }
    let world = world(LoadModels::All).await;
    let report = world.run(&world.args(&folder)).await;
    for (stage, reference) in [("lexical", 0.702), ("dense", 0.678), ("hybrid", 0.791)] {
        let measured = mean(&report, stage, "nDCG@10");
        assert!(
            measured >= reference - 0.01,
            "{stage} {measured}\n{}",
            report.table()
        );
    }
    let gain = mean(&report, "rerank", "nDCG@10") - mean(&report, "hybrid", "nDCG@10");
    assert!(gain >= -0.005, "re-ranking: {gain}\n{}", report.table());
}
