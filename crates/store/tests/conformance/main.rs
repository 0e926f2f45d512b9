//! The contract of a store, held by every backend.
//!
//! A backend joins by a type that opens it ([`Backend`]) and a line at the end of this file. `cases` are single
//! properties, `model` compares random histories with a map.

mod cases;
mod model;

use std::sync::Arc;

use store::chunked::FakeEtcd;
use store::sqlite::SqliteOptions;
use store::{ChunkedStore, Commit, Key, MemoryStore, Mutation, Revision, SqliteStore, Store};
use tempfile::TempDir;

/// A place where one store can be opened, closed and opened again.
trait Backend {
    /// Makes a place for a store that keeps at least `history` commits, and at most twice as many.
    fn new(history: usize) -> Self;

    /// Opens the store, which is not open.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Survives only as long as this does: to open it again is to take another handle.
struct Memory(MemoryStore);

impl Backend for Memory {
    fn new(history: usize) -> Memory {
        Memory(MemoryStore::with_history(history))
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

struct Sqlite {
    directory: TempDir,
    history: usize,
}

impl Backend for Sqlite {
    fn new(history: usize) -> Sqlite {
        Sqlite { directory: tempfile::tempdir().expect("a temporary directory"), history }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let options = SqliteOptions { history_commits: self.history, ..SqliteOptions::default() };
        let path = self.directory.path().join("store.db");
        Arc::new(SqliteStore::open_with(path, options).expect("the store opens"))
    }
}

struct Chunked {
    etcd: FakeEtcd,
    history: usize,
}

impl Backend for Chunked {
    fn new(history: usize) -> Chunked {
        Chunked { etcd: FakeEtcd::new(), history }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let store = ChunkedStore::open_with_history(self.etcd.clone(), self.history).await;
        Arc::new(store.expect("the store opens"))
    }
}

fn key(name: &str) -> Key {
    Key::new(name).expect("a valid key")
}

fn put(name: &str, value: impl Into<Vec<u8>>) -> Mutation {
    Mutation::Put { key: key(name), value: value.into().into() }
}

fn delete(name: &str) -> Mutation {
    Mutation::Delete { key: key(name) }
}

fn commit(mutations: impl Into<Vec<Mutation>>) -> Commit {
    Commit { mutations: mutations.into() }
}

/// Appends to whatever head the store has.
async fn append(store: &dyn Store, mutations: impl Into<Vec<Mutation>>) -> Revision {
    let head = store.snapshot().await.expect("a snapshot").revision;
    store.append(head, commit(mutations)).await.expect("nobody else appends")
}

macro_rules! conformance {
    ($($module:ident: $backend:ty;)*) => {
        $(mod $module {
            use crate::{Backend as _, cases, model};

            conformance!(@cases $backend, 16:
                a_new_store_is_empty
                a_commit_is_applied_as_a_whole
                a_stale_head_is_a_conflict_and_changes_nothing
                commits_of_a_group_get_a_revision_each
                a_group_with_an_invalid_commit_is_refused_as_a_whole
                an_empty_group_or_commit_is_refused
                a_repeated_key_is_refused
                to_delete_what_does_not_exist_is_a_commit
                twenty_thousand_mutations_are_one_revision
                the_largest_value_is_stored_and_a_larger_one_refused
                many_large_values_fit_into_one_commit
                concurrent_appenders_get_one_winner_per_head
                a_watch_from_any_revision_sees_every_later_commit
                a_watch_goes_on_with_live_commits
                a_watch_that_is_cancelled_loses_nothing
                a_watch_that_is_dropped_disturbs_nobody
                a_watch_beyond_the_head_is_refused
                history_that_is_no_longer_kept_is_an_error
                a_reader_that_falls_behind_is_told
                a_store_opened_again_is_the_same
                snapshots_are_consistent_while_others_append
            );

            #[test]
            fn random_histories_agree_with_a_map() {
                model::random_histories_agree_with_a_map::<$backend>();
            }
        })*
    };
    (@cases $backend:ty, $history:literal: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            cases::$case(<$backend>::new($history)).await;
        })*
    };
}

conformance! {
    memory: crate::Memory;
    sqlite: crate::Sqlite;
    chunked: crate::Chunked;
}
