//! Stops calls to a server that does not answer.

use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use braid_runtime::BreakerPolicy;
use braid_runtime::breaker::{Change, CircuitBreaker, Leave, LeftOut};

/// Five failures in a row, two seconds: how a server is guarded where nothing else is said.
pub const BREAKER: BreakerPolicy = BreakerPolicy::fixed(5, Duration::from_secs(2));

/// The breaker of a server, shared by everything that calls it. What it does is logged, and counted in
/// `braid_vector_server_away`.
#[derive(Debug)]
pub struct Breaker(CircuitBreaker);

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self(CircuitBreaker::new(policy))
    }

    /// Why no calls are let through, if none are.
    pub fn is_open(&self) -> Option<String> {
        self.0.is_open()
    }

    /// Lets a call through, or not.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) while it is open.
    pub(super) fn admit(&self) -> Result<Permit<'_>> {
        self.0.ask().map(Permit).map_err(|left_out| {
            let LeftOut { left, reason } = left_out;
            let left = left.as_millis();
            Error::new(
                ErrorCode::Unavailable,
                format!("not asked for another {left} ms, since calls keep failing: {reason}"),
            )
        })
    }
}

/// A call that was let through. One that is dropped undecided, as when its caller went away, changes
/// nothing but lets the next one through.
#[derive(Debug)]
pub(super) struct Permit<'b>(Leave<'b>);

impl Permit<'_> {
    pub(super) fn succeeded(self) {
        if self.0.succeeded() == Change::Closed {
            tracing::info!("the vector server answers again");
            metrics::gauge!("braid_vector_server_away").set(0.0);
        }
    }

    pub(super) fn failed(self, error: &Error) {
        match self.0.failed(error.to_string()) {
            Change::None | Change::Closed => return,
            Change::Opened(_) => {
                tracing::warn!(error = %error.chain(), "the vector server does not answer, it is not asked for a while");
            }
            Change::Reopened(_) => {}
        }
        metrics::gauge!("braid_vector_server_away").set(1.0);
    }
}
