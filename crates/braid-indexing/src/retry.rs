//! Which failures are waited out, for how long, and which stop indexing.

use std::time::Duration;

use braid_core::{Error, ErrorCode};

use crate::options::RetryPolicy;

/// Counts the failures in a row of one activity.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            failures: 0,
        }
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure: how long to wait before the next try.
    pub(crate) fn wait(&mut self) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let wait = self.policy.first.saturating_mul(1 << doublings);
        wait.min(self.policy.longest)
    }

    /// As [`Backoff::wait`]; `None` once the attempts are used up.
    pub(crate) fn wait_if_left(&mut self) -> Option<Duration> {
        if self.failures + 1 >= self.policy.attempts {
            return None;
        }
        Some(self.wait())
    }
}

/// What to do about a failure of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Try again after a wait.
    Wait(Duration),
    /// Trying again does not help; a person must act.
    Stall,
    /// The collection is gone.
    Stop,
}

/// What to do about `error`. A full disk, an unreachable store and a busy model are waited out
/// however long: giving up would lose acknowledged documents.
pub(crate) fn remedy(error: &Error, backoff: &mut Backoff) -> Remedy {
    match error.code() {
        ErrorCode::CollectionNotFound => Remedy::Stop,
        ErrorCode::Overloaded
        | ErrorCode::Timeout
        | ErrorCode::ShuttingDown
        | ErrorCode::Unavailable
        | ErrorCode::ModelUnavailable
        | ErrorCode::StorageFull => Remedy::Wait(backoff.wait()),
        ErrorCode::Internal => backoff.wait_if_left().map_or(Remedy::Stall, Remedy::Wait),
        ErrorCode::Corrupt
        | ErrorCode::FingerprintMismatch
        | ErrorCode::UnsupportedVersion
        | ErrorCode::DataDirLocked
        | ErrorCode::InvalidRequest
        | ErrorCode::MalformedJson
        | ErrorCode::TooLarge
        | ErrorCode::UnreadableDocument
        | ErrorCode::CollectionExists
        | ErrorCode::DocumentNotFound
        | ErrorCode::ChunkNotFound
        | ErrorCode::JobNotFound
        | ErrorCode::CursorExpired
        | ErrorCode::RouteNotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::NotEnabled
        | ErrorCode::IdempotencyConflict => Remedy::Stall,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            attempts: 3,
            first: Duration::from_millis(100),
            longest: Duration::from_millis(350),
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(policy());
        let waits: Vec<_> = (0..4).map(|_| backoff.wait().as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.wait_if_left(), Some(Duration::from_millis(100)));
        assert_eq!(backoff.wait_if_left(), Some(Duration::from_millis(200)));
        assert_eq!(backoff.wait_if_left(), None);
    }

    #[test]
    fn outages_are_waited_out_and_defects_stall() {
        let mut backoff = Backoff::new(policy());
        let full = Error::new(ErrorCode::StorageFull, "full");
        for _ in 0..10 {
            assert!(matches!(remedy(&full, &mut backoff), Remedy::Wait(_)));
        }
        let corrupt = Error::new(ErrorCode::Corrupt, "checksum");
        assert_eq!(remedy(&corrupt, &mut backoff), Remedy::Stall);
        assert_eq!(remedy(&Error::internal("bug"), &mut backoff), Remedy::Stall);
    }
}
