//! [`Batcher`]: what is asked of one collection at about the same time goes in one round trip.
//!
//! The two legs of a query, and those of other queries, are handed to one task. It waits a moment
//! ([`WINDOW`]) for company, sends what came as one batch, and goes on while that is under way. Only so
//! many batches are under way at once; what comes meanwhile waits for the next, up to [`WAITING`].
//!
//! A batch fails as a whole: each of its members gets the cause. What nobody waits for any more is not
//! sent, and a batch that was sent is given up after the time of a search, so that those over connections
//! that went silent leave room for others.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::qdrant_client::qdrant::{QueryBatchPoints, QueryPoints, ScoredPoint};
use braid_core::{Error, ErrorCode, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::chunks::ChunkStore;
use crate::qdrant::error::late;

/// How long the first search of a batch waits for others, at most.
const WINDOW: Duration = Duration::from_micros(250);
/// The window ends earlier where other tasks had their turn so often and asked nothing: the clock of a
/// runtime ticks in milliseconds, so it cannot be slept through.
const TURNS: usize = 64;
/// Most searches of one batch.
const MEMBERS: usize = 128;
/// Most searches that wait to be sent.
const WAITING: usize = 1024;
/// Most batches that are under way.
const UNDER_WAY: usize = 32;

/// Sends searches of one collection together.
#[derive(Debug)]
pub(crate) struct Batcher {
    asked: mpsc::Sender<Asked>,
}

#[derive(Debug)]
struct Asked {
    search: QueryPoints,
    answer: oneshot::Sender<Result<Vec<ScoredPoint>>>,
}

impl Batcher {
    /// Starts the task. It ends with this.
    pub(crate) fn new(chunks: Arc<ChunkStore>) -> Self {
        let (asked, searches) = mpsc::channel(WAITING);
        tokio::spawn(send_all(chunks, searches));
        Self { asked }
    }

    /// What the server answers to a search.
    ///
    /// # Errors
    /// [`Overloaded`](ErrorCode::Overloaded) where too many wait already, and what the batch fails with.
    pub(crate) async fn ask(&self, search: QueryPoints) -> Result<Vec<ScoredPoint>> {
        let (answer, answered) = oneshot::channel();
        self.asked.try_send(Asked { search, answer }).map_err(|_| {
            Error::new(
                ErrorCode::Overloaded,
                format!("{WAITING} searches wait for Qdrant already"),
            )
            .with_help("try again; more query servers or Qdrant nodes take more")
        })?;
        let gone = |_| Err(Error::new(ErrorCode::Unavailable, "a search was abandoned"));
        answered.await.unwrap_or_else(gone)
    }
}

async fn send_all(chunks: Arc<ChunkStore>, mut searches: mpsc::Receiver<Asked>) {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    while let Some(first) = searches.recv().await {
        // It is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let batch = gather(first, &mut searches).await;
        let chunks = Arc::clone(&chunks);
        tokio::spawn(async move {
            send(&chunks, batch).await;
            drop(permit);
        });
    }
}

/// `first` and what comes within the window.
async fn gather(first: Asked, searches: &mut mpsc::Receiver<Asked>) -> Vec<Asked> {
    let began = Instant::now();
    let mut batch = vec![first];
    let mut turns = 0;
    while batch.len() < MEMBERS && turns < TURNS && began.elapsed() < WINDOW {
        match searches.try_recv() {
            Ok(asked) => {
                batch.push(asked);
                turns = 0;
            }
            Err(_) => {
                turns += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    batch
}

async fn send(chunks: &ChunkStore, mut batch: Vec<Asked>) {
    batch.retain(|asked| !asked.answer.is_closed());
    if batch.is_empty() {
        return;
    }
    let searches = batch.iter_mut().map(|asked| mem::take(&mut asked.search));
    let request = QueryBatchPoints {
        collection_name: chunks.points.name.clone(),
        query_points: searches.collect(),
        read_consistency: chunks.points.site.consistency(),
        ..QueryBatchPoints::default()
    };
    metrics::histogram!("braid_cluster_batch_searches").record(batch.len() as f64);
    let asked = chunks
        .points
        .site
        .ask(|client| async move { client.query_batch(request).await });
    // Longer nobody waits: a search has the same time, and began before.
    let limit = chunks.points.site.options.search_timeout;
    let answer = tokio::time::timeout(limit, asked).await;
    let mut results = answer.map(|answer| answer.map(|answer| answer.result.into_iter()));
    for asked in batch {
        let answer = match &mut results {
            Ok(Ok(results)) => results.next().map(|it| it.result).ok_or_else(short),
            Ok(Err(error)) => Err(chunks.points.failed(error)),
            Err(_) => Err(late("for a search", limit)),
        };
        // Whoever stopped waiting needs none.
        let _ = asked.answer.send(answer);
    }
}

fn short() -> Error {
    Error::new(
        ErrorCode::Unavailable,
        "Qdrant answered fewer searches than it was asked",
    )
}
