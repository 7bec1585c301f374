//! Model directories other than the bundled ones, and damaged ones.

use std::fs;
use std::path::{Path, PathBuf};

use braid_core::{ErrorCode, Language};
use braid_models::{
    DEFAULT_EMBEDDER, DEFAULT_RERANKER, EmbedderOptions, ModelStore, RerankerOptions, StoreOptions,
};

use crate::{EMBEDDER, RERANKER, STORE, bundled_folder};

const NETWORK: [&str; 4] = [
    "model.onnx",
    "tokenizer.json",
    "config.json",
    "tokenizer_config.json",
];

/// What a manifest lists, and the manifest.
const VERIFIED: [&str; 8] = [
    "model.onnx",
    "tokenizer.json",
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "LICENSE",
    "NOTICE",
    "manifest.json",
];

/// A folder with a copy of `files` of the model `from`, called `name`.
fn copy_of(from: &str, files: &[&str], name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join(name);
    fs::create_dir(&dir).expect("a fresh folder");
    for file in files {
        let bundled = bundled_folder().join(from).join(file);
        fs::copy(bundled, dir.join(file)).expect("a bundled file");
    }
    (folder, dir)
}

fn store(folder: &Path) -> ModelStore {
    ModelStore::new(StoreOptions {
        folder: Some(folder.to_path_buf()),
        library: None,
    })
}

fn one_thread() -> EmbedderOptions {
    EmbedderOptions {
        threads: 1,
        ..EmbedderOptions::default()
    }
}

#[tokio::test]
async fn a_directory_without_manifest_embeds_the_same() {
    let (folder, _) = copy_of(DEFAULT_EMBEDDER, &NETWORK, "bare");
    let bare = store(folder.path())
        .load_embedder("bare", &one_thread())
        .unwrap();
    assert_eq!(bare.dimension(), 384);
    assert_eq!(bare.token_counter().max_tokens(), 512);
    assert!(bare.fingerprint().as_str().starts_with("bare@"));
    let text = "a text well within both windows";
    let vectors = (
        bare.embed_query(text).await.unwrap(),
        EMBEDDER.embed_query(text).await.unwrap(),
    );
    assert_eq!(vectors.0, vectors.1);
}

#[tokio::test]
async fn a_cross_encoder_is_loaded_by_path_without_manifest() {
    let (_folder, dir) = copy_of(DEFAULT_RERANKER, &NETWORK, "bare");
    let options = RerankerOptions {
        threads: 1,
        ..RerankerOptions::default()
    };
    let bare = STORE
        .load_reranker(&dir.display().to_string(), &options)
        .unwrap();
    assert_eq!(bare.recommended_blend(Language::French), 0.5);
    let passages = [
        "The fox sleeps in its den.".to_owned(),
        "Revenue rose.".to_owned(),
    ];
    let query = "where does the fox sleep";
    let scores = bare.score(query, &passages).await.unwrap();
    assert_eq!(scores, RERANKER.score(query, &passages).await.unwrap());
}

#[test]
fn an_embedder_is_no_cross_encoder() {
    let (_folder, dir) = copy_of(DEFAULT_EMBEDDER, &NETWORK, "bare");
    let error = STORE
        .load_reranker(&dir.display().to_string(), &RerankerOptions::default())
        .expect_err("it has no logits");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("logits"), "{error}");
}

#[test]
fn damaged_files_are_refused() {
    let (folder, dir) = copy_of(DEFAULT_EMBEDDER, &VERIFIED, DEFAULT_EMBEDDER);
    let store = store(folder.path());
    store
        .load_embedder(DEFAULT_EMBEDDER, &one_thread())
        .expect("a faithful copy");
    let mut network = fs::read(dir.join("model.onnx")).unwrap();
    let middle = network.len() / 2;
    network[middle] ^= 0x10;
    fs::write(dir.join("model.onnx"), network).unwrap();
    let error = store
        .load_embedder(DEFAULT_EMBEDDER, &one_thread())
        .expect_err("a flipped bit");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("model.onnx"), "{error}");
    assert!(
        error.help().is_some_and(|help| help.contains("models.dir")),
        "{error}"
    );
}

/// A copy of a bundled model, called `name`, whose manifest went through `edit`.
fn edited_copy(
    from: &str,
    name: &str,
    edit: impl FnOnce(&mut serde_json::Value),
) -> (tempfile::TempDir, PathBuf) {
    let (folder, dir) = copy_of(from, &VERIFIED, name);
    let path = dir.join("manifest.json");
    let text = fs::read(&path).expect("a manifest");
    let mut manifest = serde_json::from_slice(&text).expect("JSON");
    edit(&mut manifest);
    fs::write(&path, manifest.to_string()).expect("a writable copy");
    (folder, dir)
}

/// As when a kernel computes something else on this processor: the files verify, the output is off.
#[test]
fn an_embedder_that_misbehaves_is_refused() {
    let (folder, _) = edited_copy(DEFAULT_EMBEDDER, "off", |manifest| {
        let probe = &mut manifest["embedder"]["probes"][1]["vector_starts"];
        probe.as_array_mut().expect("numbers").reverse();
    });
    let loaded = store(folder.path()).load_embedder("off", &one_thread());
    let error = loaded.expect_err("another vector");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("known outputs"), "{error}");
}

#[test]
fn a_cross_encoder_that_misbehaves_is_refused() {
    let (folder, _) = edited_copy(DEFAULT_RERANKER, "off", |manifest| {
        manifest["reranker"]["probes"][1]["logit"] = 5.0.into();
    });
    let loaded = store(folder.path()).load_reranker("off", &RerankerOptions::default());
    let error = loaded.expect_err("another logit");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.message().contains("known outputs"), "{error}");
}

#[test]
fn files_that_are_no_model_are_refused() {
    let (folder, dir) = copy_of(DEFAULT_EMBEDDER, &["tokenizer.json"], "junk");
    fs::write(dir.join("model.onnx"), "this is no network").unwrap();
    let store = store(folder.path());
    let error = store
        .load_embedder("junk", &one_thread())
        .expect_err("no network");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    fs::write(dir.join("tokenizer.json"), "{}").unwrap();
    let error = store
        .load_embedder("junk", &one_thread())
        .expect_err("no tokenizer");
    assert!(error.message().contains("tokenizer.json"), "{error}");
}

/// The path that exact models take: several texts of similar length in one padded run. On this
/// quantized network it moves vectors a little, which is why its own manifest says otherwise.
#[tokio::test]
async fn batched_runs_give_each_text_its_own_vector() {
    let (folder, _) = edited_copy(DEFAULT_EMBEDDER, "batched", |manifest| {
        manifest["batching"] = "tokens".into();
    });
    let store = store(folder.path());
    let batched = store.load_embedder("batched", &one_thread()).unwrap();
    assert_ne!(batched.fingerprint(), EMBEDDER.fingerprint());
    let animals = ["fox", "whale", "owl", "ant", "horse", "snake"];
    let texts: Vec<String> = (0..90)
        .map(|n| {
            format!(
                "the {} number {n} {}",
                animals[n % 6],
                "walks ".repeat(n % 13)
            )
        })
        .collect();
    let together = batched.embed_passages(texts.clone()).await.unwrap();
    let alone = EMBEDDER.embed_passages(texts).await.unwrap();
    assert_ne!(together, alone, "they were not run one by one");
    for (place, vector) in together.iter().enumerate() {
        let cosine = |other: usize| -> f32 {
            vector
                .iter()
                .zip(alone[other].iter())
                .map(|(a, b)| a * b)
                .sum()
        };
        let other_animal = (place + 1) % 6;
        assert!(cosine(place) > 0.9, "text {place}: {}", cosine(place));
        assert!(
            cosine(place) > cosine(other_animal),
            "text {place} has the vector of another"
        );
    }
}
