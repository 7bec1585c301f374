//! From raw re-ranker scores to a final order: pure arithmetic.

/// Where one hit of the window stands after blending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Its index in the window, which was in base order.
    pub(crate) index: usize,
    /// The blended score; `None` for a hit that was not scored.
    pub(crate) blended: Option<f64>,
}

/// Orders a window. `base[i]` and `raw[i]` are the fused (or single leg's) score and the model's
/// score of hit `i`; `raw[i]` is `None` where the model did not get to it.
///
/// A scored hit gets `blend` x normalised raw score + (1 - `blend`) x normalised base score, both
/// normalised to 0..=1 over the scored hits. Scored hits come first, best first, equal ones in base
/// order; the others follow in base order.
pub(crate) fn blend_window(base: &[f64], raw: &[Option<f64>], blend: f64) -> Vec<Placed> {
    let scored: Vec<(usize, f64, f64)> = base
        .iter()
        .zip(raw)
        .enumerate()
        .filter_map(|(index, (base, raw))| raw.map(|raw| (index, *base, raw)))
        .collect();
    let base_scale = Scale::over(scored.iter().map(|(_, base, _)| *base));
    let raw_scale = Scale::over(scored.iter().map(|(_, _, raw)| *raw));
    let mut placed: Vec<Placed> = scored
        .iter()
        .map(|(index, base, raw)| Placed {
            index: *index,
            blended: Some(blend * raw_scale.of(*raw) + (1.0 - blend) * base_scale.of(*base)),
        })
        .collect();
    // Stable: equal scores keep base order.
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

/// Min-max normalisation. The best value is always 1: where all values are equal, each is the best.
#[derive(Clone, Copy, Debug)]
struct Scale {
    least: f64,
    range: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        Self {
            least,
            range: most - least,
        }
    }

    fn of(self, value: f64) -> f64 {
        if self.range > 0.0 {
            (value - self.least) / self.range
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn order(base: &[f64], raw: &[Option<f64>], blend: f64) -> String {
        let placed = blend_window(base, raw, blend);
        let shown = placed.iter().map(|placed| match placed.blended {
            Some(blended) => format!("{} {blended:.2}", placed.index),
            None => format!("{} -", placed.index),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn blends_the_normalised_scores() {
        let raw = [Some(-4.0), Some(6.0), Some(1.0)];
        let base = [0.03, 0.02, 0.01];
        assert_eq!(order(&base, &raw, 0.0), "0 1.00, 1 0.50, 2 0.00");
        assert_eq!(order(&base, &raw, 1.0), "1 1.00, 2 0.50, 0 0.00");
        assert_eq!(order(&base, &raw, 0.3), "0 0.70, 1 0.65, 2 0.15");
    }

    #[test]
    fn unscored_hits_follow_in_base_order() {
        let raw = [None, Some(1.0), None, Some(2.0)];
        assert_eq!(
            order(&[4.0, 3.0, 2.0, 1.0], &raw, 1.0),
            "3 1.00, 1 0.00, 0 -, 2 -"
        );
    }

    #[test]
    fn equal_scores_keep_base_order_and_count_as_the_best() {
        let raw = [Some(2.0), Some(2.0)];
        assert_eq!(order(&[0.5, 0.5], &raw, 0.3), "0 1.00, 1 1.00");
        assert_eq!(order(&[], &[], 0.3), "");
    }

    proptest! {
        #[test]
        fn every_hit_is_placed_once_with_scores_within_bounds(
            hits in vec((0.0..1.0_f64, proptest::option::of(-9.0..9.0_f64)), 0..20),
            blend in 0.0..=1.0_f64,
        ) {
            let (base, raw): (Vec<_>, Vec<_>) = hits.into_iter().unzip();
            let placed = blend_window(&base, &raw, blend);
            let mut seen: Vec<usize> = placed.iter().map(|placed| placed.index).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..base.len()).collect::<Vec<_>>());
            for blended in placed.iter().filter_map(|placed| placed.blended) {
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&blended));
            }
            let first_unscored = placed.iter().position(|placed| placed.blended.is_none());
            let unscored = &placed[first_unscored.unwrap_or(placed.len())..];
            prop_assert!(unscored.iter().all(|placed| placed.blended.is_none()));
            prop_assert!(unscored.windows(2).all(|pair| pair[0].index < pair[1].index));
        }
    }
}
