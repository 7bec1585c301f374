//! As much of kustomize as the manifests use: resources, strategic merge patches, a generated map.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{root, texts, yaml};

/// What a folder comes to.
pub(super) struct Rendered {
    /// The manifests.
    pub(super) manifests: Vec<Value>,
    /// The files of the generated maps, relative to the repository, by the name of their map.
    pub(super) maps: BTreeMap<String, Vec<String>>,
}

impl Rendered {
    /// The only manifest of a kind.
    #[track_caller]
    pub(super) fn of_kind(&self, kind: &str) -> &Value {
        let found: Vec<_> = self
            .manifests
            .iter()
            .filter(|found| found["kind"] == kind)
            .collect();
        assert_eq!(found.len(), 1, "{kind}");
        found[0]
    }
}

/// Renders a folder with a `kustomization.yaml`.
#[track_caller]
pub(super) fn render(folder: &str) -> Rendered {
    let kustomization = yaml(&format!("{folder}/kustomization.yaml"));
    assert_eq!(kustomization["kind"], "Kustomization");
    let mut rendered = Rendered {
        manifests: Vec::new(),
        maps: BTreeMap::new(),
    };
    for resource in texts(&kustomization["resources"]) {
        if let Some(other) = resource.strip_prefix("../") {
            let parent = folder.rsplit_once('/').unwrap().0;
            let base = render(&format!("{parent}/{other}"));
            rendered.manifests.extend(base.manifests);
            rendered.maps.extend(base.maps);
        } else {
            rendered
                .manifests
                .push(yaml(&format!("{folder}/{resource}")));
        }
    }
    for patch in list(&kustomization["patches"]) {
        let patch = yaml(&format!("{folder}/{}", patch["path"].as_str().unwrap()));
        apply(&mut rendered.manifests, &patch);
    }
    for map in list(&kustomization["configMapGenerator"]) {
        let files = texts(&map["files"])
            .into_iter()
            .map(|file| format!("{folder}/{file}"));
        let files: Vec<_> = files
            .inspect(|file| assert!(root().join(file).is_file()))
            .collect();
        let name = map["name"].as_str().unwrap();
        let old = rendered.maps.insert(name.to_owned(), files);
        let replaces = map["behavior"] == "replace";
        assert_eq!(old.is_some(), replaces, "{folder}: {name}");
    }
    rendered
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Patches the manifest of the same kind and name.
#[track_caller]
fn apply(manifests: &mut [Value], patch: &Value) {
    let same = |found: &&mut Value| {
        let name = |value: &Value| value["metadata"]["name"].clone();
        found["kind"] == patch["kind"] && name(found) == name(patch)
    };
    let target = manifests.iter_mut().find(same);
    merge(target.expect("a patch has something to patch"), patch);
}

/// Maps are merged; of lists, those of named things by their names or mount paths; all else is replaced.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(patch)) if key_of(patch).is_some() => {
            let key = key_of(patch).unwrap_or_default();
            for item in patch {
                match target.iter_mut().find(|found| found[key] == item[key]) {
                    Some(found) => merge(found, item),
                    None => target.push(item.clone()),
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// What names the items of a list, as Kubernetes merges them.
fn key_of(items: &[Value]) -> Option<&'static str> {
    let has = |key: &str| {
        let of = |item: &Value| {
            item.as_object()
                .is_some_and(|item: &Map<_, _>| item.contains_key(key))
        };
        !items.is_empty() && items.iter().all(of)
    };
    ["mountPath", "name"].into_iter().find(|key| has(key))
}
