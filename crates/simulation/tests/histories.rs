//! Histories: nothing that must hold ever fails to, and bugs put in on purpose are found.
//!
//! `SIMULATION_SEED=…` runs one history, `SIMULATION_HISTORIES=…` that many instead of 1,000.

use simulation::{Mutant, run, shows};

/// How many histories are run unless told otherwise.
const HISTORIES: u64 = 1000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Runs every other history, from `first` on: two tests share them, so that two cores do.
fn check(first: u64) {
    let histories = number("SIMULATION_HISTORIES").unwrap_or(HISTORIES);
    let (from, to) = number("SIMULATION_SEED").map_or((first, histories), |seed| (seed, seed + 1));
    for seed in (from..to).step_by(2) {
        if let Err(failure) = run(seed, None) {
            panic!("\n{failure}");
        }
    }
}

#[test]
fn everything_holds_in_even_histories() {
    check(0);
}

#[test]
fn everything_holds_in_odd_histories() {
    check(1);
}

#[test]
fn every_mutant_is_found() {
    for mutant in Mutant::ALL {
        let found = (0..HISTORIES).find(|seed| shows(*seed, mutant));
        assert!(found.is_some(), "{mutant:?} is not found in {HISTORIES} histories");
    }
}
