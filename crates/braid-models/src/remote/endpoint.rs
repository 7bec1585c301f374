//! Where a model is served, and in which shape: the last segments of an address say it.

use std::fmt;

use braid_core::{Error, ErrorCode, Result};
use http::Uri;

use crate::manifest::ModelKind;

/// Where a model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// In this process, on ONNX Runtime.
    Here,
    /// At an address.
    At(Endpoint),
}

/// The shapes of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// text-embeddings-inference's `/embed`.
    TeiEmbed,
    /// OpenAI's `/v1/embeddings`.
    OpenAi,
    /// text-embeddings-inference's `/rerank`.
    TeiRerank,
    /// Cohere's `/v2/rerank`.
    Cohere,
    /// Cohere's and Jina's `/v1/rerank`, which send documents back unless told not to.
    CohereV1,
}

/// The address of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Uri,
    pub(crate) api: Api,
}

impl Endpoint {
    /// Reads an address for a model of `kind`.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) when it is not of http or https, has a user or
    /// a password in it, or ends as no known shape does.
    pub fn new(text: &str, kind: ModelKind) -> Result<Self> {
        let bad = |what: &str, help: &str| {
            let message = format!("the {kind}'s endpoint {} {what}", shown(text));
            Error::new(ErrorCode::InvalidRequest, message).with_help(help)
        };
        let url: Uri = text
            .parse()
            .map_err(|_| bad("is not a URL", "write it as http://HOST:PORT/PATH"))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            let help = "write it as http://HOST:PORT/PATH or https://HOST/PATH";
            return Err(bad("is not of http or https", help));
        }
        if url
            .authority()
            .is_some_and(|part| part.as_str().contains('@'))
        {
            let help = "put the key into the environment or a key file";
            return Err(bad("has a user or a password in it", help));
        }
        let Some(api) = api_of(url.path(), kind) else {
            return Err(bad("ends as no known shape does", endings(kind)));
        };
        Ok(Self { url, api })
    }

    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// What the model there is for.
    pub(crate) fn kind(&self) -> ModelKind {
        match self.api {
            Api::TeiEmbed | Api::OpenAi => ModelKind::Embedder,
            Api::TeiRerank | Api::Cohere | Api::CohereV1 => ModelKind::Reranker,
        }
    }

    /// Whether requests to it cross a network in the open.
    pub(crate) fn is_exposed(&self) -> bool {
        let host = self.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<std::net::IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        self.url.scheme_str() == Some("http") && !loopback
    }
}

/// What comes after `?` may be a secret.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.scheme_str().unwrap_or_default();
        let authority = self.url.authority().map_or("", |part| part.as_str());
        write!(f, "{scheme}://{authority}{}", self.url.path())
    }
}

/// An address as it was written, without what may be secret.
fn shown(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
        (_, Some((_, rest))) => format!("...@{rest}"),
        (_, None) => text.to_owned(),
    }
}

fn api_of(path: &str, kind: ModelKind) -> Option<Api> {
    let mut segments = path.trim_end_matches('/').rsplit('/');
    match (kind, segments.next()?, segments.next()) {
        (ModelKind::Embedder, "embeddings", _) => Some(Api::OpenAi),
        (ModelKind::Embedder, "embed", _) => Some(Api::TeiEmbed),
        (ModelKind::Reranker, "rerank", Some("v2")) => Some(Api::Cohere),
        (ModelKind::Reranker, "rerank", Some("v1")) => Some(Api::CohereV1),
        (ModelKind::Reranker, "rerank", _) => Some(Api::TeiRerank),
        (ModelKind::Embedder | ModelKind::Reranker, ..) => None,
    }
}

fn endings(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Embedder => {
            "give the whole address: .../v1/embeddings (OpenAI's shape) or .../embed (text-embeddings-inference's)"
        }
        ModelKind::Reranker => {
            "give the whole address: .../v2/rerank or .../v1/rerank (Cohere's shape) or .../rerank (text-embeddings-inference's)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_address_says_its_shape() {
        let embedder = |text| Endpoint::new(text, ModelKind::Embedder).unwrap().api;
        let reranker = |text| Endpoint::new(text, ModelKind::Reranker).unwrap().api;
        assert_eq!(embedder("http://h:1/v1/embeddings"), Api::OpenAi);
        assert_eq!(embedder("https://h/x/embeddings?version=1"), Api::OpenAi);
        assert_eq!(embedder("http://h:1/embed"), Api::TeiEmbed);
        assert_eq!(reranker("http://h:1/rerank"), Api::TeiRerank);
        assert_eq!(reranker("http://h:1/v1/rerank"), Api::CohereV1);
        assert_eq!(reranker("http://h:1/v2/rerank/"), Api::Cohere);
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_secrets_are_not_shown() {
        let bad = [
            ("ftp://h/embed", "not of http"),
            ("h:1/embed", "not"),
            ("http://h:1/v1", "no known shape"),
            ("http://h:1/v1/rerank", "no known shape"),
            ("http://user:hush@h:1/embed", "a password"),
            ("http://h 1/embed", "not a URL"),
        ];
        for (text, what) in bad {
            let error = Endpoint::new(text, ModelKind::Embedder).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidRequest, "{text}");
            assert!(error.message().contains(what), "{error}");
            assert!(error.help().is_some() && !error.to_string().contains("hush"));
        }
        let keyed = Endpoint::new("http://h:1/embed?key=hush", ModelKind::Embedder).unwrap();
        assert_eq!(keyed.to_string(), "http://h:1/embed");
    }

    #[test]
    fn plain_http_beyond_this_machine_is_exposed() {
        let exposed = |text| {
            let endpoint = Endpoint::new(text, ModelKind::Embedder);
            endpoint.unwrap().is_exposed()
        };
        assert!(exposed("http://10.0.0.2/embed") && exposed("http://gpu/embed"));
        assert!(!exposed("https://gpu/embed") && !exposed("http://127.0.0.1:9/embed"));
        assert!(!exposed("http://[::1]:9/embed") && !exposed("http://localhost/embed"));
    }
}
