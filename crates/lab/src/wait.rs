//! Waiting for a condition, with a deadline and without a blind sleep.
//!
//! Tests never sleep a fixed time: too short a time fails on a busy machine and too long a time makes every run slow.
//! They poll what they wait for, and when it does not come they say what they last saw.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Time between two looks at a condition: short beside a process start, long beside a context switch.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Fewest looks before a wait is given up. A machine that is itself a guest may stand still for longer than any limit, and what is
/// waited for has stood still with it.
const LEAST_LOOKS: u32 = 20;

/// Polls `condition` until it gives a value, for at most `limit`.
///
/// An `Err` of the condition means "not yet" and says what is missing; the last one becomes part of the failure. The
/// condition is looked at once more after the limit, so that a slow condition is not failed by its own duration, and some
/// times in all.
///
/// # Errors
/// [`Error::TimedOut`] with `what` and the last thing missing.
pub fn wait_until<T, E: Display>(
    what: impl Into<String>,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> Result<T> {
    let (started, mut looks) = (Instant::now(), 0);
    loop {
        looks += 1;
        let late = started.elapsed() >= limit && looks >= LEAST_LOOKS;
        match condition() {
            Ok(value) => return Ok(value),
            Err(last) if late => {
                return Err(Error::TimedOut { what: what.into(), waited: limit, last: last.to_string() });
            }
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_becomes_true_ends_the_wait() {
        let mut looks = 0;
        let value = wait_until("the third look", Duration::from_secs(5), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err("too early") }
        });
        assert_eq!(value.ok(), Some(3));
    }

    #[test]
    fn a_condition_that_never_comes_says_what_was_seen_last() {
        let failure =
            wait_until("a miracle", Duration::from_millis(1), || Err::<(), _>("nothing")).unwrap_err();
        assert_eq!(failure.to_string(), "waited 1ms for a miracle: nothing");
    }
}
