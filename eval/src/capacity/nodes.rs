//! The arithmetic: nodes, memory, disk and time, and what drives them.

use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::model::{Component, Error, StoreQuantity, errors};
use super::store::RULE;

pub(super) const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Share of a node's CPU that is planned with: queues grow without bound as it nears 1.
const CPU_SHARE: f64 = 0.6;
/// Share of a node's memory that is planned with; the rest is the system's.
const MEMORY_SHARE: f64 = 0.8;
/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// In the data directory.
    #[default]
    Embedded,
    /// Vectors in Qdrant, the rest in the data directory.
    Qdrant,
    /// In Qdrant.
    Cluster,
}

/// How Qdrant compresses vectors for searching, beside the whole ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// It does not.
    #[default]
    None,
    /// A byte a number.
    Scalar,
    /// A bit a number.
    Binary,
}

impl Quantization {
    pub(super) fn bytes(self, dimension: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Scalar => dimension,
            Self::Binary => dimension / 8.0,
        }
    }
}

/// What is planned for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wanted {
    /// Chunks.
    pub chunks: u64,
    /// Queries a second.
    pub qps: f64,
    /// Numbers in a vector.
    pub dimension: usize,
    /// Where vectors are.
    pub profile: Profile,
    /// How Qdrant compresses them.
    pub quantization: Quantization,
    /// Whether Qdrant reads whole vectors from disk.
    pub vectors_on_disk: bool,
    /// Embedded: complete sets of nodes. Otherwise: copies of each shard.
    pub replicas: u32,
    /// Machines that ingest, of profile `cluster`.
    pub workers: u32,
    /// Memory of a node, in GiB.
    pub node_memory_gib: f64,
    /// Cores of a node.
    pub node_cores: u32,
    /// Whether queries are re-ranked.
    pub rerank: bool,
}

/// What it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What was asked.
    pub wanted: Wanted,
    /// Machines that run Braid.
    pub braid: Nodes,
    /// Machines that run Qdrant.
    pub qdrant: Option<Nodes>,
    /// Hours until all is retrievable: each Braid ingests everything at the same time as the others; of
    /// profile `cluster`, the workers share it.
    pub ingest_hours: Option<f64>,
    /// What takes how many nodes, most first: the first one binds.
    pub drivers: Vec<Driver>,
    /// Why it cannot be done as asked.
    pub problems: Vec<String>,
    /// What is taken for granted.
    pub assumptions: Vec<String>,
    /// What was not measured, and is left out of the numbers.
    pub not_measured: Vec<String>,
    /// Chunks of the largest measurement; beyond it, numbers are extrapolated.
    pub measured_chunks: Option<u64>,
    /// How far predictions of measured sizes were off.
    pub errors: Vec<Error>,
}

/// Machines of one kind. `None` is what cannot be said without a measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nodes {
    /// How many.
    pub nodes: Option<u64>,
    /// Memory that each needs, in GiB.
    pub memory_gib: Option<f64>,
    /// What is in it.
    pub memory: Vec<Part>,
    /// Disk that each needs, in GiB.
    pub disk_gib: Option<f64>,
    /// What is on it.
    pub disk: Vec<Part>,
    /// CPU milliseconds of a query.
    pub query_cpu_ms: Option<f64>,
    /// What takes them.
    pub query_cpu: Vec<Part>,
}

/// A part of a sum; `None` where it was not measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What it is.
    pub what: &'static str,
    /// How much, in the unit of its sum.
    pub value: Option<f64>,
}

/// What a resource asks for by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Driver {
    /// Which.
    pub resource: &'static str,
    /// Nodes it would take, a fraction; above 1 of memory, one node of Braid is too small.
    pub nodes: f64,
}

/// Plans. The same arguments give the same plan.
pub fn plan(measured: &Measured, wanted: &Wanted) -> Plan {
    let sizing = Sizing { measured, wanted };
    let is_cluster = wanted.profile == Profile::Cluster;
    let mut braid = if is_cluster {
        sizing.query_server()
    } else {
        sizing.braid()
    };
    let cpu_nodes = braid.query_cpu_ms.map(|ms| sizing.cpu_nodes(ms));
    let copies = cpu_nodes.map(|nodes| nodes.ceil().max(1.0));
    let sets = match wanted.profile {
        Profile::Embedded => f64::from(wanted.replicas),
        Profile::Qdrant | Profile::Cluster => 1.0,
    };
    braid.nodes = copies.map(|copies| (copies * sets) as u64);
    let memory_nodes = braid.memory_gib.map(|gib| sizing.memory_nodes(gib));
    let store = (wanted.profile != Profile::Embedded).then(|| sizing.store(copies));
    let drivers = drivers([
        ("CPU of queries", cpu_nodes),
        ("memory of Braid", memory_nodes),
        (
            "memory of Qdrant",
            store.as_ref().and_then(|store| store.by_memory),
        ),
        (
            "CPU of queries in Qdrant",
            store.as_ref().and_then(|store| store.by_cpu),
        ),
    ]);
    Plan {
        wanted: wanted.clone(),
        problems: sizing.problems(memory_nodes),
        not_measured: not_measured(&braid, store.as_ref().map(|store| &store.nodes), &sizing),
        braid,
        qdrant: store.map(|store| store.nodes),
        ingest_hours: sizing.ingest_hours(),
        drivers,
        assumptions: sizing.assumptions(copies.is_some()),
        measured_chunks: sizing.measured_chunks(),
        errors: errors(measured),
    }
}

fn drivers(found: [(&'static str, Option<f64>); 4]) -> Vec<Driver> {
    let mut drivers: Vec<Driver> = found
        .into_iter()
        .filter_map(|(resource, nodes)| {
            Some(Driver {
                resource,
                nodes: nodes?,
            })
        })
        .collect();
    drivers.sort_by(|a, b| b.nodes.total_cmp(&a.nodes));
    drivers
}

/// Every part without a value, once.
fn not_measured(braid: &Nodes, qdrant: Option<&Nodes>, sizing: &Sizing<'_>) -> Vec<String> {
    let parts = [Some(braid), qdrant].into_iter().flatten();
    let parts = parts.flat_map(|nodes| {
        nodes
            .memory
            .iter()
            .chain(&nodes.disk)
            .chain(&nodes.query_cpu)
    });
    let missing = parts
        .filter(|part| part.value.is_none())
        .map(|part| part.what);
    let ingest = sizing.ingest_cpu();
    let ingest = ingest
        .iter()
        .filter(|part| part.value.is_none())
        .map(|part| part.what);
    let mut names: Vec<String> = Vec::new();
    for name in missing.chain(ingest) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The sum, if every part has a value.
pub(super) fn sum(parts: &[Part]) -> Option<f64> {
    parts.iter().map(|part| part.value).sum()
}

/// One question and what it is answered from.
pub(super) struct Sizing<'a> {
    pub(super) measured: &'a Measured,
    pub(super) wanted: &'a Wanted,
}

impl Sizing<'_> {
    pub(super) fn at(&self, component: Component) -> Option<f64> {
        let series = component.series(self.measured, None)?;
        Some(series.at(self.wanted.chunks as f64))
    }

    fn part(&self, component: Component, value: Option<f64>) -> Part {
        let what = component.name();
        Part { what, value }
    }

    /// GiB of what holds a vector for each chunk, four bytes a number.
    fn with_vectors(&self, component: Component) -> Option<f64> {
        let more = self.wanted.dimension as f64 - self.measured.dimension as f64;
        let bytes = self.at(component)? + 4.0 * more * self.wanted.chunks as f64;
        Some(bytes.max(0.0) / GIB)
    }

    /// Chunks of the largest size that was measured of everything that the profile has.
    fn measured_chunks(&self) -> Option<u64> {
        let sizes = self.measured.sizes.iter().map(|size| size.chunks).max();
        let stores = self.measured.stores.iter();
        let stores = stores.filter(|store| store.profile == self.wanted.profile);
        let stores = stores.map(|store| store.chunks).max();
        match self.wanted.profile {
            Profile::Embedded => sizes,
            Profile::Qdrant => stores.map_or(sizes, |stores| sizes.map(|sizes| sizes.min(stores))),
            Profile::Cluster => stores,
        }
    }

    fn is_embedded(&self) -> bool {
        self.wanted.profile == Profile::Embedded
    }

    /// One Braid; how many there are is the caller's.
    fn braid(&self) -> Nodes {
        let ledger = self.part(Component::Ledger, self.with_vectors(Component::Ledger));
        let gib = |component| self.at(component).map(|bytes| bytes / GIB);
        let lexical = self.part(Component::Lexical, gib(Component::Lexical));
        let vectors = self.part(Component::Vectors, self.with_vectors(Component::Vectors));
        let own = [Component::ServingMemory, Component::IngestMemory];
        let own = own
            .map(gib)
            .into_iter()
            .try_fold(0.0, |most: f64, gib| Some(most.max(gib?)));
        let mut memory = vec![
            Part {
                what: "anonymous memory",
                value: own,
            },
            lexical.clone(),
        ];
        let mut disk = vec![
            ledger,
            lexical.clone(),
            Part {
                what: "room to rebuild the lexical index",
                value: lexical.value,
            },
        ];
        if self.is_embedded() {
            let room = Part {
                what: "room to rebuild the vectors",
                value: vectors.value,
            };
            memory.push(vectors.clone());
            disk.extend([vectors, room]);
        }
        let query_cpu = self.query_cpu();
        Nodes {
            nodes: None,
            memory_gib: sum(&memory),
            memory,
            disk_gib: sum(&disk),
            disk,
            query_cpu_ms: sum(&query_cpu),
            query_cpu,
        }
    }

    /// CPU milliseconds of a query in Braid.
    pub(super) fn query_cpu(&self) -> Vec<Part> {
        let models = &self.measured.models;
        let mut parts = match self.wanted.profile {
            Profile::Cluster => vec![self.store_part(StoreQuantity::BraidQueryCpu)],
            Profile::Qdrant => {
                let measured = self.store_part(StoreQuantity::BraidQueryCpu);
                let lexical = self.part(Component::LexicalCpu, self.at(Component::LexicalCpu));
                vec![if measured.value.is_some() {
                    measured
                } else {
                    lexical
                }]
            }
            Profile::Embedded => {
                let share = self.wanted.dimension as f64 / self.measured.dimension as f64 - 1.0;
                let longer = self.at(Component::DenseCpu).map(|ms| ms * share);
                let both = self.at(Component::HybridCpu).zip(longer);
                let both = both.map(|(both, longer)| (both + longer).max(0.0));
                vec![self.part(Component::HybridCpu, both)]
            }
        };
        parts.push(Part {
            what: "embedding the query",
            value: models.embed_query_cpu_ms,
        });
        if self.wanted.rerank {
            parts.push(Part {
                what: "re-ranking",
                value: models.rerank_cpu_ms,
            });
        }
        parts
    }

    pub(super) fn cpu_nodes(&self, query_ms: f64) -> f64 {
        self.wanted.qps * query_ms / 1000.0 / (f64::from(self.wanted.node_cores) * CPU_SHARE)
    }

    pub(super) fn memory_nodes(&self, gib: f64) -> f64 {
        gib / (self.wanted.node_memory_gib * MEMORY_SHARE)
    }

    /// CPU milliseconds to ingest a chunk.
    fn ingest_cpu(&self) -> [Part; 2] {
        let measured = self.store_part(StoreQuantity::BraidIngestCpu);
        let embedded = self.part(Component::IngestCpu, self.at(Component::IngestCpu));
        let own = match self.wanted.profile {
            Profile::Embedded => embedded,
            Profile::Qdrant if measured.value.is_none() => embedded,
            Profile::Qdrant | Profile::Cluster => measured,
        };
        let embed = self.measured.models.embed_chunk_cpu_ms;
        [
            own,
            Part {
                what: "embedding a chunk",
                value: embed,
            },
        ]
    }

    fn ingest_hours(&self) -> Option<f64> {
        let ms = sum(&self.ingest_cpu())?;
        let machines = match self.wanted.profile {
            Profile::Embedded | Profile::Qdrant => 1,
            Profile::Cluster => self.wanted.workers,
        };
        let cores = f64::from(self.wanted.node_cores) * f64::from(machines);
        Some(ms / 1000.0 * self.wanted.chunks as f64 / cores / 3600.0)
    }

    fn problems(&self, memory_nodes: Option<f64>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(nodes) = memory_nodes.filter(|nodes| *nodes > 1.0) {
            let gib = nodes * self.wanted.node_memory_gib;
            let advice = match self.wanted.profile {
                Profile::Embedded => "or put the vectors into Qdrant (--profile qdrant)",
                Profile::Qdrant => "or keep everything in Qdrant (--profile cluster)",
                Profile::Cluster => "it keeps nothing else",
            };
            problems.push(format!(
                "one Braid does not fit into a node: it needs one of {gib:.0} GiB; take a larger one (--node-memory), {advice}"
            ));
        }
        if self.wanted.chunks > u64::from(u32::MAX) {
            problems.push(
                "a collection numbers its chunks with 32 bits, at most 4,294,967,295: take several"
                    .to_owned(),
            );
        }
        problems
    }

    fn assumptions(&self, copies_known: bool) -> Vec<String> {
        let mut said = vec![
            format!("queries may use {:.0} % of a node's cores, and Braid or Qdrant {:.0} % of its memory", CPU_SHARE * 100.0, MEMORY_SHARE * 100.0),
            "a core does what a core of the measured machine does; ingestion uses all of them".to_owned(),
            "indexes lie in memory as a whole, as when they were measured; with less, queries read the disk, which was not measured".to_owned(),
            "chunks are as long as those measured, each a document of its own, without metadata".to_owned(),
            "every query is a new one: caches save nothing".to_owned(),
            "sizes and the CPU of queries grow in proportion to the chunks, that of Qdrant's graph with their logarithm".to_owned(),
        ];
        if self.wanted.dimension != self.measured.dimension {
            said.push(format!("measured with vectors of {} numbers: vectors take 4 bytes a number more or less, their comparison time in proportion, and the model is as fast as the bundled one", self.measured.dimension));
        }
        if !copies_known && self.wanted.profile == Profile::Qdrant {
            said.push(
                "Qdrant is planned for one Braid: how many there must be was not measured"
                    .to_owned(),
            );
        }
        if self.is_ruled() {
            said.push(format!("Qdrant's memory is {RULE} x 4 bytes a number, its own published rule, not a measurement; compressed vectors come on top"));
        }
        match self.wanted.profile {
            Profile::Embedded => said.push("each Braid has everything and ingests everything; the application spreads queries over them".to_owned()),
            Profile::Qdrant => said.extend([
                "each Braid has ledger and lexical index whole, and a collection of its own in Qdrant".to_owned(),
                SHARDS.to_owned(),
            ]),
            Profile::Cluster => said.extend([
                "query servers and workers keep nothing; ingestion is as fast as the workers, whatever it costs Qdrant".to_owned(),
                SHARDS.to_owned(),
            ]),
        }
        said
    }
}

const SHARDS: &str = "Qdrant was measured as one node with one copy, nothing compressed: a search costs its nodes together the same whatever the shards, and messages between nodes nothing";
