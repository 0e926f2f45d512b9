//! The same work on many things at once.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Works at the same time: more of them would measure the machine and not the network.
const MAX_AT_ONCE: usize = 8;

/// Does `work` on every item, eight at a time, and gives the results in the items' order.
///
/// # Panics
/// If `work` does.
pub fn in_parallel<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let waiting: VecDeque<(usize, T)> = items.into_iter().enumerate().collect();
    let workers = waiting.len().min(MAX_AT_ONCE);
    let waiting = Mutex::new(waiting);
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = || -> Vec<(usize, R)> {
        std::iter::from_fn(take).map(|(position, item)| (position, work(item))).collect()
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running.into_iter().flat_map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    results.sort_unstable_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        assert_eq!(in_parallel(0..100, |n| n * n), (0..100).map(|n| n * n).collect::<Vec<_>>());
        assert!(in_parallel(Vec::<u8>::new(), |n| n).is_empty());
    }
}
