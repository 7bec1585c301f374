//! `braid models pull NAME`: a fastembed built-in model from the model hub into the user's data
//! folder, as a model directory with a manifest.
//!
//! The manifest records what was downloaded; that it is what the hub meant is the hub's word.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use braid_core::{Error, ErrorCode, Result};
use fastembed::{EmbeddingModel, RerankInitOptions, TextEmbedding, TextInitOptions, TextRerank};
use ort::environment::Environment;

use crate::catalogue::{Builtin, BuiltinModel};
use crate::manifest::{
    FileEntry, MANIFEST_FILE, MODEL_FILE, Manifest, ModelKind, PoolingKind, conservative,
};
use crate::places::user_data_folder;
use crate::verify::hash_file;

/// Files beside the network. The tokenizer is needed, the rest tells window and kind.
const COMPANIONS: [&str; 4] = [
    "tokenizer.json",
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// What e5 and nomic models were trained to see before a query and before a passage.
const PREFIXES: [(&str, &str, &str); 2] = [
    ("e5-", "query: ", "passage: "),
    ("nomic-embed", "search_query: ", "search_document: "),
];

/// Downloads `builtin`; gives its directory.
pub(crate) fn pull(builtin: &Builtin, environment: Environment) -> Result<PathBuf> {
    let folder = user_data_folder()
        .ok_or_else(|| failed(builtin, "there is no home directory"))?
        .join("models");
    let scratch = folder.join(format!(".pulling-{}", builtin.name));
    let cache = env::var_os("HF_HOME").map_or_else(|| scratch.join("hub"), PathBuf::from);
    download(builtin, environment, &cache)?;
    let target = folder.join(&builtin.name);
    assemble(builtin, &cache, &scratch.join("model"))
        .and_then(|()| put_in_place(&scratch.join("model"), &target))
        .map_err(|error| failed(builtin, "its files cannot be stored").with_source(error))?;
    if let Err(error) = fs::remove_dir_all(&scratch) {
        tracing::warn!(%error, path = %scratch.display(), "left scratch files behind");
    }
    Ok(target)
}

/// Has fastembed download the model, which also shows that it can be loaded.
fn download(builtin: &Builtin, environment: Environment, cache: &Path) -> Result<()> {
    let outcome = match &builtin.model {
        BuiltinModel::Embedder(model) => {
            let options = TextInitOptions::new(model.clone())
                .with_cache_dir(cache.to_path_buf())
                .with_show_download_progress(true)
                .with_environment(environment);
            TextEmbedding::try_new(options).map(drop)
        }
        BuiltinModel::Reranker(model) => {
            let options = RerankInitOptions::new(model.clone())
                .with_cache_dir(cache.to_path_buf())
                .with_show_download_progress(true)
                .with_environment(environment);
            TextRerank::try_new(options).map(drop)
        }
    };
    outcome.map_err(|error| failed(builtin, "the download failed").with_source(error))
}

fn assemble(builtin: &Builtin, cache: &Path, dir: &Path) -> std::io::Result<()> {
    let snapshot = find_snapshot(builtin, cache)?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    fs::copy(snapshot.join(&builtin.file), dir.join(MODEL_FILE))?;
    for path in &builtin.more_files {
        let name = path.rsplit('/').next().unwrap_or(path);
        fs::copy(snapshot.join(path), dir.join(name))?;
    }
    for name in COMPANIONS {
        fs::copy(snapshot.join(name), dir.join(name))?;
    }
    let manifest = serde_json::to_string_pretty(&describe(builtin, dir)?)?;
    fs::write(dir.join(MANIFEST_FILE), manifest + "\n")
}

/// Where the hub's client keeps the files: `models--ORG--NAME/snapshots/REVISION/`.
fn find_snapshot(builtin: &Builtin, cache: &Path) -> std::io::Result<PathBuf> {
    let repository = format!("models--{}", builtin.repository.replace('/', "--"));
    let snapshots = fs::read_dir(cache.join(repository).join("snapshots"))?;
    let mut found = snapshots.filter_map(|entry| Some(entry.ok()?.path()));
    let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no downloaded snapshot");
    found
        .find(|path| path.join(&builtin.file).is_file())
        .ok_or_else(missing)
}

fn describe(builtin: &Builtin, dir: &Path) -> std::io::Result<Manifest> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (name, bytes) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.metadata()?.len(),
        );
        files.insert(
            name,
            FileEntry {
                bytes,
                sha256: hash_file(&entry.path())?,
            },
        );
    }
    let mut manifest = conservative(dir, &builtin.name);
    manifest.files = files;
    manifest.source = format!("{} on the model hub", builtin.repository);
    match &builtin.model {
        BuiltinModel::Embedder(model) => {
            manifest.kind = ModelKind::Embedder;
            let mut section = manifest.embedder_section();
            section.pooling = pooling(model);
            (section.query_prefix, section.passage_prefix) = prefixes(&builtin.name);
            manifest.embedder = Some(section);
        }
        BuiltinModel::Reranker(_) => {
            manifest.kind = ModelKind::Reranker;
            manifest.reranker = Some(manifest.reranker_section());
        }
    }
    Ok(manifest)
}

fn pooling(model: &EmbeddingModel) -> PoolingKind {
    TextEmbedding::get_default_pooling_method(model).map_or(PoolingKind::Mean, PoolingKind::from)
}

fn prefixes(name: &str) -> (String, String) {
    let known = PREFIXES.iter().find(|(part, ..)| name.contains(part));
    known
        .map(|(_, query, passage)| ((*query).to_owned(), (*passage).to_owned()))
        .unwrap_or_default()
}

fn put_in_place(dir: &Path, target: &Path) -> std::io::Result<()> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::rename(dir, target)
}

fn failed(builtin: &Builtin, reason: &str) -> Error {
    let message = format!("cannot pull {}: {reason}", builtin.name);
    Error::new(ErrorCode::Unavailable, message).with_help(
        "check that the model hub can be reached (HF_ENDPOINT names another), or put the files into a directory of `models/`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    /// What the hub's client leaves behind becomes a model directory that verifies.
    #[test]
    fn a_download_becomes_a_model_directory() {
        let builtin = catalogue::find("multilingual-e5-small").unwrap();
        let root = tempfile::tempdir().unwrap();
        let snapshot = root
            .path()
            .join("models--intfloat--multilingual-e5-small/snapshots/abc");
        fs::create_dir_all(snapshot.join("onnx")).unwrap();
        fs::write(snapshot.join("onnx/model.onnx"), "network").unwrap();
        for name in COMPANIONS {
            fs::write(snapshot.join(name), "{}").unwrap();
        }
        let dir = root.path().join("model");
        assemble(&builtin, root.path(), &dir).unwrap();
        let target = root.path().join("multilingual-e5-small");
        put_in_place(&dir, &target).unwrap();
        let manifest = Manifest::read(&target).unwrap().unwrap();
        let section = manifest.embedder_section();
        assert_eq!(
            (section.query_prefix.as_str(), section.pooling),
            ("query: ", PoolingKind::Mean)
        );
        assert_eq!(manifest.files.len(), 5);
    }
}
