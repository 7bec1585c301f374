//! Real nodes of Qdrant, as processes that a test starts and ends.

mod observe;
mod slowness;
mod spaces;

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub use observe::poll;
pub use slowness::Slowed;
pub use spaces::in_own_network;

/// The variable that names the binary of a server.
const BINARY: &str = "BRAID_TEST_QDRANT_BIN";

/// One node, or several that are a cluster, each on free ports of the loopback interface (or in a network
/// of its own) and with a folder of its own. All end, and their folders go, when this is dropped.
#[derive(Debug)]
pub struct QdrantNodes {
    nodes: Vec<Node>,
    /// Removed after the processes that write into it have ended.
    folder: TempDir,
}

/// How nodes are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeOptions {
    /// Whether gRPC and REST are served with the certificate of [`QdrantNodes::certificate`].
    pub tls: bool,
    /// Room of a node, in MiB, where its storage is a file system of its own: this takes user namespaces.
    pub room_mib: Option<u32>,
    /// Whether each node is in a network of its own and can be [cut off](QdrantNodes::cut). This process
    /// must be [in one too](in_own_network).
    pub apart: bool,
}

#[derive(Debug)]
struct Node {
    folder: PathBuf,
    host: Ipv4Addr,
    http: u16,
    grpc: u16,
    peer: u16,
    child: Option<Child>,
}

impl QdrantNodes {
    /// The binary that tests start, if they are told one; says that they are skipped where not.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn binary() -> Option<PathBuf> {
        let found = std::env::var_os(BINARY).map(PathBuf::from);
        if found.is_none() {
            eprintln!("skipped: set {BINARY} to the binary of a Qdrant server");
        }
        found
    }

    /// Starts `count` nodes of [`binary`](Self::binary), if there is one and the options can be had.
    pub async fn start(count: usize) -> Option<Self> {
        Self::start_with(count, NodeOptions::default()).await
    }

    /// As [`start`](Self::start), with options.
    ///
    /// # Panics
    /// Where a node does not get ready.
    pub async fn start_with(count: usize, options: NodeOptions) -> Option<Self> {
        let binary = Self::binary()?;
        if options.room_mib.is_some() && !spaces::has_own_file_systems() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        if options.tls {
            make_certificate(folder.path());
        }
        let nodes = (0..count).map(|index| Node::new(folder.path(), index, options));
        let mut nodes = Self {
            nodes: nodes.collect(),
            folder,
        };
        for index in 0..count {
            nodes.spawn(&binary, index, options);
            if !options.tls {
                nodes.wait_until_ready(index).await;
            }
        }
        if count > 1 {
            nodes.wait_until_joined().await;
        }
        Some(nodes)
    }

    /// The gRPC address of a node.
    pub fn url(&self, index: usize) -> String {
        format!("http://{}", self.address(index))
    }

    /// Where a node listens for gRPC.
    pub fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::from((self.nodes[index].host, self.nodes[index].grpc))
    }

    /// How many there are, those that are down included.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The authority that signed what nodes with TLS show, as a PEM file.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends a node at once, as `kill -9` or a power switch does.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&mut self, index: usize) {
        let mut child = self.nodes[index].child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it has ended");
    }

    /// Asks a node to end, and waits until it did.
    ///
    /// # Panics
    /// Where it does not run, or does not end.
    pub async fn terminate(&mut self, index: usize) {
        self.signal(index, "-TERM");
        let mut child = self.nodes[index].child.take().expect("it runs");
        poll("a node ends", async || {
            let ended = child.try_wait().expect("a child");
            ended.map(drop).ok_or_else(|| "it runs".to_owned())
        })
        .await;
    }

    /// Stops a node's time: it keeps its connections and answers nothing.
    pub fn pause(&self, index: usize) {
        self.signal(index, "-STOP");
    }

    /// Lets a paused node go on.
    pub fn resume(&self, index: usize) {
        self.signal(index, "-CONT");
    }

    /// Gives a node a tenth of the time, until what is returned is dropped.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn slow_down(&self, index: usize) -> Slowed {
        let child = self.nodes[index].child.as_ref().expect("it runs");
        Slowed::down(child.id())
    }

    /// Pulls the cable of a node that is [apart](NodeOptions::apart): nothing comes from it or gets to it,
    /// from other nodes either.
    ///
    /// # Panics
    /// Where it has none.
    pub fn cut(&self, index: usize) {
        spaces::plug(index, false);
    }

    /// Plugs in the cable of a node that was [cut off](Self::cut).
    ///
    /// # Panics
    /// Where it has none.
    pub fn join(&self, index: usize) {
        spaces::plug(index, true);
    }

    /// Starts a node that was ended, with what it had, and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub async fn start_again(&mut self, index: usize) {
        let binary = Self::binary().expect("the binary that it was started with");
        self.spawn(&binary, index, NodeOptions::default());
        self.wait_until_ready(index).await;
    }

    /// The room that [`fill`](Self::fill) took is free again.
    ///
    /// # Panics
    /// Where it was not taken.
    pub fn free(&self, index: usize) {
        std::fs::remove_file(self.inside(index).join("filler")).expect("what fill wrote");
    }

    /// Takes the room of a node that has a file system of its own, but for `left` MiB.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn fill(&self, index: usize, left: u32) {
        let path = self.inside(index).join("filler");
        let mut file = File::create(path).expect("a file");
        let piece = vec![1_u8; 1 << 20];
        while file.write_all(&piece).is_ok() {}
        let taken = file.metadata().expect("its size").len();
        let kept = taken.saturating_sub(u64::from(left) << 20);
        file.set_len(kept).expect("a shorter file");
    }

    /// A node's folder as the node sees it.
    fn inside(&self, index: usize) -> PathBuf {
        let node = &self.nodes[index];
        let pid = node.child.as_ref().expect("it runs").id();
        let folder = node.folder.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{pid}/root")).join(folder)
    }

    fn signal(&self, index: usize, signal: &str) {
        let child = self.nodes[index].child.as_ref().expect("it runs");
        send(signal, child.id());
    }

    fn spawn(&mut self, binary: &Path, index: usize, options: NodeOptions) {
        let seed = (index > 0).then(|| self.nodes[0].peer_url());
        let is_cluster = self.nodes.len() > 1;
        let node = &mut self.nodes[index];
        let mut command = node.command(index, binary, options);
        if is_cluster {
            command.env("QDRANT__CLUSTER__ENABLED", "true");
            command.args(["--uri", &node.peer_url()]);
            if let Some(seed) = seed {
                command.args(["--bootstrap", &seed]);
            }
        }
        if options.tls {
            let file = |name: &str| self.folder.path().join(name);
            command
                .env("QDRANT__SERVICE__ENABLE_TLS", "true")
                .env("QDRANT__TLS__CERT", file("node.pem"))
                .env("QDRANT__TLS__KEY", file("node.key"))
                .env("QDRANT__TLS__CA_CERT", file("ca.pem"));
        }
        node.child = Some(command.spawn().expect("the server starts"));
    }
}

impl Drop for QdrantNodes {
    fn drop(&mut self) {
        for mut child in self.nodes.iter_mut().filter_map(|node| node.child.take()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    fn new(folder: &Path, index: usize, options: NodeOptions) -> Self {
        let folder = folder.join(index.to_string());
        std::fs::create_dir(&folder).expect("a folder");
        let [http, grpc, peer] = free_ports();
        let host = match options.apart {
            true => spaces::host(index),
            false => Ipv4Addr::LOCALHOST,
        };
        Self {
            folder,
            host,
            http,
            grpc,
            peer,
            child: None,
        }
    }

    fn peer_url(&self) -> String {
        format!("http://{}:{}", self.host, self.peer)
    }

    fn command(&self, index: usize, binary: &Path, options: NodeOptions) -> Command {
        let log = self.folder.with_extension("log");
        let log = File::options().create(true).append(true).open(log);
        let log = log.expect("a log");
        let mut command = match options.room_mib {
            Some(mib) => spaces::within(&self.folder, mib, binary),
            None if options.apart => spaces::cabled(index, binary),
            None => Command::new(binary),
        };
        command
            .current_dir(&self.folder)
            .env("QDRANT__SERVICE__HOST", self.host.to_string())
            .env("QDRANT__SERVICE__HTTP_PORT", self.http.to_string())
            .env("QDRANT__SERVICE__GRPC_PORT", self.grpc.to_string())
            .env("QDRANT__CLUSTER__P2P__PORT", self.peer.to_string())
            .env("QDRANT__STORAGE__STORAGE_PATH", self.folder.join("storage"))
            .env(
                "QDRANT__STORAGE__SNAPSHOTS_PATH",
                self.folder.join("snapshots"),
            )
            .env("QDRANT__TELEMETRY_DISABLED", "true")
            // Graphs are built of what tests write, while they write it.
            .env("QDRANT__STORAGE__OPTIMIZERS__INDEXING_THRESHOLD_KB", "20")
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("the log"))
            .stdout(log);
        command
    }
}

/// Sends a signal to a process.
fn send(signal: &str, pid: u32) {
    let pid = pid.to_string();
    let done = Command::new("kill").args([signal, &pid]).status();
    assert!(done.expect("the command kill").success(), "{signal} {pid}");
}

/// Ports that nobody listened on just now.
fn free_ports<const N: usize>() -> [u16; N] {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let held = [(); N].map(|()| TcpListener::bind(any).expect("a free port"));
    held.map(|listener| listener.local_addr().expect("its address").port())
}

/// An authority and a certificate for the loopback interface that it signed.
fn make_certificate(folder: &Path) {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca \
            -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout node.key -out node.csr &&
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > node.ext &&
        openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile node.ext -out node.pem";
    let mut shell = Command::new("sh");
    let made = shell.args(["-ec", script]).current_dir(folder).output();
    let made = made.expect("a shell");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
