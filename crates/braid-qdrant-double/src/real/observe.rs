//! What nodes say of themselves, and waiting for it.

use std::time::{Duration, Instant};

use ::qdrant_client::Qdrant;
use ::qdrant_client::qdrant::{
    Condition, CountPointsBuilder, DeletePointsBuilder, Filter, ReplicaState,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Node, QdrantNodes};

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(180);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something, and returns it.
///
/// # Panics
/// With what was found instead at last, when the deadline is over.
pub async fn poll<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(start.elapsed() < DEADLINE, "{what}: {instead}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl QdrantNodes {
    /// The names of all collections, as a node that runs knows them.
    pub async fn collections(&self) -> Vec<String> {
        let listed = self.client(self.running()).list_collections().await;
        let listed = listed.expect("a node that answers").collections;
        let mut names: Vec<String> = listed.into_iter().map(|it| it.name).collect();
        names.sort();
        names
    }

    /// Points of a collection, whatever they are, as a node that runs counts them.
    pub async fn points(&self, collection: &str) -> usize {
        let request = CountPointsBuilder::new(collection).exact(true);
        let counted = self.client(self.running()).count(request).await;
        let counted = counted.expect("a node that answers").result;
        counted.map_or(0, |counted| counted.count as usize)
    }

    /// Waits until a collection has so many points.
    pub async fn wait_for_points(&self, collection: &str, least: usize) {
        let request = || CountPointsBuilder::new(collection).exact(true);
        let client = self.client(self.running());
        poll("points come", async || {
            let counted = client.count(request()).await.map_err(|it| it.to_string())?;
            let count = counted.result.map_or(0, |it| it.count as usize);
            if count >= least {
                Ok(())
            } else {
                Err(format!("{count} of {least}"))
            }
        })
        .await;
    }

    /// The node whose peer id is the highest: it orders the writes of Qdrant's ordering `strong`, where
    /// every node has a copy.
    pub async fn ordering(&self) -> usize {
        let mut found = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let said = get(node, "/cluster").await.expect("a node that answers");
            found.push((peer_id(&said).expect("its peer id"), index));
        }
        let (_, highest) = found.into_iter().max().expect("nodes");
        highest
    }

    /// Removes a collection, as somebody does who has the key.
    pub async fn drop_collection(&self, collection: &str) {
        let client = self.client(self.running());
        let dropped = client.delete_collection(collection).await;
        dropped.expect("a node that answers");
    }

    /// Removes the points whose integer payload `field` is among `values`; returns how many there were.
    pub async fn lose_points(&self, collection: &str, field: &str, values: &[i64]) -> usize {
        let before = self.points(collection).await;
        let filter = Filter::must([Condition::matches(field, values.to_vec())]);
        let request = DeletePointsBuilder::new(collection)
            .points(filter)
            .wait(true);
        let deleted = self.client(self.running()).delete_points(request).await;
        deleted.expect("a node that answers");
        before - self.points(collection).await
    }

    /// Waits until every replica of every collection is active, as every node sees it.
    pub async fn wait_until_whole(&self) {
        for index in 0..self.count() {
            let client = self.client(index);
            poll("replicas are active", async || is_whole(&client).await).await;
        }
    }

    pub(super) async fn wait_until_ready(&self, index: usize) {
        let node = &self.nodes[index];
        let log = node.folder.with_extension("log");
        poll("a node is ready", async || {
            let answer = get(node, "/readyz").await?;
            let is_ready = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200");
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            is_ready.then_some(()).ok_or_else(|| answer + &said())
        })
        .await;
        let client = self.client(index);
        poll("a node listens for gRPC", async || {
            let answered = client.health_check().await;
            answered.map(drop).map_err(|it| it.to_string())
        })
        .await;
    }

    /// Waits until every node knows all and who leads.
    pub(super) async fn wait_until_joined(&self) {
        for node in &self.nodes {
            poll("the cluster is formed", async || {
                let said = get(node, "/cluster").await?;
                let peers = said.matches("\"uri\":").count();
                let is_led = said.contains("\"leader\":") && !said.contains("\"leader\":null");
                if peers == self.nodes.len() && is_led {
                    Ok(())
                } else {
                    Err(said)
                }
            })
            .await;
        }
    }

    fn running(&self) -> usize {
        let running = self.nodes.iter().position(|node| node.child.is_some());
        running.expect("a node that runs")
    }

    fn client(&self, index: usize) -> Qdrant {
        let config = Qdrant::from_url(&self.url(index)).timeout(DEADLINE / 2);
        config.skip_compatibility_check().build().expect("a client")
    }
}

/// The id of a node, by what it says of its cluster.
fn peer_id(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("\"peer_id\":")?;
    let end = rest.find(|it: char| !it.is_ascii_digit())?;
    rest[..end].parse().ok()
}

async fn is_whole(client: &Qdrant) -> Result<(), String> {
    let failed = |error: ::qdrant_client::QdrantError| error.to_string();
    for collection in client.list_collections().await.map_err(failed)?.collections {
        let name = collection.name;
        let info = client
            .collection_cluster_info(&name)
            .await
            .map_err(failed)?;
        let local = info.local_shards.iter().map(|it| it.state);
        let remote = info.remote_shards.iter().map(|it| it.state);
        let is_active = |state: i32| state == i32::from(ReplicaState::Active);
        if !local.chain(remote).all(is_active) || !info.shard_transfers.is_empty() {
            return Err(format!("{name}: {info:?}"));
        }
    }
    Ok(())
}

/// The answer to a request over HTTP, or why there is none.
async fn get(node: &Node, path: &str) -> Result<String, String> {
    let asked = async {
        let mut stream = TcpStream::connect((node.host, node.http)).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    asked
        .await
        .map_err(|error: std::io::Error| error.to_string())
}
