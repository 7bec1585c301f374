//! [`CircuitBreaker`]: stops asking what keeps failing, and asks again from time to time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How long it stays open at first; it doubles with every trial that fails.
const FIRST_BREAK: Duration = Duration::from_secs(2);
/// The longest it stays open.
const LONGEST_BREAK: Duration = Duration::from_secs(60);

/// Tells the time; tests have their own.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Closed, it lets every call through. After three failures in a row it is open: nothing gets
/// through for a while, then one call as a trial, whose outcome closes it or opens it for longer.
pub(crate) struct CircuitBreaker {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// How often in a row it opened.
    breaks: u32,
    open_until: Option<Instant>,
    on_trial: bool,
    reason: String,
}

/// Leave to make one call. Dropped without an outcome (the caller gave up) it counts as none.
#[must_use = "the breaker wants to know how the call ended"]
pub(crate) struct Leave<'a> {
    breaker: &'a CircuitBreaker,
    is_trial: bool,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It opened, for so long.
    Opened(Duration),
    /// It closed.
    Closed,
}

impl CircuitBreaker {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Leave to call, or why the calls before failed.
    pub(crate) fn ask(&self) -> Result<Leave<'_>, String> {
        let mut state = self.state.lock();
        let is_trial = match state.open_until {
            None => false,
            Some(until) if (self.clock)() >= until && !state.on_trial => true,
            Some(_) => return Err(state.reason.clone()),
        };
        state.on_trial |= is_trial;
        Ok(Leave {
            breaker: self,
            is_trial,
        })
    }
}

impl Leave<'_> {
    pub(crate) fn succeeded(self) -> Change {
        let mut state = self.breaker.state.lock();
        let was_open = state.open_until.is_some();
        if was_open && !self.is_trial {
            // It began before the breaker opened: it says nothing of now.
            return Change::None;
        }
        *state = State::default();
        if was_open {
            Change::Closed
        } else {
            Change::None
        }
    }

    pub(crate) fn failed(self, reason: String) -> Change {
        let mut state = self.breaker.state.lock();
        if state.open_until.is_some() && !self.is_trial {
            return Change::None;
        }
        state.failures += 1;
        state.reason = reason;
        if !self.is_trial && state.failures < FAILURES {
            return Change::None;
        }
        let doublings = state.breaks.min(8);
        let length = FIRST_BREAK
            .saturating_mul(1 << doublings)
            .min(LONGEST_BREAK);
        state.breaks = state.breaks.saturating_add(1);
        state.open_until = Some((self.breaker.clock)() + length);
        Change::Opened(length)
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.state.lock().on_trial = false;
        }
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("CircuitBreaker")
            .field("failures", &state.failures)
            .field("open", &state.open_until.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A clock that stands still until it is told to go on.
    #[derive(Clone)]
    pub(crate) struct TestClock(Arc<Mutex<Instant>>);

    impl TestClock {
        pub(crate) fn new() -> Self {
            Self(Arc::new(Mutex::new(Instant::now())))
        }

        pub(crate) fn clock(&self) -> Clock {
            let now = Arc::clone(&self.0);
            Arc::new(move || *now.lock())
        }

        pub(crate) fn advance(&self, by: Duration) {
            *self.0.lock() += by;
        }
    }

    fn fail(breaker: &CircuitBreaker) -> Change {
        breaker.ask().ok().expect("leave").failed("down".to_owned())
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row_and_a_trial_closes_it() {
        let time = TestClock::new();
        let breaker = CircuitBreaker::new(time.clock());
        assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
        assert_eq!(breaker.ask().ok().unwrap().succeeded(), Change::None);
        assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
        assert_eq!(fail(&breaker), Change::Opened(FIRST_BREAK));
        assert_eq!(breaker.ask().err().as_deref(), Some("down"));
        time.advance(FIRST_BREAK - Duration::from_millis(1));
        assert!(breaker.ask().is_err());
        time.advance(Duration::from_millis(1));
        let trial = breaker.ask().ok().expect("one trial");
        assert!(breaker.ask().is_err(), "one at a time");
        assert_eq!(trial.succeeded(), Change::Closed);
        let (a, b) = (breaker.ask().is_ok(), breaker.ask().is_ok());
        assert!(a && b);
    }

    #[test]
    fn failed_trials_make_the_break_longer_up_to_a_minute() {
        let time = TestClock::new();
        let breaker = CircuitBreaker::new(time.clock());
        let _ = [fail(&breaker), fail(&breaker), fail(&breaker)];
        let mut lengths = Vec::new();
        for _ in 0..6 {
            time.advance(LONGEST_BREAK);
            if let Change::Opened(length) = fail(&breaker) {
                lengths.push(length.as_secs());
            }
        }
        assert_eq!(lengths, [4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_trial_that_is_given_up_makes_room_for_another() {
        let time = TestClock::new();
        let breaker = CircuitBreaker::new(time.clock());
        let late = breaker.ask().ok().unwrap();
        let _ = [fail(&breaker), fail(&breaker), fail(&breaker)];
        assert_eq!(late.succeeded(), Change::None, "it began before");
        assert!(breaker.ask().is_err());
        time.advance(FIRST_BREAK);
        drop(breaker.ask().ok().unwrap());
        assert!(breaker.ask().is_ok());
    }
}
