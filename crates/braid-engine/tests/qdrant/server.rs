//! The server of a world: a double, or a real node.

use braid_qdrant_double::{QdrantDouble, QdrantNodes};
use tokio::sync::Mutex;

#[derive(Debug)]
pub(crate) enum Server {
    Double(QdrantDouble),
    Real {
        url: String,
        nodes: Mutex<QdrantNodes>,
    },
}

impl From<QdrantDouble> for Server {
    fn from(double: QdrantDouble) -> Self {
        Self::Double(double)
    }
}

impl From<QdrantNodes> for Server {
    /// The first of the nodes is asked.
    fn from(nodes: QdrantNodes) -> Self {
        Self::Real {
            url: nodes.url(0),
            nodes: Mutex::new(nodes),
        }
    }
}

impl Server {
    /// A real node, or as many as the environment says, where it names the binary of one; a double
    /// otherwise.
    pub(crate) async fn start() -> Self {
        let count = std::env::var("BRAID_TEST_QDRANT_NODES").map_or(1, |it| it.parse().unwrap());
        match QdrantNodes::start(count).await {
            Some(nodes) => nodes.into(),
            None => QdrantDouble::start().into(),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Double(double) => double.url(),
            Self::Real { url, .. } => url.clone(),
        }
    }

    /// For faults that only the double has.
    pub(crate) fn double(&self) -> &QdrantDouble {
        match self {
            Self::Double(double) => double,
            Self::Real { .. } => panic!("faults are planned in the double"),
        }
    }

    /// For what only real nodes do.
    pub(crate) async fn nodes(&self) -> tokio::sync::MutexGuard<'_, QdrantNodes> {
        match self {
            Self::Double(_) => panic!("the double is one"),
            Self::Real { nodes, .. } => nodes.lock().await,
        }
    }

    /// Ends it as a kill does.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Double(double) => double.stop(),
            Self::Real { nodes, .. } => nodes.lock().await.kill(0),
        }
    }

    pub(crate) async fn start_again(&self) {
        match self {
            Self::Double(double) => double.start_again(),
            Self::Real { nodes, .. } => nodes.lock().await.start_again(0).await,
        }
    }

    pub(crate) async fn collections(&self) -> Vec<String> {
        match self {
            Self::Double(double) => double.collections(),
            Self::Real { nodes, .. } => nodes.lock().await.collections().await,
        }
    }

    pub(crate) async fn points(&self, collection: &str) -> usize {
        match self {
            Self::Double(double) => double.points(collection),
            Self::Real { nodes, .. } => nodes.lock().await.points(collection).await,
        }
    }

    pub(crate) async fn drop_collection(&self, collection: &str) {
        match self {
            Self::Double(double) => double.drop_collection(collection),
            Self::Real { nodes, .. } => nodes.lock().await.drop_collection(collection).await,
        }
    }

    pub(crate) async fn lose_points(&self, collection: &str, field: &str, values: &[i64]) -> usize {
        match self {
            Self::Double(double) => double.lose_points(collection, field, values),
            Self::Real { nodes, .. } => {
                let nodes = nodes.lock().await;
                nodes.lose_points(collection, field, values).await
            }
        }
    }
}
