//! An in-memory etcd for tests: its limits, and outages on demand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use super::kv::{Compare, Kv, KvError, MAX_REQUEST_BYTES, MAX_TXN_OPS, Op, Order, Outcome, Range};
use crate::StoreFuture;

/// A key-value service in memory with etcd's limits. Its clones are connections to the same service.
#[derive(Clone, Default)]
pub struct FakeEtcd {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    data: BTreeMap<String, Bytes>,
    observers: HashMap<String, watch::Sender<()>>,
    /// How many more transactions are done before the outage; `None` for no outage.
    outage_after: Option<usize>,
    /// The next transaction is done, but an outage comes before its answer.
    loses_answer: bool,
}

impl FakeEtcd {
    /// Makes an empty service.
    #[must_use]
    pub fn new() -> FakeEtcd {
        FakeEtcd::default()
    }

    /// Does `transactions` more, then is unavailable until [`recover`](Self::recover).
    pub fn fail_after(&self, transactions: usize) {
        self.state().outage_after = Some(transactions);
    }

    /// Does the next transaction, but is unavailable before it answers, until [`recover`](Self::recover).
    pub fn lose_next_answer(&self) {
        self.state().loses_answer = true;
    }

    /// Ends an outage.
    pub fn recover(&self) {
        let mut state = self.state();
        (state.outage_after, state.loses_answer) = (None, false);
    }

    /// All keys that exist.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().data.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics with the lock held")
    }
}

impl Kv for FakeEtcd {
    fn txn(&self, compares: Vec<Compare>, ops: Vec<Op>) -> StoreFuture<'_, Result<Outcome, KvError>> {
        Box::pin(async move {
            check_limits(&compares, &ops)?;
            // Others get a turn between transactions, as they do on a network.
            tokio::task::yield_now().await;
            self.state().txn(&compares, ops)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Result<Option<Bytes>, KvError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(self.state().available()?.data.get(key).cloned())
        })
    }

    fn range(&self, range: Range) -> StoreFuture<'_, Result<Vec<(String, Bytes)>, KvError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(self.state().available()?.range(range))
        })
    }

    fn observe(&self, key: &str) -> watch::Receiver<()> {
        self.state().observers.entry(key.to_owned()).or_default().subscribe()
    }
}

impl State {
    fn available(&self) -> Result<&State, KvError> {
        if self.outage_after == Some(0) { Err(KvError::Unavailable) } else { Ok(self) }
    }

    fn txn(&mut self, compares: &[Compare], ops: Vec<Op>) -> Result<Outcome, KvError> {
        self.available()?;
        self.outage_after = self.outage_after.map(|left| left.saturating_sub(1));
        let hold = compares.iter().all(|compare| self.data.get(&compare.key) == compare.value.as_ref());
        if hold {
            ops.into_iter().for_each(|op| self.apply(op));
        }
        if std::mem::take(&mut self.loses_answer) {
            self.outage_after = Some(0);
            return Err(KvError::Unavailable);
        }
        Ok(if hold { Outcome::Done } else { Outcome::Refused })
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Put { key, value } => {
                if let Some(observer) = self.observers.get(&key) {
                    observer.send_replace(());
                }
                self.data.insert(key, value);
            }
            Op::Delete { key } => drop(self.data.remove(&key)),
            Op::DeleteRange { start, end } => self.data.retain(|key, _| *key < start || *key >= end),
        }
    }

    fn range(&self, range: Range) -> Vec<(String, Bytes)> {
        let found = self.data.range(range.start..range.end);
        let pair = |(key, value): (&String, &Bytes)| (key.clone(), value.clone());
        match range.order {
            Order::Ascending => found.take(range.limit).map(pair).collect(),
            Order::Descending => found.rev().take(range.limit).map(pair).collect(),
        }
    }
}

fn check_limits(compares: &[Compare], ops: &[Op]) -> Result<(), KvError> {
    if ops.len() > MAX_TXN_OPS || compares.len() > MAX_TXN_OPS {
        return Err(KvError::Limit("too many operations in a transaction"));
    }
    let compared = |compare: &Compare| compare.key.len() + compare.value.as_ref().map_or(0, Bytes::len);
    let bytes = compares.iter().map(compared).sum::<usize>() + ops.iter().map(Op::bytes).sum::<usize>();
    if bytes > MAX_REQUEST_BYTES {
        return Err(KvError::Limit("the request is too large"));
    }
    let mut written = HashSet::new();
    let unique = ops.iter().all(|op| match op {
        Op::Put { key, .. } | Op::Delete { key } => written.insert(key),
        Op::DeleteRange { .. } => true,
    });
    if unique { Ok(()) } else { Err(KvError::Limit("a key is written twice in a transaction")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: usize, bytes: usize) -> Op {
        Op::Put { key: key.to_string(), value: vec![0; bytes].into() }
    }

    fn check(ops: Vec<Op>, within: bool) {
        assert_eq!(check_limits(&[], &ops).is_ok(), within);
    }

    #[test]
    fn transactions_have_the_limits_of_etcd() {
        check((0..MAX_TXN_OPS).map(|key| put(key, 1)).collect(), true);
        check((0..=MAX_TXN_OPS).map(|key| put(key, 1)).collect(), false);
        check(vec![put(0, MAX_REQUEST_BYTES - 100)], true);
        check(vec![put(0, MAX_REQUEST_BYTES)], false);
        check(vec![put(0, 1), put(0, 2)], false);
    }
}
