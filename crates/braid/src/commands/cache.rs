//! `braid cache`.

use braid_core::{Error, Result};
use braid_ingest::remote::{Remote, segment};
use braid_server::dto::cache::{
    AnswersDeleted, LookupAnswer, LookupBody, MissBody, StoreAnswer, StoreBody,
};
use serde::Serialize;
use serde_json::Value;

use crate::args::{Answers, CacheCommand, DeleteArgs, LookupArgs, StoreArgs};
use crate::commands::ask;
use crate::output::{self, Exit};

pub(crate) async fn run(command: CacheCommand) -> Result<Exit> {
    match command {
        CacheCommand::Lookup(args) => lookup(args).await,
        CacheCommand::Store(args) => store(args).await,
        CacheCommand::Delete(args) => delete(args).await,
    }
}

async fn lookup(args: LookupArgs) -> Result<Exit> {
    let body = LookupBody {
        query: args.query,
        collection: named(&args.answers),
        scope: args.answers.scope.clone(),
        threshold: args.threshold,
        guard: !args.no_guard,
        accept_stale: args.accept_stale,
    };
    let body = written(&body)?;
    let question = move |remote: &Remote| remote.post("/v1/cache/lookup", &body, None);
    let answer: LookupAnswer = ask(&args.answers.server, question).await?;
    let exit = match answer.hit {
        Some(_) => Exit::Done,
        None => Exit::Failed,
    };
    if args.answers.json {
        output::json(&answer)?;
        return Ok(exit);
    }
    if let Some(hit) = &answer.hit {
        match hit.answer.as_str() {
            Some(text) => output::line(text),
            None => output::json(&hit.answer)?,
        }
        let (similarity, query) = (hit.similarity, &hit.query);
        let stale = if hit.stale { ", stale" } else { "" };
        output::note(format!(
            "answered {query:?}, similarity {similarity:.4}{stale}"
        ));
    }
    if let Some(miss) = &answer.miss {
        output::line(told(miss));
        output::line(format!("collection_state: {}", answer.collection_state));
    }
    Ok(exit)
}

/// Why there is no answer.
fn told(miss: &MissBody) -> String {
    let difference = miss.difference.as_ref();
    let difference = difference.map_or(String::new(), |it| format!(" ({it})"));
    let nearest = miss.nearest.as_ref().map_or(String::new(), |nearest| {
        format!(
            "; nearest: {:?}, similarity {:.4}",
            nearest.query, nearest.similarity
        )
    });
    format!("no answer: {}{difference}{nearest}", miss.reason)
}

async fn store(args: StoreArgs) -> Result<Exit> {
    let text = args.answer.map(Value::String);
    let documents = Some(args.document).filter(|documents| !documents.is_empty());
    let body = StoreBody {
        query: args.query,
        answer: text.or(args.answer_json).unwrap_or_default(),
        collection: named(&args.answers),
        scope: args.answers.scope.clone(),
        document_ids: documents,
        ttl_seconds: args.ttl_seconds,
        collection_state: args.collection_state,
    };
    let body = written(&body)?;
    let question = move |remote: &Remote| remote.post("/v1/cache/store", &body, None);
    let answer: StoreAnswer = ask(&args.answers.server, question).await?;
    let exit = match answer.stored {
        true => Exit::Done,
        false => Exit::Failed,
    };
    if args.answers.json {
        output::json(&answer)?;
    } else {
        output::line(match (answer.stored, answer.replaced) {
            (true, true) => format!(
                "stored for {} s, in place of an earlier one",
                answer.ttl_seconds
            ),
            (true, false) => format!("stored for {} s", answer.ttl_seconds),
            (false, _) => "not stored: the collection changed meanwhile".to_owned(),
        });
    }
    Ok(exit)
}

async fn delete(args: DeleteArgs) -> Result<Exit> {
    let answers = &args.answers;
    if !args.all && answers.collection.is_none() && answers.scope.is_none() {
        let message = "which answers: --collection, --scope, both, or --all";
        return Err(Error::invalid(message));
    }
    let collection = answers
        .collection
        .as_ref()
        .map(|name| ("collection", name.as_str()));
    let scope = answers.scope.as_deref().map(|scope| ("scope", scope));
    let which = collection.into_iter().chain(scope);
    let which: Vec<String> = which
        .map(|(key, value)| format!("{key}={}", segment(value)))
        .collect();
    let path = match which.is_empty() {
        true => "/v1/cache".to_owned(),
        false => format!("/v1/cache?{}", which.join("&")),
    };
    let answer: AnswersDeleted = ask(&answers.server, move |remote| remote.delete(&path)).await?;
    if answers.json {
        output::json(&answer)?;
    } else {
        output::line(format!("{} answers deleted", answer.deleted));
    }
    Ok(Exit::Done)
}

fn named(answers: &Answers) -> Option<String> {
    answers.collection.as_ref().map(ToString::to_string)
}

fn written(body: &impl Serialize) -> Result<Value> {
    serde_json::to_value(body)
        .map_err(|error| Error::internal("cannot write as JSON").with_source(error))
}
