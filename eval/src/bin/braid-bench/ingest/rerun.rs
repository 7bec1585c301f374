//! A second run over documents that did not change: by the command, and over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use braid_config::Settings;
use braid_core::{CollectionName, DocumentId, Format, Metadata, NewDocument};
use braid_engine::source::{self, SourceOptions};
use braid_engine::{Engine, Loader, SourceStep, read_ahead};
use serde::Serialize;
use serde_json::{Value, json};

use super::prose::{Prose, WORDS_PER_CHUNK};
use super::throughput::{path_of, write};
use super::{empty, open_fresh};
use crate::machine::Machine;
use crate::process::Server;
use crate::{Cli, say};

const FILES: &str = "files";
const OVER_HTTP: &str = "http";
/// Documents staged together at first.
const BATCH: usize = 256;
/// Most documents of one bulk request.
const MOST: usize = 10_000;

#[derive(Serialize)]
struct RerunResult {
    machine: Machine,
    documents: usize,
    /// The whole command, start-up and model included.
    command_seconds: f64,
    /// From sending the request to the job's end.
    http_seconds: f64,
    embedded: u64,
    index_files_written: usize,
    operations_written: u64,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let prose = Prose::read(&cli.train)?;
    let documents = cli.sizes.rerun_documents;
    let folder = cli.work.join("rerun-files");
    empty(&folder)?;
    for index in 0..documents {
        write(
            &folder.join(path_of(index)),
            &prose.text(index, WORDS_PER_CHUNK),
        )?;
    }
    let mut settings = Settings::default();
    settings.storage.data_dir = cli.work.join("rerun-data");
    // A graph would only take time to build: a re-run neither reads nor writes it.
    settings.dense.exact_threshold = usize::MAX;
    let directory = settings.storage.data_dir.clone();
    let newest = first_run(&settings, &folder, &prose, documents).await?;
    let before = stamps(&directory.join("indexes"))?;
    let (command_seconds, report) = run_command(&cli.braid, &directory, &folder)?;
    let http_seconds = {
        let (braid, directory) = (cli.braid.clone(), directory.clone());
        let bodies: Vec<Value> = bulk_bodies(&prose, documents);
        let posted = tokio::task::spawn_blocking(move || post(&braid, &directory, &bodies));
        posted.await.context("the client stopped")??
    };
    let after = stamps(&directory.join("indexes"))?;
    // A server makes its default collection where there is none: that is another index.
    let folder = |path: &Path| path.ancestors().nth(2).map(Path::to_owned);
    let ours: BTreeSet<_> = before.keys().map(|path| folder(path)).collect();
    let after = after
        .iter()
        .filter(|(path, _)| ours.contains(&folder(path)));
    let written = after.filter(|(path, stamp)| before.get(*path) != Some(stamp));
    let unchanged = report["unchanged"].as_u64().context("no count")?;
    anyhow::ensure!(unchanged == documents as u64, "{report}");
    let engine = Engine::open(&settings, super::without_work(&settings)?).await?;
    let operations_written = newest_of(&engine).await? - newest;
    engine.close().await;
    let result = RerunResult {
        machine: Machine::this(),
        documents,
        command_seconds,
        http_seconds,
        embedded: report["chunks_embedded"].as_u64().context("no count")?,
        index_files_written: written.count(),
        operations_written,
    };
    say(format!(
        "{documents} unchanged documents: command {command_seconds:.2} s, HTTP {http_seconds:.2} s, {} embedded, {} index files and {} operations written",
        result.embedded, result.index_files_written, result.operations_written
    ));
    cli.save("rerun", &result)
}

/// Ingests everything once; gives the newest operation.
async fn first_run(
    settings: &Settings,
    folder: &Path,
    prose: &Prose,
    documents: usize,
) -> Result<u64> {
    let engine = open_fresh(settings).await?;
    for name in [FILES, OVER_HTTP] {
        engine
            .ensure_collection(&CollectionName::new(name)?)
            .await?;
    }
    let mut files = Loader::new(engine.clone(), CollectionName::new(FILES)?, BATCH);
    let found = source::open(&[folder.to_owned()], &SourceOptions::default())?;
    let mut steps = read_ahead(found);
    while let Some(step) = steps.recv().await {
        if let SourceStep::Item(item) = step {
            let found = item.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
            files.push(found.document).await?;
        }
    }
    let report = files.finish().await?;
    anyhow::ensure!(report.added == documents, "{report:?}");
    let mut posted = Loader::new(engine.clone(), CollectionName::new(OVER_HTTP)?, BATCH);
    for index in 0..documents {
        posted.push(document(prose, index)?).await?;
    }
    posted.finish().await?;
    let newest = newest_of(&engine).await?;
    engine.close().await;
    Ok(newest)
}

/// Operations of both collections.
async fn newest_of(engine: &Engine) -> Result<u64> {
    let mut newest = 0;
    for name in [FILES, OVER_HTTP] {
        let info = engine.collection_info(&CollectionName::new(name)?).await?;
        newest += info.stats.newest.0;
    }
    Ok(newest)
}

fn document(prose: &Prose, index: usize) -> Result<NewDocument> {
    Ok(NewDocument {
        origin: None,
        id: DocumentId::new(format!("document/{index}"))?,
        text: prose.text(index, WORDS_PER_CHUNK),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
    })
}

fn bulk_bodies(prose: &Prose, documents: usize) -> Vec<Value> {
    let indices: Vec<usize> = (0..documents).collect();
    let item = |index: &usize| {
        let text = prose.text(*index, WORDS_PER_CHUNK);
        json!({"id": format!("document/{index}"), "text": text})
    };
    let body = |part: &[usize]| json!({ "documents": part.iter().map(item).collect::<Vec<_>>() });
    indices.chunks(MOST).map(body).collect()
}

/// The command as a user gives it; its report.
fn run_command(braid: &Path, directory: &Path, folder: &Path) -> Result<(f64, Value)> {
    let start = Instant::now();
    let output = Command::new(braid)
        .arg("ingest")
        .arg(folder)
        .args(["--json", "--collection", FILES, "--data-dir"])
        .arg(directory)
        .output()
        .with_context(|| format!("cannot start {}", braid.display()))?;
    let seconds = start.elapsed().as_secs_f64();
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "braid ingest failed: {errors}");
    Ok((seconds, serde_json::from_slice(&output.stdout)?))
}

/// Posts everything in bulk and follows the jobs to their ends.
fn post(braid: &Path, directory: &Path, bodies: &[Value]) -> Result<f64> {
    let server = Server::start(braid, directory, 18_082)?;
    let start = Instant::now();
    for body in bodies {
        let url = format!("{}/v1/collections/{OVER_HTTP}/documents", server.url);
        let mut answer = ureq::post(&url).send_json(body)?;
        let job: Value = answer.body_mut().read_json()?;
        let id = job["job_id"].as_str().context("no job")?.to_owned();
        let mut state = json!({"state": "running"});
        while state["state"] == "running" {
            let mut answer = ureq::get(format!("{}/v1/jobs/{id}", server.url)).call()?;
            state = answer.body_mut().with_config().limit(1 << 28).read_json()?;
        }
        let items = state["items"].as_array();
        let skipped = |item: &&Value| item["status"] == "skipped";
        let skipped = items.map_or(0, |items| items.iter().filter(skipped).count());
        let sent = body["documents"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(skipped == sent, "{skipped} of {sent} were skipped");
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Size and time of every file below `directory`, but LMDB's table of readers.
fn stamps(directory: &Path) -> Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            found.extend(stamps(&entry.path())?);
        } else if entry.file_name() != "lock.mdb" {
            found.insert(entry.path(), (metadata.len(), metadata.modified()?));
        }
    }
    Ok(found)
}
