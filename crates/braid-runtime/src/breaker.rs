//! [`CircuitBreaker`]: stops asking what keeps failing, and asks again from time to time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one call is let through.
    pub length: BreakLength,
    /// Whether callers who give up open it too.
    pub abandoned: Option<Abandoned>,
}

/// How long a breaker stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakLength {
    /// Every time as long.
    Fixed(Duration),
    /// At first so long; twice as long after every trial that fails.
    Doubling {
        /// The first time.
        first: Duration,
        /// The most.
        longest: Duration,
    },
}

/// Calls that nobody waited for to the end. Who calls may have a deadline and give up, again and again,
/// before a failure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// So many in a row, with nothing answered between them, open it.
    pub calls: u32,
    /// One that was given up sooner says nothing: its caller hardly waited.
    pub patience: Duration,
}

impl BreakerPolicy {
    /// Open for `length` every time, after so many failures in a row; who gives up does not count.
    pub const fn fixed(failures: u32, length: Duration) -> Self {
        Self {
            failures,
            length: BreakLength::Fixed(length),
            abandoned: None,
        }
    }
}

impl BreakLength {
    /// The length after so many breaks in a row.
    fn after(self, breaks: u32) -> Duration {
        match self {
            Self::Fixed(length) => length,
            Self::Doubling { first, longest } => {
                first.saturating_mul(1 << breaks.min(20)).min(longest)
            }
        }
    }
}

/// Tells the time; tests have their own.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The runtime's clock, which stands still where a test has paused that.
pub fn system_clock() -> Clock {
    Arc::new(|| tokio::time::Instant::now().into_std())
}

/// Closed, it lets every call through. After a number of failures in a row it is open: nothing gets
/// through for a while, then one call as a trial, whose outcome closes it or opens it again. Share it
/// between all that call one place.
pub struct CircuitBreaker {
    policy: BreakerPolicy,
    clock: Clock,
    on_change: Option<OnChange>,
    state: Mutex<State>,
}

/// Told of every change, in order. It is called with the breaker locked, so it must not call it.
pub type OnChange = Box<dyn Fn(Change) + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    failures: u32,
    abandoned: u32,
    /// How often in a row it opened.
    breaks: u32,
    open_until: Option<Instant>,
    on_trial: bool,
    reason: String,
}

/// Leave to make one call. Dropped without an outcome, the caller gave up.
#[must_use = "the breaker wants to know how the call ended"]
#[derive(Debug)]
pub struct Leave<'a> {
    breaker: &'a CircuitBreaker,
    is_trial: bool,
    began: Instant,
    has_ended: bool,
}

/// No leave: the calls before failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// For how long still; zero while a trial is under way.
    pub left: Duration,
    /// Why the last one failed.
    pub reason: String,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It opened, for so long.
    Opened(Duration),
    /// The trial failed: it stays open, for so long.
    Reopened(Duration),
    /// It closed.
    Closed,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self::with_clock(policy, system_clock())
    }

    /// A closed breaker that goes by `clock`.
    pub fn with_clock(policy: BreakerPolicy, clock: Clock) -> Self {
        Self {
            policy,
            clock,
            on_change: None,
            state: Mutex::default(),
        }
    }

    /// Tells `on_change` of every change but [`Change::None`]: also of those that nobody is there to be
    /// told of, since the caller gave up.
    #[must_use]
    pub fn telling(mut self, on_change: OnChange) -> Self {
        self.on_change = Some(on_change);
        self
    }

    /// Why no calls are let through, if none are.
    pub fn is_open(&self) -> Option<String> {
        let state = self.state.lock();
        state.open_until.map(|_| state.reason.clone())
    }

    /// Leave to call.
    ///
    /// # Errors
    /// While it is open, with why.
    pub fn ask(&self) -> Result<Leave<'_>, LeftOut> {
        let began = (self.clock)();
        let mut state = self.state.lock();
        let is_trial = match state.open_until {
            None => false,
            Some(until) if began >= until && !state.on_trial => true,
            Some(until) => {
                return Err(LeftOut {
                    left: until.saturating_duration_since(began),
                    reason: state.reason.clone(),
                });
            }
        };
        state.on_trial |= is_trial;
        Ok(Leave {
            breaker: self,
            is_trial,
            began,
            has_ended: false,
        })
    }

    fn open(&self, state: &mut State, reason: String) -> Change {
        let was_open = state.open_until.is_some();
        let length = self.policy.length.after(state.breaks);
        state.breaks = state.breaks.saturating_add(1);
        state.open_until = Some((self.clock)() + length);
        state.reason = reason;
        self.tell(match was_open {
            true => Change::Reopened(length),
            false => Change::Opened(length),
        })
    }

    fn tell(&self, change: Change) -> Change {
        if let Some(on_change) = &self.on_change {
            on_change(change);
        }
        change
    }
}

impl Leave<'_> {
    /// The place answered.
    pub fn succeeded(mut self) -> Change {
        self.has_ended = true;
        let mut state = self.breaker.state.lock();
        let was_open = state.open_until.is_some();
        if was_open && !self.is_trial {
            // It began before the breaker opened: it says nothing of now.
            return Change::None;
        }
        *state = State::default();
        match was_open {
            true => self.breaker.tell(Change::Closed),
            false => Change::None,
        }
    }

    /// It did not, and why.
    pub fn failed(mut self, reason: String) -> Change {
        self.has_ended = true;
        let breaker = self.breaker;
        let mut state = breaker.state.lock();
        if state.open_until.is_some() && !self.is_trial {
            return Change::None;
        }
        state.failures = state.failures.saturating_add(1);
        if !self.is_trial && state.failures < breaker.policy.failures {
            return Change::None;
        }
        breaker.open(&mut state, reason)
    }

    /// The call ended, or was given up, in a way that says nothing of the place.
    pub fn withdraw(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let now = (self.breaker.clock)();
        let mut state = self.breaker.state.lock();
        if self.is_trial {
            state.on_trial = false;
        }
        let Some(Abandoned { calls, patience }) = self.breaker.policy.abandoned else {
            return;
        };
        let waited = now.saturating_duration_since(self.began) >= patience;
        let counts = self.is_trial || state.open_until.is_none();
        if self.has_ended || !waited || !counts {
            return;
        }
        state.abandoned = state.abandoned.saturating_add(1);
        if self.is_trial || state.abandoned >= calls {
            let reason = "nobody got an answer in the time they had";
            self.breaker.open(&mut state, reason.to_owned());
        }
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("CircuitBreaker")
            .field("policy", &self.policy)
            .field("failures", &state.failures)
            .field("open", &state.open_until.is_some())
            .finish_non_exhaustive()
    }
}
