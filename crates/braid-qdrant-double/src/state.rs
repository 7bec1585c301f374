//! What the double stores, and what it refuses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::value::Kind as ValueKind;
use ::qdrant_client::qdrant::{
    CreateCollection, FieldType, Filter, PointId, ReadConsistency, Value,
};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::faults::{Faults, Kind};
use crate::filter;
use crate::vectors::{Named, Shape};

/// Longest name of a collection, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Least effort of linking a vector.
const LEAST_EF_CONSTRUCT: u64 = 4;

/// What a server may be told to refuse, beside what it always refuses.
#[derive(Clone, Debug, Default)]
pub struct Strictness {
    /// The key that every request must have.
    pub api_key: Option<String>,
    /// Whether a filter on a field without an index is refused.
    pub indexed_filters_only: bool,
    /// Most points in one request.
    pub max_batch: Option<usize>,
    /// Largest limit of a query.
    pub max_limit: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) strictness: Strictness,
    pub(crate) faults: Faults,
    pub(crate) collections: Mutex<BTreeMap<String, Collection>>,
    /// What a copy that falls behind has.
    remembered: Mutex<BTreeMap<String, Collection>>,
    lagging: Mutex<Option<Lagging>>,
    calls: [AtomicU64; 3],
    searches: AtomicU64,
}

/// A copy that no write reaches.
#[derive(Debug)]
struct Lagging {
    collections: BTreeMap<String, Collection>,
    /// Whether it is among the copies that are compared.
    is_compared: bool,
}

/// The id of a point, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Number(u64),
    Uuid(Uuid),
}

#[derive(Clone, Debug)]
pub(crate) struct Collection {
    pub(crate) created: CreateCollection,
    pub(crate) shape: Shape,
    pub(crate) indexes: BTreeMap<String, FieldType>,
    pub(crate) points: BTreeMap<Id, Point>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) vectors: Named,
    pub(crate) payload: HashMap<String, Value>,
}

impl State {
    pub(crate) fn new(strictness: Strictness) -> Self {
        Self {
            strictness,
            faults: Faults::default(),
            collections: Mutex::default(),
            remembered: Mutex::default(),
            lagging: Mutex::default(),
            calls: Default::default(),
            searches: AtomicU64::new(0),
        }
    }

    pub(crate) fn calls(&self, kind: Kind) -> u64 {
        self.calls[kind as usize].load(Relaxed)
    }

    pub(crate) fn note_call(&self, kind: Kind) {
        self.calls[kind as usize].fetch_add(1, Relaxed);
    }

    /// How many searches came, alone and in batches.
    pub(crate) fn searches(&self) -> u64 {
        self.searches.load(Relaxed)
    }

    pub(crate) fn note_searches(&self, searches: usize) {
        self.searches.fetch_add(searches as u64, Relaxed);
    }

    pub(crate) fn check_key<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let Some(key) = &self.strictness.api_key else {
            return Ok(());
        };
        let given = request.metadata().get("api-key");
        match given.map(|given| given.as_bytes() == key.as_bytes()) {
            Some(true) => Ok(()),
            Some(false) => Err(Status::unauthenticated("Invalid API key or JWT")),
            None => Err(Status::unauthenticated(
                "Must provide an API key or an Authorization bearer token",
            )),
        }
    }

    /// The collection of that name.
    pub(crate) fn collection(
        &self,
        name: &str,
    ) -> Result<MappedMutexGuard<'_, Collection>, Status> {
        let found = MutexGuard::try_map(self.collections.lock(), |all| all.get_mut(name));
        found.map_err(|_| {
            Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
        })
    }

    pub(crate) fn remember(&self) {
        *self.remembered.lock() = self.collections.lock().clone();
    }

    pub(crate) fn lag(&self, is_compared: bool) {
        let collections = self.remembered.lock().clone();
        *self.lagging.lock() = Some(Lagging {
            collections,
            is_compared,
        });
    }

    pub(crate) fn catch_up(&self) {
        *self.lagging.lock() = None;
    }

    /// The points of these ids, as one copy has them, or as those have them that are compared, which
    /// give none on which they disagree.
    pub(crate) fn points(
        &self,
        name: &str,
        ids: &[PointId],
        compared: Option<&ReadConsistency>,
    ) -> Result<Vec<(Id, Point)>, Status> {
        let collection = self.collection(name)?;
        let lagging = self.lagging.lock();
        let lagging = lagging.as_ref();
        // A collection that is newer than the copy is everywhere.
        let old = lagging.and_then(|it| Some((it.collections.get(name)?, it.is_compared)));
        let mut found = Vec::new();
        for id in ids {
            let id = Id::read(Some(id))?;
            let newest = collection.points.get(&id);
            let point = match (old, compared) {
                (None, _) | (Some((_, false)), Some(_)) => newest,
                (Some((old, _)), None) => old.points.get(&id),
                (Some((old, true)), Some(_)) => {
                    newest.filter(|it| old.points.get(&id) == Some(*it))
                }
            };
            found.extend(point.map(|point| (id, point.clone())));
        }
        Ok(found)
    }

    pub(crate) fn create(&self, created: CreateCollection) -> Result<(), Status> {
        let name = created.collection_name.clone();
        check_name(&name)?;
        let shape = Shape::read(&created)?;
        if created.shard_number == Some(0) || created.replication_factor == Some(0) {
            return Err(Status::invalid_argument("Validation error in body: 0"));
        }
        let links = created.hnsw_config.as_ref();
        let effort = links.and_then(|hnsw| hnsw.ef_construct);
        if effort.is_some_and(|effort| effort < LEAST_EF_CONSTRUCT) {
            return Err(Status::invalid_argument(format!(
                "Validation error in body: [hnsw_config.ef_construct: must be {LEAST_EF_CONSTRUCT} or larger]"
            )));
        }
        let mut collections = self.collections.lock();
        if collections.contains_key(&name) {
            return Err(Status::already_exists(format!(
                "Wrong input: Collection `{name}` already exists!"
            )));
        }
        let collection = Collection {
            created,
            shape,
            indexes: BTreeMap::new(),
            points: BTreeMap::new(),
        };
        collections.insert(name, collection);
        Ok(())
    }

    /// Refuses a filter that names a field without a fitting index, where only indexed ones may be.
    pub(crate) fn check_filter(
        &self,
        collection: &Collection,
        filter: Option<&Filter>,
    ) -> Result<(), Status> {
        let Some(filter) = filter else {
            return Ok(());
        };
        let needed = needed_indexes(filter)?;
        if !self.strictness.indexed_filters_only {
            return Ok(());
        }
        for (field, kinds) in needed {
            let kind = collection.indexes.get(&field);
            if !kind.is_some_and(|kind| kinds.contains(kind)) {
                return Err(Status::invalid_argument(format!(
                    "Bad request: Index required but not found for \"{field}\" of one of the following types: {kinds:?}"
                )));
            }
        }
        Ok(())
    }

    /// The condition of an upsert: it must be one, and takes no index.
    pub(crate) fn check_condition(filter: Option<&Filter>) -> Result<(), Status> {
        filter.map_or(Ok(()), |filter| needed_indexes(filter).map(drop))
    }

    pub(crate) fn lose_points(&self, name: &str, field: &str, values: &[i64]) -> usize {
        let mut collections = self.collections.lock();
        let Some(collection) = collections.get_mut(name) else {
            return 0;
        };
        let before = collection.points.len();
        collection.points.retain(|_, point| {
            let value = point
                .payload
                .get(field)
                .and_then(|value| value.kind.as_ref());
            !matches!(value, Some(ValueKind::IntegerValue(value)) if values.contains(value))
        });
        before - collection.points.len()
    }
}

fn needed_indexes(filter: &Filter) -> Result<BTreeSet<(String, &'static [FieldType])>, Status> {
    let mut needed = BTreeSet::new();
    filter::needed_indexes(filter, &mut needed)?;
    Ok(needed)
}

fn check_name(name: &str) -> Result<(), Status> {
    let odd = |c: char| c.is_control() || "<>:\"/\\|?*".contains(c);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(odd) {
        return Err(Status::invalid_argument(
            "Validation error in body: collection_name",
        ));
    }
    Ok(())
}

impl Id {
    pub(crate) fn read(id: Option<&PointId>) -> Result<Self, Status> {
        match id.and_then(|id| id.point_id_options.as_ref()) {
            Some(PointIdOptions::Num(number)) => Ok(Self::Number(*number)),
            Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(text)
                .map(Self::Uuid)
                .map_err(|_| Status::invalid_argument(format!("Unable to parse UUID: {text}"))),
            None => Err(Status::invalid_argument("Empty ID is not allowed")),
        }
    }

    pub(crate) fn write(self) -> PointId {
        let options = match self {
            Self::Number(number) => PointIdOptions::Num(number),
            Self::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
        };
        PointId {
            point_id_options: Some(options),
        }
    }
}
