//! Qdrant and the Braids before it: in profile `qdrant` it has the vectors, in profile `cluster` everything.

use super::model::{Component, StoreQuantity};
use super::nodes::{GIB, Nodes, Part, Profile, Sizing, sum};

/// Qdrant's published rule: memory is vectors * dimension * 4 bytes, times this, for graph, ids and the
/// optimizers' copies. Where nothing was measured.
pub(super) const RULE: f64 = 1.5;

/// Qdrant, and how many nodes each of its resources would take by itself.
pub(super) struct Store {
    pub(super) nodes: Nodes,
    pub(super) by_memory: Option<f64>,
    pub(super) by_cpu: Option<f64>,
}

impl Sizing<'_> {
    /// Qdrant for so many Braids that each have a collection of their own, one where that is not known.
    pub(super) fn store(&self, braids: Option<f64>) -> Store {
        let collections = match self.wanted.profile {
            Profile::Qdrant => braids.unwrap_or(1.0),
            Profile::Embedded | Profile::Cluster => 1.0,
        };
        let copies = f64::from(self.wanted.replicas) * collections;
        let (mut memory, mut disk) = (self.store_memory(), self.store_disk());
        for part in memory.iter_mut().chain(&mut disk) {
            part.value = part.value.map(|bytes| bytes * copies / GIB);
        }
        let query_cpu = self.store_part(StoreQuantity::QueryCpu);
        let by_memory = sum(&memory).map(|gib| self.memory_nodes(gib));
        let by_cpu = query_cpu.value.map(|ms| self.cpu_nodes(ms));
        let wanted = by_memory.map(|nodes| nodes.max(by_cpu.unwrap_or(0.0)));
        let nodes = wanted.map(|nodes| nodes.ceil().max(f64::from(self.wanted.replicas)));
        for part in memory.iter_mut().chain(&mut disk) {
            part.value = part.value.zip(nodes).map(|(gib, nodes)| gib / nodes);
        }
        let nodes = Nodes {
            nodes: nodes.map(|nodes| nodes as u64),
            memory_gib: sum(&memory),
            memory,
            disk_gib: sum(&disk),
            disk,
            query_cpu_ms: query_cpu.value,
            query_cpu: vec![query_cpu],
        };
        Store {
            nodes,
            by_memory,
            by_cpu,
        }
    }

    /// Bytes of one copy's memory.
    fn store_memory(&self) -> Vec<Part> {
        let resident = if self.wanted.vectors_on_disk {
            0.0
        } else {
            self.whole()
        };
        vec![
            part("vectors in Qdrant", Some(resident)),
            part("compressed vectors", Some(self.compressed())),
            part(self.rest_name(), self.rest(StoreQuantity::Memory)),
        ]
    }

    /// Bytes of one copy on disk.
    fn store_disk(&self) -> Vec<Part> {
        let rest = match self.wanted.profile {
            Profile::Cluster => "texts, words, heads and graph on disk",
            Profile::Embedded | Profile::Qdrant => "metadata and graph on disk",
        };
        vec![
            part("vectors in Qdrant", Some(self.whole())),
            part("compressed vectors", Some(self.compressed())),
            part(rest, self.rest(StoreQuantity::Disk)),
        ]
    }

    fn rest_name(&self) -> &'static str {
        match self.wanted.profile {
            Profile::Cluster => "words, ids, graph and the server itself",
            Profile::Embedded | Profile::Qdrant => "graph, ids and room for optimizers",
        }
    }

    /// What was measured beyond the vectors. The memory of profile `qdrant` has a rule where nothing was.
    fn rest(&self, quantity: StoreQuantity) -> Option<f64> {
        let measured_whole = 4.0 * self.measured.dimension as f64 * self.wanted.chunks as f64;
        let found = self.at(Component::Store(self.wanted.profile, quantity));
        let is_ruled = quantity == StoreQuantity::Memory && self.wanted.profile == Profile::Qdrant;
        match found {
            Some(bytes) => Some((bytes - measured_whole).max(0.0)),
            None => is_ruled.then(|| (RULE - 1.0) * self.whole()),
        }
    }

    /// Bytes of the vectors as they are.
    fn whole(&self) -> f64 {
        4.0 * self.wanted.dimension as f64 * self.wanted.chunks as f64
    }

    fn compressed(&self) -> f64 {
        self.wanted.quantization.bytes(self.wanted.dimension as f64) * self.wanted.chunks as f64
    }

    /// Whether the published rule stands for a measurement.
    pub(super) fn is_ruled(&self) -> bool {
        let memory = Component::Store(Profile::Qdrant, StoreQuantity::Memory);
        self.wanted.profile == Profile::Qdrant && self.at(memory).is_none()
    }

    /// A quantity of the wanted profile.
    pub(super) fn store_part(&self, quantity: StoreQuantity) -> Part {
        let component = Component::Store(self.wanted.profile, quantity);
        part(component.name(), self.at(component))
    }

    /// A query server of profile `cluster`: it keeps nothing.
    pub(super) fn query_server(&self) -> Nodes {
        let memory = self.store_part(StoreQuantity::BraidMemory);
        let memory = Part {
            value: memory.value.map(|bytes| bytes / GIB),
            ..memory
        };
        let query_cpu = self.query_cpu();
        Nodes {
            nodes: None,
            memory_gib: memory.value,
            memory: vec![memory],
            disk_gib: Some(0.0),
            disk: Vec::new(),
            query_cpu_ms: sum(&query_cpu),
            query_cpu,
        }
    }
}

fn part(what: &'static str, value: Option<f64>) -> Part {
    Part { what, value }
}
