//! The LMDB ledger against the ledger in memory, over random interleavings of everything that
//! changes what is visible: puts, replacements, deletes, late publishes, failures, purges, pins,
//! rebuilds and reopenings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use braid_core::operation::{Change, ChangeOutcome, OperationKind};
use braid_core::ports::{RechunkedDocument, SwitchGeneration};
use braid_core::{
    DocumentId, Fingerprint, Generation, JobId, LedgerPin, Likeness, MetadataValue, Sequence, Slot,
    SlotSet,
};
use braid_testkit::RamLedger;
use braid_testkit::ledger_suite::{Scene, metadata, put, render, staged, staged_chunks};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use uuid::Uuid;

use crate::open;

const DOCUMENTS: u8 = 4;
const CONTENTS: u8 = 3;

#[derive(Clone, Debug)]
enum Edit {
    Put { document: u8, content: u8 },
    Delete { document: u8 },
}

#[derive(Clone, Debug)]
enum Step {
    Stage(Vec<Edit>),
    /// Publishes part of the log: 0 nothing, 255 everything.
    Publish(u8),
    /// Fails one of the operations in the log.
    Fail(u8),
    /// Cancels one of the last jobs.
    Cancel(u8),
    Purge,
    Pin,
    /// Drops the oldest pin.
    Unpin,
    /// Publishes everything, chunks a document anew and switches the generation.
    Rebuild {
        document: u8,
    },
    Sweep,
    Reopen,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (0..DOCUMENTS, 0..CONTENTS)
            .prop_map(|(document, content)| Edit::Put { document, content }),
        1 => (0..DOCUMENTS).prop_map(|document| Edit::Delete { document }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec(edit(), 1..4).prop_map(Step::Stage),
        5 => prop_oneof![Just(255), any::<u8>()].prop_map(Step::Publish),
        2 => any::<u8>().prop_map(Step::Fail),
        2 => any::<u8>().prop_map(Step::Cancel),
        3 => Just(Step::Purge),
        2 => Just(Step::Pin),
        2 => Just(Step::Unpin),
        1 => (0..DOCUMENTS).prop_map(|document| Step::Rebuild { document }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

fn name(document: u8) -> String {
    format!("d{document}")
}

fn change(edit: &Edit) -> Change {
    match edit {
        Edit::Put { document, content } => {
            let chunks = (0..=*content).map(|n| format!("content {content}, chunk {n}"));
            let chunks: Vec<String> = chunks.collect();
            let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
            let mut staged = staged(&name(*document), &chunks);
            let value = MetadataValue::Number(f64::from(*content));
            staged.document.metadata = metadata(&[("content", value)]);
            // Documents of one content are duplicates of each other.
            staged.likeness = Some(Likeness {
                words: staged.content_hash,
                sketch: None,
            });
            put(staged)
        }
        Edit::Delete { document } => Change::Delete(DocumentId::new(name(*document)).unwrap()),
    }
}

/// Both ledgers, and what is known of the past.
struct Pair {
    path: PathBuf,
    model: Scene,
    ledger: Scene,
    pins: Vec<HeldPin>,
    /// By document: no version up to this one may be visible any more.
    floor: BTreeMap<DocumentId, Sequence>,
    generation: u32,
    jobs: u128,
}

struct HeldPin {
    model: Arc<dyn LedgerPin>,
    ledger: Arc<dyn LedgerPin>,
    slots: SlotSet,
    shown: String,
}

/// What a pin shows, as text.
async fn shown(pin: &dyn LedgerPin) -> String {
    let selection = pin.select(None).await.unwrap();
    let slots: Vec<Slot> = selection.slots.unwrap().iter().map(Slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap();
    assert_eq!(passages.len(), slots.len());
    format!("{:?} {:?} {passages:?}", pin.collection(), pin.stats())
}

impl Pair {
    async fn new(path: PathBuf) -> Self {
        Self {
            model: Scene::of(Arc::new(RamLedger::new())).await,
            ledger: Scene::of(Arc::new(open(&path))).await,
            path,
            pins: Vec::new(),
            floor: BTreeMap::new(),
            generation: 1,
            jobs: 0,
        }
    }

    async fn take(mut self, step: &Step) -> Self {
        match step {
            Step::Stage(edits) => self.stage(edits).await,
            Step::Publish(part) => self.publish(*part).await,
            Step::Fail(which) => self.fail(*which).await,
            Step::Cancel(which) => self.cancel(*which).await,
            Step::Purge => self.purge().await,
            Step::Pin => self.pin().await,
            Step::Unpin if self.pins.is_empty() => {}
            Step::Unpin => drop(self.pins.remove(0)),
            Step::Rebuild { document } => self.rebuild(*document).await,
            Step::Sweep => {
                let swept = self.ledger.ledger.sweep().await.unwrap();
                assert_eq!(swept, self.model.ledger.sweep().await.unwrap());
            }
            Step::Reopen => {
                // The store cannot be opened twice, so nothing may hold it.
                self.pins.clear();
                drop(self.ledger);
                self.ledger = Scene::of(Arc::new(open(&self.path))).await;
            }
        }
        self
    }

    async fn stage(&mut self, edits: &[Edit]) {
        self.jobs += 1;
        let job = JobId(Uuid::from_u128(self.jobs));
        let changes = || edits.iter().map(change).collect();
        let receipt = self.model.stage_as(job, changes()).await;
        let staged = self.ledger.stage_as(job, changes()).await;
        assert_eq!(staged, receipt);
        for (edit, outcome) in edits.iter().zip(receipt.outcomes) {
            if let (Edit::Delete { document }, ChangeOutcome::Deleted { sequence }) =
                (edit, outcome)
            {
                let id = DocumentId::new(name(*document)).unwrap();
                self.floor.insert(id, sequence);
            }
        }
    }

    async fn publish(&self, part: u8) {
        let stats = self.model.stats().await;
        let through = stats.published.0 + stats.lag() * u64::from(part) / 255;
        let through = Sequence(through);
        let receipt = self.model.publish_through(through).await;
        assert_eq!(self.ledger.publish_through(through).await, receipt);
        assert_eq!(receipt.watermark, through);
    }

    async fn fail(&self, which: u8) {
        let stats = self.model.stats().await;
        if stats.lag() == 0 {
            return;
        }
        let sequence = Sequence(stats.published.0 + 1 + u64::from(which) % stats.lag());
        self.model.fail(sequence, "the reason").await;
        self.ledger.fail(sequence, "the reason").await;
    }

    /// What is retrievable stays so: only what is pending is taken back.
    async fn cancel(&self, which: u8) {
        let job = JobId(Uuid::from_u128(
            self.jobs.saturating_sub(u128::from(which % 4)),
        ));
        let before = self.ledger.visible().await;
        let mut receipts = Vec::new();
        for scene in [&self.model, &self.ledger] {
            let cancelled = scene.ledger.cancel_job(job, None).await;
            receipts.push(cancelled.map_err(|error| error.code()));
        }
        assert_eq!(receipts[0], receipts[1]);
        assert_eq!(self.ledger.visible().await, before);
    }

    async fn purge(&self) {
        let slots = self.ledger.purge().await;
        assert_eq!(slots, self.model.purge().await);
        for slot in slots.iter().flatten() {
            let seen = self.pins.iter().find(|pin| pin.slots.contains(slot.0));
            assert!(seen.is_none(), "slot {slot} is purged under a pin");
        }
    }

    async fn pin(&mut self) {
        let (model, ledger) = (self.model.pin().await, self.ledger.pin().await);
        let selection = ledger.select(None).await.unwrap();
        self.pins.push(HeldPin {
            slots: (*selection.slots.unwrap()).clone(),
            shown: shown(&*ledger).await,
            model,
            ledger,
        });
    }

    /// What is pending is published by the switch, with chunks made anew where it is the document's
    /// newest version.
    async fn rebuild(&mut self, document: u8) {
        let id = DocumentId::new(name(document)).unwrap();
        let mut rechunked = Vec::new();
        let mut staged = Vec::new();
        for scene in [&self.model, &self.ledger] {
            let rechunked = RechunkedDocument {
                chunks: staged_chunks(id.as_str(), &["rebuilt one", "rebuilt two"]),
                ..RechunkedDocument::default()
            };
            let collection = scene.collection.id;
            let ledger = &scene.ledger;
            let slots = ledger.stage_rechunked(collection, &id, rechunked).await;
            staged.push(slots.map_err(|error| error.code()));
        }
        assert_eq!(staged[0], staged[1]);
        if let Ok(slots) = staged.remove(0) {
            rechunked.push((id, slots));
        }
        self.generation += 1;
        for scene in [&self.model, &self.ledger] {
            let collection = &scene.collection;
            let switch = SwitchGeneration {
                generation: Generation(self.generation),
                fingerprint: collection.fingerprint.clone(),
                settings: collection.settings,
                dimension: collection.dimension,
                pipeline: Fingerprint::new("pipeline"),
                publish_through: scene.stats().await.newest,
                rechunked: rechunked.clone(),
            };
            let switched = scene.ledger.switch_generation(collection.id, switch);
            assert_eq!(switched.await.unwrap().generation.0, self.generation);
        }
    }

    /// Checks everything that must hold after every step.
    async fn check(&mut self) {
        let state = render(&*self.ledger.ledger, &self.ledger.collection).await;
        let model = render(&*self.model.ledger, &self.model.collection).await;
        assert_eq!(state, model);
        self.ledger.check_sound().await;
        self.model.check_sound().await;
        self.check_visible().await;
        for pin in &self.pins {
            assert_eq!(shown(&*pin.ledger).await, pin.shown);
            assert_eq!(shown(&*pin.model).await, pin.shown);
        }
        self.check_log().await;
    }

    /// No document shows an older version than it did, nor one from before its deletion.
    async fn check_visible(&mut self) {
        let pin = self.ledger.pin().await;
        let selection = pin.select(None).await.unwrap();
        let slots: Vec<Slot> = selection.slots.unwrap().iter().map(Slot).collect();
        for passage in pin.hydrate(&slots).await.unwrap() {
            let (id, sequence) = (passage.record.document, passage.record.sequence);
            let floor = self.floor.entry(id.clone()).or_default();
            assert!(
                sequence >= *floor,
                "{id} went back from {floor} to {sequence}"
            );
            *floor = sequence;
        }
    }

    /// Every staged chunk can be indexed until its operation is published.
    async fn check_log(&self) {
        for kind in self.ledger.log(Sequence::ZERO, usize::MAX).await {
            if let OperationKind::Put { slots, .. } = kind {
                let scene = &self.ledger;
                let chunks = scene.ledger.chunks(scene.collection.id, &slots).await;
                assert_eq!(chunks.unwrap().len(), slots.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_like_the_model(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(dir.path().to_owned()).await;
            for step in &steps {
                pair = pair.take(step).await;
                pair.check().await;
            }
        });
    }
}
