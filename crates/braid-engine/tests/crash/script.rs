//! What a process does, and what must be found afterwards.

use std::collections::BTreeMap;

use braid_core::ports::{
    IdempotencyKey, NewJob, Recorded, StageReceipt, StoredResponse, WriteGuard,
};
use braid_core::{
    ChunkingSettings, CollectionSettings, ContentHash, DocumentId, Format, JobId, Metadata,
    NewDocument, Result,
};
use braid_engine::IngestRequest;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::world::{Life, name};

/// Documents there can be at once.
const DOCUMENTS: u32 = 20;

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// A word that no other version of any document has; every sentence has it.
    pub(crate) marker: String,
    pub(crate) text: String,
}

impl Version {
    fn new(document: u32, number: u32) -> Self {
        let marker = marker(number);
        let sentences = 1 + number % 4;
        let sentence = |at| format!("{marker} stands in sentence {}.", NUMBERS[at as usize]);
        Self {
            id: format!("d/{document}"),
            text: (0..sentences).map(sentence).collect::<Vec<_>>().join(" "),
            marker,
        }
    }

    fn poisoned(number: u32) -> Self {
        let marker = marker(number);
        Self {
            id: "p".to_owned(),
            text: format!("{marker} is poison."),
            marker,
        }
    }

    /// Whether the model can embed it.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.text.contains("poison")
    }

    pub(crate) fn document(&self) -> NewDocument {
        NewDocument {
            id: document_id(&self.id),
            text: self.text.clone(),
            title: None,
            uri: Some(format!("test:{}", self.id)),
            format: Format::Text,
            metadata: Metadata::default(),
            origin: None,
        }
    }
}

const NUMBERS: [&str; 4] = ["one", "two", "three", "four"];

/// A word of consonants, so that no stemmer touches it.
fn marker(number: u32) -> String {
    let letters = b"bcdfghjk";
    let digits = (0..4).rev().map(|at| (number >> (3 * at)) & 7);
    let letters = digits.map(|digit| char::from(letters[digit as usize]));
    format!("zq{}", letters.collect::<String>())
}

pub(crate) fn document_id(id: &str) -> DocumentId {
    DocumentId::new(id).unwrap()
}

/// One step of a script. Writes carry an idempotency key, those of several documents a job.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(Vec<Version>),
    Delete(Vec<String>),
    Idle,
    /// Ends the engine, loses this index of the served generation, and opens it again.
    LoseIndex(&'static str),
    /// Builds the next generation with chunks of so many tokens.
    Rebuild(usize),
}

/// A script that meets every point of the write path.
pub(crate) fn script(seed: u64) -> Vec<Step> {
    let mut author = Author::new(seed);
    author.put_many(8);
    author.steps.push(Step::Idle);
    author.several(5);
    let poison = Version::poisoned(author.number());
    let others = author.versions(2);
    author.put([vec![poison], others].concat());
    author.steps.push(Step::Idle);
    author.several(3);
    let lost = ["vector", "lexical"][(seed % 2) as usize];
    author.steps.push(Step::LoseIndex(lost));
    author.several(3);
    author.steps.push(Step::Rebuild(12));
    author.several(3);
    let mut cured = Version::new(0, author.number());
    cured.id = "p".to_owned();
    author.put(vec![cured]);
    author.steps.push(Step::Idle);
    author.several(2);
    author.steps
}

/// Writes of every kind and nothing else.
pub(crate) fn writes(seed: u64, count: usize) -> Vec<Step> {
    let mut author = Author::new(seed);
    author.several(count);
    author.steps
}

struct Author {
    random: StdRng,
    numbers: u32,
    state: State,
    steps: Vec<Step>,
}

impl Author {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            numbers: 0,
            state: State::default(),
            steps: Vec::new(),
        }
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    fn several(&mut self, count: usize) {
        for _ in 0..count {
            match self.random.random_range(0..10_u32) {
                0..=3 => self.put_many(1),
                4..=5 => self.put_many(3),
                6 => self.repeat(),
                7..=8 => self.delete(1),
                _ => self.delete(3),
            }
        }
    }

    fn put(&mut self, versions: Vec<Version>) {
        let step = Step::Put(versions);
        self.state.apply(&step);
        self.steps.push(step);
    }

    fn put_many(&mut self, count: usize) {
        let versions = self.versions(count);
        self.put(versions);
    }

    /// New versions of so many different documents.
    fn versions(&mut self, count: usize) -> Vec<Version> {
        let first = self.random.random_range(0..DOCUMENTS);
        let documents = (0..count as u32).map(|at| (first + at * 3) % DOCUMENTS);
        documents
            .collect::<Vec<_>>()
            .into_iter()
            .map(|document| Version::new(document, self.number()))
            .collect()
    }

    /// Puts a document as it is stored already.
    fn repeat(&mut self) {
        let versions: Vec<_> = self.state.newest.values().cloned().collect();
        let healthy: Vec<_> = versions.into_iter().filter(Version::is_healthy).collect();
        if !healthy.is_empty() {
            let at = self.random.random_range(0..healthy.len());
            self.put(vec![healthy[at].clone()]);
        }
    }

    fn delete(&mut self, count: usize) {
        let first = self.random.random_range(0..DOCUMENTS);
        let ids = (0..count as u32).map(|at| format!("d/{}", (first + at) % DOCUMENTS));
        let step = Step::Delete(ids.collect());
        self.state.apply(&step);
        self.steps.push(step);
    }
}

/// What a reader must find: the newest version of each document, and nothing of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) newest: BTreeMap<String, Version>,
    /// Markers of every version there was.
    pub(crate) markers: Vec<String>,
}

impl State {
    /// After the first `count` steps.
    pub(crate) fn after(steps: &[Step], count: usize) -> Self {
        let mut state = Self::default();
        steps.iter().take(count).for_each(|step| state.apply(step));
        state
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Put(versions) => {
                for version in versions {
                    self.markers.push(version.marker.clone());
                    self.newest.insert(version.id.clone(), version.clone());
                }
            }
            Step::Delete(ids) => ids.iter().for_each(|id| drop(self.newest.remove(id))),
            Step::Idle | Step::LoseIndex(_) | Step::Rebuild(_) => {}
        }
    }

    /// Texts by id, as a listing has them.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.newest.values();
        texts.map(|v| (v.id.clone(), v.text.clone())).collect()
    }

    /// Versions that must be retrievable.
    pub(crate) fn live(&self) -> Vec<&Version> {
        self.newest.values().filter(|v| v.is_healthy()).collect()
    }

    /// Markers that must not be found.
    pub(crate) fn dead_markers(&self) -> Vec<String> {
        let live = self.live();
        let is_dead = |marker: &&String| !live.iter().any(|version| version.marker == **marker);
        self.markers.iter().filter(is_dead).cloned().collect()
    }
}

/// The job of step `at`, if it has one.
pub(crate) fn job_id(at: usize) -> JobId {
    JobId(Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("job {at}").as_bytes(),
    ))
}

/// Does a write under its own idempotency key; the answer is the recorded one, whoever gave it.
/// `None` for a step that is no write.
pub(crate) async fn write(life: &Life, at: usize, step: &Step) -> Result<Option<Answer>> {
    let staged = match step {
        Step::Put(versions) => {
            let request = IngestRequest {
                documents: versions.iter().map(Version::document).collect(),
                job: new_job(at, versions.len()),
                guard: Some(guard(at)),
            };
            life.engine.ingest(&name(), request).await?.staged
        }
        Step::Delete(ids) => {
            let job = new_job(at, ids.len());
            let ids = ids.iter().map(|id| document_id(id)).collect();
            let (name, guard) = (name(), Some(guard(at)));
            life.engine.delete_documents(&name, ids, job, guard).await?
        }
        Step::Idle | Step::LoseIndex(_) | Step::Rebuild(_) => return Ok(None),
    };
    Ok(Some(match staged {
        Recorded::Done(receipt) => Answer {
            text: render(&receipt),
            is_replay: false,
        },
        Recorded::Replayed(response) => Answer {
            text: String::from_utf8(response.body).unwrap(),
            is_replay: true,
        },
    }))
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) is_replay: bool,
}

fn new_job(at: usize, documents: usize) -> Option<NewJob> {
    (documents > 1).then(|| NewJob {
        id: job_id(at),
        rejected: Vec::new(),
    })
}

fn guard(at: usize) -> WriteGuard<StageReceipt> {
    let mut request = [0; 32];
    request[0] = at as u8;
    WriteGuard {
        key: IdempotencyKey {
            key: format!("step {at}"),
            request: ContentHash(request),
            // The year 2100.
            expires_at_ms: 4_102_444_800_000,
        },
        respond: Box::new(|receipt| StoredResponse {
            status: 202,
            body: render(receipt).into_bytes(),
        }),
    }
}

fn render(receipt: &StageReceipt) -> String {
    format!("{:?} newest {}", receipt.outcomes, receipt.newest)
}

/// Settings of the collection with chunks of so many tokens.
pub(crate) fn chunks_of(target_tokens: usize) -> CollectionSettings {
    CollectionSettings {
        chunking: ChunkingSettings {
            target_tokens,
            ..ChunkingSettings::default()
        },
        ..CollectionSettings::default()
    }
}
