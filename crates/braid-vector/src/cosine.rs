//! Unit vectors and their dot product: the one arithmetic behind every score, so that equal
//! vectors get equal scores wherever they are stored.

use braid_core::{Error, Result};

/// Numbers added side by side: lets the compiler use vector registers, and fixes the order of
/// summation.
const LANES: usize = 16;

/// Shortest vector with a usable direction.
const MIN_LENGTH: f32 = 1e-3;

/// `vector` scaled to length 1, so that a dot product is a cosine similarity.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) when the dimension is another, a number
/// is not finite, or the vector has no direction.
pub(crate) fn unit(vector: &[f32], dimension: usize) -> Result<Vec<f32>> {
    if vector.len() != dimension {
        return Err(Error::invalid(format!(
            "the vector has dimension {}, the store has dimension {dimension}",
            vector.len()
        )));
    }
    let length = dot(vector, vector).sqrt();
    if !length.is_finite() {
        return Err(Error::invalid("the vector has a number that is not finite"));
    }
    if length < MIN_LENGTH {
        return Err(Error::invalid("the vector has no length, so no direction"));
    }
    Ok(vector.iter().map(|x| x / length).collect())
}

/// Cosine similarity of two unit vectors, in -1..=1.
pub(crate) fn similarity(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b).clamp(-1.0, 1.0)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_agrees_with_the_plain_sum_at_every_length() {
        for length in 0..70 {
            let a: Vec<f32> = (0..length).map(|i| i as f32 * 0.5 - 3.0).collect();
            let b: Vec<f32> = (0..length).map(|i| 2.0 - i as f32 * 0.25).collect();
            let plain: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            assert!(
                (dot(&a, &b) - plain).abs() <= plain.abs() * 1e-5,
                "{length}"
            );
        }
    }

    #[test]
    fn unit_vectors_have_length_one_and_bad_ones_are_refused() {
        let vector = unit(&[3.0, 4.0], 2).unwrap();
        assert_eq!(vector, [0.6, 0.8]);
        let wrong = unit(&[1.0; 3], 2).unwrap_err();
        assert!(wrong.message().contains('3') && wrong.message().contains('2'));
        for bad in [[f32::NAN, 1.0], [f32::INFINITY, 1.0], [0.0, 0.0]] {
            assert!(unit(&bad, 2).is_err(), "{bad:?}");
        }
    }
}
