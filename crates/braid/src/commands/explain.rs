//! `braid explain`.

use braid_config::Settings;
use braid_core::Result;
use braid_engine::{LoadModels, retrieve_defaults};
use braid_server::dto::explain::{
    ExplainAnswer, ExplainBody, LegBody, LegOutcome, PhrasingTraceBody,
};
use serde_json::Value;
use uuid::Uuid;

use crate::args::ExplainArgs;
use crate::commands::ask;
use crate::commands::retrieve::retrieval;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, args: ExplainArgs) -> Result<Exit> {
    let body = body(&args)?;
    match &args.asked.server {
        Some(url) => {
            let answer = ask(url, move |remote| remote.post("/v1/explain", &body, None)).await?;
            print(&answer, args.asked.json)
        }
        None => ask_directory(settings, body, &args).await,
    }
}

fn body(args: &ExplainArgs) -> Result<Value> {
    let mut body = retrieval(&args.asked)?;
    body["query"] = args.query.as_str().into();
    body["document_id"] = args.document.as_str().into();
    if let Some(depth) = args.depth {
        body["depth"] = depth.into();
    }
    Ok(body)
}

async fn ask_directory(settings: &Settings, body: Value, args: &ExplainArgs) -> Result<Exit> {
    let defaults = retrieve_defaults(settings)?;
    let body = ExplainBody::parse(body.to_string().as_bytes())?;
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
        print(&answer, args.asked.json)
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
    match &answer.phrasings[..] {
        [] => answer.legs.iter().for_each(print_leg),
        several => several.iter().for_each(print_phrasing),
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

fn print_phrasing(one: &PhrasingTraceBody) {
    let place = one.place.map_or("not in its list".to_owned(), |place| {
        format!("rank {}, score {:.4}", place.rank, place.score)
    });
    output::line(format!("phrasing {}: {place}", one.phrasing));
    for condition in &one.failed_conditions {
        output::line(format!("  excluded by {condition}"));
    }
    one.legs.iter().for_each(print_leg);
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
