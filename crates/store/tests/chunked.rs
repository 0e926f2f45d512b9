//! What a store on a key-value service promises when the service fails between the parts of a commit.

use store::chunked::FakeEtcd;
use store::{
    AppendError, ChunkedStore, Commit, Key, MAX_VALUE_BYTES, Mutation, Revision, Snapshot, Store, StoreError,
};

/// Takes one transaction for each of its 1 MiB chunks but the last, one to become real, and more to be applied.
const CHUNKS: usize = 4;

const HISTORY: usize = 4;

async fn open(etcd: &FakeEtcd) -> ChunkedStore<FakeEtcd> {
    ChunkedStore::open_with_history(etcd.clone(), HISTORY).await.expect("the store opens")
}

async fn snapshot(store: &dyn Store) -> Snapshot {
    store.snapshot().await.expect("a snapshot")
}

fn put(name: &str, value: impl Into<Vec<u8>>) -> Mutation {
    Mutation::Put { key: Key::new(name).expect("a valid key"), value: value.into().into() }
}

fn small() -> Commit {
    Commit { mutations: vec![put("a", "1")] }
}

fn large() -> Commit {
    let bytes = MAX_VALUE_BYTES - 1024;
    Commit { mutations: (0..CHUNKS).map(|n| put(&n.to_string(), vec![1; bytes])).collect() }
}

#[tokio::test]
async fn a_writer_that_dies_after_any_transaction_leaves_all_of_its_commit_or_nothing() {
    for transactions in 0..3 * CHUNKS {
        let etcd = FakeEtcd::new();
        let store = open(&etcd).await;
        store.append(Revision::EMPTY, small()).await.expect("the service works");
        etcd.fail_after(transactions);
        let appended = store.append(Revision(1), large()).await;
        drop(store);
        etcd.recover();

        let store = open(&etcd).await;
        let found = snapshot(&store).await;
        match appended {
            Ok(revision) => assert_eq!((found.revision, found.entries.len()), (revision, 1 + CHUNKS)),
            Err(AppendError::Store(_) | AppendError::Unknown(_)) => {
                assert_eq!((found.revision, found.entries.len()), (Revision(1), 1));
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(transactions >= CHUNKS, found.revision == Revision(2), "the last chunk makes it real");
        let next = store.append(found.revision, small()).await.expect("the service works");
        assert_eq!(next, found.revision.next(), "the next writer goes on");
        assert_eq!(snapshot(&store).await.entries.len(), found.entries.len());
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_outcome_unknown_and_a_watch_tells() {
    let etcd = FakeEtcd::new();
    let store = open(&etcd).await;
    store.append(Revision::EMPTY, small()).await.expect("the service works");
    let mut watch = store.watch(Revision(1)).await.expect("the history is kept");
    etcd.lose_next_answer();
    let appended = store.append(Revision(1), Commit { mutations: vec![put("b", "2")] }).await;
    etcd.recover();
    assert!(matches!(appended, Err(AppendError::Unknown(StoreError::Kv(_)))));
    assert_eq!(watch.next().await.expect("the service works").revision, Revision(2));
}

#[tokio::test]
async fn what_unfinished_commits_left_is_removed_with_the_history_of_their_time() {
    let etcd = FakeEtcd::new();
    let store = open(&etcd).await;
    for transactions in 1..CHUNKS {
        etcd.fail_after(transactions);
        store.append(Revision::EMPTY, large()).await.expect_err("the service fails");
        etcd.recover();
    }
    let chunks = || etcd.keys().iter().filter(|key| key.starts_with("chunk/")).count();
    assert_eq!(chunks(), 1 + 2 + 3, "the unfinished commits have left their chunks");
    let mut head = Revision::EMPTY;
    for _ in 0..3 * HISTORY {
        head = store.append(head, small()).await.expect("the service works");
        assert!(chunks() <= 6 + 2 * HISTORY, "the log does not grow without bound");
    }
    assert!(chunks() <= 2 * HISTORY, "only chunks of kept commits are left");
    assert_eq!(snapshot(&store).await.entries.len(), 1);
}

#[tokio::test]
async fn two_stores_on_one_service_are_one() {
    let etcd = FakeEtcd::new();
    let (one, other) = (open(&etcd).await, open(&etcd).await);
    assert_eq!(one.id(), other.id());
    let mut watch = other.watch(Revision::EMPTY).await.expect("the history is kept");
    one.append(Revision::EMPTY, small()).await.expect("the service works");
    assert_eq!(*watch.next().await.expect("the service works").commit, small());
    let refused = other.append(Revision::EMPTY, small()).await;
    assert!(matches!(refused, Err(AppendError::Conflict { head: Revision(1) })));
    assert_eq!(snapshot(&other).await, snapshot(&one).await);
}
