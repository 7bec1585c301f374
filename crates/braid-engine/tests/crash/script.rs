//! What a process does, and what must be found afterwards.

use braid_core::ports::{
    CancelReceipt, IdempotencyKey, NewJob, Recorded, StageReceipt, StoredResponse, WriteGuard,
};
use braid_core::{
    ChunkingSettings, CollectionSettings, ContentHash, DocumentId, Format, JobId, Metadata,
    NewDocument, Result,
};
use braid_engine::IngestRequest;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::state::{State, Taken};
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

    /// Whether the model can embed it from the beginning.
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
    /// Cancels the job of that step.
    Cancel(usize),
    /// Tries again what failed, as a job of its own.
    Retry(Retried),
    /// From now on the model embeds everything.
    Cure,
    Idle,
    /// Nothing is applied or published until [`Step::Release`], unless the process dies before.
    Hold,
    Release,
    /// Ends the engine, loses this index of the served generation, and opens it again.
    LoseIndex(&'static str),
    /// Builds the next generation with chunks of so many tokens.
    Rebuild(usize),
}

/// What is tried again.
#[derive(Clone, Debug)]
pub(crate) enum Retried {
    Documents(Vec<String>),
    /// What failed of the job of that step.
    Job(usize),
}

/// A script that meets every point of the write path.
pub(crate) fn script(seed: u64) -> Vec<Step> {
    let mut author = Author::new(seed);
    author.put_many(8);
    author.push(Step::Idle);
    author.several(5);
    author.cancel_held();
    let with_poison = author.poison(seed % 3 == 1);
    author.push(Step::Idle);
    let again = Retried::Documents(vec!["d/1".to_owned(), "p".to_owned()]);
    let retried = author.push(Step::Retry(again));
    author.several(3);
    author.push(Step::Cancel(retried));
    let lost = ["vector", "lexical"][(seed % 2) as usize];
    author.push(Step::LoseIndex(lost));
    author.several(3);
    author.push(Step::Rebuild(12));
    author.several(3);
    author.push(Step::Idle);
    author.push(Step::Retry(Retried::Job(with_poison)));
    author.push(Step::Idle);
    author.cure(seed % 4 > 1, with_poison);
    author.push(Step::Idle);
    author.several(2);
    author.steps
}

impl Step {
    /// The step of the job that it cancels.
    pub(crate) fn cancelled_job(&self) -> Option<usize> {
        if let Self::Cancel(of) = self {
            Some(*of)
        } else {
            None
        }
    }

    /// Whether it leaves a job.
    pub(crate) fn has_job(&self) -> bool {
        match self {
            Self::Put(versions) => versions.len() > 1,
            Self::Delete(ids) => ids.len() > 1,
            Self::Retry(_) => true,
            Self::Cancel(_) | Self::Cure | Self::Idle | Self::Hold | Self::Release => false,
            Self::LoseIndex(_) | Self::Rebuild(_) => false,
        }
    }
}

/// Whether the model is mended after the first `count` steps.
pub(crate) fn is_cured(steps: &[Step], count: usize) -> bool {
    let mut done = steps.iter().take(count);
    done.any(|step| matches!(step, Step::Cure))
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
            match self.random.random_range(0..13_u32) {
                0..=3 => self.put_many(1),
                4..=5 => self.put_many(3),
                6 => self.repeat(),
                7..=8 => self.delete(1),
                9 => self.delete(3),
                10..=11 => self.cancel_newest(),
                _ => self.cancel_any(),
            }
        }
    }

    /// Gives the number of the step. What cancels take back depends on how far indexing is, so the
    /// author reckons with none of it.
    fn push(&mut self, step: Step) -> usize {
        let at = self.steps.len();
        self.state.apply(at, &step, &Taken::default());
        self.steps.push(step);
        at
    }

    fn put(&mut self, versions: Vec<Version>) -> usize {
        self.push(Step::Put(versions))
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
        let versions: Vec<_> = self.state.newest().into_values().cloned().collect();
        let healthy: Vec<_> = versions.into_iter().filter(Version::is_healthy).collect();
        if !healthy.is_empty() {
            let at = self.random.random_range(0..healthy.len());
            self.put(vec![healthy[at].clone()]);
        }
    }

    fn delete(&mut self, count: usize) {
        let first = self.random.random_range(0..DOCUMENTS);
        let ids = (0..count as u32).map(|at| format!("d/{}", (first + at) % DOCUMENTS));
        self.push(Step::Delete(ids.collect()));
    }

    /// A job that is cancelled at once.
    fn cancel_newest(&mut self) {
        let versions = self.versions(4);
        let job = self.put(versions);
        self.push(Step::Cancel(job));
    }

    /// Cancels a job of any age that was not cancelled yet, if there is one.
    fn cancel_any(&mut self) {
        let is_free = |at: &usize| {
            let is_cancelled = |step: &Step| step.cancelled_job() == Some(*at);
            self.steps[*at].has_job() && !self.steps.iter().any(is_cancelled)
        };
        let free: Vec<usize> = (0..self.steps.len()).filter(is_free).collect();
        if free.is_empty() {
            return self.put_many(1);
        }
        let at = self.random.random_range(0..free.len());
        self.push(Step::Cancel(free[at]));
    }

    /// Two jobs are cancelled while nothing is published: one of which a part was told to another
    /// request, overtaken and deleted, and one with the versions that overtook it.
    fn cancel_held(&mut self) {
        self.push(Step::Idle);
        self.push(Step::Hold);
        let versions = self.versions(6);
        let [told, overtaken, gone] = [0, 1, 2].map(|at: usize| versions[at].clone());
        let first = self.put(versions);
        self.put(vec![told]);
        let newer = [overtaken.id.as_str(), "d/x"].map(|id| {
            let number = self.number();
            Version {
                id: id.to_owned(),
                ..Version::new(0, number)
            }
        });
        let second = self.put(newer.to_vec());
        self.push(Step::Delete(vec![gone.id]));
        self.push(Step::Cancel(first));
        self.push(Step::Cancel(second));
        self.push(Step::Release);
    }

    /// A job with a document that cannot be embedded, cancelled at once or not.
    fn poison(&mut self, is_cancelled: bool) -> usize {
        let poison = Version::poisoned(self.number());
        let others = self.versions(2);
        let job = self.put([vec![poison], others].concat());
        if is_cancelled {
            self.push(Step::Cancel(job));
        }
        job
    }

    /// The failed document becomes retrievable: with another text, or as it is with a mended model.
    fn cure(&mut self, mends_model: bool, with_poison: usize) {
        if mends_model {
            self.push(Step::Cure);
            self.push(Step::Retry(Retried::Job(with_poison)));
            return;
        }
        let mut cured = Version::new(0, self.number());
        cured.id = "p".to_owned();
        self.put(vec![cured]);
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
    let engine = &life.engine;
    Ok(Some(match step {
        Step::Put(versions) => {
            let request = IngestRequest {
                documents: versions.iter().map(Version::document).collect(),
                job: step.has_job().then(|| new_job(at)),
                guard: Some(guard(at)),
            };
            Answer::of(engine.ingest(&name(), request).await?.staged)
        }
        Step::Delete(ids) => {
            let job = step.has_job().then(|| new_job(at));
            let ids = ids.iter().map(|id| document_id(id)).collect();
            let (name, guard) = (name(), Some(guard(at)));
            Answer::of(engine.delete_documents(&name, ids, job, guard).await?)
        }
        Step::Cancel(of) => Answer::of(engine.cancel_job(job_id(*of), Some(guard(at))).await?),
        Step::Retry(retried) => {
            let ids = match retried {
                Retried::Documents(ids) => ids.iter().map(|id| document_id(id)).collect(),
                Retried::Job(of) => engine.failed_of_job(job_id(*of)).await?.1,
            };
            let (name, job, guard) = (name(), Some(new_job(at)), Some(guard(at)));
            let retried = engine.retry_documents(&name, Some(ids), job, guard);
            Answer::of(retried.await?.staged)
        }
        Step::Cure | Step::Idle | Step::Hold | Step::Release => return Ok(None),
        Step::LoseIndex(_) | Step::Rebuild(_) => return Ok(None),
    }))
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) is_replay: bool,
}

impl Answer {
    fn of<R: Render>(recorded: Recorded<R>) -> Self {
        match recorded {
            Recorded::Done(receipt) => Self {
                text: receipt.render(),
                is_replay: false,
            },
            Recorded::Replayed(response) => Self {
                text: String::from_utf8(response.body).unwrap(),
                is_replay: true,
            },
        }
    }
}

fn new_job(at: usize) -> NewJob {
    NewJob {
        id: job_id(at),
        rejected: Vec::new(),
    }
}

/// The key of step `at`.
pub(crate) fn key(at: usize) -> IdempotencyKey {
    let mut request = [0; 32];
    request[0] = at as u8;
    IdempotencyKey {
        key: format!("step {at}"),
        request: ContentHash(request),
        // The year 2100.
        expires_at_ms: 4_102_444_800_000,
    }
}

fn guard<R: Render>(at: usize) -> WriteGuard<R> {
    WriteGuard {
        key: key(at),
        respond: Box::new(|receipt: &R| StoredResponse {
            status: 202,
            body: receipt.render().into_bytes(),
        }),
    }
}

/// A receipt as the text of an answer.
trait Render {
    fn render(&self) -> String;
}

impl Render for StageReceipt {
    fn render(&self) -> String {
        format!("{:?} newest {}", self.outcomes, self.newest)
    }
}

impl Render for CancelReceipt {
    fn render(&self) -> String {
        cancelled(self.cancelled)
    }
}

/// The answer to a cancel that took so much back.
pub(crate) fn cancelled(documents: usize) -> String {
    format!("cancelled {documents}")
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
