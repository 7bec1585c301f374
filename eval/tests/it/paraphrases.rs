//! The guard on the pairs of `eval/paraphrases`, and what `braid eval cache` makes of them with an
//! embedder that only counts words.

use std::path::{Path, PathBuf};

use braid_engine::query::cache::guard::{Difference, Reading};
use braid_eval::cli::CacheArgs;
use braid_eval::paraphrases::{Pair, read_pairs};
use expect_test::{Expect, expect};

use crate::world::World;

fn file(half: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("paraphrases");
    folder.join(format!("reversed.{half}.tsv"))
}

/// How many pairs of each kind the guard refuses, and the pairs with the same answer that it does.
#[track_caller]
fn check(half: &str, expected: Expect) {
    let pairs = read_pairs(&file(half)).unwrap();
    let refused = |pair: &&Pair| {
        let (one, other) = (Reading::of(&pair.one), Reading::of(&pair.other));
        Difference::between(&one, &other).is_some()
    };
    let mut kinds: Vec<&str> = pairs.iter().map(|pair| pair.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut shown = String::new();
    for kind in kinds {
        let of_kind: Vec<&Pair> = pairs.iter().filter(|pair| pair.kind == kind).collect();
        let count = of_kind.iter().copied().filter(refused).count();
        shown.push_str(&format!("{kind} {count}/{}\n", of_kind.len()));
    }
    expected.assert_eq(&shown);
}

#[test]
fn the_guard_refuses_reversed_questions() {
    check(
        "choose",
        expect![[r#"
        direction 9/10
        name 9/10
        negation 10/10
        number 10/10
        opposite 19/20
        paraphrase 2/32
        question 3/4
    "#]],
    );
    check(
        "report",
        expect![[r#"
        direction 9/10
        name 9/10
        negation 10/10
        number 10/10
        opposite 18/20
        paraphrase 2/32
        question 2/4
    "#]],
    );
}

#[tokio::test]
async fn pairs_are_measured_by_the_embedder_in_use() {
    let world = World::new(100).await;
    let args = CacheArgs {
        pairs: vec![file("choose"), file("report")],
        thresholds: vec![0.9, 0.5],
        at: None,
        entries: Some(50),
        per_pair: true,
        json: true,
    };
    let pairs = args.prepare().unwrap();
    let answer = args.answer(&world.engine, &world.settings, &pairs).await;
    let report = answer.unwrap().json;
    assert_eq!(
        (&report["pairs"], &report["same"]),
        (&192.into(), &64.into())
    );
    assert_eq!(report["each"].as_array().unwrap().len(), 192);
    assert_eq!(report["lookup"]["entries"], 50);
    let count = |row: usize, hits: &str| {
        let row = &report["thresholds"][row];
        let of = |guard: &str| row[guard][hits]["count"].as_u64().unwrap();
        (of("guarded"), of("unguarded"))
    };
    assert_eq!(
        report["thresholds"][0]["threshold"], 0.5,
        "by rising threshold"
    );
    let (guarded, unguarded) = count(0, "false_hits");
    assert!(guarded * 2 < unguarded, "{report:#}");
    let (guarded, unguarded) = count(0, "true_hits");
    assert!(guarded > 0 && guarded <= unguarded);
    assert!(count(1, "false_hits").1 <= count(0, "false_hits").1);
    let collections = world.engine.collections().await.unwrap();
    assert!(collections.is_empty(), "nothing is left behind");
}
