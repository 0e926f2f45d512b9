//! Ids of objects: a prefix that tells the kind and a short name the user may choose, as in `nw-web`.
//!
//! An id that exists is well formed. A short text is kept in place and a long one is shared, so ids are cheap to clone, to
//! compare and to keep in indexes. They are compared more than anything else.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::multimap::kept_as;
use crate::text;

/// Longest name after the prefix. The original took 16; longer ones let schedulers use their own.
pub const MAX_NAME: usize = 40;

/// Why a text is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind is `{prefix}-` and 1 to {MAX_NAME} of `a-z`, `0-9` and `-`: {given}")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
    /// What was given, cut to a length that fits a message.
    pub given: String,
}

/// What all ids have in common.
pub trait Id: Clone + Ord + fmt::Display + FromStr<Err = InvalidId> {
    /// The prefix of the kind, without the dash.
    const PREFIX: &'static str;
    /// The whole text, prefix included.
    fn as_str(&self) -> &str;
}

/// Longest text that is kept in place, in bytes.
const SHORT: usize = 22;

/// The text of an id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Text {
    /// One that is kept in place, with zeros behind it: no id has any, so the order of the bytes is that of the texts.
    Short { bytes: [u8; SHORT], length: u8 },
    /// A longer one.
    Long(Arc<str>),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Short { bytes, length } => {
                let text = bytes.get(..usize::from(*length)).unwrap_or_default();
                str::from_utf8(text).expect("ids are ASCII")
            }
            Self::Long(text) => text,
        }
    }

    /// The order of texts of which the first `same` bytes are the same. What follows these mostly decides.
    #[inline]
    fn compare(&self, other: &Self, same: usize) -> Ordering {
        match (self, other) {
            (Self::Short { bytes: ours, .. }, Self::Short { bytes: theirs, .. }) => head(ours, same)
                .cmp(&head(theirs, same))
                .then_with(|| rest(ours, same).cmp(&rest(theirs, same))),
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

/// The eight bytes at a place, as a number that is in the order of the bytes.
#[inline]
fn head(bytes: &[u8; SHORT], place: usize) -> u64 {
    bytes.get(place..).and_then(<[u8]>::first_chunk).map_or(0, |head| u64::from_be_bytes(*head))
}

/// All bytes behind those of [`head`], and some of them twice.
#[inline]
fn rest(bytes: &[u8; SHORT], place: usize) -> (u64, u64) {
    const LAST: usize = SHORT - 8;
    (head(bytes, LAST.min(place + 8)), head(bytes, LAST))
}

impl Ord for Text {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other, 0)
    }
}

impl PartialOrd for Text {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short { bytes, length }
            }
            _ => Self::Long(text.into()),
        }
    }
}

fn parse(prefix: &'static str, text: &str) -> Result<Text, InvalidId> {
    let valid_name = |name: &str| {
        (1..=MAX_NAME).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let name = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    match name {
        Some(name) if valid_name(name) => Ok(text.into()),
        _ => Err(InvalidId { prefix, given: text.chars().take(80).collect() }),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, utoipa::ToSchema)]
        #[schema(value_type = String)]
        pub struct $name(Text);

        kept_as!($name => Text);

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.compare(&other.0, $prefix.len() + 1)
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($prefix, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::parsed(deserializer)
            }
        }
    )*};
}

ids! {
    /// A hypervisor host's switch.
    DatapathId = "dp";
    /// An L3 network: one or two subnets whose addresses are leased.
    NetworkId = "nw";
    /// An L2 segment.
    SegmentId = "seg";
    /// A virtual NIC.
    InterfaceId = "if";
    /// A MAC address given to an interface.
    MacLeaseId = "ml";
    /// An IP address given to an interface.
    IpLeaseId = "il";
    /// A virtual router.
    RouteLinkId = "rl";
    /// A route of a virtual router.
    RouteId = "r";
    /// What a simulated interface answers.
    NetworkServiceId = "ns";
    /// A DNS service.
    DnsServiceId = "dnss";
    /// A DNS record.
    DnsRecordId = "dnsr";
    /// What addresses are translated to, at a router's outer leg.
    TranslationId = "tr";
    /// Which packets an interface may send and receive.
    FilterId = "fil";
    /// Who may talk to whom.
    SecurityGroupId = "sg";
    /// Where MAC addresses come from that nobody names.
    MacRangeGroupId = "mrg";
    /// The addresses of a MAC range group.
    MacRangeId = "mr";
    /// Which addresses of a network are given to those who name none.
    IpRangeGroupId = "iprg";
    /// The addresses of an IP range group.
    IpRangeId = "ipr";
    /// Who is given which addresses.
    LeasePolicyId = "lp";
    /// IP leases that belong together.
    IpLeaseContainerId = "ilc";
    /// How long IP leases are kept.
    IpRetentionContainerId = "irc";
    /// What is in the underlay, or in an overlay.
    TopologyId = "topo";
    /// Permission for one host to join.
    HostTokenId = "ht";
    /// What a user has to say of two hosts.
    HostPairId = "hp";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, valid: bool) {
        assert_eq!(text.parse::<NetworkId>().is_ok(), valid, "{text}");
    }

    #[test]
    fn an_id_is_its_kinds_prefix_and_a_short_lower_case_name() {
        check("nw-test1", true);
        check("nw-a-b", true);
        check("nw-", false);
        check("nw--a", false);
        check("nwtest", false);
        check("if-test1", false);
        check("nw-Test", false);
        check("nw-a/b", false);
        check(&format!("nw-{}", "a".repeat(MAX_NAME)), true);
        check(&format!("nw-{}", "a".repeat(MAX_NAME + 1)), false);
    }

    #[test]
    fn an_id_takes_three_words() {
        assert_eq!(size_of::<InterfaceId>(), 24);
    }

    #[test]
    fn ids_are_in_the_order_of_their_texts() {
        let names = ["a", "b", "a1", "abcd", "abcde", "abcdef", "abcdeg", "abcdefghijk", "abcdefghijl"];
        let long = [18, 19, 20, 30, 31].map(|length| "a".repeat(length));
        let long = long.into_iter().chain([format!("{}b", "a".repeat(29)), format!("{}b", "a".repeat(18))]);
        let names = names.into_iter().map(str::to_owned).chain(long);
        let ids: Vec<NetworkId> =
            names.map(|name| format!("nw-{name}").parse().expect("a valid id")).collect();
        for (one, other) in ids.iter().flat_map(|one| ids.iter().map(move |other| (one, other))) {
            assert_eq!(one.cmp(other), one.as_str().cmp(other.as_str()), "{one} {other}");
            assert_eq!(one == other, one.as_str() == other.as_str(), "{one} {other}");
        }
    }
}
