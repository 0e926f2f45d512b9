//! A host's replica of its part of the topology, and its file.
//!
//! The file lets an agent work before it reaches a manager. What it holds is the manager's, so a file that cannot be
//! read costs a snapshot and nothing else. [`journal`] writes it, and beside it what has changed since.
//!
//! # Format
//! Lines. The first is `openvnet-replica 2`; the second says in JSON what it is a replica of and who wrote it; each further
//! one is an object's reference, a space and its JSON; the last is the SHA-256 of all lines before it, hexadecimal.

use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use topology::object::DecodeError;
use topology::{Change, DatapathId, Object, ObjectRef, Revision, Topology};

use crate::journal;
use crate::pki::{digest, hexadecimal};

/// What a file starts with; the number is the format's.
const MAGIC: &str = "openvnet-replica 2\n";

/// Largest file read, in bytes: far above what one host needs.
const MAX_FILE: u64 = 1 << 30;

/// The version of this software. Another one may have passed over objects that this one knows.
const WRITER: &str = env!("CARGO_PKG_VERSION");

/// The part of the topology that a host needs, at the topology's revision.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The store that the revision belongs to. Empty if it is not to be resumed from, only to be replaced.
    pub store_id: String,
    /// The host's own datapath.
    pub datapath: DatapathId,
    /// The objects.
    pub topology: Topology,
}

impl Replica {
    /// What tells its state from all others: the store, and the revision.
    pub fn state(&self) -> (&str, Revision) {
        (&self.store_id, self.topology.revision())
    }
}

/// Why a file holds no replica.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("the replica's file cannot be read")]
    Read(#[from] io::Error),
    /// It is of another format, or was not written to the end, or has changed since.
    #[error("the replica's file is damaged or of another format")]
    Damaged,
    /// Its second line is no description of a replica.
    #[error("the replica's file does not say what it is")]
    Description(#[source] serde_json::Error),
    /// An object in it is malformed.
    #[error("the replica's file holds a malformed object")]
    Object(#[from] DecodeError),
}

#[derive(Serialize, Deserialize)]
struct Description {
    writer: String,
    store_id: String,
    datapath: DatapathId,
    revision: Revision,
}

impl Replica {
    /// Reads what a [`Journal`](crate::Journal) keeps in this file and its log.
    ///
    /// # Errors
    /// See [`LoadError`]: the file holds no replica. Callers go on without one. What a log says beyond what can be read is
    /// passed over.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let file = read(path)?;
        let mut replica = Self::decode(&file)?;
        if let Ok(log) = read(&journal::log_of(path)) {
            journal::follow(&mut replica, &file, &log);
        }
        Ok(replica)
    }

    /// The contents of its file.
    pub fn encode(&self) -> String {
        let mut contents = Vec::new();
        self.write(&mut contents).expect("memory takes all");
        String::from_utf8(contents).expect("JSON is UTF-8")
    }

    /// Writes its file, an object after the other: the whole would be as much again as the topology in memory.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<Written> {
        let mut out = Summed { out, digest: Sha256::new(), bytes: 0 };
        let description = Description {
            writer: WRITER.to_owned(),
            store_id: self.store_id.clone(),
            datapath: self.datapath.clone(),
            revision: self.topology.revision(),
        };
        out.write_all(MAGIC.as_bytes())?;
        serde_json::to_writer(&mut out, &description)?;
        out.write_all(b"\n")?;
        for object in self.topology.objects() {
            write!(out, "{} ", object.reference())?;
            out.write_all(&object.encode())?;
            out.write_all(b"\n")?;
        }
        let Summed { out, digest, bytes } = out;
        let digest = hexadecimal(&digest.finalize());
        writeln!(out, "{digest}")?;
        Ok(Written { bytes: bytes + digest.len() + 1, digest })
    }

    /// Reads what [`Replica::encode`] gave. What another version of this software has written is read without its
    /// `store_id`.
    ///
    /// # Errors
    /// [`LoadError`]: the contents are not what was written.
    pub fn decode(contents: &str) -> Result<Self, LoadError> {
        let digest = digest_of(contents).ok_or(LoadError::Damaged)?;
        let body = contents.strip_suffix('\n').and_then(|contents| contents.strip_suffix(digest));
        let body = body.filter(|body| self::digest(body.as_bytes()) == digest).ok_or(LoadError::Damaged)?;
        let body = body.strip_prefix(MAGIC).ok_or(LoadError::Damaged)?;
        let (description, objects) = body.split_once('\n').ok_or(LoadError::Damaged)?;
        let description: Description = serde_json::from_str(description).map_err(LoadError::Description)?;
        let changes = objects.lines().map(object).collect::<Result<Vec<_>, _>>()?;
        let mut topology = Topology::default();
        topology.commit(description.revision, &changes);
        let store_id = if description.writer == WRITER { description.store_id } else { String::new() };
        Ok(Self { store_id, datapath: description.datapath, topology })
    }
}

/// What was written.
pub(crate) struct Written {
    /// The digest that the file ends with.
    pub(crate) digest: String,
    /// How long the file is.
    pub(crate) bytes: usize,
}

/// Sums up what passes through it.
struct Summed<'a, W> {
    out: &'a mut W,
    digest: Sha256,
    bytes: usize,
}

impl<W: Write> Write for Summed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The digest that a replica's file ends with.
pub(crate) fn digest_of(contents: &str) -> Option<&str> {
    contents.lines().next_back()
}

fn read(path: &Path) -> io::Result<String> {
    let mut contents = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut contents)?;
    // What a crash has left at the end of a log need not be text.
    Ok(String::from_utf8_lossy(&contents).into_owned())
}

fn object(line: &str) -> Result<Change, LoadError> {
    let (reference, value) = line.split_once(' ').ok_or(LoadError::Damaged)?;
    let reference: ObjectRef = reference.parse()?;
    Ok(Change::Put(Object::decode(&reference, value.as_bytes())?))
}
