//! The files of a store: its lock, its mode, and copies of it. Blocks.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::database;
use crate::{FileError, StoreError};

/// A topology names tenants and their firewalls: it is for the manager's user alone.
const MODE: u32 = 0o600;

/// One name for the file, by whichever path it was given, so that all who open it meet at the same lock.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, FileError> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(at(path)),
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file");
    let name = path.file_name().ok_or_else(invalid).map_err(at(path))?;
    Ok(fs::canonicalize(directory(path)).map_err(at(path))?.join(name))
}

/// Keeps other processes from the store at `path` until the file given back is closed.
///
/// A file of its own is locked, and with flock(2): SQLite locks the database with fcntl(2), and those locks of a process
/// are lost when it closes any descriptor of the file. The lock file stays: to remove it would be a race with the next
/// who opens it.
pub(super) fn lock(path: &Path) -> Result<File, FileError> {
    let lock_path = beside(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(MODE);
    let lock = options.open(&lock_path).map_err(at(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FileError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(FileError::Io { path: lock_path, source }),
    }
}

/// Makes the database file if there is none. The lock must be held.
pub(super) fn prepare(path: &Path) -> Result<(), FileError> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|file| file.sync_all()).and_then(|()| sync_directory(path)).map_err(at(path)),
    }
}

/// Gives the database file its mode. The files that SQLite makes beside it get the same.
pub(super) fn make_private(path: &Path) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(at(path))
}

/// Copies the open store at `from` to a new file at `to`.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), FileError> {
    let copy = NamedTempFile::new_in(directory(to)).map_err(at(to))?;
    let target = copy.path().to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename));
    let target = target.map_err(at(to))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(StoreError::from)?;
    source.execute("VACUUM INTO ?1", [target]).map_err(StoreError::from)?;
    publish(copy, to)
}

/// Copies the file at `backup` to a new store at `path`.
pub(super) fn restore(backup: &Path, path: &Path) -> Result<(), FileError> {
    let _lock = lock(path)?;
    // SQLite would replay an old log into the new database: https://www.sqlite.org/howtocorrupt.html, section 1.4.
    let wal = beside(path, "-wal");
    if wal.exists() {
        return Err(FileError::Exists { path: wal });
    }
    let copy = NamedTempFile::new_in(directory(path)).map_err(at(path))?;
    let mut source = File::open(backup).map_err(at(backup))?;
    io::copy(&mut source, &mut copy.as_file()).map_err(at(path))?;
    publish(copy, path)
}

/// Takes the identity from a copy, makes it durable and gives it its name. The copy has mode 0600 from its making.
fn publish(copy: NamedTempFile, to: &Path) -> Result<(), FileError> {
    let connection = database::connect(copy.path())?;
    connection
        .pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .map_err(StoreError::from)?;
    database::forget_identity(&connection)?;
    connection.close().map_err(|(_, error)| StoreError::from(error))?;
    copy.as_file().sync_all().map_err(at(to))?;
    copy.persist_noclobber(to).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: to.to_owned() },
        _ => FileError::Io { path: to.to_owned(), source: error.error },
    })?;
    sync_directory(to).map_err(at(to))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A new name is durable once its directory is: fsync(2).
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
    |source| FileError::Io { path: path.to_owned(), source }
}
