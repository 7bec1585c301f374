//! Whether fusing the legs pays: hybrid beside the better of them, and re-ranked beside hybrid.

use std::fmt::Write;

use anyhow::{Context, Result};
use braid_eval::bootstrap;
use serde_json::{Map, Value};

use super::{number, text};

/// The results of the sets by name.
type Sets = Map<String, Value>;

/// How far below its better leg hybrid may be on any set.
const MOST_BELOW: f64 = 0.005;
/// What hybrid reaches at least, as the mean over the sets.
const LEAST_MEAN: f64 = 0.674;
/// How much more it is with re-ranking.
const LEAST_GAIN: f64 = 0.02;

pub(super) fn beside_better_leg(page: &mut String, sets: &Sets) -> Result<()> {
    if sets.is_empty() {
        return Ok(());
    }
    page.push_str("\nHybrid beside its better leg, and re-ranked beside hybrid: nDCG@10, topic by topic, each difference with the 95% bootstrap interval of\nits pairs.\n\n| set | better leg | alone | hybrid | hybrid minus better leg | re-ranked | re-ranked minus hybrid |\n|---|---|---|---|---|---|---|\n");
    for (name, set) in sets {
        let hybrid = &set["paired"]["hybrid"];
        writeln!(
            page,
            "| {name} | {} | {:.3} | {:.3} | {} | {} |",
            text(hybrid, "baseline")?,
            number(hybrid, "a")?,
            number(hybrid, "b")?,
            difference(hybrid)?,
            reranked(&set["paired"]["reranked"])?
        )?;
    }
    writeln!(
        page,
        "| **mean** | | {:.3} | {:.3} | {:+.3} | {} |",
        mean(sets, "hybrid", "a")?,
        mean(sets, "hybrid", "b")?,
        mean(sets, "hybrid", "difference")?,
        mean_reranked(sets)?
    )?;
    bars(page, sets)
}

/// The cells of re-ranking: what it reaches, and what that is more than hybrid.
fn reranked(value: &Value) -> Result<String> {
    if value.is_null() {
        return Ok("not measured | not measured".to_owned());
    }
    Ok(format!(
        "{:.3} | {}",
        number(value, "b")?,
        difference(value)?
    ))
}

/// The same as means over all sets: where one was not re-ranked, those of the others say nothing beside
/// hybrid's.
fn mean_reranked(sets: &Sets) -> Result<String> {
    if !are_reranked(sets) {
        return Ok("not measured | not measured".to_owned());
    }
    let means = |key| mean(sets, "reranked", key);
    Ok(format!("{:.3} | {:+.3}", means("b")?, means("difference")?))
}

/// What is asked of hybrid, and whether it holds.
fn bars(page: &mut String, sets: &Sets) -> Result<()> {
    let differences: Vec<f64> = numbers(sets, "hybrid", "difference")?;
    let least = sets.keys().zip(differences);
    let least = least.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let (set, least) = least.context("no set")?;
    let mean = mean(sets, "hybrid", "b")?;
    writeln!(
        page,
        "\nBars: no set more than {MOST_BELOW} below its better leg; mean of at least {LEAST_MEAN}. The first is {}: the least difference is {least:+.4},\nof {set}. The second is {}: hybrid has a mean of {mean:.4} over {} sets.",
        met(least >= -MOST_BELOW),
        met(mean >= LEAST_MEAN),
        sets.len()
    )?;
    if !are_reranked(sets) {
        return Ok(());
    }
    let reranked = self::mean(sets, "reranked", "b")?;
    let bar = LEAST_MEAN + LEAST_GAIN;
    writeln!(
        page,
        "With re-ranking {LEAST_GAIN} more, {bar:.3}: {}, the mean is {reranked:.4}. {LEAST_GAIN} more than this hybrid's own mean: {}, it is {:+.4}.",
        met(reranked >= bar),
        met(reranked >= mean + LEAST_GAIN),
        reranked - mean
    )?;
    Ok(())
}

fn are_reranked(sets: &Sets) -> bool {
    let mut comparisons = sets.values().map(|set| &set["paired"]["reranked"]);
    comparisons.all(|comparison| !comparison.is_null())
}

fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "**not met**" }
}

/// A number of every set's comparison.
fn numbers(sets: &Sets, comparison: &str, key: &str) -> Result<Vec<f64>> {
    let comparisons = sets.values().map(|set| &set["paired"][comparison]);
    comparisons.map(|value| number(value, key)).collect()
}

fn mean(sets: &Sets, comparison: &str, key: &str) -> Result<f64> {
    Ok(bootstrap::mean(&numbers(sets, comparison, key)?))
}

fn difference(value: &Value) -> Result<String> {
    Ok(format!(
        "{:+.3} [{:+.3}, {:+.3}]",
        number(value, "difference")?,
        number(value, "low")?,
        number(value, "high")?
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A set whose better leg has `leg`, hybrid `hybrid` and, where it is re-ranked, 0.01 more.
    fn set(leg: f64, hybrid: f64, is_reranked: bool) -> Value {
        let pair = |baseline: &str, a: f64, b: f64| {
            let difference = b - a;
            json!({
                "baseline": baseline, "a": a, "b": b, "difference": difference,
                "low": difference - 0.02, "high": difference + 0.02,
            })
        };
        let reranked = is_reranked.then(|| pair("hybrid", hybrid, hybrid + 0.01));
        json!({ "paired": { "hybrid": pair("dense", leg, hybrid), "reranked": reranked } })
    }

    fn shown(sets: &[(&str, Value)]) -> String {
        let named = sets.iter().cloned();
        let sets: Sets = named.map(|(name, set)| (name.to_owned(), set)).collect();
        let mut page = String::new();
        beside_better_leg(&mut page, &sets).unwrap();
        page
    }

    #[test]
    fn each_set_and_the_means_stand_beside_the_better_leg() {
        let page = shown(&[("a", set(0.6, 0.7, true)), ("b", set(0.704, 0.7, true))]);
        for part in [
            "| a | dense | 0.600 | 0.700 | +0.100 [+0.080, +0.120] | 0.710 | +0.010 [-0.010, +0.030] |",
            "| **mean** | | 0.652 | 0.700 | +0.048 | 0.710 | +0.010 |",
            "The first is met: the least difference is -0.0040,\nof b.",
            "The second is met: hybrid has a mean of 0.7000 over 2 sets.",
            "With re-ranking 0.02 more, 0.694: met, the mean is 0.7100. 0.02 more than this hybrid's own mean: **not met**, it is +0.0100.",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
    }

    #[test]
    fn a_bar_that_is_not_met_is_said_to_be_so() {
        let page = shown(&[("a", set(0.6, 0.7, true)), ("b", set(0.61, 0.6, false))]);
        for part in [
            "| b | dense | 0.610 | 0.600 | -0.010 [-0.030, +0.010] | not measured | not measured |",
            "| **mean** | | 0.605 | 0.650 | +0.045 | not measured | not measured |",
            "The first is **not met**: the least difference is -0.0100,\nof b.",
            "The second is **not met**: hybrid has a mean of 0.6500 over 2 sets.",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
        assert_eq!(shown(&[]), "");
    }
}
