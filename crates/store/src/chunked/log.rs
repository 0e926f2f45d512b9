//! The log of a chunked store: appended in chunks, made real by the head, read back, trimmed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::kv::{Compare, Kv, KvError, Op, Order, Outcome, Range};
use super::layout::{self, Attempt, Head, Manifest};
use crate::{AppendError, Commit, Committed, Revision, StoreError, WatchError, codec};

/// The length of a chunk. With its key, the manifest and the head it stays well within a request.
const CHUNK_BYTES: usize = 1 << 20;

/// The head of a store that exists.
pub(super) async fn head(kv: &impl Kv) -> Result<Head, StoreError> {
    let value = kv.get(layout::HEAD).await?.ok_or(StoreError::Damaged("the head is missing"))?;
    Head::decode(value)
}

/// Appends valid commits after `expected`. See [`Store::append_many`](crate::Store::append_many).
pub(super) async fn append(
    kv: &impl Kv,
    expected: Head,
    commits: &[Commit],
) -> Result<Revision, AppendError> {
    let head = head(kv).await?;
    if head != expected {
        return Err(AppendError::Conflict { head: head.revision });
    }
    let (base, attempt) = (expected.revision, Attempt(rand::random()));
    let mut chunks = chunk_puts(base, attempt, commits);
    let manifest = Manifest { attempt, chunks: count(&chunks), last: base.advanced_by(commits.len()) };
    let last_chunk = chunks.pop().expect("a commit takes at least one byte");
    for chunk in chunks {
        // Unconditional: a chunk is invisible, and so harmless if the head has moved meanwhile.
        let _ = kv.txn(vec![], vec![chunk]).await.map_err(not_made)?;
    }
    match kv.txn(vec![is_head(expected)], make_real(expected, manifest, last_chunk)).await {
        Ok(Outcome::Done) => Ok(manifest.last),
        Ok(Outcome::Refused) => Err(AppendError::Conflict { head: self::head(kv).await?.revision }),
        Err(KvError::Unavailable) => Err(AppendError::Unknown(KvError::Unavailable.into())),
        Err(error) => Err(not_made(error)),
    }
}

fn chunk_puts(base: Revision, attempt: Attempt, commits: &[Commit]) -> Vec<Op> {
    let mut body = BytesMut::new();
    commits.iter().for_each(|commit| codec::encode(commit, &mut body));
    let mut body = body.freeze();
    let mut puts = Vec::new();
    while !body.is_empty() {
        let value = body.split_to(body.len().min(CHUNK_BYTES));
        puts.push(Op::Put { key: layout::chunk_key(base, attempt, count(&puts)), value });
    }
    puts
}

fn count(chunks: &[Op]) -> u32 {
    u32::try_from(chunks.len()).expect("MAX_APPEND_BYTES makes few chunks")
}

fn is_head(head: Head) -> Compare {
    Compare { key: layout::HEAD.into(), value: Some(head.encode()) }
}

fn make_real(base: Head, manifest: Manifest, last_chunk: Op) -> Vec<Op> {
    let head = Head { revision: manifest.last, ..base };
    vec![
        last_chunk,
        Op::Put { key: layout::group_key(base.revision), value: manifest.encode() },
        Op::Put { key: layout::HEAD.into(), value: head.encode() },
    ]
}

fn not_made(error: KvError) -> AppendError {
    match error {
        KvError::Full => AppendError::Full,
        error => AppendError::Store(error.into()),
    }
}

/// See [`Log::read`](crate::watch::Log::read): the rest of the group that `position` lies in, or else the next.
pub(super) async fn read(kv: &impl Kv, position: Revision) -> Result<Vec<Committed>, WatchError> {
    let head = head(kv).await?.revision;
    if position > head {
        return Err(WatchError::Ahead { head });
    }
    if position == head {
        return Ok(Vec::new());
    }
    if let Some((base, manifest)) = group_at(kv, position).await?
        && manifest.last > position
        && let Some(commits) = read_group(kv, base, manifest).await?
    {
        return Ok(commits.into_iter().filter(|committed| committed.revision > position).collect());
    }
    // Asked after the group was missed, so that one trimmed in the meantime is not taken for damage.
    match revision_at(kv, layout::FLOOR).await? {
        oldest if position < oldest => Err(WatchError::Compacted { oldest }),
        _ => Err(StoreError::Damaged("a group of commits is missing from the log").into()),
    }
}

/// The group with the highest base up to `position`.
async fn group_at(kv: &impl Kv, position: Revision) -> Result<Option<(Revision, Manifest)>, StoreError> {
    let (start, end) = (layout::GROUPS.to_owned(), layout::group_key(position.next()));
    let found = kv.range(Range { start, end, order: Order::Descending, limit: 1 }).await?.pop();
    found.map(|(key, value)| Ok((layout::group_base(&key)?, Manifest::decode(value)?))).transpose()
}

/// The commits of a group; `None` if it has been trimmed since its manifest was read.
async fn read_group(
    kv: &impl Kv,
    base: Revision,
    manifest: Manifest,
) -> Result<Option<Vec<Committed>>, StoreError> {
    let mut body = BytesMut::new();
    for number in 0..manifest.chunks {
        match kv.get(&layout::chunk_key(base, manifest.attempt, number)).await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(None),
        }
    }
    decode_group(base, manifest, body.freeze()).map(Some)
}

fn decode_group(base: Revision, manifest: Manifest, mut body: Bytes) -> Result<Vec<Committed>, StoreError> {
    let (mut commits, mut revision) = (Vec::new(), base);
    while !body.is_empty() {
        revision = revision.next();
        commits.push(Committed { revision, commit: Arc::new(codec::decode(&mut body)?) });
    }
    if revision != manifest.last {
        return Err(StoreError::Damaged("a group has another number of commits than its manifest says"));
    }
    Ok(commits)
}

/// The revision that is the value of `key`, or zero if it does not exist yet.
pub(super) async fn revision_at(kv: &impl Kv, key: &str) -> Result<Revision, StoreError> {
    kv.get(key).await?.map_or(Ok(Revision::EMPTY), layout::decode_revision)
}

/// Drops the groups before the last `history_commits` once there is twice as much history, and with them every chunk of
/// that time, whether it became real or not. Counts from what is applied, so that the entries never miss a group.
pub(super) async fn trim(kv: &impl Kv, history_commits: usize) -> Result<(), StoreError> {
    let applied = revision_at(kv, layout::APPLIED).await?;
    let old = kv.get(layout::FLOOR).await?;
    let floor = old.clone().map_or(Ok(Revision::EMPTY), layout::decode_revision)?;
    if applied < floor.advanced_by(history_commits.saturating_mul(2)) {
        return Ok(());
    }
    let Some((floor, _)) = group_at(kv, applied.rewound_by(history_commits)).await? else { return Ok(()) };
    let ops = vec![
        Op::Put { key: layout::FLOOR.into(), value: layout::encode_revision(floor) },
        Op::DeleteRange { start: layout::GROUPS.into(), end: layout::group_key(floor) },
        Op::DeleteRange { start: layout::CHUNKS.into(), end: layout::chunks_from(floor) },
    ];
    // Refused if another writer has trimmed: then it is done.
    let _ = kv.txn(vec![Compare { key: layout::FLOOR.into(), value: old }], ops).await?;
    Ok(())
}
