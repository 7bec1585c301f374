//! The deployment files against their schemas, the settings and each other, without Docker or a cluster.

mod compose;
mod dockerfile;
mod kubernetes;
mod kubernetes_cluster;
mod kustomize;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
#[track_caller]
fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of one document.
#[track_caller]
fn yaml(path: &str) -> Value {
    parse(path, &text(path))
}

#[track_caller]
fn parse(path: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of a list; of anything else none.
fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// The entries of an object; of anything else none.
fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(name, value)| (name.as_str(), value))
}

/// Fails unless `value` is as `schema` says.
#[track_caller]
fn assert_valid(place: &str, schema: &Value, value: &Value) {
    let found = problems(schema, value);
    assert!(found.is_empty(), "{place}: {found:#?}");
}

/// What `schema` says against `value`.
fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(schema)
        .unwrap();
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The schema in `xtask/tests/schemas`.
fn schema(name: &str) -> Value {
    let mut schema: Value =
        serde_json::from_str(&text(&format!("xtask/tests/schemas/{name}.json"))).unwrap();
    // The draft is said by whoever validates.
    schema.as_object_mut().unwrap().remove("$schema");
    schema
}

/// The port of an address.
#[track_caller]
fn port(address: &str) -> u16 {
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    port.unwrap_or_else(|| panic!("no port in {address:?}"))
}
