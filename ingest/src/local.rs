//! Ingesting into a data directory.

use std::collections::HashSet;
use std::time::Instant;

use braid_core::{CollectionName, DocumentId, Result};
use braid_engine::source;
use braid_engine::{Engine, Loader, Progress, SourceStep, StoredTexts, read_ahead};
use tokio::sync::watch;

use crate::args::{IngestArgs, Sources};
use crate::progress::Bars;
use crate::report::{DuplicateDocument, IngestReport};
use crate::sync::{Present, refuse_to_empty};

/// Documents staged in one transaction.
const BATCH_DOCUMENTS: usize = 128;
/// Documents looked at in one page of a listing.
const PAGE: usize = 1000;

pub(crate) async fn ingest(
    args: &IngestArgs,
    sources: &Sources,
    engine: Engine,
) -> Result<IngestReport> {
    let start = Instant::now();
    let known = StoredTexts::new(engine.clone(), args.collection.clone());
    let documents = source::open(&sources.paths, &sources.knowing(known))?;
    let bars = Bars::new(source::total_bytes(&sources.paths, &sources.options)?);
    engine.ensure_collection(&args.collection).await?;
    let progress = engine.progress(&args.collection).await?;
    let before = progress.borrow().clone();
    let mut loader = Loader::new(engine.clone(), args.collection.clone(), BATCH_DOCUMENTS);
    let mut report = IngestReport::default();
    let mut present = Present::default();
    let mut steps = read_ahead(documents);
    while let Some(step) = steps.recv().await {
        match step {
            SourceStep::Item(item) => match *item {
                Ok(found) => {
                    bars.reading.inc(found.bytes);
                    present.document(found.document.id.as_str(), &found.name);
                    loader.push(found.document).await?;
                }
                Err(failure) => {
                    bars.reading.inc(failure.bytes);
                    present.failure(&failure);
                    report.unread(failure);
                }
            },
            SourceStep::Skipped(skipped) => report.skipped = skipped,
        }
        show(&progress.borrow(), &before, &bars);
    }
    loader.flush().await?;
    let mut gone = HashSet::new();
    if args.sync {
        refuse_to_empty(&present, report.failed.len())?;
        match find_gone(&engine, &args.collection, &present).await? {
            Ok(ids) => {
                for ids in ids.chunks(PAGE) {
                    loader.delete(ids.to_vec()).await?;
                }
                gone = ids.iter().map(DocumentId::to_string).collect();
            }
            Err(unknown) => report.deleted_nothing(&unknown),
        }
    }
    bars.reading.finish();
    let loaded = match engine.has_workers() {
        true => loader.stage().await?,
        false => follow(loader, progress.clone(), &before, &bars).await?,
    };
    drop(bars);
    let after = progress.borrow().clone();
    report.collection = args.collection.as_str().to_owned();
    report.added = loaded.added;
    report.replaced = loaded.replaced;
    report.unchanged = loaded.unchanged;
    report.deleted = loaded.deleted;
    report.duplicates = loaded
        .duplicates
        .into_iter()
        .map(|found| DuplicateDocument {
            document: found.document,
            of: found.duplicate.of.to_string(),
            similarity: f64::from(found.duplicate.percent) / 100.0,
            skipped: found.skipped,
        })
        .collect();
    report.forget_duplicates_of(&gone);
    for (id, reason) in loaded.failed {
        report.fail(&id, present.place(&id), reason);
    }
    report.chunks_embedded = Some(after.chunks_embedded - before.chunks_embedded);
    report.chunks_reused = Some(after.chunks_reused - before.chunks_reused);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// What the collection has and the sources do not; or what of them is unreadable without an id, for
/// it might be any of these.
async fn find_gone(
    engine: &Engine,
    collection: &CollectionName,
    present: &Present,
) -> Result<Result<Vec<DocumentId>, String>> {
    let mut cursor = None;
    let mut gone: Vec<DocumentId> = Vec::new();
    loop {
        let page = engine
            .documents(collection, cursor.as_deref(), PAGE)
            .await?;
        for summary in page.items {
            match present.is_gone(summary.id.as_str()) {
                Ok(true) => gone.push(summary.id),
                Ok(false) => {}
                Err(name) => return Ok(Err(name.to_owned())),
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(Ok(gone));
        }
    }
}

/// Finishes the load, showing progress as it comes.
async fn follow(
    loader: Loader,
    mut progress: watch::Receiver<Progress>,
    before: &Progress,
    bars: &Bars,
) -> Result<braid_engine::LoadReport> {
    let finish = loader.finish();
    tokio::pin!(finish);
    loop {
        tokio::select! {
            finished = &mut finish => return finished,
            changed = progress.changed() => {
                show(&progress.borrow_and_update(), before, bars);
                if changed.is_err() {
                    return finish.await;
                }
            }
        }
    }
}

fn show(now: &Progress, before: &Progress, bars: &Bars) {
    bars.indexing
        .set_length(now.newest.0.saturating_sub(before.published.0));
    // Embedding is where the time goes; publishing follows in large steps.
    bars.indexing
        .set_position(now.embedded.0.saturating_sub(before.published.0));
}
