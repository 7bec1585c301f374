//! BM25, the arithmetic.

/// Saturation of the term frequency.
pub const K1: f32 = 1.2;
/// How much a document's length counts.
pub const B: f32 = 0.75;

/// `ln(1 + (N - n + 0.5) / (n + 0.5))`: what a term is worth that `matching` of `documents` have.
pub fn inverse_frequency(matching: u64, documents: u64) -> f32 {
    let rest = documents.saturating_sub(matching) as f32;
    (1.0 + (rest + 0.5) / (matching as f32 + 0.5)).ln()
}

/// What stands beside the frequency of a term in a document of `length` terms: `K1 * (1 - B + B *
/// length / mean length)`. Fields whose length does not count have [`K1`].
pub fn length_norm(length: f32, mean_length: f32) -> f32 {
    K1 * (1.0 - B + B * length / mean_length.max(1.0))
}

/// What a term counts that a document has `frequency` times, in 0..1: `f / (f + norm)`.
pub fn saturation(frequency: u32, norm: f32) -> f32 {
    let frequency = frequency as f32;
    frequency / (frequency + norm)
}

/// Lengths up to here are kept as they are.
const EXACT: u32 = 24;
/// Bits of a longer one that are kept, the highest included.
const BITS: u32 = 4;

/// A document's length as an index remembers it, in one byte: exact when small, else its highest bits,
/// rounded down (the code of Lucene's and Tantivy's norms). All adapters count with it, so that an
/// entry scores the same in each.
pub fn stored_length(length: u32) -> u32 {
    let Some(rest) = length.checked_sub(EXACT) else {
        return length;
    };
    let dropped = (u32::BITS - rest.leading_zeros()).saturating_sub(BITS);
    EXACT + (rest >> dropped << dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_kept_to_four_bits() {
        let exact: Vec<u32> = (0..=40).map(stored_length).collect();
        assert_eq!(exact, (0..=40).collect::<Vec<u32>>());
        for (length, stored) in [
            (41, 40),
            (43, 42),
            (57, 56),
            (59, 56),
            (60, 60),
            (1000, 984),
        ] {
            assert_eq!(stored_length(length), stored, "{length}");
        }
    }

    #[test]
    fn rarer_terms_and_shorter_documents_count_more() {
        assert!(inverse_frequency(1, 100) > inverse_frequency(2, 100));
        assert!(inverse_frequency(100, 100) > 0.0);
        assert_eq!(length_norm(50.0, 50.0), K1);
        let short = saturation(1, length_norm(10.0, 50.0));
        assert!(short > saturation(1, length_norm(90.0, 50.0)));
        assert!(saturation(3, K1) > saturation(2, K1) && saturation(1000, K1) < 1.0);
    }
}
