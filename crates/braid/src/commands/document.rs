//! `braid document`.

use braid_config::Settings;
use braid_core::operation::ChangeOutcome;
use braid_core::ports::Recorded;
use braid_core::{DocumentId, Error, ErrorCode, Result};
use braid_engine::{Engine, LoadModels};
use braid_ingest::remote::segment;
use braid_server::dto::documents::{
    DocumentAnswer, DocumentSummaryAnswer, DocumentsAnswer, WriteAnswer,
};

use crate::args::{DocumentCommand, InCollection};
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Documents fetched at a time.
const PAGE: usize = 1000;

pub(crate) async fn run(settings: &Settings, command: DocumentCommand) -> Result<Exit> {
    match command {
        DocumentCommand::List { within } => list(settings, &within).await,
        DocumentCommand::Get { id, within } => get(settings, id, &within).await,
        DocumentCommand::Delete { ids, within } => delete(settings, ids, &within).await,
    }
}

async fn list(settings: &Settings, within: &InCollection) -> Result<Exit> {
    if let Some(url) = &within.server {
        return print_list(listed_by_server(url, within).await?, within);
    }
    with_engine(
        settings,
        Directory::Found(LoadModels::None),
        async |engine| print_list(listed(engine, within).await?, within),
    )
    .await
}

async fn listed(engine: &Engine, within: &InCollection) -> Result<Vec<DocumentSummaryAnswer>> {
    let mut documents = Vec::new();
    let mut cursor = None;
    loop {
        let page = engine
            .documents(&within.collection, cursor.as_deref(), PAGE)
            .await?;
        documents.extend(page.items.into_iter().map(DocumentSummaryAnswer::from));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(documents);
        }
    }
}

async fn listed_by_server(url: &str, within: &InCollection) -> Result<Vec<DocumentSummaryAnswer>> {
    let mut documents = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("{}?limit={PAGE}{after}", path(within, None));
        let page: DocumentsAnswer = ask(url, move |remote| remote.get(&path)).await?;
        documents.extend(page.documents);
        match page.next_cursor {
            Some(cursor) => after = format!("&cursor={}", segment(&cursor)),
            None => return Ok(documents),
        }
    }
}

fn print_list(documents: Vec<DocumentSummaryAnswer>, within: &InCollection) -> Result<Exit> {
    if within.json {
        output::json(&DocumentsAnswer {
            documents,
            next_cursor: None,
        })?;
        return Ok(Exit::Done);
    }
    let rows = documents.into_iter().map(|summary| {
        vec![
            summary.id,
            summary.status,
            summary.chunks.to_string(),
            summary.language.unwrap_or_default(),
            summary.title.unwrap_or_default(),
        ]
    });
    output::table(
        &["id", "status", "chunks", "language", "title"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(Exit::Done)
}

async fn get(settings: &Settings, id: String, within: &InCollection) -> Result<Exit> {
    let id = DocumentId::new(id)?;
    if let Some(url) = &within.server {
        let path = path(within, Some(&id));
        return print(ask(url, move |remote| remote.get(&path)).await?, within);
    }
    with_engine(
        settings,
        Directory::Found(LoadModels::None),
        async |engine| {
            let document = engine.document(&within.collection, &id).await?;
            print(DocumentAnswer::from(document), within)
        },
    )
    .await
}

fn print(document: DocumentAnswer, within: &InCollection) -> Result<Exit> {
    if within.json {
        output::json(&document)?;
    } else {
        output::line(document.text);
    }
    Ok(Exit::Done)
}

async fn delete(settings: &Settings, ids: Vec<String>, within: &InCollection) -> Result<Exit> {
    let ids = ids.into_iter().map(DocumentId::new);
    let ids = ids.collect::<Result<Vec<_>>>()?;
    if let Some(url) = &within.server {
        return print_deleted(&deleted_by_server(url, ids, within).await?, within);
    }
    let directory = Directory::Found(LoadModels::Embedder);
    with_engine(settings, directory, async |engine| {
        print_deleted(&deleted(engine, ids, within).await?, within)
    })
    .await
}

async fn deleted(
    engine: &Engine,
    ids: Vec<DocumentId>,
    within: &InCollection,
) -> Result<Vec<WriteAnswer>> {
    let staged = engine
        .delete_documents(&within.collection, ids.clone(), None, None)
        .await?;
    let Recorded::Done(receipt) = staged else {
        return Err(Error::internal("an unguarded write was replayed"));
    };
    if !engine.has_workers() {
        let name = &within.collection;
        engine.wait_published(name, receipt.newest).await?;
    }
    let answers = ids.iter().zip(&receipt.outcomes);
    let answers = answers.map(|(id, outcome)| match outcome {
        ChangeOutcome::Deleted { sequence } => answer(id, "deleted", Some(sequence.0)),
        ChangeOutcome::Staged { .. }
        | ChangeOutcome::Unchanged { .. }
        | ChangeOutcome::Duplicate(_)
        | ChangeOutcome::Absent
        | ChangeOutcome::Unmet => answer(id, "absent", None),
    });
    Ok(answers.collect())
}

async fn deleted_by_server(
    url: &str,
    ids: Vec<DocumentId>,
    within: &InCollection,
) -> Result<Vec<WriteAnswer>> {
    let mut answers = Vec::new();
    for id in ids {
        let path = format!("{}?wait=indexed", path(within, Some(&id)));
        match ask(url, move |remote| remote.delete(&path)).await {
            Ok(deleted) => answers.push(deleted),
            Err(error) if error.code() == ErrorCode::DocumentNotFound => {
                answers.push(answer(&id, "absent", None));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

fn print_deleted(answers: &[WriteAnswer], within: &InCollection) -> Result<Exit> {
    if within.json {
        output::json(&answers)?;
    } else {
        for answer in answers {
            output::line(format!("{} {}", answer.result, answer.id));
        }
    }
    let all_deleted = answers.iter().all(|answer| answer.result == "deleted");
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
        duplicate: None,
    }
}

/// The API's path of the collection's documents, or of one.
fn path(within: &InCollection, id: Option<&DocumentId>) -> String {
    let collection = segment(within.collection.as_str());
    let id = id.map_or_else(String::new, |id| format!("/{}", segment(id.as_str())));
    format!("/v1/collections/{collection}/documents{id}")
}
