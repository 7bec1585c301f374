//! What a threshold of the cache of stored answers lets through: labelled pairs of questions in, rates
//! of true and of false hits out, with the guard and without.
//!
//! A pair has the same answer or another. It is a hit where the cosine similarity of its questions
//! reaches the threshold and, with the guard, nothing tells them apart: a true hit where the answer is
//! the same, a false one where it is not. Embeddings and guard are those that serve.

mod file;
mod report;
mod timing;

use std::collections::HashMap;

use braid_core::{Embedding, Result};
use braid_engine::Engine;
use braid_engine::query::cache::guard::{Difference, Reading};
use braid_engine::query::cache::semantic::question_similarity;

pub use file::{Pair, read_pairs};
pub use report::{Hits, KindRow, PairRow, PairsReport, Rate, Row, Stopped, measure};
pub use timing::{LookupTime, time_lookups};

/// A pair as the cache sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The pair.
    pub pair: Pair,
    /// Cosine similarity of its questions.
    pub similarity: f64,
    /// Every difference that the guard finds; it refuses where there is any.
    pub differences: Vec<Difference>,
}

/// Embeds and reads every pair; `progress` is told how many are done.
///
/// # Errors
/// What the embedder fails with.
pub async fn compare(
    engine: &Engine,
    pairs: &[Pair],
    mut progress: impl FnMut(usize),
) -> Result<Vec<Measured>> {
    let mut embeddings: HashMap<&str, Embedding> = HashMap::new();
    let mut measured = Vec::with_capacity(pairs.len());
    for pair in pairs {
        for question in [&pair.one, &pair.other] {
            if !embeddings.contains_key(question.as_str()) {
                let embedding = engine.embedder().embed_query(question).await?;
                embeddings.insert(question, embedding);
            }
        }
        let similarity = question_similarity(
            (&pair.one, &embeddings[pair.one.as_str()]),
            (&pair.other, &embeddings[pair.other.as_str()]),
        );
        let (one, other) = (Reading::of(&pair.one), Reading::of(&pair.other));
        let found = Difference::ALL.into_iter();
        measured.push(Measured {
            pair: pair.clone(),
            similarity,
            differences: found
                .filter(|found| found.is_between(&one, &other))
                .collect(),
        });
        progress(measured.len());
    }
    Ok(measured)
}
