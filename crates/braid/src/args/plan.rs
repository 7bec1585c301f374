//! What `braid plan` takes.

use braid_eval::capacity::{Profile, Quantization, Wanted};
use clap::{Args, ValueEnum};

/// `braid plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Chunks, such as 250000 or 1e9: a document has one for every 180 tokens or so
    #[arg(long, value_name = "N", value_parser = chunks)]
    chunks: u64,
    /// Queries a second
    #[arg(long, value_name = "N", value_parser = rate)]
    qps: f64,
    /// Numbers in a vector
    #[arg(long, value_name = "D", default_value_t = 384, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    dimension: u32,
    /// Where everything is
    #[arg(long, value_enum, default_value_t)]
    profile: PlanProfile,
    /// How Qdrant compresses vectors for searching
    #[arg(long, value_enum, default_value_t)]
    quantization: PlanQuantization,
    /// Qdrant reads whole vectors from disk
    #[arg(long)]
    vectors_on_disk: bool,
    /// Machines that ingest, of profile cluster
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    workers: Option<u32>,
    /// Embedded: complete sets of nodes, each for all queries; otherwise: copies of each shard
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    replicas: u32,
    /// Memory of a node
    #[arg(long, value_name = "GIB", default_value = "64", value_parser = memory)]
    node_memory: f64,
    /// Cores of a node
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    node_cores: u32,
    /// Queries are not re-ranked
    #[arg(long)]
    no_rerank: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PlanProfile {
    /// In the data directory
    #[default]
    Embedded,
    /// Vectors in Qdrant, the rest in the data directory
    Qdrant,
    /// In Qdrant
    Cluster,
}

/// How Qdrant compresses vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PlanQuantization {
    /// It does not
    #[default]
    None,
    /// A byte a number
    Scalar,
    /// A bit a number
    Binary,
}

impl PlanArgs {
    /// What is planned for.
    ///
    /// # Errors
    /// For options of Qdrant without it.
    pub(crate) fn wanted(&self) -> Result<Wanted, &'static str> {
        let compressed = self.quantization != PlanQuantization::None;
        if self.profile == PlanProfile::Embedded && (compressed || self.vectors_on_disk) {
            return Err("--quantization and --vectors-on-disk are of --profile qdrant and cluster");
        }
        if self.profile != PlanProfile::Cluster && self.workers.is_some() {
            return Err("--workers is of --profile cluster");
        }
        Ok(Wanted {
            chunks: self.chunks,
            qps: self.qps,
            dimension: self.dimension as usize,
            profile: match self.profile {
                PlanProfile::Embedded => Profile::Embedded,
                PlanProfile::Qdrant => Profile::Qdrant,
                PlanProfile::Cluster => Profile::Cluster,
            },
            quantization: match self.quantization {
                PlanQuantization::None => Quantization::None,
                PlanQuantization::Scalar => Quantization::Scalar,
                PlanQuantization::Binary => Quantization::Binary,
            },
            vectors_on_disk: self.vectors_on_disk,
            replicas: self.replicas,
            workers: self.workers.unwrap_or(1),
            node_memory_gib: self.node_memory,
            node_cores: self.node_cores,
            rerank: !self.no_rerank,
        })
    }
}

/// More chunks than anyone has; beyond it, numbers lose their last digits.
const MOST_CHUNKS: f64 = 1e13;

fn chunks(text: &str) -> Result<u64, String> {
    let number = finite(text)?;
    if number.fract() != 0.0 || !(1.0..=MOST_CHUNKS).contains(&number) {
        return Err(format!("must be a whole number from 1 to {MOST_CHUNKS:e}"));
    }
    Ok(number as u64)
}

fn rate(text: &str) -> Result<f64, String> {
    let number = finite(text)?;
    if (0.0..=1e9).contains(&number) {
        Ok(number)
    } else {
        Err("must be from 0 to 1e9".to_owned())
    }
}

fn memory(text: &str) -> Result<f64, String> {
    let number = finite(text)?;
    if (0.1..=1e6).contains(&number) {
        Ok(number)
    } else {
        Err("must be from 0.1 to 1e6".to_owned())
    }
}

fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err("it is not a number".to_owned())
    }
}
