//! What is served is what `/openapi.json` says: every answer is validated against the schema of its
//! operation and status. The schemas of answers are closed first, so that a field the document
//! does not name is found too.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::server::Answer;

/// The document as it is served.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(braid_server::openapi()).unwrap());

static RESPONSES: LazyLock<HashMap<Response, Declared>> = LazyLock::new(declared);

/// Path template, method in lower case, status as declared (`200`, `4XX`).
type Response = (String, String, String);

struct Declared {
    media_type: String,
    /// `None` for what is not JSON.
    validator: Option<Validator>,
}

/// Checks one answer. A path or method that the document does not have must be answered with a
/// problem.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let method = method.as_str().to_ascii_lowercase();
    let Some(template) = template_of(&method, path) else {
        assert!(
            [404, 405].contains(&answer.status),
            "{method} {path}: undocumented"
        );
        assert_problem(answer);
        return;
    };
    let response = |status: String| RESPONSES.get(&(template.clone(), method.clone(), status));
    let declared = response(answer.status.to_string())
        .or_else(|| response(format!("{}XX", answer.status / 100)))
        .unwrap_or_else(|| panic!("{method} {template} does not declare {}", answer.status));
    assert_eq!(answer.media_type(), declared.media_type, "{method} {path}");
    if let Some(validator) = &declared.validator {
        assert_valid(validator, &answer.json(), &format!("{method} {template}"));
    }
}

fn assert_problem(answer: &Answer) {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    assert_eq!(answer.media_type(), "application/problem+json");
    assert_valid(&validator(&schema, true), &answer.json(), "a problem");
}

#[track_caller]
fn assert_valid(validator: &Validator, instance: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?} in {instance:#}");
}

/// Whether the request schema of an operation accepts `body`.
pub(crate) fn accepts(template: &str, method: &str, body: &Value) -> bool {
    let content = &DOCUMENT["paths"][template][method]["requestBody"]["content"];
    validator(&content["application/json"]["schema"], false).is_valid(body)
}

/// The document's template that `path` is an instance of and that has the method.
fn template_of(method: &str, path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or(path);
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fits = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| {
                wanted == given || (wanted.starts_with('{') && !given.is_empty())
            })
    };
    paths
        .iter()
        .find(|(template, item)| fits(template) && item.get(method).is_some())
        .map(|(template, _)| template.clone())
}

fn declared() -> HashMap<Response, Declared> {
    let mut responses = HashMap::new();
    for (template, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let content = response["content"].as_object().unwrap();
                assert_eq!(content.len(), 1, "{method} {template} {status}");
                let (media_type, content) = content.iter().next().unwrap();
                let validator = media_type
                    .ends_with("json")
                    .then(|| validator(&content["schema"], true));
                let declared = Declared {
                    media_type: media_type.clone(),
                    validator,
                };
                let key = (template.clone(), method.clone(), status.clone());
                responses.insert(key, declared);
            }
        }
    }
    responses
}

/// A validator of `schema` with the document's components in reach.
fn validator(schema: &Value, closed: bool) -> Validator {
    let mut components = DOCUMENT["components"].clone();
    if closed {
        let schemas = components["schemas"].as_object_mut().unwrap();
        let composed: Vec<String> = schemas.values().flat_map(parts_of).collect();
        for (name, schema) in schemas {
            if !composed.contains(name) {
                close(schema);
            }
        }
    }
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": components,
    });
    jsonschema::validator_for(&root).unwrap()
}

/// Names of the schemas that `schema` is composed of.
fn parts_of(schema: &Value) -> Vec<String> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    parts
        .filter_map(|part| part["$ref"].as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let keyword = if object.contains_key("allOf") {
        "unevaluatedProperties"
    } else if object.contains_key("properties") {
        "additionalProperties"
    } else {
        return;
    };
    object.entry(keyword).or_insert(Value::Bool(false));
}

/// Every object of the document, with the JSON pointer to it.
pub(crate) fn objects() -> Vec<(String, Map<String, Value>)> {
    fn walk(pointer: &str, value: &Value, found: &mut Vec<(String, Map<String, Value>)>) {
        match value {
            Value::Object(object) => {
                found.push((pointer.to_owned(), object.clone()));
                for (key, value) in object {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    walk(&format!("{pointer}/{key}"), value, found);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    walk(&format!("{pointer}/{index}"), value, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk("", &DOCUMENT, &mut found);
    found
}
