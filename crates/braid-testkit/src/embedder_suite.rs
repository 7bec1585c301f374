//! What every embedder must do.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

use braid_core::{Embedder, Embedding};

/// Texts of very different lengths, as batching and padding would mix them.
const TEXTS: [&str; 7] = [
    "The red fox sleeps in its den.",
    "x",
    "Reciprocal rank fusion adds one over k plus rank for every list that holds the document, so \
     that a document ranked well by several legs wins over one ranked first by a single leg. It \
     needs no scores, only ranks, which is why legs with incomparable scores can be merged.",
    "A fox, red as rust, asleep in a den.",
    "fn main() { println!(\"{}\", 1 + 1); }",
    "Quarterly revenue rose by four percent.",
    "Größere Füchse schlafen länger — 狐狸。",
];

/// Checks the contract of [`Embedder`]. `min_cosine` is how near a text's vector must be to the
/// one it gets in other company (1 for exact arithmetic).
pub async fn embedder_suite(embedder: &dyn Embedder, min_cosine: f64) {
    describes_itself(embedder);
    counts_tokens(embedder);
    gives_unit_vectors_in_order(embedder, min_cosine).await;
    is_deterministic(embedder).await;
    embeds_many_like_few(embedder, min_cosine).await;
    takes_no_texts_and_empty_texts(embedder).await;
    takes_very_long_texts(embedder).await;
    puts_like_texts_together(embedder).await;
    survives_abandoned_calls(embedder).await;
}

fn describes_itself(embedder: &dyn Embedder) {
    assert!(!embedder.fingerprint().as_str().is_empty());
    assert!(embedder.dimension() > 0);
}

fn counts_tokens(embedder: &dyn Embedder) {
    let counter = embedder.token_counter();
    assert!(counter.max_tokens() > 0);
    assert_eq!(counter.count(""), 0, "special tokens are not counted");
    let (one, two) = (counter.count("fox"), counter.count("fox fox"));
    assert!(one >= 1 && two == 2 * one, "{one} {two}");
    let long = "fox ".repeat(10 * counter.max_tokens().min(10_000));
    assert_eq!(
        counter.count(&long),
        one * 10 * counter.max_tokens().min(10_000),
        "untruncated"
    );
}

async fn gives_unit_vectors_in_order(embedder: &dyn Embedder, min_cosine: f64) {
    let together = embed(embedder, &TEXTS).await;
    for (text, vector) in TEXTS.iter().zip(&together) {
        check_vector(embedder, vector);
        let alone = embed(embedder, &[text]).await.remove(0);
        let near = cosine(vector, &alone);
        assert!(near >= min_cosine, "{text:?} in company and alone: {near}");
    }
    let mut reversed = TEXTS;
    reversed.reverse();
    for (vector, mirrored) in together.iter().rev().zip(embed(embedder, &reversed).await) {
        assert!(cosine(vector, &mirrored) >= min_cosine, "order is kept");
    }
}

async fn is_deterministic(embedder: &dyn Embedder) {
    assert_eq!(embed(embedder, &TEXTS).await, embed(embedder, &TEXTS).await);
    let query = embedder.embed_query(TEXTS[2]).await.unwrap();
    check_vector(embedder, &query);
    assert_eq!(query, embedder.embed_query(TEXTS[2]).await.unwrap());
}

/// More texts than any batch or queue holds.
async fn embeds_many_like_few(embedder: &dyn Embedder, min_cosine: f64) {
    let texts: Vec<String> = (0..150)
        .map(|n| format!("{} {}", TEXTS[n % 4], "den ".repeat(n % 9)))
        .collect();
    let vectors = embedder.embed_passages(texts.clone()).await.unwrap();
    assert_eq!(vectors.len(), texts.len());
    for place in [0, 1, 77, 149] {
        let alone = embedder
            .embed_passages(vec![texts[place].clone()])
            .await
            .unwrap()
            .remove(0);
        let near = cosine(&vectors[place], &alone);
        assert!(near >= min_cosine, "text {place} of many: {near}");
    }
}

async fn takes_no_texts_and_empty_texts(embedder: &dyn Embedder) {
    assert!(
        embedder
            .embed_passages(Vec::new())
            .await
            .unwrap()
            .is_empty()
    );
    for vector in embed(embedder, &["", "   \n\t", "\u{0}\u{fffd}"]).await {
        check_vector(embedder, &vector);
    }
    check_vector(embedder, &embedder.embed_query("").await.unwrap());
}

/// What is beyond the window does not change the vector, and does not fail.
async fn takes_very_long_texts(embedder: &dyn Embedder) {
    let long = "the red fox sleeps ".repeat(20_000);
    let one_word = "fox".repeat(100_000);
    for vector in embed(embedder, &[&long, &one_word]).await {
        check_vector(embedder, &vector);
    }
    check_vector(embedder, &embedder.embed_query(&long).await.unwrap());
}

async fn puts_like_texts_together(embedder: &dyn Embedder) {
    let vectors = embed(embedder, &TEXTS).await;
    let query = embedder.embed_query("red fox in a den").await.unwrap();
    let (fox, revenue) = (cosine(&query, &vectors[0]), cosine(&query, &vectors[5]));
    assert!(fox > revenue + 0.2, "{fox} {revenue}");
    assert!(cosine(&vectors[0], &vectors[3]) > cosine(&vectors[0], &vectors[5]));
}

async fn survives_abandoned_calls(embedder: &dyn Embedder) {
    for _ in 0..20 {
        let call = embedder.embed_passages(TEXTS.map(str::to_owned).to_vec());
        // Polled once, so that work may be under way, and dropped.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, call).await;
    }
    check_vector(embedder, &embed(embedder, &["still here"]).await[0]);
}

fn check_vector(embedder: &dyn Embedder, vector: &Embedding) {
    assert_eq!(vector.len(), embedder.dimension());
    assert!(vector.iter().all(|x| x.is_finite()));
    let length = dot(vector, vector).sqrt();
    assert!((length - 1.0).abs() < 1e-3, "length {length}");
}

async fn embed(embedder: &dyn Embedder, texts: &[&str]) -> Vec<Embedding> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let count = texts.len();
    let vectors = embedder.embed_passages(texts).await.unwrap();
    assert_eq!(vectors.len(), count, "one vector each");
    vectors
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashEmbedder;

    #[tokio::test]
    async fn the_double_passes() {
        embedder_suite(&HashEmbedder::new(256), 1.0 - 1e-6).await;
    }
}
