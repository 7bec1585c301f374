//! `braid models`.

use braid_config::Settings;
use braid_core::Result;
use braid_engine::model_files::{ModelKind, ModelStatus, ModelStore, ModelSummary};
use braid_engine::model_store;
use serde::Serialize;
use serde_json::json;

use crate::args::ModelsCommand;
use crate::output::{self, Exit};

/// A model that was found.
#[derive(Serialize)]
struct Listed {
    name: String,
    kind: &'static str,
    status: String,
    licence: String,
    size_bytes: u64,
    path: String,
}

/// What became of a model's files.
#[derive(Serialize)]
struct Verified {
    name: String,
    good: bool,
    files: Vec<VerifiedFile>,
}

/// What became of one file.
#[derive(Serialize)]
struct VerifiedFile {
    file: String,
    state: String,
}

pub(crate) fn run(settings: &Settings, command: ModelsCommand) -> Result<Exit> {
    let store = model_store(settings);
    match command {
        ModelsCommand::List { json } => list(&store, json),
        ModelsCommand::Pull { name, json } => {
            let model = store.pull(&name)?;
            if json {
                output::json(&json!({ "name": model.name, "path": model.path }))?;
            } else {
                output::line(format!("{} is in {}", model.name, model.path.display()));
            }
            Ok(Exit::Done)
        }
        ModelsCommand::Verify { name, json } => verify(&store, name, json),
    }
}

fn list(store: &ModelStore, json: bool) -> Result<Exit> {
    let models: Vec<Listed> = store.list().into_iter().map(Listed::from).collect();
    if json {
        output::json(&models)?;
        return Ok(Exit::Done);
    }
    let rows = models.into_iter().map(|model| {
        let size = format!("{:.1} MB", model.size_bytes as f64 / 1e6);
        vec![
            model.name,
            model.kind.to_owned(),
            model.status,
            size,
            model.licence,
            model.path,
        ]
    });
    let header = ["name", "kind", "status", "size", "licence", "path"];
    output::table(&header, &rows.collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn verify(store: &ModelStore, name: Option<String>, json: bool) -> Result<Exit> {
    let names = match name {
        Some(name) => vec![name],
        None => checkable(store),
    };
    let verified = names
        .into_iter()
        .map(|name| check(store, name))
        .collect::<Result<Vec<_>>>()?;
    if json {
        output::json(&verified)?;
    } else {
        for model in &verified {
            output::line(format!(
                "{}: {}",
                model.name,
                if model.good { "good" } else { "NOT good" }
            ));
            for file in model.files.iter().filter(|file| file.state != "good") {
                output::line(format!("  {}: {}", file.file, file.state));
            }
        }
    }
    let all_good = verified.iter().all(|model| model.good);
    Ok(if all_good { Exit::Done } else { Exit::Failed })
}

/// Models that have a manifest to be checked against.
fn checkable(store: &ModelStore) -> Vec<String> {
    let has_manifest = |model: &ModelSummary| model.status != ModelStatus::Unverified;
    store
        .list()
        .into_iter()
        .filter(has_manifest)
        .map(|model| model.name)
        .collect()
}

fn check(store: &ModelStore, name: String) -> Result<Verified> {
    let checks = store.verify(&name)?;
    let good = checks.iter().all(|check| check.state.is_good());
    let files = checks
        .into_iter()
        .map(|check| VerifiedFile {
            state: check.state.describe(),
            file: check.file,
        })
        .collect();
    Ok(Verified { name, good, files })
}

impl From<ModelSummary> for Listed {
    fn from(model: ModelSummary) -> Self {
        Self {
            name: model.name,
            kind: match model.kind {
                Some(ModelKind::Embedder) => "embedder",
                Some(ModelKind::Reranker) => "reranker",
                None => "unknown",
            },
            status: model.status.to_string(),
            licence: model.licence,
            size_bytes: model.size_bytes,
            path: model.path.display().to_string(),
        }
    }
}
