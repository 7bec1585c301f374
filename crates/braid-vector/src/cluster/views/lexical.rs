//! The lexical leg.

use std::sync::Arc;

use ::qdrant_client::qdrant::VectorInput;
use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    IndexBatch, Language, LexicalEntry, LexicalIndex, LexicalQuery, LexicalView, Narrowed,
    RankedList, Result, Selection, Sequence, SlotSet, TextCondition,
};
use braid_text::lexical::{Clause, K1, clauses, distinct_terms, query_terms};
use futures::future::{join_all, try_join_all};

use super::parts::{Part, parts};
use super::rounds::Question;
use super::{Census, Searched, not_applied};
use crate::cluster::chunks::SPARSE;
use crate::cluster::{rarity, sparse};
use crate::nearest::Nearest;

/// Longer texts, in bytes, are analyzed on the pool: shorter ones take less than handing them over.
const SHORT: usize = 512;

/// The weights of terms of one collection generation.
#[derive(Clone, Debug)]
pub(crate) struct ChunkTerms(pub(crate) Arc<Searched>);

#[async_trait]
impl LexicalIndex for ChunkTerms {
    async fn apply(&self, _: IndexBatch<LexicalEntry>) -> Result<()> {
        not_applied()
    }

    /// There is none: each document says for itself what is published.
    async fn watermark(&self) -> Result<Sequence> {
        Ok(Sequence::ZERO)
    }

    async fn slots(&self) -> Result<SlotSet> {
        self.0.chunks.slots().await
    }

    /// Asks nothing of the server.
    async fn pin(&self) -> Result<Arc<dyn LexicalView>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl LexicalView for ChunkTerms {
    /// Words that no chunk has are not corrected: the server does not say which terms there are.
    async fn find(
        &self,
        query: &LexicalQuery,
        selection: &Selection,
        depth: usize,
    ) -> Result<LexicalMatches> {
        let searched = &self.0;
        let census = searched.census().await?;
        let (terms, clauses) = searched.analyze(&query.text, &census.languages).await?;
        if terms.is_empty() {
            return Ok(LexicalMatches::default());
        }
        let parts = parts(&clauses, &census);
        let search = searched.search_parts(&parts, selection, depth);
        let (candidates, ceiling) = tokio::join!(search, searched.ceiling(&clauses, &census));
        Ok(LexicalMatches {
            candidates: candidates?,
            terms,
            expansions: Vec::new(),
            ceiling,
        })
    }

    async fn narrow(
        &self,
        conditions: &[TextCondition],
        selection: &Selection,
    ) -> Result<Narrowed> {
        self.0.narrow(conditions, selection).await
    }
}

impl Searched {
    /// The best chunks of all parts.
    async fn search_parts(
        &self,
        parts: &[Part],
        selection: &Selection,
        depth: usize,
    ) -> Result<RankedList> {
        let questions: Vec<Question> = parts
            .iter()
            .map(|part| {
                let vector = sparse::of_query(&part.clauses);
                Question {
                    using: SPARSE,
                    input: VectorInput::new_sparse(vector.indices, vector.values),
                    among: part.condition(),
                    depth,
                }
            })
            .collect();
        let searches = questions.iter().map(|it| self.search(it, selection));
        let mut best = Nearest::new(depth);
        for candidate in try_join_all(searches).await?.iter().flatten() {
            best.offer(candidate.slot.0, candidate.score);
        }
        Ok(best.into_ranked())
    }

    /// The distinct terms of a query, and where each is looked for.
    async fn analyze(
        &self,
        text: &str,
        languages: &[Language],
    ) -> Result<(Vec<String>, Vec<Clause>)> {
        let (analyzers, weights) = (Arc::clone(&self.chunks.analyzers), self.weights);
        let (text, languages) = (text.to_owned(), languages.to_vec());
        let is_short = text.len() <= SHORT;
        let analyze = move || {
            let analyzers = languages.iter().map(|language| analyzers.of(*language));
            let terms = query_terms(&analyzers.collect::<Vec<_>>(), &text);
            let clauses = clauses(&terms, weights);
            (
                distinct_terms(terms.into_iter().map(|term| term.text)),
                clauses,
            )
        };
        if is_short {
            return Ok(analyze());
        }
        self.chunks.points.site.pool.run(analyze).await
    }

    /// What an entry would score that says every term over and over; 0 where it cannot be known.
    async fn ceiling(&self, clauses: &[Clause], census: &Census) -> f32 {
        let unknown = self.rarities.unknown(clauses);
        let asked = unknown.iter().map(|dimension| async {
            let question = rarity::question(&self.chunks.points.name, *dimension);
            match self.batcher.ask(question).await {
                Ok(found) => self.rarities.note(*dimension, found),
                // Without it the legs are fused as they were asked to be.
                Err(error) => tracing::debug!(error = %error.chain(), "a rarity is not known"),
            }
        });
        join_all(asked).await;
        self.rarities
            .ceiling(clauses, &census.languages, census.chunks, K1)
    }
}
