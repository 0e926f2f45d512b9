//! Reading: a cursor that cannot leave its bytes.

use thiserror::Error;

use super::ALIGNMENT;
use crate::OxmHeader;

/// Why bytes are no OpenFlow message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The structure goes on after the bytes end.
    #[error("{what}: {needed} bytes needed, {left} left")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes are left after the structure ends.
    #[error("{what}: {left} bytes too many")]
    Trailing {
        /// The structure.
        what: &'static str,
        /// Bytes too many.
        left: usize,
    },
    /// A length that the structure cannot have.
    #[error("{what}: length {length} is impossible")]
    Length {
        /// The structure.
        what: &'static str,
        /// The length it declares.
        length: usize,
    },
    /// Padding that is not zero.
    #[error("{what}: padding is not zero")]
    Padding {
        /// The structure.
        what: &'static str,
    },
    /// A value outside what the protocol defines.
    #[error("{what}: value {value:#x} is not defined")]
    Value {
        /// The member.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A field that has the wrong width, an impossible value or a mask it cannot have.
    #[error("field {field}: {problem}")]
    Field {
        /// The field's name.
        field: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// An action names a field that this library does not know.
    #[error("unknown field {header:?}")]
    UnknownField {
        /// What the wire calls it.
        header: OxmHeader,
    },
    /// The sender speaks another version than 1.5.
    #[error("OpenFlow version {version:#04x}, expected 0x06")]
    Version {
        /// Its version.
        version: u8,
    },
    /// Actions within actions, deeper than any switch sends.
    #[error("actions are nested more than {limit} deep")]
    Depth {
        /// The limit.
        limit: usize,
    },
}

/// A cursor over a structure's bytes. Errors name the structure.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    consumed: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, consumed: 0 }
    }

    /// The same bytes under another name.
    pub(crate) fn named(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return Err(DecodeError::Truncated { what: self.what, needed: length, left: self.bytes.len() });
        };
        self.bytes = rest;
        self.consumed = self.consumed.saturating_add(length);
        Ok(taken)
    }

    /// A text that ends at its first zero or before the last of `length` bytes. What is no UTF-8 is replaced, as a text only
    /// serves to be shown and compared; what has no room any more then is left out, so that it is written as it was read.
    pub(crate) fn text(&mut self, length: usize) -> Result<String, DecodeError> {
        let text = self.take(length)?.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut text = String::from_utf8_lossy(text).into_owned();
        text.truncate(text.floor_char_boundary(length.saturating_sub(1)));
        Ok(text)
    }

    /// The next `length` bytes, as a structure of their own.
    pub(crate) fn sub(&mut self, what: &'static str, length: usize) -> Result<Reader<'a>, DecodeError> {
        Ok(Reader::new(what, self.take(length)?))
    }

    /// All bytes that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = std::mem::take(&mut self.bytes);
        self.consumed = self.consumed.saturating_add(rest.len());
        rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    pub(crate) fn mac(&mut self) -> Result<[u8; 6], DecodeError> {
        self.array()
    }

    /// A big-endian number of at most 16 bytes.
    pub(crate) fn number(&mut self, length: usize) -> Result<u128, DecodeError> {
        let bytes = self.take(length)?;
        if length > 16 {
            return Err(DecodeError::Length { what: self.what, length });
        }
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }

    /// Bytes without meaning, whatever they hold.
    pub(crate) fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        self.take(length).map(|_| ())
    }

    /// Padding, which has to be zero.
    pub(crate) fn zeros(&mut self, length: usize) -> Result<(), DecodeError> {
        if self.take(length)?.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(DecodeError::Padding { what: self.what })
        }
    }

    /// Padding up to the next multiple of 8 from where this reader began.
    pub(crate) fn align(&mut self) -> Result<(), DecodeError> {
        self.zeros(self.consumed.next_multiple_of(ALIGNMENT) - self.consumed)
    }

    /// All that is left is padding.
    pub(crate) fn only_zeros(&mut self) -> Result<(), DecodeError> {
        self.zeros(self.left())
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { what: self.what, left: self.bytes.len() })
        }
    }

    /// A structure that begins with its type and its length, the length counted from the type on.
    ///
    /// Returns the type and a reader of what follows these four bytes.
    pub(crate) fn tlv(&mut self, what: &'static str) -> Result<(u16, Reader<'a>), DecodeError> {
        let mut header = self.clone().named(what);
        let (kind, length) = (header.u16()?, usize::from(header.u16()?));
        let mut body = self.sub(what, length)?;
        if length < 4 {
            return Err(DecodeError::Length { what, length });
        }
        body.skip(4)?;
        Ok((kind, body))
    }

    /// A property: as [`Reader::tlv`], and padded to a multiple of 8 after its length.
    pub(crate) fn property(&mut self, what: &'static str) -> Result<(u16, Reader<'a>), DecodeError> {
        let found = self.tlv(what)?;
        self.align()?;
        Ok(found)
    }

    /// A structure that begins with its own length.
    pub(crate) fn sized(&mut self, what: &'static str) -> Result<Reader<'a>, DecodeError> {
        let length = usize::from(self.clone().named(what).u16()?);
        let mut body = self.sub(what, length)?;
        body.skip(2)?;
        Ok(body)
    }

    /// Reads items until nothing is left.
    pub(crate) fn all<T>(
        mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        while !self.is_empty() {
            let before = self.left();
            items.push(item(&mut self)?);
            // An item of no length would be read for ever.
            if self.left() == before {
                return Err(DecodeError::Length { what: self.what, length: 0 });
            }
        }
        Ok(items)
    }

    /// An error about a value of this structure.
    pub(crate) fn undefined<T>(&self, value: impl Into<u64>) -> Result<T, DecodeError> {
        Err(DecodeError::Value { what: self.what, value: value.into() })
    }
}
