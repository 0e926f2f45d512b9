//! Universally unique identifiers, the names of rows.

use std::fmt;
use std::str::FromStr;

/// Positions of the hyphens in the text form (RFC 4122, section 3).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Length of the text form.
const TEXT_LENGTH: usize = 36;

/// A UUID: the name of a row, of a transaction or of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(u128);

/// The text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct ParseUuidError;

impl Uuid {
    /// All zeros: the default of a UUID column, and "no transaction" in `monitor_cond_since`.
    pub const ZERO: Self = Self(0);

    /// The UUID with this value, most significant digit first.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        if text.len() != TEXT_LENGTH {
            return Err(ParseUuidError);
        }
        let mut value = 0;
        for (position, character) in text.char_indices() {
            match character.to_digit(16) {
                _ if HYPHENS.contains(&position) && character == '-' => {}
                Some(digit) if !HYPHENS.contains(&position) => value = value << 4 | u128::from(digit),
                _ => return Err(ParseUuidError),
            }
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, node @ ..] = self.0.to_be_bytes();
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}-{e:02x}{g:02x}-{h:02x}{i:02x}-")?;
        for (index, byte) in node.iter().enumerate() {
            write!(f, "{}{byte:02x}", if index == 2 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_uuid() {
        let check = |text: &str, expected| assert_eq!(text.parse(), expected, "{text}");
        check("00000000-0000-0000-0000-00000000000f", Ok(Uuid::from_u128(15)));
        check("00000000-0000-0000-0000-00000000000g", Err(ParseUuidError));
        check("0000000000000-0000-0000-00000000000f", Err(ParseUuidError));
        check("00000000-0000-0000-0000-00000000000", Err(ParseUuidError));
        check("é0000000-0000-0000-0000-0000000000f", Err(ParseUuidError));
    }

    proptest! {
        #[test]
        fn text_gives_the_same_uuid_back(value: u128) {
            prop_assert_eq!(Uuid::from_u128(value).to_string().parse(), Ok(Uuid::from_u128(value)));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{30,40}") {
            let _ = text.parse::<Uuid>();
        }
    }
}
