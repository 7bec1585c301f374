//! Compiles the gRPC contract, without protoc, and gives its messages the JSON form that the HTTP
//! interface reads and writes: the names are the same, so each field needs no more than how an absent
//! value, an enum and a number are written.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use tonic_prost_build::Builder;

/// The package, and the name of the encoded descriptors.
const PACKAGE: &str = "braid.v1";
const FILES: [&str; 5] = [
    "collections.proto",
    "common.proto",
    "ingestion.proto",
    "jobs.proto",
    "retrieval.proto",
];

/// Messages without a JSON form: those of the stream, whose parts are sent one by one.
const WITHOUT_JSON: [&str; 2] = ["IngestRequest", "IngestResponse"];
/// Messages that are told from others by what they have, so that nothing of them is left out.
const WHOLE: [&str; 1] = ["Problem"];
/// Messages that are written as their only field.
const TRANSPARENT: [&str; 5] = [
    "BatchItem",
    "MetadataScalar",
    "MetadataScalars",
    "MetadataValue",
    "StringList",
];
/// Choices that are told apart by their value.
const UNTAGGED: [&str; 3] = [
    "BatchItem.outcome",
    "MetadataScalar.kind",
    "MetadataValue.kind",
];
/// Fields whose own fields stand beside them.
const FLAT: [&str; 2] = ["Condition.test", "ExplainRequest.retrieve"];
/// Fields that stand in the path or the query.
const OUTSIDE: [&str; 6] = [
    "DeleteDocumentsRequest.collection",
    "DeleteDocumentsRequest.wait",
    "PutDocumentsRequest.collection",
    "PutDocumentsRequest.wait",
    "RetryFailuresRequest.collection",
    "RetryFailuresRequest.wait",
];
/// Lists that are sent even where they are empty, to be refused as such.
const REQUIRED: [&str; 2] = [
    "BatchRetrieveRequest.requests",
    "PutDocumentsRequest.documents",
];
/// Numbers in a choice.
const NUMBERS: [&str; 2] = ["MetadataScalar.kind.number", "MetadataValue.kind.number"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=build.rs");
    let files = FILES.map(|file| root.join("braid/v1").join(file));
    let descriptors = protox::compile(files, [&root])?;
    let encoded = Path::new(&env::var("OUT_DIR")?).join(format!("{PACKAGE}.bin"));
    fs::write(encoded, descriptors.encode_to_vec())?;
    let builder = tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".");
    with_json(builder, &descriptors).compile_fds(descriptors)?;
    Ok(())
}

fn with_json(mut builder: Builder, descriptors: &FileDescriptorSet) -> Builder {
    let ours = descriptors
        .file
        .iter()
        .filter(|file| file.package() == PACKAGE);
    for file in ours {
        for named in &file.enum_type {
            builder =
                builder.enum_attribute(path(named.name()), derived("rename_all = \"snake_case\""));
        }
        for message in &file.message_type {
            if !WITHOUT_JSON.contains(&message.name()) {
                builder = message_json(builder, message);
            }
        }
    }
    for number in NUMBERS {
        builder = builder.field_attribute(
            path(number),
            serde("serialize_with = \"crate::grpc::json::finite_value\""),
        );
    }
    builder
}

fn message_json(mut builder: Builder, message: &DescriptorProto) -> Builder {
    let name = message.name();
    let form = match name {
        _ if TRANSPARENT.contains(&name) => derived("transparent"),
        _ if WHOLE.contains(&name) => derive(),
        _ => derived("default"),
    };
    builder = builder.message_attribute(path(name), form);
    for choice in &message.oneof_decl {
        let choice = format!("{name}.{}", choice.name());
        // What stands for an optional field is no choice of its own.
        if choice.contains("._") {
            continue;
        }
        let form = match UNTAGGED.contains(&choice.as_str()) {
            true => derived("untagged"),
            false => derived("rename_all = \"snake_case\""),
        };
        builder = builder.enum_attribute(path(&choice), form);
        if FLAT.contains(&choice.as_str()) {
            builder = builder.field_attribute(path(&choice), serde("flatten"));
        }
    }
    for field in &message.field {
        if field.oneof_index.is_some() && !field.proto3_optional() {
            continue;
        }
        let place = format!("{name}.{}", field.name());
        for option in field_json(&place, field, TRANSPARENT.contains(&name)) {
            builder = builder.field_attribute(path(&place), serde(&option));
        }
    }
    builder
}

/// How a field is written.
fn field_json(place: &str, field: &FieldDescriptorProto, is_transparent: bool) -> Vec<String> {
    if is_transparent {
        return Vec::new();
    }
    if OUTSIDE.contains(&place) {
        return vec!["skip".to_owned()];
    }
    if FLAT.contains(&place) {
        return vec!["flatten".to_owned()];
    }
    if field.label() == Label::Repeated {
        let mut options = vec!["default".to_owned()];
        if !REQUIRED.contains(&place) {
            options.push("skip_serializing_if = \"crate::grpc::json::is_empty\"".to_owned());
        }
        return options;
    }
    let is_optional = field.proto3_optional() || field.r#type() == Type::Message;
    let mut options = value_json(field, is_optional);
    if is_optional {
        options.push("skip_serializing_if = \"Option::is_none\"".to_owned());
    }
    options
}

fn value_json(field: &FieldDescriptorProto, is_optional: bool) -> Vec<String> {
    let kind = field.type_name().rsplit('.').next().unwrap_or_default();
    let with = |write: String, read: String| {
        let functions = "crate::grpc::json";
        vec![
            format!("serialize_with = \"{functions}::{write}\""),
            format!("deserialize_with = \"{functions}::{read}\""),
        ]
    };
    match (field.r#type(), field.type_name()) {
        (Type::Enum, _) => {
            let mut options = with(
                format!("write_name::<{kind}, _>"),
                format!("read_name::<{kind}, _>"),
            );
            options.push("skip_serializing_if = \"crate::grpc::json::is_unset\"".to_owned());
            options
        }
        (Type::Double, _) if is_optional => {
            vec!["serialize_with = \"crate::grpc::json::finite_option\"".to_owned()]
        }
        (Type::Double, _) => vec!["serialize_with = \"crate::grpc::json::finite\"".to_owned()],
        (_, ".google.protobuf.Struct") => with("write_object".to_owned(), "read_object".to_owned()),
        (_, ".google.protobuf.Value") => with("write_value".to_owned(), "read_value".to_owned()),
        _ => Vec::new(),
    }
}

/// Without the dot in front, which would match what stands below it as well.
fn path(name: &str) -> String {
    format!("{PACKAGE}.{name}")
}

fn serde(option: &str) -> String {
    format!("#[serde({option})]")
}

fn derive() -> String {
    "#[derive(serde::Serialize, serde::Deserialize)]".to_owned()
}

fn derived(option: &str) -> String {
    format!("{}\n{}", derive(), serde(option))
}
