//! The store in a SQLite file: one machine, durable against crashes and power loss.
//!
//! # Durability
//! The database runs in WAL mode with `synchronous=FULL`: an append returns after the write-ahead log is synced, so an
//! acknowledged commit survives `kill -9` and power loss. One append is one SQLite transaction and one sync.
//!
//! # One thread, one writer
//! A thread owns the connection and does one job after the other, since SQLite blocks and has one writer anyway. A lock
//! on `<file>.lock` keeps every other process out, from [`SqliteStore::open`] until the last handle and watch is dropped.
//!
//! # Backup and identity
//! [`SqliteStore::backup`] makes a consistent copy of a running store. The copy has no identity: a store draws its
//! [`StoreId`] when it is opened without one. So whatever comes from a backup is another store, and who resumes from a
//! revision of the old one starts over. [`SqliteStore::restore`] puts a copy in place and takes the identity from a file
//! copied by other means, too. Copying over a stopped store by hand is not safe: a `-wal` file left from the old one
//! would be applied to the new.
//!
//! Schema and statements are in `database`, what concerns files in `file`.

mod database;
mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot, watch};

use crate::commit::check_append;
use crate::watch::Log;
use crate::{
    AppendError, Commit, Committed, DEFAULT_HISTORY_COMMITS, FileError, Revision, Snapshot, Store,
    StoreError, StoreFuture, StoreId, Watch, WatchError,
};
use database::Database;

/// How many jobs may wait for the thread. Callers beyond it wait for a place.
const JOB_QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// How to open a [`SqliteStore`].
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How many commits are kept for watches to resume from; at least one is.
    pub history_commits: usize,
    /// The size up to which the database may grow, without its write-ahead log. Appends beyond it fail with
    /// [`AppendError::Full`]. `None` leaves it to the disk.
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { history_commits: DEFAULT_HISTORY_COMMITS, max_bytes: None }
    }
}

/// A store in a SQLite file. Its clones are handles to the same store.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    id: StoreId,
    path: PathBuf,
    signal: watch::Receiver<()>,
    /// Both are there until the drop, which takes them in order.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the store in the file at `path` with default options, and makes it if there is none. Blocks shortly.
    ///
    /// # Errors
    /// See [`FileError`]; [`FileError::Locked`] if it is open elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteStore, FileError> {
        SqliteStore::open_with(path, SqliteOptions::default())
    }

    /// Opens the store in the file at `path`, and makes it if there is none. Blocks shortly.
    ///
    /// The file gets mode 0600.
    ///
    /// # Errors
    /// See [`FileError`]; [`FileError::Locked`] if it is open elsewhere.
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<SqliteStore, FileError> {
        let path = file::real_path(path.as_ref())?;
        let (sender, signal) = watch::channel(());
        let lock = file::lock(&path)?;
        file::prepare(&path)?;
        let (mut database, id) = Database::open(&path, options, sender, lock)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(JOB_QUEUE);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut database);
            }
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(work)
            .map_err(|source| FileError::Io { path: path.clone(), source })?;
        let shared = Shared { id, path, signal, jobs: Some(jobs), thread: Some(thread) };
        Ok(SqliteStore { shared: Arc::new(shared) })
    }

    /// Writes a consistent copy of the store, as of some moment during the call, to a new file at `to`. Appends go on
    /// meanwhile. The copy gets mode 0600 and no identity; it appears under its name once it is complete and durable.
    ///
    /// # Errors
    /// [`FileError::Exists`] if there is a file at `to`; see [`FileError`].
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), FileError> {
        // The handle keeps the store locked until the copy is made, even if the caller stops waiting.
        let (store, to) = (self.clone(), to.as_ref().to_owned());
        let copy = move || file::backup(&store.shared.path, &to);
        tokio::task::spawn_blocking(copy).await.map_err(|_| StoreError::Closed)?
    }

    /// Puts a copy of `backup` at `path`, where no store may be; when opened, it is a store with a new identity. Blocks.
    ///
    /// # Errors
    /// [`FileError::Exists`] if there is a file at `path`, or what is left of a store that was there; see [`FileError`].
    pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<(), FileError> {
        file::restore(backup.as_ref(), &file::real_path(path.as_ref())?)
    }
}

impl Store for SqliteStore {
    fn id(&self) -> StoreId {
        self.shared.id
    }

    fn append_many(
        &self,
        expected_head: Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<Revision, AppendError>> {
        Box::pin(async move {
            check_append(&commits)?;
            // A thread that ended may have done so before or after the commit.
            let appended = self.shared.run(move |database| database.append(expected_head, &commits)).await;
            appended.map_err(AppendError::Unknown)?
        })
    }

    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let (revision, entries) = self.shared.run(|database| database.snapshot()).await??;
            Ok(Snapshot { id: self.shared.id, revision, entries })
        })
    }

    fn watch(&self, from: Revision) -> StoreFuture<'_, Result<Watch, WatchError>> {
        Box::pin(Watch::start(self.shared.clone(), from))
    }
}

impl Shared {
    /// Has the thread do `job`, after those that wait already. A job is done even if its caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, result) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // The caller may have stopped waiting.
            let _ = sender.send(job(database));
        });
        let jobs = self.jobs.as_ref().expect("taken by the drop alone");
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)
    }
}

impl Log for Shared {
    fn read(&self, position: Revision) -> StoreFuture<'_, Result<Vec<Committed>, WatchError>> {
        Box::pin(async move { self.run(move |database| database.read(position)).await? })
    }

    fn signal(&self) -> watch::Receiver<()> {
        let mut signal = self.signal.clone();
        signal.mark_unchanged();
        signal
    }
}

impl Drop for Shared {
    /// Returns when the file is closed and unlocked, so that it can be opened again at once.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been seen by the caller whose job it was.
            let _ = thread.join();
        }
    }
}
