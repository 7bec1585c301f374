use braid_core::{ChunkId, Slot};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::legs::LegRun;

const EVEN: LegWeights = LegWeights {
    lexical: 1.0,
    dense: 1.0,
};

/// Chunk `n` for the n-th score.
fn run(scores: &[f32], ceiling: f32, is_whole: bool) -> LegRun {
    let hits = scores.iter().zip(0..).map(|(score, n)| LegHit {
        slot: Slot(n),
        id: ChunkId(Uuid::from_u128(n.into())),
        score: *score,
    });
    LegRun {
        hits: hits.collect(),
        ceiling,
        is_whole,
        ..LegRun::default()
    }
}

fn of(lexical: LegRun, dense: LegRun) -> Trust {
    trust("how fast", &Legs { lexical, dense }, EVEN, LegTrust::Auto)
}

fn lexical_share(trust: &Trust) -> f64 {
    trust.after.lexical / (trust.after.lexical + trust.after.dense)
}

#[test]
fn a_leg_that_tells_its_hits_apart_gains_and_one_that_does_not_loses() {
    let dense = || run(&[0.7, 0.5, 0.3], 0.0, false);
    let apart = of(run(&[18.0, 9.0, 3.0], 20.0, false), dense());
    let close = of(run(&[4.0, 3.9, 3.8], 20.0, false), dense());
    assert_eq!((apart.rule, close.rule), (MODEL, MODEL));
    assert!(lexical_share(&apart) > lexical_share(&close));
    let flat = of(run(&[3.8, 3.8, 3.8], 20.0, false), dense());
    assert_eq!(lexical_share(&flat), LEAST_SHARE);
    let blind = of(
        run(&[18.0, 9.0, 3.0], 20.0, false),
        run(&[0.3; 3], 0.0, false),
    );
    assert_eq!(lexical_share(&blind), 1.0 - LEAST_SHARE);
}

/// What BM25 did not find scores 0 where its list was not cut, which sets its one hit apart.
#[test]
fn the_only_match_counts_for_more_where_nothing_else_matches() {
    let dense = || run(&[0.5, 0.49, 0.48, 0.47], 0.0, false);
    let cut = of(run(&[9.0], 10.0, false), dense());
    let whole = of(run(&[9.0], 10.0, true), dense());
    assert_eq!(lexical_share(&cut), LEAST_SHARE);
    assert!(lexical_share(&whole) > 0.5, "{whole:?}");
}

#[test]
fn weights_stay_as_they_are_where_nothing_can_be_said() {
    let (some, none) = (|| run(&[2.0, 1.0], 4.0, false), || run(&[], 4.0, true));
    let rules = [
        of(none(), some()),
        of(some(), none()),
        of(run(&[2.0, 1.0], 0.0, false), some()),
        trust(
            "q",
            &Legs {
                lexical: some(),
                dense: some(),
            },
            EVEN,
            LegTrust::Off,
        ),
    ];
    let names: Vec<&str> = rules.iter().map(|trust| trust.rule).collect();
    assert_eq!(names, ["lexical_blind", "dense_blind", "unknown", "off"]);
    for trust in rules {
        assert_eq!((trust.before, trust.after), (EVEN, EVEN));
        assert!(trust.features.is_empty());
    }
}

#[test]
fn names_and_phrases_are_looked_for_as_they_are_written() {
    for query in [
        "AX-4471-B",
        "3.14.2",
        "10.42.7.0/24",
        "cache.flush_ms",
        "getUserById",
        "parse_header E2041",
        "std::io",
        "\"the exact phrase\"",
        "\"log level\" RUST_LOG",
        "“the exact phrase”",
    ] {
        assert!(is_as_written(query), "{query}");
    }
    for query in [
        "fox",
        "Fox",
        "well-known",
        "don't",
        "don’t",
        "ต้นไม้",
        "WHO",
        "(said)",
        "end.",
        "torque for AX-4471-B",
        "\"the exact phrase\" please",
        "what is \"hybrid search\"",
        "\"never closed",
        "",
        " ",
    ] {
        assert!(!is_as_written(query), "{query:?}");
    }
}

#[test]
fn the_lexical_leg_is_favoured_for_what_is_looked_for_as_it_is_written() {
    let odds = |query: &str, ceiling: f32| {
        let legs = Legs {
            lexical: run(&[18.0, 9.0, 3.0], ceiling, false),
            dense: run(&[0.9, 0.5, 0.3], 0.0, false),
        };
        let trust = trust(query, &legs, EVEN, LegTrust::Auto);
        (trust.rule, trust.after.lexical / trust.after.dense)
    };
    let ((model, plain), (rule, favoured)) = (odds("how fast", 60.0), odds("CK-1095-D", 60.0));
    assert_eq!((model, rule), (MODEL, "as_written"));
    assert!(
        (favoured / plain - AS_WRITTEN_ODDS).abs() < 1e-9,
        "{plain} {favoured}"
    );
    let (rule, unmodelled) = odds("CK-1095-D", 0.0);
    assert_eq!(rule, "as_written");
    assert!((unmodelled - AS_WRITTEN_ODDS).abs() < 1e-9, "{unmodelled}");
}

#[test]
fn an_embedder_that_does_not_read_the_script_has_the_least_say() {
    let unread = || LegRun {
        is_unread: true,
        ..run(&[0.9, 0.1], 0.0, false)
    };
    let trust = of(run(&[2.0, 1.9], 40.0, false), unread());
    assert_eq!(trust.rule, "script_not_read");
    assert_eq!(lexical_share(&trust), 1.0 - LEAST_SHARE);
    // Where BM25 found nothing, a poor list is better than none.
    let trust = of(run(&[], 40.0, true), unread());
    assert_eq!((trust.rule, trust.after), ("lexical_blind", EVEN));
}

proptest! {
    #[test]
    fn weights_are_finite_keep_their_sum_and_silence_no_leg(
        lexical in vec(0.0..50.0_f32, 0..20), dense in vec(-1.0..1.0_f32, 0..20),
        ceiling in 0.0..100.0_f32, is_whole in any::<bool>(),
    ) {
        let trust = of(run(&lexical, ceiling, is_whole), run(&dense, 0.0, false));
        let after = trust.after;
        prop_assert!((after.lexical + after.dense - 2.0).abs() < 1e-9);
        prop_assert!(after.lexical > 0.0 && after.dense > 0.0);
        prop_assert!(trust.features.iter().all(|(_, value)| value.is_finite()));
        if trust.rule == MODEL {
            // The trace has all that it takes to work out the weights again.
            let constant = ("constant", 1.0);
            let values = [&[constant], &trust.features[..]].concat();
            prop_assert_eq!(values.len(), trust.coefficients.len());
            let odds: f64 = values
                .iter()
                .zip(&trust.coefficients)
                .map(|((feature, value), (name, coefficient))| {
                    assert_eq!(feature, name);
                    value * coefficient
                })
                .sum();
            prop_assert!((lexical_share(&trust) - share_at(odds)).abs() < 1e-9);
        } else {
            prop_assert!(trust.coefficients.is_empty());
        }
    }
}
