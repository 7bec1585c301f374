//! `config/kubernetes/cluster`: query servers and workers, which keep nothing and are scaled.

use super::*;

fn of_component<'a>(rendered: &'a Rendered, component: &str) -> &'a Value {
    let label = "app.kubernetes.io/component";
    let is_it = |it: &&&Value| pod(it)["metadata"]["labels"][label] == component;
    let workloads = workloads(rendered);
    workloads.iter().find(is_it).unwrap()
}

#[test]
fn nothing_is_kept() {
    let rendered = render(CLUSTER);
    for workload in workloads(&rendered) {
        assert_eq!(workload["kind"], "Deployment");
        let volumes = items(&pod(workload)["spec"]["volumes"]);
        let claims = volumes
            .iter()
            .filter(|it| !it["persistentVolumeClaim"].is_null());
        assert_eq!(claims.count(), 0);
        let loaded = settings_of(&rendered, workload);
        assert_eq!(loaded.written("storage.profile"), Some("\"cluster\""));
        assert_eq!(loaded.written("storage.data_dir"), None);
    }
}

#[test]
fn servers_and_workers_are_told_apart() {
    let rendered = render(CLUSTER);
    let (server, worker) = (
        of_component(&rendered, "server"),
        of_component(&rendered, "worker"),
    );
    assert_eq!(texts(&container(server)["args"]), ["serve"]);
    assert_eq!(texts(&container(worker)["args"]), ["ingest", "--worker"]);
    for (one, other) in [(server, worker), (worker, server)] {
        let own = &one["spec"]["selector"]["matchLabels"];
        assert!(selects(own, one) && !selects(own, other));
        let constraint = &pod(one)["spec"]["topologySpreadConstraints"][0];
        assert_eq!(&constraint["labelSelector"]["matchLabels"], own);
    }
    let budget = &rendered.of_kind("PodDisruptionBudget")["spec"];
    assert!(selects(&budget["selector"]["matchLabels"], server));
    assert!(!selects(&budget["selector"]["matchLabels"], worker));
    assert_eq!(budget["maxUnavailable"], 1);
}

#[test]
fn each_is_scaled_by_one_autoscaler() {
    let rendered = render(CLUSTER);
    let manifests = rendered.manifests.iter();
    let autoscalers = manifests.filter(|it| it["kind"] == "HorizontalPodAutoscaler");
    let autoscalers: Vec<_> = autoscalers.collect();
    let workloads = workloads(&rendered);
    assert_eq!(autoscalers.len(), workloads.len());
    for workload in workloads {
        let name = &workload["metadata"]["name"];
        let target = |it: &&&Value| &it["spec"]["scaleTargetRef"]["name"] == name;
        let spec = &autoscalers.iter().find(target).unwrap()["spec"];
        for field in ["apiVersion", "kind"] {
            assert_eq!(spec["scaleTargetRef"][field], workload[field]);
        }
        assert!(
            workload["spec"]["replicas"].is_null(),
            "applying it again would undo what the autoscaler did"
        );
        assert!(spec["minReplicas"].as_u64() < spec["maxReplicas"].as_u64());
        // A share of what is requested: without a request there is nothing to scale by.
        let metric = &spec["metrics"][0]["resource"]["name"];
        let requests = &container(workload)["resources"]["requests"];
        assert!(requests[metric.as_str().unwrap()].is_string(), "{name}");
    }
}

#[test]
fn the_metric_to_scale_by_is_reported() {
    let comment = text("config/kubernetes/cluster/worker-autoscaler.yaml");
    let worker = text("crates/braid-indexing/src/worker.rs");
    let metric = comment.lines().find_map(|line| {
        line.trim_start_matches(['#', ' '])
            .strip_prefix("name: braid_")
    });
    assert!(worker.contains(&format!("\"braid_{}\"", metric.unwrap())));
}
