//! The contract itself: it says what HTTP says, and does not change under its callers.

use std::collections::BTreeSet;

use braid_server::grpc::DESCRIPTORS;
use expect_test::expect_file;
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};
use serde_json::Value;

use crate::contract::DOCUMENT;

/// Schemas of `/openapi.json` and the messages that say the same.
const PAIRS: [(&str, &str); 51] = [
    ("BatchAnswer", "BatchRetrieveResponse"),
    ("BatchBody", "BatchRetrieveRequest"),
    ("BelowBody", "Below"),
    ("CandidatesBody", "Candidates"),
    ("ChangeBody", "Change"),
    ("ChunkingAnswer", "Chunking"),
    ("ChunkingBody", "Chunking"),
    ("CitationBody", "Citation"),
    ("CollectionAnswer", "Collection"),
    ("CollectionBody", "CollectionSettings"),
    ("CollectionsAnswer", "ListCollectionsResponse"),
    ("ConditionBody", "QueryCondition"),
    ("ContextAnswer", "AssembledContext"),
    ("ContextBody", "Context"),
    ("CutBody", "Cut"),
    ("DegradedBody", "Degraded"),
    ("DeletedAnswer", "DeleteCollectionResponse"),
    ("DocumentBody", "NewDocument"),
    ("DocumentsAnswer", "ListDocumentsResponse"),
    ("DuplicateAnswer", "Duplicate"),
    ("DuplicatesBody", "Duplicates"),
    ("ExpansionBody", "Expansion"),
    ("ExplainAnswer", "ExplainResponse"),
    ("FailedDocumentAnswer", "FailedDocument"),
    ("FailuresAnswer", "ListFailuresResponse"),
    ("Filter", "Filter"),
    ("FingerprintAnswer", "Fingerprint"),
    ("FormatChunking", "FormatChunking"),
    ("FormatsChunking", "FormatsChunking"),
    ("FusionBody", "Fusion"),
    ("HitBody", "Hit"),
    ("JobAccepted", "JobAccepted"),
    ("JobAnswer", "Job"),
    ("JobCancelled", "CancelJobResponse"),
    ("JobCounts", "JobCounts"),
    ("JobItemAnswer", "JobItem"),
    ("JobWaiting", "JobWaiting"),
    ("JobsAnswer", "ListJobsResponse"),
    ("LegBody", "Leg"),
    ("MoveBody", "Move"),
    ("OriginBody", "Origin"),
    ("Problem", "Problem"),
    ("Range", "Range"),
    ("ReasonBody", "Reason"),
    ("RerankBody", "Rerank"),
    ("RetrieveAnswer", "RetrieveResponse"),
    ("RetrieveBody", "RetrieveRequest"),
    ("ScoresBody", "Scores"),
    ("SourceBody", "Source"),
    ("ThresholdsBody", "Thresholds"),
    ("WriteAnswer", "WriteResponse"),
];

/// Enums of both.
const ENUMS: [(&str, &str); 16] = [
    ("CutStage", "CutStage"),
    ("ExpansionKindName", "ExpansionKind"),
    ("ExpansionName", "Expand"),
    ("FormatName", "Format"),
    ("FusionName", "FusionMethod"),
    ("LegOutcome", "LegOutcome"),
    ("ModeName", "Mode"),
    ("MoveCause", "MoveCause"),
    ("MoveStage", "MoveStage"),
    ("NoteCode", "NoteCode"),
    ("OrderName", "Order"),
    ("ReasonCode", "ReasonCode"),
    ("SyntaxName", "Syntax"),
    ("TokenizerName", "Tokenizer"),
    ("TrustName", "LegTrust"),
    ("TyposName", "Typos"),
];

/// Fields of a message that its schema does not have: they stand in the path or the query over HTTP.
const OUTSIDE: [&str; 2] = ["collection", "wait"];

fn file_set() -> FileDescriptorSet {
    FileDescriptorSet::decode(DESCRIPTORS).unwrap()
}

fn ours(set: &FileDescriptorSet) -> impl Iterator<Item = &FileDescriptorProto> {
    set.file.iter().filter(|file| file.package() == "braid.v1")
}

fn schema(name: &str) -> &'static Value {
    let schema = &DOCUMENT["components"]["schemas"][name];
    assert!(schema.is_object(), "no schema {name}");
    schema
}

#[test]
fn messages_have_the_fields_of_the_http_interface() {
    let set = file_set();
    let messages: Vec<_> = ours(&set).flat_map(|file| &file.message_type).collect();
    for (schema_name, message) in PAIRS {
        let fields = schema(schema_name)["properties"].as_object();
        let fields = fields.unwrap_or_else(|| panic!("{schema_name} has no properties"));
        let fields: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let found = messages.iter().find(|it| it.name() == message);
        let found = found.unwrap_or_else(|| panic!("no message {message}"));
        let names: BTreeSet<&str> = found
            .field
            .iter()
            .map(|field| field.name())
            .filter(|name| fields.contains(name) || !OUTSIDE.contains(name))
            .collect();
        assert_eq!(fields, names, "{schema_name} and {message}");
    }
}

#[test]
fn enums_have_the_values_of_the_http_interface() {
    let set = file_set();
    let enums: Vec<_> = ours(&set).flat_map(|file| &file.enum_type).collect();
    for (schema_name, name) in ENUMS {
        let values = named_values(schema(schema_name));
        let found = enums.iter().find(|it| it.name() == name);
        let found = found.unwrap_or_else(|| panic!("no enum {name}"));
        let prefix = screaming(name);
        let names: BTreeSet<String> = found.value[1..]
            .iter()
            .map(|value| {
                value
                    .name()
                    .strip_prefix(&prefix)
                    .unwrap()
                    .to_ascii_lowercase()
            })
            .collect();
        assert_eq!(values, names, "{schema_name} and {name}");
        assert_eq!(found.value[0].name(), format!("{prefix}UNSPECIFIED"));
    }
}

/// The values of an enum, which are described one by one or listed.
fn named_values(schema: &Value) -> BTreeSet<String> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.flat_map(|one| match one["const"].as_str() {
        Some(_) => std::slice::from_ref(&one["const"]),
        None => one["enum"].as_array().map_or(&[][..], |values| values),
    });
    listed
        .chain(described)
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

/// `MoveCause` as the prefix of its values.
fn screaming(name: &str) -> String {
    let mut prefix = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

/// Operations of the HTTP interface that gRPC does not have. A new one gets a method or a line here.
const HTTP_ONLY: [&str; 17] = [
    "DELETE /v1/cache",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/collections/{collection}/chunks/{chunk_id}",
    "GET /v1/collections/{collection}/documents/{id}/chunks",
    "GET /v1/collections/{collection}/synonyms",
    "GET /v1/models",
    "POST /embed",
    "POST /rerank",
    "POST /retrieve",
    "POST /v1/cache/lookup",
    "POST /v1/cache/store",
    "POST /v1/embeddings",
    "POST /v1/rerank",
    "POST /v2/rerank",
    "PUT /v1/collections/{collection}/synonyms",
];

#[test]
fn every_operation_has_a_method_that_says_so() {
    let files = [
        include_str!("../../../../../proto/braid/v1/collections.proto"),
        include_str!("../../../../../proto/braid/v1/ingestion.proto"),
        include_str!("../../../../../proto/braid/v1/jobs.proto"),
        include_str!("../../../../../proto/braid/v1/retrieval.proto"),
    ];
    let quoted = files
        .iter()
        .flat_map(|text| text.split('`').skip(1).step_by(2));
    let said: BTreeSet<&str> = quoted.filter(|text| text.contains(" /")).collect();
    let mut operations = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    let mut covered: BTreeSet<String> = said.iter().map(|&text| text.to_owned()).collect();
    covered.extend(HTTP_ONLY.map(str::to_owned));
    assert_eq!(operations, covered);
}

/// Every name and number that a caller depends on, a line each.
fn lines(set: &FileDescriptorSet) -> Vec<String> {
    let mut lines = Vec::new();
    for file in ours(set) {
        file.enum_type
            .iter()
            .for_each(|it| enum_lines(it, &mut lines));
        file.message_type
            .iter()
            .for_each(|it| message_lines(it, &mut lines));
        file.service
            .iter()
            .for_each(|it| service_lines(it, &mut lines));
    }
    lines.sort();
    lines
}

fn enum_lines(named: &EnumDescriptorProto, lines: &mut Vec<String>) {
    for value in &named.value {
        lines.push(format!(
            "enum {} {} = {}",
            named.name(),
            value.name(),
            value.number()
        ));
    }
}

fn message_lines(message: &DescriptorProto, lines: &mut Vec<String>) {
    let name = message.name();
    if message.field.is_empty() {
        lines.push(format!("message {name}"));
    }
    for field in &message.field {
        let label = match field.proto3_optional() {
            true => "optional".to_owned(),
            false => format!("{:?}", field.label())
                .to_lowercase()
                .replace("optional", "single"),
        };
        let kind = match field.type_name() {
            "" => format!("{:?}", field.r#type()).to_lowercase(),
            named => named.trim_start_matches('.').to_owned(),
        };
        let choice = field.oneof_index.filter(|_| !field.proto3_optional());
        let choice = choice.map(|index| message.oneof_decl[index as usize].name());
        let choice = choice
            .map(|choice| format!(" of {choice}"))
            .unwrap_or_default();
        lines.push(format!(
            "message {name} {label} {kind} {} = {}{choice}",
            field.name(),
            field.number()
        ));
    }
    for nested in &message.nested_type {
        message_lines(nested, lines);
    }
}

fn service_lines(service: &ServiceDescriptorProto, lines: &mut Vec<String>) {
    for method in &service.method {
        let stream = |is_stream: bool| if is_stream { "stream " } else { "" };
        lines.push(format!(
            "rpc {}.{} {}{} returns {}{}",
            service.name(),
            method.name(),
            stream(method.client_streaming()),
            method.input_type(),
            stream(method.server_streaming()),
            method.output_type(),
        ));
    }
}

#[test]
fn nothing_that_callers_depend_on_is_changed_or_gone() {
    let now = lines(&file_set());
    let committed = include_str!("../../../../../proto/braid/v1/contract.txt");
    let gone: Vec<_> = committed
        .lines()
        .filter(|line| !now.iter().any(|it| it == line))
        .collect();
    assert!(
        gone.is_empty(),
        "a breaking change; add to the contract instead, or make a v2: {gone:#?}"
    );
    // What is added is written down by `UPDATE_EXPECT=1`.
    expect_file!["../../../../../proto/braid/v1/contract.txt"].assert_eq(&(now.join("\n") + "\n"));
}
