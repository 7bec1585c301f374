//! What is sent and what is read, in each shape. Replies are read strictly: a vector or a score for
//! every text, of the right length, finite, each place once.

mod embeddings;
mod scores;

pub(crate) use embeddings::{embed_request, read_embeddings};
pub(crate) use scores::{read_scores, rerank_request};

use serde::Serialize;

/// A body of these fields.
fn body(fields: &impl Serialize) -> bytes::Bytes {
    let text = serde_json::to_vec(fields).expect("texts and numbers are JSON");
    text.into()
}

/// Puts values where their indices say; an error where they are no permutation of `0..count`.
fn in_order<T>(items: impl Iterator<Item = (usize, T)>, count: usize) -> Result<Vec<T>, String> {
    let mut places: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut found = 0_usize;
    for (index, item) in items {
        found += 1;
        let place = places
            .get_mut(index)
            .ok_or_else(|| format!("it answers for text {index} where {count} were sent"))?;
        if place.replace(item).is_some() {
            return Err(format!("it answers twice for text {index}"));
        }
    }
    let all: Option<Vec<T>> = places.into_iter().collect();
    all.ok_or_else(|| format!("it answers for {found} texts where {count} were sent"))
}

fn not_the_shape(error: &serde_json::Error) -> String {
    format!("its answer is not of the shape: {error}")
}
