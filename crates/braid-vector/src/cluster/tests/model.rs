//! Stagers, workers, deletes and queries in any order, against a map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use braid_core::ports::{WorkFailure, WorkItem};
use braid_core::{DocumentId, Embedding, Ledger, WorkQueue};
use braid_qdrant_double::{Fault, Kind, QdrantDouble};
use braid_testkit::ledger_suite::{Scene, put, staged};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::{World, everywhere};
use crate::cluster::ClusterLedger;
use crate::qdrant::options::QdrantOptions;

const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(60);
const DOCUMENTS: u32 = 4;
const STEPS: usize = 120;
const SEEDS: u64 = 12;

fn embeddings(item: &WorkItem) -> Vec<Embedding> {
    item.chunks.iter().map(|_| vec![1.0, 2.0].into()).collect()
}

fn id(document: u32) -> DocumentId {
    DocumentId::new(format!("d{document}")).unwrap()
}

/// What may be known of a document: contents by number, 0 for none.
#[derive(Debug)]
struct Known {
    /// What its newest version may be: one, unless calls failed of which it is not known whether they
    /// were done.
    newest: BTreeSet<u32>,
    /// What queries may see: what was acknowledged since the last delete.
    visible: BTreeSet<u32>,
    /// The newest that a query has seen.
    seen: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            newest: [0].into(),
            visible: [0].into(),
            seen: 0,
        }
    }
}

/// Two processes, each of which stages and works, and what is known.
struct Model {
    world: World,
    double: QdrantDouble,
    processes: [Arc<ClusterLedger>; 2],
    scene: Scene,
    held: Vec<(usize, WorkItem)>,
    known: BTreeMap<u32, Known>,
    random: StdRng,
    contents: u32,
}

impl Model {
    async fn new(seed: u64) -> Self {
        let double = QdrantDouble::start();
        let options = QdrantOptions {
            url: double.url(),
            ..QdrantOptions::default()
        };
        let world = World::new(&options);
        let processes = [world.open().await, world.open().await];
        let scene = Scene::of(processes[0].clone()).await;
        let scene = scene.indexed_by(processes[0].clone());
        Self {
            world,
            double,
            processes,
            scene,
            held: Vec::new(),
            known: (0..DOCUMENTS).map(|it| (it, Known::default())).collect(),
            random: StdRng::seed_from_u64(seed),
            contents: 0,
        }
    }

    async fn step(&mut self) {
        let process = self.random.random_range(0..2);
        let document = self.random.random_range(0..DOCUMENTS);
        match self.random.random_range(0..100) {
            0..25 => self.put(process, document).await,
            25..33 => self.delete(process, document).await,
            33..55 => self.claim(process).await,
            55..72 => self.publish().await,
            72..76 => self.fail().await,
            // It dies with what it has claimed.
            76..80 => self.held.retain(|(of, _)| *of != process),
            80..86 => self.world.advance_ms(self.random.random_range(1..20_000)),
            86..90 => drop(self.processes[process].sweep_all(GRACE).await),
            90..94 => self.plan_fault(),
            _ => self.query().await,
        }
    }

    /// One of the next writes fails, before or after it is done.
    fn plan_fault(&mut self) {
        let fault = [Fault::Unavailable, Fault::LostAnswer, Fault::NotAppliedYet];
        let fault = fault[self.random.random_range(0..fault.len())];
        let later = self.random.random_range(0..4);
        self.double.inject(Kind::Write, Fault::Nothing, later);
        self.double.inject(Kind::Write, fault, 1);
    }

    async fn put(&mut self, process: usize, document: u32) {
        self.contents += 1;
        let content = self.contents;
        let text = [format!("{content} a"), format!("{content} b")];
        let change = put(staged(id(document).as_str(), &[&text[0], &text[1]]));
        let done = self.stage(process, change).await;
        let known = self.known.get_mut(&document).unwrap();
        if done {
            known.newest.clear();
        }
        known.newest.insert(content);
        known.visible.insert(content);
    }

    async fn delete(&mut self, process: usize, document: u32) {
        let change = braid_core::operation::Change::Delete(id(document));
        let done = self.stage(process, change).await;
        let known = self.known.get_mut(&document).unwrap();
        if done {
            known.newest.clear();
            known.visible.clear();
            known.seen = 0;
        }
        known.newest.insert(0);
        known.visible.insert(0);
    }

    async fn stage(&self, process: usize, change: braid_core::operation::Change) -> bool {
        let request = braid_core::ports::StageRequest {
            changes: vec![change],
            job: None,
            guard: None,
        };
        let staged = self.processes[process].stage(self.scene.collection.id, request);
        staged.await.is_ok()
    }

    async fn claim(&mut self, process: usize) {
        let embedder = &self.scene.collection.fingerprint.embedder;
        let claimed = self.processes[process].claim(embedder, 2, LEASE).await;
        let claimed = claimed.unwrap_or_default().into_iter();
        self.held.extend(claimed.map(|item| (process, item)));
    }

    fn take_held(&mut self) -> Option<(usize, WorkItem)> {
        if self.held.is_empty() {
            return None;
        }
        let at = self.random.random_range(0..self.held.len());
        Some(self.held.swap_remove(at))
    }

    async fn publish(&mut self) {
        if let Some((process, item)) = self.take_held() {
            let embeddings = embeddings(&item);
            let work = vec![(item, embeddings)];
            drop(WorkQueue::publish(&*self.processes[process], work).await);
        }
    }

    async fn fail(&mut self) {
        if let Some((process, item)) = self.take_held() {
            let failure = WorkFailure {
                reason: "bad luck".to_owned(),
                retry_after: Some(Duration::from_secs(1)),
            };
            drop(WorkQueue::fail(&*self.processes[process], &item.claim, failure).await);
        }
    }

    async fn query(&mut self) {
        for document in 0..DOCUMENTS {
            let seen = self.look(document).await;
            let known = self.known.get_mut(&document).unwrap();
            assert!(
                known.visible.contains(&seen),
                "document {document}: {seen} of {known:?}"
            );
            // A delete whose answer was lost may have hidden it.
            let may_be_gone = known.newest.contains(&0);
            assert!(
                seen >= known.seen || (seen == 0 && may_be_gone) || known.newest.contains(&seen),
                "document {document}: {seen} after {known:?}"
            );
            if known.newest.len() == 1 && seen > 0 {
                known.seen = seen;
            }
        }
    }

    /// The content of a document that a query sees, 0 for none: one version, and whole.
    async fn look(&self, document: u32) -> u32 {
        let pin = self.scene.pin().await;
        let chunks = pin.document_chunks(&id(document), 0..=9).await.unwrap();
        let texts: Vec<&str> = chunks.iter().map(|it| it.chunk.text.as_str()).collect();
        let Some(first) = texts.first() else {
            return 0;
        };
        let content: u32 = first.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(texts, [format!("{content} a"), format!("{content} b")]);
        content
    }

    /// What was acknowledged is what is seen when nothing waits any more.
    async fn settle(mut self) {
        self.double.heal();
        self.held.clear();
        self.world.advance_ms(60_000);
        self.scene.publish().await;
        for (document, known) in &self.known {
            let seen = self.look(*document).await;
            assert!(
                known.newest.contains(&seen),
                "document {document}: {seen} of {known:?}"
            );
        }
        self.world.advance_ms(3 * 3_600_000);
        self.processes[0].sweep_all(GRACE).await.unwrap();
        for (document, known) in &self.known {
            let seen = self.look(*document).await;
            assert!(
                known.newest.contains(&seen),
                "swept {document}: {seen} of {known:?}"
            );
        }
        self.scene.check_sound().await;
        let depth = self.processes[1].depth().await.unwrap();
        assert_eq!(depth, braid_core::ports::WorkDepth::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_back() {
    for seed in 0..SEEDS {
        let mut model = Model::new(seed).await;
        for _ in 0..STEPS {
            model.step().await;
        }
        model.settle().await;
    }
}

everywhere!(a_reader_sees_one_version_and_never_none);

const VERSIONS: u32 = 12;
const READERS: usize = 3;

/// Really at the same time: a stager, two workers, and readers that must see rising versions, each whole.
async fn a_reader_sees_one_version_and_never_none(world: World) {
    let ledger = world.open().await;
    let scene = Scene::of(ledger.clone()).await.indexed_by(ledger.clone());
    scene.put("d", &["0 a", "0 b", "0 c"]).await;
    scene.publish().await;
    let (done, _) = tokio::sync::watch::channel(false);
    let mut tasks = JoinSet::new();
    for _ in 0..READERS {
        let (ledger, done) = (world.open().await, done.subscribe());
        let name = scene.collection.name.clone();
        tasks.spawn(async move {
            let mut last = 0;
            while !*done.borrow() {
                let pin = ledger.pin(&name).await.unwrap();
                let chunks = pin.document_chunks(&id_of("d"), 0..=9).await.unwrap();
                let texts: Vec<String> = chunks.into_iter().map(|it| it.chunk.text).collect();
                let version: u32 = texts[0].split(' ').next().unwrap().parse().unwrap();
                let whole = ["a", "b", "c"].map(|part| format!("{version} {part}"));
                assert_eq!(texts, whole);
                assert!(version >= last, "{version} after {last}");
                last = version;
            }
        });
    }
    for _ in 0..2 {
        let (worker, done) = (world.open().await, done.subscribe());
        let embedder = scene.collection.fingerprint.embedder.clone();
        tasks.spawn(async move {
            while !*done.borrow() {
                for item in worker.claim(&embedder, 4, LEASE).await.unwrap() {
                    let embeddings = embeddings(&item);
                    let work = vec![(item, embeddings)];
                    WorkQueue::publish(&*worker, work).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        });
    }
    for version in 1..=VERSIONS {
        let parts = ["a", "b", "c"].map(|part| format!("{version} {part}"));
        let parts = parts.each_ref().map(String::as_str);
        scene.put("d", &parts).await;
    }
    while ledger.depth().await.unwrap().waiting > 0 {
        tokio::task::yield_now().await;
    }
    done.send_replace(true);
    tasks.join_all().await;
    let last = format!("d: {VERSIONS} a | {VERSIONS} b | {VERSIONS} c");
    assert_eq!(scene.visible().await, [last]);
}

fn id_of(document: &str) -> DocumentId {
    DocumentId::new(document).unwrap()
}
