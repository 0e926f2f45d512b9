//! Files that are whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// For files that hold a secret.
pub(crate) const OWNER_ONLY: u32 = 0o600;
/// For files that hold none.
pub(crate) const READABLE: u32 = 0o644;

/// Puts a file in place in one step: after a crash there is the old one or the new one.
pub(crate) fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    write_by(path, mode, |file| file.write_all(contents))
}

/// The same for what is written bit by bit, and gives back what that gives.
pub(crate) fn write_by<T>(
    path: &Path,
    mode: u32,
    contents: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
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
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let mut file = BufWriter::new(file);
    let written = contents(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    std::fs::rename(&temporary, path)?;
    // The rename itself lasts once the directory is written: fsync(2), notes.
    File::open(dir)?.sync_all()?;
    Ok(written)
}
