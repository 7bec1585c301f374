//! `braid retrieve`.

use braid_config::Settings;
use braid_core::{Error, Result};
use braid_engine::{LoadModels, retrieve_defaults};
use braid_ingest::remote::Remote;
use braid_server::dto::retrieve::{HitBody, RetrieveAnswer, RetrieveBody, ScoreBody};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::RetrieveArgs;
use crate::open::with_engine;
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, args: RetrieveArgs) -> Result<Exit> {
    let body = body(&args)?;
    let answer = match &args.server {
        Some(url) => ask_server(url, body).await?,
        None => ask_directory(settings, body, args.explain).await?,
    };
    if args.json {
        output::json(&answer)?
    } else {
        print(&answer)
    }
    Ok(Exit::Done)
}

/// The request as the API takes it: both ways to ask go through the same checks.
fn body(args: &RetrieveArgs) -> Result<Value> {
    let mut body = json!({
        "query": args.query,
        "collection": args.collection.as_str(),
        "explain": args.explain,
    });
    if let Some(top_k) = args.top_k {
        body["top_k"] = top_k.into();
    }
    if let Some(mode) = &args.mode {
        body["mode"] = mode.as_str().into();
    }
    if args.no_rerank {
        body["rerank"] = json!({ "enabled": false });
    }
    if let Some(filter) = &args.filter {
        body["filter"] = serde_json::from_str(filter)
            .map_err(|error| Error::invalid(format!("--filter is not JSON: {error}")))?;
    }
    Ok(body)
}

async fn ask_directory(settings: &Settings, body: Value, explain: bool) -> Result<RetrieveAnswer> {
    let defaults = retrieve_defaults(settings)?;
    let body: RetrieveBody = serde_json::from_value(body)
        .map_err(|error| Error::invalid(format!("the request is not valid: {error}")))?;
    let request = body.into_request(&defaults)?;
    let models = if request.rerank.enabled {
        LoadModels::All
    } else {
        LoadModels::Embedder
    };
    with_engine(settings, models, async |engine| {
        let response = engine.retrieve(request).await?;
        Ok(RetrieveAnswer::new(
            Uuid::now_v7().to_string(),
            response,
            explain,
        ))
    })
    .await
}

async fn ask_server(url: &str, body: Value) -> Result<RetrieveAnswer> {
    let remote = Remote::new(url)?;
    let asked = tokio::task::spawn_blocking(move || remote.post("/retrieve", &body, None));
    let answer = asked
        .await
        .map_err(|error| Error::internal("request stopped").with_source(error))??;
    serde_json::from_value(answer.body)
        .map_err(|error| Error::internal("the server's answer has another form").with_source(error))
}

fn print(answer: &RetrieveAnswer) {
    for hit in &answer.hits {
        print_hit(hit);
    }
    if answer.hits.is_empty() {
        output::line("nothing found");
    }
    let timings = answer.timings_ms;
    output::line(format!(
        "{} hits in {:.1} ms (embed {:.1}, lexical {:.1}, dense {:.1}, rerank {:.1}), lag {}",
        answer.hits.len(),
        timings.total,
        timings.embed,
        timings.lexical,
        timings.dense,
        timings.rerank,
        answer.lag
    ));
    for degraded in &answer.degraded {
        output::line(format!("degraded {}: {}", degraded.stage, degraded.reason));
    }
}

fn print_hit(hit: &HitBody) {
    let source = hit.source.uri.as_deref().unwrap_or(&hit.document_id);
    let path = hit.source.heading_path.join(" > ");
    let place = if path.is_empty() {
        String::new()
    } else {
        format!(" > {path}")
    };
    output::line(format!(
        "[{}] {source}{place} (characters {}-{}, {} {:.4})",
        hit.rank, hit.source.char_start, hit.source.char_end, hit.score_stage, hit.score
    ));
    for text in hit.text.trim().lines() {
        output::line(format!("    {text}"));
    }
    if let Some(scores) = &hit.scores {
        let stages = [
            ("lexical", scores.lexical),
            ("dense", scores.dense),
            ("fused", scores.fused),
            ("rerank", scores.rerank),
        ];
        let shown = stages.into_iter().filter_map(|(name, score)| {
            score.map(|ScoreBody { rank, score }| format!("{name} #{rank} {score:.4}"))
        });
        output::line(format!("    {}", shown.collect::<Vec<_>>().join(", ")));
    }
    output::line("");
}
