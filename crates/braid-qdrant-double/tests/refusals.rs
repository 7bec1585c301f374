//! What the double refuses, as a real client sees it; and that a real server refuses it too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ::qdrant_client::qdrant::{
    Condition, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    Filter, HnswConfigDiffBuilder, PointStruct, Query, QueryPointGroupsBuilder, QueryPointsBuilder,
    ScrollPointsBuilder, StrictModeConfigBuilder, UpsertPointsBuilder, VectorParamsBuilder,
};
use ::qdrant_client::{Payload, Qdrant, QdrantError};
use braid_qdrant_double::{QdrantDouble, Strictness};
use tonic::Code;

/// A server and a name of a collection that nobody else has.
struct Asked {
    client: Qdrant,
    name: String,
}

impl Asked {
    fn of(url: &str, key: Option<&str>) -> Self {
        let config = Qdrant::from_url(url).skip_compatibility_check();
        Self {
            client: config.api_key(key).build().unwrap(),
            name: format!("braid-refusals-{}", uuid::Uuid::new_v4().simple()),
        }
    }

    fn creation(&self) -> CreateCollectionBuilder {
        let strict = StrictModeConfigBuilder::default()
            .enabled(true)
            .max_query_limit(MOST_HITS)
            .upsert_max_batchsize(MOST_POINTS)
            .unindexed_filtering_retrieve(false);
        let vectors = VectorParamsBuilder::new(2, Distance::Cosine);
        CreateCollectionBuilder::new(&self.name)
            .vectors_config(vectors)
            .strict_mode_config(strict)
    }

    async fn made(&self) -> Result<(), QdrantError> {
        let made = self.client.create_collection(self.creation()).await;
        made.map(drop)
    }

    async fn put(&self, points: Vec<PointStruct>) -> Result<(), QdrantError> {
        let request = UpsertPointsBuilder::new(&self.name, points).wait(true);
        self.client.upsert_points(request).await.map(drop)
    }

    async fn asked(&self, limit: u64, filter: Filter) -> Result<usize, QdrantError> {
        let query = Query::new_nearest(vec![1.0, 0.0]);
        let request = QueryPointsBuilder::new(&self.name)
            .query(query)
            .limit(limit)
            .filter(filter);
        Ok(self.client.query(request).await?.result.len())
    }

    async fn listed(&self, limit: u32) -> Result<usize, QdrantError> {
        let request = ScrollPointsBuilder::new(&self.name).limit(limit);
        Ok(self.client.scroll(request).await?.result.len())
    }
}

/// What the collection's strict mode, and the double, let through.
const MOST_HITS: u32 = 100;
const MOST_POINTS: u64 = 3;

fn point(id: impl Into<::qdrant_client::qdrant::PointId>, vector: Vec<f32>) -> PointStruct {
    PointStruct::new(id, vector, Payload::new())
}

#[track_caller]
fn refused<T>(done: Result<T, QdrantError>, code: Code, words: &str) {
    let error = done.err().expect("a refusal");
    let QdrantError::ResponseError { status } = error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_refuses_what_a_server_refuses() {
    let double = QdrantDouble::start_with(Strictness {
        indexed_filters_only: true,
        max_batch: Some(MOST_POINTS as usize),
        max_limit: Some(MOST_HITS.into()),
        api_key: None,
    });
    let asked = Asked::of(&double.url(), None);
    refuses(&asked).await;
    let groups = QueryPointGroupsBuilder::new(&asked.name, "kind").query(Query::new_nearest(1));
    let unused = asked.client.query_groups(groups).await;
    refused(unused, Code::Unimplemented, "does not call query_groups");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_refuses_it() {
    let Ok(url) = std::env::var("BRAID_TEST_QDRANT_URL") else {
        eprintln!("skipped: set BRAID_TEST_QDRANT_URL to the gRPC address of a Qdrant server");
        return;
    };
    let key = std::env::var("BRAID_TEST_QDRANT_API_KEY").ok();
    let asked = Asked::of(&url, key.as_deref());
    refuses(&asked).await;
    asked.client.delete_collection(&asked.name).await.unwrap();
}

async fn refuses(server: &Asked) {
    let bad = Code::InvalidArgument;
    let one = || vec![point(1, vec![1.0, 0.0])];
    refused(server.put(one()).await, Code::NotFound, "doesn't exist");
    refused(server.listed(1).await, Code::NotFound, "doesn't exist");
    let client = &server.client;
    let cosine = |size| VectorParamsBuilder::new(size, Distance::Cosine);
    for size in [0, 65_537] {
        let odd = server.creation().vectors_config(cosine(size));
        refused(client.create_collection(odd).await, bad, "");
    }
    let effort = HnswConfigDiffBuilder::default().ef_construct(3);
    let hasty = server.creation().hnsw_config(effort);
    refused(client.create_collection(hasty).await, bad, "ef_construct");
    let nowhere = server.creation().replication_factor(0);
    refused(client.create_collection(nowhere).await, bad, "");
    server.made().await.unwrap();
    let there = "already exists";
    refused(server.made().await, Code::AlreadyExists, there);

    server.put(one()).await.unwrap();
    let wide = vec![point(2, vec![1.0, 0.0, 0.0])];
    let dimension = "Vector dimension error: expected dim: 2, got 3";
    refused(server.put(wide).await, bad, dimension);
    let odd = vec![point("not a uuid", vec![1.0, 0.0])];
    refused(server.put(odd).await, bad, "Unable to parse UUID");
    let mut bare = one();
    bare[0].vectors = None;
    refused(server.put(bare).await, bad, "Expected some vectors");
    let many = (0..4).map(|id| point(id, vec![1.0, 0.0])).collect();
    refused(server.put(many).await, bad, "imit");
    assert_eq!(
        server.listed(10).await.unwrap(),
        1,
        "what is refused leaves nothing"
    );

    let everything = Filter::default;
    refused(server.listed(0).await, bad, "limit");
    refused(server.asked(0, everything()).await, bad, "limit");
    refused(server.asked(101, everything()).await, bad, "imit");
    let filter = || Filter::must([Condition::matches("kind", "x".to_owned())]);
    let missing = "Index required but not found for \"kind\"";
    refused(server.asked(1, filter()).await, bad, missing);
    for kind in [FieldType::Float, FieldType::Keyword] {
        let index = CreateFieldIndexCollectionBuilder::new(&server.name, "kind", kind).wait(true);
        client.create_field_index(index).await.unwrap();
        let is_fitting = kind == FieldType::Keyword;
        assert_eq!(server.asked(1, filter()).await.is_ok(), is_fitting);
    }
    let path = Filter::must([Condition::matches("a b", "x".to_owned())]);
    refused(server.asked(1, path).await, bad, "Invalid json path");
    client
        .delete_collection("braid-refusals-none")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_of_every_call() {
    let double = QdrantDouble::start_with(Strictness {
        api_key: Some("right".to_owned()),
        ..Strictness::default()
    });
    for key in [None, Some("wrong")] {
        let asked = Asked::of(&double.url(), key);
        refused(asked.made().await, Code::Unauthenticated, "API key");
        let health = asked.client.health_check().await;
        refused(health, Code::Unauthenticated, "API key");
    }
    let asked = Asked::of(&double.url(), Some("right"));
    asked.made().await.unwrap();
}
