//! One quantity at several sizes, and at any other.

use serde::Serialize;

/// How a quantity grows with the number of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// `each`, however many chunks there are.
    Constant,
    /// `fixed + each * chunks`.
    Linear,
    /// `fixed + each * log2(chunks)`.
    Logarithmic,
}

impl Growth {
    fn of(self, chunks: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Linear => chunks,
            Self::Logarithmic => (chunks + 1.0).log2(),
        }
    }
}

/// A line through what was measured. Neither part is negative, so a prediction never falls with size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Series {
    /// How it grows.
    pub growth: Growth,
    /// What it is at no chunks.
    pub fixed: f64,
    /// What is added by each step of growth.
    pub each: f64,
}

impl Series {
    /// The line with the least sum of squared relative errors over `points` (chunks and quantity), of
    /// which those with a quantity of 0 or less are left out. One point gives a line through the origin.
    pub fn fit(growth: Growth, points: &[(f64, f64)]) -> Option<Self> {
        let points: Vec<(f64, f64)> = points
            .iter()
            .filter(|(chunks, quantity)| *chunks > 0.0 && *quantity > 0.0)
            .map(|(chunks, quantity)| (growth.of(*chunks), *quantity))
            .collect();
        let line = |(fixed, each)| Self {
            growth,
            fixed,
            each,
        };
        match points.as_slice() {
            [] => None,
            [(x, y)] => Some(line((0.0, y / x))),
            points => Some(line(fit_line(points))),
        }
    }

    /// The quantity at so many chunks.
    pub fn at(&self, chunks: f64) -> f64 {
        self.fixed + self.each * self.growth.of(chunks)
    }
}

/// Least squares with each point weighted by one over its quantity squared, under `fixed, each >= 0`.
fn fit_line(points: &[(f64, f64)]) -> (f64, f64) {
    let sum = |part: fn(f64, f64) -> f64| points.iter().map(|(x, y)| part(*x, *y)).sum::<f64>();
    let (w, wx, wxx) = (
        sum(|_, y| 1.0 / (y * y)),
        sum(|x, y| x / (y * y)),
        sum(|x, y| x * x / (y * y)),
    );
    let (wy, wxy) = (sum(|_, y| 1.0 / y), sum(|x, y| x / y));
    let determinant = w * wxx - wx * wx;
    let each = (w * wxy - wx * wy) / determinant;
    let fixed = (wy - each * wx) / w;
    if !each.is_finite() || each < 0.0 {
        (wy / w, 0.0)
    } else if fixed < 0.0 {
        (0.0, wxy / wxx)
    } else {
        (fixed, each)
    }
}
