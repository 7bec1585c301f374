//! One JSON request and its answer, within limits. Dropping the future closes the connection.

use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::remote::endpoint::Endpoint;
use crate::remote::options::{CONNECT_TIMEOUT, RemoteOptions};
use crate::remote::refusal::{Refusal, RefusalKind};

/// Most bytes of an error's body that are read.
const MOST_ERROR_BYTES: usize = 16 * 1024;
/// How long a connection is kept that nobody uses: less than servers usually keep theirs.
const IDLE: Duration = Duration::from_secs(20);

/// Connections to one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
    headers: HeaderMap,
    options: RemoteOptions,
}

impl HttpClient {
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when the system has no root certificates.
    pub(crate) fn new(endpoint: Endpoint, options: RemoteOptions) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = concat!("braid/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(key) = &options.key {
            headers.insert(AUTHORIZATION, key.header());
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.concurrency.max(1))
            .build(connector(&endpoint)?);
        Ok(Self {
            client,
            endpoint,
            headers,
            options,
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn options(&self) -> &RemoteOptions {
        &self.options
    }

    /// The body of a good answer of at most `most` bytes, after as many tries as the options allow.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection that waits for an answer.
    pub(crate) async fn post(&self, body: Bytes, most: usize) -> Result<Bytes, Refusal> {
        let mut attempt = 1;
        loop {
            let refusal = match self.post_once(body.clone(), most).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            self.count("failed");
            let Some(wait) = refusal.wait(attempt, &self.options) else {
                return Err(refusal);
            };
            tracing::debug!(endpoint = %self.endpoint, attempt, ?wait, ?refusal, "asking again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn post_once(&self, body: Bytes, most: usize) -> Result<Bytes, Refusal> {
        let limit = self.options.timeout;
        let answer = tokio::time::timeout(limit, self.exchange(body, most)).await;
        let answer = answer.unwrap_or_else(|_| Err(Refusal::too_late(limit)))?;
        self.count("answered");
        Ok(answer)
    }

    async fn exchange(&self, body: Bytes, most: usize) -> Result<Bytes, Refusal> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.url().clone();
        *request.headers_mut() = self.headers.clone();
        let response = self.client.request(request).await;
        let response = response.map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            let body = Limited::new(body, MOST_ERROR_BYTES).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let retry_after = retry_after(&head.headers);
            return Err(Refusal::of_status(head.status, retry_after, &body));
        }
        match Limited::new(body, most).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let detail = format!("its answer is over the {most} bytes that it could need");
                Err(Refusal::new(RefusalKind::BadReply, detail))
            }
            Err(error) => Err(unreachable(&*error)),
        }
    }

    fn count(&self, outcome: &'static str) {
        let endpoint = self.endpoint.to_string();
        metrics::counter!("braid_model_requests_total", "endpoint" => endpoint, "outcome" => outcome)
            .increment(1);
    }
}

fn unreachable(error: &dyn std::error::Error) -> Refusal {
    let mut detail = String::from("it cannot be reached");
    let mut cause = Some(error);
    while let Some(error) = cause {
        detail.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Refusal::new(RefusalKind::Unreachable, detail)
}

/// In seconds; a date says nothing without a clock that both sides share.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Roots of trust are the system's (`SSL_CERT_FILE` names others), read only for https.
fn connector(endpoint: &Endpoint) -> Result<HttpsConnector<HttpConnector>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let builder = if endpoint.url().scheme_str() == Some("https") {
        builder
            .with_provider_and_native_roots(provider)
            .map_err(|error| {
                let message = format!("{endpoint} needs root certificates, and there are none");
                Error::new(ErrorCode::ModelUnavailable, message)
                    .with_source(error)
                    .with_help("install the system's CA certificates, or set SSL_CERT_FILE")
            })?
    } else {
        builder.with_tls_config(without_roots(provider)?)
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}

/// For an endpoint that is never asked over TLS.
fn without_roots(provider: rustls::crypto::CryptoProvider) -> Result<rustls::ClientConfig> {
    let builder = rustls::ClientConfig::builder_with_provider(provider.into());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS cannot be set up").with_source(error))?;
    let roots = rustls::RootCertStore::empty();
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
