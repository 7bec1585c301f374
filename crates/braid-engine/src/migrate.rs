//! Copying a data directory into a cluster, without a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::{CollectionName, Error, ErrorCode, Ledger, Result};
use braid_indexing::{Migrated, Migration, MigrationProgress, Side};
use braid_query::IndexWrites;
use braid_runtime::{CpuPool, Shutdown};

use crate::place::Place;

/// Copies collections of the data directory of `settings` into the cluster that they describe: the one
/// that is named, or all. What was copied before is left as it is, whatever became of it there. Nothing
/// is embedded, and nothing is written to the data directory, which no other process may have open.
///
/// # Errors
/// `InvalidRequest` where the profile is not `cluster`, `CollectionNotFound`, `DataDirLocked`,
/// `ShuttingDown` once `shutdown` is requested, and what the stores report. Running it again goes on.
pub async fn migrate(
    settings: &Settings,
    collection: Option<&CollectionName>,
    shutdown: &Shutdown,
    tell: &(dyn Fn(&CollectionName, MigrationProgress) + Send + Sync),
) -> Result<BTreeMap<CollectionName, Migrated>> {
    if settings.storage.profile != StorageProfile::Cluster {
        let message = "the configuration does not describe a cluster";
        let help = "set storage.profile = \"cluster\" and qdrant.url in the file of --config";
        return Err(Error::invalid(message).with_help(help));
    }
    let directory = &settings.storage.data_dir;
    if !directory.join("ledger").is_dir() {
        let message = format!("there is no data in {}", directory.display());
        let error = Error::new(ErrorCode::Unavailable, message);
        return Err(error.with_help("name the data directory with --data-dir"));
    }
    let pool = CpuPool::with_available_cores()?;
    let writes = Arc::new(IndexWrites::default());
    let mut embedded = settings.clone();
    embedded.storage.profile = StorageProfile::Embedded;
    let (source, from) = Place::open(&embedded, &pool, &writes).await?;
    let (target, to) = Place::open(settings, &pool, &writes).await?;
    let done = copy((&source, &target), (from, to), collection, shutdown, tell).await;
    pool.finish().await;
    done
}

async fn copy(
    (source, target): (&Place, &Place),
    (from, to): (Arc<dyn Ledger>, Arc<dyn Ledger>),
    collection: Option<&CollectionName>,
    shutdown: &Shutdown,
    tell: &(dyn Fn(&CollectionName, MigrationProgress) + Send + Sync),
) -> Result<BTreeMap<CollectionName, Migrated>> {
    let cluster = target.cluster();
    let cluster = cluster.ok_or_else(|| Error::internal("the target is no cluster"))?;
    let names = match collection {
        Some(name) => vec![name.clone()],
        None => {
            let all = from.collections().await?;
            all.into_iter().map(|it| it.name).collect()
        }
    };
    let migration = Migration {
        queue: cluster.queue(),
        copied: cluster.copied(),
        shutdown: shutdown.clone(),
        source: Side {
            ledger: from,
            indexes: source.indexes(),
        },
        target: Side {
            ledger: to,
            indexes: target.indexes(),
        },
    };
    let mut migrated = BTreeMap::new();
    for name in names {
        let of_this = |progress| tell(&name, progress);
        let done = migration.run(&name, &of_this).await?;
        migrated.insert(name, done);
    }
    Ok(migrated)
}
