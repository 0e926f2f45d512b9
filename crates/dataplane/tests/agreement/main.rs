//! Whether the flows do what the objects mean: random topologies and packets, in real switches and by the packet walk.
//!
//! The walk is written from the meaning of the objects and knows no flow, so where both agree, both are probably right; where
//! they do not, one is wrong. What disagrees is made as small as it goes and printed as a file for [`cases`].
//!
//! `AGREEMENT_PAIRS`, `AGREEMENT_MUTANTS` and `AGREEMENT_SEED` say how long and with what: `cargo xtask fuzz-dataplane` sets them.

mod cases;
#[allow(dead_code, reason = "shared with the tests of packets")]
#[path = "../harness/control.rs"]
mod control;
mod coverage;
#[allow(dead_code, reason = "shared with the tests of packets")]
#[path = "../harness/daemons.rs"]
mod daemons;
mod fleet;
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

use std::str::FromStr;
use std::time::{Duration, Instant};

use coverage::Coverage;
use fleet::Fleet;
use packets::Author;
use random::Random;
use scene::{Scene, Story};

/// Pairs of a topology and a packet that are compared if nothing else is said.
const PAIRS: u64 = 1_800;

/// Longest time for these, so that the suite stays quick on a slow machine.
const LIMIT: Duration = Duration::from_secs(35);

/// Packets in one topology.
const PACKETS: usize = 60;

/// Disagreements that are made small. More of them are likely to be the same ones.
const MAX_SHRUNK: u64 = 8;

/// Flows that are made wrong if nothing else is said, and how many of a hundred have to be noticed by the few packets of a scene.
const MUTANTS: usize = 6;
const LEAST_CAUGHT: usize = 40;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn walks_and_flows_agree() {
    let asked: Option<u64> = setting("AGREEMENT_PAIRS");
    let seed: u64 = setting("AGREEMENT_SEED").unwrap_or(1);
    let (begin, mut fleet, mut coverage) = (Instant::now(), Fleet::start(), Coverage::default());
    let (mut pairs, mut disagreements) = (0, 0);
    let more = |pairs| pairs < asked.unwrap_or(PAIRS) && (asked.is_some() || begin.elapsed() < LIMIT);
    for number in 0.. {
        if !more(pairs) {
            break;
        }
        let mut random = Random::of(seed, number);
        let scene = Scene { sent: Vec::new(), ..topologies::any(&mut random) };
        let mut story = Story::begin(&mut fleet, scene);
        let mut author = Author::new(random);
        for _ in 0..PACKETS {
            let Some(sent) = author.next(&story) else { break };
            let verdict = story.go_on(&mut fleet, sent);
            pairs += 1;
            coverage.note(&story);
            author.learn(&story);
            if let Err(difference) = verdict {
                disagreements += 1;
                if disagreements <= setting("AGREEMENT_SHRUNK").unwrap_or(MAX_SHRUNK) {
                    let small = shrink::smallest(&mut fleet, story.scene());
                    println!("seed {seed}, topology {number}:\n{difference}\nas small as it goes:\n{small}");
                } else {
                    println!("seed {seed}, topology {number}:\n{difference}");
                }
                break;
            }
        }
    }
    println!("{coverage}");
    println!("{pairs} pairs, {disagreements} disagreements");
    assert_eq!(disagreements, 0, "the walk and the flows disagree: see above");
    coverage.is_enough(pairs);
}

#[test]
fn a_wrong_flow_is_noticed() {
    let count = setting("AGREEMENT_MUTANTS").unwrap_or(MUTANTS);
    let seed = setting("AGREEMENT_SEED").unwrap_or(1);
    let tally = mutants::hunt(&mut Fleet::start(), seed, count);
    let tried = tally.caught + tally.survived;
    println!("not caught:\n{}", tally.survivors);
    println!("{} of {tried} mutants caught", tally.caught);
    assert!(tally.caught * 100 >= tried * LEAST_CAUGHT, "too many wrong flows go unseen");
}
