//! What is written and asked while something happens to the server.

use std::collections::BTreeSet;

use braid_engine::Engine;
use braid_engine::query::RetrieveResponse;
use tokio::sync::Mutex;

use crate::traffic::{Flow, Traffic};
use crate::world::{documents, ingest, request};

/// Documents of one write.
const WRITTEN: usize = 5;
/// Most documents that are written, so that a long wait makes no large collection.
const MOST: usize = 2000;

/// New documents are written, and some of those from before are asked for. Every query is to be
/// answered, with the document it names, and degraded by the dense leg alone; every write is to be
/// acknowledged.
pub(crate) struct Growing {
    engine: Engine,
    /// Documents from before.
    before: usize,
    /// Most documents that are written.
    most: usize,
    seen: Mutex<Seen>,
}

/// What was seen meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    /// Answers without the dense leg.
    pub(crate) lexical_only: usize,
    /// Why, each once.
    pub(crate) reasons: BTreeSet<String>,
    /// Documents that are acknowledged, those from before included.
    pub(crate) documents: usize,
}

impl Traffic<Growing> {
    /// Begins, with so many documents acknowledged before.
    pub(crate) fn of(engine: &Engine, documents: usize) -> Self {
        Self::start(Growing::new(engine, documents, MOST))
    }

    /// The same without writes.
    pub(crate) fn queries(engine: &Engine, documents: usize) -> Self {
        Self::start(Growing::new(engine, documents, 0))
    }

    /// Ends it, and prints what was seen.
    #[expect(clippy::print_stderr, reason = "shown where the test fails")]
    pub(crate) async fn end(self) -> Seen {
        let seen = self.stop().await.seen.lock().await.clone();
        eprintln!("{seen:?}");
        seen
    }
}

impl Growing {
    fn new(engine: &Engine, before: usize, most: usize) -> Self {
        let seen = Seen {
            documents: before,
            ..Seen::default()
        };
        Self {
            engine: engine.clone(),
            before,
            most,
            seen: Mutex::new(seen),
        }
    }
}

impl Flow for Growing {
    async fn write(&self) {
        let there = self.seen.lock().await.documents;
        if there < self.most {
            ingest(&self.engine, there..there + WRITTEN).await;
            self.seen.lock().await.documents += WRITTEN;
        }
    }

    async fn ask(&self) {
        let number = self.seen.lock().await.answers % self.before;
        let query = format!("the one called n{number}");
        let found = self.engine.retrieve(request(&query)).await;
        let found = found.expect("no query fails beyond the declared degradation");
        let wanted = format!("doc/{number}");
        assert!(documents(&found).contains(&wanted), "{wanted}: {found:?}");
        self.seen.lock().await.note(found);
    }
}

impl Seen {
    fn note(&mut self, found: RetrieveResponse) {
        self.answers += 1;
        for degradation in found.degraded {
            assert_eq!(degradation.stage, "dense", "{degradation:?}");
            self.lexical_only += 1;
            self.reasons.insert(degradation.reason);
        }
    }
}
