//! The arithmetic: nodes, memory, disk and time, and what drives them.

use serde::Serialize;

use super::measured::Measured;
use super::model::{Component, Error, errors};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Share of a node's CPU that is planned with: queues grow without bound as it nears 1.
const CPU_SHARE: f64 = 0.6;
/// Share of a node's memory that is planned with; the rest is the system's.
const MEMORY_SHARE: f64 = 0.8;
/// Qdrant's published rule: memory is vectors * dimension * 4 bytes, times this, for graph, ids and the
/// optimizers' copies.
const QDRANT_RULE: f64 = 1.5;

/// Where vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// In the data directory.
    #[default]
    Embedded,
    /// In Qdrant.
    Qdrant,
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
    fn bytes(self, dimension: f64) -> f64 {
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
    /// Embedded: complete sets of nodes. Qdrant: copies of each shard.
    pub replicas: u32,
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
    /// Hours until all is retrievable, each Braid ingesting everything at the same time as the others.
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
    let mut braid = sizing.braid();
    let cpu_nodes = braid.query_cpu_ms.map(|ms| sizing.cpu_nodes(ms));
    let copies = cpu_nodes.map(|nodes| nodes.ceil().max(1.0));
    let sets = match wanted.profile {
        Profile::Embedded => f64::from(wanted.replicas),
        Profile::Qdrant => 1.0,
    };
    braid.nodes = copies.map(|copies| (copies * sets) as u64);
    let memory_nodes = braid.memory_gib.map(|gib| sizing.memory_nodes(gib));
    let qdrant = (wanted.profile == Profile::Qdrant).then(|| sizing.qdrant(copies));
    let drivers = drivers(
        cpu_nodes,
        memory_nodes,
        qdrant.as_ref().and_then(|found| found.1),
    );
    Plan {
        wanted: wanted.clone(),
        problems: sizing.problems(memory_nodes),
        not_measured: not_measured(&braid, qdrant.as_ref().map(|found| &found.0), &sizing),
        braid,
        qdrant: qdrant.map(|found| found.0),
        ingest_hours: sizing.ingest_hours(),
        drivers,
        assumptions: sizing.assumptions(copies.is_some()),
        measured_chunks: measured.sizes.iter().map(|size| size.chunks).max(),
        errors: errors(measured),
    }
}

fn drivers(cpu: Option<f64>, memory: Option<f64>, qdrant: Option<f64>) -> Vec<Driver> {
    let found = [
        ("CPU of queries", cpu),
        ("memory of Braid", memory),
        ("memory of Qdrant", qdrant),
    ];
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
fn sum(parts: &[Part]) -> Option<f64> {
    parts.iter().map(|part| part.value).sum()
}

/// One question and what it is answered from.
struct Sizing<'a> {
    measured: &'a Measured,
    wanted: &'a Wanted,
}

impl Sizing<'_> {
    fn at(&self, component: Component) -> Option<f64> {
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
    fn query_cpu(&self) -> Vec<Part> {
        let models = &self.measured.models;
        let mut parts = match self.wanted.profile {
            Profile::Qdrant => {
                vec![self.part(Component::LexicalCpu, self.at(Component::LexicalCpu))]
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

    fn cpu_nodes(&self, query_ms: f64) -> f64 {
        self.wanted.qps * query_ms / 1000.0 / (f64::from(self.wanted.node_cores) * CPU_SHARE)
    }

    fn memory_nodes(&self, gib: f64) -> f64 {
        gib / (self.wanted.node_memory_gib * MEMORY_SHARE)
    }

    /// Qdrant for so many Braids, one where that is not known, and the nodes its memory takes.
    fn qdrant(&self, copies: Option<f64>) -> (Nodes, Option<f64>) {
        let (chunks, dimension) = (self.wanted.chunks as f64, self.wanted.dimension as f64);
        let gib = |bytes: f64| bytes * chunks * f64::from(self.wanted.replicas) / GIB;
        let whole = 4.0 * dimension;
        let resident = if self.wanted.vectors_on_disk {
            0.0
        } else {
            whole
        };
        let compressed = self.wanted.quantization.bytes(dimension);
        let part = |what, bytes: Option<f64>| Part {
            what,
            value: bytes.map(|bytes| gib(bytes) * copies.unwrap_or(1.0)),
        };
        let rest = part(
            "graph, ids and room for optimizers",
            Some((QDRANT_RULE - 1.0) * whole),
        );
        let compressed = part("compressed vectors", Some(compressed));
        let mut memory = vec![
            part("vectors in Qdrant", Some(resident)),
            compressed.clone(),
            rest.clone(),
        ];
        let payload = part("metadata in Qdrant", self.measured.qdrant.payload_bytes);
        let mut disk = vec![
            part("vectors in Qdrant", Some(whole)),
            compressed,
            rest,
            payload,
        ];
        let wanted = sum(&memory).map(|gib| self.memory_nodes(gib));
        let nodes = wanted.map(|nodes| nodes.ceil().max(f64::from(self.wanted.replicas)));
        for part in memory.iter_mut().chain(&mut disk) {
            part.value = part.value.zip(nodes).map(|(gib, nodes)| gib / nodes);
        }
        let search = self.measured.qdrant.search_cpu_ms;
        let found = Nodes {
            nodes: nodes.map(|nodes| nodes as u64),
            memory_gib: sum(&memory),
            memory,
            disk_gib: sum(&disk),
            disk,
            query_cpu_ms: search,
            query_cpu: vec![Part {
                what: "a search in Qdrant",
                value: search,
            }],
        };
        (found, wanted)
    }

    /// CPU milliseconds to ingest a chunk.
    fn ingest_cpu(&self) -> [Part; 2] {
        let embed = self.measured.models.embed_chunk_cpu_ms;
        [
            self.part(Component::IngestCpu, self.at(Component::IngestCpu)),
            Part {
                what: "embedding a chunk",
                value: embed,
            },
        ]
    }

    fn ingest_hours(&self) -> Option<f64> {
        let ms = sum(&self.ingest_cpu())?;
        let cores = f64::from(self.wanted.node_cores);
        Some(ms / 1000.0 * self.wanted.chunks as f64 / cores / 3600.0)
    }

    fn problems(&self, memory_nodes: Option<f64>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(nodes) = memory_nodes.filter(|nodes| *nodes > 1.0) {
            let gib = nodes * self.wanted.node_memory_gib;
            let advice = match self.wanted.profile {
                Profile::Embedded => "or put the vectors into Qdrant (--profile qdrant)",
                Profile::Qdrant => "or split the documents among several Braids",
            };
            problems.push(format!(
                "one Braid does not fit into a node: it needs one of {gib:.0} GiB; take a larger one (--node-memory), {advice}"
            ));
        }
        if self.wanted.chunks > u64::from(u32::MAX) && self.is_embedded() {
            problems.push(
                "the embedded vectors number chunks with 32 bits: at most 4,294,967,295".to_owned(),
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
            "sizes and the CPU of queries grow in proportion to the chunks, that of the graph with their logarithm".to_owned(),
        ];
        if self.wanted.dimension != self.measured.dimension {
            said.push(format!("measured with vectors of {} numbers: vectors take 4 bytes a number more or less, their comparison time in proportion, and the model is as fast as the bundled one", self.measured.dimension));
        }
        if !copies_known && !self.is_embedded() {
            said.push(
                "Qdrant is planned for one Braid: how many there must be was not measured"
                    .to_owned(),
            );
        }
        match self.wanted.profile {
            Profile::Embedded => said.push("each Braid has everything and ingests everything; the application spreads queries over them".to_owned()),
            Profile::Qdrant => said.extend([
                format!("Qdrant's memory is {QDRANT_RULE} x 4 bytes a number, its own published rule, not a measurement; compressed vectors come on top"),
                "each Braid has ledger and lexical index whole, and a collection of its own in Qdrant".to_owned(),
                "a search costs Braid what its lexical leg costs; calling Qdrant is not counted".to_owned(),
            ]),
        }
        said
    }
}
