//! A small client of Braid's HTTP API, for commands that talk to a running server.

use std::time::Duration;

use braid_core::{Error, ErrorCode, FieldError, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use uuid::Uuid;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;
/// Tries of a request that the server may answer later, and the times between two: they double.
const MOST_TRIES: u32 = 30;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time between two looks at a job.
const POLL: Duration = Duration::from_millis(200);
/// Everything but RFC 3986's unreserved characters is encoded in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A running Braid server. Plain HTTP: put TLS in front of a server that is not on this machine.
#[derive(Clone, Debug)]
pub struct Remote {
    base: String,
    agent: ureq::Agent,
}

/// An answer: its status and its JSON.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status, 2xx.
    pub status: u16,
    /// The body; `null` when empty.
    pub body: Value,
}

impl Remote {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// `InvalidRequest` when `url` is not an `http://` URL.
    pub fn new(url: &str) -> Result<Self> {
        if !url.starts_with("http://") {
            return Err(Error::invalid(format!(
                "--server {url:?} is not supported: use http://HOST:PORT"
            )));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            agent,
        })
    }

    /// `GET path`.
    ///
    /// # Errors
    /// The server's problem as an [`Error`], or `Unavailable` when it cannot be reached.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.read(self.agent.get(self.url(path)).call())
    }

    /// `GET path`, for an answer that is text.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached or does not answer 200.
    pub fn get_text(&self, path: &str) -> Result<String> {
        let failed = |reason: String| {
            let message = format!("cannot read {path} of {}: {reason}", self.base);
            Error::new(ErrorCode::Unavailable, message)
        };
        let called = self.agent.get(self.url(path)).call();
        let mut answer = called.map_err(|error| failed(error.to_string()))?;
        if answer.status().as_u16() != 200 {
            return Err(failed(format!("status {}", answer.status().as_u16())));
        }
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        body.read_to_string()
            .map_err(|error| failed(error.to_string()))
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.read(self.agent.delete(self.url(path)).call())
    }

    /// `POST path` with a JSON body; `key` makes it safe to repeat.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer> {
        let request = self.agent.post(self.url(path));
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        self.read(request.send_json(body))
    }

    /// `POST path` under a new idempotency key, again and again (to a limit) while the server is
    /// out of reach, restarts or has too much to do: the key makes it safe.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn post_patiently(&self, path: &str, body: &Value) -> Result<Answer> {
        let key = Uuid::now_v7().to_string();
        patiently(std::thread::sleep, || self.post(path, body, Some(&key)))
    }

    /// `GET path`, as patiently as [`Remote::post_patiently`].
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn get_patiently(&self, path: &str) -> Result<Answer> {
        patiently(std::thread::sleep, || self.get(path))
    }

    /// `POST path` without a body, under a new idempotency key.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn post_empty(&self, path: &str) -> Result<Answer> {
        let key = Uuid::now_v7().to_string();
        patiently(std::thread::sleep, || {
            let request = self.agent.post(self.url(path));
            self.read(request.header("Idempotency-Key", &key).send_empty())
        })
    }

    /// Follows a job to its end; `look` is shown it without its documents at every look, and may
    /// end the wait. The answer has every document.
    ///
    /// # Errors
    /// As [`Remote::get`], and what `look` says.
    pub fn follow_job(
        &self,
        id: &str,
        look: &mut dyn FnMut(&Value) -> Result<()>,
    ) -> Result<Value> {
        let path = format!("/v1/jobs/{}", segment(id));
        loop {
            let job = self.get_patiently(&format!("{path}?items=none"))?.body;
            look(&job)?;
            if job.get("state").and_then(Value::as_str) != Some("running") {
                return Ok(self.get_patiently(&path)?.body);
            }
            std::thread::sleep(POLL);
        }
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.read(self.agent.put(self.url(path)).send_json(body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer> {
        let unreachable = |error: ureq::Error| {
            let reason = if let ureq::Error::Io(cause) = &error {
                cause.to_string()
            } else {
                error.to_string()
            };
            Error::new(
                ErrorCode::Unavailable,
                format!("cannot reach {}: {reason}", self.base),
            )
            .with_help("start it with `braid serve`, or use --data-dir without a server")
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_string()
            .map_err(unreachable)?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).map_err(|error| {
                let message = format!("{} did not answer JSON (status {status})", self.base);
                Error::new(ErrorCode::Unavailable, message)
                    .with_help("check that --server points to a Braid server")
                    .with_source(error)
            })?
        };
        if (200..300).contains(&status) {
            Ok(Answer { status, body })
        } else {
            Err(problem(status, &body))
        }
    }
}

/// Whether the same request may be answered later.
fn may_work_later(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Overloaded
            | ErrorCode::Unavailable
            | ErrorCode::ShuttingDown
            | ErrorCode::Timeout
    )
}

fn patiently<R>(pause: impl Fn(Duration), mut request: impl FnMut() -> Result<R>) -> Result<R> {
    let mut wait = FIRST_PAUSE;
    for _ in 1..MOST_TRIES {
        match request() {
            Err(error) if may_work_later(&error) => pause(wait),
            answered => return answered,
        }
        wait = (wait * 2).min(LONGEST_PAUSE);
    }
    request()
}

/// One path segment, percent-encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The error a problem document (RFC 9457) describes.
fn problem(status: u16, body: &Value) -> Error {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let code = text("error_code")
        .and_then(|name| {
            ErrorCode::ALL
                .into_iter()
                .find(|code| code.as_str() == name)
        })
        .unwrap_or(ErrorCode::Unavailable);
    let detail = text("detail")
        .or_else(|| text("title"))
        .unwrap_or("no detail");
    let fields = body.get("errors").and_then(Value::as_array);
    let field = |field: &Value| {
        let of = |key| field.get(key).and_then(Value::as_str);
        Some(FieldError::new(of("pointer")?, of("detail")?))
    };
    let fields = fields.into_iter().flatten().filter_map(field);
    Error::new(code, format!("server answered {status} {code}: {detail}"))
        .with_fields(fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_tried_again_with_growing_waits() {
        let (waits, tries) = (std::cell::RefCell::new(Vec::new()), std::cell::Cell::new(0));
        let answered = patiently(
            |wait| waits.borrow_mut().push(wait.as_millis()),
            || {
                tries.set(tries.get() + 1);
                match tries.get() {
                    1..=6 => Err(Error::new(ErrorCode::Unavailable, "restarting")),
                    _ => Ok(tries.get()),
                }
            },
        );
        assert_eq!(answered.unwrap(), 7);
        assert_eq!(*waits.borrow(), [200, 400, 800, 1600, 3200, 5000]);
        let refused: Result<()> = patiently(
            |_| panic!("waited for what does not change"),
            || Err(Error::invalid("bad")),
        );
        assert!(refused.is_err());
        let tries = std::cell::Cell::new(0);
        let never: Result<()> = patiently(
            |_| {},
            || {
                tries.set(tries.get() + 1);
                Err(Error::new(ErrorCode::Overloaded, "full"))
            },
        );
        assert_eq!((never.is_err(), tries.get()), (true, MOST_TRIES));
    }

    #[test]
    fn segments_are_encoded_slashes_included() {
        assert_eq!(segment("a b/c.md#x"), "a%20b%2Fc.md%23x");
    }

    #[test]
    fn a_problem_keeps_its_code() {
        let body =
            serde_json::json!({"error_code": "COLLECTION_NOT_FOUND", "detail": "no collection x"});
        let error = problem(404, &body);
        assert_eq!(error.code(), ErrorCode::CollectionNotFound);
        assert!(error.message().contains("no collection x"));
        assert_eq!(problem(500, &Value::Null).code(), ErrorCode::Unavailable);
    }

    #[test]
    fn only_http_urls_are_taken() {
        assert!(Remote::new("ftp://x").is_err());
        assert!(Remote::new("http://127.0.0.1:1/").is_ok());
    }
}
