use super::*;

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn with_file(text: &str) -> (tempfile::TempDir, Overrides) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("test.toml");
    std::fs::write(&file, text).unwrap();
    (
        directory,
        Overrides {
            file: Some(file),
            ..Overrides::default()
        },
    )
}

#[track_caller]
fn check_refused(overrides: &Overrides, expected: &[(&str, &str)]) {
    let error = load(overrides).unwrap_err();
    assert_eq!(error.fields().len(), expected.len(), "{error}");
    for (field, (place, detail)) in error.fields().iter().zip(expected) {
        assert!(
            field.pointer.ends_with(place),
            "{} does not end with {place}",
            field.pointer
        );
        assert!(
            field.detail.contains(detail),
            "{} does not say {detail}",
            field.detail
        );
    }
}

#[test]
fn each_layer_is_above_the_one_before() {
    let (_directory, mut overrides) =
        with_file("[retrieve]\ntop_k = 3\nfusion_k = 10\n[server]\nmax_waiting_requests = 1\n");
    overrides.environment = vec![
        variable("BRAID__RETRIEVE__FUSION_K", "20"),
        variable("BRAID__SERVER__MAX_WAITING_REQUESTS", "2"),
        variable("BRAID_ORT_LIB", "/not/a/setting"),
    ];
    overrides.flags = vec![(
        "--set".to_owned(),
        "server.max_waiting_requests".to_owned(),
        "3".to_owned(),
    )];
    let settings = load(&overrides).unwrap();
    assert_eq!(settings.retrieve.top_k, 3);
    assert_eq!(settings.retrieve.fusion_k, 20.0);
    assert_eq!(settings.server.max_waiting_requests, 3);
    assert_eq!(
        settings.retrieve.candidates_dense,
        Settings::default().retrieve.candidates_dense
    );
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let (_directory, mut overrides) = with_file(
        "[server]\nlisten = \"nowhere\"\nmax_bodi_bytes = 1\n\n[retrieve]\ntop_k = -1\nmode = \"both\"\n",
    );
    overrides.environment = vec![variable("BRAID__LOG__FORMAT", "xml")];
    overrides.flags = vec![(
        "--set".to_owned(),
        "retrieve.rerank_blend".to_owned(),
        "2".to_owned(),
    )];
    check_refused(
        &overrides,
        &[
            ("test.toml:2", "expected an address"),
            ("test.toml:3", "did you mean server.max_body_bytes?"),
            (
                "test.toml:6",
                "expected a whole number, 0 or more, found -1",
            ),
            ("test.toml:7", "expected one of lexical, dense, hybrid"),
            ("BRAID__LOG__FORMAT", "expected one of text, json"),
            ("--set", "must be from 0 to 1"),
        ],
    );
}

#[test]
fn a_broken_or_missing_file_is_named() {
    let (_directory, overrides) = with_file("[server]\nlisten = \n");
    check_refused(&overrides, &[("test.toml:2", "use lines of KEY = VALUE")]);
    let absent = Overrides {
        file: Some("/absent/braid.toml".into()),
        ..Overrides::default()
    };
    check_refused(&absent, &[("/absent/braid.toml", "cannot be read")]);
    let (_directory, overrides) = with_file("top = 1\n");
    check_refused(&overrides, &[("test.toml:1", "unknown key \"top\"")]);
}

/// Each on one line: where, which key, what is wrong, what is allowed.
#[test]
fn a_bad_value_is_told_with_its_key_and_what_is_allowed() {
    let cases = [
        (
            "[server]\nlisten = 8080",
            "server.listen: expected an address such as 127.0.0.1:8080, found 8080",
        ),
        (
            "[server]\nmax_body_bytes = 0",
            "server.max_body_bytes: must be 1 or more, found 0",
        ),
        (
            "[server]\nallow_unauthenticated = \"maybe\"",
            "server.allow_unauthenticated: expected true or false, found \"maybe\"",
        ),
        (
            "[duplicates]\naction = 3",
            "duplicates.action: expected one of ignore, report, skip, link, found 3",
        ),
        (
            "[chunking]\nstrategy = \"words\"",
            "chunking.strategy: expected one of structure, tokens, ",
        ),
        (
            "[chunking]\ncode = [1]",
            "chunking.code: expected STRATEGY[:TARGET[:OVERLAP]] such as \"sentences:120:20\", found an array",
        ),
        ("[chunking]\ncode = \"words:3\"", "found \"words:3\""),
        (
            "[lexical]\nlanguage = \"klingon\"",
            "lexical.language: expected one of auto, ",
        ),
        (
            "[retrieve]\nrerank_blend = 2",
            "retrieve.rerank_blend: must be from 0 to 1, found 2",
        ),
        (
            "[log]\nverbosity = 2",
            "unknown key \"log.verbosity\": log has level, format",
        ),
        (
            "[logging]\nlevel = 2",
            "use one of storage, qdrant, server, models, ",
        ),
        (
            "server = 1",
            "server is a section: write [server] and its keys below it",
        ),
        (
            "[models]\nembedder_endpoints = \"local, gpu:8080\"",
            "models.embedder_endpoints: expected local, addresses such as http://",
        ),
        (
            "[models]\nremote_batch_texts = 0",
            "models.remote_batch_texts: must be from 1 to 2048",
        ),
        ("[log]\nlevel = info", "not TOML: "),
    ];
    for (file, expected) in cases {
        let (_directory, overrides) = with_file(file);
        let error = load(&overrides).unwrap_err();
        let [field] = error.fields() else {
            panic!("{error}");
        };
        assert!(field.detail.contains(expected), "{}", field.detail);
        assert!(!error.message().contains('\n'), "{error}");
    }
}

#[test]
fn places_of_a_model_keep_their_order() {
    let mut overrides = Overrides::default();
    let places = "http://gpu:8080/v1/embeddings,local";
    overrides.environment = vec![variable("BRAID__MODELS__EMBEDDER_ENDPOINTS", places)];
    let settings = load(&overrides).unwrap();
    let expected = ["http://gpu:8080/v1/embeddings", "local"];
    assert_eq!(settings.models.embedder_endpoints.0, expected);
    assert_eq!(settings.models.reranker_endpoints.0, ["local"]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let (_directory, overrides) =
        with_file("[chunking]\ntarget_tokens = 10\noverlap_tokens = 10\n");
    check_refused(&overrides, &[("chunking.overlap_tokens", "less than")]);
    let (_directory, overrides) =
        with_file("[qdrant]\nwrite_consistency = 2\napi_key_env = \"A\"\napi_key_file = \"b\"\n");
    let expected = [
        ("qdrant.write_consistency", "at most"),
        ("qdrant.api_key_file", "one of them"),
    ];
    check_refused(&overrides, &expected);
    let grace = "[worker]\ngrace_seconds = 30\n";
    let (_directory, overrides) = with_file(grace);
    assert!(load(&overrides).is_ok(), "it has no workers");
    let (_directory, overrides) = with_file(&format!("[storage]\nprofile = \"cluster\"\n{grace}"));
    check_refused(&overrides, &[("worker.grace_seconds", "longer than")]);
}

/// The shipped file documents every key with its default: as written it says nothing new, and with
/// every comment mark removed it still parses to the defaults.
#[test]
fn the_shipped_file_is_the_defaults() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/braid.toml");
    let text = std::fs::read_to_string(shipped).unwrap();
    let (_directory, overrides) = with_file(&text);
    assert_eq!(load(&overrides).unwrap(), Settings::default());
    assert_eq!(
        text,
        crate::keys::shipped_file(),
        "run `cargo xtask codegen`"
    );
}

/// The example profile for Qdrant sets known keys to good values.
#[test]
fn the_profile_for_qdrant_is_valid() {
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/qdrant.toml");
    let (_directory, overrides) = with_file(&std::fs::read_to_string(profile).unwrap());
    let settings = load(&overrides).unwrap();
    assert_eq!(settings.storage.profile, crate::StorageProfile::Qdrant);
    assert_eq!(settings.qdrant.replication, 2);
}

/// As above.
#[test]
fn the_profile_for_a_cluster_is_valid() {
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/cluster.toml");
    let (_directory, overrides) = with_file(&std::fs::read_to_string(profile).unwrap());
    let settings = load(&overrides).unwrap();
    assert_eq!(settings.storage.profile, crate::StorageProfile::Cluster);
    assert_eq!(settings.qdrant.replication, 3);
    assert_eq!(
        settings.duplicates.action,
        braid_core::DuplicateAction::Ignore
    );
}
