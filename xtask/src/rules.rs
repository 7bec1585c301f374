//! The rules as data. Changing the architecture means changing a line here, in the same commit.

/// Where a crate of the workspace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A product crate: its normal and build dependencies lie in smaller layers.
    Layer(u8),
    /// A crate that no product crate depends on, with the product crates it may use itself.
    DevOnly(&'static [&'static str]),
}

/// Every crate of the workspace. A crate that is not listed is a violation.
pub(crate) const CRATES: &[(&str, Place)] = &[
    ("braid-core", Place::Layer(0)),
    ("braid-text", Place::Layer(1)),
    ("braid-config", Place::Layer(1)),
    ("braid-runtime", Place::Layer(1)),
    ("braid-ledger", Place::Layer(ADAPTERS)),
    ("braid-lexical", Place::Layer(ADAPTERS)),
    ("braid-vector", Place::Layer(ADAPTERS)),
    ("braid-models", Place::Layer(ADAPTERS)),
    ("braid-readers", Place::Layer(ADAPTERS)),
    ("braid-query", Place::Layer(3)),
    ("braid-indexing", Place::Layer(3)),
    ("braid-engine", Place::Layer(4)),
    ("braid-server", Place::Layer(5)),
    ("braid-ingest", Place::Layer(5)),
    ("braid-eval", Place::Layer(5)),
    ("braid", Place::Layer(6)),
    ("braid-testkit", Place::DevOnly(&["braid-core"])),
    // Speaks the protocol of Qdrant and knows nothing of Braid.
    ("braid-qdrant-double", Place::DevOnly(&[])),
    (
        "braid-fuzz",
        Place::DevOnly(&["braid-core", "braid-text", "braid-readers"]),
    ),
    ("xtask", Place::DevOnly(&["braid-core", "braid-config"])),
];

/// The layer of the adapters.
pub(crate) const ADAPTERS: u8 = 2;

/// The one crate that wires adapters, so the only one that names them outside tests.
pub(crate) const WIRING: &str = "braid-engine";

/// The dev-only crates that tests of any crate may use.
pub(crate) const TEST_CRATES: &[&str] = &["braid-testkit", "braid-qdrant-double"];

/// External crates and the crates that own them, in every kind of dependency. A trailing `*` stands
/// for any rest of the name.
pub(crate) const OWNED: &[(&str, &[&str])] = &[
    ("tantivy*", &["braid-lexical"]),
    ("hannoy", &["braid-vector"]),
    ("qdrant-client", &["braid-vector", "braid-qdrant-double"]),
    ("heed*", &["braid-ledger", "braid-vector"]),
    ("fastembed", &["braid-models"]),
    ("ort*", &["braid-models"]),
    ("tokenizers", &["braid-models"]),
    ("axum*", &["braid-server"]),
    ("tower-http", &["braid-server"]),
    ("utoipa*", &["braid-server"]),
    ("tonic*", &["braid-server", "braid-qdrant-double"]),
    ("anyhow", &["braid", "braid-eval", "xtask"]),
];

/// Folders of binaries: only there a source file names [`BINARY_ONLY`].
pub(crate) const BINARIES: &[&str] = &["crates/braid", "eval/src/bin", "xtask"];

/// The crate that only binaries use: libraries return errors that callers can tell apart.
pub(crate) const BINARY_ONLY: &str = "anyhow";

/// External crates a crate is confined to, in normal and build dependencies. In the core that also
/// keeps its types from being `Serialize`.
pub(crate) const CONFINED: &[(&str, &[&str])] = &[(
    "braid-core",
    &["async-trait", "roaring", "thiserror", "uuid"],
)];

/// The most lines a Rust file may have, tests included.
pub(crate) const MAX_LINES: usize = 500;

/// The most bytes a tracked file may have.
pub(crate) const MAX_BYTES: u64 = 25 * 1024 * 1024;

/// Files that must be tracked.
pub(crate) const REQUIRED: &[&str] = &[
    "Cargo.lock",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "config/braid.toml",
    "docker-compose.yml",
];

/// The bundled models; no other model is tracked.
pub(crate) const MODELS: &[&str] = &[
    "models/all-MiniLM-L6-v2-int8",
    "models/braid-rerank-mini-en",
];

/// File extensions of model weights.
pub(crate) const WEIGHTS: &[&str] = &["onnx", "safetensors", "pt", "pth", "gguf", "ckpt"];

/// What a tracked file must not say, and what to do instead. The needles are spelt in two parts so
/// that this file keeps its own rule.
pub(crate) const FORBIDDEN_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("deb.debian", ".org"),
];

/// Folders of a person's machine that no tracked file names.
pub(crate) const HOME_FOLDERS: &[&str] = &[concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Macros that mark unfinished work.
pub(crate) const UNFINISHED: &[&str] = &["todo!", "dbg!", "unimplemented!"];
