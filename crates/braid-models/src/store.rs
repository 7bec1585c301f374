//! [`ModelStore`]: finds, lists, verifies, loads and pulls models.
//!
//! A model is a directory with `model.onnx` and `tokenizer.json`, best with a `manifest.json`. It
//! is named by its directory's name, looked for in the configured folder, in `models/` of the
//! working directory or of a source checkout, and in the user's data folder, in that order; or by
//! a path.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_core::{Embedder, Error, ErrorCode, Fingerprint, Reranker, Result};

use crate::catalogue;
use crate::embedder::OnnxEmbedder;
use crate::gate::Gate;
use crate::library::{self, LibraryInfo};
use crate::manifest::{MODEL_FILE, Manifest, ModelKind, TOKENIZER_FILE, conservative};
use crate::options::{EmbedderOptions, RerankerOptions, StoreOptions};
use crate::places::model_folders;
use crate::reranker::OnnxReranker;
use crate::verify::{Depth, FileCheck, check_files, hash_file, hash_text};

/// The embedder bundled with the source.
pub const DEFAULT_EMBEDDER: &str = "all-MiniLM-L6-v2-int8";
/// The cross-encoder bundled with the source.
pub const DEFAULT_RERANKER: &str = "braid-rerank-mini-en";

/// A model directory that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDir {
    /// The directory's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its manifest, or defaults when it has none.
    pub manifest: Manifest,
    /// Whether it has a manifest.
    pub has_manifest: bool,
}

/// Whether a model could be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelStatus {
    /// Every listed file is there and of the right length.
    Ready,
    /// It has no weights, which its manifest says are elsewhere; the rest is as listed.
    Elsewhere,
    /// It has no manifest, so there is nothing to check its files against.
    Unverified,
    /// It cannot be loaded, and why.
    Broken(String),
}

impl fmt::Display for ModelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Elsewhere => f.write_str("served elsewhere"),
            Self::Unverified => f.write_str("unverified"),
            Self::Broken(reason) => write!(f, "broken: {reason}"),
        }
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// Its name.
    pub name: String,
    /// What it is for; `None` when its manifest cannot be read.
    pub kind: Option<ModelKind>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it could be loaded.
    pub status: ModelStatus,
    /// Bytes of its files together.
    pub size_bytes: u64,
    /// SPDX expression of its licence; empty when unknown.
    pub licence: String,
}

/// Finds and loads models. Models of one store share what orders queries before bulk work, so a
/// process has one store.
#[derive(Clone, Debug)]
pub struct ModelStore {
    folders: Vec<PathBuf>,
    /// The one folder that somebody asked for.
    configured: Option<PathBuf>,
    library: Option<PathBuf>,
    gate: Arc<Gate>,
}

impl ModelStore {
    /// A store that looks where `options` say and then in the usual places.
    pub fn new(options: StoreOptions) -> Self {
        Self {
            folders: model_folders(options.folder.as_deref()),
            configured: options.folder,
            library: options.library,
            gate: Arc::default(),
        }
    }

    /// Every model of every folder, by name. Of two with the same name the first found is used and
    /// listed.
    pub fn list(&self) -> Vec<ModelSummary> {
        let mut models = std::collections::BTreeMap::new();
        for path in self
            .folders
            .iter()
            .flat_map(|folder| subdirectories(folder))
        {
            let name = name_of(&path);
            models
                .entry(name.clone())
                .or_insert_with(|| summarise(name, path));
        }
        models.into_values().collect()
    }

    /// The model of that name, or at that path.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when there is none or its manifest is not
    /// valid.
    pub fn find(&self, name: &str) -> Result<ModelDir> {
        let as_path = Path::new(name);
        if as_path.components().count() > 1 || as_path.is_absolute() {
            return open_dir(as_path);
        }
        self.check_configured()?;
        let found = self
            .folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| is_model(path));
        found.map_or_else(|| Err(self.not_found(name)), |path| open_dir(&path))
    }

    /// A folder that was asked for and is not there is a mistake, not a reason to use another.
    fn check_configured(&self) -> Result<()> {
        match &self.configured {
            Some(folder) if !folder.is_dir() => {
                let message = format!("models.dir is {}, which is not a folder", folder.display());
                Err(Error::new(ErrorCode::ModelUnavailable, message)
                    .with_help("correct models.dir, or remove it to use the bundled models"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks every file of a model against its manifest, the whole content.
    ///
    /// # Errors
    /// As [`ModelStore::find`], and when it has no manifest to check against.
    pub fn verify(&self, name: &str) -> Result<Vec<FileCheck>> {
        let model = self.find(name)?;
        if !model.has_manifest {
            let message = format!(
                "the model {} has no manifest to verify it against",
                model.name
            );
            return Err(Error::new(ErrorCode::ModelUnavailable, message));
        }
        Ok(check_files(
            &model.path,
            &model.manifest.files,
            Depth::Hashes,
        ))
    }

    /// Loads ONNX Runtime, if the process has not done so, and says which library it is. Blocks.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) with the command that mends it.
    pub fn library(&self) -> Result<LibraryInfo> {
        library::info(self.library.as_deref())
    }

    /// Loads an embedder. Blocks while files are hashed and a session is opened (well under a
    /// second for the bundled model): call it off the async threads.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) with the command that mends it, when the
    /// library or the model is missing, damaged, unusable or misbehaves.
    pub fn load_embedder(
        &self,
        name: &str,
        options: &EmbedderOptions,
    ) -> Result<Arc<dyn Embedder>> {
        let model = self.find_verified(name, ModelKind::Embedder)?;
        let environment = library::environment(self.library.as_deref())?;
        let gate = Arc::clone(&self.gate);
        Ok(Arc::new(OnnxEmbedder::load(
            &model,
            environment,
            gate,
            options,
        )?))
    }

    /// Loads a cross-encoder; otherwise as [`ModelStore::load_embedder`].
    ///
    /// # Errors
    /// As [`ModelStore::load_embedder`].
    pub fn load_reranker(
        &self,
        name: &str,
        options: &RerankerOptions,
    ) -> Result<Arc<dyn Reranker>> {
        let model = self.find_verified(name, ModelKind::Reranker)?;
        let environment = library::environment(self.library.as_deref())?;
        let gate = Arc::clone(&self.gate);
        Ok(Arc::new(OnnxReranker::load(
            &model,
            environment,
            gate,
            options,
        )?))
    }

    /// Downloads a fastembed built-in model into the user's data folder. Blocks; shows progress on
    /// stderr. Needs the `hub` feature and a model hub that can be reached.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for an unknown name,
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) without the feature, and
    /// [`Unavailable`](ErrorCode::Unavailable) when the download fails.
    pub fn pull(&self, name: &str) -> Result<ModelDir> {
        let builtin = catalogue::find(name)?;
        let path = self.pull_builtin(&builtin)?;
        open_dir(&path)
    }

    /// Names that [`ModelStore::pull`] takes.
    pub fn pullable() -> Vec<String> {
        catalogue::names()
    }

    #[cfg(feature = "hub")]
    fn pull_builtin(&self, builtin: &catalogue::Builtin) -> Result<PathBuf> {
        crate::pull::pull(builtin, library::environment(self.library.as_deref())?)
    }

    #[cfg(not(feature = "hub"))]
    fn pull_builtin(&self, builtin: &catalogue::Builtin) -> Result<PathBuf> {
        let message = format!(
            "this braid was built without model downloads, so {} cannot be pulled",
            builtin.name
        );
        Err(Error::new(ErrorCode::ModelUnavailable, message).with_help(
            "build with `--features hub`, or put model.onnx and tokenizer.json into a directory of `models/`",
        ))
    }

    fn find_verified(&self, name: &str, kind: ModelKind) -> Result<ModelDir> {
        let model = self.find(name)?;
        if model.has_manifest {
            model.check_kind(kind)?;
        }
        if model.is_elsewhere() {
            let message = format!("the weights of {name} are not here, so it does not run here");
            return Err(
                Error::new(ErrorCode::ModelUnavailable, message).with_help(format!(
                    "name a server that runs it in models.{kind}_endpoints"
                )),
            );
        }
        // Lengths first: they find most damage without reading anything.
        model.check(Depth::Sizes)?;
        model.check(Depth::Hashes)?;
        Ok(model)
    }

    fn not_found(&self, name: &str) -> Error {
        let places: Vec<_> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let message = format!("there is no model {name} in {}", places.join(", "));
        Error::new(ErrorCode::ModelUnavailable, message).with_help(self.mend(name))
    }

    /// What to do where a model's files are missing or damaged.
    pub fn mend(&self, name: &str) -> String {
        let mut folders = self.folders.iter();
        let in_checkout = match folders.find(|folder| is_model(&folder.join(name))) {
            Some(folder) => is_checkout(folder),
            None => self.folders.iter().any(|folder| is_checkout(folder)),
        };
        mend_command(name, in_checkout)
    }
}

impl ModelDir {
    /// Fails, with the command that mends it, when a listed file is not as it should be.
    fn check(&self, depth: Depth) -> Result<()> {
        self.check_found(&check_files(&self.path, &self.manifest.files, depth))
    }

    /// Whether it has no weights, and is not meant to have any.
    fn is_elsewhere(&self) -> bool {
        self.manifest.remote.is_some() && !self.path.join(MODEL_FILE).is_file()
    }

    /// Fails where the model is of another kind.
    pub(crate) fn check_kind(&self, kind: ModelKind) -> Result<()> {
        let (name, found) = (&self.name, self.manifest.kind);
        if found == kind {
            return Ok(());
        }
        let message = format!("the model {name} is a {found}, not a {kind}");
        Err(Error::new(ErrorCode::ModelUnavailable, message))
    }

    /// Fails, with the command that mends it, where a check was not good.
    pub(crate) fn check_found(&self, checks: &[FileCheck]) -> Result<()> {
        let Some(bad) = checks.iter().find(|check| !check.state.is_good()) else {
            return Ok(());
        };
        let message = format!(
            "the model {}'s file {} is {}",
            self.name,
            bad.file,
            bad.state.describe()
        );
        let in_checkout = self.path.parent().is_some_and(is_checkout);
        Err(Error::new(ErrorCode::ModelUnavailable, message)
            .with_help(mend_command(&self.name, in_checkout)))
    }

    /// Names everything that changes the model's output: its files, window, batching and `more`.
    pub(crate) fn fingerprint(&self, more: &str) -> Result<Fingerprint> {
        let mut all = String::new();
        let mut files = network_files(&self.path);
        let listed = self.manifest.files.keys();
        files.extend(listed.filter(|name| is_network(name)).cloned());
        files.sort_unstable();
        files.dedup();
        for file in files {
            let hash = match self.manifest.files.get(&file) {
                Some(entry) => entry.sha256.clone(),
                None => hash_file(&self.path.join(&file)).map_err(|error| {
                    let message = format!("cannot read {file} of the model {}", self.name);
                    Error::new(ErrorCode::ModelUnavailable, message).with_source(error)
                })?,
            };
            all.push_str(&format!("{file} {hash}\n"));
        }
        if let Some(weights) = self.manifest.weights_elsewhere() {
            all.push_str(&format!("{weights}\n"));
        }
        let Manifest {
            max_tokens,
            batching,
            ..
        } = &self.manifest;
        all.push_str(&format!(
            "window {max_tokens}, batching {batching:?}, {more}"
        ));
        Ok(Fingerprint::new(format!(
            "{}@{}",
            self.name,
            &hash_text(&all)[..16]
        )))
    }
}

/// The files that hold the network (its weights may be in several) and the tokenizer.
pub(crate) fn network_files(dir: &Path) -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_network(name))
        .collect();
    files.sort_unstable();
    files
}

fn is_network(file: &str) -> bool {
    file.starts_with(MODEL_FILE) || file == TOKENIZER_FILE
}

/// What puts a model's files back. Those that come with Braid are in no model hub.
fn mend_command(name: &str, in_checkout: bool) -> String {
    let is_bundled = [DEFAULT_EMBEDDER, DEFAULT_RERANKER].contains(&name);
    match (is_bundled, in_checkout) {
        (true, true) => format!("run `git checkout -- models/{name}`"),
        (true, false) => format!(
            "it comes with Braid: install Braid again, or set models.dir to a folder that has {name}"
        ),
        (false, _) => format!("run `braid models pull {name}`"),
    }
}

/// Whether `folder` is the `models/` of a source checkout.
fn is_checkout(folder: &Path) -> bool {
    folder
        .canonicalize()
        .ok()
        .and_then(|folder| Some(folder.parent()?.join(".git").exists()))
        == Some(true)
}

fn is_model(path: &Path) -> bool {
    path.join(MODEL_FILE).is_file() || path.join(crate::manifest::MANIFEST_FILE).is_file()
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn open_dir(path: &Path) -> Result<ModelDir> {
    let name = name_of(path);
    let manifest = Manifest::read(path)?;
    let has_manifest = manifest.is_some();
    if !has_manifest {
        let missing = [MODEL_FILE, TOKENIZER_FILE]
            .into_iter()
            .find(|file| !path.join(file).is_file());
        if let Some(missing) = missing {
            let message = format!(
                "{} is not a model directory: it has no {missing}",
                path.display()
            );
            return Err(Error::new(ErrorCode::ModelUnavailable, message));
        }
    }
    let manifest = manifest.unwrap_or_else(|| conservative(path, &name));
    Ok(ModelDir {
        name,
        path: path.to_path_buf(),
        manifest,
        has_manifest,
    })
}

fn subdirectories(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_model(path))
        .collect()
}

fn summarise(name: String, path: PathBuf) -> ModelSummary {
    match open_dir(&path) {
        Ok(model) => ModelSummary {
            name,
            kind: Some(model.manifest.kind),
            status: match model.check(Depth::Sizes) {
                _ if model.is_elsewhere() => ModelStatus::Elsewhere,
                Err(error) => ModelStatus::Broken(error.to_string()),
                Ok(()) if model.has_manifest => ModelStatus::Ready,
                Ok(()) => ModelStatus::Unverified,
            },
            size_bytes: folder_size(&path),
            licence: model.manifest.licence,
            path,
        },
        Err(error) => ModelSummary {
            name,
            kind: None,
            status: ModelStatus::Broken(error.to_string()),
            size_bytes: folder_size(&path),
            licence: String::new(),
            path,
        },
    }
}

fn folder_size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum()
}

#[cfg(test)]
mod tests;
