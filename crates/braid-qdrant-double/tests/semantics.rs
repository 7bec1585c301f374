//! What the calls mean. The same must hold for a real server: it is asked too where
//! `BRAID_TEST_QDRANT_URL` names one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use ::qdrant_client::Qdrant;
use ::qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
    DeletePayloadPointsBuilder, DeletePointsBuilder, Distance, FieldType, Filter, GetPointsBuilder,
    Modifier, NamedVectors, PointId, PointStruct, PointsIdsList, QueryBatchPointsBuilder,
    QueryPoints, QueryPointsBuilder, RetrievedPoint, ScrollPointsBuilder, SetPayloadPointsBuilder,
    SparseVectorParamsBuilder, SparseVectorsConfigBuilder, UpdateMode, UpsertPoints, Value, Vector,
    VectorInput, VectorParamsBuilder, Vectors, VectorsConfigBuilder, vectors::VectorsOptions,
};
use braid_qdrant_double::QdrantDouble;
use uuid::Uuid;

/// A collection that nobody else has.
struct Scene {
    client: Qdrant,
    name: String,
}

impl Scene {
    fn new(url: &str) -> Self {
        let client = Qdrant::from_url(url).skip_compatibility_check();
        let name = format!("braid-test-{}", Uuid::new_v4().simple());
        let key = std::env::var("BRAID_TEST_QDRANT_API_KEY").ok();
        let client = client.api_key(key).build().unwrap();
        Self { client, name }
    }

    async fn index(&self, field: &str, kind: FieldType) {
        let index = CreateFieldIndexCollectionBuilder::new(&self.name, field, kind).wait(true);
        self.client.create_field_index(index).await.unwrap();
    }

    async fn put(&self, points: Vec<PointStruct>, filter: Option<Filter>, mode: UpdateMode) {
        let request = UpsertPoints {
            collection_name: self.name.clone(),
            wait: Some(true),
            points,
            update_filter: filter,
            update_mode: Some(mode.into()),
            ..UpsertPoints::default()
        };
        self.client.upsert_points(request).await.unwrap();
    }

    /// The tokens of the points that there are, by id.
    async fn tokens(&self, ids: &[u64]) -> Vec<(u64, String)> {
        let ids: Vec<PointId> = ids.iter().map(|id| PointId::from(*id)).collect();
        let request = GetPointsBuilder::new(&self.name, ids).with_payload(true);
        let found = self.client.get_points(request).await.unwrap().result;
        let mut tokens: Vec<_> = found.iter().map(|it| (number(it), token(it))).collect();
        tokens.sort();
        tokens
    }

    async fn count(&self, filter: Option<Filter>) -> u64 {
        let mut request = CountPointsBuilder::new(&self.name).exact(true);
        if let Some(filter) = filter {
            request = request.filter(filter);
        }
        self.client
            .count(request)
            .await
            .unwrap()
            .result
            .unwrap()
            .count
    }

    async fn remove(self) {
        self.client.delete_collection(&self.name).await.unwrap();
    }
}

fn number(point: &RetrievedPoint) -> u64 {
    use ::qdrant_client::qdrant::point_id::PointIdOptions;
    match point.id.as_ref().unwrap().point_id_options {
        Some(PointIdOptions::Num(number)) => number,
        _ => panic!("{point:?}"),
    }
}

fn token(point: &RetrievedPoint) -> String {
    let token = point.payload.get("token");
    token
        .and_then(|it| it.as_str())
        .cloned()
        .unwrap_or_default()
}

/// A point without vectors.
fn bare(id: u64, payload: &[(&str, Value)]) -> PointStruct {
    let payload = payload
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    PointStruct {
        id: Some(PointId::from(id)),
        payload: payload.collect::<HashMap<_, _>>(),
        vectors: Some(Vectors {
            vectors_options: Some(VectorsOptions::Vectors(NamedVectors::default())),
        }),
    }
}

fn held(id: u64, token: &str) -> PointStruct {
    bare(id, &[("token", token.into())])
}

fn one_of(tokens: &[&str]) -> Filter {
    let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
    Filter::must([Condition::matches("token", tokens)])
}

async fn conditional_upserts(scene: &Scene) {
    scene.index("token", FieldType::Keyword).await;
    let all = [1, 2, 3, 4];
    let upsert = UpdateMode::Upsert;
    scene
        .put(vec![held(1, "a"), held(2, "b")], None, upsert)
        .await;
    // What does not pass keeps its state, what is absent is inserted.
    let batch = ["x", "y", "z"].into_iter().zip(1..);
    let batch = batch.map(|(token, id)| held(id, token)).collect();
    scene.put(batch, Some(one_of(&["a", "q"])), upsert).await;
    let after = |tokens: &[&str]| -> Vec<(u64, String)> {
        let tokens = tokens.iter().zip(1..);
        tokens
            .map(|(token, id)| (id, (*token).to_owned()))
            .collect()
    };
    assert_eq!(scene.tokens(&all).await, after(&["x", "b", "z"]));
    // A filter that nobody passes.
    scene
        .put(vec![held(1, "n"), held(4, "w")], Some(one_of(&[])), upsert)
        .await;
    assert_eq!(scene.tokens(&all).await, after(&["x", "b", "z", "w"]));
    // Only new ones, whatever the filter says.
    let batch = vec![held(1, "n"), held(5, "v")];
    scene
        .put(batch, Some(one_of(&["x"])), UpdateMode::InsertOnly)
        .await;
    assert_eq!(
        scene.tokens(&[1, 5]).await,
        [(1, "x".into()), (5, "v".into())]
    );
    // Only old ones that pass.
    let batch = vec![held(1, "m"), held(2, "m"), held(6, "m")];
    scene
        .put(batch, Some(one_of(&["x"])), UpdateMode::UpdateOnly)
        .await;
    assert_eq!(
        scene.tokens(&[1, 2, 6]).await,
        [(1, "m".into()), (2, "b".into())]
    );
}

async fn payloads_and_deletes(scene: &Scene) {
    for (field, kind) in [
        ("number", FieldType::Integer),
        ("owner", FieldType::Uuid),
        ("share", FieldType::Float),
        ("flag", FieldType::Bool),
    ] {
        scene.index(field, kind).await;
    }
    let owner = Uuid::from_u128(7).to_string();
    let points = (1..=9_u64).map(|id| {
        let owner = if id % 2 == 0 {
            owner.clone()
        } else {
            Uuid::nil().to_string()
        };
        bare(
            id,
            &[
                ("number", (id as i64).into()),
                ("owner", owner.into()),
                ("share", (id as f64 / 10.0).into()),
                ("flag", (id > 6).into()),
            ],
        )
    });
    scene.put(points.collect(), None, UpdateMode::Upsert).await;
    let even = || Filter::must([Condition::matches("owner", owner.clone())]);
    assert_eq!(scene.count(Some(even())).await, 4);
    assert_eq!(scene.count(None).await, 9);
    let flagged = Filter::must([Condition::matches("flag", true)]);
    assert_eq!(scene.count(Some(flagged)).await, 3);

    let request = ScrollPointsBuilder::new(&scene.name)
        .filter(even())
        .limit(2)
        .with_payload(true);
    let page = scene.client.scroll(request.clone()).await.unwrap();
    assert_eq!(page.result.iter().map(number).collect::<Vec<_>>(), [2, 4]);
    let next = page.next_page_offset.unwrap();
    let page = scene.client.scroll(request.offset(next)).await.unwrap();
    assert_eq!(page.result.iter().map(number).collect::<Vec<_>>(), [6, 8]);
    assert!(page.next_page_offset.is_none());

    let ids = |ids: &[u64]| PointsIdsList {
        ids: ids.iter().map(|id| PointId::from(*id)).collect(),
    };
    let payload = HashMap::from([("token".to_owned(), Value::from("t"))]);
    let request = SetPayloadPointsBuilder::new(&scene.name, payload.clone());
    let request = request.points_selector(ids(&[1, 2])).wait(true);
    scene.client.set_payload(request.clone()).await.unwrap();
    scene
        .client
        .overwrite_payload(request.points_selector(ids(&[2])))
        .await
        .unwrap();
    let request = DeletePayloadPointsBuilder::new(&scene.name, vec!["flag".to_owned()]);
    let request = request.points_selector(ids(&[1])).wait(true);
    scene.client.delete_payload(request).await.unwrap();
    let request = GetPointsBuilder::new(&scene.name, ids(&[1, 2]).ids).with_payload(true);
    let mut found = scene.client.get_points(request).await.unwrap().result;
    found.sort_by_key(number);
    let keys = |point: &RetrievedPoint| {
        let mut keys: Vec<_> = point.payload.keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&found[0]), ["number", "owner", "share", "token"]);
    assert_eq!(keys(&found[1]), ["token"]);
    let missing = SetPayloadPointsBuilder::new(&scene.name, payload);
    let missing = missing.points_selector(ids(&[99])).wait(true);
    assert!(
        scene.client.set_payload(missing).await.is_err(),
        "99 is not there"
    );

    let request = DeletePointsBuilder::new(&scene.name)
        .points(even())
        .wait(true);
    scene.client.delete_points(request).await.unwrap();
    let request = DeletePointsBuilder::new(&scene.name)
        .points(ids(&[1, 77]))
        .wait(true);
    scene.client.delete_points(request).await.unwrap();
    assert_eq!(scene.count(None).await, 5);
}

fn chunk(id: u64, dense: [f32; 2], sparse: &[(u32, f32)]) -> PointStruct {
    let vectors = NamedVectors::default()
        .add_vector("dense", Vector::new_dense(dense.to_vec()))
        .add_vector("bm25", sparse_vector(sparse));
    PointStruct {
        id: Some(PointId::from(id)),
        payload: HashMap::new(),
        vectors: Some(vectors.into()),
    }
}

fn sparse_vector(pairs: &[(u32, f32)]) -> Vector {
    let (indices, values): (Vec<u32>, Vec<f32>) = pairs.iter().copied().unzip();
    Vector::new_sparse(indices, values)
}

fn search(name: &str, using: &str, input: VectorInput) -> QueryPoints {
    let request = QueryPointsBuilder::new(name).using(using).query(input);
    request.limit(10_u64).build()
}

fn idf(having: f32, of: f32) -> f32 {
    (1.0 + (of - having + 0.5) / (having + 0.5)).ln()
}

async fn two_vectors(scene: &Scene) {
    let good = vec![
        chunk(1, [1.0, 0.0], &[(5, 2.0), (4_000_000_000, 1.0)]),
        chunk(2, [0.0, 2.0], &[(9, 1.0), (5, 0.5)]),
        chunk(3, [3.0, 3.0], &[(7, 1.0)]),
    ];
    scene.put(good, None, UpdateMode::Upsert).await;
    let sparse = |pairs: &[(u32, f32)]| {
        let (indices, values): (Vec<u32>, Vec<f32>) = pairs.iter().copied().unzip();
        VectorInput::new_sparse(indices, values)
    };
    let searches = vec![
        search(&scene.name, "dense", VectorInput::new_dense(vec![2.0, 0.0])),
        search(&scene.name, "bm25", sparse(&[(9, 1.0), (5, 3.0), (6, 1.0)])),
    ];
    let request = QueryBatchPointsBuilder::new(&scene.name, searches);
    let answer = scene.client.query_batch(request).await.unwrap().result;
    let scores = |at: usize| -> Vec<(u64, f32)> {
        use ::qdrant_client::qdrant::point_id::PointIdOptions::Num;
        let found = answer[at].result.iter().map(|point| {
            let Some(Num(id)) = point.id.as_ref().unwrap().point_id_options else {
                panic!("{point:?}")
            };
            (id, point.score)
        });
        found.collect()
    };
    let near = |found: Vec<(u64, f32)>, wanted: &[(u64, f32)]| {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                found.0 == wanted.0 && (found.1 - wanted.1).abs() < 1e-5,
                "{found:?} {wanted:?}"
            );
        }
    };
    near(scores(0), &[(1, 1.0), (3, 0.5_f32.sqrt()), (2, 0.0)]);
    // What has no dimension in common is not found.
    let rare = 1.5 * idf(2.0, 3.0) + idf(1.0, 3.0);
    near(scores(1), &[(1, 6.0 * idf(2.0, 3.0)), (2, rare)]);

    let ids = vec![PointId::from(1)];
    let request = GetPointsBuilder::new(&scene.name, ids).with_vectors(true);
    let point = scene
        .client
        .get_points(request)
        .await
        .unwrap()
        .result
        .remove(0);
    let vectors = point.vectors.unwrap();
    let stored = vectors.get_vector_by_name("bm25").unwrap();
    let ::qdrant_client::qdrant::vector_output::Vector::Sparse(stored) = stored else {
        panic!("{stored:?}")
    };
    assert_eq!(stored.indices, [5, 4_000_000_000]);
    for (using, input) in [
        ("", VectorInput::new_dense(vec![1.0, 0.0])),
        ("other", VectorInput::new_dense(vec![1.0, 0.0])),
        ("bm25", VectorInput::new_dense(vec![1.0, 0.0])),
        ("dense", sparse(&[(1, 1.0)])),
        ("dense", VectorInput::new_dense(vec![1.0])),
        ("bm25", sparse(&[(1, 1.0), (1, 2.0)])),
    ] {
        let refused = scene.client.query(search(&scene.name, using, input)).await;
        assert!(refused.is_err(), "{using}");
    }
    let mut twice = chunk(4, [1.0, 0.0], &[(5, 1.0), (5, 2.0)]);
    for name in ["bm25", "other"] {
        let request = UpsertPoints {
            collection_name: scene.name.clone(),
            wait: Some(true),
            points: vec![twice.clone()],
            ..UpsertPoints::default()
        };
        assert!(scene.client.upsert_points(request).await.is_err(), "{name}");
        let named = NamedVectors::default().add_vector("other", sparse_vector(&[(5, 1.0)]));
        twice.vectors = Some(named.into());
    }
    assert_eq!(scene.count(None).await, 3);
}

async fn behaves(url: &str) {
    let scene = Scene::new(url);
    let request = CreateCollectionBuilder::new(&scene.name);
    scene.client.create_collection(request).await.unwrap();
    conditional_upserts(&scene).await;
    scene.remove().await;

    let scene = Scene::new(url);
    let request = CreateCollectionBuilder::new(&scene.name);
    scene.client.create_collection(request).await.unwrap();
    payloads_and_deletes(&scene).await;
    scene.remove().await;

    let scene = Scene::new(url);
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("dense", VectorParamsBuilder::new(2, Distance::Cosine));
    let mut sparse = SparseVectorsConfigBuilder::default();
    let idf = SparseVectorParamsBuilder::default().modifier(Modifier::Idf);
    sparse.add_named_vector_params("bm25", idf);
    let request = CreateCollectionBuilder::new(&scene.name)
        .vectors_config(dense)
        .sparse_vectors_config(sparse);
    scene.client.create_collection(request).await.unwrap();
    two_vectors(&scene).await;
    scene.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_mean_what_they_mean_in_the_double() {
    let double = QdrantDouble::start();
    behaves(&double.url()).await;
    assert!(double.collections().is_empty());
    // A batch is one call.
    assert_eq!(
        double.searches(),
        double.calls(braid_qdrant_double::Kind::Query) + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_mean_what_they_mean_in_a_real_server() {
    let Ok(url) = std::env::var("BRAID_TEST_QDRANT_URL") else {
        eprintln!("skipped: set BRAID_TEST_QDRANT_URL to the gRPC address of a Qdrant server");
        return;
    };
    behaves(&url).await;
}
