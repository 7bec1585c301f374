//! [`RemoteReranker`]: pairs to scores, at an endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Calibration, Error, Fingerprint, Language, Reranker, Result};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::manifest::{Relevance, RerankerManifest, RerankerProbe};
use crate::probe::compare_score;
use crate::remote::caller::{Caller, Line, Task};
use crate::remote::check::other_model;
use crate::remote::endpoint::{Api, Endpoint};
use crate::remote::options::RemoteOptions;
use crate::remote::recognition::Recognition;
use crate::remote::wire::{read_scores, rerank_request};
use crate::store::ModelDir;
use crate::tokenizer::ModelTokenizer;

/// Bytes of an answer beside its scores.
const ANSWER_FRAME: usize = 64 * 1024;
/// Probes in flight at once.
const PROBES_AT_ONCE: usize = 16;
/// Most bytes of a score with what is around it.
const SCORE_BYTES: usize = 256;

/// A cross-encoder that another server runs. Pairs are cut to the model's window here, passage
/// before query, by its own tokenizer.
#[derive(Clone, Debug)]
pub struct RemoteReranker {
    fingerprint: Fingerprint,
    section: RerankerManifest,
    languages: Vec<Language>,
    relevance: Relevance,
    tokenizer: ModelTokenizer,
    caller: Arc<Caller>,
}

impl RemoteReranker {
    /// A model folder's cross-encoder at `endpoint`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ModelUnavailable`](braid_core::ErrorCode::ModelUnavailable) when the manifest does not say
    /// what a remote re-ranker needs, or the tokenizer cannot be read.
    pub(crate) fn new(
        model: &ModelDir,
        endpoint: Endpoint,
        options: RemoteOptions,
    ) -> Result<Self> {
        let section = model.manifest.reranker_section();
        if section.probes.is_empty() {
            return Err(model.lacks("reranker.probes"));
        }
        let remote = model.manifest.remote.clone().unwrap_or_default();
        let caller = Caller::new(endpoint, model.manifest.served_name(), options)?;
        Ok(Self {
            fingerprint: model.fingerprint("")?,
            languages: section.known_languages()?,
            section,
            relevance: remote.relevance,
            tokenizer: ModelTokenizer::read(&model.path, model.manifest.max_tokens)?,
            caller: Arc::new(caller),
        })
    }

    /// Sends the probes together, and compares.
    pub(crate) async fn check(&self) -> Result<()> {
        let probes = self.section.probes.iter().cloned();
        stream::iter(probes)
            .map(|probe| self.check_one(probe))
            .buffer_unordered(PROBES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn check_one(&self, probe: RerankerProbe) -> Result<()> {
        let passages = [probe.passage.clone()];
        let task = self.task(&probe.query);
        let scores = self.caller.run(&task, &passages, Line::Check).await?;
        let score = scores.first().copied().unwrap_or(f32::NAN);
        compare_score(&self.section, &probe, score)
            .map_err(|detail| other_model(self.caller.endpoint(), &self.fingerprint, &detail))
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

    fn knows(&self, language: Language) -> bool {
        self.languages.is_empty() || self.languages.contains(&language)
    }

    fn task(&self, query: &str) -> ScoreTask {
        ScoreTask {
            query: query.into(),
            relevance: self.relevance,
        }
    }

    /// Query and passages, as long together as the window.
    async fn prepared(&self, query: &str, passages: &[String]) -> Result<(String, Vec<String>)> {
        let (query, passages) = (query.to_owned(), passages.to_vec());
        let pair_fits = |passage: &String| self.tokenizer.pair_surely_fits(&query, passage);
        if passages.iter().all(pair_fits) {
            return Ok((query, passages));
        }
        let tokenizer = self.tokenizer.clone();
        let cutting = tokio::task::spawn_blocking(move || {
            let (query, room) = tokenizer.cut_query(&query)?;
            let cut = passages.iter().map(|passage| {
                let start = tokenizer.start_of(passage, room)?;
                Ok(start.to_owned())
            });
            Ok((query.to_owned(), cut.collect::<Result<Vec<_>>>()?))
        });
        let stopped = |error| Error::internal("cutting passages stopped").with_source(error);
        cutting.await.map_err(stopped)?
    }
}

#[async_trait]
impl Reranker for RemoteReranker {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        match self.knows(language) {
            true => self.section.recommended_blend,
            false => 0.0,
        }
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        let fitted = self.section.calibration.as_ref();
        fitted
            .filter(|_| self.knows(language))
            .map(|fitted| Calibration {
                slope: fitted.slope,
                intercept: fitted.intercept,
            })
    }

    fn concurrency(&self) -> usize {
        self.caller.concurrency()
    }

    /// # Cancel safety
    /// Dropping the future closes the connections of the requests in flight, but for those of the
    /// probes.
    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        self.ensure_known().await?;
        let (query, passages) = self.prepared(query, passages).await?;
        let task = self.task(&query);
        self.caller.run(&task, &passages, Line::Query).await
    }
}

#[derive(Clone, Debug)]
struct ScoreTask {
    query: Arc<str>,
    relevance: Relevance,
}

impl Task for ScoreTask {
    type Item = f32;

    fn request(&self, api: Api, model: &str, texts: &[String]) -> Bytes {
        rerank_request(api, model, &self.query, texts)
    }

    /// Some servers send the documents back.
    fn most_bytes(&self, texts: &[String]) -> usize {
        let texts = texts.iter().map(|text| 2 * text.len() + SCORE_BYTES);
        ANSWER_FRAME + texts.sum::<usize>()
    }

    fn read(&self, api: Api, answer: &[u8], count: usize) -> Result<Vec<f32>, String> {
        read_scores(api, self.relevance, answer, count)
    }
}
