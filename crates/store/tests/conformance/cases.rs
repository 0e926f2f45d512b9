//! Single properties of a store. Each gets a new backend that keeps [`HISTORY`] commits.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use store::{
    AppendError, Commit, InvalidCommit, MAX_APPEND_COMMITS, MAX_VALUE_BYTES, Revision, Store, Watch,
    WatchError,
};
use tokio::time::timeout;

use crate::{Backend, append, commit, delete, key, put};

/// What `main` makes the backends with.
const HISTORY: usize = 16;

/// No test waits longer: a commit that does not come is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

async fn entries(store: &dyn Store) -> BTreeMap<String, Bytes> {
    let snapshot = store.snapshot().await.expect("a snapshot");
    assert!(snapshot.entries.is_sorted_by(|a, b| a.0 < b.0), "entries are ordered by key");
    snapshot.entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

async fn check_entries(store: &dyn Store, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, value)| (name.to_string(), Bytes::from(value.to_string()))).collect();
    assert_eq!(entries(store).await, expected);
}

async fn next(watch: &mut Watch) -> (Revision, Commit) {
    let committed =
        timeout(DEADLINE, watch.next()).await.expect("a commit comes").expect("the watch goes on");
    (committed.revision, Arc::unwrap_or_clone(committed.commit))
}

async fn check_refused(backend: impl Backend, commits: Vec<Commit>, expected: impl Fn(AppendError) -> bool) {
    let store = backend.open().await;
    append(&*store, [put("a", "1")]).await;
    let error = store.append_many(Revision(1), commits).await.expect_err("the append is refused");
    assert!(expected(error));
    check_entries(&*store, &[("a", "1")]).await;
    assert_eq!(append(&*store, [put("b", "2")]).await, Revision(2), "no revision was used up");
}

pub(crate) async fn a_new_store_is_empty(backend: impl Backend) {
    let store = backend.open().await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    assert_eq!((snapshot.id, snapshot.revision), (store.id(), Revision::EMPTY));
    assert_eq!(snapshot.entries, []);
}

pub(crate) async fn a_commit_is_applied_as_a_whole(backend: impl Backend) {
    let store = backend.open().await;
    assert_eq!(append(&*store, [put("a", "1"), put("b", "2"), put("c", "")]).await, Revision(1));
    assert_eq!(append(&*store, [put("a", "3"), delete("b"), put("d", "4")]).await, Revision(2));
    check_entries(&*store, &[("a", "3"), ("c", ""), ("d", "4")]).await;
}

pub(crate) async fn a_stale_head_is_a_conflict_and_changes_nothing(backend: impl Backend) {
    let store = backend.open().await;
    append(&*store, [put("a", "1")]).await;
    for stale in [Revision(0), Revision(2)] {
        let refused = store.append(stale, commit([put("a", "2")])).await;
        assert!(matches!(refused, Err(AppendError::Conflict { head: Revision(1) })));
    }
    check_entries(&*store, &[("a", "1")]).await;
}

pub(crate) async fn commits_of_a_group_get_a_revision_each(backend: impl Backend) {
    let store = backend.open().await;
    let group = vec![commit([put("a", "1")]), commit([put("a", "2"), put("b", "1")]), commit([delete("b")])];
    let last = store.append_many(Revision::EMPTY, group.clone()).await.expect("nobody else appends");
    assert_eq!(last, Revision(3));
    check_entries(&*store, &[("a", "2")]).await;
    let mut watch = store.watch(Revision(1)).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, (Revision(2), group[1].clone()));
    assert_eq!(next(&mut watch).await, (Revision(3), group[2].clone()));
}

pub(crate) async fn a_group_with_an_invalid_commit_is_refused_as_a_whole(backend: impl Backend) {
    let group = vec![commit([put("a", "2")]), commit([])];
    let expected = |error| matches!(error, AppendError::Invalid { index: 1, source: InvalidCommit::Empty });
    check_refused(backend, group, expected).await;
}

pub(crate) async fn an_empty_group_or_commit_is_refused(backend: impl Backend) {
    let store = backend.open().await;
    for commits in [vec![], vec![commit([put("a", "1")]); MAX_APPEND_COMMITS + 1]] {
        let refused = store.append_many(Revision::EMPTY, commits).await;
        assert!(matches!(refused, Err(AppendError::GroupSize { .. })));
    }
    drop(store);
    let refused = backend.open().await.append(Revision::EMPTY, commit([])).await;
    assert!(matches!(refused, Err(AppendError::Invalid { index: 0, source: InvalidCommit::Empty })));
}

pub(crate) async fn a_repeated_key_is_refused(backend: impl Backend) {
    let group = vec![commit([put("a", "2"), delete("a")])];
    let repeated = InvalidCommit::RepeatedKey { key: key("a") };
    let expected = |error| matches!(error, AppendError::Invalid { index: 0, source } if source == repeated);
    check_refused(backend, group, expected).await;
}

pub(crate) async fn to_delete_what_does_not_exist_is_a_commit(backend: impl Backend) {
    let store = backend.open().await;
    assert_eq!(append(&*store, [delete("a")]).await, Revision(1));
    check_entries(&*store, &[]).await;
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, (Revision(1), commit([delete("a")])));
}

pub(crate) async fn twenty_thousand_mutations_are_one_revision(backend: impl Backend) {
    let store = backend.open().await;
    let mutations: Vec<_> = (0..20_000).map(|n| put(&format!("if-{n:05}"), vec![b'x'; 100])).collect();
    assert_eq!(append(&*store, mutations.clone()).await, Revision(1));
    assert_eq!(entries(&*store).await.len(), 20_000);
    let deletions: Vec<_> = mutations.iter().map(|mutation| delete(mutation.key().as_str())).collect();
    assert_eq!(append(&*store, deletions.clone()).await, Revision(2));
    check_entries(&*store, &[]).await;
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, (Revision(1), commit(mutations)));
    assert_eq!(next(&mut watch).await, (Revision(2), commit(deletions)));
}

pub(crate) async fn the_largest_value_is_stored_and_a_larger_one_refused(backend: impl Backend) {
    let store = backend.open().await;
    let value = vec![7; MAX_VALUE_BYTES];
    append(&*store, [put("a", value.clone())]).await;
    assert_eq!(entries(&*store).await["a"], value);
    let refused = store.append(Revision(1), commit([put("a", vec![7; MAX_VALUE_BYTES + 1])])).await;
    assert!(matches!(refused, Err(AppendError::Invalid { source: InvalidCommit::ValueTooLarge { .. }, .. })));
}

pub(crate) async fn many_large_values_fit_into_one_commit(backend: impl Backend) {
    let store = backend.open().await;
    let mutations: Vec<_> = (0..6u8).map(|n| put(&n.to_string(), vec![n; MAX_VALUE_BYTES])).collect();
    append(&*store, mutations.clone()).await;
    let found = entries(&*store).await;
    assert!(mutations.iter().all(|mutation| found.get(mutation.key().as_str()) == mutation.value()));
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, (Revision(1), commit(mutations)));
}

pub(crate) async fn concurrent_appenders_get_one_winner_per_head(backend: impl Backend) {
    const APPENDERS: usize = 4;
    const WINS: usize = 4;
    let store = backend.open().await;
    let appender = |number: usize| {
        let store = store.clone();
        async move {
            let (mut head, mut won) = (Revision::EMPTY, Vec::new());
            while won.len() < WINS {
                match store.append(head, commit([put("winner", number.to_string())])).await {
                    Ok(revision) => {
                        assert_eq!(revision, head.next());
                        won.push(revision);
                        head = revision;
                    }
                    Err(AppendError::Conflict { head: found }) => head = found,
                    Err(error) => panic!("{error}"),
                }
            }
            won
        }
    };
    let tasks: Vec<_> = (0..APPENDERS).map(|number| tokio::spawn(appender(number))).collect();
    let mut won = Vec::new();
    for task in tasks {
        won.extend(task.await.expect("the appender ends"));
    }
    won.sort();
    assert_eq!(won, (1..=16).map(Revision).collect::<Vec<_>>(), "every head was won exactly once");
}

pub(crate) async fn a_watch_from_any_revision_sees_every_later_commit(backend: impl Backend) {
    let store = backend.open().await;
    for n in 1..=10 {
        append(&*store, [put("a", n.to_string())]).await;
    }
    for from in 0..=10 {
        let mut watch = store.watch(Revision(from)).await.expect("the history is kept");
        for n in from + 1..=10 {
            assert_eq!(next(&mut watch).await, (Revision(n), commit([put("a", n.to_string())])));
        }
        assert_eq!(watch.position(), Revision(10));
    }
}

pub(crate) async fn a_watch_goes_on_with_live_commits(backend: impl Backend) {
    let store = backend.open().await;
    append(&*store, [put("a", "1")]).await;
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    let reader = tokio::spawn(async move {
        for n in 1..=12 {
            assert_eq!(next(&mut watch).await, (Revision(n), commit([put("a", n.to_string())])));
        }
    });
    for n in 2..=12 {
        append(&*store, [put("a", n.to_string())]).await;
    }
    reader.await.expect("the reader has seen all");
}

pub(crate) async fn a_watch_that_is_cancelled_loses_nothing(backend: impl Backend) {
    let store = backend.open().await;
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    for n in 1..=8 {
        // Whatever it was doing when dropped, the next call starts from the same place.
        let polled = pin!(watch.next()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "nothing is there to see");
        append(&*store, [put("a", n.to_string())]).await;
        assert_eq!(next(&mut watch).await.0, Revision(n));
    }
}

pub(crate) async fn a_watch_that_is_dropped_disturbs_nobody(backend: impl Backend) {
    let store = backend.open().await;
    let dropped = store.watch(Revision::EMPTY).await.expect("the history is kept");
    let mut kept = store.watch(Revision::EMPTY).await.expect("the history is kept");
    append(&*store, [put("a", "1")]).await;
    drop(dropped);
    append(&*store, [put("a", "2")]).await;
    assert_eq!(next(&mut kept).await.0, Revision(1));
    assert_eq!(next(&mut kept).await.0, Revision(2));
}

pub(crate) async fn a_watch_beyond_the_head_is_refused(backend: impl Backend) {
    let store = backend.open().await;
    append(&*store, [put("a", "1")]).await;
    let refused = store.watch(Revision(2)).await.map(|_| ());
    assert!(matches!(refused, Err(WatchError::Ahead { head: Revision(1) })));
}

pub(crate) async fn history_that_is_no_longer_kept_is_an_error(backend: impl Backend) {
    let store = backend.open().await;
    for n in 0..3 * HISTORY {
        append(&*store, [put("a", n.to_string())]).await;
    }
    let head = Revision(0).advanced_by(3 * HISTORY);
    let Err(WatchError::Compacted { oldest }) = store.watch(Revision::EMPTY).await.map(|_| ()) else {
        panic!("the first commits are no longer kept");
    };
    assert!(oldest <= head.rewound_by(HISTORY), "as much is kept as was asked for");
    let mut watch = store.watch(oldest).await.expect("the oldest kept revision can be watched");
    assert_eq!(next(&mut watch).await.0, oldest.next());
    let refused = store.watch(oldest.rewound_by(1)).await.map(|_| ());
    assert!(matches!(refused, Err(WatchError::Compacted { oldest: found }) if found == oldest));
}

pub(crate) async fn a_reader_that_falls_behind_is_told(backend: impl Backend) {
    let store = backend.open().await;
    let mut watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    for n in 0..3 * HISTORY {
        append(&*store, [put("a", n.to_string())]).await;
    }
    let behind = timeout(DEADLINE, watch.next()).await.expect("an answer comes");
    let Err(WatchError::Lagged { oldest }) = behind else { panic!("the reader has missed commits") };
    store.watch(oldest).await.expect("the oldest kept revision can be watched");
}

pub(crate) async fn a_store_opened_again_is_the_same(backend: impl Backend) {
    let store = backend.open().await;
    append(&*store, [put("a", "1"), put("b", "2")]).await;
    append(&*store, [delete("a")]).await;
    let before = store.snapshot().await.expect("a snapshot");
    drop(store);
    let store = backend.open().await;
    assert_eq!(store.snapshot().await.expect("a snapshot"), before);
    let mut watch = store.watch(Revision(1)).await.expect("the history is kept");
    assert_eq!(next(&mut watch).await, (Revision(2), commit([delete("a")])));
    assert_eq!(append(&*store, [put("c", "3")]).await, Revision(3));
}

pub(crate) async fn snapshots_are_consistent_while_others_append(backend: impl Backend) {
    // Enough that the history is compacted under the snapshots.
    const COMMITS: u64 = 4 * HISTORY as u64;
    let store = backend.open().await;
    let value = |n: u64| (0..300).map(|k| put(&format!("{k:03}"), n.to_string())).collect::<Vec<_>>();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 1..=COMMITS {
                store.append(Revision(n - 1), commit(value(n))).await.expect("nobody else appends");
            }
        })
    };
    let mut revision = Revision::EMPTY;
    while revision < Revision(COMMITS) {
        let snapshot = store.snapshot().await.expect("a snapshot");
        assert!(snapshot.revision >= revision, "revisions do not go back");
        revision = snapshot.revision;
        let expected = revision.to_string();
        assert!(
            snapshot.entries.iter().all(|(_, value)| *value == expected),
            "all entries are of one commit"
        );
    }
    writer.await.expect("the writer ends");
}
