//! One Qdrant collection: made, described and read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::qdrant_client::qdrant::quantization_config::Quantization as QuantizationKind;
use ::qdrant_client::qdrant::vectors_config::Config as VectorsKind;
use ::qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use ::qdrant_client::qdrant::{
    BinaryQuantization, CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance,
    FieldType, GetPoints, HnswConfigDiff, PayloadIncludeSelector, PointId, QuantizationConfig,
    QuantizationType, ScalarQuantization, ScrollPoints, VectorParams, VectorsConfig,
    WithPayloadSelector,
};
use ::qdrant_client::{Qdrant, QdrantError};
use braid_core::{Error, ErrorCode, IndexKey, Result, Sequence, SlotSet, VectorEntry};
use braid_runtime::CpuPool;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::connections::Connections;
use super::error::{is_missing, is_there_already, translate};
use super::options::{CollectionOptions, QdrantOptions, Quantization};
use super::payload::{self, FORMAT, FieldKind, KEYS, SLOT, WATERMARK};

/// The form of what is stored.
pub(crate) const CURRENT_FORMAT: i64 = 1;

/// The least that Qdrant takes.
const LEAST_EF_CONSTRUCTION: usize = 4;

/// Points in one page of a listing.
const PAGE: u32 = 8192;

/// A collection of Qdrant, and how to reach it.
pub(crate) struct RemoteCollection {
    pub(crate) name: String,
    pub(crate) key: IndexKey,
    pub(crate) dimension: usize,
    pub(super) connections: Arc<Connections>,
    pub(crate) options: Arc<QdrantOptions>,
    pub(crate) pool: Arc<CpuPool>,
    /// Whether the collection was made, or seen, since its watermark was last missing.
    is_there: Mutex<bool>,
    /// Fields that have an index, by their stored names; `None` before the server was asked.
    indexed: RwLock<Option<Arc<BTreeSet<String>>>>,
}

impl RemoteCollection {
    pub(super) fn new(
        name: String,
        key: IndexKey,
        dimension: usize,
        connections: Arc<Connections>,
        options: Arc<QdrantOptions>,
        pool: Arc<CpuPool>,
    ) -> Self {
        Self {
            name,
            key,
            dimension,
            connections,
            options,
            pool,
            is_there: Mutex::default(),
            indexed: RwLock::default(),
        }
    }

    pub(super) fn client(&self) -> Arc<Qdrant> {
        self.connections.client()
    }

    /// An error of the client, with the collection's name.
    pub(crate) fn failed(&self, error: &QdrantError) -> Error {
        translate(error).context(format_args!("collection {}", self.name))
    }

    /// Fields that have an index; `None` where there is no collection.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt) where there is one of another shape.
    pub(crate) async fn indexed(&self) -> Result<Option<Arc<BTreeSet<String>>>> {
        let known = self.indexed.read().clone();
        match known {
            Some(indexed) => Ok(Some(indexed)),
            None => {
                let info = self.info().await?;
                info.map(|info| self.note_indexed(info)).transpose()
            }
        }
    }

    fn note_indexed(&self, info: CollectionInfo) -> Result<Arc<BTreeSet<String>>> {
        self.check(&info)?;
        let indexed: BTreeSet<String> = info.payload_schema.into_keys().collect();
        Ok(self.set_indexed(indexed))
    }

    fn set_indexed(&self, indexed: BTreeSet<String>) -> Arc<BTreeSet<String>> {
        let indexed = Arc::new(indexed);
        *self.indexed.write() = Some(Arc::clone(&indexed));
        indexed
    }

    /// Makes the collection if there is none. One that was there is not made again before somebody
    /// has learned that its watermark is zero: what was in it would be missing.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt) where there is one of another shape.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let mut is_there = self.is_there.lock().await;
        if *is_there {
            return Ok(());
        }
        let info = match self.info().await? {
            Some(info) => info,
            None => {
                self.create().await?;
                self.info().await?.unwrap_or_default()
            }
        };
        let mut indexed = BTreeSet::clone(&*self.note_indexed(info)?);
        for (name, kind) in [(SLOT, FieldType::Integer), (KEYS, FieldType::Keyword)] {
            if indexed.insert(name.to_owned()) {
                self.create_index(name, kind).await?;
            }
        }
        self.set_indexed(indexed);
        *is_there = true;
        Ok(())
    }

    async fn info(&self) -> Result<Option<CollectionInfo>> {
        match self.client().collection_info(self.name.as_str()).await {
            Ok(answer) => Ok(Some(answer.result.unwrap_or_default())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn check(&self, info: &CollectionInfo) -> Result<()> {
        let params = info.config.as_ref().and_then(|it| it.params.as_ref());
        let vectors = params.and_then(|params| params.vectors_config.as_ref());
        let Some(VectorsKind::Params(vectors)) = vectors.and_then(|it| it.config.as_ref()) else {
            return Err(self.odd("has no vector without a name"));
        };
        if vectors.size != self.dimension as u64 {
            let has = format!("has dimension {}, not {}", vectors.size, self.dimension);
            return Err(self.odd(&has));
        }
        if vectors.distance != i32::from(Distance::Cosine) {
            return Err(self.odd("does not compare by cosine"));
        }
        Ok(())
    }

    fn odd(&self, what: &str) -> Error {
        let name = &self.name;
        Error::new(
            ErrorCode::Corrupt,
            format!("Qdrant's collection {name} {what}"),
        )
        .with_help("delete it in Qdrant: it is made again and filled from the ledger")
    }

    async fn create(&self) -> Result<()> {
        // A cluster waits for nodes that are down before it says that it is done: less than we do.
        let timeout = (self.options.timeout / 2).as_secs().max(1);
        let request = CreateCollection {
            timeout: Some(timeout),
            ..creation(&self.name, self.dimension, &self.options.collection)
        };
        match self.client().create_collection(request).await {
            Ok(_) => Ok(()),
            Err(error) if is_there_already(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes an index for each metadata field of `entries` that has none, up to the configured number
    /// of them: a field that comes later is stored, and filters on it are left to the ledger.
    pub(crate) async fn index_fields(&self, entries: &[VectorEntry]) -> Result<()> {
        let indexed = self.indexed().await?.unwrap_or_default();
        let mut missing: BTreeMap<String, FieldKind> = BTreeMap::new();
        for (name, kind) in entries.iter().flat_map(payload::stored_fields) {
            if !indexed.contains(&name) {
                missing.insert(name, kind);
            }
        }
        let room = self.room_for_indexes(&indexed);
        let mut indexed = BTreeSet::clone(&indexed);
        for (name, kind) in missing.into_iter().take(room) {
            self.create_index(&name, kind.index()).await?;
            indexed.insert(name);
            self.set_indexed(indexed.clone());
        }
        Ok(())
    }

    /// Whether each field that an entry has got an index.
    pub(crate) fn indexes_every_field(&self, indexed: &BTreeSet<String>) -> bool {
        self.room_for_indexes(indexed) > 0
    }

    fn room_for_indexes(&self, indexed: &BTreeSet<String>) -> usize {
        let of_fields = indexed
            .iter()
            .filter(|name| ![SLOT, KEYS].contains(&name.as_str()));
        let most = self.options.collection.indexed_fields;
        most.saturating_sub(of_fields.count())
    }

    async fn create_index(&self, name: &str, kind: FieldType) -> Result<()> {
        let request = CreateFieldIndexCollection {
            collection_name: self.name.clone(),
            wait: Some(true),
            field_name: name.to_owned(),
            field_type: Some(kind.into()),
            ..CreateFieldIndexCollection::default()
        };
        let made = self.client().create_field_index(request).await;
        made.map(drop).map_err(|error| self.failed(&error))
    }

    /// The stored watermark; zero where nothing was written yet, or everything is gone.
    ///
    /// # Errors
    /// [`UnsupportedVersion`](ErrorCode::UnsupportedVersion).
    pub(crate) async fn watermark(&self) -> Result<Sequence> {
        let request = GetPoints {
            collection_name: self.name.clone(),
            ids: vec![PointId::from(payload::watermark_id(self.key))],
            with_payload: Some(only(&[WATERMARK, FORMAT])),
            read_consistency: self.options.consistency(),
            ..GetPoints::default()
        };
        let answer = match self.client().get_points(request).await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => {
                *self.is_there.lock().await = false;
                return Ok(Sequence::ZERO);
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let Some(point) = answer.result.first() else {
            return Ok(Sequence::ZERO);
        };
        let format = payload::read_integer(&point.payload, FORMAT);
        if format != Some(CURRENT_FORMAT) {
            return Err(Error::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Qdrant's collection {} is of format {format:?}, this release knows {CURRENT_FORMAT}",
                    self.name
                ),
            ));
        }
        let watermark = payload::read_integer(&point.payload, WATERMARK);
        let watermark = watermark.and_then(|number| u64::try_from(number).ok());
        match watermark {
            Some(watermark) => Ok(Sequence(watermark)),
            None => Err(self.odd("has no watermark that can be read")),
        }
    }

    /// The slots of every point that is an entry; none where there is no collection.
    pub(crate) async fn slots(&self) -> Result<SlotSet> {
        let mut slots = SlotSet::new();
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                collection_name: self.name.clone(),
                offset,
                limit: Some(PAGE),
                with_payload: Some(only(&[SLOT])),
                read_consistency: self.options.consistency(),
                ..ScrollPoints::default()
            };
            let answer = match self.client().scroll(request).await {
                Ok(answer) => answer,
                Err(error) if is_missing(&error) => return Ok(SlotSet::new()),
                Err(error) => return Err(self.failed(&error)),
            };
            let found = answer.result.iter();
            slots.extend(found.filter_map(|point| payload::read_slot(&point.payload)));
            offset = answer.next_page_offset;
            if offset.is_none() {
                return Ok(slots);
            }
        }
    }
}

/// These fields of the payload.
pub(crate) fn only(fields: &[&str]) -> WithPayloadSelector {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    WithPayloadSelector {
        selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector { fields })),
    }
}

// The fields that say what stays on disk have a successor that older servers do not know.
#[expect(deprecated)]
fn creation(name: &str, dimension: usize, options: &CollectionOptions) -> CreateCollection {
    let vectors = VectorParams {
        size: dimension as u64,
        distance: Distance::Cosine.into(),
        on_disk: Some(options.vectors_on_disk),
        ..VectorParams::default()
    };
    CreateCollection {
        collection_name: name.to_owned(),
        hnsw_config: Some(HnswConfigDiff {
            m: Some(options.hnsw_links as u64),
            ef_construct: Some(options.ef_construction.max(LEAST_EF_CONSTRUCTION) as u64),
            ..HnswConfigDiff::default()
        }),
        shard_number: options.shards,
        on_disk_payload: Some(options.payload_on_disk),
        vectors_config: Some(VectorsConfig {
            config: Some(VectorsKind::Params(vectors)),
        }),
        replication_factor: Some(options.replication),
        write_consistency_factor: Some(options.write_consistency),
        quantization_config: quantization(options.quantization),
        ..CreateCollection::default()
    }
}

#[expect(deprecated)]
pub(crate) fn quantization(quantization: Quantization) -> Option<QuantizationConfig> {
    let kind = match quantization {
        Quantization::None => return None,
        Quantization::Scalar => QuantizationKind::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8.into(),
            always_ram: Some(true),
            ..ScalarQuantization::default()
        }),
        Quantization::Binary => QuantizationKind::Binary(BinaryQuantization {
            always_ram: Some(true),
            ..BinaryQuantization::default()
        }),
    };
    Some(QuantizationConfig {
        quantization: Some(kind),
    })
}
