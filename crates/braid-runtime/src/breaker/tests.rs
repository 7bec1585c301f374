use super::*;

/// A clock that stands still until it is told to go on.
#[derive(Clone)]
struct TestClock(Arc<Mutex<Instant>>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Arc::new(move || *now.lock())
    }

    fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

const FIRST_BREAK: Duration = Duration::from_secs(2);
const LONGEST_BREAK: Duration = Duration::from_secs(60);
const ABANDONED: u32 = 12;
const PATIENCE: Duration = Duration::from_millis(50);
const DOUBLING: BreakerPolicy = BreakerPolicy {
    failures: 3,
    length: BreakLength::Doubling {
        first: FIRST_BREAK,
        longest: LONGEST_BREAK,
    },
    abandoned: Some(Abandoned {
        calls: ABANDONED,
        patience: PATIENCE,
    }),
};

fn fail(breaker: &CircuitBreaker) -> Change {
    breaker.ask().expect("leave").failed("down".to_owned())
}

#[test]
fn it_opens_after_three_failures_in_a_row_and_a_trial_closes_it() {
    let time = TestClock::new();
    let breaker = CircuitBreaker::with_clock(DOUBLING, time.clock());
    assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
    assert_eq!(breaker.ask().unwrap().succeeded(), Change::None);
    assert_eq!([fail(&breaker), fail(&breaker)], [Change::None; 2]);
    assert_eq!(fail(&breaker), Change::Opened(FIRST_BREAK));
    let left_out = LeftOut {
        left: FIRST_BREAK,
        reason: "down".to_owned(),
    };
    assert_eq!(breaker.ask().err(), Some(left_out));
    assert_eq!(breaker.is_open().as_deref(), Some("down"));
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
    let breaker = CircuitBreaker::with_clock(DOUBLING, time.clock());
    let _ = [fail(&breaker), fail(&breaker), fail(&breaker)];
    let mut lengths = Vec::new();
    for _ in 0..6 {
        time.advance(LONGEST_BREAK);
        if let Change::Reopened(length) = fail(&breaker) {
            lengths.push(length.as_secs());
        }
    }
    assert_eq!(lengths, [4, 8, 16, 32, 60, 60]);
}

#[test]
fn a_trial_that_is_given_up_makes_room_for_another() {
    let time = TestClock::new();
    let breaker = CircuitBreaker::with_clock(DOUBLING, time.clock());
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
    let breaker = CircuitBreaker::with_clock(DOUBLING, time.clock());
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
            .reason
            .contains("nobody got an answer")
    );
    time.advance(FIRST_BREAK);
    give_up(&breaker, &time, PATIENCE);
    time.advance(FIRST_BREAK);
    assert!(breaker.ask().is_err(), "a trial given up makes it longer");
    time.advance(FIRST_BREAK);
    assert!(breaker.ask().is_ok());
}

#[test]
fn every_change_is_told_also_where_callers_gave_up() {
    let time = TestClock::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let breaker = CircuitBreaker::with_clock(DOUBLING, time.clock())
        .telling(Box::new(move |change| list.lock().push(change)));
    for _ in 0..ABANDONED {
        give_up(&breaker, &time, PATIENCE);
    }
    time.advance(FIRST_BREAK);
    give_up(&breaker, &time, PATIENCE);
    time.advance(LONGEST_BREAK);
    assert_eq!(breaker.ask().unwrap().succeeded(), Change::Closed);
    let _ = [fail(&breaker), fail(&breaker), fail(&breaker)];
    let expected = [
        Change::Opened(FIRST_BREAK),
        Change::Reopened(2 * FIRST_BREAK),
        Change::Closed,
        Change::Opened(FIRST_BREAK),
    ];
    assert_eq!(*told.lock(), expected);
}

#[test]
fn a_fixed_break_is_as_long_every_time_and_who_gives_up_opens_nothing() {
    let length = Duration::from_secs(5);
    let time = TestClock::new();
    let breaker = CircuitBreaker::with_clock(BreakerPolicy::fixed(2, length), time.clock());
    for _ in 0..50 {
        give_up(&breaker, &time, Duration::from_secs(1));
    }
    assert_eq!(breaker.is_open(), None);
    assert_eq!(fail(&breaker), Change::None);
    assert_eq!(fail(&breaker), Change::Opened(length));
    for _ in 0..4 {
        time.advance(length - Duration::from_millis(1));
        let left = breaker.ask().err().map(|left_out| left_out.left);
        assert_eq!(left, Some(Duration::from_millis(1)));
        time.advance(Duration::from_millis(1));
        let trial = breaker.ask().unwrap();
        let left = breaker.ask().err().map(|left_out| left_out.left);
        assert_eq!(left, Some(Duration::ZERO), "a trial is under way");
        assert_eq!(trial.failed("down".to_owned()), Change::Reopened(length));
    }
    time.advance(length);
    assert_eq!(breaker.ask().unwrap().succeeded(), Change::Closed);
    assert_eq!(breaker.is_open(), None);
}
