use super::*;

fn sample() -> serde_json::Value {
    serde_json::json!({
        "schema": 1, "name": "m", "kind": "reranker", "max_tokens": 64, "batching": "tokens",
        "reranker": {"recommended_blend": 0.3},
        "files": {"model.onnx": {"bytes": 1, "sha256": "00"}, "tokenizer.json": {"bytes": 1, "sha256": "00"}}
    })
}

fn read(manifest: &serde_json::Value) -> Result<Option<Manifest>> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MANIFEST_FILE), manifest.to_string()).unwrap();
    Manifest::read(dir.path())
}

#[test]
fn a_minimal_manifest_is_read() {
    let manifest = read(&sample()).unwrap().unwrap();
    assert_eq!(manifest.kind, ModelKind::Reranker);
    assert_eq!(manifest.reranker_section().recommended_blend, 0.3);
    assert!(Manifest::read(Path::new("/nowhere")).unwrap().is_none());
}

#[test]
fn languages_are_those_of_collections() {
    let mut manifest = sample();
    manifest["reranker"]["languages"] = serde_json::json!(["english", "french"]);
    let read_back = read(&manifest).unwrap().unwrap();
    let known = read_back.reranker_section().known_languages().unwrap();
    assert_eq!(known, [Language::English, Language::French]);
    manifest["reranker"]["languages"] = serde_json::json!(["klingon"]);
    let error = read(&manifest).unwrap_err();
    assert!(error.to_string().contains("klingon"), "{error}");
}

#[test]
fn scripts_are_codes() {
    let mut manifest = sample();
    manifest["kind"] = serde_json::json!("embedder");
    manifest["reranker"].take();
    let mut with = |scripts: serde_json::Value| {
        manifest["embedder"] = serde_json::json!({ "pooling": "mean", "scripts": scripts });
        read(&manifest)
    };
    let read_back = with(serde_json::json!(["Latn", "Cyrl"])).unwrap().unwrap();
    let known = read_back.embedder_section().known_scripts().unwrap();
    assert_eq!(known, [Script::LATIN, "Cyrl".parse().unwrap()]);
    let error = with(serde_json::json!(["Latin"])).unwrap_err();
    assert!(error.to_string().contains("ISO 15924"), "{error}");
}

#[test]
fn mistakes_are_named() {
    let broken = [
        ("schema", serde_json::json!(2), "schema 2"),
        (
            "kind",
            serde_json::json!("embedder"),
            "needs the section embedder",
        ),
        ("max_tokens", serde_json::json!(2), "max_tokens 2"),
        ("files", serde_json::json!({}), "model.onnx"),
        ("typo", serde_json::json!(1), "typo"),
        (
            "reranker",
            serde_json::json!({"recommended_blend": 0.5, "calibration": {
                "method": "platt", "slope": 0.0, "intercept": 0.0, "source": "nothing",
            }}),
            "slope 0",
        ),
        (
            "reranker",
            serde_json::json!({"recommended_blend": 1.5}),
            "1.5",
        ),
    ];
    for (key, value, named) in broken {
        let mut manifest = sample();
        manifest[key] = value;
        let error = read(&manifest).expect_err(key);
        assert_eq!(error.code(), ErrorCode::ModelUnavailable);
        assert!(error.message().contains(named), "{key}: {error}");
    }
}

#[test]
fn a_directory_without_manifest_gets_defaults_from_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let bare = conservative(dir.path(), "bare");
    assert_eq!((bare.max_tokens, bare.kind), (256, ModelKind::Embedder));
    assert_eq!(bare.batching, Batching::Tokens);
    let config =
        r#"{"architectures": ["BertForSequenceClassification"], "max_position_embeddings": 8192}"#;
    fs::write(dir.path().join("config.json"), config).unwrap();
    fs::write(
        dir.path().join("tokenizer_config.json"),
        r#"{"model_max_length": 1e30}"#,
    )
    .unwrap();
    fs::write(dir.path().join(MODEL_FILE), b"..DDynamicQuantizeLinear..").unwrap();
    let described = conservative(dir.path(), "described");
    assert_eq!(
        (described.max_tokens, described.kind),
        (512, ModelKind::Reranker)
    );
    assert_eq!(described.batching, Batching::Single);
}

#[test]
fn a_model_that_is_served_elsewhere_needs_no_weights_but_a_name_for_them() {
    let mut manifest = sample();
    manifest["files"]
        .as_object_mut()
        .unwrap()
        .remove(MODEL_FILE);
    manifest["remote"] = serde_json::json!({"model": "org/m"});
    let error = read(&manifest).unwrap_err();
    assert!(error.message().contains("remote.revision"), "{error}");
    manifest["remote"]["revision"] = "1a2b".into();
    let read_back = read(&manifest).unwrap().unwrap();
    assert_eq!(read_back.served_name(), "org/m");
    let weights = read_back.weights_elsewhere();
    assert_eq!(weights.as_deref(), Some("remote org/m revision 1a2b"));
    manifest["files"] = sample()["files"].clone();
    let listed = read(&manifest).unwrap().unwrap();
    assert_eq!(
        listed.weights_elsewhere(),
        None,
        "the file's hash says more"
    );
    manifest["remote"]["relevance"] = "odds".into();
    assert!(read(&manifest).is_err());
}
