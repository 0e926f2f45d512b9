//! Runs: which numbers are taken, as stretches of adjacent ones.
//!
//! Behind the end of a run is a number that is free, so the next free one is found by looking at one run, however
//! many numbers are taken. Cheap to clone, as every index.

use std::ops::RangeInclusive;

use imbl::OrdMap;

/// For each key a set of numbers, kept as its runs.
#[derive(Clone)]
pub(crate) struct Runs<K> {
    /// The last number of each run by its first. No two runs touch.
    runs: OrdMap<K, OrdMap<u64, u64>>,
}

impl<K> Default for Runs<K> {
    fn default() -> Self {
        Self { runs: OrdMap::new() }
    }
}

impl<K: Clone + Ord> Runs<K> {
    pub(crate) fn insert(&mut self, key: K, number: u64) {
        let runs = self.runs.entry(key).or_default();
        let next = number.checked_add(1).filter(|next| runs.contains_key(next));
        let last = next.and_then(|next| runs.remove(&next)).unwrap_or(number);
        // Most numbers come one behind the other, and a run that grows stays where it is in the map.
        match runs.get_prev_mut(&number) {
            Some((_, before)) if number <= *before => {}
            Some((_, before)) if before.checked_add(1) == Some(number) => *before = last,
            _ => drop(runs.insert(number, last)),
        }
    }

    pub(crate) fn remove(&mut self, key: &K, number: u64) {
        let Some((first, last)) = self.run(key, number).map(RangeInclusive::into_inner) else { return };
        let Some(runs) = self.runs.get_mut(key) else { return };
        runs.remove(&first);
        if first < number {
            runs.insert(first, number - 1);
        }
        if number < last {
            runs.insert(number + 1, last);
        }
        if runs.is_empty() {
            self.runs.remove(key);
        }
    }

    /// The run that a number is in; none if it is free.
    pub(crate) fn run(&self, key: &K, number: u64) -> Option<RangeInclusive<u64>> {
        let (first, last) = self.runs.get(key)?.get_prev(&number)?;
        (number <= *last).then_some(*first..=*last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_holds_what_is_taken_around_a_number_and_nothing_else(
            steps in prop::collection::vec((any::<bool>(), 0..24_u64), 0..200)
        ) {
            let (mut runs, mut taken) = (Runs::default(), BTreeSet::new());
            for (comes, number) in steps {
                if comes {
                    runs.insert((), number);
                    taken.insert(number);
                } else {
                    runs.remove(&(), number);
                    taken.remove(&number);
                }
                for at in 0..24 {
                    let run = taken.contains(&at).then(|| {
                        let first = (0..=at).rev().take_while(|of| taken.contains(of)).last();
                        let last = (at..).take_while(|of| taken.contains(of)).last();
                        first.unwrap_or(at)..=last.unwrap_or(at)
                    });
                    prop_assert_eq!(runs.run(&(), at), run);
                }
            }
        }
    }

    #[test]
    fn the_largest_number_is_one_like_others() {
        let mut runs = Runs::default();
        runs.insert((), u64::MAX);
        runs.insert((), u64::MAX - 1);
        assert_eq!(runs.run(&(), u64::MAX), Some(u64::MAX - 1..=u64::MAX));
    }
}
