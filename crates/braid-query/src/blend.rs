//! From raw re-ranker scores to a final order: pure arithmetic.

use crate::by_scores::deviations;

/// Where one hit of the window stands after blending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Its index in the window, which was in base order.
    pub(crate) index: usize,
    /// The blended score; `None` for a hit that was not scored.
    pub(crate) blended: Option<f64>,
}

/// Orders a window. `base[i]` is what hit `i` has without the model, in standard deviations, and
/// `raw[i]` the model's score of it; `raw[i]` is `None` where the model did not get to it.
///
/// A scored hit gets `blend` x the model's score, in standard deviations from its mean over the
/// scored hits, + (1 - `blend`) x `base`. Scored hits come first, best first, equal ones in the order
/// given; the others follow in the order given.
pub(crate) fn blend_window(base: &[f64], raw: &[Option<f64>], blend: f64) -> Vec<Placed> {
    let scored: Vec<usize> = (0..base.len().min(raw.len()))
        .filter(|index| raw[*index].is_some())
        .collect();
    let deviations = deviations(scored.iter().filter_map(|index| raw[*index]).collect());
    let mut placed: Vec<Placed> = scored
        .iter()
        .zip(deviations)
        .map(|(index, model)| Placed {
            index: *index,
            blended: Some(blend * model + (1.0 - blend) * base[*index]),
        })
        .collect();
    // Stable: equal scores keep the order given.
    placed.sort_by(|a, b| f64::total_cmp(&score(b), &score(a)));
    let unscored = (0..base.len()).filter(|index| raw[*index].is_none());
    placed.extend(unscored.map(|index| Placed {
        index,
        blended: None,
    }));
    placed
}

fn score(placed: &Placed) -> f64 {
    placed.blended.unwrap_or(f64::NEG_INFINITY)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn order(fused: &[f64], raw: &[Option<f64>], blend: f64) -> String {
        let placed = blend_window(fused, raw, blend);
        let shown = placed.iter().map(|placed| match placed.blended {
            Some(blended) => format!("{} {blended:.2}", placed.index),
            None => format!("{} -", placed.index),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn blends_deviations() {
        // The mean is 0 and the standard deviation 2.
        let raw = [Some(-2.0), Some(2.0)];
        let fused = [0.5, -0.5];
        assert_eq!(order(&fused, &raw, 0.0), "0 0.50, 1 -0.50");
        assert_eq!(order(&fused, &raw, 1.0), "1 1.00, 0 -1.00");
        assert_eq!(order(&fused, &raw, 0.2), "0 0.20, 1 -0.20");
        assert_eq!(order(&fused, &raw, 0.5), "1 0.25, 0 -0.25");
    }

    #[test]
    fn unscored_hits_follow_in_the_order_given() {
        let raw = [None, Some(1.0), None, Some(2.0)];
        assert_eq!(
            order(&[4.0, 3.0, 2.0, 1.0], &raw, 1.0),
            "3 1.00, 1 -1.00, 0 -, 2 -"
        );
    }

    #[test]
    fn equal_scores_keep_the_order_given_and_say_nothing() {
        let raw = [Some(2.0), Some(2.0)];
        assert_eq!(order(&[0.5, 0.5], &raw, 0.3), "0 0.35, 1 0.35");
        assert_eq!(order(&[], &[], 0.3), "");
    }

    proptest! {
        #[test]
        fn every_hit_is_placed_once_best_first(
            hits in vec((0.0..1.0_f64, proptest::option::of(-9.0..9.0_f64)), 0..20),
            blend in 0.0..=1.0_f64,
        ) {
            let (fused, raw): (Vec<_>, Vec<_>) = hits.into_iter().unzip();
            let placed = blend_window(&fused, &raw, blend);
            let mut seen: Vec<usize> = placed.iter().map(|placed| placed.index).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..fused.len()).collect::<Vec<_>>());
            let blended: Vec<f64> = placed.iter().filter_map(|placed| placed.blended).collect();
            prop_assert!(blended.iter().all(|score| score.is_finite()));
            prop_assert!(blended.windows(2).all(|pair| pair[0] >= pair[1]));
            let first_unscored = placed.iter().position(|placed| placed.blended.is_none());
            let unscored = &placed[first_unscored.unwrap_or(placed.len())..];
            prop_assert!(unscored.iter().all(|placed| placed.blended.is_none()));
            prop_assert!(unscored.windows(2).all(|pair| pair[0].index < pair[1].index));
        }
    }
}
