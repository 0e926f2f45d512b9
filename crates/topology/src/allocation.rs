//! Allocation: which free address of its ranges a group gives next.
//!
//! # In turn, not the lowest
//! `incremental` goes on behind the address given last, and round at the end. So an address that becomes free is
//! given again as late as can be, and neighbours' caches, firewalls' logs and people's notes of its former holder are
//! old by then. `decremental` is the mirror of it. `random` takes any; where most are taken it takes the next free one
//! behind a random one, so that it finds the last free address too.
//!
//! # Cost
//! What is taken comes in runs (`runs`): an allocation looks at a run for each range, not at leases.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// Most ranges of a group: an allocation may look at all of them.
pub const MAX_RANGES: usize = 256;

/// How often a random address is tried before the next free one behind it is looked for. With half of the addresses
/// taken, one allocation in 65,536 gets there.
const RANDOM_TRIES: usize = 16;

/// In which order a group gives addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllocationType {
    /// Upwards from the one given last, then from the lowest again.
    Incremental,
    /// Downwards from the one given last, then from the highest again.
    Decremental,
    /// Any.
    Random,
}

/// Addresses from the first to the last.
pub(crate) type Span = RangeInclusive<u64>;

/// The address to give, if one of `ranges` is free. `last` is the one given last, `blocked` the addresses around one that are
/// taken with it, if it is.
pub(crate) fn choose(
    how: AllocationType,
    mut ranges: Vec<Span>,
    last: Option<u64>,
    blocked: impl Fn(u64) -> Option<Span>,
    mut dice: Dice,
) -> Option<u64> {
    ranges.sort_by_key(|range| *range.start());
    match how {
        AllocationType::Incremental => {
            upwards(&ranges, last.map_or(0, |last| last.saturating_add(1)), &blocked)
        }
        AllocationType::Decremental => downwards(&ranges, last, &blocked),
        AllocationType::Random => {
            let mut tried = 0;
            for _ in 0..RANDOM_TRIES {
                tried = nth(&ranges, dice.roll())?;
                if blocked(tried).is_none() {
                    return Some(tried);
                }
            }
            upwards(&ranges, tried, &blocked)
        }
    }
}

/// The first free address from `start` on, and round.
fn upwards(ranges: &[Span], start: u64, blocked: &impl Fn(u64) -> Option<Span>) -> Option<u64> {
    let behind = ranges.iter().map(|range| start.max(*range.start())..=*range.end());
    let before = ranges.iter().map(|range| *range.start()..=start.min(*range.end()));
    behind.chain(before).find_map(|span| first_free(span, blocked))
}

/// The first free address below `last`, and round.
fn downwards(ranges: &[Span], last: Option<u64>, blocked: &impl Fn(u64) -> Option<Span>) -> Option<u64> {
    let below = last.and_then(|last| last.checked_sub(1));
    let before = ranges.iter().rev().filter_map(|range| Some(*range.start()..=below?.min(*range.end())));
    let behind = ranges.iter().rev().map(|range| last.unwrap_or(0).max(*range.start())..=*range.end());
    before.chain(behind).find_map(|span| last_free(span, blocked))
}

fn first_free(span: Span, blocked: &impl Fn(u64) -> Option<Span>) -> Option<u64> {
    let (mut at, end) = span.into_inner();
    while at <= end {
        match blocked(at) {
            None => return Some(at),
            Some(run) => at = run.end().checked_add(1)?,
        }
    }
    None
}

fn last_free(span: Span, blocked: &impl Fn(u64) -> Option<Span>) -> Option<u64> {
    let (start, mut at) = span.into_inner();
    while at >= start {
        match blocked(at) {
            None => return Some(at),
            Some(run) => at = run.start().checked_sub(1)?,
        }
    }
    None
}

/// One of all addresses, by its number modulo theirs.
fn nth(ranges: &[Span], number: u64) -> Option<u64> {
    let size = |range: &Span| (range.end() - range.start()).saturating_add(1);
    let all = ranges.iter().fold(0_u64, |all, range| all.saturating_add(size(range)));
    let mut number = number.checked_rem(all)?;
    for range in ranges {
        if number < size(range) {
            return Some(range.start() + number);
        }
        number -= size(range);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(how: AllocationType, ranges: &[Span], last: Option<u64>, taken: &[Span], expected: Option<u64>) {
        let blocked = |at| taken.iter().find(|run| run.contains(&at)).cloned();
        let chosen = choose(how, ranges.to_vec(), last, blocked, Dice(7));
        assert_eq!(chosen, expected, "{how:?} after {last:?} in {ranges:?} without {taken:?}");
    }

    #[test]
    fn an_address_follows_the_one_given_last_and_is_free() {
        use AllocationType::{Decremental, Incremental};
        let ranges = [20..=29, 10..=13];
        check(Incremental, &ranges, None, &[], Some(10));
        check(Incremental, &ranges, Some(10), &[], Some(11));
        check(Incremental, &ranges, Some(10), &[11..=12], Some(13));
        check(Incremental, &ranges, Some(13), &[], Some(20));
        check(Incremental, &ranges, Some(10), &[11..=22], Some(23));
        check(Incremental, &ranges, Some(29), &[10..=10], Some(11));
        check(Incremental, &ranges, Some(29), &[11..=29], Some(10));
        check(Incremental, &ranges, Some(5), &[10..=29], None);
        check(Incremental, &ranges, Some(10), &[11..=40], Some(10));
        check(Decremental, &ranges, None, &[], Some(29));
        check(Decremental, &ranges, Some(29), &[], Some(28));
        check(Decremental, &ranges, Some(20), &[], Some(13));
        check(Decremental, &ranges, Some(10), &[], Some(29));
        check(Decremental, &ranges, Some(29), &[11..=28], Some(10));
        check(Decremental, &ranges, Some(10), &[12..=40], Some(11));
        check(Decremental, &ranges, Some(0), &[0..=28], Some(29));
        check(Decremental, &ranges, None, &[0..=40], None);
    }

    #[test]
    fn a_random_address_is_found_while_one_is_free() {
        let ranges = [0..=9, 1_000_000..=1_999_999];
        check(
            AllocationType::Random,
            &ranges,
            None,
            &[0..=1_500_000, 1_500_002..=1_999_999],
            Some(1_500_001),
        );
        check(AllocationType::Random, &ranges, None, &[1..=1_999_999], Some(0));
        check(AllocationType::Random, &ranges, None, &[0..=1_999_999], None);
        check(AllocationType::Random, &[], None, &[], None);
    }

    proptest! {
        #[test]
        fn every_address_is_given_once_and_no_other(
            how in prop::sample::select(vec![
                AllocationType::Incremental, AllocationType::Decremental, AllocationType::Random,
            ]),
            bounds in prop::collection::vec((0..40_u64, 0..10_u64), 0..4),
            seed in any::<u64>(),
        ) {
            let ranges: Vec<Span> = bounds.into_iter().map(|(first, more)| first..=first + more).collect();
            let all: BTreeSet<u64> = ranges.iter().cloned().flatten().collect();
            let (mut given, mut last, mut dice) = (BTreeSet::new(), None, Dice(seed));
            loop {
                let blocked = |at| given.contains(&at).then_some(at..=at);
                let dice = Dice(dice.roll());
                let Some(chosen) = choose(how, ranges.clone(), last, blocked, dice) else { break };
                prop_assert!(given.insert(chosen));
                last = Some(chosen);
            }
            prop_assert_eq!(given, all);
        }
    }
}
