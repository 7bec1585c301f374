//! A way to servers that can be cut.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a server may take to accept a connection before the next one is tried.
const ACCEPTED: Duration = Duration::from_secs(1);

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// They are carried to the first of the servers that takes one.
    Whole,
    /// They are closed, and new ones too.
    Closed,
    /// They stay open and nothing comes through: what was open then is silent for good, as where a
    /// firewall forgot it.
    Silent,
}

/// A port that passes for servers. It ends when it is dropped.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    link: watch::Sender<Link>,
    running: Option<Runtime>,
}

impl Wire {
    /// A whole way to `servers`.
    ///
    /// # Panics
    /// Where the loopback interface has no port to give.
    pub fn to(servers: Vec<SocketAddr>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket");
        let link = watch::Sender::new(Link::Whole);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wire")
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(accept(listener, servers.into(), link.clone()));
        Self {
            address,
            link,
            running: Some(runtime),
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of connections from now on.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, servers: Arc<[SocketAddr]>, link: watch::Sender<Link>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(carry(stream, Arc::clone(&servers), link.subscribe()));
    }
}

async fn carry(mut near: TcpStream, servers: Arc<[SocketAddr]>, mut link: watch::Receiver<Link>) {
    let mut found = None;
    for server in &*servers {
        if found.is_none() {
            let connected = timeout(ACCEPTED, TcpStream::connect(server)).await;
            found = connected.ok().and_then(std::io::Result::ok);
        }
    }
    let Some(mut far) = found else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let cut = tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => return,
        cut = link.wait_for(|link| *link != Link::Whole) => cut.map(|link| *link),
    };
    if cut.is_ok_and(|cut| cut == Link::Silent) {
        std::future::pending::<()>().await;
    }
}
