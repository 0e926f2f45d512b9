//! Ranges: sets of numbers as few intervals, for ports and for types of messages.

/// A set of numbers: intervals in order, with gaps between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Vec<(u16, u16)>);

impl Ranges {
    /// The numbers from `first` to `last`.
    pub fn of(first: u16, last: u16) -> Self {
        Self(if first <= last { vec![(first, last)] } else { Vec::new() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a number is among them.
    pub fn contains(&self, number: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// The intervals, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.0.iter().copied()
    }

    /// Adds the numbers from `first` to `last`.
    pub fn insert(&mut self, first: u16, last: u16) {
        if first > last {
            return;
        }
        // Those that overlap or touch become one.
        let (mut first, mut last) = (first, last);
        self.0.retain(|(from, to)| {
            let is_apart = u32::from(*to) + 1 < u32::from(first) || u32::from(last) + 1 < u32::from(*from);
            if !is_apart {
                (first, last) = (first.min(*from), last.max(*to));
            }
            is_apart
        });
        let place = self.0.partition_point(|(from, _)| *from < first);
        self.0.insert(place, (first, last));
    }

    /// Those that are not among `others`.
    #[must_use]
    pub fn minus(&self, others: &Self) -> Self {
        let mut left = Self::default();
        for (first, last) in self.iter() {
            let mut next = Some(first);
            for (from, to) in others.iter().filter(|(from, to)| *from <= last && *to >= first) {
                if let Some(start) = next
                    && let Some(end) = from.checked_sub(1)
                    && start <= end
                {
                    left.insert(start, end);
                }
                next = to.checked_add(1).filter(|next| *next <= last);
            }
            if let Some(start) = next {
                left.insert(start, last);
            }
        }
        left
    }

    /// Those that are among `others`, too.
    #[must_use]
    pub fn both(&self, others: &Self) -> Self {
        self.minus(&self.minus(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u16, u16)]) -> Ranges {
        let mut ranges = Ranges::default();
        of.iter().for_each(|(first, last)| ranges.insert(*first, *last));
        ranges
    }

    #[test]
    fn intervals_that_touch_become_one() {
        let check = |given: &[(u16, u16)], expected: &[(u16, u16)]| {
            assert_eq!(ranges(given).iter().collect::<Vec<_>>(), expected, "{given:?}");
        };
        check(&[(5, 6), (1, 2)], &[(1, 2), (5, 6)]);
        check(&[(1, 2), (3, 4)], &[(1, 4)]);
        check(&[(1, 9), (3, 4), (0, 1)], &[(0, 9)]);
        check(&[(65535, 65535), (65534, 65534)], &[(65534, 65535)]);
        check(&[(9, 1)], &[]);
    }

    #[test]
    fn what_is_left_is_in_the_one_and_not_in_the_other() {
        let check = |one: &[(u16, u16)], other: &[(u16, u16)], expected: &[(u16, u16)]| {
            assert_eq!(
                ranges(one).minus(&ranges(other)).iter().collect::<Vec<_>>(),
                expected,
                "{one:?} {other:?}"
            );
        };
        check(&[(0, 65535)], &[(80, 80)], &[(0, 79), (81, 65535)]);
        check(&[(0, 65535)], &[(0, 10), (65535, 65535)], &[(11, 65534)]);
        check(&[(1, 5), (8, 9)], &[(4, 8)], &[(1, 3), (9, 9)]);
        check(&[(1, 5)], &[(0, 9)], &[]);
        check(&[(1, 5)], &[], &[(1, 5)]);
        assert_eq!(ranges(&[(1, 5)]).both(&ranges(&[(4, 8)])), ranges(&[(4, 5)]));
    }
}
