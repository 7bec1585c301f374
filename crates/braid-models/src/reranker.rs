//! [`OnnxReranker`]: (query, passage) pairs to scores.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Calibration, Error, Fingerprint, Language, Reranker, Result};
use ort::environment::Environment;

use crate::batch::{Batch, BatchPlan, by_length};
use crate::gate::Gate;
use crate::lane::{Caller, Lane, LaneSettings};
use crate::manifest::RerankerManifest;
use crate::options::RerankerOptions;
use crate::probe::probe_reranker;
use crate::session::{ModelSession, OutputChoice, SessionSource, unavailable};
use crate::store::ModelDir;
use crate::tokenizer::ModelTokenizer;

/// The output a cross-encoder must have, `[batch, 1]`.
const OUTPUTS: OutputChoice = OutputChoice {
    names: &["logits"],
    any_sole: false,
};

/// Tasks that a call is cut into for each thread: more than one, because pairs differ in length.
const TASKS_PER_THREAD: usize = 2;

/// A cross-encoder on ONNX Runtime: one session and one thread per core.
#[derive(Debug)]
pub struct OnnxReranker {
    fingerprint: Fingerprint,
    recommended_blend: f64,
    /// None stands for all.
    languages: Vec<Language>,
    calibration: Option<Calibration>,
    network: Arc<Network>,
    threads: usize,
    gate: Arc<Gate>,
    lane: Lane<ModelSession>,
}

/// What turns pairs into scores, apart from the session.
#[derive(Debug)]
struct Network {
    tokenizer: ModelTokenizer,
    plan: BatchPlan,
}

impl OnnxReranker {
    /// Loads a verified model directory. Blocks for as long as opening one session takes.
    ///
    /// # Errors
    /// [`ModelUnavailable`](braid_core::ErrorCode::ModelUnavailable) when the model cannot be used
    /// or does not give the outputs its probes expect.
    pub(crate) fn load(
        model: &ModelDir,
        environment: Environment,
        gate: Arc<Gate>,
        options: &RerankerOptions,
    ) -> Result<Self> {
        let section = model.manifest.reranker_section();
        let manifest = &model.manifest;
        let network = Arc::new(Network {
            tokenizer: ModelTokenizer::read(&model.path, manifest.max_tokens)?,
            plan: BatchPlan {
                batching: manifest.batching,
                tokens: options.batch_tokens,
            },
        });
        let source = SessionSource::new(environment, &model.path, OUTPUTS, options.threads);
        let mut session = ModelSession::open(&source)?;
        network.check(&mut session, &section, model)?;
        let threads = source.sessions();
        let settings = LaneSettings {
            name: "rerank",
            threads,
            capacity: options.queue,
            warm: true,
        };
        let lane = Lane::start(settings, vec![session], move || ModelSession::open(&source))?;
        Ok(Self {
            fingerprint: model.fingerprint("")?,
            recommended_blend: section.recommended_blend,
            languages: section.known_languages()?,
            calibration: section.calibration.map(|fitted| Calibration {
                slope: fitted.slope,
                intercept: fitted.intercept,
            }),
            network,
            threads,
            gate,
            lane,
        })
    }

    fn knows(&self, language: Language) -> bool {
        self.languages.is_empty() || self.languages.contains(&language)
    }
}

#[async_trait]
impl Reranker for OnnxReranker {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn recommended_blend(&self, language: Language) -> f64 {
        match self.knows(language) {
            true => self.recommended_blend,
            false => 0.0,
        }
    }

    fn calibration(&self, language: Language) -> Option<Calibration> {
        self.calibration.filter(|_| self.knows(language))
    }

    fn concurrency(&self) -> usize {
        self.threads
    }

    /// # Cancel safety
    /// Dropping the future abandons what has not run yet; a running pair or batch is finished.
    async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let foreground = self.gate.enter();
        let query: Arc<str> = query.into();
        let mut answers = Vec::new();
        for piece in pieces(passages.len(), self.threads) {
            let (network, query) = (Arc::clone(&self.network), Arc::clone(&query));
            let passages = passages[piece].to_vec();
            let work = move |session: &mut ModelSession, caller: &dyn Caller| {
                network.score(session, &query, &passages, || !caller.is_gone())
            };
            answers.push(self.lane.try_submit(work)?);
        }
        let mut scores = Vec::with_capacity(passages.len());
        for answer in answers {
            scores.extend(answer.wait().await?);
        }
        drop(foreground);
        Ok(scores)
    }
}

/// Cuts a call into pieces of as equal size as can be, so that no thread waits long for another.
fn pieces(passages: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let count = (threads * TASKS_PER_THREAD).min(passages);
    (0..count).map(move |piece| piece * passages / count..(piece + 1) * passages / count)
}

impl Network {
    fn check(
        &self,
        session: &mut ModelSession,
        section: &RerankerManifest,
        model: &ModelDir,
    ) -> Result<()> {
        let mut score = |query: &str, passage: &str| -> Result<f32> {
            let scores = self.score(session, query, &[passage.to_owned()], || true)?;
            scores
                .first()
                .copied()
                .ok_or_else(|| Error::internal("the model gave no score"))
        };
        let trial = score("a query", "a passage")
            .map_err(|error| unavailable(&model.path, "a trial run failed").with_source(error))?;
        if !trial.is_finite() {
            let detail = format!("a trial run gave a score of {trial}");
            return Err(unavailable(&model.path, &detail));
        }
        probe_reranker(section, score)
            .map_err(|error| error.context(format_args!("loading {}", model.name)))
    }

    /// Scores passages, in order. `go_on` is asked before every run.
    fn score(
        &self,
        session: &mut ModelSession,
        query: &str,
        passages: &[String],
        go_on: impl Fn() -> bool,
    ) -> Result<Vec<f32>> {
        let query = self.tokenizer.encode_query(query)?;
        let encodings = passages
            .iter()
            .map(|passage| self.tokenizer.encode_pair(&query, passage))
            .collect::<Result<Vec<_>>>()?;
        let order = by_length(&encodings, |encoding| encoding.len());
        let lengths: Vec<usize> = order.iter().map(|place| encodings[*place].len()).collect();
        let mut scores = vec![0.0; passages.len()];
        for run in self.plan.runs(&lengths) {
            if !go_on() {
                return Err(Error::internal("nobody waits for these scores any more"));
            }
            let places = &order[run];
            let batch = Batch::new(
                places.iter().map(|place| &encodings[*place]),
                self.tokenizer.pad(),
            );
            let logits = session.run(&batch, |shape, data| read_logits(shape, data, &batch))?;
            for (place, logit) in places.iter().zip(logits) {
                scores[*place] = logit;
            }
        }
        Ok(scores)
    }
}

/// The scores of a run, from `logits` of shape `[rows, 1]`. One that is no number is passed on: the
/// caller knows what to do without it.
fn read_logits(shape: &[i64], data: &[f32], batch: &Batch) -> Result<Vec<f32>> {
    let expected = [i64::try_from(batch.rows).unwrap_or(i64::MAX), 1];
    if *shape != expected {
        let message = format!("the model gave logits of shape {shape:?} instead of {expected:?}");
        return Err(Error::internal(message));
    }
    Ok(data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_leave_nothing_out() {
        for (passages, threads) in [(0, 2), (1, 2), (3, 2), (10, 2), (30, 3), (100, 8)] {
            let pieces: Vec<_> = pieces(passages, threads).collect();
            let sizes = pieces.iter().map(Range::len);
            let (least, most) = (sizes.clone().min(), sizes.clone().max());
            assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1, "{pieces:?}");
            let covered: Vec<usize> = pieces.into_iter().flatten().collect();
            assert_eq!(covered, (0..passages).collect::<Vec<_>>());
        }
    }

    #[test]
    fn only_one_score_a_pair_is_taken() {
        let batch = Batch {
            rows: 2,
            ..Batch::default()
        };
        assert_eq!(
            read_logits(&[2, 1], &[0.5, -1.0], &batch).unwrap(),
            [0.5, -1.0]
        );
        let odd = read_logits(&[2, 1], &[0.5, f32::NAN], &batch).unwrap();
        assert!(odd[0] == 0.5 && odd[1].is_nan());
        let wrong: [(&[i64], &[f32]); 3] = [
            (&[2], &[0.5, 1.0]),
            (&[2, 2], &[0.5, 1.0, 0.5, 1.0]),
            (&[1, 1], &[0.5]),
        ];
        for (shape, data) in wrong {
            assert!(read_logits(shape, data, &batch).is_err(), "{shape:?}");
        }
    }
}
