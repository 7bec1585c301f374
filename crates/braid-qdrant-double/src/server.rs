//! The double as a process: started, stopped, started again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use ::qdrant_client::qdrant::collections_server::CollectionsServer;
use ::qdrant_client::qdrant::points_server::PointsServer;
use ::qdrant_client::qdrant::qdrant_server::QdrantServer;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::faults::{Fault, Kind};
use crate::services::Services;
use crate::state::{State, Strictness};

/// Largest message it takes, as a server does not limit it.
const MESSAGE_BYTES: usize = usize::MAX;

/// A Qdrant in memory, behind a port. It stops when it is dropped.
#[derive(Debug)]
pub struct QdrantDouble {
    state: Arc<State>,
    address: SocketAddr,
    running: Mutex<Option<Runtime>>,
}

impl QdrantDouble {
    /// A server without limits or key.
    pub fn start() -> Self {
        Self::start_with(Strictness::default())
    }

    /// A server that refuses more.
    ///
    /// # Panics
    /// Where the loopback interface has no port to give.
    pub fn start_with(strictness: Strictness) -> Self {
        let state = Arc::new(State::new(strictness));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let running = Mutex::new(Some(serve(Arc::clone(&state), listener)));
        Self {
            state,
            address,
            running,
        }
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as a kill does: connections are cut, calls under way get no answer. What it has is kept.
    pub fn stop(&self) {
        if let Some(runtime) = self.running.lock().take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// Where another process took the port.
    pub fn start_again(&self) {
        let mut running = self.running.lock();
        if running.is_none() {
            let listener = TcpListener::bind(self.address).expect("its port");
            *running = Some(serve(Arc::clone(&self.state), listener));
        }
    }

    /// The next `times` calls of `kind` have this fault.
    pub fn inject(&self, kind: Kind, fault: Fault, times: usize) {
        self.state.faults.plan(kind, fault, times);
    }

    /// Lets held calls go on.
    pub fn release(&self) {
        self.state.faults.release();
    }

    /// Takes back the faults that no call had yet, and lets held calls go on.
    pub fn heal(&self) {
        self.state.faults.clear();
    }

    /// Waits until a call is held.
    pub async fn holds_a_call(&self) {
        let mut held = self.state.faults.held();
        // Its sender lives as long as this.
        let _ = held.wait_for(|held| *held > 0).await;
    }

    /// Remembers everything as it is, for a copy that falls behind.
    pub fn remember(&self) {
        self.state.remember();
    }

    /// Lets one copy be as it was when that was [remembered](Self::remember): points that are read by
    /// their ids are read of it where no other copies are asked. Where others are asked, it is one of
    /// them if it `is_compared`, and points on which they disagree are not found.
    pub fn lag(&self, is_compared: bool) {
        self.state.lag(is_compared);
    }

    /// Brings that copy up to date.
    pub fn catch_up(&self) {
        self.state.catch_up();
    }

    /// How many calls of this kind came.
    pub fn calls(&self, kind: Kind) -> u64 {
        self.state.calls(kind)
    }

    /// How many searches came: those of a batch one by one, which [`calls`](Self::calls) counts as one.
    pub fn searches(&self) -> u64 {
        self.state.searches()
    }

    /// The names of its collections.
    pub fn collections(&self) -> Vec<String> {
        self.state.collections.lock().keys().cloned().collect()
    }

    /// Forgets a collection, as somebody does who deletes it.
    pub fn drop_collection(&self, name: &str) {
        self.state.collections.lock().remove(name);
    }

    /// Removes the points whose integer payload `field` is among `values`, as a fault of a disk does;
    /// returns how many there were.
    pub fn lose_points(&self, collection: &str, field: &str, values: &[i64]) -> usize {
        self.state.lose_points(collection, field, values)
    }

    /// Points of a collection, whatever they are.
    pub fn points(&self, collection: &str) -> usize {
        let collections = self.state.collections.lock();
        collections.get(collection).map_or(0, |it| it.points.len())
    }

    /// The fields of a collection that have an index.
    pub fn indexes(&self, collection: &str) -> Vec<String> {
        let collections = self.state.collections.lock();
        let found = collections.get(collection);
        found.map_or_else(Vec::new, |it| it.indexes.keys().cloned().collect())
    }
}

impl Drop for QdrantDouble {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(state: Arc<State>, listener: TcpListener) -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("qdrant-double")
        .enable_all()
        .build()
        .expect("a runtime");
    listener.set_nonblocking(true).expect("a socket");
    let services = Services::new(state);
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let points = PointsServer::new(services.clone()).max_decoding_message_size(MESSAGE_BYTES);
        let served = Server::builder()
            .add_service(points)
            .add_service(CollectionsServer::new(services.clone()))
            .add_service(QdrantServer::new(services))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        served.await.expect("the double serves until it is stopped");
    });
    runtime
}
