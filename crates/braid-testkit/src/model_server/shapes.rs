//! What each path takes, refuses and answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{SeenRequest, ServedModels};

/// A status and a body.
type Reply = (u16, Value);

pub(super) async fn answer(models: &ServedModels, request: &SeenRequest) -> Reply {
    let key = models.key.map(|key| format!("Bearer {key}"));
    if key.is_some() && key != request.authorization {
        return (401, json!({"message": "invalid api token"}));
    }
    let Some(body) = request.body.as_object() else {
        return (422, json!({"error": "the body is no object"}));
    };
    let outcome = match request.path.as_str() {
        "/embed" => tei_embed(models, body).await,
        "/v1/embeddings" => openai(models, body).await,
        "/rerank" => tei_rerank(models, body).await,
        "/v1/rerank" => cohere(models, body, &["return_documents"]).await,
        "/v2/rerank" => cohere(models, body, &["max_tokens_per_doc"]).await,
        _ => Err((404, json!({"detail": "Not Found"}))),
    };
    outcome.map_or_else(|refused| refused, |answer| (200, answer))
}

async fn tei_embed(models: &ServedModels, body: &Map<String, Value>) -> Result<Value, Reply> {
    check_fields(body, &["inputs", "truncate", "normalize"], 422)?;
    let texts = texts(body, "inputs", 422)?;
    check_batch(models, texts.len(), 413)?;
    check_words(models, &texts, body)?;
    let mut vectors = embed(models, texts).await;
    if body.get("normalize") != Some(&Value::Bool(false)) {
        vectors.iter_mut().for_each(|vector| normalise(vector));
    }
    Ok(json!(vectors))
}

async fn openai(models: &ServedModels, body: &Map<String, Value>) -> Result<Value, Reply> {
    let known = ["model", "input", "encoding_format", "user"];
    check_fields(body, &known, 400)?;
    check_model(models, body)?;
    let texts = texts(body, "input", 400)?;
    check_batch(models, texts.len(), 422)?;
    let base64 = body.get("encoding_format") == Some(&json!("base64"));
    let vectors = embed(models, texts).await.into_iter().enumerate();
    let mut data: Vec<Value> = vectors
        .map(|(index, vector)| {
            let embedding = match base64 {
                true => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    json!(STANDARD.encode(bytes))
                }
                false => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    // The shape has indices because it promises no order.
    data.reverse();
    let usage = json!({"prompt_tokens": 1, "total_tokens": 1});
    Ok(json!({"object": "list", "data": data, "model": models.name, "usage": usage}))
}

async fn tei_rerank(models: &ServedModels, body: &Map<String, Value>) -> Result<Value, Reply> {
    let known = ["query", "texts", "truncate", "raw_scores", "return_text"];
    check_fields(body, &known, 422)?;
    let texts = texts(body, "texts", 422)?;
    check_batch(models, texts.len(), 413)?;
    check_words(models, &texts, body)?;
    let raw = body.get("raw_scores") == Some(&Value::Bool(true));
    let ranked = ranked(models, body, &texts).await?;
    let items = ranked.into_iter().map(|(index, score)| {
        let score = if raw { score } else { sigmoid(score) };
        json!({"index": index, "score": score})
    });
    Ok(items.collect())
}

async fn cohere(
    models: &ServedModels,
    body: &Map<String, Value>,
    more: &[&str],
) -> Result<Value, Reply> {
    let known = [&["model", "query", "documents", "top_n"], more].concat();
    check_fields(body, &known, 400)?;
    check_model(models, body)?;
    let texts = texts(body, "documents", 400)?;
    check_batch(models, texts.len(), 400)?;
    let top_n = body.get("top_n").and_then(Value::as_u64);
    let most = top_n.map_or(texts.len(), |top_n| top_n as usize);
    let ranked = ranked(models, body, &texts).await?;
    let results = ranked.into_iter().take(most);
    let results =
        results.map(|(index, score)| json!({"index": index, "relevance_score": sigmoid(score)}));
    let results: Vec<Value> = results.collect();
    Ok(json!({"id": "r", "results": results, "meta": {}}))
}

async fn embed(models: &ServedModels, texts: Vec<String>) -> Vec<Vec<f32>> {
    let scale = if models.unnormalised { 3.0 } else { 1.0 };
    let vectors = models.embedder.embed_verbatim(texts).await.unwrap();
    let scaled = vectors
        .iter()
        .map(|vector| vector.iter().map(|x| x * scale));
    scaled.map(Iterator::collect).collect()
}

fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if (length - 1.0).abs() > 1e-3 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

/// Indices and raw scores, best first, as every real server gives them.
async fn ranked(
    models: &ServedModels,
    body: &Map<String, Value>,
    texts: &[String],
) -> Result<Vec<(usize, f64)>, Reply> {
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return Err((422, json!({"error": "missing field `query`"})));
    };
    let scores = models.reranker.score(query, texts).await.unwrap();
    let mut ranked: Vec<(usize, f64)> = scores.into_iter().map(f64::from).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(ranked)
}

fn sigmoid(raw: f64) -> f64 {
    1.0 / (1.0 + (-raw).exp())
}

fn check_fields(body: &Map<String, Value>, known: &[&str], status: u16) -> Result<(), Reply> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err((status, json!({"error": format!("unknown field `{key}`")}))),
    }
}

fn check_model(models: &ServedModels, body: &Map<String, Value>) -> Result<(), Reply> {
    match body.get("model").and_then(Value::as_str) {
        Some(name) if name == models.name => Ok(()),
        Some(name) => {
            let message = format!("The model `{name}` does not exist.");
            Err((404, json!({"error": {"message": message}})))
        }
        None => Err((400, json!({"error": {"message": "model is required"}}))),
    }
}

fn check_batch(models: &ServedModels, count: usize, status: u16) -> Result<(), Reply> {
    let most = models.most_texts;
    match count {
        0 => Err((
            400,
            json!({"error": "batch is empty", "error_type": "Empty"}),
        )),
        count if count <= most => Ok(()),
        count => {
            let message = format!("batch size {count} > maximum allowed batch size {most}");
            Err((
                status,
                json!({"error": message, "error_type": "Validation"}),
            ))
        }
    }
}

fn check_words(
    models: &ServedModels,
    texts: &[String],
    body: &Map<String, Value>,
) -> Result<(), Reply> {
    if body.get("truncate") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let long = |text: &String| text.split_whitespace().count() > models.most_words;
    match texts.iter().any(long) {
        false => Ok(()),
        true => Err((413, json!({"error": "`inputs` must have less tokens"}))),
    }
}

fn texts(body: &Map<String, Value>, field: &str, status: u16) -> Result<Vec<String>, Reply> {
    let refused = || (status, json!({"error": format!("{field} must be strings")}));
    let items = match body.get(field) {
        Some(Value::String(one)) => return Ok(vec![one.clone()]),
        Some(Value::Array(items)) => items,
        _ => return Err(refused()),
    };
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
    texts.collect::<Option<Vec<_>>>().ok_or_else(refused)
}
