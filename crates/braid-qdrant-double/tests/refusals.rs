//! What the double refuses, as a real client sees it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ::qdrant_client::qdrant::{
    Condition, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    Filter, PointStruct, Query, QueryPointGroupsBuilder, QueryPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use ::qdrant_client::{Payload, Qdrant, QdrantError};
use braid_qdrant_double::{QdrantDouble, Strictness};
use tonic::Code;

fn client(double: &QdrantDouble, key: Option<&str>) -> Qdrant {
    let config = Qdrant::from_url(&double.url()).skip_compatibility_check();
    config.api_key(key).build().unwrap()
}

async fn made(client: &Qdrant) -> Result<(), QdrantError> {
    let vectors = VectorParamsBuilder::new(2, Distance::Cosine);
    let request = CreateCollectionBuilder::new("a").vectors_config(vectors);
    client.create_collection(request).await.map(drop)
}

fn point(id: impl Into<::qdrant_client::qdrant::PointId>, vector: Vec<f32>) -> PointStruct {
    PointStruct::new(id, vector, Payload::new())
}

async fn put(client: &Qdrant, points: Vec<PointStruct>) -> Result<(), QdrantError> {
    let request = UpsertPointsBuilder::new("a", points).wait(true);
    client.upsert_points(request).await.map(drop)
}

async fn asked(client: &Qdrant, limit: u64, filter: Filter) -> Result<usize, QdrantError> {
    let query = Query::new_nearest(vec![1.0, 0.0]);
    let request = QueryPointsBuilder::new("a")
        .query(query)
        .limit(limit)
        .filter(filter);
    Ok(client.query(request).await?.result.len())
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
async fn what_a_server_refuses() {
    let double = QdrantDouble::start_with(Strictness {
        indexed_filters_only: true,
        max_batch: Some(3),
        max_limit: Some(100),
        api_key: None,
    });
    let client = client(&double, None);
    let bad = Code::InvalidArgument;
    let one = || vec![point(1, vec![1.0, 0.0])];
    refused(put(&client, one()).await, Code::NotFound, "doesn't exist");
    made(&client).await.unwrap();
    refused(made(&client).await, Code::AlreadyExists, "already exists");

    put(&client, one()).await.unwrap();
    let wide = vec![point(2, vec![1.0, 0.0, 0.0])];
    let dimension = "Vector dimension error: expected dim: 2, got 3";
    refused(put(&client, wide).await, bad, dimension);
    let odd = vec![point("not a uuid", vec![1.0, 0.0])];
    refused(put(&client, odd).await, bad, "Unable to parse UUID");
    let mut bare = one();
    bare[0].vectors = None;
    refused(put(&client, bare).await, bad, "Expected some vectors");
    let many = (0..4).map(|id| point(id, vec![1.0, 0.0])).collect();
    refused(put(&client, many).await, bad, "Limit exceeded");
    assert_eq!(double.points("a"), 1, "what is refused leaves nothing");

    refused(asked(&client, 0, Filter::default()).await, bad, "limit");
    refused(asked(&client, 101, Filter::default()).await, bad, "limit");
    let filter = || Filter::must([Condition::matches("kind", "x".to_owned())]);
    let missing = "Index required but not found for \"kind\"";
    refused(asked(&client, 1, filter()).await, bad, missing);
    for kind in [FieldType::Float, FieldType::Keyword] {
        let index = CreateFieldIndexCollectionBuilder::new("a", "kind", kind).wait(true);
        client.create_field_index(index).await.unwrap();
        let is_fitting = kind == FieldType::Keyword;
        assert_eq!(asked(&client, 1, filter()).await.is_ok(), is_fitting);
    }
    let path = Filter::must([Condition::matches("a b", "x".to_owned())]);
    refused(asked(&client, 1, path).await, bad, "JSON path");
    let groups = QueryPointGroupsBuilder::new("a", "kind").query(Query::new_nearest(1));
    let unused = client.query_groups(groups).await;
    refused(unused, Code::Unimplemented, "does not call query_groups");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_of_every_call() {
    let double = QdrantDouble::start_with(Strictness {
        api_key: Some("right".to_owned()),
        ..Strictness::default()
    });
    for key in [None, Some("wrong")] {
        let client = client(&double, key);
        refused(
            client.health_check().await,
            Code::Unauthenticated,
            "API key",
        );
        refused(made(&client).await, Code::Unauthenticated, "API key");
    }
    made(&client(&double, Some("right"))).await.unwrap();
}
