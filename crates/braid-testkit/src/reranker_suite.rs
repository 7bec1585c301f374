//! What every re-ranker must do.

// A suite is test code: a failed unwrap is a failed check.
#![allow(clippy::unwrap_used)]

use braid_core::{Language, Reranker};

const QUERY: &str = "where does the red fox sleep";

const PASSAGES: [&str; 6] = [
    "The red fox does sleep where it is dry: in its den, in the roots of an old oak.",
    "Quarterly revenue rose by four percent.",
    "red",
    "fn main() { println!(\"{}\", 1 + 1); }",
    "Foxes are omnivores. They eat mice, birds, beetles, berries and whatever the compost heap of \
     a garden holds, and they bury what they cannot finish, to come back for it on a leaner day.",
    "Größere Füchse schlafen länger — 狐狸。",
];

/// Checks the contract of [`Reranker`]. `tolerance` is how much a score may differ in other company
/// (0 for exact arithmetic).
pub async fn reranker_suite(reranker: &dyn Reranker, tolerance: f32) {
    describes_itself(reranker);
    scores_in_order(reranker, tolerance).await;
    scores_many_like_few(reranker, tolerance).await;
    prefers_the_answer(reranker).await;
    takes_nothing_and_odd_texts(reranker).await;
    truncates_the_passage_not_the_query(reranker, tolerance).await;
    leaves_a_passage_room_beside_a_long_query(reranker).await;
    survives_abandoned_calls(reranker).await;
}

fn describes_itself(reranker: &dyn Reranker) {
    assert!(!reranker.fingerprint().as_str().is_empty());
    for (language, name) in Language::ALL {
        let blend = reranker.recommended_blend(language);
        assert!((0.0..=1.0).contains(&blend), "{name}: {blend}");
        if let Some(calibration) = reranker.calibration(language) {
            assert!(calibration.slope > 0.0, "{name}: order is kept");
        }
    }
    assert!(reranker.concurrency() >= 1);
}

async fn scores_in_order(reranker: &dyn Reranker, tolerance: f32) {
    let together = score(reranker, QUERY, &PASSAGES).await;
    assert_eq!(
        together,
        score(reranker, QUERY, &PASSAGES).await,
        "deterministic"
    );
    for (passage, expected) in PASSAGES.iter().zip(&together) {
        let alone = score(reranker, QUERY, &[passage]).await[0];
        assert!(
            (alone - expected).abs() <= tolerance,
            "{passage:?}: {alone} {expected}"
        );
    }
    let mut reversed = PASSAGES;
    reversed.reverse();
    let mirrored = score(reranker, QUERY, &reversed).await;
    for (a, b) in together.iter().rev().zip(mirrored) {
        assert!((a - b).abs() <= tolerance, "order is kept: {a} {b}");
    }
}

/// More passages than any batch or queue holds.
async fn scores_many_like_few(reranker: &dyn Reranker, tolerance: f32) {
    let few = score(reranker, QUERY, &PASSAGES).await;
    let many: Vec<&str> = (0..100).map(|n| PASSAGES[n % PASSAGES.len()]).collect();
    let scores = score(reranker, QUERY, &many).await;
    for (place, found) in scores.iter().enumerate() {
        let expected = few[place % PASSAGES.len()];
        assert!(
            (found - expected).abs() <= tolerance,
            "passage {place}: {found} {expected}"
        );
    }
}

async fn prefers_the_answer(reranker: &dyn Reranker) {
    let scores = score(reranker, QUERY, &PASSAGES).await;
    for (passage, other) in PASSAGES.iter().zip(&scores).skip(1) {
        assert!(
            scores[0] > *other,
            "{passage:?} beats the answer: {scores:?}"
        );
    }
}

async fn takes_nothing_and_odd_texts(reranker: &dyn Reranker) {
    assert!(reranker.score(QUERY, &[]).await.unwrap().is_empty());
    score(reranker, "", &["", "  \n", "fox"]).await;
    score(reranker, QUERY, &["", "\u{0}\u{fffd}", "\u{1b}[31m\r\u{7}"]).await;
    let foreign = [
        "赤い狐は穴で眠る",
        "الثعلب الأحمر",
        "лиса",
        "🦊🦊",
        "e\u{301}\u{301}",
    ];
    score(reranker, QUERY, &foreign).await;
    score(reranker, "狐はどこで眠るか", &foreign).await;
}

/// A passage far beyond the window is cut, and the query still counts in full.
async fn truncates_the_passage_not_the_query(reranker: &dyn Reranker, tolerance: f32) {
    let long = format!("{} {}", PASSAGES[0], "and so on ".repeat(20_000));
    let asked = score(reranker, QUERY, &[&long]).await[0];
    let unrelated = score(reranker, "how much did revenue rise", &[&long]).await[0];
    assert!(asked > unrelated + tolerance, "{asked} {unrelated}");
}

async fn leaves_a_passage_room_beside_a_long_query(reranker: &dyn Reranker) {
    let query = format!("{QUERY} {}", "red fox den sleep ".repeat(5_000));
    let scores = score(reranker, &query, &[PASSAGES[0], PASSAGES[1]]).await;
    assert_ne!(scores[0], scores[1], "the passage is not truncated away");
}

async fn survives_abandoned_calls(reranker: &dyn Reranker) {
    let passages = PASSAGES.map(str::to_owned);
    for _ in 0..20 {
        // Polled once, so that work may be under way, and dropped.
        let call = reranker.score(QUERY, &passages);
        let _ = tokio::time::timeout(std::time::Duration::ZERO, call).await;
    }
    score(reranker, QUERY, &PASSAGES).await;
}

async fn score(reranker: &dyn Reranker, query: &str, passages: &[&str]) -> Vec<f32> {
    let passages: Vec<String> = passages
        .iter()
        .map(|passage| (*passage).to_owned())
        .collect();
    let scores = reranker.score(query, &passages).await.unwrap();
    assert_eq!(scores.len(), passages.len(), "one score each");
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OverlapReranker;

    #[tokio::test]
    async fn the_double_passes() {
        reranker_suite(&OverlapReranker::new(), 0.0).await;
    }
}
