//! What is written, worked on and asked while something happens to the server.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use braid_config::Settings;
use braid_core::{DocumentStatus, ErrorCode, NewDocument};
use braid_engine::query::{Mode, RetrieveResponse};
use braid_engine::{Engine, IngestRequest, Until, WorkerProgress};
use braid_qdrant_double::poll;
use braid_testkit::HashEmbedder;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::traffic::{Flow, Traffic};
use crate::world::{DIMENSION, document, found, id, ingest, name, open, request};

/// Documents from before, which are asked for and replaced.
pub(crate) const KEPT: usize = 30;
/// Documents of one write: so many are replaced, and so many are new.
const WRITTEN: usize = 5;
/// Writes until each document was replaced once more.
const TURN: usize = KEPT / WRITTEN;
/// Most writes, so that a long wait makes no large collection.
const MOST: usize = 400;

/// Documents are replaced in turn, new ones are written, and those from before are asked for. Whatever
/// happens, an answer has the document it names, once, and in no version that nobody wrote.
#[derive(Clone)]
pub(crate) struct Stories {
    engine: Engine,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    /// Writes that are acknowledged.
    pub(crate) writes: usize,
    /// Why writes were refused before they were acknowledged, and how often.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Why queries failed, or lacked a leg, and how often.
    pub(crate) failed: BTreeMap<String, usize>,
    /// The newest edition of each document that was found.
    editions: BTreeMap<usize, usize>,
    /// Answers with an older edition than an answer before.
    pub(crate) older: usize,
}

impl Stories {
    /// The documents from before, indexed.
    pub(crate) async fn begin(engine: &Engine) -> Self {
        engine.ensure_collection(&name()).await.unwrap();
        ingest(engine, (0..KEPT).map(|it| document(it, 1)).collect()).await;
        let stories = Self {
            engine: engine.clone(),
            seen: Arc::default(),
        };
        stories.wait_drained().await;
        stories
    }

    /// What was seen until now; it is printed, for a test that fails.
    #[expect(clippy::print_stderr, reason = "shown where the test fails")]
    pub(crate) async fn seen(&self) -> Seen {
        let seen = self.seen.lock().await.clone();
        eprintln!("{seen:?}");
        seen
    }

    /// Forgets what was refused and failed.
    pub(crate) async fn forget(&self) {
        let mut seen = self.seen.lock().await;
        seen.refused.clear();
        seen.failed.clear();
    }

    /// Waits until a write was refused.
    pub(crate) async fn wait_refused(&self) {
        poll("a write is refused", async || {
            let seen = self.seen.lock().await;
            match seen.refused.is_empty() {
                true => Err(format!("{seen:?}")),
                false => Ok(()),
            }
        })
        .await;
    }

    /// Waits until so many more writes were acknowledged.
    pub(crate) async fn wait_written(&self, more: usize) {
        let wanted = self.seen.lock().await.writes + more;
        poll("writes are acknowledged", async || {
            let seen = self.seen.lock().await;
            match seen.writes >= wanted {
                true => Ok(()),
                false => Err(format!("{seen:?}")),
            }
        })
        .await;
    }

    /// Waits until nothing waits for workers.
    pub(crate) async fn wait_drained(&self) {
        wait_drained(&self.engine).await;
    }

    /// Everything that was acknowledged is retrievable in its newest version, once, and nothing failed.
    pub(crate) async fn check_whole(&self) {
        self.wait_drained().await;
        let writes = self.seen.lock().await.writes;
        let expected = (0..KEPT).map(|number| (number, edition(number, writes)));
        let added = (KEPT..KEPT + writes * WRITTEN).map(|number| (number, 1));
        check_documents(&self.engine, expected.chain(added).collect()).await;
        let mut seen = Seen::default();
        for number in 0..KEPT {
            let found = self.retrieve(number).await.expect("it answers again");
            seen.note(number, writes, found);
        }
        assert!(seen.failed.is_empty(), "{seen:?}");
        let newest = (0..KEPT).map(|number| (number, edition(number, writes)));
        assert_eq!(seen.editions, newest.collect());
    }

    async fn retrieve(&self, number: usize) -> braid_core::Result<RetrieveResponse> {
        let query = format!("the story of the one called n{number}");
        self.engine.retrieve(request(&query, Mode::Hybrid)).await
    }
}

/// Waits until nothing waits for workers.
pub(crate) async fn wait_drained(engine: &Engine) {
    poll("nothing waits", async || {
        let depth = engine.work_depth().await.map_err(|it| it.to_string())?;
        let depth = depth.expect("the profile has workers");
        match depth.waiting {
            0 => Ok(()),
            _ => Err(format!("{depth:?}")),
        }
    })
    .await;
}

/// These documents are published in these editions, and there are no others and no dead letters.
pub(crate) async fn check_documents(engine: &Engine, expected: Vec<(usize, usize)>) {
    let depth = engine.work_depth().await.unwrap().unwrap();
    assert_eq!((depth.waiting, depth.failed), (0, 0));
    for (number, edition) in &expected {
        let there = engine.document(&name(), &id(*number)).await.unwrap();
        assert_eq!(there.summary.status, DocumentStatus::Published);
        let wanted = format!("edition e{edition} ");
        assert!(there.text.contains(&wanted), "{wanted}: {}", there.text);
    }
    let count = || async { engine.collection_info(&name()).await.unwrap().stats };
    // Counts may be a second old.
    poll("every document counts", async || {
        let stats = count().await;
        match (stats.documents, stats.failed) == (expected.len() as u64, 0) {
            true => Ok(()),
            false => Err(format!("{stats:?}")),
        }
    })
    .await;
    for mode in [Mode::Lexical, Mode::Dense] {
        let (number, edition) = expected[expected.len() / 2];
        let query = format!("the one called n{number}, edition e{edition}");
        let hits = found(engine, &query, mode).await;
        let documents: BTreeSet<_> = hits.iter().map(|(id, _)| id).collect();
        assert_eq!(documents.len(), hits.len(), "two versions: {hits:?}");
    }
}

/// The edition of a document from before, after so many writes.
fn edition(number: usize, writes: usize) -> usize {
    1 + (writes + TURN - 1 - number / WRITTEN) / TURN
}

/// The documents of write `write`, from 0.
fn documents(write: usize) -> Vec<NewDocument> {
    let replaced = numbers(write % TURN).map(|number| document(number, edition(number, write + 1)));
    let added = numbers(TURN + write).map(|number| document(number, 1));
    replaced.chain(added).collect()
}

fn numbers(group: usize) -> Range<usize> {
    group * WRITTEN..(group + 1) * WRITTEN
}

impl Flow for Stories {
    async fn write(&self) {
        let write = self.seen.lock().await.writes;
        if write >= MOST {
            return;
        }
        loop {
            let request = IngestRequest {
                documents: documents(write),
                job: None,
                guard: None,
            };
            match self.engine.ingest(&name(), request).await {
                Ok(outcome) => {
                    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
                    self.seen.lock().await.writes += 1;
                    return;
                }
                // It may be stored all the same, and is unchanged then.
                Err(error) => {
                    assert!(is_declared(error.code()), "{}", error.chain());
                    let mut seen = self.seen.lock().await;
                    *seen.refused.entry(error.chain()).or_default() += 1;
                }
            }
        }
    }

    async fn ask(&self) {
        let (answers, failures) = {
            let seen = self.seen.lock().await;
            (seen.answers, seen.failed.values().sum::<usize>())
        };
        let number = (answers + failures) % KEPT;
        let found = self.retrieve(number).await;
        let mut seen = self.seen.lock().await;
        // One more may have been stored that is not acknowledged yet.
        let writes = seen.writes + 1;
        match found {
            Ok(found) => seen.note(number, writes, found),
            Err(error) => {
                assert!(is_declared(error.code()), "{}", error.chain());
                *seen.failed.entry(error.chain()).or_default() += 1;
            }
        }
    }
}

/// Whether writes and queries may fail so where the server is away, and writes where its disk is full.
fn is_declared(code: ErrorCode) -> bool {
    use ErrorCode::{StorageFull, Timeout, Unavailable};
    matches!(code, Unavailable | Timeout | StorageFull)
}

impl Seen {
    /// An answer about the document `number`, of which `writes` made versions.
    fn note(&mut self, number: usize, writes: usize, response: RetrieveResponse) {
        self.answers += 1;
        let mut degraded = Vec::new();
        for degradation in response.degraded {
            let reason = format!("{}: {}", degradation.stage, degradation.reason);
            *self.failed.entry(reason.clone()).or_default() += 1;
            degraded.push(reason);
        }
        let hits = response.hits.iter().map(|hit| &hit.passage.record);
        let hits: Vec<_> = hits
            .map(|record| (record.document.as_str(), record.chunk.text.as_str()))
            .collect();
        let documents: BTreeSet<_> = hits.iter().map(|(id, _)| id).collect();
        assert_eq!(documents.len(), hits.len(), "two versions: {hits:?}");
        let wanted = format!("doc/{number}");
        let Some((_, text)) = hits.iter().find(|(id, _)| *id == wanted) else {
            // Only the words say which document is meant: the made-up embeddings alone need not find it.
            let is_without_words = degraded.iter().any(|it| it.starts_with("lexical: "));
            assert!(
                is_without_words,
                "{wanted} is not among {hits:?}; degraded: {degraded:?}"
            );
            return;
        };
        let (_, rest) = text.split_once("edition e").unwrap();
        let found: usize = rest.split(' ').next().unwrap().parse().unwrap();
        assert!(found <= edition(number, writes), "{wanted}: {text}");
        let newest = self.editions.entry(number).or_default();
        self.older += usize::from(found < *newest);
        *newest = found.max(*newest);
    }
}

/// Processes that index what waits, until they are told to stop.
pub(crate) struct Workers(Vec<(Engine, JoinHandle<braid_core::Result<WorkerProgress>>)>);

impl Workers {
    pub(crate) async fn start(settings: &Settings, count: usize) -> Self {
        let mut workers = Vec::with_capacity(count);
        for _ in 0..count {
            let engine = open(settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
            let worker = engine.worker().unwrap();
            let running = tokio::spawn(async move { worker.run(Until::Stopped).await });
            workers.push((engine, running));
        }
        Self(workers)
    }

    /// None has ended by itself, and none gave a document up. Gives how many they published.
    pub(crate) async fn stop(self) -> u64 {
        let mut published = 0;
        for (engine, running) in self.0 {
            assert!(!running.is_finished(), "a worker ended");
            engine.close().await;
            let progress = running.await.unwrap().unwrap();
            assert_eq!(progress.failed, 0, "{progress:?}");
            published += progress.published;
        }
        published
    }
}

/// A process that is written to and asked, with two that work for it.
pub(crate) struct Process {
    engine: Engine,
    workers: Workers,
}

impl Process {
    /// Begins, with queries and writes going on.
    pub(crate) async fn start(settings: &Settings) -> (Self, Stories, Traffic<Stories>) {
        let engine = open(settings, Arc::new(HashEmbedder::new(DIMENSION))).await;
        let workers = Workers::start(settings, 2).await;
        let stories = Stories::begin(&engine).await;
        let traffic = Traffic::start(stories.clone());
        (Self { engine, workers }, stories, traffic)
    }

    /// Whether it says itself that it reaches no node.
    pub(crate) async fn misses_its_nodes(&self) -> bool {
        let readiness = self.engine.readiness().await.unwrap();
        readiness.unreachable.is_some()
    }

    /// Ends it once everything is there that was acknowledged.
    pub(crate) async fn end_whole(self, stories: &Stories) {
        stories.check_whole().await;
        self.workers.stop().await;
        self.engine.close().await;
    }
}
