//! Where a chunked store keeps what, and how it is encoded.
//!
//! | key | value |
//! | --- | --- |
//! | `head` | the store's identity and its head |
//! | `group/<base>` | the [`Manifest`] of the group that was appended when the head was `base` |
//! | `chunk/<base>/<attempt>/<n>` | a piece of a group that someone tried to append then |
//! | `entry/<key>` | the value of an entry as of `applied`, or later |
//! | `applied` | the revision up to which the log was applied to the entries |
//! | `floor` | the revision from which the log is kept |
//!
//! Numbers in keys have a fixed width, so that keys order as the numbers do.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{Key, Revision, StoreError, StoreId};

pub(super) const HEAD: &str = "head";
pub(super) const APPLIED: &str = "applied";
pub(super) const FLOOR: &str = "floor";
pub(super) const GROUPS: &str = "group/";
pub(super) const CHUNKS: &str = "chunk/";
pub(super) const ENTRIES: &str = "entry/";

/// The first key after every `entry/` key: `0` follows `/`.
pub(super) const ENTRIES_END: &str = "entry0";

const DAMAGED: StoreError = StoreError::Damaged("a record of the store has a wrong length");

/// The value of `head`: compared as a whole, so that an append fails on another store as on another revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: StoreId,
    pub(super) revision: Revision,
}

impl Head {
    pub(super) fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(self.id.as_bytes());
        out.put_u64(self.revision.0);
        out.freeze()
    }

    pub(super) fn decode(mut value: Bytes) -> Result<Head, StoreError> {
        let mut id = [0; StoreId::BYTES];
        value.try_copy_to_slice(&mut id).map_err(|_| DAMAGED)?;
        Ok(Head { id: StoreId::from_bytes(id), revision: decode_revision(value)? })
    }
}

/// A random number that sets the chunks of one try to append apart from those of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt(pub(super) u128);

/// Says which attempt became real, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) attempt: Attempt,
    pub(super) chunks: u32,
    /// The revision of the group's last commit: the base of the next group.
    pub(super) last: Revision,
}

impl Manifest {
    pub(super) fn encode(self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u128(self.attempt.0);
        out.put_u32(self.chunks);
        out.put_u64(self.last.0);
        out.freeze()
    }

    pub(super) fn decode(mut value: Bytes) -> Result<Manifest, StoreError> {
        let attempt = Attempt(value.try_get_u128().map_err(|_| DAMAGED)?);
        let chunks = value.try_get_u32().map_err(|_| DAMAGED)?;
        Ok(Manifest { attempt, chunks, last: decode_revision(value)? })
    }
}

pub(super) fn encode_revision(revision: Revision) -> Bytes {
    Bytes::copy_from_slice(&revision.0.to_be_bytes())
}

pub(super) fn decode_revision(mut value: Bytes) -> Result<Revision, StoreError> {
    let revision = value.try_get_u64().map_err(|_| DAMAGED)?;
    if value.has_remaining() { Err(DAMAGED) } else { Ok(Revision(revision)) }
}

pub(super) fn group_key(base: Revision) -> String {
    format!("{GROUPS}{base:020}", base = base.0)
}

/// The base in a key that [`group_key`] made.
pub(super) fn group_base(key: &str) -> Result<Revision, StoreError> {
    let base = key.strip_prefix(GROUPS).and_then(|base| base.parse().ok());
    base.map(Revision).ok_or(StoreError::Damaged("the key of a group is invalid"))
}

/// The first of all chunk keys of `base` and later.
pub(super) fn chunks_from(base: Revision) -> String {
    format!("{CHUNKS}{base:020}/", base = base.0)
}

pub(super) fn chunk_key(base: Revision, attempt: Attempt, number: u32) -> String {
    format!("{}{:032x}/{number:06}", chunks_from(base), attempt.0)
}

pub(super) fn entry_key(key: &Key) -> String {
    format!("{ENTRIES}{key}")
}

pub(super) fn entry_name(key: &str) -> Result<Key, StoreError> {
    let name = key.strip_prefix(ENTRIES).and_then(|name| Key::new(name).ok());
    name.ok_or(StoreError::Damaged("the key of an entry is invalid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let head = Head { id: StoreId::random(), revision: Revision(7) };
        assert_eq!(Head::decode(head.encode()).expect("encoded above"), head);
        let manifest = Manifest { attempt: Attempt(3), chunks: 2, last: Revision(9) };
        assert_eq!(Manifest::decode(manifest.encode()).expect("encoded above"), manifest);
        assert_eq!(group_base(&group_key(Revision(u64::MAX))).expect("made above"), Revision(u64::MAX));
    }

    #[test]
    fn records_of_another_length_are_damaged() {
        let mut head = BytesMut::from(&Head { id: StoreId::random(), revision: Revision(7) }.encode()[..]);
        assert!(Head::decode(head.clone().freeze().slice(1..)).is_err());
        head.put_u8(0);
        assert!(Head::decode(head.freeze()).is_err());
    }

    #[test]
    fn keys_order_as_their_numbers() {
        let attempt = Attempt(u128::MAX);
        assert!(group_key(Revision(9)) < group_key(Revision(10)));
        assert!(chunk_key(Revision(9), attempt, 0) < chunks_from(Revision(10)));
        assert!(chunks_from(Revision(10)) < chunk_key(Revision(10), Attempt(0), 0));
    }
}
