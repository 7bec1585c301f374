//! `braid explain`.

use braid_config::Settings;
use braid_core::{Error, Result};
use braid_engine::{LoadModels, retrieve_defaults};
use braid_server::dto::explain::{ExplainAnswer, ExplainBody, LegBody, LegOutcome};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::ExplainArgs;
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, args: ExplainArgs) -> Result<Exit> {
    let body = body(&args)?;
    match &args.server {
        Some(url) => {
            let answer = ask(url, move |remote| remote.post("/v1/explain", &body, None)).await?;
            print(&answer, args.json)
        }
        None => ask_directory(settings, body, &args).await,
    }
}

/// The request as the API takes it: both ways to ask go through the same checks.
fn body(args: &ExplainArgs) -> Result<Value> {
    let mut body = json!({
        "query": args.query,
        "document_id": args.document,
        "collection": args.collection.as_str(),
    });
    for (name, count) in [("depth", args.depth), ("top_k", args.top_k)] {
        if let Some(count) = count {
            body[name] = count.into();
        }
    }
    if let Some(mode) = &args.mode {
        body["mode"] = mode.as_str().into();
    }
    if args.no_rerank {
        body["rerank"] = json!({ "enabled": false });
    }
    if let Some(least) = args.min_relevance {
        body["thresholds"] = json!({ "rerank": least });
    }
    if let Some(filter) = &args.filter {
        body["filter"] = serde_json::from_str(filter)
            .map_err(|error| Error::invalid(format!("--filter is not JSON: {error}")))?;
    }
    Ok(body)
}

async fn ask_directory(settings: &Settings, body: Value, args: &ExplainArgs) -> Result<Exit> {
    let defaults = retrieve_defaults(settings)?;
    let body: ExplainBody = serde_json::from_value(body)
        .map_err(|error| Error::invalid(format!("the request is not valid: {error}")))?;
    let filter = body.retrieve.filter.clone();
    let request = body.into_request(&defaults)?;
    let models = if request.retrieve.rerank.enabled {
        LoadModels::All
    } else {
        LoadModels::Embedder
    };
    with_engine(settings, Directory::Found(models), async |engine| {
        let explanation = engine.explain(request).await?;
        let id = Uuid::now_v7().to_string();
        let document = args.document.clone();
        let answer = ExplainAnswer::new(id, document, filter.as_ref(), explanation);
        print(&answer, args.json)
    })
    .await
}

fn print(answer: &ExplainAnswer, json: bool) -> Result<Exit> {
    if json {
        output::json(answer)?;
    } else {
        print_text(answer);
    }
    Ok(Exit::Done)
}

fn print_text(answer: &ExplainAnswer) {
    let id = &answer.document_id;
    match (&answer.cut, answer.rank) {
        (None, Some(rank)) => output::line(format!("{id} is returned at rank {rank}")),
        (Some(cut), Some(rank)) => {
            output::line(format!(
                "{id} is returned at rank {rank}, but {}",
                cut.detail
            ));
        }
        (Some(cut), None) => output::line(format!("{id} is not returned: {}", cut.detail)),
        (None, None) => {}
    }
    for pointer in &answer.failed_conditions {
        output::line(format!("  excluded by {pointer}"));
    }
    for leg in &answer.legs {
        print_leg(leg);
    }
    if let Some(fused) = answer.fused {
        output::line(format!(
            "  fused    rank {}, score {:.4}",
            fused.rank, fused.score
        ));
    }
    if let Some(seen) = answer.rerank {
        let relevance = seen.relevance;
        let relevance = relevance.map_or(String::new(), |it| format!(", relevance {it:.2}"));
        output::line(format!(
            "  rerank   rank {}, score {:.4}{relevance}",
            seen.rank, seen.score
        ));
    }
    for remedy in &answer.remedies {
        output::line(format!("with {}: rank {}", remedy.detail, remedy.rank));
    }
    if answer.remedies.is_empty() && answer.cut.is_some() {
        output::line("no change of the request returns it");
    }
    for degraded in &answer.degraded {
        output::line(format!("degraded {}: {}", degraded.stage, degraded.reason));
    }
}

fn print_leg(leg: &LegBody) {
    let place = match (leg.rank, leg.score) {
        (Some(rank), Some(score)) => format!("rank {rank}, score {score:.4}"),
        _ => "no rank".to_owned(),
    };
    let outcome = match leg.outcome {
        LegOutcome::Found => "found",
        LegOutcome::BelowThreshold => "below its threshold",
        LegOutcome::BelowDepth => "below its candidates",
        LegOutcome::Miss => "missed",
        LegOutcome::Failed => "failed",
    };
    let asked = if leg.asked { "" } else { ", not asked" };
    output::line(format!(
        "  {:8} {place}: {outcome}, {} candidates{asked}",
        leg.leg, leg.candidates
    ));
}
