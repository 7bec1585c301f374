//! `braid verify`.

use braid_config::Settings;
use braid_core::{CollectionName, ErrorCode, Result};
use braid_engine::{Engine, IndexReport, LoadModels, VerifyReport};
use braid_runtime::telemetry;
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// What was found in one collection.
#[derive(Serialize)]
struct Found {
    collection: String,
    sound: bool,
    lag: u64,
    ledger: Vec<String>,
    lexical: Difference,
    vector: Difference,
    repaired: bool,
    /// What is still wrong after a repair.
    left: Vec<String>,
    /// Chunks that the model embedded meanwhile; others had a stored embedding.
    chunks_embedded: u64,
}

/// How an index differs from the ledger.
#[derive(Serialize)]
struct Difference {
    missing: u64,
    extra: u64,
}

pub(crate) async fn run(settings: &Settings, args: VerifyArgs) -> Result<Exit> {
    let metrics = telemetry::install_metrics()?;
    with_engine(
        settings,
        Directory::Found(LoadModels::Embedder),
        async |engine| {
            let mut found = Vec::new();
            let is_named = args.collection.is_some();
            for name in names(engine, args.collection).await? {
                let report = match engine.verify(&name, args.repair).await {
                    Ok(report) => report,
                    // Deleted since its name was read.
                    Err(error) if !is_named && error.code() == ErrorCode::CollectionNotFound => {
                        continue;
                    }
                    Err(error) => return Err(error.context(name)),
                };
                let embedded = embedded(&metrics.render(), &name);
                found.push(Found::new(&name, &report, embedded));
            }
            let swept = if args.repair {
                engine.sweep().await?
            } else {
                0
            };
            if args.json {
                output::json(&found)?
            } else {
                print(&found, swept)
            }
            let is_sound = found.iter().all(|found| found.sound || found.repaired);
            Ok(if is_sound { Exit::Done } else { Exit::Failed })
        },
    )
    .await
}

/// The counter of the indexing pipeline, as it is rendered.
fn embedded(metrics: &str, name: &CollectionName) -> u64 {
    let counter = format!("braid_index_chunks_embedded_total{{collection=\"{name}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&counter));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

async fn names(engine: &Engine, one: Option<CollectionName>) -> Result<Vec<CollectionName>> {
    match one {
        Some(name) => Ok(vec![engine.collection(&name).await?.name]),
        None => engine.collection_names().await,
    }
}

impl Found {
    fn new(name: &CollectionName, report: &VerifyReport, chunks_embedded: u64) -> Self {
        Self {
            collection: name.as_str().to_owned(),
            sound: report.is_sound(),
            lag: report.lag,
            ledger: report.ledger.clone(),
            lexical: Difference::new(&report.lexical),
            vector: Difference::new(&report.vector),
            repaired: report.repaired,
            left: report.left.clone(),
            chunks_embedded,
        }
    }
}

impl Difference {
    fn new(report: &IndexReport) -> Self {
        Self {
            missing: report.missing.len(),
            extra: report.extra.len(),
        }
    }
}

fn print(found: &[Found], swept: u64) {
    for found in found {
        let verdict = match (found.sound, found.repaired) {
            (true, _) => "sound",
            (false, true) => "repaired",
            (false, false) if found.left.is_empty() => "NOT sound (run with --repair)",
            (false, false) => "NOT sound, and the repair did not mend it",
        };
        output::line(format!(
            "{}: {verdict}: lag {}; lexical {} missing, {} extra; vector {} missing, {} extra",
            found.collection,
            found.lag,
            found.lexical.missing,
            found.lexical.extra,
            found.vector.missing,
            found.vector.extra
        ));
        for problem in &found.ledger {
            output::line(format!("  ledger: {problem}"));
        }
        for problem in &found.left {
            output::line(format!("  left: {problem}"));
        }
    }
    if swept > 0 {
        output::line(format!("dropped {swept} rows nothing refers to"));
    }
}
