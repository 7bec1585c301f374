//! `braid migrate`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use braid_config::Settings;
use braid_core::{CollectionName, Error, ErrorCode, Result};
use braid_engine::{Migrated, MigrationProgress, migrate};
use braid_runtime::Shutdown;
use serde::Serialize;

use crate::args::{MigrateArgs, Profile};
use crate::output::{self, Exit};
use crate::signals::Signals;

/// Least seconds between two lines of progress.
const BETWEEN_LINES: u64 = 1;

/// What became of a collection.
#[derive(Serialize)]
struct Answer {
    collection: String,
    same: bool,
    copied: u64,
    unchanged: u64,
    left_out: Vec<LeftOut>,
    documents: Counts,
    chunks: Counts,
    sample: Sample,
}

#[derive(Serialize)]
struct LeftOut {
    document: String,
    reason: String,
}

#[derive(Serialize)]
struct Counts {
    source: u64,
    target: u64,
}

#[derive(Serialize)]
struct Sample {
    queries: usize,
    lexical_overlap: f64,
    dense_overlap: f64,
}

impl Answer {
    fn of(name: &CollectionName, migrated: &Migrated) -> Self {
        let left_out = migrated.left_out.iter().cloned();
        let counts = |counted: braid_engine::Counted| Counts {
            source: counted.source,
            target: counted.target,
        };
        Self {
            collection: name.to_string(),
            same: migrated.agrees(),
            copied: migrated.copied,
            unchanged: migrated.unchanged,
            left_out: left_out
                .map(|(document, reason)| LeftOut { document, reason })
                .collect(),
            documents: counts(migrated.documents),
            chunks: counts(migrated.chunks),
            sample: Sample {
                queries: migrated.sampled.queries,
                lexical_overlap: migrated.sampled.lexical,
                dense_overlap: migrated.sampled.dense,
            },
        }
    }

    fn print(&self) {
        let name = &self.collection;
        output::line(format!(
            "{name}: copied {}, unchanged {}, left out {}",
            self.copied,
            self.unchanged,
            self.left_out.len()
        ));
        for LeftOut { document, reason } in &self.left_out {
            output::line(format!("  left out {document}: {reason}"));
        }
        let Sample {
            queries,
            lexical_overlap,
            dense_overlap,
        } = self.sample;
        output::line(format!(
            "  documents {} -> {}, chunks {} -> {}; of {queries} queries' best ten the same: by words {:.1}%, by embeddings {:.1}%: {}",
            self.documents.source,
            self.documents.target,
            self.chunks.source,
            self.chunks.target,
            lexical_overlap * 100.0,
            dense_overlap * 100.0,
            if self.same { "the same" } else { "DIFFERENT" }
        ));
    }
}

pub(crate) async fn run(settings: &Settings, args: MigrateArgs) -> Result<Exit> {
    check_profiles(args.from, args.to)?;
    let signals = Signals::watch()?;
    let start = Instant::now();
    // Seconds after the start at which the next line is due.
    let due = AtomicU64::new(0);
    let tell = |name: &CollectionName, progress: MigrationProgress| {
        let second = start.elapsed().as_secs();
        if !args.json && second >= due.load(Ordering::Relaxed) {
            due.store(second + BETWEEN_LINES, Ordering::Relaxed);
            let MigrationProgress { seen, total } = progress;
            output::note(format!("{name}: {seen} of {total} documents"));
        }
    };
    let shutdown = Shutdown::new();
    let migrating = migrate(settings, args.collection.as_ref(), &shutdown, &tell);
    tokio::pin!(migrating);
    let stop = tokio::select! {
        migrated = &mut migrating => return print(&migrated?, args.json),
        stop = signals.stop() => stop,
    };
    output::note("stopping: what is claimed is published or given back");
    shutdown.request();
    match migrating.await {
        Err(error) if error.code() == ErrorCode::ShuttingDown => {
            output::note("stopped: run the command again to go on");
            Ok(Exit::Stopped(stop))
        }
        done => print(&done?, args.json),
    }
}

fn print(migrated: &BTreeMap<CollectionName, Migrated>, json: bool) -> Result<Exit> {
    let answers: Vec<_> = migrated
        .iter()
        .map(|(name, migrated)| Answer::of(name, migrated))
        .collect();
    if json {
        output::json(&answers)?;
    } else if answers.is_empty() {
        output::line("the data directory has no collections");
    } else {
        answers.iter().for_each(Answer::print);
    }
    let is_same = answers.iter().all(|answer| answer.same);
    Ok(if is_same { Exit::Done } else { Exit::Failed })
}

/// Where nothing needs to be copied, or cannot be, that is said.
fn check_profiles(from: Profile, to: Profile) -> Result<()> {
    let refused =
        |message: &str, help: &str| Err(Error::new(ErrorCode::NotEnabled, message).with_help(help));
    match (from, to) {
        (Profile::Embedded, Profile::Cluster) => Ok(()),
        (Profile::Embedded | Profile::Qdrant, Profile::Embedded | Profile::Qdrant) => refused(
            "between embedded and qdrant nothing is migrated",
            "change storage.profile: vectors are brought there from the ledger at the next start",
        ),
        (Profile::Qdrant, Profile::Cluster) => refused(
            "from qdrant there is no direct way to a cluster",
            "start once with storage.profile = embedded, which brings the vectors back, and migrate from there",
        ),
        (Profile::Cluster, _) => refused(
            "nothing is migrated out of a cluster",
            "ingest the sources into the other profile",
        ),
    }
}
