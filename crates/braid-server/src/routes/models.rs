//! The models of this server, for others: one Braid can be another's model server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use braid_core::{Error, ErrorCode, Fingerprint, Reranker, Result, TokenCounter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::dto::models::{
    EmbedBody, EmbedVectors, EmbeddingsAnswer, EmbeddingsBody, ModelsAnswer, RankBody, Ranked,
    RerankAnswer, RerankBody, ServedModel,
};
use crate::dto::problem::Problem;
use crate::error::ApiError;
use crate::extract::{JsonBody, off_thread};
use crate::request_id;

/// How much more a byte costs to tokenize than to parse, about.
const TOKENIZING: usize = 32;
/// Pairs scored in one call: between two of them, retrievals get their turn.
const WINDOW: usize = 32;
/// Text beyond this many bytes a token of the window is not counted.
const BYTES_PER_TOKEN: usize = 64;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(embeddings))
        .routes(routes!(rerank))
        .routes(routes!(rerank_v2))
        .routes(routes!(embed))
        .routes(routes!(rank))
}

/// The models that this server runs.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "models",
    responses(
        (status = 200, description = "The embedder, and the re-ranker where there is one", body = ModelsAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(State(app): State<App>) -> Json<ModelsAnswer> {
    let embedder = app.engine().embedder();
    let (print, dimension) = (embedder.fingerprint(), embedder.dimension());
    let mut data = vec![ServedModel::new(
        name_of(print),
        "embedder",
        print,
        Some(dimension),
    )];
    if let Some(reranker) = app.engine().reranker() {
        let print = reranker.fingerprint();
        data.push(ServedModel::new(name_of(print), "reranker", print, None));
    }
    Json(ModelsAnswer::new(data))
}

/// Embed texts, in OpenAI's shape. A request of one text goes ahead of bulk work, as a query does.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "create_embeddings",
    tag = "models",
    request_body = EmbeddingsBody,
    responses(
        (status = 200, description = "A vector for each text, in order", body = EmbeddingsAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn embeddings(
    State(app): State<App>,
    JsonBody(body): JsonBody<EmbeddingsBody>,
) -> Result<Json<EmbeddingsAnswer>, ApiError> {
    let embedder = app.engine().embedder();
    let name = name_of(embedder.fingerprint()).to_owned();
    let format = body.encoding_format;
    let texts = body.into_texts(&name, embedder.dimension())?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let counter = embedder.token_counter();
    let (texts, tokens) = off_thread(bytes * TOKENIZING, move || {
        let tokens = tokens(&*counter, &texts);
        Ok((texts, tokens))
    })
    .await?;
    let vectors = embedder.embed_verbatim(texts).await?;
    Ok(Json(EmbeddingsAnswer::new(name, &vectors, format, tokens)))
}

/// Put documents in order for a query, in Cohere's and Jina's shape.
#[utoipa::path(
    post,
    path = "/v1/rerank",
    operation_id = "rerank",
    tag = "models",
    request_body = RerankBody,
    responses(
        (status = 200, description = "Documents, best first", body = RerankAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn rerank(
    State(app): State<App>,
    JsonBody(body): JsonBody<RerankBody>,
) -> Result<Json<RerankAnswer>, ApiError> {
    let reranker = reranker(&app)?;
    let name = name_of(reranker.fingerprint()).to_owned();
    let request = body.into_request(&name)?;
    let scores = score(&**reranker, &request.query, &request.documents).await?;
    let id = request_id::current();
    Ok(Json(RerankAnswer::new(id, name, request, &scores)))
}

/// The same as `/v1/rerank`.
#[utoipa::path(
    post,
    path = "/v2/rerank",
    operation_id = "rerank_v2",
    tag = "models",
    request_body = RerankBody,
    responses(
        (status = 200, description = "Documents, best first", body = RerankAnswer),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn rerank_v2(
    state: State<App>,
    body: JsonBody<RerankBody>,
) -> Result<Json<RerankAnswer>, ApiError> {
    rerank(state, body).await
}

/// Embed texts, in the shape of text-embeddings-inference.
#[utoipa::path(
    post,
    path = "/embed",
    operation_id = "embed",
    tag = "models",
    request_body = EmbedBody,
    responses(
        (status = 200, description = "A vector for each text, in order", body = EmbedVectors),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn embed(
    State(app): State<App>,
    JsonBody(body): JsonBody<EmbedBody>,
) -> Result<Json<EmbedVectors>, ApiError> {
    let texts = body.into_texts()?;
    let vectors = app.engine().embedder().embed_verbatim(texts).await?;
    Ok(Json(EmbedVectors::new(&vectors)))
}

/// Put texts in order for a query, in the shape of text-embeddings-inference.
#[utoipa::path(
    post,
    path = "/rerank",
    operation_id = "rank_texts",
    tag = "models",
    request_body = RankBody,
    responses(
        (status = 200, description = "Texts, best first", body = Ranked),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The request failed", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn rank(
    State(app): State<App>,
    JsonBody(body): JsonBody<RankBody>,
) -> Result<Json<Ranked>, ApiError> {
    let reranker = reranker(&app)?;
    body.check()?;
    let scores = score(&**reranker, &body.query, &body.texts).await?;
    Ok(Json(Ranked::new(&body, &scores)))
}

async fn score(reranker: &dyn Reranker, query: &str, texts: &[String]) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(texts.len());
    for window in texts.chunks(WINDOW) {
        scores.extend(reranker.score(query, window).await?);
    }
    Ok(scores)
}

fn reranker(app: &App) -> Result<&Arc<dyn Reranker>> {
    app.engine().reranker().ok_or_else(|| {
        Error::new(ErrorCode::NotEnabled, "this server has no re-ranker")
            .with_help("set models.reranker")
    })
}

/// A fingerprint is the model's name and a hash.
fn name_of(fingerprint: &Fingerprint) -> &str {
    let text = fingerprint.as_str();
    text.rsplit_once('@').map_or(text, |(name, _)| name)
}

/// Tokens of each text, as far as the model reads.
fn tokens(counter: &dyn TokenCounter, texts: &[String]) -> usize {
    let most = counter.max_tokens();
    let read = |text: &String| {
        let end = text.floor_char_boundary(most.saturating_mul(BYTES_PER_TOKEN));
        counter.count(&text[..end]).min(most)
    };
    texts.iter().map(read).sum()
}
