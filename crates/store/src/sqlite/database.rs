//! The schema of a store in SQLite and the statements on it. Blocks; runs on the store's thread.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use tokio::sync::watch;

use super::{SqliteOptions, file};
use crate::{
    AppendError, Commit, Committed, FileError, Key, Mutation, Revision, StoreError, StoreId, WatchError,
    codec,
};

/// Marks a SQLite file as a store: "OVNS". See the pragma `application_id`.
const APPLICATION_ID: i64 = 0x4f56_4e53;

/// The version of [`SCHEMA`] and of the encoding of commits in `log`. A file of another version is refused.
const SCHEMA_VERSION: i64 = 1;

/// `store` has one row. Its `id` is null in a backup. `log` holds the last commits up to the head.
const SCHEMA: &str = "
    CREATE TABLE store (row INTEGER PRIMARY KEY CHECK (row = 1), id BLOB, head INTEGER NOT NULL) STRICT;
    INSERT INTO store VALUES (1, NULL, 0);
    CREATE TABLE entry (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT;
    CREATE TABLE log (revision INTEGER PRIMARY KEY NOT NULL, body BLOB NOT NULL) STRICT;";

/// How long a statement waits for the lock of someone who inspects the file with other tools.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut to this after a checkpoint: room for ordinary commits, but not for the largest ever.
const WAL_KEPT_BYTES: i64 = 16 << 20;

/// The statements kept prepared: all that an append or a read uses.
const CACHED_STATEMENTS: usize = 16;

/// How many bytes of commits a watch is given at once; one commit is always given whole.
const READ_BYTES: usize = 4 << 20;

/// How many commits a watch is given at once.
const READ_COMMITS: i64 = 1024;

/// An open store file.
pub(super) struct Database {
    connection: Connection,
    history_commits: usize,
    signal: watch::Sender<()>,
    /// Released last, after the connection is closed.
    _lock: File,
}

impl Database {
    /// Opens the existing file at `path`, empty or a store, and gives its identity.
    pub(super) fn open(
        path: &Path,
        options: SqliteOptions,
        signal: watch::Sender<()>,
        lock: File,
    ) -> Result<(Database, StoreId), FileError> {
        let mut connection = connect(path)?;
        file::make_private(path)?;
        configure(&connection, options)?;
        make_schema(&mut connection)?;
        let id = identify(&connection)?;
        let history_commits = options.history_commits.max(1);
        Ok((Database { connection, history_commits, signal, _lock: lock }, id))
    }

    /// See [`Store::append_many`](crate::Store::append_many).
    pub(super) fn append(
        &mut self,
        expected_head: Revision,
        commits: &[Commit],
    ) -> Result<Revision, AppendError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(not_made)?;
        let head = head(&transaction)?;
        if head != expected_head {
            return Err(AppendError::Conflict { head });
        }
        let last = head.advanced_by(commits.len());
        // Before the new commits are written, so that a full database gives its pages to them.
        compact(&transaction, last.rewound_by(self.history_commits)).map_err(not_made)?;
        write(&transaction, head, commits)?;
        transaction.commit().map_err(|error| match is_full(&error) {
            true => AppendError::Full,
            // The commit's frames may be in the write-ahead log although it could not be synced.
            false => AppendError::Unknown(error.into()),
        })?;
        self.signal.send_replace(());
        Ok(last)
    }

    /// The head and all entries.
    pub(super) fn snapshot(&mut self) -> Result<(Revision, Vec<(Key, Bytes)>), StoreError> {
        let transaction = self.connection.transaction()?;
        let revision = head(&transaction)?;
        let mut statement = transaction.prepare_cached("SELECT key, value FROM entry ORDER BY key")?;
        let mut rows = statement.query([])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let key =
                Key::new(row.get::<_, String>(0)?).map_err(|_| StoreError::Damaged("a key is invalid"))?;
            entries.push((key, Bytes::from(row.get::<_, Vec<u8>>(1)?)));
        }
        Ok((revision, entries))
    }

    /// See [`Log::read`](crate::watch::Log::read).
    pub(super) fn read(&mut self, position: Revision) -> Result<Vec<Committed>, WatchError> {
        let head = head(&self.connection)?;
        if position > head {
            return Err(WatchError::Ahead { head });
        }
        if position == head {
            return Ok(Vec::new());
        }
        let commits = read_log(&self.connection, position)?;
        match commits.first() {
            Some(first) if first.revision == position.next() => Ok(commits),
            Some(first) => Err(WatchError::Compacted { oldest: first.revision.rewound_by(1) }),
            None => Err(StoreError::Damaged("the last commit is not in the log").into()),
        }
    }
}

/// Opens a file that is a store, or an empty database that becomes one. Writes nothing, lest it damage another's.
pub(super) fn connect(path: &Path) -> Result<Connection, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::from)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::from)?;
    let tables: i64 = match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(FileError::NotAStore { path: path.to_owned() });
        }
        tables => tables.map_err(StoreError::from)?,
    };
    let application = pragma(&connection, "application_id")?;
    if application != APPLICATION_ID && (application, tables) != (0, 0) {
        return Err(FileError::NotAStore { path: path.to_owned() });
    }
    let found = pragma(&connection, "user_version")?;
    if application == APPLICATION_ID && found != SCHEMA_VERSION {
        return Err(FileError::SchemaVersion { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(connection)
}

/// Makes the store in `connection` one without an identity, which draws a new one when it is opened.
pub(super) fn forget_identity(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("UPDATE store SET id = NULL", [])?;
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

fn configure(connection: &Connection, options: SqliteOptions) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unsupported("it has no shared memory for a write-ahead log"));
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT_BYTES, |_| Ok(()))?;
    if let Some(bytes) = options.max_bytes {
        let pages = bytes / u64::try_from(pragma(connection, "page_size")?).unwrap_or(1).max(1);
        let pages = i64::try_from(pages).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

fn make_schema(connection: &mut Connection) -> Result<(), StoreError> {
    if pragma(connection, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    // The marks are part of the transaction: after a crash the file is a store or still empty.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(transaction.commit()?)
}

fn identify(connection: &Connection) -> Result<StoreId, StoreError> {
    let id: Option<Vec<u8>> = connection.query_row("SELECT id FROM store", [], |row| row.get(0))?;
    if let Some(id) = id {
        let id = id.try_into().map_err(|_| StoreError::Damaged("the identity is invalid"))?;
        return Ok(StoreId::from_bytes(id));
    }
    let id = StoreId::random();
    connection.execute("UPDATE store SET id = ?1", [id.as_bytes()])?;
    Ok(id)
}

fn head(connection: &Connection) -> Result<Revision, StoreError> {
    let head = connection.prepare_cached("SELECT head FROM store")?.query_row([], |row| row.get(0))?;
    revision(head)
}

fn revision(column: i64) -> Result<Revision, StoreError> {
    u64::try_from(column).map(Revision).map_err(|_| StoreError::Damaged("a revision is negative"))
}

fn column(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn write(connection: &Connection, head: Revision, commits: &[Commit]) -> Result<(), AppendError> {
    let mut last = head;
    for commit in commits {
        last = last.next();
        write_commit(connection, last, commit).map_err(not_made)?;
    }
    connection.execute("UPDATE store SET head = ?1", [column(last)]).map_err(not_made)?;
    Ok(())
}

fn write_commit(connection: &Connection, revision: Revision, commit: &Commit) -> rusqlite::Result<()> {
    let mut body = BytesMut::new();
    codec::encode(commit, &mut body);
    connection
        .prepare_cached("INSERT INTO log (revision, body) VALUES (?1, ?2)")?
        .execute(params![column(revision), &body[..]])?;
    let mut put = connection.prepare_cached(
        "INSERT INTO entry (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
    for mutation in &commit.mutations {
        match mutation {
            Mutation::Put { key, value } => put.execute(params![key.as_str(), &value[..]])?,
            Mutation::Delete { key } => delete.execute([key.as_str()])?,
        };
    }
    Ok(())
}

fn compact(connection: &Connection, oldest: Revision) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM log WHERE revision <= ?1")?.execute([column(oldest)])?;
    Ok(())
}

/// The first commits after `position` that are in the log: at least one, if there is any.
fn read_log(connection: &Connection, position: Revision) -> Result<Vec<Committed>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT revision, body FROM log WHERE revision > ?1 ORDER BY revision LIMIT ?2")?;
    let mut rows = statement.query([column(position), READ_COMMITS])?;
    let (mut commits, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()?
        && bytes < READ_BYTES
    {
        let mut body = Bytes::from(row.get::<_, Vec<u8>>(1)?);
        bytes += body.len();
        let commit = Arc::new(codec::decode(&mut body)?);
        commits.push(Committed { revision: revision(row.get(0)?)?, commit });
    }
    Ok(commits)
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// An error before the transaction was committed: it is rolled back.
fn not_made(error: rusqlite::Error) -> AppendError {
    match is_full(&error) {
        true => AppendError::Full,
        false => AppendError::Store(error.into()),
    }
}
