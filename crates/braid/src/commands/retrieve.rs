//! `braid retrieve`.

mod batch;

use braid_config::Settings;
use braid_core::{Error, Result};
use braid_engine::{LoadModels, retrieve_defaults};
use braid_server::dto::retrieve::{
    ExpansionBody, HitBody, RetrieveAnswer, RetrieveBody, ScoreBody, TrustBody,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::{RetrievalArgs, RetrieveArgs};
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, args: RetrieveArgs) -> Result<Exit> {
    if let Some(file) = &args.batch {
        return batch::run(settings, &args, file).await;
    }
    let body = body(&args)?;
    match &args.asked.server {
        Some(url) => {
            let answer = ask(url, move |remote| remote.post("/retrieve", &body, None)).await?;
            print(&answer, args.asked.json)
        }
        None => ask_directory(settings, body, &args).await,
    }
}

fn body(args: &RetrieveArgs) -> Result<Value> {
    let mut body = retrieval(&args.asked)?;
    if let Some(query) = &args.query {
        body["query"] = query.as_str().into();
    }
    if let Some(cursor) = &args.cursor {
        body["cursor"] = cursor.as_str().into();
    }
    body["explain"] = args.explain.into();
    if let Some(deadline_ms) = args.rerank_deadline_ms {
        body["rerank"]["deadline_ms"] = deadline_ms.into();
    }
    Ok(body)
}

/// The request, but for the query, as the API takes it: both ways to ask go through the same checks.
pub(super) fn retrieval(asked: &RetrievalArgs) -> Result<Value> {
    let mut body = json!({
        "collection": asked.collection.as_str(),
    });
    if !asked.also.is_empty() {
        body["also"] = json!(asked.also);
    }
    if let Some(top_k) = asked.top_k {
        body["top_k"] = top_k.into();
    }
    if let Some(mode) = &asked.mode {
        body["mode"] = mode.as_str().into();
    }
    if let Some(syntax) = &asked.syntax {
        body["syntax"] = syntax.as_str().into();
    }
    if let Some(typos) = &asked.typos {
        body["typos"] = typos.as_str().into();
    }
    if let Some(method) = &asked.fusion {
        body["fusion"]["method"] = method.as_str().into();
    }
    if let Some(leg_trust) = &asked.leg_trust {
        body["fusion"]["leg_trust"] = leg_trust.as_str().into();
    }
    if let Some(most) = asked.context_tokens {
        body["context"]["max_tokens"] = most.into();
    }
    if let Some(tokenizer) = &asked.tokenizer {
        body["context"]["tokenizer"] = tokenizer.as_str().into();
    }
    if let Some(expand) = &asked.expand {
        body["context"]["expand"] = expand.as_str().into();
    }
    if asked.no_rerank {
        body["rerank"]["enabled"] = false.into();
    }
    let thresholds = [
        ("rerank", asked.min_relevance),
        ("lexical", asked.min_lexical),
        ("dense", asked.min_dense),
    ];
    for (stage, least) in thresholds {
        if let Some(least) = least {
            body["thresholds"][stage] = least.into();
        }
    }
    if asked.no_distinct {
        body["distinct"] = false.into();
    }
    if let Some(most) = asked.per_document {
        body["context"]["per_document"] = most.into();
    }
    if let Some(most) = asked.max_similarity {
        body["context"]["max_similarity"] = most.into();
    }
    if let Some(lambda) = asked.mmr {
        body["context"]["mmr"]["lambda"] = lambda.into();
    }
    if let Some(order) = &asked.order {
        body["context"]["order"] = order.as_str().into();
    }
    if let Some(filter) = &asked.filter {
        body["filter"] = parse_filter(filter)?;
    }
    Ok(body)
}

/// Read as it was written: a key that is there twice, which JSON values cannot hold, is refused.
fn parse_filter(text: &str) -> Result<Value> {
    let filter: Value = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("--filter is not JSON: {error}")))?;
    RetrieveBody::parse(format!(r#"{{"query": "-", "filter": {text}}}"#).as_bytes())?;
    Ok(filter)
}

async fn ask_directory(settings: &Settings, body: Value, args: &RetrieveArgs) -> Result<Exit> {
    let defaults = retrieve_defaults(settings)?;
    let body = RetrieveBody::parse(body.to_string().as_bytes())?;
    let mut request = body.into_request(&defaults)?;
    // The configured deadline is for a server, whose models are warm and whose callers wait.
    request.rerank.deadline_ms = args.rerank_deadline_ms;
    let models = if request.rerank.enabled {
        LoadModels::All
    } else {
        LoadModels::Embedder
    };
    with_engine(settings, Directory::Found(models), async |engine| {
        let mut response = engine.retrieve(request).await?;
        // The list ends with the process.
        response.next_cursor = None;
        let id = Uuid::now_v7().to_string();
        print(
            &RetrieveAnswer::new(id, response, args.explain),
            args.asked.json,
        )
    })
    .await
}

fn print(answer: &RetrieveAnswer, json: bool) -> Result<Exit> {
    if json {
        output::json(answer)?;
    } else {
        print_text(answer);
    }
    Ok(Exit::Done)
}

fn print_text(answer: &RetrieveAnswer) {
    for hit in &answer.hits {
        print_hit(hit);
    }
    if let Some(reason) = &answer.reason {
        output::line(format!("nothing found: {}", reason.detail));
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
    if let Some(trust) = &answer.trust {
        let TrustBody {
            rule,
            features,
            after,
            ..
        } = trust;
        let features: String = features
            .iter()
            .map(|(name, value)| format!(", {name} {value:.3}"))
            .collect();
        output::line(format!(
            "weights: lexical {:.3}, dense {:.3} ({rule}{features})",
            after.lexical, after.dense
        ));
    }
    for expansion in &answer.expansions {
        let ExpansionBody {
            term, to, weight, ..
        } = expansion;
        output::line(format!(
            "also searched for {to} ({term}), which counts {weight}"
        ));
    }
    for note in &answer.notes {
        output::line(format!("note: {}", note.detail));
    }
    if let Some(cursor) = &answer.next_cursor {
        output::line(format!("more with --cursor {cursor}"));
    }
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
    let page = hit.source.page;
    let page = page.map_or_else(String::new, |page| format!("page {page}, "));
    let relevance = hit.relevance;
    let relevance = relevance.map_or(String::new(), |it| format!(", relevance {it:.2}"));
    output::line(format!(
        "[{}] {source}{place} ({page}characters {}-{}, {} {:.4}{relevance})",
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
        let shown = stages.into_iter().map(|(name, score)| match score {
            Some(ScoreBody { rank, score }) => format!("{name} #{rank} {score:.4}"),
            None => format!("{name} -"),
        });
        output::line(format!("    {}", shown.collect::<Vec<_>>().join(", ")));
    }
    for moved in hit.moves.iter().flatten() {
        output::line(format!("    {}", moved.detail));
    }
    output::line("");
}
