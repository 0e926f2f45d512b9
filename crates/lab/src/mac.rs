//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// The address of an Ethernet device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// An address of its own for every name, locally administered and unicast (IEEE 802, section 8.4).
    #[must_use]
    pub fn for_name(name: &str) -> Self {
        // FNV-1a: the same on every run, so that a test can be read beside its captures.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let [a, b, c, d, e, ..] = hash.to_be_bytes();
        Self([0x02, a, b, c, d, e])
    }

    /// Its six bytes, in the order they are sent.
    #[must_use]
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is not six hexadecimal bytes separated by colons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an Ethernet address")]
pub struct ParseMacError(String);

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let refused = || ParseMacError(text.to_owned());
        let byte = |part: &str| u8::from_str_radix(part, 16).map_err(|_| refused());
        let bytes: Vec<u8> = text.split(':').map(byte).collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<[u8; 6]>) {
        assert_eq!(text.parse::<MacAddr>().ok().map(MacAddr::octets), expected);
    }

    #[test]
    fn six_hexadecimal_bytes_are_an_address() {
        check("02:00:0a:ff:00:01", Some([2, 0, 10, 255, 0, 1]));
        check("2:0:A:FF:0:1", Some([2, 0, 10, 255, 0, 1]));
        check("02:00:0a:ff:00", None);
        check("02:00:0a:ff:00:01:02", None);
        check("02:00:0a:ff:00:zz", None);
    }

    #[test]
    fn an_address_made_from_a_name_is_unicast_and_local() {
        let mac = MacAddr::for_name("inst1");
        assert_eq!(mac.octets()[0] & 0b11, 0b10);
        assert_eq!(mac.to_string().parse(), Ok(mac));
        assert_ne!(mac, MacAddr::for_name("inst2"));
    }
}
