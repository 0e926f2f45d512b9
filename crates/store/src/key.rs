//! Keys: short names, valid by construction.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest key, in bytes. Keys are held in memory by every manager and repeated in every index.
pub const MAX_KEY_BYTES: usize = 512;

/// The name of an entry: 1 to [`MAX_KEY_BYTES`] bytes of UTF-8 without control characters. Cheap to clone.
///
/// Keys order by their bytes, in every backend.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a string is not a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// A key has at least one character.
    #[error("a key cannot be empty")]
    Empty,
    /// A key has at most [`MAX_KEY_BYTES`] bytes.
    #[error("a key of {bytes} bytes is longer than {MAX_KEY_BYTES}")]
    TooLong {
        /// The length of the string, in bytes.
        bytes: usize,
    },
    /// A key can be printed in a log and typed in a shell.
    #[error("a key cannot contain control characters")]
    ControlCharacter,
}

impl Key {
    /// Takes `name` as a key.
    ///
    /// # Errors
    /// [`InvalidKey`], if it is none.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Key, InvalidKey> {
        let name = name.into();
        if name.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if name.len() > MAX_KEY_BYTES {
            return Err(InvalidKey::TooLong { bytes: name.len() });
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidKey::ControlCharacter);
        }
        Ok(Key(name))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Key {
    type Error = InvalidKey;

    fn try_from(name: &str) -> Result<Key, InvalidKey> {
        Key::new(name)
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(name: String) -> Result<Key, InvalidKey> {
        Key::new(name)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), InvalidKey>) {
        assert_eq!(Key::new(name).map(|_| ()), expected, "{name:?}");
    }

    #[test]
    fn a_key_is_short_printable_text() {
        check("networks/nw-web", Ok(()));
        check("名前", Ok(()));
        check(&"x".repeat(MAX_KEY_BYTES), Ok(()));
        check("", Err(InvalidKey::Empty));
        check(&"x".repeat(MAX_KEY_BYTES + 1), Err(InvalidKey::TooLong { bytes: MAX_KEY_BYTES + 1 }));
        check("a\0b", Err(InvalidKey::ControlCharacter));
        check("a\nb", Err(InvalidKey::ControlCharacter));
    }
}
