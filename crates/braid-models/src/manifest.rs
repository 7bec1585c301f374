//! A model directory's `manifest.json`: what the model is, how it is run, what its files hash to,
//! and probe texts with the outputs to expect.
//!
//! A directory without one works too: [`conservative`] derives what it can from `config.json` and
//! `tokenizer_config.json`, and the rest is found out when the model is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use braid_core::{Error, ErrorCode, Language, Result, Script};
use serde::{Deserialize, Serialize};

use crate::json;

/// File name of the manifest in a model directory.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
/// File name of the network.
pub(crate) const MODEL_FILE: &str = "model.onnx";
/// File name of the tokenizer.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";

/// The manifest format this version reads.
const SCHEMA: u32 = 1;

/// Window of a model that says nothing about it. Longer input is truncated.
const DEFAULT_MAX_TOKENS: usize = 256;
/// Largest window taken on the word of `config.json` alone: attention grows with its square.
const LARGEST_DEFAULT_WINDOW: usize = 512;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Texts to vectors.
    Embedder,
    /// (query, passage) pairs to scores.
    Reranker,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedder => "embedder",
            Self::Reranker => "reranker",
        })
    }
}

/// Whether several inputs may share one run of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// One input a run: the network's arithmetic depends on what else is in the batch, as that of
    /// dynamically quantized networks does (they scale activations per tensor).
    Single,
    /// Inputs of similar length together, up to a budget of padded tokens.
    Tokens,
}

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolingKind {
    /// The mean over the tokens that are not padding.
    Mean,
    /// The first token's vector.
    Cls,
}

impl From<PoolingKind> for fastembed::Pooling {
    fn from(kind: PoolingKind) -> Self {
        match kind {
            PoolingKind::Mean => Self::Mean,
            PoolingKind::Cls => Self::Cls,
        }
    }
}

impl From<fastembed::Pooling> for PoolingKind {
    fn from(pooling: fastembed::Pooling) -> Self {
        match pooling {
            fastembed::Pooling::Mean => Self::Mean,
            fastembed::Pooling::Cls => Self::Cls,
        }
    }
}

/// Size and hash of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lowercase hex.
    pub sha256: String,
}

/// A model directory's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub schema: u32,
    /// The model's name; its directory is called the same.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// SPDX expression of the weights' licence; empty when unknown.
    #[serde(default)]
    pub licence: String,
    /// Where the weights come from.
    #[serde(default)]
    pub source: String,
    /// Most tokens of one input, special tokens included.
    pub max_tokens: usize,
    /// Whether inputs may share a run.
    pub batching: Batching,
    /// Present when `kind` is `embedder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<EmbedderManifest>,
    /// Present when `kind` is `reranker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranker: Option<RerankerManifest>,
    /// Where another server runs it: how that server names it and what stands for its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteManifest>,
    /// The files, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// What is particular to an embedder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderManifest {
    /// Length of its vectors; found out at load when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// How token vectors are pooled, where the network does not do it itself.
    pub pooling: PoolingKind,
    /// Put before every query.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before every passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Scripts that it reads, by their ISO 15924 codes; in a query of another one the dense leg is not
    /// trusted. None given is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<String>,
    /// Least cosine similarity of a probe's vector to the expected one.
    #[serde(default = "default_probe_min_cosine")]
    pub probe_min_cosine: f64,
    /// Texts with the vectors they must give.
    #[serde(default)]
    pub probes: Vec<EmbedderProbe>,
}

/// A text and the start of its vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderProbe {
    /// The text, embedded without a prefix.
    pub text: String,
    /// The first components of its normalised vector.
    pub vector_starts: Vec<f32>,
}

/// What is particular to a cross-encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerankerManifest {
    /// Weight of its score in the final score, 0..=1.
    pub recommended_blend: f64,
    /// Languages it knows, as collections name them; for others the blend is 0. None given is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// How its scores become probabilities, where that was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationManifest>,
    /// Largest absolute difference of a probe's logit from the expected one.
    #[serde(default = "default_probe_tolerance")]
    pub probe_tolerance: f32,
    /// Pairs with the logits they must give.
    #[serde(default)]
    pub probes: Vec<RerankerProbe>,
}

/// How a cross-encoder's scores become probabilities of being relevant, for the languages that it
/// knows: `1 / (1 + exp(-(slope * score + intercept)))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationManifest {
    /// The method; there is one.
    pub method: CalibrationMethod,
    /// What a score of one more adds to the log-odds, above 0.
    pub slope: f64,
    /// The log-odds at a score of 0.
    pub intercept: f64,
    /// The labelled data it was fitted on, and the command.
    pub source: String,
}

/// Methods of calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// Platt scaling: a logistic regression on the score.
    Platt,
}

/// A pair and its logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerankerProbe {
    /// The query.
    pub query: String,
    /// The passage.
    pub passage: String,
    /// The raw score.
    pub logit: f32,
}

/// A model that another server runs. Where that server is, and the key for it, are settings: a model
/// folder is the same wherever it is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteManifest {
    /// What servers call the model; its name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which weights these are, such as the commit they come from. Needed where `files` lists no
    /// network, whose hash it stands for in the fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What a re-ranker's `relevance_score` is.
    #[serde(default)]
    pub relevance: Relevance,
}

/// What a served `relevance_score` is of a cross-encoder's raw score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relevance {
    /// `1 / (1 + exp(-score))`, as Braid and most servers give.
    #[default]
    Sigmoid,
    /// The score itself.
    Raw,
}

fn default_probe_min_cosine() -> f64 {
    0.98
}

fn default_probe_tolerance() -> f32 {
    0.5
}

impl Manifest {
    /// Reads the manifest of `dir`; `None` when it has none.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when it cannot be read or is not valid.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(MANIFEST_FILE);
        let broken = |detail: String| {
            let message = format!("the manifest {} is not valid: {detail}", path.display());
            Error::new(ErrorCode::ModelUnavailable, message)
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(error.to_string())),
        };
        let manifest: Self = json::read(&text).map_err(broken)?;
        manifest.check().map_err(broken)?;
        Ok(Some(manifest))
    }

    fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!(
                "schema {} is not {SCHEMA}, which this version reads",
                self.schema
            ));
        }
        if self.max_tokens < 8 {
            return Err(format!(
                "max_tokens {} leaves no room for text",
                self.max_tokens
            ));
        }
        if !self.names_weights() {
            return Err(format!(
                "files does not list {MODEL_FILE}, and there is no remote.revision in its place"
            ));
        }
        if !self.files.contains_key(TOKENIZER_FILE) {
            return Err(format!("files does not list {TOKENIZER_FILE}"));
        }
        if let Some(name) = self.files.keys().find(|name| name.contains(['/', '\\'])) {
            return Err(format!("file {name} is not a plain name"));
        }
        match (self.kind, &self.embedder, &self.reranker) {
            (ModelKind::Embedder, Some(embedder), None) => embedder.check(),
            (ModelKind::Reranker, None, Some(reranker)) => reranker.check(),
            (kind, ..) => Err(format!("a {kind} needs the section {kind} and no other")),
        }
    }

    /// Whether two folders with this manifest are of the same weights.
    fn names_weights(&self) -> bool {
        let revision = self
            .remote
            .as_ref()
            .and_then(|remote| remote.revision.as_ref());
        self.files.contains_key(MODEL_FILE) || revision.is_some_and(|text| !text.is_empty())
    }

    /// What stands for the weights in the fingerprint where no file of them is listed.
    pub(crate) fn weights_elsewhere(&self) -> Option<String> {
        let remote = self.remote.as_ref()?;
        let revision = remote.revision.as_ref()?;
        let stands_in = !self.files.contains_key(MODEL_FILE);
        stands_in.then(|| format!("remote {} revision {revision}", self.served_name()))
    }

    /// What servers call the model.
    pub(crate) fn served_name(&self) -> &str {
        let remote = self.remote.as_ref();
        let name = remote.and_then(|remote| remote.model.as_deref());
        name.unwrap_or(&self.name)
    }

    /// The embedder's section, or the defaults for a model that came without a manifest.
    pub(crate) fn embedder_section(&self) -> EmbedderManifest {
        self.embedder.clone().unwrap_or(EmbedderManifest {
            dimension: None,
            pooling: PoolingKind::Mean,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            scripts: Vec::new(),
            probe_min_cosine: default_probe_min_cosine(),
            probes: Vec::new(),
        })
    }

    /// The cross-encoder's section, or the defaults for a model that came without a manifest.
    pub(crate) fn reranker_section(&self) -> RerankerManifest {
        self.reranker.clone().unwrap_or(RerankerManifest {
            recommended_blend: DEFAULT_BLEND,
            languages: Vec::new(),
            calibration: None,
            probe_tolerance: default_probe_tolerance(),
            probes: Vec::new(),
        })
    }
}

impl EmbedderManifest {
    fn check(&self) -> Result<(), String> {
        let scripts = self.known_scripts();
        scripts
            .map(drop)
            .map_err(|error| error.message().to_owned())
    }

    /// What of it changes the vectors, for the fingerprint.
    pub(crate) fn identity(&self, dimension: usize) -> String {
        format!(
            "dimension {dimension}, pooling {:?}, query prefix {:?}, passage prefix {:?}",
            self.pooling, self.query_prefix, self.passage_prefix
        )
    }

    /// The scripts it reads; none stands for all.
    pub(crate) fn known_scripts(&self) -> Result<Vec<Script>> {
        self.scripts.iter().map(|code| code.parse()).collect()
    }
}

/// Blend of a cross-encoder nobody has tuned: an equal say.
const DEFAULT_BLEND: f64 = 0.5;

impl RerankerManifest {
    fn check(&self) -> Result<(), String> {
        let blend = self.recommended_blend;
        if !(0.0..=1.0).contains(&blend) {
            return Err(format!("recommended_blend {blend} is not within 0 and 1"));
        }
        if let Some(CalibrationManifest {
            slope, intercept, ..
        }) = &self.calibration
            && !(*slope > 0.0 && slope.is_finite() && intercept.is_finite())
        {
            return Err(format!(
                "calibration: slope {slope} is not above 0, or intercept {intercept} not finite"
            ));
        }
        let languages = self.known_languages();
        languages
            .map(drop)
            .map_err(|error| error.message().to_owned())
    }

    /// The languages it knows; none stands for all.
    pub(crate) fn known_languages(&self) -> Result<Vec<Language>> {
        self.languages.iter().map(|name| name.parse()).collect()
    }
}

/// A manifest for a directory that has none.
pub(crate) fn conservative(dir: &Path, name: &str) -> Manifest {
    let config = read_json(&dir.join("config.json"));
    let tokenizer = read_json(&dir.join("tokenizer_config.json"));
    let limits = [
        &config["max_position_embeddings"],
        &tokenizer["model_max_length"],
    ];
    let window = limits
        .into_iter()
        .filter_map(|value| value.as_f64())
        .fold(f64::INFINITY, f64::min);
    let max_tokens = if window.is_finite() && window >= 8.0 {
        (window as usize).min(LARGEST_DEFAULT_WINDOW)
    } else {
        DEFAULT_MAX_TOKENS
    };
    Manifest {
        schema: SCHEMA,
        name: name.to_owned(),
        kind: guess_kind(&config),
        licence: String::new(),
        source: String::new(),
        max_tokens,
        batching: guess_batching(&dir.join(MODEL_FILE)),
        embedder: None,
        reranker: None,
        remote: None,
        files: BTreeMap::new(),
    }
}

fn read_json(path: &Path) -> serde_json::Value {
    let bytes = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn guess_kind(config: &serde_json::Value) -> ModelKind {
    let architectures = config["architectures"].as_array();
    let classifies = architectures.into_iter().flatten().any(|name| {
        name.as_str()
            .is_some_and(|name| name.ends_with("ForSequenceClassification"))
    });
    if classifies {
        ModelKind::Reranker
    } else {
        ModelKind::Embedder
    }
}

/// Dynamically quantized networks name the operator that makes them depend on their batch.
fn guess_batching(model: &Path) -> Batching {
    const OPERATOR: &[u8] = b"DynamicQuantizeLinear";
    let bytes = fs::read(model).unwrap_or_default();
    let quantized = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == OPERATOR[0])
        .any(|(start, _)| bytes[start..].starts_with(OPERATOR));
    if quantized {
        Batching::Single
    } else {
        Batching::Tokens
    }
}

#[cfg(test)]
mod tests;
