//! The arithmetic by hand, and what must hold for any question.

use proptest::prelude::*;

use super::*;

/// A size whose quantities are round: a chunk has 2,000 bytes of ledger and of vectors, 100 of lexical index.
fn size(chunks: u64) -> MeasuredSize {
    let per_chunk = |bytes: u64| bytes * chunks;
    MeasuredSize {
        chunks,
        text_bytes: per_chunk(900),
        ledger_bytes: per_chunk(2_000),
        lexical_bytes: per_chunk(100),
        vector_bytes: per_chunk(2_000),
        ingest_memory_bytes: 200_000_000,
        serving_memory_bytes: 100_000_000 + per_chunk(10),
        ingest_seconds: chunks as f64 * 0.001,
        ingest_cpu_seconds: chunks as f64 * 0.002,
        hybrid_cpu_ms: 4.0,
        lexical_cpu_ms: 1.0,
        dense_cpu_ms: 2.0,
    }
}

fn measured() -> Measured {
    Measured {
        machine: None,
        source: None,
        dimension: 384,
        sizes: vec![size(10_000), size(100_000), size(1_000_000)],
        models: MeasuredModels {
            embed_chunk_cpu_ms: Some(40.0),
            embed_query_cpu_ms: Some(6.0),
            rerank_cpu_ms: Some(200.0),
        },
        stores: [Profile::Qdrant, Profile::Cluster]
            .into_iter()
            .flat_map(|profile| [10_000, 100_000, 1_000_000].map(|chunks| store(profile, chunks)))
            .collect(),
    }
}

/// Beside its vector a chunk has 500 bytes in memory and 1,000 on disk in Qdrant, ten times that where
/// everything is there.
fn store(profile: Profile, chunks: u64) -> MeasuredStore {
    let times = if profile == Profile::Cluster { 10 } else { 1 };
    MeasuredStore {
        profile,
        server: "1.18.3".to_owned(),
        chunks,
        disk_bytes: chunks * (4 * 384 + 1_000 * times),
        memory_bytes: chunks * (4 * 384 + 500 * times),
        has_graph: true,
        ingest_cpu_seconds: chunks as f64 * 0.001,
        braid_ingest_cpu_seconds: chunks as f64 * 0.002,
        query_cpu_ms: 3.0,
        braid_query_cpu_ms: 1.0,
        braid_memory_bytes: 100_000_000,
    }
}

fn wanted(chunks: u64, qps: f64) -> Wanted {
    Wanted {
        chunks,
        qps,
        dimension: 384,
        profile: Profile::Embedded,
        quantization: Quantization::None,
        vectors_on_disk: false,
        replicas: 1,
        workers: 1,
        node_memory_gib: 64.0,
        node_cores: 16,
        rerank: false,
    }
}

fn in_cluster(chunks: u64, qps: f64) -> Wanted {
    Wanted {
        profile: Profile::Cluster,
        ..wanted(chunks, qps)
    }
}

fn through_qdrant(chunks: u64, qps: f64) -> Wanted {
    Wanted {
        profile: Profile::Qdrant,
        ..wanted(chunks, qps)
    }
}

#[track_caller]
fn assert_near(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!(
        (found / expected - 1.0).abs() < 1e-6,
        "{found} is not {expected}"
    );
}

#[test]
fn a_plan_by_hand() {
    let plan = plan(&measured(), &wanted(10_000_000, 2000.0));
    let gib = |bytes: f64| bytes / (1024.0 * 1024.0 * 1024.0);
    // 10 ms a query, 20 cores' worth, 9.6 cores a node.
    assert_near(plan.braid.query_cpu_ms, 10.0);
    assert_eq!(plan.braid.nodes, Some(3));
    assert_near(plan.braid.memory_gib, gib(1e7 * 2_110.0 + 1e8));
    assert_near(plan.braid.disk_gib, gib(1e7 * 6_200.0));
    assert_near(plan.ingest_hours, 42.0 * 1e7 / 1000.0 / 16.0 / 3600.0);
    assert_eq!(plan.drivers[0].resource, "CPU of queries");
    assert_eq!(plan.not_measured, [""; 0]);
    assert_eq!(plan.problems, [""; 0]);
    assert_eq!(plan.measured_chunks, Some(1_000_000));
}

#[test]
fn what_does_not_fit_is_said_with_what_to_do() {
    let embedded = plan(&measured(), &wanted(1_000_000_000, 1.0));
    assert_eq!(embedded.drivers[0].resource, "memory of Braid");
    assert!(
        embedded.problems[0].contains("--profile qdrant"),
        "{:?}",
        embedded.problems
    );
    let beyond = plan(&measured(), &wanted(5_000_000_000, 1.0));
    assert_eq!(beyond.problems.len(), 2, "{:?}", beyond.problems);
}

#[test]
fn what_a_graph_costs_is_told_by_sizes_that_have_one() {
    let mut without = measured();
    without.stores[0].has_graph = false;
    without.stores[0].ingest_cpu_seconds /= 50.0;
    without.stores[0].query_cpu_ms *= 7.0;
    without.stores[0].disk_bytes *= 2;
    let ingest = Component::Store(Profile::Qdrant, StoreQuantity::IngestCpu);
    let query = Component::Store(Profile::Qdrant, StoreQuantity::QueryCpu);
    let disk = Component::Store(Profile::Qdrant, StoreQuantity::Disk);
    for (component, is_same) in [(ingest, true), (query, true), (disk, false)] {
        let line = |measured: &Measured| component.series(measured, None);
        assert_eq!(
            line(&without) == line(&measured()),
            is_same,
            "{component:?}"
        );
    }
    // Two sizes are left: none of them can be predicted from two others.
    let of_ingest = |error: &Error| error.component == ingest;
    assert!(!errors(&without).iter().any(of_ingest));
    assert_eq!(
        errors(&measured())
            .iter()
            .filter(|error| of_ingest(error))
            .count(),
        3
    );
}

#[test]
fn qdrant_by_hand() {
    let question = Wanted {
        quantization: Quantization::Scalar,
        vectors_on_disk: true,
        replicas: 2,
        ..through_qdrant(100_000_000, 100.0)
    };
    let plan = plan(&measured(), &question);
    let qdrant = plan.qdrant.as_ref().unwrap();
    // 384 compressed and 500 of the rest a chunk, twice; 51.2 GiB of a node.
    let gib: f64 = 1e8 * (384.0 + 500.0) * 2.0 / (1024.0 * 1024.0 * 1024.0);
    let nodes = (gib / 51.2).ceil();
    assert_eq!(qdrant.nodes, Some(nodes as u64));
    assert_near(qdrant.memory_gib, gib / nodes);
    assert_near(plan.braid.query_cpu_ms, 7.0);
    assert_eq!(plan.braid.nodes, Some(1));
    assert_near(qdrant.query_cpu_ms, 3.0);
    let is_ruled = |plan: &Plan| {
        plan.assumptions
            .iter()
            .any(|said| said.contains("published rule"))
    };
    assert!(!is_ruled(&plan));
    let mut without = measured();
    without.stores.clear();
    let ruled = super::plan(&without, &question);
    assert!(is_ruled(&ruled));
    let gib: f64 = 1e8 * (384.0 + 768.0) * 2.0 / (1024.0 * 1024.0 * 1024.0);
    let nodes = (gib / 51.2).ceil();
    assert_near(ruled.qdrant.unwrap().memory_gib, gib / nodes);
}

#[test]
fn a_cluster_by_hand() {
    let question = Wanted {
        replicas: 2,
        workers: 4,
        ..in_cluster(1_000_000_000, 2000.0)
    };
    let found = plan(&measured(), &question);
    let qdrant = found.qdrant.as_ref().unwrap();
    let gib: f64 = 1e9 * (1536.0 + 5000.0) * 2.0 / (1024.0 * 1024.0 * 1024.0);
    let nodes = (gib / 51.2).ceil();
    assert_eq!(qdrant.nodes, Some(nodes as u64));
    assert_near(
        qdrant.disk_gib,
        1e9 * 11536.0 * 2.0 / (1024.0 * 1024.0 * 1024.0) / nodes,
    );
    // 7 ms a query, 14 cores' worth, 9.6 cores a node; nothing on its disk.
    assert_near(found.braid.query_cpu_ms, 7.0);
    assert_eq!(found.braid.nodes, Some(2));
    assert_eq!(found.braid.disk_gib, Some(0.0));
    assert_near(found.ingest_hours, 42.0 * 1e9 / 1000.0 / 64.0 / 3600.0);
    assert_eq!(found.drivers[0].resource, "memory of Qdrant");
    assert_eq!(found.not_measured, [""; 0]);
    let busy = plan(&measured(), &in_cluster(1000, 100_000.0));
    // 300 cores' worth of searches.
    assert_eq!(busy.qdrant.unwrap().nodes, Some(32));
}

#[test]
fn what_was_not_measured_is_said_and_not_guessed() {
    let nothing = Measured {
        dimension: 384,
        ..Measured::default()
    };
    let found = plan(&nothing, &through_qdrant(1000, 10.0));
    assert_eq!(
        (
            found.braid.nodes,
            found.braid.memory_gib,
            found.ingest_hours
        ),
        (None, None, None)
    );
    let qdrant = found.qdrant.unwrap();
    assert_eq!((qdrant.nodes, qdrant.disk_gib), (Some(1), None));
    assert_near(qdrant.memory_gib, 1000.0 * 384.0 * 6.0 / f64::from(1 << 30));
    assert!(
        found
            .assumptions
            .iter()
            .any(|said| said.contains("for one Braid"))
    );
    assert_eq!(found.drivers.len(), 1, "Qdrant's memory is a rule");
    for name in [
        "ledger on disk",
        "embedding the query",
        "embedding a chunk",
        "metadata and graph on disk",
        "CPU of Qdrant for a query",
    ] {
        assert!(
            found.not_measured.iter().any(|said| said == name),
            "{:?}",
            found.not_measured
        );
    }
    let mut without_rerank = measured();
    without_rerank.models.rerank_cpu_ms = None;
    let question = Wanted {
        rerank: true,
        ..wanted(1000, 10.0)
    };
    let found = plan(&without_rerank, &question);
    assert_eq!(found.not_measured, ["re-ranking"]);
    assert_eq!(found.braid.nodes, None);
}

#[test]
fn errors_are_of_predictions_from_the_other_sizes() {
    let mut measured = measured();
    let found = errors(&measured);
    assert_eq!(found.len(), 27 + 2 * 21);
    assert!(
        found.iter().all(|error| error.error.abs() < 1e-6),
        "{found:?}"
    );
    let key = |error: &Error| serde_json::to_value(error.component).unwrap();
    let keys: Vec<_> = found.iter().map(key).collect();
    for expected in [
        "ledger",
        "hybrid_cpu",
        "qdrant_disk",
        "cluster_braid_query_cpu",
    ] {
        assert!(keys.iter().any(|key| key == expected), "{keys:?}");
    }
    measured.sizes[2].lexical_bytes *= 2;
    let found = errors(&measured);
    let of = |error: &&Error| error.component == Component::Lexical && error.chunks == 1_000_000;
    let largest = found.iter().find(of).unwrap();
    assert!((largest.error + 0.5).abs() < 1e-6, "{largest:?}");
    measured.sizes.truncate(2);
    measured.stores.clear();
    assert!(
        errors(&measured).is_empty(),
        "two sizes leave one, which is no line"
    );
}

#[test]
fn a_line_is_found_again_and_never_falls() {
    let points = [(10.0, 25.0), (100.0, 205.0), (1000.0, 2005.0)];
    let found = Series::fit(Growth::Linear, &points).unwrap();
    assert!(
        (found.fixed - 5.0).abs() < 1e-6 && (found.each - 2.0).abs() < 1e-9,
        "{found:?}"
    );
    let falling = Series::fit(Growth::Linear, &[(10.0, 9.0), (100.0, 1.0)]).unwrap();
    assert_eq!(falling.each, 0.0);
    let flat = Series::fit(Growth::Constant, &[(10.0, 3.0), (100.0, 3.0)]).unwrap();
    assert!((flat.at(1e9) - 3.0).abs() < 1e-9, "{flat:?}");
    let steep = Series::fit(Growth::Linear, &[(10.0, 1.0), (100.0, 100.0)]).unwrap();
    assert_eq!(steep.fixed, 0.0);
    let one = Series::fit(Growth::Linear, &[(10.0, 30.0)]).unwrap();
    assert_eq!(one.at(20.0), 60.0);
    assert_eq!(Series::fit(Growth::Linear, &[]), None);
}

/// The file of this repository: its sizes rise, and what it has is more than nothing.
#[test]
fn the_measurements_of_this_repository_are_in_order() {
    let measured = super::measured();
    assert!(measured.dimension > 0);
    assert!(measured.sizes.is_sorted_by(|a, b| a.chunks < b.chunks));
    assert_eq!(measured.sizes.is_empty(), measured.machine.is_none());
    for size in &measured.sizes {
        assert!(
            size.ledger_bytes > 0 && size.hybrid_cpu_ms > 0.0,
            "{size:?}"
        );
    }
    for store in &measured.stores {
        assert!(
            store.disk_bytes > 0 && store.query_cpu_ms > 0.0,
            "{store:?}"
        );
    }
}

fn questions() -> impl Strategy<Value = Wanted> {
    let quantization = prop_oneof![
        Just(Quantization::None),
        Just(Quantization::Scalar),
        Just(Quantization::Binary)
    ];
    let profile = prop_oneof![
        Just(Profile::Embedded),
        Just(Profile::Qdrant),
        Just(Profile::Cluster)
    ];
    let numbers = (1u64..4_000_000_000, 0.0f64..5000.0, 16usize..4096, 1u32..4);
    (numbers, any::<[bool; 2]>(), quantization, profile).prop_map(
        |((chunks, qps, dimension, replicas), [on_disk, rerank], quantization, profile)| Wanted {
            dimension,
            replicas,
            rerank,
            quantization,
            vectors_on_disk: on_disk,
            profile,
            ..wanted(chunks, qps)
        },
    )
}

/// Every number that more work cannot make smaller: nodes, and what all nodes have together.
fn costs(plan: &Plan) -> Vec<f64> {
    let of = |nodes: &Nodes| {
        let count = nodes.nodes.unwrap() as f64;
        [
            count,
            count * nodes.memory_gib.unwrap(),
            count * nodes.disk_gib.unwrap(),
        ]
    };
    let mut costs: Vec<f64> = of(&plan.braid).to_vec();
    costs.extend(plan.qdrant.iter().flat_map(of));
    costs.push(plan.ingest_hours.unwrap());
    costs
}

/// Rounding apart.
fn assert_no_less(more: &Plan, less: &Plan) {
    for (more, less) in costs(more).into_iter().zip(costs(less)) {
        assert!(more >= less * (1.0 - 1e-9), "{more} < {less}");
    }
}

proptest! {
    #[test]
    fn more_is_never_cheaper(question in questions(), chunks in 0u64..1_000_000_000, qps in 0.0f64..5000.0) {
        let measured = measured();
        let asked = plan(&measured, &question);
        let more_chunks = Wanted { chunks: question.chunks + chunks, ..question.clone() };
        assert_no_less(&plan(&measured, &more_chunks), &asked);
        let more_queries = Wanted { qps: question.qps + qps, ..question.clone() };
        assert_no_less(&plan(&measured, &more_queries), &asked);
        let reranked = Wanted { rerank: true, ..question.clone() };
        assert_no_less(&plan(&measured, &reranked), &asked);
    }

    #[test]
    fn larger_nodes_are_never_more(question in questions(), more in 0u32..64) {
        let measured = measured();
        let asked = plan(&measured, &question);
        let larger = Wanted {
            node_cores: question.node_cores + more,
            node_memory_gib: question.node_memory_gib + f64::from(more),
            ..question
        };
        let larger = plan(&measured, &larger);
        prop_assert!(larger.braid.nodes <= asked.braid.nodes);
        prop_assert!(larger.ingest_hours <= asked.ingest_hours);
        prop_assert!(larger.problems.len() <= asked.problems.len());
        let nodes = |plan: &Plan| plan.qdrant.as_ref().and_then(|found| found.nodes);
        prop_assert!(nodes(&larger) <= nodes(&asked));
    }

    #[test]
    fn replicas_multiply(question in questions(), times in 2u32..5) {
        let measured = measured();
        let one = plan(&measured, &Wanted { replicas: 1, ..question.clone() });
        let many = plan(&measured, &Wanted { replicas: times, ..question });
        if let (Some(one), Some(many)) = (&one.qdrant, &many.qdrant) {
            let total = |nodes: &Nodes| nodes.nodes.unwrap() as f64 * nodes.disk_gib.unwrap();
            prop_assert!((total(many) / total(one) / f64::from(times) - 1.0).abs() < 1e-6);
            prop_assert!(many.nodes.unwrap() >= u64::from(times), "no two copies on one node");
        } else {
            prop_assert_eq!(many.braid.nodes.unwrap(), one.braid.nodes.unwrap() * u64::from(times));
            prop_assert_eq!(many.braid.memory_gib, one.braid.memory_gib);
        }
    }

    #[test]
    fn the_parts_add_up_and_the_first_driver_binds(question in questions()) {
        let found = plan(&measured(), &question);
        let groups = [Some(&found.braid), found.qdrant.as_ref()];
        for nodes in groups.into_iter().flatten() {
            let sum = |parts: &[Part]| parts.iter().filter_map(|part| part.value).sum::<f64>();
            prop_assert!((sum(&nodes.memory) - nodes.memory_gib.unwrap()).abs() < 1e-6);
            prop_assert!((sum(&nodes.disk) - nodes.disk_gib.unwrap()).abs() < 1e-6);
            prop_assert!((sum(&nodes.query_cpu) - nodes.query_cpu_ms.unwrap()).abs() < 1e-6);
        }
        prop_assert!(found.drivers.is_sorted_by(|a, b| a.nodes >= b.nodes));
    }
}
