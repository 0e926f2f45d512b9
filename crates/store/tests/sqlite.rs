//! What a store in a file promises beyond the contract of all stores: its lock, its mode, its limits, its copies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use store::sqlite::SqliteOptions;
use store::{AppendError, Commit, FileError, Key, Mutation, Revision, Snapshot, SqliteStore, Store};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn put(name: &str, value: impl Into<Vec<u8>>) -> Commit {
    let key = Key::new(name).expect("a valid key");
    Commit { mutations: vec![Mutation::Put { key, value: value.into().into() }] }
}

async fn snapshot(store: &SqliteStore) -> Snapshot {
    store.snapshot().await.expect("a snapshot")
}

async fn append(store: &SqliteStore, commit: Commit) -> Result<Revision, AppendError> {
    store.append(snapshot(store).await.revision, commit).await
}

#[tokio::test]
async fn an_open_store_cannot_be_opened_again_by_any_of_its_names() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    std::os::unix::fs::symlink(place.path("store.db"), place.path("alias.db")).expect("a link");
    for name in ["store.db", "alias.db"] {
        assert!(matches!(SqliteStore::open(place.path(name)), Err(FileError::Locked { .. })));
    }
    drop(store);
    SqliteStore::open(place.path("store.db")).expect("the lock is released with the store");
}

#[tokio::test]
async fn another_process_sees_the_lock() {
    let place = Place::new();
    let _store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    let status = Command::new("flock").arg("-n").arg(place.path("store.db.lock")).arg("true").status();
    assert_eq!(
        status.expect("flock(1) of util-linux").code(),
        Some(1),
        "flock(1): a conflicting lock gives 1"
    );
}

#[tokio::test]
async fn a_watch_keeps_the_store_open() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    let watch = store.watch(Revision::EMPTY).await.expect("the history is kept");
    drop(store);
    assert!(matches!(SqliteStore::open(place.path("store.db")), Err(FileError::Locked { .. })));
    drop(watch);
    SqliteStore::open(place.path("store.db")).expect("the lock is released with the watch");
}

#[tokio::test]
async fn all_files_are_for_their_owner_alone() {
    let place = Place::new();
    fs::write(place.path("store.db"), "").expect("a file");
    fs::set_permissions(place.path("store.db"), fs::Permissions::from_mode(0o644)).expect("its mode");
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    append(&store, put("a", "1")).await.expect("there is space");
    store.backup(place.path("copy.db")).await.expect("there is space");
    for entry in fs::read_dir(place.0.path()).expect("the directory") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn files_of_others_are_refused_and_left_alone() {
    let place = Place::new();
    fs::write(
        place.path("text"),
        "not a database, but long enough to be taken for the header of one".repeat(20),
    )
    .expect("a file");
    Connection::open(place.path("other.db"))
        .expect("a database")
        .execute("CREATE TABLE t (c)", [])
        .expect("a table");
    for name in ["text", "other.db"] {
        let before = fs::read(place.path(name)).expect("the file");
        assert!(matches!(SqliteStore::open(place.path(name)), Err(FileError::NotAStore { .. })), "{name}");
        assert_eq!(fs::read(place.path(name)).expect("the file"), before, "{name}");
    }
}

#[tokio::test]
async fn a_store_of_another_schema_version_is_refused() {
    let place = Place::new();
    drop(SqliteStore::open(place.path("store.db")).expect("the store opens"));
    let database = Connection::open(place.path("store.db")).expect("a database");
    database.pragma_update(None, "user_version", 99).expect("its version");
    drop(database);
    let refused = SqliteStore::open(place.path("store.db"));
    assert!(matches!(refused, Err(FileError::SchemaVersion { found: 99, .. })));
}

#[tokio::test]
async fn a_full_store_says_so_stays_readable_and_goes_on_when_there_is_space() {
    const MAX_BYTES: u64 = 400 << 10;
    let place = Place::new();
    let options = SqliteOptions { history_commits: 2, max_bytes: Some(MAX_BYTES) };
    let store = SqliteStore::open_with(place.path("store.db"), options).expect("the store opens");
    let value = vec![1; 20 << 10];
    let mut kept = 0;
    let refused = loop {
        match append(&store, put(&kept.to_string(), value.clone())).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Full));
    assert!(kept > 5, "there was space for some");
    let full = snapshot(&store).await;
    assert_eq!((full.entries.len(), full.revision), (kept, Revision::EMPTY.advanced_by(kept)));

    // To delete takes little space, which the end of the oldest history gives.
    for n in 0..kept {
        let key = Key::new(n.to_string()).expect("a valid key");
        append(&store, Commit { mutations: vec![Mutation::Delete { key }] })
            .await
            .expect("there is space to delete");
    }
    append(&store, put("a", value)).await.expect("there is space again");
    drop(store);
    let store = SqliteStore::open_with(place.path("store.db"), options).expect("the store opens");
    assert_eq!(snapshot(&store).await.entries.len(), 1);
}

#[tokio::test]
async fn a_group_of_commits_that_does_not_fit_is_refused_as_a_whole() {
    let place = Place::new();
    let options = SqliteOptions { max_bytes: Some(200 << 10), ..SqliteOptions::default() };
    let store = SqliteStore::open_with(place.path("store.db"), options).expect("the store opens");
    let group = vec![put("small", "1"), put("large", vec![1; 300 << 10])];
    assert!(matches!(store.append_many(Revision::EMPTY, group).await, Err(AppendError::Full)));
    assert_eq!(snapshot(&store).await.entries, []);
    append(&store, put("small", "1")).await.expect("there is space for this one");
}

#[tokio::test]
async fn an_append_whose_caller_stops_waiting_is_made_or_not_made_as_a_whole() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    let group = vec![put("a", "1"), put("b", "2")];
    let impatient = store.append_many(Revision::EMPTY, group);
    let _ = tokio::time::timeout(std::time::Duration::ZERO, impatient).await;
    let found = snapshot(&store).await;
    assert!([(0, Revision(0)), (2, Revision(2))].contains(&(found.entries.len(), found.revision)));
}

#[tokio::test]
async fn a_backup_is_a_consistent_copy_with_an_identity_of_its_own() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    append(&store, put("a", "1")).await.expect("there is space");
    store.backup(place.path("copy.db")).await.expect("there is space");
    append(&store, put("a", "2")).await.expect("there is space");

    SqliteStore::restore(place.path("copy.db"), place.path("restored.db")).expect("there is space");
    let restored = SqliteStore::open(place.path("restored.db")).expect("the copy opens");
    let (before, after) = (snapshot(&store).await, snapshot(&restored).await);
    assert_ne!(after.id, before.id);
    assert_eq!(after.revision, Revision(1));
    assert_eq!(after.entries, [(Key::new("a").expect("a valid key"), "1".into())]);
    assert_eq!(append(&restored, put("a", "3")).await.expect("there is space"), Revision(2));

    drop(restored);
    let again = SqliteStore::open(place.path("restored.db")).expect("the copy opens");
    assert_eq!(again.id(), after.id, "an identity is drawn once");
    drop(again);
    SqliteStore::restore(place.path("copy.db"), place.path("second.db")).expect("there is space");
    let second = SqliteStore::open(place.path("second.db")).expect("the copy opens");
    assert_ne!(second.id(), after.id, "two stores from one backup are two");
}

#[tokio::test]
async fn a_copy_made_by_other_means_gets_a_new_identity_when_restored() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    let id = store.id();
    append(&store, put("a", "1")).await.expect("there is space");
    drop(store);
    SqliteStore::restore(place.path("store.db"), place.path("restored.db")).expect("there is space");
    let restored = SqliteStore::open(place.path("restored.db")).expect("the copy opens");
    assert_ne!(restored.id(), id);
    assert_eq!(snapshot(&restored).await.revision, Revision(1));
}

#[tokio::test]
async fn neither_a_backup_nor_a_restored_store_overwrites_anything() {
    let place = Place::new();
    let store = SqliteStore::open(place.path("store.db")).expect("the store opens");
    store.backup(place.path("copy.db")).await.expect("there is space");
    let before = fs::read(place.path("copy.db")).expect("the copy");
    append(&store, put("a", "1")).await.expect("there is space");
    assert!(matches!(store.backup(place.path("copy.db")).await, Err(FileError::Exists { .. })));
    assert_eq!(fs::read(place.path("copy.db")).expect("the copy"), before);

    let restore = || SqliteStore::restore(place.path("copy.db"), place.path("store.db"));
    assert!(matches!(restore(), Err(FileError::Locked { .. })));
    drop(store);
    assert!(matches!(restore(), Err(FileError::Exists { .. })));
    fs::remove_file(place.path("store.db")).expect("the file");
    fs::write(place.path("store.db-wal"), "left").expect("a file");
    assert!(matches!(restore(), Err(FileError::Exists { .. })), "a log left behind would spoil the copy");
}
