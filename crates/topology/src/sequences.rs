//! Sequences: which keys were given last.
//!
//! Keys go round: the next one is the next free number after the last given, so that a key whose owner is gone is
//! not used again before all others were. Frames on their way and flows not yet removed keep their meaning.

use serde::{Deserialize, Serialize};

/// The last key of each kind that was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequences {
    /// Of networks and segments.
    pub domain: u32,
    /// Of interfaces.
    pub interface: u32,
    /// Of hosts.
    pub host: u32,
    /// Of route links.
    pub route_link: u32,
    /// Of routes.
    pub route: u32,
    /// Of translations.
    pub translation: u32,
    /// Of the outer legs of translations.
    pub translation_zone: u32,
    /// Of distinct sets of security groups.
    pub identity: u32,
}

/// The next number in 1..=`max` after `last` that is not `taken`, or `None` if all are.
pub(crate) fn next_key(last: u32, max: u32, taken: impl Fn(u32) -> bool) -> Option<u32> {
    let first = last % max + 1;
    (first..=max).chain(1..first).find(|key| !taken(*key))
}

#[cfg(test)]
mod tests {
    use super::next_key;

    #[test]
    fn keys_go_round_and_skip_those_in_use() {
        let check = |last, taken: &[u32], expected| {
            assert_eq!(
                next_key(last, 4, |key| taken.contains(&key)),
                expected,
                "after {last}, {taken:?} taken"
            );
        };
        check(0, &[], Some(1));
        check(2, &[3], Some(4));
        check(4, &[1], Some(2));
        check(3, &[4, 1, 2], Some(3));
        check(0, &[1, 2, 3, 4], None);
    }
}
