//! `config/kubernetes/cluster`: query servers and workers without a data directory.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::dockerfile::Dockerfile;
use super::kubernetes::{items, schema_of};
use super::kustomize::{Rendered, render};
use super::settings::{self, Loaded};
use super::{assert_valid, entries, root, text, texts, yaml};

const FOLDER: &str = "config/kubernetes/cluster";
/// The deployments, and what their containers run.
const DEPLOYED: [(&str, &[&str]); 2] = [
    ("braid", &["serve"]),
    ("braid-worker", &["ingest", "--worker"]),
];

/// The manifest of this kind and name.
#[track_caller]
fn named<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> &'a Value {
    let is_it = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
    let found = rendered.manifests.iter().find(is_it);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn pod<'a>(rendered: &'a Rendered, name: &str) -> &'a Value {
    &named(rendered, "Deployment", name)["spec"]["template"]
}

fn container<'a>(rendered: &'a Rendered, name: &str) -> &'a Value {
    &pod(rendered, name)["spec"]["containers"][0]
}

fn loaded() -> Loaded {
    settings::read(&format!("{FOLDER}/braid.toml"))
}

#[test]
fn manifests_are_as_kubernetes_says() {
    for manifest in render(FOLDER).manifests {
        let kind = manifest["kind"].as_str().unwrap();
        assert_valid(&format!("{FOLDER}: {kind}"), &schema_of(kind), &manifest);
    }
}

#[test]
fn every_file_is_used() {
    let kustomization = yaml(&format!("{FOLDER}/kustomization.yaml"));
    let mut used: BTreeSet<&str> = ["kustomization.yaml", "braid.toml"].into();
    used.extend(texts(&kustomization["resources"]));
    let there = std::fs::read_dir(root().join(FOLDER)).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.collect();
    assert_eq!(
        there.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        used
    );
    let base = yaml("config/kubernetes/base/kustomization.yaml");
    assert_eq!(kustomization["images"], base["images"]);
}

#[test]
fn each_deployment_is_selected_scaled_and_confined() {
    let rendered = render(FOLDER);
    let user = Dockerfile::read().user();
    for (name, arguments) in DEPLOYED {
        let deployment = &named(&rendered, "Deployment", name)["spec"];
        let labels = &pod(&rendered, name)["metadata"]["labels"];
        let policy = &named(&rendered, "NetworkPolicy", name)["spec"];
        let selectors = [&deployment["selector"], &policy["podSelector"]];
        for selector in selectors {
            assert!(entries(&selector["matchLabels"]).count() > 0, "{name}");
            for (label, value) in entries(&selector["matchLabels"]) {
                assert_eq!(&labels[label], value, "{name}: {label}");
            }
        }
        assert!(
            deployment["replicas"].is_null(),
            "{name}: the autoscaler says"
        );
        let target = &named(&rendered, "HorizontalPodAutoscaler", name)["spec"];
        assert_eq!(target["scaleTargetRef"]["name"], name);
        let spec = &pod(&rendered, name)["spec"];
        assert_eq!(spec["securityContext"]["runAsUser"], user);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["automountServiceAccountToken"], false);
        let container = container(&rendered, name);
        assert_eq!(texts(&container["args"]), arguments);
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
        for limit in ["cpu", "memory"] {
            assert!(container["resources"]["limits"][limit].is_string());
            // What an autoscaler's utilization is of.
            assert!(container["resources"]["requests"][limit].is_string());
        }
    }
    let budget = &named(&rendered, "PodDisruptionBudget", "braid")["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    let least = &named(&rendered, "HorizontalPodAutoscaler", "braid")["spec"]["minReplicas"];
    assert!(least.as_u64() > Some(1), "one may be away");
}

#[test]
fn ports_and_probes_are_where_each_listens() {
    let rendered = render(FOLDER);
    let settings = loaded().settings;
    let listens = [settings.server.listen, settings.worker.listen.unwrap()];
    let sources = [
        "crates/braid-server/src/routes/operations.rs",
        "crates/braid-server/src/worker.rs",
    ];
    for (((name, _), listen), source) in DEPLOYED.into_iter().zip(listens).zip(sources) {
        assert!(listen.ip().is_unspecified(), "{name}");
        let container = container(&rendered, name);
        let port = &container["ports"][0];
        assert_eq!(port["containerPort"], listen.port());
        let routes = text(source);
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["port"], port["name"], "{name}: {probe}");
            let path = get["path"].as_str().unwrap();
            assert!(routes.contains(&format!("{path:?}")), "{name}: no {path}");
        }
        let annotations = &pod(&rendered, name)["metadata"]["annotations"];
        assert_eq!(annotations["prometheus.io/port"], listen.port().to_string());
    }
}

#[test]
fn nothing_is_stored_and_qdrant_is_reached_with_its_key() {
    let rendered = render(FOLDER);
    let loaded = loaded();
    assert_eq!(loaded.written("storage.profile"), Some("\"cluster\""));
    let quoted = |key| loaded.written(key).unwrap().trim_matches('"');
    let (folder, file) = quoted("qdrant.api_key_file").rsplit_once('/').unwrap();
    let port = super::port(quoted("qdrant.url"));
    for (name, _) in DEPLOYED {
        let mounts = items(&container(&rendered, name)["volumeMounts"]);
        let mounted: BTreeSet<_> = mounts
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        let volumes = items(&pod(&rendered, name)["spec"]["volumes"]);
        let there: BTreeSet<_> = volumes
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!(mounted, there, "{name}");
        assert!(
            volumes
                .iter()
                .all(|it| it["persistentVolumeClaim"].is_null())
        );
        let key = mounts.iter().find(|it| it["mountPath"] == folder).unwrap();
        let secret = volumes.iter().find(|it| it["name"] == key["name"]).unwrap();
        assert_eq!(secret["secret"]["items"][0]["path"], file);
        let egress = &named(&rendered, "NetworkPolicy", name)["spec"]["egress"];
        let ports = items(egress).iter().flat_map(|rule| items(&rule["ports"]));
        let ports: Vec<_> = ports.map(|it| it["port"].clone()).collect();
        assert!(
            ports.contains(&json!(port)) && ports.contains(&json!(53)),
            "{ports:?}"
        );
        let seconds = pod(&rendered, name)["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(seconds.unwrap() * 1000 >= 2 * loaded.settings.server.shutdown_grace_ms);
    }
}

#[test]
fn most_copies_decide() {
    for path in [
        "config/cluster.toml",
        "config/compose/cluster.toml",
        "config/kubernetes/cluster/braid.toml",
    ] {
        let qdrant = settings::read(path).settings.qdrant;
        assert_eq!(qdrant.replication, 3, "{path}: one node may be lost");
        assert!(qdrant.write_consistency > qdrant.replication / 2, "{path}");
        assert_eq!(
            qdrant.read_consistency,
            braid_config::QdrantReads::Majority,
            "{path}"
        );
    }
}
