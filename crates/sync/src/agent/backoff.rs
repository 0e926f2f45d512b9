//! How long to wait before the next attempt to connect.
//!
//! Exponential with full jitter, so that thousands of agents that lose their manager at once do not come back at once.
//!
//! # Nobody there
//! Where no manager listens, the machine itself says so: an attempt costs nobody anything, and no manager is too busy that
//! one would have to spare. It is tried again soon, so that an outage does not last longer for having lasted long.

use std::time::Duration;

/// Longest wait before the first retry: most losses are a manager that restarts, or another one that takes over.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait before any retry.
const LONGEST: Duration = Duration::from_secs(30);

/// After so many doublings [`LONGEST`] is reached.
const MAX_DOUBLINGS: u32 = 7;

/// Doublings while no manager listens: two seconds. Ten thousand agents then come back at five thousand a second, of which a
/// manager takes those whose handshakes it has time for, and the others wait longer from then on.
const UNHEARD_DOUBLINGS: u32 = 3;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No manager listens there.
    Unheard,
    /// Anything else.
    Other,
}

/// The attempts that failed in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait after a failure: `random` of the longest one it may be, where `random` is in 0..1.
    pub(super) fn next(&mut self, failure: Failure, random: f64) -> Duration {
        let most = match failure {
            Failure::Unheard => UNHEARD_DOUBLINGS,
            Failure::Other => MAX_DOUBLINGS,
        };
        let doublings = self.failures.min(most);
        self.failures = (doublings + 1).min(most);
        (FIRST * 2_u32.pow(doublings)).min(LONGEST).mul_f64(random.clamp(0.0, 1.0))
    }

    /// An attempt was successful.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_short_again() {
        let mut backoff = Backoff::default();
        let mut wait = |failure| backoff.next(failure, 1.0);
        let longest: Vec<_> = (0..20).map(|_| wait(Failure::Other)).collect();
        assert_eq!(longest[0], FIRST);
        assert!(longest.is_sorted());
        assert_eq!(longest.last(), Some(&LONGEST));
        assert!(backoff.next(Failure::Other, 0.5) < LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(Failure::Other, 1.0), FIRST);
    }

    #[test]
    fn however_long_no_manager_listens_the_next_one_is_found_soon() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next(Failure::Unheard, 1.0)).collect();
        assert!(waits.is_sorted() && waits.iter().all(|wait| *wait <= Duration::from_secs(2)), "{waits:?}");
        let after: Vec<_> = (0..5).map(|_| backoff.next(Failure::Other, 1.0)).collect();
        assert!(after.is_sorted() && after.last() == Some(&LONGEST), "one that is busy is spared");
        assert!(backoff.next(Failure::Unheard, 1.0) <= Duration::from_secs(2));
    }
}
