//! `braid document`.

use braid_config::Settings;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::Recorded;
use braid_core::{DocumentId, Error, Result};
use braid_engine::{Engine, LoadModels};
use braid_server::dto::documents::{DocumentAnswer, DocumentSummaryAnswer, WriteAnswer};

use crate::args::{DocumentCommand, InCollection};
use crate::open::with_engine;
use crate::output::{self, Exit};

/// Documents fetched at a time.
const PAGE: usize = 1000;

pub(crate) async fn run(settings: &Settings, command: DocumentCommand) -> Result<Exit> {
    let models = match command {
        DocumentCommand::List { .. } | DocumentCommand::Get { .. } => LoadModels::None,
        DocumentCommand::Delete { .. } => LoadModels::Embedder,
    };
    with_engine(settings, models, async |engine| match command {
        DocumentCommand::List { within } => list(engine, &within).await,
        DocumentCommand::Get { id, within } => get(engine, id, &within).await,
        DocumentCommand::Delete { ids, within } => delete(engine, ids, &within).await,
    })
    .await
}

async fn list(engine: &Engine, within: &InCollection) -> Result<Exit> {
    let mut summaries = Vec::new();
    let mut cursor = None;
    loop {
        let page = engine
            .documents(&within.collection, cursor.as_deref(), PAGE)
            .await?;
        summaries.extend(page.items.into_iter().map(DocumentSummaryAnswer::from));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if within.json {
        output::json(&summaries)?;
        return Ok(Exit::Done);
    }
    let rows = summaries.into_iter().map(|summary| {
        vec![
            summary.id,
            summary.status,
            summary.chunks.to_string(),
            summary.title.unwrap_or_default(),
        ]
    });
    output::table(
        &["id", "status", "chunks", "title"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(Exit::Done)
}

async fn get(engine: &Engine, id: String, within: &InCollection) -> Result<Exit> {
    let document = engine
        .document(&within.collection, &DocumentId::new(id)?)
        .await?;
    if within.json {
        output::json(&DocumentAnswer::from(document))?;
    } else {
        output::line(document.text);
    }
    Ok(Exit::Done)
}

async fn delete(engine: &Engine, ids: Vec<String>, within: &InCollection) -> Result<Exit> {
    let ids = ids
        .into_iter()
        .map(DocumentId::new)
        .collect::<Result<Vec<_>>>()?;
    let staged = engine
        .delete_documents(&within.collection, ids.clone(), None, None)
        .await?;
    let Recorded::Done(receipt) = staged else {
        return Err(Error::internal("an unguarded write was replayed"));
    };
    engine
        .wait_published(&within.collection, receipt.newest)
        .await?;
    let answers: Vec<WriteAnswer> = ids
        .iter()
        .zip(&receipt.outcomes)
        .map(|(id, outcome)| match outcome {
            ChangeOutcome::Deleted { sequence } => answer(id, "deleted", Some(sequence.0)),
            ChangeOutcome::Staged { .. }
            | ChangeOutcome::Unchanged { .. }
            | ChangeOutcome::Absent => answer(id, "absent", None),
        })
        .collect();
    let all_deleted = answers.iter().all(|answer| answer.result == "deleted");
    if within.json {
        output::json(&answers)?;
    } else {
        for answer in &answers {
            output::line(format!("{} {}", answer.result, answer.id));
        }
    }
    Ok(if all_deleted {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn answer(id: &DocumentId, result: &str, sequence: Option<u64>) -> WriteAnswer {
    WriteAnswer {
        id: id.as_str().to_owned(),
        result: result.to_owned(),
        sequence,
    }
}
