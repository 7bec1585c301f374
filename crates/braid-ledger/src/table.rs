//! The tables and the version of their format.
//!
//! | table | key | row |
//! |---|---|---|
//! | meta | name | number: format version, collections made, epoch, what is pending by collection |
//! | names | collection name | collection number |
//! | collections | collection | [`CollectionRow`] |
//! | synonyms | collection | [`SynonymsRow`], where there are any |
//! | counters | collection | [`CountersRow`]: next slot, watermarks, counts |
//! | documents | collection, document id | [`DocumentRow`]: its newest, current and live version |
//! | versions | collection, sequence | [`VersionRow`]: everything of a document but its text |
//! | texts | collection, sequence | the text as handed in |
//! | chunks | collection, slot | [`ChunkRow`] |
//! | operations | collection, sequence | [`OperationRow`], until it is published |
//! | failures | collection, sequence | [`FailureRow`]: why an operation failed |
//! | likenesses | collection, kind, hash, sequence | nothing: which versions to compare for duplicates, and which name a document |
//! | live | collection | the retrievable slots |
//! | retired | collection, epoch | slots hidden in that epoch, until their purge is logged |
//! | filters | collection, field, type, value | live slots with that metadata value, or language |
//! | embeddings | embedder, hash of the text | `f32`, little-endian |
//! | jobs | job | [`JobRow`] |
//! | responses | hash of the idempotency key | [`ResponseRow`] |

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Bound;

use braid_core::{CollectionId, Error, ErrorCode, Result, SlotSet};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, RoTxn, RwTxn, WithoutTls};

use crate::error::storage;
use crate::keys::{self, KeyRange};
use crate::rows::{
    ChunkRow, CollectionRow, CountersRow, DocumentRow, FailureRow, JobRow, OperationRow, Raw,
    ResponseRow, SynonymsRow, VersionRow,
};
use crate::synonyms::ParsedSynonyms;

/// Version of the tables and rows. Raised by every change that an older build would misread.
pub const FORMAT_VERSION: u64 = 2;

/// Key of the format version in the meta table.
const FORMAT: &[u8] = b"format";
/// Key of the number of collections ever made in the meta table.
pub(crate) const COLLECTIONS_MADE: &[u8] = b"collections_made";
/// Key of the number of the last upgrade in the meta table, see [`crate::upgrade`].
pub(crate) const UPGRADES: &[u8] = b"upgrades";
/// Key of the epoch in the meta table: it rises with every transaction that retires slots.
pub(crate) const EPOCH: &[u8] = b"epoch";

/// What a table holds.
pub(crate) trait Row: Sized {
    fn encode(&self) -> Result<Cow<'_, [u8]>>;
    fn decode(bytes: &[u8]) -> Result<Self>;
}

/// A key and its undecoded row.
pub(crate) type Entry<'t> = (&'t [u8], &'t [u8]);

/// A table of rows.
pub(crate) struct Table<R> {
    database: Database<'static, Bytes, Bytes>,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Table<R> {
    fn new(database: Database<'static, Bytes, Bytes>) -> Self {
        Self {
            database,
            row: PhantomData,
        }
    }

    /// The row under `key`.
    pub(crate) fn get(&self, txn: &RoTxn, key: &[u8]) -> Result<Option<R>> {
        self.bytes(txn, key)?.map(R::decode).transpose()
    }

    /// The undecoded row under `key`.
    pub(crate) fn bytes<'t>(&self, txn: &'t RoTxn, key: &[u8]) -> Result<Option<&'t [u8]>> {
        self.database.get(txn, key).map_err(storage)
    }

    pub(crate) fn contains(&self, txn: &RoTxn, key: &[u8]) -> Result<bool> {
        Ok(self.bytes(txn, key)?.is_some())
    }

    pub(crate) fn put(&self, txn: &mut RwTxn, key: &[u8], row: &R) -> Result<()> {
        let bytes = row.encode()?;
        self.database.put(txn, key, &bytes).map_err(storage)
    }

    /// Removes the row under `key`; `false` when there was none.
    pub(crate) fn delete(&self, txn: &mut RwTxn, key: &[u8]) -> Result<bool> {
        self.database.delete(txn, key).map_err(storage)
    }

    /// Removes every row of a collection.
    pub(crate) fn delete_collection(&self, txn: &mut RwTxn, id: CollectionId) -> Result<()> {
        let (start, end) = (keys::collection(id), (id.0 + 1).to_be_bytes());
        let range: KeyRange<'_> = (Bound::Included(&start), Bound::Excluded(&end));
        let deleted = self.database.delete_range(txn, &range);
        deleted.map(|_| ()).map_err(storage)
    }

    /// Undecoded rows whose key starts with `prefix`, which may be empty, in key order.
    pub(crate) fn entries<'t>(
        &self,
        txn: &'t RoTxn,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry<'t>>> + use<'t, R>> {
        // LMDB refuses an empty key as a start.
        let start = match prefix {
            [] => Bound::Unbounded,
            prefix => Bound::Included(prefix),
        };
        let rows = self.entries_in(txn, (start, Bound::Unbounded))?;
        let prefix = prefix.to_vec();
        let is_within = move |entry: &Result<Entry<'t>>| match entry {
            Ok((key, _)) => key.starts_with(&prefix),
            Err(_) => true,
        };
        Ok(rows.take_while(is_within))
    }

    /// Undecoded rows whose key is within `range`, in key order.
    pub(crate) fn entries_in<'t>(
        &self,
        txn: &'t RoTxn,
        range: KeyRange<'_>,
    ) -> Result<impl Iterator<Item = Result<Entry<'t>>> + use<'t, R>> {
        let rows = self.database.range(txn, &range).map_err(storage)?;
        Ok(rows.map(|entry| entry.map_err(storage)))
    }

    /// Rows in falling key order, from below `end` where it is given.
    pub(crate) fn scan_back<'t>(
        &self,
        txn: &'t RoTxn,
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<(&'t [u8], R)>> + use<'t, R>> {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let range: KeyRange<'_> = (Bound::Unbounded, end);
        let rows = self.database.rev_range(txn, &range).map_err(storage)?;
        Ok(rows.map(|entry| decode_entry(entry.map_err(storage))))
    }

    /// Rows whose key starts with `prefix`, in key order.
    pub(crate) fn scan<'t>(
        &self,
        txn: &'t RoTxn,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<(&'t [u8], R)>> + use<'t, R>> {
        Ok(self.entries(txn, prefix)?.map(decode_entry))
    }

    /// Rows whose key is within `range`, in key order.
    pub(crate) fn range<'t>(
        &self,
        txn: &'t RoTxn,
        range: KeyRange<'_>,
    ) -> Result<impl Iterator<Item = Result<(&'t [u8], R)>> + use<'t, R>> {
        Ok(self.entries_in(txn, range)?.map(decode_entry))
    }

    /// How many rows there are.
    pub(crate) fn len(&self, txn: &RoTxn) -> Result<u64> {
        self.database.len(txn).map_err(storage)
    }

    /// Bytes of the pages in use.
    fn used_bytes(&self, txn: &RoTxn) -> Result<usize> {
        let stat = self.database.stat(txn).map_err(storage)?;
        Ok(stat.non_free_page_size())
    }
}

fn decode_entry<R: Row>(entry: Result<Entry<'_>>) -> Result<(&[u8], R)> {
    let (key, bytes) = entry?;
    Ok((key, R::decode(bytes)?))
}

/// Every table. The module documentation says what is where.
pub(crate) struct Tables {
    pub(crate) meta: Table<u64>,
    pub(crate) names: Table<u64>,
    pub(crate) collections: Table<CollectionRow>,
    pub(crate) counters: Table<CountersRow>,
    pub(crate) documents: Table<DocumentRow>,
    pub(crate) versions: Table<VersionRow>,
    pub(crate) texts: Table<Raw>,
    pub(crate) chunks: Table<ChunkRow>,
    pub(crate) operations: Table<OperationRow>,
    pub(crate) failures: Table<FailureRow>,
    pub(crate) likenesses: Table<Raw>,
    pub(crate) live: Table<SlotSet>,
    pub(crate) retired: Table<SlotSet>,
    pub(crate) filters: Table<SlotSet>,
    pub(crate) embeddings: Table<Raw>,
    pub(crate) jobs: Table<JobRow>,
    pub(crate) responses: Table<ResponseRow>,
    pub(crate) synonyms: Table<SynonymsRow>,
    /// The synonyms of collections as they were last read.
    pub(crate) parsed_synonyms: ParsedSynonyms,
}

/// Names of the tables, in the order of [`Tables`].
const NAMES: [&str; 18] = [
    "meta",
    "names",
    "collections",
    "counters",
    "documents",
    "versions",
    "texts",
    "chunks",
    "operations",
    "failures",
    "likenesses",
    "live",
    "retired",
    "filters",
    "embeddings",
    "jobs",
    "responses",
    "synonyms",
];

/// How many tables an environment must make room for; a newer format may have more.
pub(crate) const MAX_TABLES: u32 = 32;

impl Tables {
    /// Opens the tables, making them in a new environment.
    ///
    /// # Errors
    /// [`ErrorCode::UnsupportedVersion`] where another format is stored; nothing is changed then.
    pub(crate) fn open(env: &Env<WithoutTls>) -> Result<Self> {
        let is_new = env.info().last_txn_id == 0;
        let txn = env.write_txn().map_err(storage)?;
        let opened = env.create_databases_and_commit(txn, |opener, txn| {
            let meta = opener.create_database::<Bytes, Bytes>(txn, Some(NAMES[0]))?;
            let stored = meta.get(txn, FORMAT)?.map(<[u8]>::to_vec);
            if let Err(error) = check_format(stored.as_deref(), is_new) {
                return Ok(CommitOrAbort::Abort(error));
            }
            meta.put(txn, FORMAT, &FORMAT_VERSION.to_be_bytes())?;
            let mut databases = [meta; NAMES.len()];
            for (database, name) in databases.iter_mut().zip(NAMES).skip(1) {
                *database = opener.create_database(txn, Some(name))?;
            }
            Ok(CommitOrAbort::Commit(databases))
        });
        match opened.map_err(storage)? {
            CommitOrAbort::Commit(databases) => Ok(Self::of(databases)),
            CommitOrAbort::Abort(error) => Err(error),
        }
    }

    fn of(databases: [Database<'static, Bytes, Bytes>; NAMES.len()]) -> Self {
        let [
            meta,
            names,
            collections,
            counters,
            documents,
            versions,
            texts,
            chunks,
            operations,
            failures,
            likenesses,
            live,
            retired,
            filters,
            embeddings,
            jobs,
            responses,
            synonyms,
        ] = databases;
        Self {
            meta: Table::new(meta),
            names: Table::new(names),
            collections: Table::new(collections),
            counters: Table::new(counters),
            documents: Table::new(documents),
            versions: Table::new(versions),
            texts: Table::new(texts),
            chunks: Table::new(chunks),
            operations: Table::new(operations),
            failures: Table::new(failures),
            likenesses: Table::new(likenesses),
            live: Table::new(live),
            retired: Table::new(retired),
            filters: Table::new(filters),
            embeddings: Table::new(embeddings),
            jobs: Table::new(jobs),
            responses: Table::new(responses),
            synonyms: Table::new(synonyms),
            parsed_synonyms: ParsedSynonyms::default(),
        }
    }

    /// Bytes of the pages in use by the tables that grow with what callers store.
    pub(crate) fn used_bytes(&self, txn: &RoTxn) -> Result<usize> {
        Ok(self.documents.used_bytes(txn)?
            + self.versions.used_bytes(txn)?
            + self.texts.used_bytes(txn)?
            + self.chunks.used_bytes(txn)?
            + self.operations.used_bytes(txn)?
            + self.failures.used_bytes(txn)?
            + self.likenesses.used_bytes(txn)?
            + self.filters.used_bytes(txn)?
            + self.embeddings.used_bytes(txn)?
            + self.jobs.used_bytes(txn)?
            + self.responses.used_bytes(txn)?)
    }

    /// A number of the meta table, 0 where it was never set.
    pub(crate) fn number(&self, txn: &RoTxn, key: &[u8]) -> Result<u64> {
        Ok(self.meta.get(txn, key)?.unwrap_or_default())
    }

    /// Raises a number of the meta table by one and returns it.
    pub(crate) fn raise(&self, txn: &mut RwTxn, key: &[u8]) -> Result<u64> {
        let raised = self.number(txn, key)? + 1;
        self.meta.put(txn, key, &raised)?;
        Ok(raised)
    }
}

fn check_format(stored: Option<&[u8]>, is_new: bool) -> Result<()> {
    let version = match stored {
        None if is_new => return Ok(()),
        None => "an unknown version".to_owned(),
        Some(bytes) => match u64::decode(bytes)? {
            FORMAT_VERSION => return Ok(()),
            other => format!("version {other}"),
        },
    };
    Err(Error::new(
        ErrorCode::UnsupportedVersion,
        format!(
            "the data directory has {version} of the ledger format, this build reads version {FORMAT_VERSION}"
        ),
    )
    .with_help("open it with the release that wrote it, or a newer one"))
}
