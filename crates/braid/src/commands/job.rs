//! `braid job`.

use braid_config::Settings;
use braid_core::ports::{NewJob, Recorded};
use braid_core::{DocumentId, Error, ErrorCode, JobId, Result};
use braid_engine::{Engine, Health, LoadModels};
use braid_ingest::remote::{Remote, segment};
use braid_server::dto::jobs::{
    FailedDocumentAnswer, FailuresAnswer, JobAccepted, JobAnswer, JobCancelled, JobCounts,
    JobItemAnswer, JobItems, JobSummaryAnswer, JobsAnswer,
};
use serde_json::{Value, json};

use crate::args::{Asked, InCollection, JobCommand};
use crate::commands::{ask, converse, read};
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Entries fetched at a time.
const PAGE: usize = 100;
/// Documents tried again in one job.
const RETRIED_TOGETHER: usize = 100;

pub(crate) async fn run(settings: &Settings, command: JobCommand) -> Result<Exit> {
    match command {
        JobCommand::List {
            collection,
            limit,
            asked,
        } => {
            let limit = usize::from(limit);
            let jobs = match asked.server {
                Some(url) => {
                    let wanted = collection.map_or_else(String::new, |name| {
                        format!("&collection={}", segment(name.as_str()))
                    });
                    jobs_of_server(&url, wanted, limit).await?
                }
                None => {
                    let directory = Directory::Found(LoadModels::None);
                    let mut jobs = Vec::new();
                    with_engine(settings, directory, async |engine| {
                        let page = engine.jobs(collection.as_ref(), None, limit).await?;
                        jobs = JobsAnswer::from(page).jobs;
                        Ok(Exit::Done)
                    })
                    .await?;
                    jobs
                }
            };
            print_jobs(jobs, asked.json)
        }
        JobCommand::Get { id, asked } => get(settings, parse(&id)?, asked).await,
        JobCommand::Cancel { id, asked } => cancel(settings, parse(&id)?, asked).await,
        JobCommand::Failures { within } => {
            print_failures(failures(settings, &within).await?, within.json)
        }
        JobCommand::Retry { ids, within } => retry(settings, ids, &within).await,
    }
}

/// What is no job id names no job.
fn parse(id: &str) -> Result<JobId> {
    let unknown = |_| {
        Error::new(ErrorCode::JobNotFound, format!("no job {id:?}"))
            .with_help("`braid job list` lists them")
    };
    id.parse().map(JobId).map_err(unknown)
}

async fn jobs_of_server(url: &str, wanted: String, limit: usize) -> Result<Vec<JobSummaryAnswer>> {
    let mut jobs = Vec::new();
    let mut after = String::new();
    loop {
        let page = PAGE.min(limit - jobs.len());
        let path = format!("/v1/jobs?limit={page}{wanted}{after}");
        let page: JobsAnswer = ask(url, move |remote| remote.get(&path)).await?;
        jobs.extend(page.jobs);
        match page.next_cursor {
            Some(cursor) if jobs.len() < limit => after = format!("&cursor={}", segment(&cursor)),
            Some(_) | None => return Ok(jobs),
        }
    }
}

fn print_jobs(jobs: Vec<JobSummaryAnswer>, json: bool) -> Result<Exit> {
    if json {
        output::json(&JobsAnswer {
            jobs,
            next_cursor: None,
        })?;
        return Ok(Exit::Done);
    }
    let rows = jobs.into_iter().map(|job| {
        let JobCounts {
            pending,
            indexed,
            skipped,
            rejected,
            failed,
            cancelled,
        } = job.counts;
        let counts = [pending, indexed, skipped, rejected, failed, cancelled];
        let mut row = vec![job.id, job.collection, job.state];
        row.extend(counts.map(|count| count.to_string()));
        row
    });
    let header = [
        "id",
        "collection",
        "state",
        "pending",
        "indexed",
        "skipped",
        "rejected",
        "failed",
        "cancelled",
    ];
    output::table(&header, &rows.collect::<Vec<_>>());
    Ok(Exit::Done)
}

async fn get(settings: &Settings, id: JobId, asked: Asked) -> Result<Exit> {
    if let Some(url) = &asked.server {
        let path = format!("/v1/jobs/{id}?items=unsuccessful");
        let job: JobAnswer = ask(url, move |remote| remote.get(&path)).await?;
        return print_job(&job, asked.json);
    }
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        let job = engine.job(id).await?;
        // Nothing is indexed by a command that only looks, so nothing is waited for.
        let answer = JobAnswer::new(job, JobItems::Unsuccessful, &Health::Working);
        print_job(&answer, asked.json)
    })
    .await
}

fn print_job(job: &JobAnswer, json: bool) -> Result<Exit> {
    if json {
        output::json(job)?;
        return Ok(Exit::Done);
    }
    let counts = job.counts;
    output::line(format!(
        "{} in {}: {} pending, {} indexed, {} skipped, {} rejected, {} failed, {} cancelled",
        job.state,
        job.collection,
        counts.pending,
        counts.indexed,
        counts.skipped,
        counts.rejected,
        counts.failed,
        counts.cancelled
    ));
    if let Some(waiting) = &job.waiting {
        let reason = &waiting.reason;
        output::line(format!(
            "waiting, failed {} times: {reason}",
            waiting.failures
        ));
    }
    for item in &job.items {
        let reason = item.reason.as_deref().unwrap_or("taken back");
        output::line(format!("{} {}: {reason}", item.status, item.id));
    }
    Ok(Exit::Done)
}

async fn cancel(settings: &Settings, id: JobId, asked: Asked) -> Result<Exit> {
    let cancelled: JobCancelled = match &asked.server {
        Some(url) => {
            let path = format!("/v1/jobs/{id}/cancel");
            ask(url, move |remote| remote.post_empty(&path)).await?
        }
        None => {
            let mut cancelled = 0;
            // Without a model nothing is indexed meanwhile.
            let directory = Directory::Found(LoadModels::None);
            with_engine(settings, directory, async |engine| {
                if let Recorded::Done(receipt) = engine.cancel_job(id, None).await? {
                    cancelled = receipt.cancelled;
                }
                Ok(Exit::Done)
            })
            .await?;
            JobCancelled {
                job_id: id.to_string(),
                cancelled,
            }
        }
    };
    if asked.json {
        output::json(&cancelled)?;
    } else {
        output::line(format!("cancelled {} documents", cancelled.cancelled));
    }
    Ok(Exit::Done)
}

async fn failures(settings: &Settings, within: &InCollection) -> Result<Vec<FailedDocumentAnswer>> {
    if let Some(url) = &within.server {
        let path = failures_path(within);
        return converse(url, move |remote| failures_of_server(remote, &path)).await;
    }
    let mut found = Vec::new();
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        found = failures_of_engine(engine, within).await?;
        Ok(Exit::Done)
    })
    .await?;
    Ok(found)
}

async fn failures_of_engine(
    engine: &Engine,
    within: &InCollection,
) -> Result<Vec<FailedDocumentAnswer>> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = engine.failed_documents(&within.collection, cursor.as_deref(), PAGE);
        let page = FailuresAnswer::from(page.await?);
        found.extend(page.failures);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn failures_of_server(remote: &Remote, path: &str) -> Result<Vec<FailedDocumentAnswer>> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page: FailuresAnswer = read(remote.get(&format!("{path}?limit={PAGE}{after}"))?)?;
        found.extend(page.failures);
        match page.next_cursor {
            Some(cursor) => after = format!("&cursor={}", segment(&cursor)),
            None => return Ok(found),
        }
    }
}

fn failures_path(within: &InCollection) -> String {
    let collection = segment(within.collection.as_str());
    format!("/v1/collections/{collection}/failures")
}

fn print_failures(failures: Vec<FailedDocumentAnswer>, json: bool) -> Result<Exit> {
    if json {
        output::json(&FailuresAnswer {
            failures,
            next_cursor: None,
        })?;
        return Ok(Exit::Done);
    }
    let rows = failures
        .into_iter()
        .map(|failed| vec![failed.id, failed.sequence.to_string(), failed.reason]);
    output::table(&["id", "sequence", "reason"], &rows.collect::<Vec<_>>());
    Ok(Exit::Done)
}

async fn retry(settings: &Settings, ids: Vec<String>, within: &InCollection) -> Result<Exit> {
    let named = (!ids.is_empty()).then_some(ids);
    let items = match &within.server {
        Some(url) => {
            let path = failures_path(within);
            converse(url, move |remote| retry_by_server(remote, &path, named)).await?
        }
        None => {
            let mut items = Vec::new();
            let directory = Directory::Found(LoadModels::Embedder);
            with_engine(settings, directory, async |engine| {
                items = retry_by_engine(engine, within, named.clone()).await?;
                Ok(Exit::Done)
            })
            .await?;
            items
        }
    };
    print_retried(&items, within.json)
}

async fn retry_by_engine(
    engine: &Engine,
    within: &InCollection,
    named: Option<Vec<String>>,
) -> Result<Vec<JobItemAnswer>> {
    let ids = match named {
        Some(ids) => ids,
        None => ids_of(failures_of_engine(engine, within).await?),
    };
    let ids = ids.into_iter().map(DocumentId::new);
    let ids = ids.collect::<Result<Vec<_>>>()?;
    let mut items = Vec::new();
    for ids in ids.chunks(RETRIED_TOGETHER) {
        let job = NewJob {
            id: JobId(uuid::Uuid::now_v7()),
            rejected: Vec::new(),
        };
        let id = job.id;
        let ids = Some(ids.to_vec());
        let outcome = engine.retry_documents(&within.collection, ids, Some(job), None);
        if let Recorded::Done(receipt) = outcome.await?.staged {
            let through = receipt.newest;
            if !engine.has_workers() {
                engine.wait_published(&within.collection, through).await?;
            }
        }
        let job = engine.job(id).await?;
        items.extend(JobAnswer::new(job, JobItems::All, &Health::Working).items);
    }
    Ok(items)
}

fn retry_by_server(
    remote: &Remote,
    path: &str,
    named: Option<Vec<String>>,
) -> Result<Vec<JobItemAnswer>> {
    let ids = match named {
        Some(ids) => ids,
        None => ids_of(failures_of_server(remote, path)?),
    };
    let mut items = Vec::new();
    for ids in ids.chunks(RETRIED_TOGETHER) {
        let answer = remote.post_patiently(&format!("{path}/retry"), &json!({ "ids": ids }))?;
        let accepted: JobAccepted = read(answer)?;
        let job = remote.follow_job(&accepted.job_id, &mut refuse_to_wait)?;
        let job: JobAnswer = serde_json::from_value(job).map_err(|error| {
            Error::internal("the server's answer has another form").with_source(error)
        })?;
        items.extend(job.items);
    }
    Ok(items)
}

/// Ends the wait for what a person must mend first.
fn refuse_to_wait(job: &Value) -> Result<()> {
    let Some(waiting) = job.get("waiting").filter(|it| !it.is_null()) else {
        return Ok(());
    };
    let of = |key| waiting.get(key).and_then(Value::as_str);
    match (of("error_code"), of("reason")) {
        (Some(_), _) => Ok(()),
        (None, reason) => {
            let reason = reason.unwrap_or("no reason");
            let message = format!("the server's indexing is stalled: {reason}");
            Err(Error::new(ErrorCode::Unavailable, message)
                .with_help("what is stored stays stored; mend the server and it will go on"))
        }
    }
}

fn ids_of(failures: Vec<FailedDocumentAnswer>) -> Vec<String> {
    failures.into_iter().map(|failed| failed.id).collect()
}

fn print_retried(items: &[JobItemAnswer], json: bool) -> Result<Exit> {
    if json {
        output::json(&items)?;
    } else if items.is_empty() {
        output::line("nothing has failed");
    } else {
        for item in items {
            let reason = item.reason.as_deref();
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            output::line(format!("{} {}{reason}", item.status, item.id));
        }
    }
    let all_indexed = items.iter().all(|item| item.status == "indexed");
    Ok(if all_indexed {
        Exit::Done
    } else {
        Exit::Partly
    })
}
