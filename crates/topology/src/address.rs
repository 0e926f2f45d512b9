//! Addresses and the numbers that stand for objects on the wire.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::multimap::kept_as;
use crate::text;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, example = "10:54:ff:00:00:01")]
pub struct MacAddr(pub [u8; 6]);

/// A text that is no Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six two-digit hexadecimal numbers: 10:54:ff:00:00:01")]
pub struct InvalidMac;

impl MacAddr {
    /// Whether the group bit is set: broadcast or multicast (IEEE 802.3, 3.2.3).
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether one interface can own the address.
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self.0 != [0; 6]
    }

    /// The address as a number, in whose order addresses are.
    pub(crate) fn number(self) -> u64 {
        self.0.into_iter().fold(0, |number, octet| number << 8 | u64::from(octet))
    }

    /// The address that the lower 48 bits of a number stand for.
    pub(crate) fn of_number(number: u64) -> Self {
        let [_, _, octets @ ..] = number.to_be_bytes();
        Self(octets)
    }

    /// The link-local address a host makes of it (RFC 4291, appendix A: modified EUI-64).
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
    }

    /// The address that a host with this link-local address has, if it was made that way.
    pub fn of_link_local(address: Ipv6Addr) -> Option<Self> {
        let [.., a, b, c, _, _, d, e, f] = address.octets();
        let mac = Self([a ^ 2, b, c, d, e, f]);
        (mac.link_local() == address).then_some(mac)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part =
                parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
            let part = part.ok_or(InvalidMac)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| InvalidMac)?;
        }
        parts.next().is_none().then_some(Self(octets)).ok_or(InvalidMac)
    }
}

/// A switch's 64-bit datapath id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, example = "0x0000aaaaaaaaaaaa")]
pub struct Dpid(pub u64);

/// A text that is no datapath id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a dpid is 1 to 16 hexadecimal digits, with or without 0x, and not zero")]
pub struct InvalidDpid;

impl fmt::Display for Dpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("0x{:016x}", self.0))
    }
}

impl FromStr for Dpid {
    type Err = InvalidDpid;

    fn from_str(text: &str) -> Result<Self, InvalidDpid> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_prefix("0x").unwrap_or(&lower);
        let valid = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = valid.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
        number.filter(|number| *number != 0).map(Self).ok_or(InvalidDpid)
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::parsed(deserializer)
            }
        }
    )*};
}
as_text!(MacAddr, Dpid, NodeId);

/// The name a host's agent goes by, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, example = "host1")]
pub struct NodeId(String);

/// A text that is no node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 1 to 63 of letters, digits, `.`, `_` and `-`, and starts with a letter or digit")]
pub struct InvalidNodeId;

impl NodeId {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        let valid = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        valid.then(|| Self(text.to_owned())).ok_or(InvalidNodeId)
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident <= $max:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// Given by the manager, never zero, and not given again soon after its owner is gone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(value_type = u32)]
        pub struct $name(pub u32);

        kept_as!($name => u32);

        impl $name {
            /// The largest value that fits its place on the wire.
            pub const MAX: u32 = $max;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

keys! {
    /// Stands for a network or segment: the virtual network identifier of its tunnelled frames.
    DomainKey <= 0x00ff_fffe;
    /// Stands for an interface in registers and in the tunnel option.
    InterfaceKey <= 0x00ff_ffff;
    /// Stands for a host in registers.
    HostKey <= 0x00ff_ffff;
    /// Stands for a route link in registers.
    RouteLinkKey <= 0x00ff_ffff;
    /// Stands for a route among groups and in cookies.
    RouteKey <= 0x00ff_ffff;
    /// Stands for a translation in cookies and in half a register.
    TranslationKey <= 0x7fff;
    /// Keeps the connections of one outer leg apart from those of others: the lower half of a conntrack zone's number.
    TranslationZone <= 0x7fff;
    /// Stands for a distinct set of security groups in registers and in the tunnel option.
    IdentityKey <= 0xffff;
}

/// How many commits had been made when something was true.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[schema(value_type = u64)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision that follows.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_in_the_usual_forms_and_written_in_one() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                text.parse::<MacAddr>().ok().map(|mac| mac.to_string()).as_deref(),
                expected,
                "{text}"
            );
        };
        check("10:54:FF:00:00:01", Some("10:54:ff:00:00:01"));
        check("10-54-ff-00-00-01", Some("10:54:ff:00:00:01"));
        check("10:54:ff:00:00", None);
        check("10:54:ff:00:00:01:02", None);
        check("1:54:ff:00:00:01", None);
        check("+1:54:ff:00:00:01", None);
    }

    #[test]
    fn the_link_local_address_is_the_modified_eui_64() {
        let mac: MacAddr = "10:54:ff:00:00:01".parse().expect("a MAC address");
        assert_eq!(mac.link_local().to_string(), "fe80::1254:ffff:fe00:1");
    }

    #[test]
    fn a_dpid_is_hexadecimal_and_not_zero() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Dpid>().ok().map(|dpid| dpid.0), expected, "{text}");
        };
        check("0x0000aaaaaaaaaaaa", Some(0xaaaa_aaaa_aaaa));
        check("AAAA", Some(0xaaaa));
        check("0", None);
        check("0x", None);
        check("+1", None);
        check("11112222333344445", None);
    }
}
