//! The collection of Qdrant: made, described, indexed, removed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ::qdrant_client::qdrant::payload_index_params::IndexParams;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, Distance, FieldType, HnswConfigDiff, Modifier,
    PayloadIndexParams, PointStruct, SparseVectorConfig, SparseVectorParams, TextIndexParams,
    TokenizerType, VectorParams, VectorParamsMap, VectorsConfig,
};
use braid_core::{Error, ErrorCode, Filter, Result};

use super::point::{ANALYZED, DOCUMENT, KEY, ORDINAL, SEQUENCE, WEIGHED};
use super::{ChunkStore, DENSE, SPARSE};
use crate::cluster::said::SAID;
use crate::qdrant::collection::quantization;
use crate::qdrant::filter::names;
use crate::qdrant::payload::{FieldKind, KEYS, SLOT};

/// The fields that are searched by, beside metadata. No point has a slot in its payload: conditions that
/// nothing can meet ask for it.
const INDEXES: [(&str, FieldType); 9] = [
    (DOCUMENT, FieldType::Keyword),
    (SEQUENCE, FieldType::Integer),
    (ORDINAL, FieldType::Integer),
    (KEY, FieldType::Keyword),
    (ANALYZED, FieldType::Keyword),
    (KEYS, FieldType::Keyword),
    (SLOT, FieldType::Integer),
    (SAID, FieldType::Text),
    (WEIGHED, FieldType::Integer),
];

/// The index that says that chunks have metadata fields without an index. No chunk has this field. It is
/// made before the first such chunk is written, it is read with the indexes that it is about, and it
/// stays with the chunks, whatever becomes of the registry and of the configured number of indexes.
const UNINDEXED: &str = "unindexed";

impl ChunkStore {
    /// Makes the collection and its indexes where they are missing.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt) where there is one of another shape.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let info = match self.points.info().await? {
            Some(info) => info,
            None => {
                self.points.create(self.creation()).await?;
                self.points.info().await?.unwrap_or_default()
            }
        };
        self.check(&info)?;
        let mut indexed: BTreeSet<String> = info.payload_schema.into_keys().collect();
        for (name, kind) in INDEXES {
            if indexed.insert(name.to_owned()) {
                let params = (name == SAID).then(said_index);
                self.points.create_index_with(name, kind, params).await?;
            }
        }
        *self.indexed.write() = Arc::new(indexed);
        Ok(())
    }

    /// Removes the collection; a no-op where there is none.
    pub(crate) async fn remove(&self) -> Result<()> {
        self.points.remove().await
    }

    fn check(&self, info: &CollectionInfo) -> Result<()> {
        let params = info.config.as_ref().and_then(|it| it.params.as_ref());
        let dense = params.and_then(|it| it.vectors_config.as_ref()?.config.as_ref());
        let dense = match dense {
            Some(Config::ParamsMap(map)) => map.map.get(DENSE),
            _ => None,
        };
        let is_cosine = |it: &VectorParams| it.distance == i32::from(Distance::Cosine);
        let has_dense = dense.is_some_and(|it| it.size == self.dimension as u64 && is_cosine(it));
        let sparse = params.and_then(|it| it.sparse_vectors_config.as_ref()?.map.get(SPARSE));
        if has_dense && sparse.is_some_and(|it| it.modifier == Some(Modifier::Idf.into())) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Corrupt,
            format!(
                "Qdrant's collection {} does not have the vectors of chunks with dimension {}",
                self.points.name, self.dimension
            ),
        )
        .with_help("was it made by something else? use another qdrant.prefix"))
    }

    // The fields that say what stays on disk have a successor that older servers do not know.
    #[expect(deprecated)]
    fn creation(&self) -> CreateCollection {
        let options = &self.points.site.options.collection;
        let dense = VectorParams {
            size: self.dimension as u64,
            distance: Distance::Cosine.into(),
            on_disk: Some(options.vectors_on_disk),
            ..VectorParams::default()
        };
        let sparse = SparseVectorParams {
            modifier: Some(Modifier::Idf.into()),
            ..SparseVectorParams::default()
        };
        CreateCollection {
            hnsw_config: Some(HnswConfigDiff {
                m: Some(options.hnsw_links as u64),
                ef_construct: Some(options.ef_construction as u64),
                ..HnswConfigDiff::default()
            }),
            on_disk_payload: Some(options.payload_on_disk),
            vectors_config: Some(VectorsConfig {
                config: Some(Config::ParamsMap(VectorParamsMap {
                    map: HashMap::from([(DENSE.to_owned(), dense)]),
                })),
            }),
            sparse_vectors_config: Some(SparseVectorConfig {
                map: HashMap::from([(SPARSE.to_owned(), sparse)]),
            }),
            quantization_config: quantization(options.quantization),
            ..CreateCollection::default()
        }
    }

    /// Makes an index for each metadata field of `points` that has none, up to the configured number
    /// of them; from then on [`UNINDEXED`] says that there are more.
    pub(super) async fn index_fields(&self, points: &[PointStruct]) -> Result<()> {
        let known = Arc::clone(&*self.indexed.read());
        let is_full = known.contains(UNINDEXED) && self.room_for_indexes(&known) == 0;
        if is_full || missing(points, &known).is_empty() {
            return Ok(());
        }
        // Another process may have made them.
        let mut indexed = BTreeSet::clone(&*self.read_indexed().await?);
        for (name, kind) in missing(points, &indexed) {
            let (name, kind) = match self.room_for_indexes(&indexed) {
                0 => (UNINDEXED.to_owned(), FieldType::Keyword),
                _ => (name, kind.index()),
            };
            if !indexed.contains(&name) {
                self.points.create_index(&name, kind).await?;
                indexed.insert(name);
            }
        }
        *self.indexed.write() = Arc::new(indexed);
        Ok(())
    }

    /// Fields that have an index. Another process may have made one a moment ago, so the server is
    /// asked where `filter` asks for a field of which none is known.
    pub(crate) async fn indexed_for(&self, filter: &Filter) -> Result<Arc<BTreeSet<String>>> {
        let known = Arc::clone(&*self.indexed.read());
        if names(filter).iter().all(|name| known.contains(name)) {
            return Ok(known);
        }
        self.read_indexed().await
    }

    async fn read_indexed(&self) -> Result<Arc<BTreeSet<String>>> {
        let info = self.points.info().await?.unwrap_or_default();
        let indexed = Arc::new(info.payload_schema.into_keys().collect());
        *self.indexed.write() = Arc::clone(&indexed);
        Ok(indexed)
    }

    /// Whether each field that a chunk has got an index. The number of them alone does not say: other
    /// processes may index fewer.
    pub(crate) fn indexes_every_field(&self, indexed: &BTreeSet<String>) -> bool {
        !indexed.contains(UNINDEXED) && self.room_for_indexes(indexed) > 0
    }

    fn room_for_indexes(&self, indexed: &BTreeSet<String>) -> usize {
        let of_fields = indexed
            .iter()
            .filter(|name| FieldKind::of_name(name).is_some());
        let most = self.points.site.options.collection.indexed_fields;
        most.saturating_sub(of_fields.count())
    }
}

/// How what chunks say is indexed: tokens as they are, in order, on disk, because few queries ask. The graph of
/// embeddings gets no links for it: they would be made for each frequent word.
// The field that says what stays on disk has a successor that older servers do not know.
#[expect(deprecated)]
fn said_index() -> PayloadIndexParams {
    let text = TextIndexParams {
        tokenizer: TokenizerType::Whitespace.into(),
        lowercase: Some(false),
        phrase_matching: Some(true),
        on_disk: Some(true),
        enable_hnsw: Some(false),
        ..TextIndexParams::default()
    };
    PayloadIndexParams {
        index_params: Some(IndexParams::TextIndexParams(text)),
    }
}

/// The metadata fields of points that have no index.
fn missing(points: &[PointStruct], indexed: &BTreeSet<String>) -> Vec<(String, FieldKind)> {
    let names: BTreeSet<&String> = points.iter().flat_map(|it| it.payload.keys()).collect();
    let lacking = names.into_iter().filter(|name| !indexed.contains(*name));
    lacking
        .filter_map(|name| Some((name.clone(), FieldKind::of_name(name)?)))
        .collect()
}
