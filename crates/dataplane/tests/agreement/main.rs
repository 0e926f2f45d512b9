//! Whether the flows do what the objects mean: random topologies and packets, in real switches and by the packet walk.
//!
//! The walk is written from the meaning of the objects and knows no flow, so where both agree, both are probably right; where
//! they do not, one is wrong. What disagrees is made as small as it goes and printed as a file for [`cases`].
//!
//! `AGREEMENT_PAIRS`, `AGREEMENT_MUTANTS` and `AGREEMENT_SEED` say how long and with what, and `AGREEMENT_FIRST` from which topology on:
//! `cargo xtask fuzz-dataplane` sets them.

mod campaign;
mod cases;
#[allow(dead_code, reason = "shared with the tests of packets")]
#[path = "../harness/control.rs"]
mod control;
mod coverage;
#[allow(dead_code, reason = "shared with the tests of packets")]
#[path = "../harness/daemons.rs"]
mod daemons;
mod fleet;
mod forms;
mod judge;
mod mutants;
mod packets;
mod random;
mod scene;
mod shrink;
#[allow(dead_code, reason = "shared with the tests of packets")]
#[path = "../harness/switch.rs"]
mod switch;
mod topologies;
mod wire;

use std::str::FromStr;
use std::time::Duration;

/// Pairs of a topology and a packet that are compared if nothing else is said.
const PAIRS: usize = 1_800;

/// Longest time for these, so that the suite stays quick on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Flows that are made wrong if nothing else is said: the same ones on every machine, whatever it takes.
const MUTANTS: usize = 36;

/// Packets that are aimed at a flow before it is let go, and of how many flows that packets meet one may go unseen, and one
/// more: for the suite, and when it is said how many flows to try.
const QUICK: (usize, usize) = (240, 10);
const PATIENT: (usize, usize) = (720, 20);

fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn walks_and_flows_agree() {
    let asked = setting("AGREEMENT_PAIRS");
    let limit = if asked.is_some() { None } else { Some(LIMIT) };
    let seed = setting("AGREEMENT_SEED").unwrap_or(1);
    let found = campaign::compare(seed, asked.unwrap_or(PAIRS), limit);
    println!("seed {seed}, {} pairs, of which were\n{}", found.pairs, found.coverage);
    println!("{} pairs, {} disagreements", found.pairs, found.disagreements);
    assert_eq!(found.disagreements, 0, "the walk and the flows disagree: see above");
    found.coverage.is_enough(found.pairs);
}

#[test]
fn a_wrong_flow_is_noticed() {
    let asked = setting("AGREEMENT_MUTANTS");
    let seed = setting("AGREEMENT_SEED").unwrap_or(1);
    let (patience, unseen) = if asked.is_some() { PATIENT } else { QUICK };
    let tally = mutants::hunt(seed, asked.unwrap_or(MUTANTS), patience);
    let tried = tally.caught + tally.survived();
    println!("{tally}");
    println!("{} of {tried} mutants caught", tally.caught);
    assert!(tally.alarms.is_empty(), "the walk and the flows disagree where nothing is wrong: see above");
    assert!(tally.survived() <= tried / unseen + 1, "too many wrong flows go unseen");
}
