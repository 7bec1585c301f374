//! The LMDB environment: opening, tables, and reading what is small.

use std::path::Path;

use braid_core::{Error, ErrorCode, Result, Sequence, SlotSet};
use hannoy::Reader;
use hannoy::distances::Cosine;
use heed::byteorder::BigEndian;
use heed::types::{Bytes, DecodeIgnore, Str, U32};
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};

use super::VectorOptions;
use super::error::{corrupt, translate, translate_io};

/// What this version writes: 2 may hold several segments, 1 held one. A store of a higher one is
/// refused.
const FORMAT: u64 = 2;
/// Views pinned at once, over all requests and the applier.
const MAX_READERS: u32 = 1024;
/// The largest memory page of any machine: a map is a multiple of it.
const LARGEST_PAGE: usize = 64 * 1024;

const FORMAT_KEY: &str = "format";
const DIMENSION_KEY: &str = "dimension";
const WATERMARK_KEY: &str = "watermark";
const DEAD_KEY: &str = "dead";
const SEGMENTS_KEY: &str = "segments";

pub(super) type GraphTable = hannoy::Database<'static, Cosine>;
/// Slot to vector, native-endian numbers as in the graph.
pub(super) type TailTable = Database<'static, U32<BigEndian>, Bytes>;
type MetaTable = Database<'static, Str, Bytes>;

#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) graph: GraphTable,
    pub(super) tail: TailTable,
    meta: MetaTable,
}

/// A part of the graph: a hannoy index of its own, with a number of its own.
pub(super) struct Segment<'t> {
    pub(super) number: u16,
    pub(super) reader: Reader<'t, Cosine>,
}

/// An open environment with its tables.
pub(super) struct Storage {
    env: Env<WithoutTls>,
    pub(super) tables: Tables,
}

impl Storage {
    pub(super) fn open(dir: &Path, options: &VectorOptions) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(translate_io)?;
        let env = open_environment(dir, options.map_size)?;
        check_length(&env)?;
        let tables = open_tables(&env)?;
        let storage = Self { env, tables };
        storage.check_format(options.dimension)?;
        Ok(storage)
    }

    pub(super) fn path(&self) -> &Path {
        self.env.path()
    }

    /// A read transaction that can outlive this borrow and move between threads.
    pub(super) fn static_read_txn(&self) -> Result<RoTxn<'static, WithoutTls>> {
        self.env.clone().static_read_txn().map_err(translate)
    }

    pub(super) fn write_txn(&self) -> Result<RwTxn<'_>> {
        self.env.write_txn().map_err(translate)
    }

    pub(super) fn watermark(&self) -> Result<Sequence> {
        let txn = self.env.read_txn().map_err(translate)?;
        let watermark = self.tables.number(&txn, WATERMARK_KEY)?;
        Ok(watermark.map_or(Sequence::ZERO, Sequence))
    }

    pub(super) fn slots(&self) -> Result<SlotSet> {
        let txn = self.static_read_txn()?;
        let mut slots = self.tables.tail_slots(&txn)?;
        let dead = self.tables.dead(&txn)?;
        for segment in self.tables.segments(&txn)? {
            slots |= segment.reader.item_ids() - &dead;
        }
        Ok(slots)
    }

    /// Records format and dimension in a new store; checks them in an old one, and brings format 1
    /// up to date.
    fn check_format(&self, dimension: usize) -> Result<()> {
        let mut txn = self.write_txn()?;
        let tables = &self.tables;
        let Some(format) = tables.number(&txn, FORMAT_KEY)? else {
            tables.put_number(&mut txn, FORMAT_KEY, FORMAT)?;
            tables.put_number(&mut txn, DIMENSION_KEY, dimension as u64)?;
            return txn.commit().map_err(translate);
        };
        if format > FORMAT {
            return Err(Error::new(
                ErrorCode::UnsupportedVersion,
                format!("the vector store has format {format}, this version knows {FORMAT}"),
            ));
        }
        let stored = tables.number(&txn, DIMENSION_KEY)?;
        if stored != Some(dimension as u64) {
            return Err(Error::invalid(format!(
                "the collection has dimension {dimension}, its stored vectors have dimension {}",
                stored.unwrap_or_default()
            )));
        }
        if format < FORMAT {
            tables.put_number(&mut txn, FORMAT_KEY, FORMAT)?;
            tables.put_segments(&mut txn, 1)?;
            txn.commit().map_err(translate)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn env(&self) -> &Env<WithoutTls> {
        &self.env
    }

    /// Leaves the tables as the version did that knew one graph.
    #[cfg(test)]
    pub(super) fn make_first_format(&self) {
        let mut txn = self.write_txn().unwrap();
        self.tables.meta.delete(&mut txn, SEGMENTS_KEY).unwrap();
        self.tables.put_number(&mut txn, FORMAT_KEY, 1).unwrap();
        txn.commit().unwrap();
    }

    #[cfg(test)]
    pub(super) fn set_format(&self, format: u64) {
        let mut txn = self.write_txn().unwrap();
        self.tables
            .put_number(&mut txn, FORMAT_KEY, format)
            .unwrap();
        txn.commit().unwrap();
    }
}

impl Tables {
    /// The built segments by rising number; none while there is no graph.
    pub(super) fn segments<'e>(&self, txn: &RoTxn<'e, WithoutTls>) -> Result<Vec<Segment<'e>>> {
        let numbers = self.number(txn, SEGMENTS_KEY)?.unwrap_or_default();
        let numbers = u16::try_from(numbers).map_err(|_| corrupt("the vector store's segments"))?;
        let mut segments = Vec::new();
        for number in 0..numbers {
            match Reader::open(txn, number, self.graph) {
                Ok(reader) => segments.push(Segment { number, reader }),
                // Dissolved; the number is free.
                Err(hannoy::Error::MissingMetadata(_)) => {}
                Err(error) => return Err(translate(error)),
            }
        }
        Ok(segments)
    }

    /// Records that every segment has a number below `numbers`.
    pub(super) fn put_segments(&self, txn: &mut RwTxn<'_>, numbers: u16) -> Result<()> {
        self.put_number(txn, SEGMENTS_KEY, u64::from(numbers))
    }

    pub(super) fn tail_slots(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<SlotSet> {
        let keys = self.tail.remap_data_type::<DecodeIgnore>();
        let entries = keys.iter(txn).map_err(translate)?;
        entries
            .map(|entry| entry.map(|(slot, ())| slot).map_err(translate))
            .collect()
    }

    /// Slots of the graph that no longer count.
    pub(super) fn dead(&self, txn: &RoTxn<'_, WithoutTls>) -> Result<SlotSet> {
        let bytes = self.meta.get(txn, DEAD_KEY).map_err(translate)?;
        bytes.map_or_else(
            || Ok(SlotSet::new()),
            |bytes| {
                SlotSet::deserialize_from(bytes)
                    .map_err(|error| corrupt("the set of deleted vectors").with_source(error))
            },
        )
    }

    pub(super) fn put_dead(&self, txn: &mut RwTxn<'_>, dead: &SlotSet) -> Result<()> {
        let mut bytes = Vec::with_capacity(dead.serialized_size());
        dead.serialize_into(&mut bytes).map_err(translate_io)?;
        self.meta.put(txn, DEAD_KEY, &bytes).map_err(translate)
    }

    pub(super) fn put_watermark(&self, txn: &mut RwTxn<'_>, watermark: Sequence) -> Result<()> {
        self.put_number(txn, WATERMARK_KEY, watermark.0)
    }

    fn number(&self, txn: &RoTxn<'_, WithoutTls>, key: &str) -> Result<Option<u64>> {
        let bytes = self.meta.get(txn, key).map_err(translate)?;
        bytes
            .map(|bytes| match bytes.try_into() {
                Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
                Err(_) => Err(corrupt(&format!("the vector store's {key}"))),
            })
            .transpose()
    }

    fn put_number(&self, txn: &mut RwTxn<'_>, key: &str, number: u64) -> Result<()> {
        let bytes = number.to_be_bytes();
        self.meta.put(txn, key, &bytes).map_err(translate)
    }
}

#[expect(unsafe_code)]
fn open_environment(dir: &Path, map_size: usize) -> Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(map_size.next_multiple_of(LARGEST_PAGE))
        .max_readers(MAX_READERS)
        .max_dbs(3);
    // SAFETY: the files are written through LMDB alone, with its lock file, by the one process that
    // owns the data directory; no flag that weakens LMDB's guarantees is set.
    unsafe { options.open(dir) }.map_err(translate)
}

/// Refuses a data file that was cut short: reading past its end would kill the process. LMDB may
/// leave its last pages unwritten, so only a file that lacks a good part of its pages is refused.
fn check_length(env: &Env<WithoutTls>) -> Result<()> {
    let pages = env.info().last_page_number as u64 + 1;
    let page_size = u64::from(env.unnamed_database_stat().page_size);
    let length = env.real_disk_size().map_err(translate)?;
    if length < pages * page_size / 2 {
        return Err(corrupt("the vector store's data file"));
    }
    Ok(())
}

fn open_tables(env: &Env<WithoutTls>) -> Result<Tables> {
    let txn = env.write_txn().map_err(translate)?;
    let opened = env
        .create_databases_and_commit(txn, |opener, txn| {
            let graph = opener.create_database(txn, Some("graph"))?;
            let tail = opener.create_database(txn, Some("tail"))?;
            let meta = opener.create_database(txn, Some("meta"))?;
            Ok(CommitOrAbort::<_, ()>::Commit((graph, tail, meta)))
        })
        .map_err(|error: heed::Error| translate(error))?;
    let (graph, tail, meta) = opened.unwrap_commit();
    Ok(Tables { graph, tail, meta })
}
