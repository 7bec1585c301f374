//! Vectors by name: what a collection takes, what a point has, how they are compared.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use ::qdrant_client::qdrant::vector::Vector as VectorKind;
use ::qdrant_client::qdrant::vector_input::Variant as InputKind;
use ::qdrant_client::qdrant::vector_output::Vector as OutputKind;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::vectors_output::VectorsOptions as OutputOptions;
use ::qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use ::qdrant_client::qdrant::{
    CreateCollection, DenseVector, Modifier, NamedVectorsOutput, SparseVector, SparseVectorParams,
    Vector, VectorInput, VectorOutput, VectorParams, Vectors, VectorsOutput, WithVectorsSelector,
};
use tonic::Status;

/// Numbers that a vector may have.
const DIMENSIONS: RangeInclusive<u64> = 1..=65_536;

/// The name of the vector that has none.
const UNNAMED: &str = "";

/// The vectors that the points of a collection may have.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    dense: BTreeMap<String, VectorParams>,
    sparse: BTreeMap<String, SparseVectorParams>,
}

/// A vector as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stored {
    /// Of length 1.
    Dense(Vec<f32>),
    /// By rising index.
    Sparse(Vec<(u32, f32)>),
}

/// The vectors of a point; there may be none.
pub(crate) type Named = BTreeMap<String, Stored>;

impl Shape {
    /// What a collection is made with; none at all is a shape too.
    pub(crate) fn read(created: &CreateCollection) -> Result<Self, Status> {
        let config = created.vectors_config.as_ref();
        let dense: BTreeMap<String, VectorParams> =
            match config.and_then(|config| config.config.as_ref()) {
                None => BTreeMap::new(),
                Some(Config::Params(params)) => [(UNNAMED.to_owned(), *params)].into(),
                Some(Config::ParamsMap(map)) => map.map.clone().into_iter().collect(),
            };
        let is_good =
            |params: &VectorParams| DIMENSIONS.contains(&params.size) && params.distance > 0;
        if !dense.values().all(is_good) {
            return Err(Status::invalid_argument("Wrong input: bad vectors_config"));
        }
        let sparse = created.sparse_vectors_config.clone().unwrap_or_default();
        let sparse: BTreeMap<String, SparseVectorParams> = sparse.map.into_iter().collect();
        if sparse.contains_key(UNNAMED) {
            return Err(Status::invalid_argument(
                "Wrong input: Sparse vector name cannot be empty",
            ));
        }
        if let Some(name) = dense.keys().find(|name| sparse.contains_key(*name)) {
            return Err(Status::invalid_argument(format!(
                "Wrong input: Dense and sparse vector names must be unique - duplicate found with '{name}'"
            )));
        }
        Ok(Self { dense, sparse })
    }

    /// The vectors of a point that is written.
    pub(crate) fn stored(&self, vectors: Option<Vectors>) -> Result<Named, Status> {
        let Some(vectors) = vectors.and_then(|vectors| vectors.vectors_options) else {
            return Err(Status::invalid_argument("Expected some vectors"));
        };
        let named: HashMap<String, Vector> = match vectors {
            VectorsOptions::Vector(vector) => [(UNNAMED.to_owned(), vector)].into(),
            VectorsOptions::Vectors(named) => named.vectors,
        };
        let each = named.into_iter().map(|(name, vector)| {
            let stored = match vector.vector {
                Some(VectorKind::Dense(dense)) => self.dense(&name, dense.data)?,
                Some(VectorKind::Sparse(sparse)) => self.sparse(&name, sparse)?,
                _ => return Err(Status::unimplemented("a vector that Braid does not write")),
            };
            Ok((name, stored))
        });
        each.collect()
    }

    /// The vector that is asked for under a name.
    pub(crate) fn asked(&self, name: &str, input: VectorInput) -> Result<Stored, Status> {
        match input.variant {
            Some(InputKind::Dense(dense)) => self.dense(name, dense.data),
            Some(InputKind::Sparse(sparse)) => self.sparse(name, sparse),
            _ => Err(Status::unimplemented(
                "a vector that Braid does not ask for",
            )),
        }
    }

    /// As the server stores vectors that it compares by cosine.
    fn dense(&self, name: &str, mut vector: Vec<f32>) -> Result<Stored, Status> {
        let Some(params) = self.dense.get(name) else {
            return Err(self.misnamed(name));
        };
        let (expected, got) = (params.size, vector.len());
        if got as u64 != expected {
            return Err(Status::invalid_argument(format!(
                "Wrong input: Vector dimension error: expected dim: {expected}, got {got}"
            )));
        }
        if vector.iter().any(|number| !number.is_finite()) {
            return Err(Status::invalid_argument("Wrong input: not a finite number"));
        }
        let length = dot(&vector, &vector).sqrt();
        if length > f32::EPSILON {
            vector.iter_mut().for_each(|number| *number /= length);
        }
        Ok(Stored::Dense(vector))
    }

    /// Indices may come in any order, but not twice.
    fn sparse(&self, name: &str, vector: SparseVector) -> Result<Stored, Status> {
        if !self.sparse.contains_key(name) {
            return Err(self.misnamed(name));
        }
        let SparseVector { values, indices } = vector;
        if values.len() != indices.len() {
            return Err(Status::invalid_argument(
                "Validation error in body: [values: must be the same length as indices]",
            ));
        }
        let mut pairs: Vec<(u32, f32)> = indices.into_iter().zip(values).collect();
        pairs.sort_by_key(|(index, _)| *index);
        if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Status::invalid_argument(
                "Validation error in body: [indices: must be unique]",
            ));
        }
        Ok(Stored::Sparse(pairs))
    }

    /// A name is unknown, or is that of a vector of the other kind.
    fn misnamed(&self, name: &str) -> Status {
        if self.dense.contains_key(name) || self.sparse.contains_key(name) {
            return Status::invalid_argument(
                "Wrong input: Conversion between sparse and regular vectors failed",
            );
        }
        Status::invalid_argument(format!(
            "Wrong input: Not existing vector name error: {name}"
        ))
    }

    /// The vector to compare points with: that of the query, multiplied by the rarity of its
    /// dimensions where the collection says so.
    pub(crate) fn weighed<'a>(
        &self,
        name: &str,
        asked: Stored,
        points: impl Iterator<Item = &'a Named>,
    ) -> Stored {
        let params = self.sparse.get(name);
        match asked {
            Stored::Sparse(pairs)
                if params.is_some_and(|it| it.modifier == Some(Modifier::Idf.into())) =>
            {
                Stored::Sparse(by_rarity(name, pairs, points))
            }
            other @ (Stored::Dense(_) | Stored::Sparse(_)) => other,
        }
    }
}

/// Each weight times `ln(1 + (N - n + 0.5) / (n + 0.5))`: N vectors, n of which have the dimension.
fn by_rarity<'a>(
    name: &str,
    mut pairs: Vec<(u32, f32)>,
    points: impl Iterator<Item = &'a Named>,
) -> Vec<(u32, f32)> {
    let mut vectors = 0.0_f32;
    let mut having = vec![0.0_f32; pairs.len()];
    for point in points {
        let Some(Stored::Sparse(stored)) = point.get(name) else {
            continue;
        };
        vectors += 1.0;
        for ((index, _), having) in pairs.iter().zip(&mut having) {
            if stored.binary_search_by_key(index, |(at, _)| *at).is_ok() {
                *having += 1.0;
            }
        }
    }
    for ((_, weight), having) in pairs.iter_mut().zip(having) {
        *weight *= ((vectors - having + 0.5) / (having + 0.5) + 1.0).ln();
    }
    pairs
}

impl Stored {
    /// How near a point is; `None` where it has no such vector, or no dimension in common.
    pub(crate) fn score(&self, point: Option<&Self>) -> Option<f32> {
        match (self, point?) {
            (Self::Dense(asked), Self::Dense(stored)) => Some(dot(asked, stored)),
            (Self::Sparse(asked), Self::Sparse(stored)) => {
                let mut score = None;
                for (index, weight) in asked {
                    if let Ok(at) = stored.binary_search_by_key(index, |(at, _)| *at) {
                        score = Some(score.unwrap_or(0.0) + weight * stored[at].1);
                    }
                }
                score
            }
            _ => None,
        }
    }

    #[expect(deprecated, reason = "fields that older clients read")]
    fn output(&self) -> VectorOutput {
        let vector = match self {
            Self::Dense(data) => OutputKind::Dense(DenseVector { data: data.clone() }),
            Self::Sparse(pairs) => {
                let (indices, values) = pairs.iter().copied().unzip();
                OutputKind::Sparse(SparseVector { values, indices })
            }
        };
        VectorOutput {
            data: Vec::new(),
            indices: None,
            vectors_count: None,
            vector: Some(vector),
        }
    }
}

/// The vectors of a point that an answer was to have.
pub(crate) fn selected(
    vectors: &Named,
    wanted: Option<&WithVectorsSelector>,
) -> Option<VectorsOutput> {
    let wanted = wanted.and_then(|wanted| wanted.selector_options.as_ref());
    let is_wanted = |name: &String| match wanted {
        Some(SelectorOptions::Enable(all)) => *all,
        Some(SelectorOptions::Include(include)) => include.names.contains(name),
        None => false,
    };
    let given = vectors.iter().filter(|(name, _)| is_wanted(name));
    let mut given: HashMap<String, VectorOutput> = given
        .map(|(name, vector)| (name.clone(), vector.output()))
        .collect();
    let options = match given.remove(UNNAMED) {
        Some(vector) if given.is_empty() => OutputOptions::Vector(vector),
        _ if given.is_empty() => return None,
        _ => OutputOptions::Vectors(NamedVectorsOutput { vectors: given }),
    };
    Some(VectorsOutput {
        vectors_options: Some(options),
    })
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
