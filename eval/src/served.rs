//! The stage `served`: every topic answered with the settings of requests in force, those that the other
//! stages of `braid eval run` do not ask included: the mode, the depth of each leg and the hits returned.

use std::collections::BTreeMap;
use std::path::Path;

use braid_core::{Error, ErrorCode, Reranker, Result};
use braid_engine::Engine;
use braid_engine::query::{RetrieveRequest, Syntax};

use crate::dataset::Dataset;
use crate::study::{deepest, documents};
use crate::trec::{Run, write_ranking};

/// The stage's name.
pub const SERVED: &str = "served";

/// What was served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Documents of each answered topic, best first.
    pub run: Run,
    /// Topics that failed, with the reason; each scores 0.
    pub failed: BTreeMap<String, String>,
}

/// Answers every topic as `request` asks, whatever its query. The list is that of the passages that are
/// returned, on to the end of the candidates; re-ranking has no deadline, for a ranking that depends on the
/// machine's speed measures the machine.
pub async fn serve_topics(
    engine: &Engine,
    dataset: &Dataset,
    request: &RetrieveRequest,
    mut progress: impl FnMut(usize),
) -> Served {
    let mut served = Served::default();
    for (topic, done) in dataset.topics.iter().zip(1..) {
        let mut request = RetrieveRequest {
            query: topic.text.clone(),
            // Topics are not written with operators.
            syntax: Syntax::Off,
            ..request.clone()
        };
        request.rerank.deadline_ms = None;
        match serve(engine, &request).await {
            Ok(ranking) => {
                served.run.insert(topic.id.clone(), ranking);
            }
            Err(error) => {
                served.failed.insert(topic.id.clone(), error.to_string());
            }
        }
        progress(done);
    }
    served
}

async fn serve(engine: &Engine, request: &RetrieveRequest) -> Result<Vec<String>> {
    let recording = engine.record(&deepest(request, &[request])).await?;
    let reranker = engine
        .reranker()
        .map(|model| model.as_ref() as &dyn Reranker);
    let replay = recording.replay(request, reranker).await?;
    Ok(documents(&replay.distinct))
}

/// Writes `run.served.trec` into `directory`, the topics in the dataset's order. A score is one over the
/// rank: the scores of one answer can be of different stages.
///
/// # Errors
/// `Unavailable` naming the file where it cannot be written.
pub fn write_served(directory: &Path, dataset: &Dataset, served: &Served) -> Result<()> {
    let path = directory.join(format!("run.{SERVED}.trec"));
    let write = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for topic in &dataset.topics {
            let ranking = served.run.get(&topic.id).into_iter().flatten().zip(1_u32..);
            let scored: Vec<(String, f64)> = ranking
                .map(|(document, rank)| (document.clone(), 1.0 / f64::from(rank)))
                .collect();
            write_ranking(&mut out, &topic.id, &scored, &format!("braid-{SERVED}"))?;
        }
        std::io::Write::flush(&mut out)
    };
    write().map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Error::new(ErrorCode::Unavailable, message).with_source(error)
    })
}
