//! Many measurements, one figure.

use std::time::Duration;

/// Times, shortest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl FromIterator<Duration> for Times {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Times {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The shortest time that `percent` of the measurements do not exceed, in seconds (the nearest rank). Not a number if
    /// there are none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or(f64::NAN, Duration::as_secs_f64)
    }
}

/// The middle one, or the mean of the two in the middle. Not a number if there are none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    let middle = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(middle(figures.len().saturating_sub(1) / 2), middle(figures.len() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(milliseconds: &[u64], percent: usize, expected: f64) {
        let times: Times = milliseconds.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(times.percentile(percent), expected);
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        check(&[3000, 1000, 2000], 50, 2.0);
        check(&[1000, 2000], 50, 1.0);
        check(&[1000, 2000], 99, 2.0);
        check(&(1..=200).map(|n| n * 1000).collect::<Vec<_>>(), 99, 198.0);
        check(&[1000], 1, 1.0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn of_nothing_there_is_no_figure() {
        assert!(Times::default().percentile(50).is_nan());
    }
}
