//! Stops calls to a server that does not answer.

use std::fmt;
use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long no call is let through; then one is.
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(2),
        }
    }
}

/// Counts failures in a row. Shared by everything that calls one server.
pub struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Since when no call is let through, with why.
    open: Option<(Instant, String)>,
    /// Whether a call is under way that decides whether it closes.
    is_probing: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: Mutex::default(),
        }
    }

    /// Why no calls are let through, if none are.
    pub fn is_open(&self) -> Option<String> {
        let state = self.state.lock();
        state.open.as_ref().map(|(_, reason)| reason.clone())
    }

    /// Lets a call through, or not.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) while it is open.
    pub(super) fn admit(&self) -> Result<Permit<'_>> {
        let mut state = self.state.lock();
        let Some((since, reason)) = &state.open else {
            return Ok(self.permit(false));
        };
        let passed = since.elapsed();
        if passed >= self.policy.open_for && !state.is_probing {
            state.is_probing = true;
            return Ok(self.permit(true));
        }
        let left = self.policy.open_for.saturating_sub(passed).as_millis();
        Err(Error::new(
            ErrorCode::Unavailable,
            format!("not asked for another {left} ms, since calls keep failing: {reason}"),
        ))
    }

    fn permit(&self, probe: bool) -> Permit<'_> {
        Permit {
            breaker: self,
            probe,
        }
    }

    fn close(&self) {
        let was_open = std::mem::take(&mut *self.state.lock()).open.is_some();
        if was_open {
            tracing::info!("the vector server answers again");
        }
        metrics::gauge!("braid_vector_server_away").set(0.0);
    }

    fn count(&self, probe: bool, error: &Error) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if probe || (state.open.is_none() && state.failures >= self.policy.failures) {
            if state.open.is_none() {
                tracing::warn!(error = %error.chain(), failures = state.failures, "the vector server does not answer, it is not asked for a while");
            }
            state.open = Some((Instant::now(), error.to_string()));
            metrics::gauge!("braid_vector_server_away").set(1.0);
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("policy", &self.policy)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// A call that was let through. One that is dropped undecided, as when its caller went away, changes
/// nothing but lets the next one through.
#[derive(Debug)]
pub(super) struct Permit<'b> {
    breaker: &'b Breaker,
    probe: bool,
}

impl Permit<'_> {
    pub(super) fn succeeded(self) {
        self.breaker.close();
    }

    pub(super) fn failed(self, error: &Error) {
        self.breaker.count(self.probe, error);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state.lock().is_probing = false;
        }
    }
}
