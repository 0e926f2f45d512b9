//! How much is tested, by the environment.
//!
//! - `FAULT_COUNT`: the number of faults of the suite. If it is set, the other tests take their long form, too.
//! - `FAULT_SEED`: what everything that is random is made from. Every run says which it was.

use std::env;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// Faults in the short form, which is the same on every run.
const SHORT_COUNT: usize = 6;
const SHORT_SEED: u64 = 7;

/// How much is tested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Faults of the suite.
    pub(crate) count: usize,
    /// What is random is made from it.
    pub(crate) seed: u64,
    /// Whether there is time.
    pub(crate) is_long: bool,
}

impl Form {
    /// What the environment says.
    pub(crate) fn of_environment() -> Self {
        let count =
            number("FAULT_COUNT").map(|count| usize::try_from(count).expect("a count that can be done"));
        let (is_long, seed) = (count.is_some(), number("FAULT_SEED").unwrap_or(SHORT_SEED));
        Self { count: count.unwrap_or(SHORT_COUNT), seed, is_long }
    }

    /// One number or another, by the form.
    pub(crate) fn pick<T>(self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }

    /// A source of what is random.
    pub(crate) fn random(self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
