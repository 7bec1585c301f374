//! One collection: what wrote it, what is not retrievable, what its indexes hold, what its documents
//! share.

use braid_core::{Leg, Result};
use braid_engine::{CollectionInfo, Engine, IndexState};

use super::boilerplate::{self, MOST_TEXTS};
use super::{Finding, Report};
use crate::commands::inspect::size;

/// Failed documents that are named.
const MOST_NAMED: usize = 3;
/// Part of its map at which the file of a vector store is said to be large.
const LARGE: f64 = 0.9;

/// Which checks can and shall be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checks {
    pub(super) quick: bool,
    pub(super) has_embedder: bool,
    /// Most bytes of a vector store.
    pub(super) map_bytes: f64,
}

pub(super) async fn check(
    engine: &Engine,
    info: &CollectionInfo,
    checks: &Checks,
    report: &mut Report,
) {
    let name = &info.collection.name;
    let mut add = |finding: Finding| report.add(finding.about(name.as_str()));
    add(fingerprints(engine, info, checks));
    add(lag(info, engine.has_workers()));
    add(failed(engine, info).await);
    if engine.has_workers() {
        let found = engine.ledger().check(info.collection.id).await;
        return add(heads(&found));
    }
    match engine.index_states(&info.collection).await {
        Ok(states) => states.iter().for_each(|state| add(index(state, checks))),
        Err(error) => add(Finding::error("indexes", &error)),
    }
    if !checks.quick {
        add(match engine.boilerplate(name, MOST_TEXTS).await {
            Ok(found) => boilerplate::finding(&found),
            Err(error) => Finding::error("boilerplate", &error),
        });
    }
}

/// What the ledger of a cluster finds wrong with itself.
fn heads(found: &Result<Vec<String>>) -> Finding {
    match found {
        Ok(found) => match found.first() {
            None => Finding::ok("ledger", "it is of one mind"),
            Some(first) => {
                let message = format!("{} inconsistencies, such as: {first}", found.len());
                Finding::problem("ledger", message).remedy("ingest these documents again")
            }
        },
        Err(error) => Finding::error("ledger", error),
    }
}

fn fingerprints(engine: &Engine, info: &CollectionInfo, checks: &Checks) -> Finding {
    if !checks.has_embedder {
        let message = "not compared with the models, for want of the embedder";
        return Finding::warning("fingerprints", message).remedy("mend the embedder first");
    }
    match engine.fingerprint_mismatches(&info.collection) {
        Err(error) => Finding::error("fingerprints", &error),
        Ok(found) => match found.first() {
            None => Finding::ok("fingerprints", "as this build and its models write them"),
            Some(first) => {
                let (part, was, is) = (first.part, &first.collection, &first.process);
                let name = &info.collection.name;
                let message = format!("it was built with {part} {was}, this process runs {is}");
                Finding::problem("fingerprints", message)
                    .remedy(format!("run `braid collection rebuild {name}`"))
            }
        },
    }
}

fn lag(info: &CollectionInfo, has_workers: bool) -> Finding {
    let lag = info.stats.lag();
    if lag == 0 {
        return Finding::ok("lag", "everything acknowledged is retrievable");
    }
    let message = format!("{lag} operations are acknowledged and not retrievable yet");
    Finding::warning("lag", message).remedy(match has_workers {
        true => "run a worker if none runs: `braid ingest --worker`",
        false => "run `braid serve` or `braid ingest` again: both go on with them",
    })
}

async fn failed(engine: &Engine, info: &CollectionInfo) -> Finding {
    let failed = info.stats.failed;
    if failed == 0 {
        return Finding::ok("failed documents", "none");
    }
    let name = &info.collection.name;
    let named = match engine.failed_documents(name, None, MOST_NAMED).await {
        Ok(page) => page
            .items
            .iter()
            .map(|document| format!("{} ({})", document.id, document.reason))
            .collect::<Vec<_>>()
            .join("; "),
        Err(error) => error.to_string(),
    };
    let remedy = format!(
        "correct them and ingest them again, or `braid job retry --collection {name}` where the reason has passed"
    );
    Finding::warning("failed documents", format!("{failed}: {named}")).remedy(remedy)
}

fn index(state: &IndexState, checks: &Checks) -> Finding {
    let check = match state.leg {
        Leg::Lexical => "lexical index",
        Leg::Dense => "vector store",
    };
    let report = match &state.report {
        Ok(report) => report,
        Err(error) => {
            let finding = Finding::error(check, error);
            let needs = finding.remedy.is_none();
            return if needs {
                finding.remedy("stop Braid and delete its directory below indexes/: it is made again from the ledger")
            } else {
                finding
            };
        }
    };
    let bytes = size(state.bytes);
    if !report.is_sound() {
        let (missing, extra) = (report.missing.len(), report.extra.len());
        let message = format!("{bytes}, {missing} entries missing, {extra} too many");
        return Finding::problem(check, message).remedy("run `braid verify --repair`");
    }
    let message = format!("{bytes}, {} entries, as the ledger says", report.held);
    if state.leg == Leg::Dense && state.bytes as f64 >= checks.map_bytes * LARGE {
        let message = format!("{message}; its file has grown to its limit, holes included");
        return Finding::warning(check, message)
            .remedy("raise storage.map_size_gib, or rebuild the collection to close the holes");
    }
    Finding::ok(check, message)
}
