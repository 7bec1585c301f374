//! What a caller asks for.

use std::sync::Arc;

use braid_core::limits::{
    MAX_CANDIDATES, MAX_CONTEXT_TOKENS, MAX_FUSION_K, MAX_LEG_WEIGHT, MAX_QUERY_BYTES, MAX_TOP_K,
};
use braid_core::{CollectionName, Error, FieldError, Filter, Result};

use crate::phrasings::check_phrasings;
use crate::syntax::{Syntax, Typos};
use crate::thresholds::Thresholds;

/// Which legs are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// BM25 alone.
    Lexical,
    /// Embeddings alone.
    Dense,
    /// Both, fused.
    #[default]
    Hybrid,
}

impl Mode {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Dense => "dense",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Candidates asked of each leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateDepths {
    /// Depth of the lexical leg.
    pub lexical: usize,
    /// Depth of the dense leg.
    pub dense: usize,
}

impl Default for CandidateDepths {
    fn default() -> Self {
        Self {
            lexical: 50,
            dense: 50,
        }
    }
}

/// Weight of each leg in fusion; 0 silences a leg's votes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegWeights {
    /// Weight of the lexical leg.
    pub lexical: f64,
    /// Weight of the dense leg.
    pub dense: f64,
}

impl Default for LegWeights {
    fn default() -> Self {
        Self {
            lexical: 1.0,
            dense: 1.0,
        }
    }
}

/// How the legs' lists become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FusionMethod {
    /// Reciprocal Rank Fusion (Cormack, Clarke and Büttcher, SIGIR 2009): ranks alone.
    Rrf,
    /// Scores from 0 (what the leg did not find) to 1 (its best hit).
    MinMax,
    /// Scores in standard deviations from their mean over what both legs found.
    #[default]
    Dbsf,
}

impl FusionMethod {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rrf => "rrf",
            Self::MinMax => "minmax",
            Self::Dbsf => "dbsf",
        }
    }
}

/// Whether the weights are shifted for each query by how far each leg is to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LegTrust {
    /// By the model of [`crate::Trust`].
    #[default]
    Auto,
    /// The weights are taken as they are.
    Off,
}

impl LegTrust {
    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
        }
    }
}

/// How the legs are fused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusionOptions {
    /// How lists become one.
    pub method: FusionMethod,
    /// RRF's constant, added to each 1-based rank.
    pub k: f64,
    /// Weight of each leg.
    pub weights: LegWeights,
    /// Whether the weights are shifted for each query.
    pub leg_trust: LegTrust,
}

impl Default for FusionOptions {
    fn default() -> Self {
        Self {
            method: FusionMethod::default(),
            k: 60.0,
            weights: LegWeights::default(),
            leg_trust: LegTrust::default(),
        }
    }
}

/// How the fused list's head is re-ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankOptions {
    /// Whether it is.
    pub enabled: bool,
    /// How many fused hits are scored.
    pub candidates: usize,
    /// Weight of the re-ranker in the final score, 0..=1; `None` takes the model's own.
    pub blend: Option<f64>,
    /// Time for the stage, queueing included; `None` waits until all are scored.
    pub deadline_ms: Option<u64>,
}

impl Default for RerankOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            candidates: 30,
            blend: None,
            deadline_ms: Some(150),
        }
    }
}

/// Which text around a hit goes into the context with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContextExpansion {
    /// The chunk alone.
    #[default]
    None,
    /// The chunks before and after it in its document.
    Neighbors,
    /// Every chunk under the same heading path.
    Section,
}

/// What counts as a token of the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContextTokenizer {
    /// What the embedder's tokenizer makes.
    #[default]
    Embedder,
    /// What `cl100k_base` makes (GPT-4 and GPT-3.5).
    Cl100k,
    /// What `o200k_base` makes (GPT-4o and later).
    O200k,
    /// A character.
    Characters,
    /// A run between whitespace.
    Words,
}

/// How the pieces stand in the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContextOrder {
    /// Best first.
    #[default]
    Rank,
    /// The best at both ends: first, third, fifth, ... fourth, second. Language models use the middle
    /// of a long context least (Liu et al., "Lost in the Middle", 2023).
    Edges,
}

/// How the context is assembled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContextOptions {
    /// Most tokens of context text; 0 assembles none.
    pub max_tokens: usize,
    /// What a token is.
    pub tokenizer: ContextTokenizer,
    /// What goes in with each hit.
    pub expand: ContextExpansion,
    /// Most hits of one document.
    pub per_document: Option<usize>,
    /// A hit that shares more than this of its word triples with one before it (Jaccard, 0..=1) is
    /// left out; `None` leaves none out.
    pub max_similarity: Option<f64>,
    /// Maximal marginal relevance: the weight of relevance against novelty, 0..=1, in choosing the
    /// next hit; `None` takes them by rank.
    pub mmr: Option<f64>,
    /// How the pieces stand in the text.
    pub order: ContextOrder,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            max_tokens: 2000,
            tokenizer: ContextTokenizer::Embedder,
            expand: ContextExpansion::None,
            per_document: None,
            max_similarity: Some(0.9),
            mmr: None,
            order: ContextOrder::Rank,
        }
    }
}

/// One retrieval.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrieveRequest {
    /// What to look for.
    pub query: String,
    /// Other phrasings of it, searched too; re-ranking and context are for `query`.
    pub also: Vec<String>,
    /// Whether operators in it are read.
    pub syntax: Syntax,
    /// Whether words that the index does not have are corrected (lexical leg).
    pub typos: Typos,
    /// Where.
    pub collection: CollectionName,
    /// How many hits to return.
    pub top_k: usize,
    /// Which legs.
    pub mode: Mode,
    /// Leg depths.
    pub candidates: CandidateDepths,
    /// Fusion.
    pub fusion: FusionOptions,
    /// Re-ranking.
    pub rerank: RerankOptions,
    /// Metadata filter, applied inside both legs.
    pub filter: Option<Arc<Filter>>,
    /// What is not good enough at a stage is left out.
    pub thresholds: Thresholds,
    /// Context assembly.
    pub context: ContextOptions,
    /// Whether passages that say the same are returned once; the best names the others.
    pub distinct: bool,
    /// Whether hits carry rank and score at every stage.
    pub explain: bool,
    /// Whether an answer given before may be given again; it never is where anything was written since.
    pub cache: bool,
    /// Where an earlier answer to this very request goes on; see [`crate::PagingRetriever`].
    pub cursor: Option<String>,
}

impl RetrieveRequest {
    /// A request for `query` with every default.
    pub fn new(query: impl Into<String>, collection: CollectionName) -> Self {
        Self {
            query: query.into(),
            also: Vec::new(),
            syntax: Syntax::default(),
            typos: Typos::default(),
            collection,
            top_k: 8,
            mode: Mode::default(),
            candidates: CandidateDepths::default(),
            fusion: FusionOptions::default(),
            rerank: RerankOptions::default(),
            filter: None,
            thresholds: Thresholds::default(),
            context: ContextOptions::default(),
            distinct: true,
            explain: false,
            cache: true,
            cursor: None,
        }
    }

    /// Checks every limit, all at once.
    ///
    /// # Errors
    /// `InvalidRequest` with one [`FieldError`] per bad field (`TooLarge` is not used: a query over
    /// the limit is a bad field).
    pub fn check(&self) -> Result<()> {
        let mut fields = Vec::new();
        self.check_query(&mut fields);
        check_phrasings(&self.also, &mut fields);
        self.check_counts(&mut fields);
        self.check_fusion(&mut fields);
        self.check_rerank(&mut fields);
        self.check_thresholds(&mut fields);
        self.check_context(&mut fields);
        self.check_filter(&mut fields);
        match fields.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!("{}: {}", first.pointer, first.detail);
                Err(Error::invalid(message).with_fields(fields))
            }
        }
    }

    fn check_query(&self, fields: &mut Vec<FieldError>) {
        if self.query.trim().is_empty() {
            fields.push(FieldError::new("/query", "must not be empty"));
        }
        if self.query.len() > MAX_QUERY_BYTES {
            let length = self.query.len();
            let detail = format!("has {length} bytes, the limit is {MAX_QUERY_BYTES}");
            fields.push(FieldError::new("/query", detail));
        }
    }

    fn check_counts(&self, fields: &mut Vec<FieldError>) {
        let candidates = self.candidates;
        let counts = [
            ("/top_k", self.top_k, MAX_TOP_K),
            ("/candidates/lexical", candidates.lexical, MAX_CANDIDATES),
            ("/candidates/dense", candidates.dense, MAX_CANDIDATES),
            ("/rerank/candidates", self.rerank.candidates, MAX_CANDIDATES),
        ];
        for (pointer, value, most) in counts {
            if value == 0 || value > most {
                let detail = format!("must be from 1 to {most}, not {value}");
                fields.push(FieldError::new(pointer, detail));
            }
        }
    }

    fn check_fusion(&self, fields: &mut Vec<FieldError>) {
        let weights = self.fusion.weights;
        // Sums of anything larger could overflow.
        let numbers = [
            ("/fusion/k", self.fusion.k, MAX_FUSION_K),
            ("/fusion/weights/lexical", weights.lexical, MAX_LEG_WEIGHT),
            ("/fusion/weights/dense", weights.dense, MAX_LEG_WEIGHT),
        ];
        for (pointer, number, most) in numbers {
            if !(0.0..=most).contains(&number) {
                let detail = format!("must be a number from 0 to {most}");
                fields.push(FieldError::new(pointer, detail));
            }
        }
        if self.mode == Mode::Hybrid && weights.lexical == 0.0 && weights.dense == 0.0 {
            let detail = "at least one leg must have a weight above 0";
            fields.push(FieldError::new("/fusion/weights", detail));
        }
    }

    fn check_rerank(&self, fields: &mut Vec<FieldError>) {
        let is_share = |blend: f64| (0.0..=1.0).contains(&blend);
        if self.rerank.blend.is_some_and(|blend| !is_share(blend)) {
            fields.push(FieldError::new("/rerank/blend", "must be from 0 to 1"));
        }
    }

    fn check_thresholds(&self, fields: &mut Vec<FieldError>) {
        let Thresholds {
            lexical,
            dense,
            rerank,
        } = self.thresholds;
        let numbers = [
            ("/thresholds/lexical", lexical),
            ("/thresholds/dense", dense),
        ];
        for (pointer, number) in numbers {
            if number.is_some_and(|number| !number.is_finite()) {
                fields.push(FieldError::new(pointer, "must be a finite number"));
            }
        }
        if rerank.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            let detail = "must be a probability, from 0 to 1";
            fields.push(FieldError::new("/thresholds/rerank", detail));
        }
        if rerank.is_some() && !self.rerank.enabled {
            let detail = "needs rerank.enabled: the probability is the re-ranker's";
            fields.push(FieldError::new("/thresholds/rerank", detail));
        }
    }

    fn check_context(&self, fields: &mut Vec<FieldError>) {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        let shares = [
            ("/context/max_similarity", self.context.max_similarity),
            ("/context/mmr/lambda", self.context.mmr),
        ];
        for (pointer, share) in shares {
            if share.is_some_and(|share| !is_share(share)) {
                fields.push(FieldError::new(pointer, "must be from 0 to 1"));
            }
        }
        if self.context.max_tokens > MAX_CONTEXT_TOKENS {
            let detail = format!("must be at most {MAX_CONTEXT_TOKENS}");
            fields.push(FieldError::new("/context/max_tokens", detail));
        }
        if self.context.per_document == Some(0) {
            fields.push(FieldError::new(
                "/context/per_document",
                "must be 1 or more",
            ));
        }
    }

    fn check_filter(&self, fields: &mut Vec<FieldError>) {
        if let Some(Err(error)) = self.filter.as_deref().map(Filter::check) {
            for field in error.fields() {
                let pointer = format!("/filter{}", field.pointer);
                fields.push(FieldError::new(pointer, field.detail.clone()));
            }
        }
    }
}
