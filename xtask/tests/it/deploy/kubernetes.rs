//! The manifests of `config/kubernetes`: schemas, what they say of each other, and what Braid needs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::dockerfile::Dockerfile;
use super::kustomize::{Rendered, render};
use super::settings::{self, Loaded};
use super::{assert_valid, entries, problems, root, schema, text, texts, yaml};

const FOLDERS: [&str; 2] = ["config/kubernetes/base", "config/kubernetes/qdrant"];

/// The schema of a kind.
pub(super) fn schema_of(kind: &str) -> Value {
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

fn pod(rendered: &Rendered) -> &Value {
    &rendered.of_kind("StatefulSet")["spec"]["template"]
}

fn container(rendered: &Rendered) -> &Value {
    let containers = pod(rendered)["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The settings that Braid reads, through the variable, the mount and the generated map.
#[track_caller]
fn settings_of(rendered: &Rendered) -> Loaded {
    let container = container(rendered);
    let file = items(&container["env"])
        .iter()
        .find(|variable| variable["name"] == "BRAID_CONFIG")
        .and_then(|variable| variable["value"].as_str())
        .unwrap();
    let (folder, name) = file.rsplit_once('/').unwrap();
    let mount = items(&container["volumeMounts"])
        .iter()
        .find(|mount| mount["mountPath"] == folder);
    let volume = volume(rendered, mount.unwrap()["name"].as_str().unwrap());
    let map = volume["configMap"]["name"].as_str().unwrap();
    let files = &rendered.maps[map];
    let is_it = |path: &&String| path.rsplit('/').next() == Some(name);
    settings::read(files.iter().find(is_it).unwrap())
}

#[track_caller]
fn volume<'a>(rendered: &'a Rendered, name: &str) -> &'a Value {
    let volumes = items(&pod(rendered)["spec"]["volumes"]);
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
    let planted = [
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
    let valid = render(FOLDERS[0]).of_kind("StatefulSet").clone();
    for (pointer, value) in planted {
        let mut manifest = valid.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = manifest.pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(name);
        } else {
            parent[name] = value;
        }
        let found = problems(&schema_of("StatefulSet"), &manifest);
        assert!(!found.is_empty(), "{pointer}");
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
fn what_selects_the_pod_selects_it() {
    for folder in FOLDERS {
        let rendered = render(folder);
        let labels = &pod(&rendered)["metadata"]["labels"];
        let set = rendered.of_kind("StatefulSet");
        let selectors = [
            &set["spec"]["selector"]["matchLabels"],
            &rendered.of_kind("Service")["spec"]["selector"],
            &rendered.of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
            &rendered.of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        ];
        for selector in selectors {
            assert!(
                entries(selector).count() > 0,
                "{folder}: it selects everything"
            );
            for (label, value) in entries(selector) {
                assert_eq!(&labels[label], value, "{folder}: {label}");
            }
        }
        let service = &rendered.of_kind("Service")["metadata"]["name"];
        assert_eq!(&set["spec"]["serviceName"], service);
        let account = &rendered.of_kind("ServiceAccount")["metadata"]["name"];
        assert_eq!(&pod(&rendered)["spec"]["serviceAccountName"], account);
    }
}

#[test]
fn ports_are_where_braid_listens() {
    for folder in FOLDERS {
        let rendered = render(folder);
        let container = container(&rendered);
        let port = &container["ports"][0];
        let listen = settings_of(&rendered).settings.server.listen;
        assert!(
            listen.ip().is_unspecified(),
            "the kubelet and the service come from outside"
        );
        assert_eq!(port["containerPort"], listen.port());
        let name = &port["name"];
        let service = &rendered.of_kind("Service")["spec"]["ports"][0];
        assert_eq!(
            (&service["targetPort"], &service["port"]),
            (name, &json!(listen.port()))
        );
        let policy = &rendered.of_kind("NetworkPolicy")["spec"]["ingress"][0];
        assert_eq!(&policy["ports"][0]["port"], name);
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!(&container[probe]["httpGet"]["port"], name, "{probe}");
        }
        let annotations = &pod(&rendered)["metadata"]["annotations"];
        assert_eq!(annotations["prometheus.io/port"], listen.port().to_string());
    }
}

#[test]
fn probed_and_scraped_paths_are_served() {
    let routes = text("crates/braid-server/src/routes/operations.rs");
    let rendered = render(FOLDERS[0]);
    let container = container(&rendered);
    let mut paths = vec![&pod(&rendered)["metadata"]["annotations"]["prometheus.io/path"]];
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        paths.push(&container[probe]["httpGet"]["path"]);
    }
    for path in paths {
        let path = path.as_str().unwrap();
        assert!(routes.contains(&format!("{path:?}")), "no route {path}");
    }
}

#[test]
fn data_is_in_the_claim_and_everything_mounted_is_there() {
    for folder in FOLDERS {
        let rendered = render(folder);
        let set = &rendered.of_kind("StatefulSet")["spec"];
        let claims = items(&set["volumeClaimTemplates"]);
        let claimed: Vec<_> = claims
            .iter()
            .map(|claim| &claim["metadata"]["name"])
            .collect();
        let volumes = items(&pod(&rendered)["spec"]["volumes"]);
        let directory = settings_of(&rendered).settings.storage.data_dir;
        let mut stored = false;
        for mount in items(&container(&rendered)["volumeMounts"]) {
            let name = &mount["name"];
            let is_claim = claimed.contains(&name);
            let is_volume = volumes.iter().any(|volume| &volume["name"] == name);
            assert!(is_claim != is_volume, "{folder}: {name}");
            let path = mount["mountPath"].as_str().unwrap();
            stored |= is_claim && directory.as_os_str() == path;
        }
        assert!(stored, "{folder}: {} is in no claim", directory.display());
        assert_eq!(
            claims[0]["spec"]["accessModes"],
            json!(["ReadWriteOncePod"])
        );
        assert_eq!(set["replicas"], 1, "a data directory has one owner");
    }
}

/// The profile `restricted` of Kubernetes' pod security standards, and a read-only file system.
#[test]
fn the_pod_is_restricted() {
    for folder in FOLDERS {
        let rendered = render(folder);
        let spec = &pod(&rendered)["spec"];
        let security = &spec["securityContext"];
        let user = Dockerfile::read().user();
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(security[field], user, "{field}");
        }
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(spec["automountServiceAccountToken"], false);
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec[field].is_null(), "{field}");
        }
        let container = container(&rendered);
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
        for limit in ["cpu", "memory"] {
            assert!(
                container["resources"]["limits"][limit].is_string(),
                "{limit}"
            );
        }
    }
}

#[test]
fn stopping_gets_longer_than_requests_get() {
    for folder in FOLDERS {
        let rendered = render(folder);
        let seconds = pod(&rendered)["spec"]["terminationGracePeriodSeconds"].as_u64();
        let grace = settings_of(&rendered).settings.server.shutdown_grace_ms;
        assert!(seconds.unwrap() * 1000 >= 2 * grace, "{folder}");
    }
}

#[test]
fn the_image_is_of_this_version() {
    let manifest = text("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .unwrap();
    let kustomization = yaml("config/kubernetes/base/kustomization.yaml");
    let image = &kustomization["images"][0];
    assert_eq!(image["newTag"], version.trim_matches('"'));
    assert_eq!(image["name"], container(&render(FOLDERS[0]))["image"]);
}

#[test]
fn with_qdrant_the_key_is_mounted_and_the_way_is_open() {
    let rendered = render(FOLDERS[1]);
    let loaded = settings_of(&rendered);
    assert_eq!(loaded.written("storage.profile"), Some("\"qdrant\""));
    let file = loaded
        .written("qdrant.api_key_file")
        .unwrap()
        .trim_matches('"');
    let (folder, name) = file.rsplit_once('/').unwrap();
    let mounts = items(&container(&rendered)["volumeMounts"]);
    let mount = mounts
        .iter()
        .find(|mount| mount["mountPath"] == folder)
        .unwrap();
    let secret = &volume(&rendered, mount["name"].as_str().unwrap())["secret"];
    assert_eq!(secret["items"][0]["path"], name);
    let url = loaded.written("qdrant.url").unwrap().trim_matches('"');
    let egress = items(&rendered.of_kind("NetworkPolicy")["spec"]["egress"]).to_vec();
    let ports = egress
        .iter()
        .flat_map(|rule| items(&rule["ports"]).to_vec());
    let ports: Vec<_> = ports.map(|port| port["port"].clone()).collect();
    assert!(ports.contains(&json!(super::port(url))), "{ports:?}");
    assert!(ports.contains(&json!(53)), "a name has to be looked up");
}
