//! What so many chunks take in a Qdrant server, for `eval/capacity/measured.json`.
//!
//! Each size has a node of its own, started here and ended after it: its disk, its memory and its CPU time
//! are then those of the collection alone.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use braid_engine::file_bytes;
use braid_eval::capacity::{MeasuredStore, Profile};

use super::capacity::{Asked, Loaded, bytes, cpu_seconds, run_child};
use super::empty;
use crate::machine::field;
use crate::{Cli, say};

/// How long a node may take to start.
const START: Duration = Duration::from_secs(60);
/// A node rests when it takes less than this share of a core.
const RESTING: f64 = 0.05;
const LOOK: Duration = Duration::from_secs(2);
/// Qdrant's name for the file of a segment's graph.
const GRAPH: &str = "graph.bin";
/// How long its optimizers may work on.
const REST: Duration = Duration::from_secs(3600);

/// Every wanted profile at every size, each told as it is known; nothing without a Qdrant to start.
pub(super) fn measure(cli: &Cli, mut tell: impl FnMut(MeasuredStore) -> Result<()>) -> Result<()> {
    let Some(binary) = &cli.sizes.qdrant_bin else {
        say("no --qdrant-bin: what was measured of Qdrant before stays");
        return Ok(());
    };
    for profile in &cli.sizes.store_profiles {
        for chunks in &cli.sizes.store_chunks {
            let store = measure_size(cli, binary, *profile, *chunks)?;
            say(format!("{store:#?}"));
            tell(store)?;
        }
    }
    Ok(())
}

fn measure_size(
    cli: &Cli,
    binary: &Path,
    profile: StoreProfile,
    chunks: u64,
) -> Result<MeasuredStore> {
    let node = Node::start(binary, cli.work.join("capacity-qdrant"))?;
    let arguments = [
        "--store-profile".to_owned(),
        profile.name().to_owned(),
        "--store-url".to_owned(),
        node.url.clone(),
    ];
    let before = cpu_seconds(Some(node.pid()))?;
    let loaded: Loaded = run_child(cli, "capacity-load", chunks, &arguments)?;
    node.rest()?;
    let after = cpu_seconds(Some(node.pid()))?;
    let has_graph = has_file(&node.directory.join("storage"), GRAPH)?;
    let asking = [
        &arguments[..],
        &["--store-pid".to_owned(), node.pid().to_string()],
    ]
    .concat();
    let asked: Asked = run_child(cli, "capacity-ask", chunks, &asking)?;
    Ok(MeasuredStore {
        profile: profile.planned(),
        server: version(binary)?,
        chunks: loaded.chunks,
        disk_bytes: file_bytes(&node.directory.join("storage")),
        memory_bytes: node.resident_bytes()?,
        has_graph,
        ingest_cpu_seconds: after - before,
        braid_ingest_cpu_seconds: loaded.cpu_seconds,
        query_cpu_ms: asked.server_cpu_ms.context("no time of the server")?,
        braid_query_cpu_ms: asked.hybrid_cpu_ms,
        braid_memory_bytes: bytes(asked.peak_mib),
    })
}

/// A profile that has a Qdrant server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StoreProfile {
    /// It has the vectors.
    Qdrant,
    /// It has everything.
    Cluster,
}

impl StoreProfile {
    fn name(self) -> &'static str {
        match self {
            Self::Qdrant => "qdrant",
            Self::Cluster => "cluster",
        }
    }

    fn planned(self) -> Profile {
        match self {
            Self::Qdrant => Profile::Qdrant,
            Self::Cluster => Profile::Cluster,
        }
    }

    pub(super) fn configured(self) -> braid_config::StorageProfile {
        match self {
            Self::Qdrant => braid_config::StorageProfile::Qdrant,
            Self::Cluster => braid_config::StorageProfile::Cluster,
        }
    }
}

/// A Qdrant server of one node on the loopback interface, killed when dropped.
struct Node {
    child: Child,
    directory: PathBuf,
    url: String,
}

impl Node {
    /// Starts one on an empty directory and waits until it listens.
    fn start(binary: &Path, directory: PathBuf) -> Result<Self> {
        empty(&directory)?;
        std::fs::create_dir_all(&directory)?;
        let (http, grpc) = (free_port()?, free_port()?);
        let log = std::fs::File::create(directory.join("log"))?;
        let child = Command::new(binary)
            .current_dir(&directory)
            .env("QDRANT__STORAGE__STORAGE_PATH", "storage")
            .env("QDRANT__STORAGE__SNAPSHOTS_PATH", "snapshots")
            .env("QDRANT__SERVICE__HOST", "127.0.0.1")
            .env("QDRANT__SERVICE__HTTP_PORT", http.to_string())
            .env("QDRANT__SERVICE__GRPC_PORT", grpc.to_string())
            .env("QDRANT__TELEMETRY_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let url = format!("http://127.0.0.1:{grpc}");
        let mut node = Self {
            child,
            directory,
            url,
        };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, grpc)).is_err() {
            if let Some(status) = node.child.try_wait()? {
                bail!("Qdrant stopped at once: {status}");
            }
            if start.elapsed() > START {
                bail!("Qdrant does not listen after {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(node)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it does next to nothing.
    fn rest(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let (looked, before) = (Instant::now(), cpu_seconds(Some(self.pid()))?);
            std::thread::sleep(LOOK);
            let spent = cpu_seconds(Some(self.pid()))? - before;
            if spent < RESTING * looked.elapsed().as_secs_f64() {
                return Ok(());
            }
            if start.elapsed() > REST {
                bail!("Qdrant does not rest");
            }
        }
    }

    fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let text = field(&path, "VmRSS").context("no VmRSS in /proc/PID/status")?;
        let kib: u64 = text.split(' ').next().unwrap_or("").parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is a file of that name somewhere in a folder.
fn has_file(folder: &Path, name: &str) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_found = match entry.file_type()?.is_dir() {
            true => has_file(&entry.path(), name)?,
            false => entry.file_name() == name,
        };
        if is_found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// As the binary says it.
fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(said.trim_start_matches("qdrant ").to_owned())
}
