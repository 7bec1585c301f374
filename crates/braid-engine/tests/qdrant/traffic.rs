//! Queries and writes that go on while something happens to the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use braid_engine::Engine;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::{documents, ingest, request};

/// Documents of one write.
const WRITTEN: usize = 5;
/// Queries between two writes.
const BETWEEN: usize = 4;
/// Most documents that are written, so that a long wait makes no large collection.
const MOST: usize = 2000;

/// What goes on.
pub(crate) struct Traffic {
    is_over: Arc<AtomicBool>,
    answers: watch::Receiver<usize>,
    running: JoinHandle<Seen>,
}

/// What was seen meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    /// Answers without the dense leg.
    pub(crate) lexical_only: usize,
    /// Why, each once.
    pub(crate) reasons: BTreeSet<String>,
    /// Documents that are acknowledged, those from before included.
    pub(crate) documents: usize,
}

impl Traffic {
    /// Begins, with so many documents acknowledged before. Every query is to be answered, with the
    /// document it names, and degraded by the dense leg alone; every write is to be acknowledged.
    pub(crate) fn start(engine: &Engine, documents: usize) -> Self {
        Self::spawn(engine, documents, MOST)
    }

    /// The same without writes.
    pub(crate) fn queries(engine: &Engine, documents: usize) -> Self {
        Self::spawn(engine, documents, 0)
    }

    fn spawn(engine: &Engine, documents: usize, most: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (answered, answers) = watch::channel(0);
        let on = On {
            engine: engine.clone(),
            before: documents,
            most,
            is_over: Arc::clone(&is_over),
            answered,
        };
        Self {
            is_over,
            answers,
            running: tokio::spawn(on.go()),
        }
    }

    /// Waits for so many more answers.
    pub(crate) async fn answers(&mut self, count: usize) {
        let wanted = *self.answers.borrow() + count;
        // Where it has ended early, stopping it tells why.
        let _ = self.answers.wait_for(|answers| *answers >= wanted).await;
    }

    /// Ends it, and prints what was seen.
    #[expect(clippy::print_stderr, reason = "shown where the test fails")]
    pub(crate) async fn stop(self) -> Seen {
        self.is_over.store(true, Relaxed);
        let seen = self.running.await.expect("queries and writes did not fail");
        eprintln!("{seen:?}");
        seen
    }
}

struct On {
    engine: Engine,
    /// Documents from before.
    before: usize,
    /// Most documents that are written.
    most: usize,
    is_over: Arc<AtomicBool>,
    answered: watch::Sender<usize>,
}

impl On {
    async fn go(self) -> Seen {
        let mut seen = Seen {
            documents: self.before,
            ..Seen::default()
        };
        while !self.is_over.load(Relaxed) {
            if seen.documents < self.most {
                ingest(&self.engine, seen.documents..seen.documents + WRITTEN).await;
                seen.documents += WRITTEN;
            }
            for _ in 0..BETWEEN {
                ask(&self.engine, self.before, &mut seen).await;
                self.answered.send_replace(seen.answers);
            }
        }
        seen
    }
}

/// Asks for one of the documents from before.
async fn ask(engine: &Engine, before: usize, seen: &mut Seen) {
    let number = seen.answers % before;
    let query = format!("the one called n{number}");
    let found = engine.retrieve(request(&query)).await;
    let found = found.expect("no query fails beyond the declared degradation");
    let wanted = format!("doc/{number}");
    assert!(documents(&found).contains(&wanted), "{wanted}: {found:?}");
    seen.answers += 1;
    for degradation in found.degraded {
        assert_eq!(degradation.stage, "dense", "{degradation:?}");
        seen.lexical_only += 1;
        seen.reasons.insert(degradation.reason);
    }
}
