//! Models that another server runs, behind the same ports.
//!
//! A remote model is a model folder without weights: the manifest says what the model is, the
//! tokenizer counts and cuts here, and the numbers come over HTTP from one of the [`Endpoint`]s.
//! What is asked for is the same as what the model's own runtime would be asked for, so a remote
//! model has the fingerprint of the local one; its probes are sent before its first use and after
//! every outage, so that another model behind the address is refused.
//!
//! The client is hyper's, which axum brings anyway, because a future of it that is dropped closes its
//! connection: a re-ranking that missed its deadline is abandoned, not waited out on a thread.
//!
//! Start at `embedder` and `reranker`; `wire` has what is sent and read, `http` how, `fallback` what
//! happens where an endpoint fails, `recognition` when its probes are sent.

mod batches;
mod caller;
mod check;
mod embedder;
mod endpoint;
mod fallback;
mod http;
mod key;
mod load;
mod options;
mod recognition;
mod refusal;
mod reranker;
mod wire;

pub use embedder::RemoteEmbedder;
pub use endpoint::{Endpoint, ModelPlace};
pub use fallback::{FallbackEmbedder, FallbackReranker};
pub use key::ApiKey;
pub use options::RemoteOptions;
pub use reranker::RemoteReranker;
