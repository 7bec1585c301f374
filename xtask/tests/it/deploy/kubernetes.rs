//! The manifests of `config/kubernetes`: schemas, what they say of each other, and what Braid needs.

mod cluster;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::dockerfile::Dockerfile;
use super::kustomize::{Rendered, render};
use super::settings::{self, Loaded};
use super::{assert_valid, entries, problems, root, schema, text, texts, yaml};

const FOLDERS: [&str; 3] = [
    "config/kubernetes/base",
    "config/kubernetes/qdrant",
    CLUSTER,
];
/// Those with a data directory, which one pod owns.
const OF_ONE: [&str; 2] = [FOLDERS[0], FOLDERS[1]];
const CLUSTER: &str = "config/kubernetes/cluster";
const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];

/// The schema of a kind.
fn schema_of(kind: &str) -> Value {
    let all = schema("kubernetes");
    let mut schema = all["kinds"][kind].clone();
    assert!(
        schema.is_object(),
        "no schema of {kind}: see xtask/tests/schemas/excerpt.py"
    );
    schema["$defs"] = all["$defs"].clone();
    schema["required"] = json!(["apiVersion", "kind", "metadata"]);
    schema
}

/// The manifests that make pods.
fn workloads(rendered: &Rendered) -> Vec<&Value> {
    let kinds = ["StatefulSet", "Deployment"];
    let manifests = rendered.manifests.iter();
    let found = manifests.filter(|it| kinds.contains(&it["kind"].as_str().unwrap()));
    let found: Vec<_> = found.collect();
    assert!(!found.is_empty());
    found
}

/// The workloads of every folder, each with what it was rendered with.
fn every_workload(check: impl Fn(&str, &Rendered, &Value)) {
    for folder in FOLDERS {
        let rendered = render(folder);
        for workload in workloads(&rendered) {
            let name = workload["metadata"]["name"].as_str().unwrap();
            check(&format!("{folder}: {name}"), &rendered, workload);
        }
    }
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]
}

fn container(workload: &Value) -> &Value {
    let containers = items(&pod(workload)["spec"]["containers"]);
    assert_eq!(containers.len(), 1);
    &containers[0]
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a pod of `workload` has every label of `selector`, which has some.
#[track_caller]
fn selects(selector: &Value, workload: &Value) -> bool {
    assert!(entries(selector).count() > 0, "it selects everything");
    let labels = &pod(workload)["metadata"]["labels"];
    entries(selector).all(|(label, value)| &labels[label] == value)
}

/// The manifest of that kind that selects the pods of `workload`, by what is at `pointer`.
fn selecting<'a>(
    rendered: &'a Rendered,
    kind: &str,
    pointer: &str,
    workload: &Value,
) -> Option<&'a Value> {
    let manifests = rendered.manifests.iter();
    let mut found = manifests.filter(|it| {
        it["kind"] == kind && selects(it.pointer(pointer).unwrap_or(&Value::Null), workload)
    });
    let first = found.next();
    assert!(found.next().is_none(), "two of kind {kind}");
    first
}

fn policy<'a>(rendered: &'a Rendered, workload: &Value) -> &'a Value {
    let pointer = "/spec/podSelector/matchLabels";
    selecting(rendered, "NetworkPolicy", pointer, workload).expect("who may connect")
}

/// The settings that Braid reads, through the variable, the mount and the generated map.
#[track_caller]
fn settings_of(rendered: &Rendered, workload: &Value) -> Loaded {
    let container = container(workload);
    let file = items(&container["env"])
        .iter()
        .find(|variable| variable["name"] == "BRAID_CONFIG")
        .and_then(|variable| variable["value"].as_str())
        .unwrap();
    let (folder, name) = file.rsplit_once('/').unwrap();
    let mount = items(&container["volumeMounts"])
        .iter()
        .find(|mount| mount["mountPath"] == folder);
    let volume = volume(workload, mount.unwrap()["name"].as_str().unwrap());
    let map = volume["configMap"]["name"].as_str().unwrap();
    let files = &rendered.maps[map];
    let is_it = |path: &&String| path.rsplit('/').next() == Some(name);
    settings::read(files.iter().find(is_it).unwrap())
}

#[track_caller]
fn volume<'a>(workload: &'a Value, name: &str) -> &'a Value {
    let volumes = items(&pod(workload)["spec"]["volumes"]);
    volumes
        .iter()
        .find(|volume| volume["name"] == name)
        .unwrap()
}

#[test]
fn manifests_are_as_kubernetes_says() {
    for folder in FOLDERS {
        for manifest in render(folder).manifests {
            let kind = manifest["kind"].as_str().unwrap();
            assert_valid(&format!("{folder}: {kind}"), &schema_of(kind), &manifest);
        }
    }
}

#[test]
fn the_schemas_find_mistakes() {
    let of_pods = [
        ("/spec/template/spec/containers/0/readinessprobe", json!({})),
        (
            "/spec/template/spec/containers/0/ports/0/containerPort",
            json!("http"),
        ),
        ("/spec/selector", Value::Null),
        ("/apiVersion", json!("apps/v1beta1")),
        (
            "/spec/template/spec/volumes/0/hostPath",
            json!({"path": "/"}),
        ),
        (
            "/spec/template/spec/containers/0/resources/limits/memory",
            json!(true),
        ),
    ];
    check_planted(FOLDERS[0], "StatefulSet", &of_pods);
    check_planted(CLUSTER, "Deployment", &of_pods);
    let of_autoscalers = [
        ("/spec/maxReplicas", Value::Null),
        ("/spec/minreplicas", json!(2)),
        ("/apiVersion", json!("autoscaling/v1")),
        (
            "/spec/metrics/0/resource/target/averageUtilization",
            json!("60%"),
        ),
    ];
    check_planted(CLUSTER, "HorizontalPodAutoscaler", &of_autoscalers);
}

#[track_caller]
fn check_planted(folder: &str, kind: &str, planted: &[(&str, Value)]) {
    let rendered = render(folder);
    let mut manifests = rendered.manifests.into_iter();
    let valid = manifests.find(|manifest| manifest["kind"] == kind).unwrap();
    for (pointer, value) in planted {
        let mut manifest = valid.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = manifest.pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(name);
        } else {
            parent[name] = value.clone();
        }
        let found = problems(&schema_of(kind), &manifest);
        assert!(!found.is_empty(), "{kind}: {pointer}");
    }
}

#[test]
fn every_file_is_used() {
    for folder in FOLDERS {
        let kustomization = yaml(&format!("{folder}/kustomization.yaml"));
        let mut used: BTreeSet<String> = ["kustomization.yaml".to_owned()].into();
        let resources = texts(&kustomization["resources"]).into_iter();
        used.extend(
            resources
                .filter(|file| !file.starts_with("../"))
                .map(str::to_owned),
        );
        for patch in items(&kustomization["patches"]) {
            used.insert(patch["path"].as_str().unwrap().to_owned());
        }
        for map in items(&kustomization["configMapGenerator"]) {
            used.extend(texts(&map["files"]).into_iter().map(str::to_owned));
        }
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let there = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(there.collect::<BTreeSet<_>>(), used, "{folder}");
    }
}

#[test]
fn what_selects_a_pod_selects_it() {
    every_workload(|place, rendered, workload| {
        let own = &workload["spec"]["selector"]["matchLabels"];
        assert!(selects(own, workload), "{place}");
        policy(rendered, workload);
        let account = &rendered.of_kind("ServiceAccount")["metadata"]["name"];
        assert_eq!(&pod(workload)["spec"]["serviceAccountName"], account);
    });
    for folder in OF_ONE {
        let rendered = render(folder);
        let set = rendered.of_kind("StatefulSet");
        let service = rendered.of_kind("Service");
        let budget = &rendered.of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"];
        assert!(selects(&service["spec"]["selector"], set), "{folder}");
        assert!(selects(budget, set), "{folder}");
        assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    }
}

#[test]
fn ports_are_where_braid_listens() {
    every_workload(|place, rendered, workload| {
        let container = container(workload);
        let port = &container["ports"][0];
        let settings = settings_of(rendered, workload).settings;
        let is_worker = texts(&container["args"]).contains(&"--worker");
        let listen = match is_worker {
            true => settings.worker.listen.unwrap(),
            false => settings.server.listen,
        };
        assert!(
            listen.ip().is_unspecified(),
            "{place}: the kubelet and the service come from outside"
        );
        assert_eq!(port["containerPort"], listen.port(), "{place}");
        let name = &port["name"];
        let service = selecting(rendered, "Service", "/spec/selector", workload);
        assert_eq!(service.is_none(), is_worker, "{place}");
        if let Some(service) = service {
            let served = &service["spec"]["ports"][0];
            assert_eq!(
                (&served["targetPort"], &served["port"]),
                (name, &json!(listen.port()))
            );
        }
        let admitted = &policy(rendered, workload)["spec"]["ingress"][0];
        assert_eq!(&admitted["ports"][0]["port"], name, "{place}");
        for probe in PROBES.iter().filter(|probe| !container[probe].is_null()) {
            assert_eq!(&container[probe]["httpGet"]["port"], name, "{probe}");
        }
        let annotations = &pod(workload)["metadata"]["annotations"];
        assert_eq!(annotations["prometheus.io/port"], listen.port().to_string());
    });
}

#[test]
fn probed_and_scraped_paths_are_served() {
    let routes = text("crates/braid-server/src/routes/operations.rs");
    every_workload(|place, _, workload| {
        let container = container(workload);
        // What serves requests is ready or not; a worker runs or does not.
        let is_worker = texts(&container["args"]).contains(&"--worker");
        assert_eq!(container["readinessProbe"].is_null(), is_worker, "{place}");
        let mut paths = vec![&pod(workload)["metadata"]["annotations"]["prometheus.io/path"]];
        for probe in PROBES.iter().filter(|probe| !container[probe].is_null()) {
            paths.push(&container[probe]["httpGet"]["path"]);
        }
        for path in paths {
            let path = path.as_str().unwrap();
            assert!(routes.contains(&format!("{path:?}")), "{place}: no {path}");
            assert!(
                !is_worker || path != "/readyz",
                "{place}: a worker has none"
            );
        }
    });
}

#[test]
fn data_is_in_the_claim() {
    for folder in OF_ONE {
        let rendered = render(folder);
        let set = rendered.of_kind("StatefulSet");
        let claims = items(&set["spec"]["volumeClaimTemplates"]);
        let directory = settings_of(&rendered, set).settings.storage.data_dir;
        let is_data = |mount: &Value| {
            let path = mount["mountPath"].as_str().unwrap();
            mount["name"] == claims[0]["metadata"]["name"] && directory.as_os_str() == path
        };
        assert!(
            items(&container(set)["volumeMounts"]).iter().any(is_data),
            "{folder}: {} is in no claim",
            directory.display()
        );
        assert_eq!(
            claims[0]["spec"]["accessModes"],
            json!(["ReadWriteOncePod"])
        );
        assert_eq!(set["spec"]["replicas"], 1, "a data directory has one owner");
    }
}

#[test]
fn everything_mounted_is_there() {
    every_workload(|place, _, workload| {
        let claims = items(&workload["spec"]["volumeClaimTemplates"]);
        let volumes = items(&pod(workload)["spec"]["volumes"]);
        for mount in items(&container(workload)["volumeMounts"]) {
            let name = &mount["name"];
            let is_claim = claims
                .iter()
                .any(|claim| &claim["metadata"]["name"] == name);
            let is_volume = volumes.iter().any(|volume| &volume["name"] == name);
            assert!(is_claim != is_volume, "{place}: {name}");
        }
    });
}

/// The profile `restricted` of Kubernetes' pod security standards, and a read-only file system.
#[test]
fn the_pods_are_restricted() {
    every_workload(|place, _, workload| {
        let spec = &pod(workload)["spec"];
        let security = &spec["securityContext"];
        let user = Dockerfile::read().user();
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(security[field], user, "{place}: {field}");
        }
        assert_eq!(security["runAsNonRoot"], true, "{place}");
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec[field].is_null(), "{place}: {field}");
        }
        let container = container(workload);
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
        for limit in ["cpu", "memory"] {
            let limits = &container["resources"]["limits"];
            assert!(limits[limit].is_string(), "{place}: {limit}");
        }
    });
}

#[test]
fn stopping_gets_longer_than_requests_get() {
    every_workload(|place, rendered, workload| {
        let seconds = pod(workload)["spec"]["terminationGracePeriodSeconds"].as_u64();
        let settings = settings_of(rendered, workload).settings;
        let grace = settings.server.shutdown_grace_ms;
        assert!(seconds.unwrap() * 1000 >= 2 * grace, "{place}");
    });
}

#[test]
fn the_image_is_of_this_version() {
    let manifest = text("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .unwrap();
    for folder in [FOLDERS[0], CLUSTER] {
        let kustomization = yaml(&format!("{folder}/kustomization.yaml"));
        let image = &kustomization["images"][0];
        assert_eq!(image["newTag"], version.trim_matches('"'), "{folder}");
        for workload in workloads(&render(folder)) {
            assert_eq!(image["name"], container(workload)["image"], "{folder}");
        }
    }
}

#[test]
fn with_qdrant_the_key_is_mounted_and_the_way_is_open() {
    every_workload(|place, rendered, workload| {
        let loaded = settings_of(rendered, workload);
        if let Some(file) = loaded.written("qdrant.api_key_file") {
            check_way_to_qdrant(place, rendered, workload, file.trim_matches('"'));
        } else {
            assert_eq!(loaded.written("storage.profile"), None, "{place}");
        }
    });
}

#[track_caller]
fn check_way_to_qdrant(place: &str, rendered: &Rendered, workload: &Value, file: &str) {
    let (folder, name) = file.rsplit_once('/').unwrap();
    let mounts = items(&container(workload)["volumeMounts"]);
    let mount = mounts
        .iter()
        .find(|mount| mount["mountPath"] == folder)
        .unwrap();
    let secret = &volume(workload, mount["name"].as_str().unwrap())["secret"];
    assert_eq!(secret["items"][0]["path"], name, "{place}");
    let loaded = settings_of(rendered, workload);
    let url = loaded.written("qdrant.url").unwrap().trim_matches('"');
    let egress = items(&policy(rendered, workload)["spec"]["egress"]).to_vec();
    let ports = egress
        .iter()
        .flat_map(|rule| items(&rule["ports"]).to_vec());
    let ports: Vec<_> = ports.map(|port| port["port"].clone()).collect();
    assert!(
        ports.contains(&json!(super::port(url))),
        "{place}: {ports:?}"
    );
    assert!(ports.contains(&json!(53)), "a name has to be looked up");
}
