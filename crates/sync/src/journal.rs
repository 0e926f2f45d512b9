//! Keeps a replica on disk as it changes: what a save costs follows the change, not the size of the topology.
//!
//! Beside the replica's file, which holds it whole ([`replica`]), stands a log of what has changed since.
//! Once the log has grown as long as the file, the file is written anew and the log begins again, so that everything is
//! written twice at most and never much more is read than there is.
//!
//! # Format of the log
//! Records, each a line with a digest and the number of bytes that follow; these are a line with the revision, and a line
//! for each change: `+`, an object's reference, a space and its JSON, or `-` and the reference of one that is gone. The
//! digest, SHA-256 in hexadecimal, is of the digest before it and the record's bytes; before the first it is the file's.
//!
//! # After a crash
//! The log is read up to the first record that does not follow. So one that was not written to the end is passed over, and
//! so is all of a log that belongs to the file of before: what is read is a revision that was saved.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use topology::{Change, Object, Revision, Topology};

use crate::file;
use crate::pki::hexadecimal;
use crate::replica::{self, Replica, Written};

/// A log shorter than this stays a log, however small the file is, in bytes: a new file costs as much as some such records.
const LEAST_LOG: usize = 64 * 1024;

/// Keeps one host's newest replica in its file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    kept: Option<Kept>,
}

/// What file and log hold together.
#[derive(Debug)]
struct Kept {
    replica: Arc<Replica>,
    log: File,
    /// Of the last record, or of the file.
    digest: String,
    file_bytes: usize,
    log_bytes: usize,
}

impl Journal {
    /// A journal that begins: its first save writes the file.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), kept: None }
    }

    /// Makes what [`Replica::load`] gives be this replica. A crash meanwhile leaves the one saved before.
    ///
    /// # Errors
    /// It cannot be written. The next save begins with the file.
    pub fn save(&mut self, newest: &Arc<Replica>) -> io::Result<()> {
        let appended = match self.kept.take().filter(|kept| kept.is_followed_by(newest)) {
            Some(kept) => kept.append(newest)?,
            None => None,
        };
        let kept = match appended {
            Some(kept) => kept,
            None => self.begin(newest)?,
        };
        self.kept = Some(kept);
        Ok(())
    }

    /// Writes the file, and begins a log. In this order: until the new file is there, the old log belongs to the old one.
    fn begin(&self, newest: &Arc<Replica>) -> io::Result<Kept> {
        let written = file::write_by(&self.path, file::OWNER_ONLY, |file| newest.write(file))?;
        let options =
            OpenOptions::new().write(true).create(true).truncate(true).mode(file::OWNER_ONLY).clone();
        let log = options.open(log_of(&self.path))?;
        let Written { digest, bytes } = written;
        Ok(Kept { replica: newest.clone(), log, digest, file_bytes: bytes, log_bytes: 0 })
    }
}

impl Kept {
    /// Whether a log can say what became of it.
    fn is_followed_by(&self, newest: &Replica) -> bool {
        (&self.replica.store_id, &self.replica.datapath) == (&newest.store_id, &newest.datapath)
    }

    /// Appends what has changed. `None` if the log would be too long.
    fn append(mut self, newest: &Arc<Replica>) -> io::Result<Option<Self>> {
        let most = self.file_bytes.max(LEAST_LOG).saturating_sub(self.log_bytes);
        let Some(body) = body(&self.replica.topology, &newest.topology, most) else { return Ok(None) };
        self.log_bytes += body.len();
        self.digest = chain(&self.digest, &body);
        self.log.write_all(format!("{} {}\n", self.digest, body.len()).as_bytes())?;
        self.log.write_all(body.as_bytes())?;
        self.log.sync_data()?;
        self.replica = newest.clone();
        Ok(Some(self))
    }
}

/// What makes the one the other, unless it is longer than `most` bytes: nobody wants to hold that.
fn body(before: &Topology, after: &Topology, most: usize) -> Option<String> {
    let mut body = format!("{}\n", after.revision().0);
    for change in after.changes_since(before) {
        let reference = change.reference();
        match change {
            Change::Put(object) => {
                let value = String::from_utf8(object.encode()).expect("JSON is UTF-8");
                writeln!(body, "+{reference} {value}").expect("texts grow");
            }
            Change::Delete(_) => writeln!(body, "-{reference}").expect("texts grow"),
        }
        if body.len() > most {
            break;
        }
    }
    (body.len() <= most).then_some(body)
}

/// The log beside a replica's file.
pub(crate) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".log");
    name.into()
}

fn chain(before: &str, body: &str) -> String {
    hexadecimal(&Sha256::new().chain_update(before).chain_update(body).finalize())
}

/// Brings what a file holds to what its log says, as far as that can be read.
pub(crate) fn follow(replica: &mut Replica, file: &str, log: &str) {
    let mut digest = replica::digest_of(file).unwrap_or_default().to_owned();
    let mut rest = log;
    while let Some((body, after)) = record(rest)
        && chain(&digest, body.contents) == body.digest
        && let Some((revision, changes)) = changes(body.contents)
    {
        replica.topology.commit(revision, &changes);
        (digest, rest) = (body.digest.to_owned(), after);
    }
}

/// A record that is there whole.
struct Record<'a> {
    digest: &'a str,
    contents: &'a str,
}

fn record(log: &str) -> Option<(Record<'_>, &str)> {
    let (header, rest) = log.split_once('\n')?;
    let (digest, length) = header.split_once(' ')?;
    let (contents, after) = rest.split_at_checked(length.parse().ok()?)?;
    Some((Record { digest, contents }, after))
}

fn changes(contents: &str) -> Option<(Revision, Vec<Change>)> {
    let (revision, changes) = contents.split_once('\n')?;
    let changes = changes.lines().map(change).collect::<Option<_>>()?;
    Some((Revision(revision.parse().ok()?), changes))
}

fn change(line: &str) -> Option<Change> {
    if let Some(gone) = line.strip_prefix('-') {
        return Some(Change::Delete(gone.parse().ok()?));
    }
    let (reference, value) = line.strip_prefix('+')?.split_once(' ')?;
    Some(Change::Put(Object::decode(&reference.parse().ok()?, value.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_room_or_is_none_also_where_only_the_revision_moves() {
        let check = |revision: u64, most, expected: Option<&str>| {
            let (before, mut after) = (Topology::default(), Topology::default());
            after.commit(Revision(revision), &[]);
            assert_eq!(body(&before, &after, most).as_deref(), expected, "{revision} in {most}");
        };
        check(7, 2, Some("7\n"));
        check(7, 1, None);
        check(7, 0, None);
        check(123, 4, Some("123\n"));
        check(123, 3, None);
    }
}
