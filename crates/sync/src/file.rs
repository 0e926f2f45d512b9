//! Files that are whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// For files that hold a secret.
pub(crate) const OWNER_ONLY: u32 = 0o600;
/// For files that hold none.
pub(crate) const READABLE: u32 = 0o644;

/// Puts a file in place in one step: after a crash there is the old one or the new one.
pub(crate) fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file's path"));
    };
    let mut temporary = name.to_owned();
    temporary.push(".new");
    let temporary = dir.join(temporary);
    // One left by a crash may have another mode; `mode` only counts for a file that is made.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    // The rename itself lasts once the directory is written: fsync(2), notes.
    File::open(dir)?.sync_all()
}
