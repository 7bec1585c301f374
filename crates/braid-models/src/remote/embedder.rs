//! [`RemoteEmbedder`]: texts to vectors, at an endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, Error, Fingerprint, Result, Script, TokenCounter};
use bytes::Bytes;

use crate::manifest::EmbedderManifest;
use crate::probe::compare_vector;
use crate::remote::caller::{Caller, Line, Task};
use crate::remote::check::other_model;
use crate::remote::endpoint::{Api, Endpoint};
use crate::remote::options::RemoteOptions;
use crate::remote::recognition::Recognition;
use crate::remote::wire::{embed_request, read_embeddings};
use crate::store::ModelDir;
use crate::tokenizer::ModelTokenizer;

/// Bytes of an answer beside its numbers.
const ANSWER_FRAME: usize = 64 * 1024;
/// Most bytes of a number in an answer, as decimals with what is around them.
const NUMBER_BYTES: usize = 32;

/// An embedder that another server runs. Texts are cut to the model's window here, by its own
/// tokenizer, and get its prefixes here: the server embeds what it is sent.
#[derive(Clone, Debug)]
pub struct RemoteEmbedder {
    fingerprint: Fingerprint,
    scripts: Vec<Script>,
    section: EmbedderManifest,
    tokenizer: ModelTokenizer,
    task: EmbedTask,
    caller: Arc<Caller>,
}

impl RemoteEmbedder {
    /// A model folder's embedder at `endpoint`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ModelUnavailable`](braid_core::ErrorCode::ModelUnavailable) when the manifest does not say
    /// what a remote embedder needs, or the tokenizer cannot be read.
    pub(crate) fn new(
        model: &ModelDir,
        endpoint: Endpoint,
        options: RemoteOptions,
    ) -> Result<Self> {
        let section = model.manifest.embedder_section();
        let (Some(dimension), false) = (section.dimension, section.probes.is_empty()) else {
            return Err(model.lacks("embedder.dimension and embedder.probes"));
        };
        let caller = Caller::new(endpoint, model.manifest.served_name(), options)?;
        Ok(Self {
            fingerprint: model.fingerprint(&section.identity(dimension))?,
            scripts: section.known_scripts()?,
            tokenizer: ModelTokenizer::read(&model.path, model.manifest.max_tokens)?,
            task: EmbedTask { dimension },
            caller: Arc::new(caller),
            section,
        })
    }

    /// Sends the probes, and compares.
    pub(crate) async fn check(&self) -> Result<()> {
        let probes = &self.section.probes;
        let texts: Vec<String> = probes.iter().map(|probe| probe.text.clone()).collect();
        let vectors = self.caller.run(&self.task, &texts, Line::Check).await?;
        for (probe, vector) in probes.iter().zip(vectors) {
            compare_vector(&self.section, probe, &vector).map_err(|detail| {
                other_model(self.caller.endpoint(), &self.fingerprint, &detail)
            })?;
        }
        Ok(())
    }

    /// What is known of the endpoint.
    pub(crate) fn recognition(&self) -> &Arc<Recognition> {
        self.caller.recognition()
    }

    async fn ensure_known(&self) -> Result<()> {
        let check = || {
            let model = self.clone();
            async move { model.check().await }
        };
        self.caller.recognition().ensure(check).await
    }

    async fn embed(&self, prefix: &str, texts: Vec<String>, line: Line) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        self.ensure_known().await?;
        let texts = self.prepared(prefix, texts).await?;
        self.caller.run(&self.task, &texts, line).await
    }

    /// Texts with their prefix, as long as the window.
    async fn prepared(&self, prefix: &str, mut texts: Vec<String>) -> Result<Vec<String>> {
        if !prefix.is_empty() {
            texts.iter_mut().for_each(|text| text.insert_str(0, prefix));
        }
        if texts.iter().all(|text| self.tokenizer.surely_fits(text)) {
            return Ok(texts);
        }
        let tokenizer = self.tokenizer.clone();
        let cutting = tokio::task::spawn_blocking(move || {
            let cut = texts
                .iter()
                .map(|text| tokenizer.cut(text).map(str::to_owned));
            cut.collect::<Result<Vec<_>>>()
        });
        let stopped = |error| Error::internal("cutting texts stopped").with_source(error);
        cutting.await.map_err(stopped)?
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.task.dimension
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        Arc::new(
            self.tokenizer
                .leaving_room_for(&self.section.passage_prefix),
        )
    }

    fn reads(&self, script: Script) -> bool {
        self.scripts.is_empty() || self.scripts.contains(&script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        let prefix = &self.section.passage_prefix;
        self.embed(prefix, texts, Line::Bulk).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        let line = match texts.len() {
            1 => Line::Query,
            _ => Line::Bulk,
        };
        self.embed("", texts, line).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        let texts = vec![text.to_owned()];
        let prefix = &self.section.query_prefix;
        let vector = self.embed(prefix, texts, Line::Query).await?.pop();
        vector.ok_or_else(|| Error::internal("a query has no vector"))
    }
}

#[derive(Clone, Copy, Debug)]
struct EmbedTask {
    dimension: usize,
}

impl Task for EmbedTask {
    type Item = Embedding;

    fn request(&self, api: Api, model: &str, texts: &[String]) -> Bytes {
        embed_request(api, model, texts)
    }

    fn most_bytes(&self, texts: &[String]) -> usize {
        ANSWER_FRAME + texts.len() * (self.dimension * NUMBER_BYTES + 256)
    }

    fn read(&self, api: Api, answer: &[u8], count: usize) -> Result<Vec<Embedding>, String> {
        read_embeddings(api, answer, count, self.dimension)
    }
}
