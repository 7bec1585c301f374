//! A network's output to unit vectors.

use braid_core::{Embedding, Error, Result};
use fastembed::Pooling;

use crate::batch::Batch;

/// One vector per row of `batch` from an output of `shape` (`[rows, columns, dimension]`, pooled
/// here, or `[rows, dimension]`, pooled by the network), L2-normalised.
///
/// # Errors
/// [`Internal`](braid_core::ErrorCode::Internal) for another shape or a vector that is not finite.
pub(crate) fn pool(
    shape: &[i64],
    data: &[f32],
    batch: &Batch,
    pooling: &Pooling,
) -> Result<Vec<Embedding>> {
    let sizes: Vec<usize> = shape
        .iter()
        .map(|size| usize::try_from(*size).unwrap_or(0))
        .collect();
    match sizes[..] {
        [rows, dimension] if rows == batch.rows && dimension > 0 => data
            .chunks_exact(dimension)
            .map(|vector| normalise(vector.to_vec()))
            .collect(),
        [rows, columns, dimension]
            if rows == batch.rows && columns == batch.columns && columns * dimension > 0 =>
        {
            let masks = batch.mask.chunks_exact(columns);
            data.chunks_exact(columns * dimension)
                .zip(masks)
                .map(|(tokens, mask)| normalise(pool_row(tokens, mask, dimension, pooling)))
                .collect()
        }
        _ => Err(Error::internal(format!(
            "the model gave an output of shape {shape:?} for {} texts of {} tokens",
            batch.rows, batch.columns
        ))),
    }
}

fn pool_row(tokens: &[f32], mask: &[i64], dimension: usize, pooling: &Pooling) -> Vec<f32> {
    match pooling {
        Pooling::Cls => tokens[..dimension].to_vec(),
        // Normalising makes the sum as good as the mean.
        Pooling::Mean => {
            let mut sum = vec![0.0_f32; dimension];
            let kept = tokens
                .chunks_exact(dimension)
                .zip(mask)
                .filter(|(_, mask)| **mask != 0);
            for (token, _) in kept {
                sum.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
            sum
        }
    }
}

fn normalise(mut vector: Vec<f32>) -> Result<Embedding> {
    let length = vector
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(Error::internal(
            "the model gave a vector that is not finite or is all zero",
        ));
    }
    vector
        .iter_mut()
        .for_each(|x| *x = (f64::from(*x) / length) as f32);
    Ok(vector.into())
}

#[cfg(test)]
mod tests {
    use braid_core::ErrorCode;

    use super::*;

    /// Two rows of two tokens of two numbers; the second row has one token and padding.
    fn sample() -> (Batch, [f32; 8]) {
        let batch = Batch {
            rows: 2,
            columns: 2,
            mask: vec![1, 1, 1, 0],
            ..Batch::default()
        };
        (batch, [3.0, 0.0, 0.0, 4.0, 0.0, 2.0, 900.0, 900.0])
    }

    fn vectors(embeddings: Vec<Embedding>) -> Vec<Vec<f32>> {
        embeddings
            .iter()
            .map(|embedding| embedding.to_vec())
            .collect()
    }

    #[test]
    fn the_mean_leaves_padding_out_and_is_normalised() {
        let (batch, data) = sample();
        let pooled = pool(&[2, 2, 2], &data, &batch, &Pooling::Mean).unwrap();
        assert_eq!(vectors(pooled), [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn cls_takes_the_first_token() {
        let (batch, data) = sample();
        let pooled = pool(&[2, 2, 2], &data, &batch, &Pooling::Cls).unwrap();
        assert_eq!(vectors(pooled), [[1.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn a_pooled_output_is_only_normalised() {
        let (batch, _) = sample();
        let pooled = pool(&[2, 2], &[3.0, 4.0, 0.0, 5.0], &batch, &Pooling::Mean).unwrap();
        assert_eq!(vectors(pooled), [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn other_shapes_and_bad_numbers_are_errors() {
        let (batch, _) = sample();
        let wrong: [(&[i64], &[f32]); 4] = [
            (&[4], &[1.0; 4]),
            (&[1, 2], &[1.0; 2]),
            (&[2, 2], &[f32::NAN, 1.0, 1.0, 1.0]),
            (&[2, 2], &[0.0; 4]),
        ];
        for (shape, data) in wrong {
            let error = pool(shape, data, &batch, &Pooling::Mean).expect_err("not a vector each");
            assert_eq!(error.code(), ErrorCode::Internal);
        }
    }
}
