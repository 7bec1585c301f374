//! A corpus, a retriever over it, and one way to show what it answers.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{Embedder, IndexProvider, Ledger, LexicalIndex, Reranker, VectorStore};
use braid_query::{
    RetrieveRequest, RetrieveResponse, RetrievedHit, Retriever, RetrieverParts, StageScore,
    Tokenizers,
};
use braid_runtime::CpuPool;
use braid_testkit::{Faulty, MiniCorpus, WhitespaceTokens};
use expect_test::Expect;

/// A corpus with what the retriever over it is made of; tests replace a part where they need to.
pub(crate) struct Setup {
    pub(crate) corpus: MiniCorpus,
    pub(crate) parts: RetrieverParts,
}

impl Setup {
    /// A retriever without a re-ranker over these documents (see [`MiniCorpus`]).
    pub(crate) async fn new(lines: &str) -> Self {
        let corpus = MiniCorpus::new(lines).await;
        let parts = RetrieverParts {
            ledger: Arc::new(corpus.ledger.clone()),
            indexes: Arc::clone(&corpus.indexes) as Arc<dyn IndexProvider>,
            embedder: Arc::clone(&corpus.embedder) as Arc<dyn Embedder>,
            reranker: None,
            tokenizers: Tokenizers {
                cl100k: Arc::new(WhitespaceTokens::new(512)),
                o200k: Arc::new(WhitespaceTokens::new(512)),
            },
            pool: CpuPool::new(1).unwrap(),
            leg_timeout: None,
        };
        Self { corpus, parts }
    }

    pub(crate) fn with_reranker(mut self, reranker: impl Reranker + 'static) -> Self {
        self.parts.reranker = Some(Arc::new(reranker));
        self
    }

    pub(crate) fn with_embedder(mut self, embedder: impl Embedder + 'static) -> Self {
        self.parts.embedder = Arc::new(embedder);
        self
    }

    pub(crate) fn with_leg_timeout(mut self, timeout: Duration) -> Self {
        self.parts.leg_timeout = Some(timeout);
        self
    }

    /// Wraps the lexical index: `script` adds its faults.
    pub(crate) async fn script_lexical(
        &self,
        script: impl FnOnce(Faulty<dyn LexicalIndex>) -> Faulty<dyn LexicalIndex>,
    ) -> Arc<Faulty<dyn LexicalIndex>> {
        let key = self.corpus.collection.index_key();
        let index = self.corpus.indexes.lexical(&self.corpus.collection, key);
        let scripted = Arc::new(script(Faulty::shared(index.await.unwrap())));
        let index = Arc::clone(&scripted) as Arc<dyn LexicalIndex>;
        self.corpus.indexes.put_lexical(key, index);
        scripted
    }

    /// Wraps the vector store: `script` adds its faults.
    pub(crate) async fn script_vector(
        &self,
        script: impl FnOnce(Faulty<dyn VectorStore>) -> Faulty<dyn VectorStore>,
    ) -> Arc<Faulty<dyn VectorStore>> {
        let key = self.corpus.collection.index_key();
        let store = self.corpus.indexes.vector(&self.corpus.collection, key);
        let scripted = Arc::new(script(Faulty::shared(store.await.unwrap())));
        let store = Arc::clone(&scripted) as Arc<dyn VectorStore>;
        self.corpus.indexes.put_vector(key, store);
        scripted
    }

    pub(crate) fn retriever(&self) -> Retriever {
        Retriever::new(self.parts.clone())
    }

    /// A request without re-ranking.
    pub(crate) fn request(&self, query: &str) -> RetrieveRequest {
        let mut request = RetrieveRequest::new(query, self.corpus.name());
        request.rerank.enabled = false;
        request
    }

    pub(crate) async fn retrieve(&self, request: RetrieveRequest) -> RetrieveResponse {
        self.retriever().retrieve(request).await.unwrap()
    }

    /// Whether nothing pins a state that a delete has since changed.
    pub(crate) async fn can_purge(&self) -> bool {
        let purge = self.corpus.ledger.stage_purge(self.corpus.collection.id);
        purge.await.unwrap().is_some()
    }
}

/// One line a hit: rank, document and ordinal, final score with its stage, then rank and score at
/// every stage that saw it; then what is degraded.
pub(crate) fn show(response: &RetrieveResponse) -> String {
    let hits = response.hits.iter().map(show_hit);
    let degraded = response.degraded.iter();
    let degraded = degraded.map(|degraded| format!("! {}: {}\n", degraded.stage, degraded.reason));
    hits.chain(degraded).collect()
}

fn show_hit(hit: &RetrievedHit) -> String {
    let scores = hit.scores;
    let stages = [
        ("lexical", scores.lexical),
        ("dense", scores.dense),
        ("fused", scores.fused),
        ("rerank", scores.rerank),
    ];
    let stages = stages.into_iter().filter_map(|(name, seen)| {
        seen.map(|StageScore { rank, score }| format!(" {name}@{rank}={score:.4}"))
    });
    let (rank, stage, score) = (hit.rank, hit.score_stage.as_str(), hit.score);
    let record = &hit.passage.record;
    let (document, ordinal) = (&record.document, record.chunk.ordinal);
    let stages: String = stages.collect();
    format!("{rank} {document}#{ordinal} {stage} {score:.4}:{stages}\n")
}

/// Documents in rank order, separated by spaces.
pub(crate) fn documents(response: &RetrieveResponse) -> String {
    let hits = response.hits.iter();
    let names = hits.map(|hit| hit.passage.record.document.to_string());
    names.collect::<Vec<_>>().join(" ")
}

/// Asks `query` of `lines` with every default but re-ranking.
#[track_caller]
pub(crate) fn check(lines: &str, query: &str, expected: Expect) {
    let response = block_on(async {
        let setup = Setup::new(lines).await;
        setup.retrieve(setup.request(query)).await
    });
    expected.assert_eq(&show(&response));
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(work)
}
