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

/// Calls given up in a row, with nothing answered between them, that open it as well.
const ABANDONED: u32 = 12;
/// A call that was given up sooner says nothing: its caller hardly waited.
const PATIENCE: Duration = Duration::from_millis(50);

/// Tells the time; tests have their own.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Closed, it lets every call through. After three failures in a row it is open: nothing gets
/// through for a while, then one call as a trial, whose outcome closes it or opens it for longer. Who
/// calls may have a deadline and give up, again and again, before a failure is known: that opens it too.
pub(crate) struct CircuitBreaker {
    clock: Clock,
    state: Mutex<State>,
}

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
pub(crate) struct Leave<'a> {
    breaker: &'a CircuitBreaker,
    is_trial: bool,
    began: Instant,
    has_ended: bool,
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
        let began = (self.clock)();
        let mut state = self.state.lock();
        let is_trial = match state.open_until {
            None => false,
            Some(until) if began >= until && !state.on_trial => true,
            Some(_) => return Err(state.reason.clone()),
        };
        state.on_trial |= is_trial;
        Ok(Leave {
            breaker: self,
            is_trial,
            began,
            has_ended: false,
        })
    }
}

impl State {
    fn open(&mut self, now: Instant, reason: String) -> Change {
        let doublings = self.breaks.min(8);
        let length = FIRST_BREAK
            .saturating_mul(1 << doublings)
            .min(LONGEST_BREAK);
        self.breaks = self.breaks.saturating_add(1);
        self.open_until = Some(now + length);
        self.reason = reason;
        Change::Opened(length)
    }
}

impl Leave<'_> {
    pub(crate) fn succeeded(mut self) -> Change {
        self.has_ended = true;
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

    pub(crate) fn failed(mut self, reason: String) -> Change {
        self.has_ended = true;
        let mut state = self.breaker.state.lock();
        if state.open_until.is_some() && !self.is_trial {
            return Change::None;
        }
        state.failures += 1;
        if !self.is_trial && state.failures < FAILURES {
            return Change::None;
        }
        state.open((self.breaker.clock)(), reason)
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let now = (self.breaker.clock)();
        let mut state = self.breaker.state.lock();
        if self.is_trial {
            state.on_trial = false;
        }
        let waited = now.saturating_duration_since(self.began) >= PATIENCE;
        let counts = self.is_trial || state.open_until.is_none();
        if self.has_ended || !waited || !counts {
            return;
        }
        state.abandoned += 1;
        if self.is_trial || state.abandoned >= ABANDONED {
            let reason = "nobody got an answer in the time they had";
            let _ = state.open(now, reason.to_owned());
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
        breaker.ask().expect("leave").failed("down".to_owned())
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row_and_a_trial_closes_it() {
        let time = TestClock::new();
        let breaker = CircuitBreaker::new(time.clock());
        assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
        assert_eq!(breaker.ask().unwrap().succeeded(), Change::None);
        assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
        assert_eq!(fail(&breaker), Change::Opened(FIRST_BREAK));
        assert_eq!(breaker.ask().err().as_deref(), Some("down"));
        time.advance(FIRST_BREAK - Duration::from_millis(1));
        assert!(breaker.ask().is_err());
        time.advance(Duration::from_millis(1));
        let trial = breaker.ask().expect("one trial");
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
        let late = breaker.ask().unwrap();
        let _ = [fail(&breaker), fail(&breaker), fail(&breaker)];
        assert_eq!(late.succeeded(), Change::None, "it began before");
        assert!(breaker.ask().is_err());
        time.advance(FIRST_BREAK);
        drop(breaker.ask().unwrap());
        assert!(breaker.ask().is_ok());
    }

    fn give_up(breaker: &CircuitBreaker, time: &TestClock, after: Duration) {
        let leave = breaker.ask().expect("leave");
        time.advance(after);
        drop(leave);
    }

    /// As when a re-ranker never answers before the deadline.
    #[test]
    fn calls_given_up_again_and_again_open_it() {
        let time = TestClock::new();
        let breaker = CircuitBreaker::new(time.clock());
        for _ in 0..20 {
            give_up(&breaker, &time, PATIENCE / 2);
        }
        for _ in 1..ABANDONED {
            give_up(&breaker, &time, PATIENCE);
        }
        assert_eq!(breaker.ask().unwrap().succeeded(), Change::None);
        for _ in 0..ABANDONED {
            give_up(&breaker, &time, PATIENCE);
        }
        assert!(
            breaker
                .ask()
                .err()
                .unwrap()
                .contains("nobody got an answer")
        );
        time.advance(FIRST_BREAK);
        give_up(&breaker, &time, PATIENCE);
        time.advance(FIRST_BREAK);
        assert!(breaker.ask().is_err(), "a trial given up makes it longer");
        time.advance(FIRST_BREAK);
        assert!(breaker.ask().is_ok());
    }
}
