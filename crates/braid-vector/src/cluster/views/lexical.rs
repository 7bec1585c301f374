//! The lexical leg.

use std::sync::Arc;

use ::qdrant_client::qdrant::VectorInput;
use async_trait::async_trait;
use braid_core::ports::LexicalMatches;
use braid_core::{
    IndexBatch, Language, LexicalEntry, LexicalIndex, LexicalQuery, LexicalView, Narrowed,
    RankedList, Result, Selection, Sequence, SlotSet, TextCondition,
};
use braid_text::Analyzer;
use braid_text::lexical::{Clause, K1, Meant, clauses, distinct_terms, query_terms, told};
use futures::future::{join_all, try_join_all};

use super::parts::{Part, parts};
use super::rounds::Question;
use super::{Census, Searched, not_applied};
use crate::cluster::chunks::SPARSE;
use crate::cluster::{rarity, sparse};
use crate::nearest::Nearest;

/// Most rarities that are asked for to know what a query could score.
const ASKED: usize = 32;
/// Longer texts, in bytes, are analyzed on the pool: shorter ones take less than handing them over.
const SHORT: usize = 512;

/// The weights of terms of one collection generation.
#[derive(Clone, Debug)]
pub(crate) struct ChunkTerms(pub(crate) Arc<Searched>);

/// A query in the forms of the languages of the chunks.
struct Analyzed {
    /// Its distinct terms, then those that it means.
    terms: Vec<String>,
    /// Where each of its own is looked for.
    clauses: Vec<Clause>,
    meant: Vec<Meant>,
}

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
        let Analyzed {
            terms,
            clauses,
            meant,
        } = searched.analyze(query, &census.languages).await?;
        if terms.is_empty() {
            return Ok(LexicalMatches::default());
        }
        let meant_clauses = searched.expand(&meant, &census).await;
        let parts = parts(&[clauses.as_slice(), &meant_clauses].concat(), &census);
        let search = searched.search_parts(&parts, selection, depth);
        let (candidates, ceiling) = tokio::join!(search, searched.ceiling(&clauses, &census));
        Ok(LexicalMatches {
            candidates: candidates?,
            terms,
            expansions: told(meant.into_iter().map(|it| it.told)),
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

    async fn analyze(&self, query: &LexicalQuery, languages: &[Language]) -> Result<Analyzed> {
        let (analyzers, weights) = (Arc::clone(&self.chunks.analyzers), self.weights);
        let (query, languages) = (query.clone(), languages.to_vec());
        let forms = Arc::clone(&self.synonyms);
        // The forms of many rules take longer than a search, when they are first made.
        let is_short = query.text.len() <= SHORT && query.synonyms.is_empty();
        let analyze = move || {
            let analyzers = languages.iter().map(|language| analyzers.of(*language));
            let analyzers: Vec<&Analyzer> = analyzers.collect();
            let terms = query_terms(&analyzers, &query.text);
            let clauses = clauses(&terms, weights);
            let meant = forms.meant(&analyzers, &query.synonyms, &query.text);
            let added = meant.iter().flat_map(|it| it.phrase.first_terms());
            let terms = distinct_terms(terms.into_iter().map(|term| term.text).chain(added));
            Analyzed {
                terms,
                clauses,
                meant,
            }
        };
        if is_short {
            return Ok(analyze());
        }
        self.chunks.points.site.pool.run(analyze).await
    }

    /// What an entry would score that says every term over and over; 0 where it cannot be known.
    async fn ceiling(&self, clauses: &[Clause], census: &Census) -> f32 {
        let dimensions = rarity::of_content(clauses).map(|(dimension, _)| dimension);
        self.learn(dimensions, ASKED).await;
        self.rarities
            .ceiling(clauses, &census.languages, census.chunks, K1)
    }

    /// Asks how rare these dimensions are, the first `most` that are not known.
    pub(super) async fn learn(&self, dimensions: impl IntoIterator<Item = u32>, most: usize) {
        let unknown = self.rarities.unknown(dimensions, most);
        let asked = unknown.into_iter().map(|dimension| async move {
            let question = rarity::question(&self.chunks.points.name, dimension);
            match self.batcher.ask(question).await {
                Ok(found) => self.rarities.note(dimension, found),
                // A query is answered without it all the same.
                Err(error) => tracing::debug!(error = %error.chain(), "a rarity is not known"),
            }
        });
        join_all(asked).await;
    }
}
