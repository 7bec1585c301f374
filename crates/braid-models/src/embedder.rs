//! [`OnnxEmbedder`]: texts to vectors.
//!
//! Queries have sessions and threads of their own, so that one never waits behind a passage: two
//! threads a session that spin within a run, the least time for one short text. Passages have a
//! session of one thread per core, opened when the first passages come: a server that only answers
//! queries does not hold them.
//!
//! Measured on two cores with the bundled network (`examples/measure.rs`, `braid-bench latency`):
//! two sessions of one thread embed as many passages as one session of two threads where cores are
//! free and a quarter more where they are not, and spinning halves that; a query takes half as long
//! again with two threads that do not spin, and a fifth less with two that do. A session holds 28
//! MB. Batches of dynamically quantized networks are no faster than single texts (100 tokens: 37
//! texts per CPU-second alone, 24 in eights) and move vectors to cosine 0.96-0.99, so those run one
//! text at a time.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Error, Fingerprint, Result, Script, TokenCounter};
use fastembed::Pooling;
use ort::environment::Environment;

use crate::batch::{Batch, BatchPlan, by_length};
use crate::gate::{Gate, LONGEST_WAIT};
use crate::lane::{Caller, Lane, LaneSettings};
use crate::manifest::{Batching, EmbedderManifest};
use crate::options::EmbedderOptions;
use crate::probe::probe_embedder;
use crate::session::{ModelSession, OutputChoice, SessionSource, unavailable};
use crate::store::ModelDir;
use crate::tokenizer::ModelTokenizer;

/// Outputs to embed with, best first: what the network pools itself, then token vectors.
const OUTPUTS: OutputChoice = OutputChoice {
    names: &[
        "sentence_embedding",
        "text_embeds",
        "last_hidden_state",
        "token_embeddings",
    ],
    any_sole: true,
};

/// Passages in one task: enough for batches of similar length, few enough that a caller who gives
/// up is noticed soon and the last tasks of a call keep every thread busy.
const PASSAGES_PER_TASK: usize = 16;

/// Passages per task where they are batched: more of them make fuller batches.
const BATCHED_PASSAGES_PER_TASK: usize = 64;

/// A sentence embedder on ONNX Runtime.
#[derive(Debug)]
pub struct OnnxEmbedder {
    fingerprint: Fingerprint,
    /// None stands for all.
    scripts: Vec<Script>,
    network: Arc<Network>,
    dimension: usize,
    gate: Arc<Gate>,
    queries: Lane<ModelSession>,
    passages: Lane<ModelSession>,
}

/// What turns texts into vectors, apart from the session.
#[derive(Debug)]
struct Network {
    tokenizer: ModelTokenizer,
    pooling: Pooling,
    plan: BatchPlan,
    query_prefix: String,
    passage_prefix: String,
}

impl OnnxEmbedder {
    /// Loads a verified model directory. Blocks for as long as opening one session takes.
    ///
    /// # Errors
    /// [`ModelUnavailable`](braid_core::ErrorCode::ModelUnavailable) when the model cannot be used
    /// or does not give the outputs its probes expect.
    pub(crate) fn load(
        model: &ModelDir,
        environment: Environment,
        gate: Arc<Gate>,
        options: &EmbedderOptions,
    ) -> Result<Self> {
        let section = model.manifest.embedder_section();
        let network = Arc::new(Network::read(model, &section, options)?);
        let source = SessionSource::new(environment, &model.path, OUTPUTS, options.threads);
        let single = source.for_single_texts(options.threads);
        let mut session = ModelSession::open(&single)?;
        let dimension = network.check(&mut session, &section, model)?;
        let fingerprint = model.fingerprint(&section.identity(dimension))?;
        let lane = |name, source: &SessionSource, threads, capacity, ready| {
            let source = source.clone();
            let settings = LaneSettings {
                name,
                threads,
                capacity,
                warm: false,
            };
            Lane::start(settings, ready, move || ModelSession::open(&source))
        };
        let threads = source.sessions();
        Ok(Self {
            fingerprint,
            scripts: section.known_scripts()?,
            network,
            dimension,
            gate,
            queries: lane(
                "embed-query",
                &single,
                single.sessions(),
                options.query_queue,
                vec![session],
            )?,
            passages: lane("embed-passages", &source, threads, threads * 2, Vec::new())?,
        })
    }
}

#[async_trait]
impl Embedder for OnnxEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        let network = &self.network;
        Arc::new(network.tokenizer.leaving_room_for(&network.passage_prefix))
    }

    fn reads(&self, script: Script) -> bool {
        self.scripts.is_empty() || self.scripts.contains(&script)
    }

    /// Waits for room instead of refusing when there is more than enough bulk work.
    ///
    /// # Cancel safety
    /// Dropping the future abandons what has not run yet.
    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.embed_bulk(texts, Prefix::Passage).await
    }

    async fn embed_verbatim(&self, mut texts: Vec<String>) -> Result<Vec<Embedding>> {
        if texts.len() > 1 {
            return self.embed_bulk(texts, Prefix::None).await;
        }
        match texts.pop() {
            Some(text) => Ok(vec![self.embed_now(text).await?]),
            None => Ok(Vec::new()),
        }
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let text = format!("{}{text}", self.network.query_prefix);
        self.embed_now(text).await
    }
}

/// What is put before the texts of a bulk call.
#[derive(Clone, Copy, Debug)]
enum Prefix {
    Passage,
    None,
}

impl OnnxEmbedder {
    async fn embed_bulk(&self, texts: Vec<String>, prefix: Prefix) -> Result<Vec<Embedding>> {
        let mut answers = Vec::new();
        for (places, texts) in self.network.tasks(texts) {
            let (network, gate) = (Arc::clone(&self.network), Arc::clone(&self.gate));
            let work = move |session: &mut ModelSession, caller: &dyn Caller| {
                network.embed_bulk(session, &texts, prefix, || {
                    gate.yield_to_foreground(LONGEST_WAIT);
                    !caller.is_gone()
                })
            };
            answers.push((places, self.passages.submit(work).await?));
        }
        let mut placed = Vec::new();
        for (places, answer) in answers {
            placed.extend(places.into_iter().zip(answer.wait().await?));
        }
        placed.sort_unstable_by_key(|(place, _)| *place);
        Ok(placed.into_iter().map(|(_, embedding)| embedding).collect())
    }

    /// Embeds one text ahead of bulk work.
    async fn embed_now(&self, text: String) -> Result<Embedding> {
        let foreground = self.gate.enter();
        let network = Arc::clone(&self.network);
        let answer = self
            .queries
            .try_submit(move |session, _| network.embed_one(session, &text));
        let embedding = answer?.wait().await;
        drop(foreground);
        embedding
    }
}

impl Network {
    fn read(
        model: &ModelDir,
        section: &EmbedderManifest,
        options: &EmbedderOptions,
    ) -> Result<Self> {
        let manifest = &model.manifest;
        Ok(Self {
            tokenizer: ModelTokenizer::read(&model.path, manifest.max_tokens)?,
            pooling: section.pooling.into(),
            plan: BatchPlan {
                batching: manifest.batching,
                tokens: options.batch_tokens,
            },
            query_prefix: section.query_prefix.clone(),
            passage_prefix: section.passage_prefix.clone(),
        })
    }

    /// Runs the probes; gives the dimension.
    fn check(
        &self,
        session: &mut ModelSession,
        section: &EmbedderManifest,
        model: &ModelDir,
    ) -> Result<usize> {
        let dimension = self
            .embed_one(session, "a text to see the length of a vector")?
            .len();
        if section
            .dimension
            .is_some_and(|declared| declared != dimension)
        {
            let problem =
                format!("its vectors have {dimension} numbers, not what its manifest says");
            return Err(unavailable(&model.path, problem));
        }
        probe_embedder(section, |text| Ok(self.embed_one(session, text)?.to_vec()))
            .map_err(|error| error.context(format_args!("loading {}", model.name)))?;
        Ok(dimension)
    }

    /// Cuts a call into tasks of texts of similar length, longest first so that the last task is
    /// short, and remembers each text's place.
    fn tasks(&self, texts: Vec<String>) -> Vec<(Vec<usize>, Vec<String>)> {
        let size = match self.plan.batching {
            Batching::Single => PASSAGES_PER_TASK,
            Batching::Tokens => BATCHED_PASSAGES_PER_TASK,
        };
        let mut order = by_length(&texts, String::len);
        order.reverse();
        let mut texts: Vec<Option<String>> = texts.into_iter().map(Some).collect();
        order
            .chunks(size)
            .map(|places| {
                let texts = places
                    .iter()
                    .filter_map(|place| texts[*place].take())
                    .collect();
                (places.to_vec(), texts)
            })
            .collect()
    }

    /// Embeds texts, in order. `go_on` is asked before every run.
    fn embed_bulk(
        &self,
        session: &mut ModelSession,
        texts: &[String],
        prefix: Prefix,
        go_on: impl Fn() -> bool,
    ) -> Result<Vec<Embedding>> {
        let prefix = match prefix {
            Prefix::Passage => self.passage_prefix.as_str(),
            Prefix::None => "",
        };
        let encodings = texts
            .iter()
            .map(|text| match prefix {
                "" => self.tokenizer.encode(text),
                prefix => self.tokenizer.encode(&format!("{prefix}{text}")),
            })
            .collect::<Result<Vec<_>>>()?;
        let order = by_length(&encodings, |encoding| encoding.len());
        let lengths: Vec<usize> = order.iter().map(|place| encodings[*place].len()).collect();
        let mut embeddings: Vec<Option<Embedding>> = vec![None; texts.len()];
        for run in self.plan.runs(&lengths) {
            if !go_on() {
                return Err(Error::internal(
                    "nobody waits for these embeddings any more",
                ));
            }
            let places = &order[run];
            let batch = Batch::new(
                places.iter().map(|place| &encodings[*place]),
                self.tokenizer.pad(),
            );
            for (place, embedding) in places.iter().zip(self.run(session, &batch)?) {
                embeddings[*place] = Some(embedding);
            }
        }
        Ok(embeddings.into_iter().flatten().collect())
    }

    fn embed_one(&self, session: &mut ModelSession, text: &str) -> Result<Embedding> {
        let encoding = self.tokenizer.encode(text)?;
        let batch = Batch::new([&encoding], self.tokenizer.pad());
        let embedding = self.run(session, &batch)?.pop();
        embedding.ok_or_else(|| Error::internal("the model gave no vector"))
    }

    fn run(&self, session: &mut ModelSession, batch: &Batch) -> Result<Vec<Embedding>> {
        session.run(batch, |shape, data| {
            crate::pooling::pool(shape, data, batch, &self.pooling)
        })
    }
}
