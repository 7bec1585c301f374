use super::*;
use crate::verify::FileState;

/// A folder with one model of made-up content, which is listed and verified but never loaded.
fn folder_with_model(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(MODEL_FILE), "network").unwrap();
    fs::write(dir.join(TOKENIZER_FILE), "{}").unwrap();
    folder
}

fn write_manifest(dir: &Path) {
    let entry = |text: &str| serde_json::json!({"bytes": text.len(), "sha256": hash_text(text)});
    let manifest = serde_json::json!({
        "schema": 1, "name": "m", "kind": "embedder", "max_tokens": 64, "batching": "tokens",
        "licence": "MIT", "embedder": {"pooling": "mean"},
        "files": {MODEL_FILE: entry("network"), TOKENIZER_FILE: entry("{}")}
    });
    fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
}

fn store(folder: &Path) -> ModelStore {
    ModelStore::new(StoreOptions {
        folder: Some(folder.to_path_buf()),
        library: None,
    })
}

fn listed(store: &ModelStore, name: &str) -> ModelSummary {
    store
        .list()
        .into_iter()
        .find(|model| model.name == name)
        .unwrap()
}

#[test]
fn a_configured_folder_goes_first_and_its_models_are_listed() {
    let folder = folder_with_model("mine");
    let dir = folder.path().join("mine");
    assert_eq!(
        listed(&store(folder.path()), "mine").status,
        ModelStatus::Unverified
    );
    write_manifest(&dir);
    let model = listed(&store(folder.path()), "mine");
    assert_eq!(
        (model.status, model.kind),
        (ModelStatus::Ready, Some(ModelKind::Embedder))
    );
    assert_eq!((model.licence.as_str(), &model.path), ("MIT", &dir));
    assert_eq!(store(folder.path()).find("mine").unwrap().path, dir);
}

#[test]
fn a_configured_folder_that_is_not_there_is_not_passed_over() {
    let folder = folder_with_model("mine");
    let absent = folder.path().join("absent");
    let error = store(&absent).find("all-MiniLM-L6-v2-int8").unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("absent, which is not a folder"));
}

#[test]
fn damage_is_found_and_reported_with_the_command_that_mends_it() {
    let folder = folder_with_model("mine");
    let dir = folder.path().join("mine");
    write_manifest(&dir);
    let store = store(folder.path());
    assert!(
        store
            .verify("mine")
            .unwrap()
            .iter()
            .all(|check| check.state.is_good())
    );
    fs::write(dir.join(MODEL_FILE), "metwork").unwrap();
    assert_eq!(
        listed(&store, "mine").status,
        ModelStatus::Ready,
        "its length is right"
    );
    let checks = store.verify("mine").unwrap();
    assert!(
        matches!(checks[0].state, FileState::WrongHash { .. }),
        "{checks:?}"
    );
    let error = store
        .load_embedder("mine", &EmbedderOptions::default())
        .expect_err("damaged");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert_eq!(error.help(), Some("run `braid models pull mine`"));
    fs::remove_file(dir.join(MODEL_FILE)).unwrap();
    let broken = listed(&store, "mine").status;
    assert!(
        matches!(&broken, ModelStatus::Broken(why) if why.contains("missing")),
        "{broken}"
    );
}

#[test]
fn a_bundled_model_is_mended_from_where_it_came() {
    assert_eq!(
        mend_command(DEFAULT_RERANKER, true),
        "run `git checkout -- models/braid-rerank-mini-en`"
    );
    assert_eq!(
        mend_command("bge-small", true),
        "run `braid models pull bge-small`"
    );
    let help = mend_command(DEFAULT_EMBEDDER, false);
    assert!(help.contains("install Braid again"), "{help}");
    assert!(!help.contains("pull"), "{help}: no hub has it");
}

#[test]
fn a_model_that_is_not_there_is_reported_with_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let error = store(folder.path()).find("nothing").expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(
        error
            .message()
            .contains(&folder.path().display().to_string()),
        "{error}"
    );
    let by_path = store(folder.path())
        .find("./nowhere/at/all")
        .expect_err("not there");
    assert!(by_path.message().contains("has no model.onnx"), "{by_path}");
}

#[test]
fn a_model_of_the_other_kind_is_refused() {
    let folder = folder_with_model("mine");
    write_manifest(&folder.path().join("mine"));
    let options = RerankerOptions::default();
    let error = store(folder.path())
        .load_reranker("mine", &options)
        .expect_err("an embedder");
    assert!(
        error.message().contains("is a embedder") || error.message().contains("embedder"),
        "{error}"
    );
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
}

#[test]
fn fingerprints_change_with_whatever_changes_the_output() {
    let folder = folder_with_model("mine");
    let dir = folder.path().join("mine");
    let model = store(folder.path()).find("mine").unwrap();
    let first = model.fingerprint("pooling mean").unwrap();
    assert_eq!(first, model.fingerprint("pooling mean").unwrap());
    assert!(first.as_str().starts_with("mine@"), "{first}");
    assert_ne!(first, model.fingerprint("pooling cls").unwrap());
    let mut narrower = model.clone();
    narrower.manifest.max_tokens -= 1;
    assert_ne!(first, narrower.fingerprint("pooling mean").unwrap());
    fs::write(dir.join(MODEL_FILE), "other weights").unwrap();
    assert_ne!(first, model.fingerprint("pooling mean").unwrap());
}

#[cfg(not(feature = "hub"))]
#[test]
fn without_the_feature_pulling_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = store(folder.path())
        .pull("bge-small-en-v1.5")
        .expect_err("no hub");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("--features hub")),
        "{error}"
    );
}
