//! Limits on external input. Each is enforced where the value is constructed, so a value of the
//! type is proof that it is within them.

/// Longest document id, in bytes. Keeps the ledger's `(collection, document)` key within LMDB's
/// default key limit of 511 bytes.
pub const MAX_DOCUMENT_ID_BYTES: usize = 480;
/// Longest collection name, in bytes.
pub const MAX_COLLECTION_NAME_BYTES: usize = 64;
/// Longest query, in bytes.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;
/// Most phrasings of a query beside the query itself.
pub const MAX_OTHER_PHRASINGS: usize = 8;
/// Largest `top_k` a request may ask for.
pub const MAX_TOP_K: usize = 1000;
/// Most hits that the retrievals of one batch may ask for together: its answers are in memory at once.
pub const MAX_BATCH_HITS: usize = 10 * MAX_TOP_K;
/// Largest number of candidates a request may ask of one leg.
pub const MAX_CANDIDATES: usize = 2000;
/// Most tokens that a request may ask a context of.
pub const MAX_CONTEXT_TOKENS: usize = 1 << 24;
/// Largest constant of Reciprocal Rank Fusion.
pub const MAX_FUSION_K: f64 = 1e6;
/// Largest weight of a leg in fusion.
pub const MAX_LEG_WEIGHT: f64 = 1e6;
/// Largest text of one document, in bytes (64 MiB).
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;
/// Most metadata fields on one document.
pub const MAX_METADATA_FIELDS: usize = 64;
/// Longest metadata key, in bytes.
pub const MAX_METADATA_KEY_BYTES: usize = 128;
/// Longest metadata string value, in bytes. Longer values cannot be filtered on.
pub const MAX_METADATA_VALUE_BYTES: usize = 2048;
/// Most strings in one array-valued metadata field.
pub const MAX_METADATA_ARRAY: usize = 256;
/// Largest metadata of one document, keys and values together, in bytes (64 KiB). Every passage of a
/// document is answered with it.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Longest title or URI, in bytes.
pub const MAX_TITLE_BYTES: usize = 4096;
/// Longest name and version of a parser, in bytes.
pub const MAX_PARSER_BYTES: usize = 128;
/// Most conditions in one filter.
pub const MAX_FILTER_CONDITIONS: usize = 64;
/// Most documents in one bulk request.
pub const MAX_BULK_DOCUMENTS: usize = 10_000;
/// Longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Largest answer that is kept for questions that ask the same, in bytes of JSON (64 KiB).
pub const MAX_CACHED_ANSWER_BYTES: usize = 64 * 1024;
/// Longest scope of such an answer, in bytes.
pub const MAX_SCOPE_BYTES: usize = 256;
/// Most documents that such an answer names.
pub const MAX_ANSWER_DOCUMENTS: usize = 256;
