//! How long to wait before the next attempt to connect.
//!
//! Exponential with full jitter, so that thousands of agents that lose their manager at once do not come back at once.

use std::time::Duration;

/// Longest wait before the first retry: most losses are a manager that restarts, or another one that takes over.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait before any retry.
const LONGEST: Duration = Duration::from_secs(30);

/// After so many doublings [`LONGEST`] is reached.
const MAX_DOUBLINGS: u32 = 7;

/// The attempts that failed in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait: `random` of the longest one it may be, where `random` is in 0..1.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let longest = (FIRST * 2_u32.pow(self.failures)).min(LONGEST);
        self.failures = (self.failures + 1).min(MAX_DOUBLINGS);
        longest.mul_f64(random.clamp(0.0, 1.0))
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
        let longest: Vec<_> = (0..20).map(|_| backoff.next(1.0)).collect();
        assert_eq!(longest[0], FIRST);
        assert!(longest.is_sorted());
        assert_eq!(longest.last(), Some(&LONGEST));
        assert!(backoff.next(0.5) < LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(1.0), FIRST);
    }
}
