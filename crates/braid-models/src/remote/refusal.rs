//! What can go wrong with one request, and what is done about it.

use std::time::Duration;

use braid_core::{Error, ErrorCode};
use http::StatusCode;

use crate::remote::endpoint::Endpoint;
use crate::remote::options::RemoteOptions;

/// Most characters of a server's own words that an error repeats.
const MOST_QUOTED: usize = 200;

/// Why a request gave nothing.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    detail: String,
    retry_after: Option<Duration>,
}

/// What an endpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// No connection, or one that broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// 429: it has too much to do.
    Busy,
    /// 502, 503, 504: it, or what it needs, is not there now.
    Down,
    /// 413, 422: as too many or too long texts are refused.
    TooLarge,
    /// 401, 403.
    Forbidden,
    /// 404: no such path, or no such model.
    NotFound,
    /// Any other status that is not 200.
    Refused,
    /// 200 with something else than was asked for.
    BadReply,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn too_late(limit: Duration) -> Self {
        let detail = format!("no answer within {} ms", limit.as_millis());
        Self::new(RefusalKind::Timeout, detail)
    }

    /// Of an answer with another status than 200.
    pub(crate) fn of_status(
        status: StatusCode,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Self {
        let kind = match status.as_u16() {
            429 => RefusalKind::Busy,
            502..=504 => RefusalKind::Down,
            413 | 422 => RefusalKind::TooLarge,
            401 | 403 => RefusalKind::Forbidden,
            404 => RefusalKind::NotFound,
            _ => RefusalKind::Refused,
        };
        let quoted = quote(body);
        Self {
            kind,
            detail: format!("it answers {}{quoted}", status.as_u16()),
            retry_after,
        }
    }

    /// Whether the same request may get an answer later.
    fn passes(&self) -> bool {
        match self.kind {
            RefusalKind::Unreachable | RefusalKind::Busy | RefusalKind::Down => true,
            // What took too long once is not asked for again at once.
            RefusalKind::Timeout
            | RefusalKind::TooLarge
            | RefusalKind::Forbidden
            | RefusalKind::NotFound
            | RefusalKind::Refused
            | RefusalKind::BadReply => false,
        }
    }

    /// Whether another model may be behind the address when it answers again.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self.kind, RefusalKind::Unreachable | RefusalKind::Down)
    }

    /// How long to wait before the try after `attempt` (from 1); `None` where there is none.
    pub(crate) fn wait(&self, attempt: u32, options: &RemoteOptions) -> Option<Duration> {
        if !self.passes() || attempt >= options.attempts {
            return None;
        }
        let doublings = (attempt - 1).min(16);
        let doubled = options.first_wait.saturating_mul(1 << doublings);
        let wait = self
            .retry_after
            .unwrap_or(doubled.min(options.longest_wait));
        (wait <= options.longest_wait).then_some(wait)
    }

    /// What the caller is told.
    pub(crate) fn into_error(self, endpoint: &Endpoint, model: &str) -> Error {
        let message = format!("the model server {endpoint}: {}", self.detail);
        let (code, help) = match self.kind {
            RefusalKind::Unreachable => (
                ErrorCode::Unavailable,
                format!("see that {endpoint} is running and can be reached from here"),
            ),
            RefusalKind::Down => (
                ErrorCode::Unavailable,
                format!("see the log of {endpoint}"),
            ),
            RefusalKind::Timeout => (
                ErrorCode::Timeout,
                "raise models.remote_timeout_ms, lower models.remote_batch_texts, or give the server more cores".to_owned(),
            ),
            RefusalKind::Busy => (
                ErrorCode::Overloaded,
                "retry later, or lower models.remote_concurrency".to_owned(),
            ),
            RefusalKind::TooLarge => (
                ErrorCode::TooLarge,
                "lower models.remote_batch_texts, and see that the manifest's max_tokens is no more than the server takes".to_owned(),
            ),
            RefusalKind::Forbidden => (
                ErrorCode::ModelUnavailable,
                "put a key that it takes into the environment or the key file (docs/models.md)".to_owned(),
            ),
            RefusalKind::NotFound => (
                ErrorCode::ModelUnavailable,
                format!("correct the address, or name the model {model} as that server does: remote.model in its manifest"),
            ),
            RefusalKind::Refused => (
                ErrorCode::ModelUnavailable,
                format!("see the log of {endpoint}"),
            ),
            RefusalKind::BadReply => (
                ErrorCode::ModelUnavailable,
                format!("see that {endpoint} serves {model}, in the shape that the end of its address says"),
            ),
        };
        Error::new(code, message).with_help(help)
    }
}

/// A server's words, on one line, or nothing.
fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MOST_QUOTED)
        .collect();
    if line.is_empty() {
        line
    } else {
        format!(": {line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> RemoteOptions {
        RemoteOptions {
            attempts: 4,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_millis(300),
            ..RemoteOptions::default()
        }
    }

    #[test]
    fn what_passes_is_tried_again_a_bounded_number_of_times() {
        let refusal = Refusal::new(RefusalKind::Unreachable, "refused");
        let waits = (1..=4).map(|attempt| refusal.wait(attempt, &options()));
        let waits: Vec<_> = waits
            .map(|wait| wait.map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(100), Some(200), Some(300), None]);
        let kinds = [
            RefusalKind::Timeout,
            RefusalKind::TooLarge,
            RefusalKind::Forbidden,
            RefusalKind::NotFound,
            RefusalKind::Refused,
            RefusalKind::BadReply,
        ];
        for kind in kinds {
            assert_eq!(Refusal::new(kind, "").wait(1, &options()), None, "{kind:?}");
        }
    }

    #[test]
    fn a_server_says_how_long_to_wait_within_reason() {
        let busy = |after| {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let refusal = Refusal::of_status(status, Some(Duration::from_millis(after)), b"");
            refusal.wait(1, &options())
        };
        assert_eq!(busy(0), Some(Duration::ZERO));
        assert_eq!(busy(250), Some(Duration::from_millis(250)));
        assert_eq!(busy(301), None, "too long to wait here");
    }

    #[test]
    fn every_status_is_an_error_that_says_what_to_do() {
        let endpoint = Endpoint::new("http://h:1/embed", crate::ModelKind::Embedder).unwrap();
        let cases = [
            (429, ErrorCode::Overloaded),
            (503, ErrorCode::Unavailable),
            (413, ErrorCode::TooLarge),
            (422, ErrorCode::TooLarge),
            (401, ErrorCode::ModelUnavailable),
            (404, ErrorCode::ModelUnavailable),
            (500, ErrorCode::ModelUnavailable),
            (302, ErrorCode::ModelUnavailable),
        ];
        for (status, code) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = Refusal::of_status(status, None, b"no\nway\x07 \xff");
            let error = refusal.into_error(&endpoint, "m");
            assert_eq!(error.code(), code, "{status}");
            assert!(error.help().is_some(), "{status}");
            assert!(error.message().ends_with(": no way \u{fffd}"), "{error}");
        }
    }
}
