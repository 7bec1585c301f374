//! Every key: its path, what it means, and how it is read and written.

use crate::settings::Settings;
use crate::value::{Raw, SettingValue};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`.
    pub path: &'static str,
    /// What it means, one sentence.
    pub description: &'static str,
    pub(crate) set: fn(&mut Settings, &Raw) -> Result<(), String>,
    get: fn(&Settings) -> Option<String>,
}

impl Key {
    /// The value in `settings` as it is written in a file; `None` where it is not set.
    pub fn value(&self, settings: &Settings) -> Option<String> {
        (self.get)(settings)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!(
            "BRAID__{}",
            self.path.replace('.', "__").to_ascii_uppercase()
        )
    }
}

macro_rules! keys {
    ($($section:ident . $name:ident : $check:expr, $description:literal;)*) => {
        /// Every key, in the order of the documentation.
        pub const KEYS: &[Key] = &[$(Key {
            path: concat!(stringify!($section), ".", stringify!($name)),
            description: $description,
            set: |settings, raw| {
                let value = SettingValue::read(raw)?;
                let check: fn(&_) -> Result<(), String> = $check;
                check(&value).map_err(|rule| raw.but(rule))?;
                settings.$section.$name = value;
                Ok(())
            },
            get: |settings| SettingValue::write(&settings.$section.$name),
        }),*];
    };
}

keys! {
    storage.profile: any, "Where things are stored: embedded (everything in the data directory), qdrant (vectors in Qdrant, the rest in the data directory) or cluster (everything in Qdrant, no data directory). Between the first two, vectors are brought from the ledger after a change; `braid migrate` copies to the third.";
    storage.data_dir: any, "Where everything is stored; not used with storage.profile = cluster. One process owns it at a time.";
    storage.map_size_gib: map_size, "Most GiB of the ledger, and of each collection's vectors. Address space, not memory: only what is used takes disk.";
    qdrant.url: url, "gRPC address of Qdrant for storage.profile = qdrant or cluster; https:// for TLS.";
    qdrant.api_key_env: any, "Environment variable that has Qdrant's API key.";
    qdrant.api_key_file: any, "File that has Qdrant's API key.";
    qdrant.prefix: prefix, "What the names of Braid's collections in Qdrant begin with; with storage.profile = qdrant an id of the data directory follows. With cluster, processes of one prefix are one Braid.";
    qdrant.timeout_ms: positive_u64, "Longest time of one request to Qdrant, in milliseconds.";
    qdrant.connect_timeout_ms: positive_u64, "Longest time of connecting to Qdrant, in milliseconds.";
    qdrant.shards: small, "Shards of new Qdrant collections; 0 is Qdrant's own default.";
    qdrant.replication: copies, "Copies of each shard of new Qdrant collections.";
    qdrant.write_consistency: copies, "Copies that must have taken a write before it counts.";
    qdrant.read_consistency: any, "How many copies must agree on what is read: one, majority, quorum or all.";
    qdrant.write_ordering: any, "In which order copies take writes: weak, medium or strong.";
    qdrant.hnsw_links: hnsw_links, "Links of a vector in the graph of new Qdrant collections.";
    qdrant.quantization: any, "How vectors of new Qdrant collections are compressed for searching: none, scalar or binary.";
    qdrant.vectors_on_disk: any, "Whether vectors of new Qdrant collections are read from disk.";
    qdrant.payload_on_disk: any, "Whether metadata of new Qdrant collections is read from disk.";
    qdrant.indexed_fields: small, "Most metadata fields of a collection that get an index in Qdrant, in the order in which they come; filters on others are left to the ledger.";
    qdrant.upload_concurrency: concurrency, "Most requests of one upload to Qdrant at a time.";
    qdrant.upload_points: points, "Most vectors in one request to Qdrant.";
    qdrant.retry_attempts: attempts, "How often a request to Qdrant is tried, the first time included.";
    qdrant.retry_first_ms: positive_u64, "Wait before the second try, in milliseconds; it doubles.";
    qdrant.retry_longest_ms: positive_u64, "Longest such wait, in milliseconds.";
    qdrant.breaker_failures: attempts, "Failures in a row after which Qdrant is not asked for a while.";
    qdrant.breaker_open_ms: positive_u64, "How long it is not asked then, in milliseconds.";
    server.listen: any, "Address the server listens on.";
    server.allow_unauthenticated: any, "Whether the server may listen beyond loopback although requests are not authenticated.";
    server.max_body_bytes: positive, "Largest request body, in bytes.";
    server.request_timeout_ms: positive_u64, "Longest time for one request, waiting in line included, in milliseconds.";
    server.max_concurrent_requests: positive, "Requests that run at once: so many reads and so many writes.";
    server.max_waiting_requests: any, "Requests that may wait in line, of each kind; more are answered 429.";
    server.shutdown_grace_ms: any, "How long shutdown waits for requests in flight, in milliseconds.";
    server.max_batch_requests: positive, "Most retrievals in one batch.";
    server.batch_concurrency: positive, "Retrievals of one batch that run at once while there are places of server.max_concurrent_requests; a retrieval uses several cores by itself, and re-ranking has a deadline.";
    models.dir: any, "Folder of model folders, searched before the bundled ones.";
    models.embedder: any, "Name of the embedder. After a change, rebuild every collection.";
    models.embedder_endpoints: any, "Where the embedder runs, in the order in which places are asked, separated by commas: local is this process, http://... a server of that model (.../v1/embeddings or .../embed).";
    models.embedder_key_file: any, "A file with the key that every one of its servers is sent; BRAID_EMBEDDER_KEY goes before it.";
    models.reranker: any, "Name of the re-ranker; none runs without one.";
    models.reranker_endpoints: any, "Where the re-ranker runs, in the same form (.../v2/rerank, .../v1/rerank or .../rerank).";
    models.reranker_key_file: any, "A file with the key that every one of its servers is sent; BRAID_RERANKER_KEY goes before it.";
    models.remote_timeout_ms: positive_u64, "Longest time for one request to a model server, in milliseconds.";
    models.remote_batch_texts: batch_texts, "Most texts in one request to a model server.";
    models.remote_concurrency: remote_concurrency, "Bulk requests to one model server at once.";
    models.ort_library: any, "The ONNX Runtime library; found by itself where not set.";
    models.threads: any, "Inference threads of each model; 0 is one a core.";
    chunking.strategy: any, "How documents of new collections are chunked: structure (by what a document is), tokens, sentences, headings, code or whole.";
    chunking.target_tokens: positive, "Most tokens in a chunk, counted by the embedder's tokenizer.";
    chunking.overlap_tokens: any, "Most tokens repeated from the chunk before; at most half of the target.";
    chunking.text: any, "What is different for plain text and PDF, as STRATEGY[:TARGET[:OVERLAP]], such as sentences:120:20; an empty part is as above.";
    chunking.markdown: any, "What is different for Markdown, Word and EPUB, in the same form.";
    chunking.html: any, "What is different for HTML, in the same form.";
    chunking.code: any, "What is different for source code, in the same form.";
    duplicates.action: any, "What is done about documents of new collections that say the same as another: ignore, report, skip or link.";
    duplicates.min_similarity: similarity, "From which similarity of their words on documents are duplicates: 0.8 to 1, which takes only the same words.";
    lexical.language: any, "Language of new collections' analyzer: auto detects each document's; or english, german, none, ...";
    lexical.writer_memory_mib: writer_memory, "Memory of an index writer while it is open, in MiB.";
    dense.ef_construction: positive, "Neighbours considered when a vector is linked into the graph: higher builds better graphs more slowly.";
    dense.ef_search: positive, "Neighbours kept while the graph is walked: higher finds more of the nearest more slowly.";
    dense.exact_threshold: any, "Up to this many vectors are compared one by one, without the graph.";
    retrieve.mode: any, "Which legs a request searches when it does not say: lexical, dense or hybrid.";
    retrieve.typos: any, "Whether words that no document has are searched for as words that are written nearly so: auto or off.";
    retrieve.top_k: positive, "Hits returned.";
    retrieve.candidates_lexical: positive, "Depth of the lexical leg.";
    retrieve.candidates_dense: positive, "Depth of the dense leg.";
    retrieve.fusion_method: any, "How the legs' lists become one: rrf (by ranks), minmax or dbsf (by scores).";
    retrieve.fusion_k: any, "The constant of Reciprocal Rank Fusion.";
    retrieve.weight_lexical: any, "Weight of the lexical leg in fusion.";
    retrieve.weight_dense: any, "Weight of the dense leg in fusion.";
    retrieve.leg_trust: any, "Whether these weights are shifted for each query by how far each leg is to be trusted: auto or off.";
    retrieve.rerank: any, "Whether the head of the fused list is re-ranked.";
    retrieve.rerank_candidates: positive, "How many hits are re-ranked.";
    retrieve.rerank_blend: share, "Weight of the re-ranker in the final score, 0 to 1; the model's own where not set.";
    retrieve.rerank_deadline_ms: positive_u64, "Time for re-ranking, queueing included, in milliseconds.";
    retrieve.context_max_tokens: any, "Most tokens of context; 0 assembles none.";
    retrieve.leg_timeout_ms: positive_u64, "Time a leg has before it counts as failed, in milliseconds.";
    cache.answers_mib: answers, "Memory of answers that are given again as long as nothing was written, in MiB; 0 keeps none.";
    cache.query_embeddings: query_embeddings, "Embeddings of queries that are kept, some 2 KiB each; 0 keeps none.";
    cache.pages_mib: answers, "Memory of lists whose next pages can be asked for, in MiB; 0 keeps none, and answers have no cursor.";
    cache.pages_seconds: positive_u64, "How long such a list is kept after its last page was asked for, in seconds.";
    cache.semantic: any, "Whether applications may store answers and look them up by questions that ask the same (/v1/cache).";
    cache.semantic_threshold: cosine, "Least cosine similarity of two questions for the answer to one to be given to the other, where a lookup does not say.";
    cache.semantic_entries: semantic_entries, "Most stored answers; those used longest ago go first.";
    cache.semantic_mib: semantic_mib, "Memory of stored answers, their questions and embeddings, in MiB.";
    cache.semantic_ttl_seconds: semantic_ttl, "How long a stored answer is kept where its request does not say, and the longest it may ask for.";
    ingest.embed_batch_chunks: positive, "Texts in one call of the embedder.";
    ingest.apply_batch_chunks: positive, "Chunks in one index batch during a load.";
    ingest.apply_interval_ms: any, "How long a load waits for more before it applies, in milliseconds; grows with the cost of applying.";
    worker.concurrency: concurrency, "Claims that a worker (storage.profile = cluster) has at once: while one is embedded, another is claimed or published.";
    worker.documents: points, "Most documents in one claim.";
    worker.batch_chunks: points, "Chunks that a worker embeds and publishes together; ingest.embed_batch_chunks of them in one call of the embedder.";
    worker.lease_seconds: lease, "How long a claim lasts; it is renewed while its worker lives. What a dead worker had is taken by others after that.";
    worker.attempts: attempts, "How often a document is claimed before it is given up as a dead letter, where its workers end without an answer: three times at least, from the third time on alone.";
    worker.poll_ms: positive_u64, "Wait of a worker that finds nothing, in milliseconds; it doubles.";
    worker.poll_longest_ms: positive_u64, "Longest such wait, in milliseconds.";
    worker.sweep_seconds: lease, "How often a worker removes what was replaced or deleted, in seconds.";
    worker.grace_seconds: lease, "How long that stays before, in seconds: longer than any request takes.";
    worker.listen: any, "Address where a worker serves /metrics, /healthz and /readyz; none where not set.";
    log.level: any, "What is logged: a level or a filter such as info,braid_query=debug.";
    log.format: any, "How log lines look: text or json.";
}

fn any<T>(_: &T) -> Result<(), String> {
    Ok(())
}

fn require(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

fn positive(value: &usize) -> Result<(), String> {
    require(*value > 0, "must be 1 or more")
}

fn positive_u64(value: &u64) -> Result<(), String> {
    require(*value > 0, "must be 1 or more")
}

fn batch_texts(value: &usize) -> Result<(), String> {
    require((1..=2048).contains(value), "must be from 1 to 2048")
}

fn remote_concurrency(value: &usize) -> Result<(), String> {
    require((1..=256).contains(value), "must be from 1 to 256")
}

fn map_size(value: &f64) -> Result<(), String> {
    require(
        (0.001..=65536.0).contains(value),
        "must be from 0.001 to 65536",
    )
}

fn url(value: &impl AsRef<str>) -> Result<(), String> {
    let value = value.as_ref();
    let scheme = value.split_once("://").map(|(scheme, _)| scheme);
    require(
        matches!(scheme, Some("http" | "https")),
        "must begin with http:// or https://",
    )
}

fn prefix(value: &impl AsRef<str>) -> Result<(), String> {
    let value = value.as_ref();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    require(
        value.len() <= 64 && value.bytes().all(is_plain),
        "must be up to 64 letters, digits, - and _",
    )
}

fn small(value: &usize) -> Result<(), String> {
    require(*value <= 1024, "must be at most 1024")
}

fn copies(value: &usize) -> Result<(), String> {
    require((1..=64).contains(value), "must be from 1 to 64")
}

fn hnsw_links(value: &usize) -> Result<(), String> {
    require((4..=512).contains(value), "must be from 4 to 512")
}

fn concurrency(value: &usize) -> Result<(), String> {
    require((1..=64).contains(value), "must be from 1 to 64")
}

fn points(value: &usize) -> Result<(), String> {
    require((1..=10_000).contains(value), "must be from 1 to 10000")
}

fn attempts(value: &usize) -> Result<(), String> {
    require((1..=1000).contains(value), "must be from 1 to 1000")
}

fn lease(value: &u64) -> Result<(), String> {
    require((1..=86_400).contains(value), "must be from 1 to 86400")
}

fn writer_memory(value: &usize) -> Result<(), String> {
    require((16..=4096).contains(value), "must be from 16 to 4096")
}

fn answers(value: &u64) -> Result<(), String> {
    require(*value <= 65_536, "must be at most 65536")
}

fn query_embeddings(value: &usize) -> Result<(), String> {
    require(*value <= 10_000_000, "must be at most 10000000")
}

fn cosine(value: &f64) -> Result<(), String> {
    require((0.0..=1.0).contains(value), "must be from 0 to 1")
}

fn semantic_entries(value: &usize) -> Result<(), String> {
    require((1..=100_000).contains(value), "must be from 1 to 100000")
}

fn semantic_mib(value: &u64) -> Result<(), String> {
    require((1..=65_536).contains(value), "must be from 1 to 65536")
}

fn semantic_ttl(value: &u64) -> Result<(), String> {
    require(
        (1..=31_536_000).contains(value),
        "must be from 1 to 31536000",
    )
}

fn similarity(value: &f64) -> Result<(), String> {
    require((0.8..=1.0).contains(value), "must be from 0.8 to 1")
}

fn share(value: &Option<f64>) -> Result<(), String> {
    require(
        value.is_none_or(|share| share <= 1.0),
        "must be from 0 to 1",
    )
}

/// `config/braid.toml`: every key with its description and default. Keys without a default are
/// commented out.
pub fn shipped_file() -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "# Braid's settings, each with its default. Defaults < this file < environment\n# (BRAID__SECTION__KEY) < flags (--set section.key=value). Generated by `cargo xtask codegen`.\n",
    );
    let mut current = "";
    for key in KEYS {
        let (section, name) = key.path.split_once('.').unwrap_or((key.path, ""));
        if section != current {
            text.push_str(&format!("\n[{section}]\n"));
            current = section;
        }
        text.push_str(&format!("# {}\n", key.description));
        match key.value(&defaults) {
            Some(value) => text.push_str(&format!("{name} = {value}\n")),
            None => text.push_str(&format!("# {name} =\n")),
        }
    }
    text
}

/// `docs/configuration.md`: the same as a table.
pub fn documentation() -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "# Configuration\n\nSettings come from four layers, each above the one before: defaults, a file (`--config F`, the environment variable\n`BRAID_CONFIG`, or `./braid.toml` if it exists), environment variables, and flags (`--set section.key=value`, repeatable; some\nsettings have a flag of their own). Unknown keys and bad values are refused, all at once, each with where it is.\n\n[config/braid.toml](../config/braid.toml) has every key with its default. This page is generated from the code.\n\n| key | default | environment | meaning |\n|---|---|---|---|\n",
    );
    for key in KEYS {
        let value = key
            .value(&defaults)
            .map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        text.push_str(&format!(
            "| `{}` | {value} | `{}` | {} |\n",
            key.path,
            key.variable(),
            key.description
        ));
    }
    text
}
