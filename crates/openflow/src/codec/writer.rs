//! Writing: bytes whose declared lengths are filled in when they are known.

use thiserror::Error;

use super::ALIGNMENT;

/// Why a message cannot be put into bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A structure that is longer than its 16-bit length can say.
    #[error("{what}: {length} bytes do not fit a message")]
    TooLong {
        /// The structure.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A port that has no 16-bit number, in an extension that has no room for more.
    #[error("port {port} has no 16-bit number")]
    Port {
        /// The port.
        port: crate::OfPort,
    },
    /// A value that its place on the wire cannot hold.
    #[error("{what}: value {value} does not fit")]
    Value {
        /// The member.
        what: &'static str,
        /// Its value.
        value: u64,
    },
}

/// Bytes being written. The first error sticks and comes out at the end.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    error: Option<EncodeError>,
}

/// A place where a length will stand, and where what it counts begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    start: usize,
    place: usize,
    what: &'static str,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), error: None }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, EncodeError> {
        match self.error {
            None => Ok(self.bytes),
            Some(error) => Err(error),
        }
    }

    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len().saturating_add(count), 0);
    }

    /// The last `length` bytes of a number, preceded by zeros where it is longer than 16.
    pub(crate) fn number(&mut self, value: u128, length: usize) {
        let all = value.to_be_bytes();
        self.zeros(length.saturating_sub(all.len()));
        self.bytes.extend(all.iter().skip(all.len().saturating_sub(length)));
    }

    /// Remembers this place, which begins a structure, and leaves room for its length after `offset` bytes.
    pub(crate) fn begin(&mut self, what: &'static str) -> Mark {
        let mark = Mark { start: self.len(), place: self.len(), what };
        self.u16(0);
        mark
    }

    /// Begins a structure with a type and a length.
    pub(crate) fn begin_tlv(&mut self, what: &'static str, kind: u16) -> Mark {
        let start = self.len();
        self.u16(kind);
        Mark { start, ..self.begin(what) }
    }

    /// Leaves room for a 16-bit length of what will be written after [`Writer::count_from_here`].
    pub(crate) fn hole(&mut self, what: &'static str) -> Mark {
        self.begin(what)
    }

    /// What the hole's length counts begins here.
    pub(crate) fn count_from_here(&self, hole: Mark) -> Mark {
        Mark { start: self.len(), ..hole }
    }

    /// What the hole's length counts began before it.
    pub(crate) fn count_from(&self, hole: Mark, start: usize) -> Mark {
        Mark { start, ..hole }
    }

    /// Ends a structure: its length is what was written since it began.
    pub(crate) fn end(&mut self, mark: Mark) {
        let length = self.len() - mark.start;
        let Ok(declared) = u16::try_from(length) else {
            self.fail(EncodeError::TooLong { what: mark.what, length });
            return;
        };
        if let Some(place) = self.bytes.get_mut(mark.place..mark.place + 2) {
            place.copy_from_slice(&declared.to_be_bytes());
        }
    }

    /// Pads the structure to a multiple of 8.
    pub(crate) fn pad(&mut self, mark: Mark) {
        let length = self.len() - mark.start;
        self.zeros(length.next_multiple_of(ALIGNMENT) - length);
    }

    /// Pads a structure to a multiple of 8, and ends it: its length counts the padding.
    pub(crate) fn end_padded(&mut self, mark: Mark) {
        self.pad(mark);
        self.end(mark);
    }

    /// Ends a property: its length does not count the padding that follows.
    pub(crate) fn end_property(&mut self, mark: Mark) {
        self.end(mark);
        self.pad(mark);
    }

    /// A property of one 32-bit word.
    pub(crate) fn property_u32(&mut self, what: &'static str, kind: u16, value: u32) {
        let mark = self.begin_tlv(what, kind);
        self.u32(value);
        self.end_property(mark);
    }

    /// A number of bytes or items that has 16 bits on the wire.
    pub(crate) fn count(&mut self, what: &'static str, count: usize) {
        match u16::try_from(count) {
            Ok(count) => self.u16(count),
            Err(_) => self.fail(EncodeError::TooLong { what, length: count }),
        }
    }

    /// A port's 16-bit number.
    pub(crate) fn port16(&mut self, port: crate::OfPort) {
        match port.to_u16() {
            Some(number) => self.u16(number),
            None => self.fail(EncodeError::Port { port }),
        }
    }
}
