//! Scoring with the cross-encoder: windows in base order, a few in flight, until all are scored or
//! the deadline passes.

use std::ops::Range;
use std::time::Duration;

use braid_core::{ChunkRecord, Error, Reranker, Result};
use futures::stream::{self, Stream, StreamExt};
use tokio::time::Instant;

/// Pairs scored in one call. Small, so that a deadline loses little work.
const WINDOW: usize = 8;

/// What the re-ranker made of the head of a list.
#[derive(Debug)]
pub(crate) struct WindowScores {
    /// The model's score per hit, in base order; `None` where it did not get to it, or gave no
    /// number.
    pub(crate) raw: Vec<Option<f64>>,
    /// Why some are missing, if any are.
    pub(crate) shortfall: Option<Shortfall>,
}

/// Why a re-ranker did not score everything it was asked to.
#[derive(Debug)]
pub(crate) enum Shortfall {
    /// There is none.
    NotLoaded,
    /// The deadline passed.
    Deadline(Duration),
    /// A call failed.
    Failed(Error),
    /// So many passages got a score that is no number.
    NotFinite(usize),
}

impl WindowScores {
    /// How many hits were scored.
    pub(crate) fn scored(&self) -> usize {
        self.raw.iter().flatten().count()
    }
}

impl Shortfall {
    /// What happened, in words.
    pub(crate) fn describe(&self, scored: usize, of: usize) -> String {
        match self {
            Self::NotLoaded => {
                "no re-ranker is loaded: set models.reranker, or ask with rerank.enabled false"
                    .to_owned()
            }
            Self::Deadline(limit) => format!(
                "re-ranked {scored} of {of} before the deadline of {} ms",
                limit.as_millis()
            ),
            Self::Failed(error) => format!("re-ranked {scored} of {of}: {}", error.chain()),
            Self::NotFinite(count) => {
                format!("re-ranked {scored} of {of}: the model gave no finite score for {count}")
            }
        }
    }
}

/// The text the cross-encoder sees for a chunk: the context header above the body, as the dense leg
/// sees it. The one place where this is decided.
pub(crate) fn passage_text(record: &ChunkRecord) -> String {
    record.embedded_text()
}

/// Scores `passages`, which are in base order, against `query`. The deadline starts now. Windows
/// that have not started when it passes, or when a call fails, never start; ones in flight are
/// abandoned.
///
/// # Cancel safety
/// Dropping the future abandons every window.
pub(crate) async fn score_passages(
    reranker: &dyn Reranker,
    query: &str,
    passages: &[String],
    deadline: Option<Duration>,
) -> WindowScores {
    let mut scores = vec![None; passages.len()];
    let windows = stream::iter(windows(passages.len()))
        .map(|window| score_window(reranker, query, &passages[window.clone()], window))
        .buffer_unordered(reranker.concurrency().max(1));
    let collected = collect_windows(windows, &mut scores);
    let shortfall = match deadline {
        None => collected.await.err().map(Shortfall::Failed),
        // The timer would be a race with a fast re-ranker.
        Some(limit) if limit.is_zero() && !passages.is_empty() => {
            drop(collected);
            Some(Shortfall::Deadline(limit))
        }
        Some(limit) => match tokio::time::timeout_at(Instant::now() + limit, collected).await {
            Ok(outcome) => outcome.err().map(Shortfall::Failed),
            Err(_) => Some(Shortfall::Deadline(limit)),
        },
    };
    // An odd passage costs its own place, not the whole answer's.
    let odd = scores.iter().flatten().filter(|score| !score.is_finite());
    let odd = odd.count();
    let finite = |score: Option<f64>| score.filter(|score| score.is_finite());
    WindowScores {
        raw: scores.into_iter().map(finite).collect(),
        shortfall: shortfall.or((odd > 0).then_some(Shortfall::NotFinite(odd))),
    }
}

fn windows(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(WINDOW)
        .map(move |start| start..(start + WINDOW).min(count))
}

/// Writes each window's scores as it is done, so that a deadline keeps what was scored before it.
async fn collect_windows(
    windows: impl Stream<Item = Result<(Range<usize>, Vec<f64>)>>,
    scores: &mut [Option<f64>],
) -> Result<()> {
    let mut windows = std::pin::pin!(windows);
    while let Some(done) = windows.next().await {
        let (window, done) = done?;
        for (place, score) in scores[window].iter_mut().zip(done) {
            *place = Some(score);
        }
    }
    Ok(())
}

/// Scores one window. Passages go in by rising length, so that an adapter which pads to the
/// longest of a batch pads little; scores come back in the order given.
async fn score_window(
    reranker: &dyn Reranker,
    query: &str,
    passages: &[String],
    window: Range<usize>,
) -> Result<(Range<usize>, Vec<f64>)> {
    let mut order: Vec<usize> = (0..passages.len()).collect();
    order.sort_by_key(|index| passages[*index].len());
    let sorted: Vec<String> = order.iter().map(|index| passages[*index].clone()).collect();
    let scores = reranker.score(query, &sorted).await?;
    check_count(&scores, sorted.len())?;
    let mut restored = vec![0.0; scores.len()];
    for (index, score) in order.into_iter().zip(scores) {
        restored[index] = f64::from(score);
    }
    Ok((window, restored))
}

fn check_count(scores: &[f32], expected: usize) -> Result<()> {
    if scores.len() == expected {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the re-ranker gave {} scores for {expected} passages",
        scores.len()
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use braid_core::{Calibration, Fingerprint, Language};
    use braid_testkit::OverlapReranker;
    use tokio::sync::Semaphore;

    use super::*;

    /// Scores a passage by its length. Each call takes one permit of `gate`; the call that finds
    /// `poison` in a passage answers with `poisoned`.
    #[derive(Debug)]
    struct GatedReranker {
        fingerprint: Fingerprint,
        gate: Semaphore,
        concurrency: usize,
        started: AtomicUsize,
        poisoned: fn() -> Result<Vec<f32>>,
    }

    impl GatedReranker {
        fn new(permits: usize, concurrency: usize) -> Self {
            Self {
                fingerprint: Fingerprint::new("gated"),
                gate: Semaphore::new(permits),
                concurrency,
                started: AtomicUsize::new(0),
                poisoned: || Err(Error::internal("boom")),
            }
        }
    }

    #[async_trait]
    impl Reranker for GatedReranker {
        fn fingerprint(&self) -> &Fingerprint {
            &self.fingerprint
        }

        fn recommended_blend(&self, _language: Language) -> f64 {
            0.5
        }

        fn calibration(&self, _language: Language) -> Option<Calibration> {
            None
        }

        fn concurrency(&self) -> usize {
            self.concurrency
        }

        async fn score(&self, _query: &str, passages: &[String]) -> Result<Vec<f32>> {
            self.started.fetch_add(1, Ordering::SeqCst);
            let permit = self.gate.acquire().await;
            permit.expect("the gate is never closed").forget();
            assert!(passages.is_sorted_by_key(String::len), "sorted by length");
            if passages.iter().any(|passage| passage == "poison") {
                return (self.poisoned)();
            }
            let lengths = passages.iter().map(|passage| passage.len() as f32);
            Ok(lengths.collect())
        }
    }

    /// Passages of rising and falling length: their own length is their expected score.
    fn passages(count: usize) -> Vec<String> {
        let lengths = (0..count).map(|index| 1 + (index * 7) % 11);
        lengths.map(|length| "x".repeat(length)).collect()
    }

    fn described(scores: &WindowScores) -> String {
        let describe =
            |shortfall: &Shortfall| shortfall.describe(scores.scored(), scores.raw.len());
        scores.shortfall.as_ref().map_or(String::new(), describe)
    }

    fn lengths(passages: &[String]) -> Vec<Option<f64>> {
        let lengths = passages.iter().map(|passage| passage.len() as f64);
        lengths.map(Some).collect()
    }

    #[tokio::test]
    async fn scores_come_back_in_base_order() {
        let reranker = GatedReranker::new(99, 3);
        let passages = passages(30);
        let scores = score_passages(&reranker, "q", &passages, None).await;
        assert_eq!(scores.raw, lengths(&passages));
        assert!(scores.shortfall.is_none());
        assert_eq!(reranker.started.load(Ordering::SeqCst), 4);
    }

    // The gate stays closed, so however slow the machine is, what is scored before a deadline is
    // what the permits let through.
    #[tokio::test]
    async fn a_deadline_keeps_the_windows_done_before_it() {
        let reranker = GatedReranker::new(2, 1);
        let passages = passages(30);
        let deadline = Some(Duration::from_millis(2));
        let scores = score_passages(&reranker, "q", &passages, deadline).await;
        assert_eq!(scores.raw[..16], lengths(&passages)[..16]);
        assert_eq!(scores.raw[16..], vec![None; 14]);
        assert_eq!(
            described(&scores),
            "re-ranked 16 of 30 before the deadline of 2 ms"
        );
        let started = reranker.started.load(Ordering::SeqCst);
        assert_eq!(started, 3, "the fourth window must not start");
    }

    #[tokio::test]
    async fn as_many_windows_are_in_flight_as_the_model_can_use() {
        let reranker = GatedReranker::new(0, 3);
        let deadline = Some(Duration::from_millis(1));
        let scores = score_passages(&reranker, "q", &passages(64), deadline).await;
        assert_eq!(scores.scored(), 0);
        assert_eq!(reranker.started.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_failing_call_keeps_what_was_scored_before_it() {
        let reranker = GatedReranker::new(99, 1);
        let mut passages = passages(30);
        passages[12] = "poison".to_owned();
        let scores = score_passages(&reranker, "q", &passages, None).await;
        assert_eq!(scores.scored(), 8);
        assert_eq!(described(&scores), "re-ranked 8 of 30: boom");
        assert_eq!(reranker.started.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_wrong_number_of_scores_is_a_failure() {
        let reranker = GatedReranker {
            poisoned: || Ok(vec![]),
            ..GatedReranker::new(1, 1)
        };
        let scores = score_passages(&reranker, "q", &["poison".to_owned()], None).await;
        assert_eq!(
            described(&scores),
            "re-ranked 0 of 1: the re-ranker gave 0 scores for 1 passages"
        );
    }

    #[tokio::test]
    async fn a_score_that_is_no_number_costs_that_passage_alone() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let reranker = OverlapReranker::new().with_odd("poison", odd);
            let mut passages = passages(12);
            passages[2] = "poison".to_owned();
            let scores = score_passages(&reranker, "q", &passages, None).await;
            assert_eq!(scores.raw[2], None);
            assert_eq!(scores.scored(), 11);
            assert_eq!(
                described(&scores),
                "re-ranked 11 of 12: the model gave no finite score for 1"
            );
        }
    }
}
