//! The entries of a chunked store: the log's effect, applied in small transactions and read in pages.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::kv::{Compare, Kv, MAX_REQUEST_BYTES, MAX_TXN_OPS, Op, Order, Outcome, Range};
use super::{layout, log};
use crate::{Committed, Key, Mutation, Revision, StoreError, WatchError};

/// How many entries are read at once. With values of a few hundred bytes, as objects have, the answer stays within the
/// 4 MiB of a gRPC client; an adapter must allow for `PAGE_ENTRIES` values of the largest size, or page by less.
const PAGE_ENTRIES: usize = 256;

/// How often a snapshot starts over because the log was trimmed under it. Each time, as many commits were made as the
/// history is long.
const SNAPSHOT_TRIES: usize = 8;

/// What is left of a request for operations beside the comparison and the new `applied`.
const APPLY_BYTES: usize = MAX_REQUEST_BYTES - 1024;

/// Applies to the entries what is in the log and not applied yet. Several writers may do so at once.
pub(super) async fn apply_log(kv: &impl Kv) -> Result<(), StoreError> {
    loop {
        let stored = kv.get(layout::APPLIED).await?;
        let applied = stored.clone().map_or(Ok(Revision::EMPTY), layout::decode_revision)?;
        let commits = match log::read(kv, applied).await {
            // Another writer has applied and trimmed meanwhile, and goes on.
            Err(WatchError::Compacted { .. }) => return Ok(()),
            commits => commits.map_err(store_error)?,
        };
        let Some(last) = commits.last() else { return Ok(()) };
        apply(kv, stored, &commits, last.revision).await?;
    }
}

/// Applies `commits`, as long as `applied` is `stored`. Otherwise someone else has done it.
async fn apply(
    kv: &impl Kv,
    stored: Option<Bytes>,
    commits: &[Committed],
    last: Revision,
) -> Result<(), StoreError> {
    let condition = Compare { key: layout::APPLIED.into(), value: stored };
    let mut transactions = transactions(commits);
    let mark = Op::Put { key: layout::APPLIED.into(), value: layout::encode_revision(last) };
    transactions.last_mut().expect("a commit has mutations").push(mark);
    for ops in transactions {
        match kv.txn(vec![condition.clone()], ops).await? {
            Outcome::Done => {}
            Outcome::Refused => return Ok(()),
        }
    }
    Ok(())
}

/// The effect of `commits`, cut into transactions that each have room for one more operation.
fn transactions(commits: &[Committed]) -> Vec<Vec<Op>> {
    let mut effect = BTreeMap::new();
    for mutation in commits.iter().flat_map(|committed| &committed.commit.mutations) {
        effect.insert(mutation.key(), mutation.value());
    }
    let (mut transactions, mut ops, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (key, value) in effect {
        let key = layout::entry_key(key);
        let op = match value {
            Some(value) => Op::Put { key, value: value.clone() },
            None => Op::Delete { key },
        };
        if ops.len() + 1 == MAX_TXN_OPS || bytes + op.bytes() > APPLY_BYTES {
            transactions.push(std::mem::take(&mut ops));
            bytes = 0;
        }
        bytes += op.bytes();
        ops.push(op);
    }
    transactions.push(ops);
    transactions
}

/// The head and all entries.
pub(super) async fn snapshot(kv: &impl Kv) -> Result<(Revision, Vec<(Key, Bytes)>), StoreError> {
    for _ in 0..SNAPSHOT_TRIES {
        match try_snapshot(kv).await {
            Ok((revision, entries)) => return Ok((revision, entries.into_iter().collect())),
            Err(WatchError::Compacted { .. }) => {}
            Err(error) => return Err(store_error(error)),
        }
    }
    Err(StoreError::Contended)
}

async fn try_snapshot(kv: &impl Kv) -> Result<(Revision, BTreeMap<Key, Bytes>), WatchError> {
    let mut revision = log::revision_at(kv, layout::APPLIED).await?;
    let mut entries = read_entries(kv).await?;
    // Read after the entries: the head is then at least what any page has seen.
    let head = log::head(kv).await?.revision;
    while revision < head {
        for committed in log::read(kv, revision).await? {
            committed.commit.mutations.iter().for_each(|mutation| change(&mut entries, mutation));
            revision = committed.revision;
        }
    }
    Ok((revision, entries))
}

fn change(entries: &mut BTreeMap<Key, Bytes>, mutation: &Mutation) {
    match mutation {
        Mutation::Put { key, value } => entries.insert(key.clone(), value.clone()),
        Mutation::Delete { key } => entries.remove(key),
    };
}

async fn read_entries(kv: &impl Kv) -> Result<BTreeMap<Key, Bytes>, StoreError> {
    let mut entries = BTreeMap::new();
    let mut start = layout::ENTRIES.to_owned();
    loop {
        let end = layout::ENTRIES_END.to_owned();
        let page = kv.range(Range { start, end, order: Order::Ascending, limit: PAGE_ENTRIES }).await?;
        let Some((last, _)) = page.last() else { return Ok(entries) };
        // The first key after the last: etcd's own way to page.
        start = format!("{last}\0");
        for (key, value) in page {
            entries.insert(layout::entry_name(&key)?, value);
        }
    }
}

/// The error of a read at a revision known to be within the history.
fn store_error(error: WatchError) -> StoreError {
    match error {
        WatchError::Store(error) => error,
        _ => StoreError::Damaged("the applied revision is outside of the history"),
    }
}
