//! `POST /v1/rerank` and `POST /v2/rerank`.

use braid_core::limits::MAX_QUERY_BYTES;
use braid_core::{FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{check_model, check_texts, refuse};

/// Documents to be put in order for a query.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelRerankBody)]
pub struct RerankBody {
    /// The query: at most 8192 bytes.
    #[schema(max_length = 8192)]
    pub query: String,
    /// 1 to 1024 documents, of at most 262144 bytes each. What is beyond the model's window, query
    /// and document together, is cut off the document.
    #[schema(min_items = 1, max_items = 1024)]
    pub documents: Vec<RerankDocument>,
    /// The re-ranker's name (`GET /v1/models`); any other is refused. That re-ranker when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Results to give, best first; all when absent.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<usize>,
    /// Whether results have their documents.
    #[serde(default)]
    pub return_documents: bool,
}

/// A text, or an object that has it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or an object with text")]
#[schema(as = ModelRerankDocument)]
pub enum RerankDocument {
    /// The text.
    Text(String),
    /// An object that has it.
    Object(DocumentText),
}

/// A document's text.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelDocumentText)]
pub struct DocumentText {
    /// The text.
    pub text: String,
}

/// What is asked, checked.
#[derive(Clone, Debug)]
pub struct RerankRequest {
    /// The query.
    pub query: String,
    /// The documents' texts.
    pub documents: Vec<String>,
    /// Most results.
    pub top_n: usize,
    /// Whether results have their documents.
    pub return_documents: bool,
}

/// Documents in order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ModelRerankAnswer)]
pub struct RerankAnswer {
    /// The request's id, as in the server's log.
    pub id: String,
    /// The re-ranker's name.
    pub model: String,
    /// Best first; equal scores in the order of the request.
    pub results: Vec<RerankResult>,
    /// What it took.
    pub usage: RerankUsage,
}

/// One document's score.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ModelRerankResult)]
pub struct RerankResult {
    /// The document's place in the request, from 0.
    pub index: usize,
    /// `1 / (1 + exp(-score))` of the model's score, 0 to 1; `null` where the model has none for it.
    pub relevance_score: Option<f64>,
    /// The document, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentText>,
}

/// Pairs read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = ModelRerankUsage)]
pub struct RerankUsage {
    /// Pairs of query and document that were scored.
    pub pairs: usize,
}

/// Notes a query that is too long.
pub(super) fn checked_query(query: &str, fields: &mut Vec<FieldError>) {
    if query.len() > MAX_QUERY_BYTES {
        let detail = format!("has {} bytes, the limit is {MAX_QUERY_BYTES}", query.len());
        fields.push(FieldError::new("/query", detail));
    }
}

/// A raw score from 0 to 1; none for one that is no number.
pub(super) fn relevance(score: f32) -> Option<f64> {
    let probability = 1.0 / (1.0 + (-f64::from(score)).exp());
    score.is_finite().then_some(probability)
}

impl RerankBody {
    /// What it asks of the re-ranker `model`.
    ///
    /// # Errors
    /// `InvalidRequest` naming each bad field.
    pub fn into_request(self, model: &str) -> Result<RerankRequest> {
        let mut fields = Vec::new();
        check_model(self.model.as_deref(), model, &mut fields);
        checked_query(&self.query, &mut fields);
        let documents = self.documents.into_iter().map(|document| match document {
            RerankDocument::Text(text) => text,
            RerankDocument::Object(object) => object.text,
        });
        let documents: Vec<String> = documents.collect();
        check_texts("/documents", &documents, false, &mut fields);
        if self.top_n == Some(0) {
            fields.push(FieldError::new("/top_n", "must be 1 or more, not 0"));
        }
        refuse(fields)?;
        Ok(RerankRequest {
            query: self.query,
            top_n: self.top_n.unwrap_or(documents.len()),
            documents,
            return_documents: self.return_documents,
        })
    }
}

impl RerankAnswer {
    /// The answer to `request` with these raw scores.
    pub fn new(id: String, model: String, request: RerankRequest, scores: &[f32]) -> Self {
        let scored = scores.iter().map(|score| relevance(*score));
        let mut order: Vec<(usize, Option<f64>)> = scored.enumerate().collect();
        let value = |score: Option<f64>| score.unwrap_or(-1.0);
        order.sort_by(|a, b| value(b.1).total_cmp(&value(a.1)).then(a.0.cmp(&b.0)));
        order.truncate(request.top_n);
        let results = order.into_iter().map(|(index, relevance_score)| {
            let text = request
                .documents
                .get(index)
                .filter(|_| request.return_documents);
            RerankResult {
                index,
                relevance_score,
                document: text.map(|text| DocumentText { text: text.clone() }),
            }
        });
        Self {
            id,
            model,
            results: results.collect(),
            usage: RerankUsage {
                pairs: request.documents.len(),
            },
        }
    }
}
