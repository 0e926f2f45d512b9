//! What rules say of packets: the words that filters and security groups share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;

/// Which way a connection's first packet goes, seen from the interface.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the interface.
    Ingress,
    /// From the interface.
    Egress,
}

/// A kind of packets.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IPv4 and IPv6, whatever they carry.
    Ip,
    /// TCP over either.
    Tcp,
    /// UDP over either.
    Udp,
    /// ICMP (RFC 792).
    Icmp,
    /// ICMPv6 (RFC 4443), and with it neighbour discovery (RFC 4861).
    Icmpv6,
    /// ARP (RFC 826).
    Arp,
}

/// The families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Protocol {
    /// The families it is carried by.
    pub fn families(self) -> &'static [Family] {
        match self {
            Self::Ip | Self::Tcp | Self::Udp => &[Family::V4, Family::V6],
            Self::Icmp | Self::Arp => &[Family::V4],
            Self::Icmpv6 => &[Family::V6],
        }
    }

    /// Its number in IP headers, if it stands for one.
    pub fn number(self) -> Option<u8> {
        match self {
            Self::Ip | Self::Arp => None,
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Icmp => Some(1),
            Self::Icmpv6 => Some(58),
        }
    }

    /// Refuses ports and ICMP types of protocols that have none.
    pub(crate) fn admits(
        self,
        ports: [(&'static str, bool); 2],
        icmp: (Option<u8>, Option<u8>),
    ) -> Result<(), Error> {
        let has_ports = matches!(self, Self::Tcp | Self::Udp);
        if let Some((field, _)) = ports.iter().find(|(_, given)| *given && !has_ports) {
            return Err(Error::unfit(*field, "only tcp and udp have ports"));
        }
        let is_icmp = matches!(self, Self::Icmp | Self::Icmpv6);
        if icmp.0.is_some() && !is_icmp {
            return Err(Error::unfit("icmp_type", "only icmp and icmpv6 have types"));
        }
        if icmp.1.is_some() && icmp.0.is_none() {
            return Err(Error::unfit("icmp_code", "means something with an icmp_type only"));
        }
        Ok(())
    }
}

/// A port, or a range of them: `80`, `8000-8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// A text that names no ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a port from 1 to 65535, or a range of them: 8000-8080")]
pub struct InvalidPorts;

impl Ports {
    /// From `first` to `last`, both included; `None` if there are none.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (1..=last).contains(&first).then_some(Self { first, last })
    }

    /// Whether a port is among them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The first and the last of them.
    pub fn ends(self) -> (u16, u16) {
        (self.first, self.last)
    }

    /// The blocks that make up the range, each a value and the bits of it that count: a switch matches no ranges. At
    /// most 30 (RFC 1878 counts prefixes of addresses so).
    pub fn blocks(self) -> Vec<(u16, u16)> {
        let (mut first, last) = (u32::from(self.first), u32::from(self.last));
        let mut blocks = Vec::new();
        while first <= last {
            let aligned = first.trailing_zeros().min(15);
            let fits = (last - first + 1).ilog2();
            let size = 1_u32 << aligned.min(fits);
            let value = u16::try_from(first).expect("at most the last port");
            blocks.push((value, u16::MAX << size.trailing_zeros()));
            first += size;
        }
        blocks
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| InvalidPorts);
        Self::new(port(first)?, port(last)?).ok_or(InvalidPorts)
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Given::deserialize(deserializer)?.text().parse().map_err(de::Error::custom)
    }
}

/// For ports that users give: 0 is any, as in the original.
pub(crate) fn any_or_ports<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ports>, D::Error> {
    let given = Option::<Given>::deserialize(deserializer)?.map(Given::text);
    let ports = given.filter(|text| text != "0").map(|text| text.parse());
    ports.transpose().map_err(de::Error::custom)
}

/// How ports are written: as a text, or one as a number.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a port or a range of ports")]
enum Given {
    Number(u64),
    Text(String),
}

impl Given {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_a_range() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                text.parse::<Ports>().ok().map(|ports| ports.to_string()).as_deref(),
                expected,
                "{text}"
            );
        };
        check("80", Some("80"));
        check("80-90", Some("80-90"));
        check("80-80", Some("80"));
        check("90-80", None);
        check("0", None);
        check("65536", None);
        check("", None);
    }

    #[test]
    fn blocks_hold_exactly_the_ports_of_a_range() {
        for (first, last) in
            [(80, 80), (1, 65535), (8000, 8080), (1, 2), (65535, 65535), (1024, 65535), (3, 12)]
        {
            let blocks = Ports::new(first, last).expect("ports").blocks();
            assert!(blocks.len() <= 30);
            for port in 0..=u16::MAX {
                let hits = blocks.iter().filter(|(value, mask)| port & mask == *value).count();
                assert_eq!(hits, usize::from((first..=last).contains(&port)), "{port} of {first}-{last}");
            }
        }
    }
}
