//! Traffic: sets of kinds of packets, as users name them and as answers show them.
//!
//! # What counts
//! What begins something: connections of TCP and UDP by the port they are to, echo requests, and all other protocols as one,
//! since no rule tells them apart. Not answers and errors, which belong to what they are about, nor what address resolution
//! needs. Echo requests are all of ICMP that connection trackers take for a beginning, and so stand for it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::ranges::Ranges;
use crate::error::Error;
use crate::traffic::{Family, Ports};

/// A kind of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Connections of TCP, by port.
    Tcp,
    /// Datagrams of UDP, by port.
    Udp,
    /// ICMP, by type (upper byte) and code.
    Icmp,
    /// ICMPv6, likewise.
    Icmpv6,
    /// All other protocols.
    Other,
}

/// Stands for all other protocols: RFC 3692 keeps it for experiments.
pub(super) const OTHER_PROTOCOL: u8 = 253;

/// Types of echo requests: RFC 792; RFC 4443, section 4.1.
const ECHO_REQUESTS: [u8; 2] = [8, 128];

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Icmpv6, Self::Other];

    /// Whether packets of a family can be of it.
    pub fn is_of(self, family: Family) -> bool {
        match self {
            Self::Tcp | Self::Udp | Self::Other => true,
            Self::Icmp => family == Family::V4,
            Self::Icmpv6 => family == Family::V6,
        }
    }

    /// All there is of it.
    fn all(self) -> Ranges {
        match self {
            Self::Tcp | Self::Udp => Ranges::of(1, u16::MAX),
            Self::Icmp => of_type(ECHO_REQUESTS[0]),
            Self::Icmpv6 => of_type(ECHO_REQUESTS[1]),
            Self::Other => Ranges::of(0, 0),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Other => "other",
        }
    }
}

/// A type with all its codes.
fn of_type(of: u8) -> Ranges {
    Ranges::of(u16::from_be_bytes([of, 0]), u16::from_be_bytes([of, u8::MAX]))
}

/// A set of kinds of packets. As text: `tcp 22,8000-8080; ping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficSet(BTreeMap<Kind, Ranges>);

impl TrafficSet {
    /// Everything that counts.
    pub fn all() -> Self {
        Self(Kind::ALL.into_iter().map(|kind| (kind, kind.all())).collect())
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Ranges::is_empty)
    }

    /// What it has of a kind.
    pub(super) fn of(&self, kind: Kind) -> Ranges {
        self.0.get(&kind).cloned().unwrap_or_default()
    }

    /// Adds values of a kind.
    pub(super) fn insert(&mut self, kind: Kind, (first, last): (u16, u16)) {
        self.0.entry(kind).or_default().insert(first, last);
    }

    /// Adds what another has.
    pub fn extend(&mut self, others: &Self) {
        for (kind, ranges) in &others.0 {
            ranges.iter().for_each(|piece| self.insert(*kind, piece));
        }
    }

    /// What another does not have.
    #[must_use]
    pub fn minus(&self, others: &Self) -> Self {
        let left = self.0.iter().map(|(kind, ranges)| (*kind, ranges.minus(&others.of(*kind))));
        Self(left.filter(|(_, ranges)| !ranges.is_empty()).collect())
    }

    /// What both have.
    #[must_use]
    pub fn both(&self, others: &Self) -> Self {
        self.minus(&self.minus(others))
    }

    /// What packets of a family can be of.
    #[must_use]
    pub fn of_family(&self, family: Family) -> Self {
        let of_family = self.0.iter().filter(|(kind, _)| kind.is_of(family));
        Self(of_family.map(|(kind, ranges)| (*kind, ranges.clone())).collect())
    }

    /// The set that texts name together.
    ///
    /// # Errors
    /// A text names none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut set = Self::default();
        for text in texts {
            set.extend(&text.parse()?);
        }
        Ok(set)
    }

    fn has_all(&self, kind: Kind) -> bool {
        self.of(kind) == kind.all()
    }

    /// ICMP and ICMPv6, in one word if that is true of both.
    fn icmp(&self) -> Vec<String> {
        let here: Vec<_> =
            [Kind::Icmp, Kind::Icmpv6].into_iter().filter(|kind| !self.of(*kind).is_empty()).collect();
        if !here.is_empty() && here.iter().all(|kind| self.has_all(*kind)) {
            return vec!["icmp".to_owned()];
        }
        here.iter().map(|kind| format!("{} code {}", kind.name(), codes(&self.of(*kind)))).collect()
    }
}

/// Codes of echo requests.
fn codes(ranges: &Ranges) -> String {
    let mut codes = Ranges::default();
    for (first, last) in ranges.iter() {
        let code = |value: u16| u16::from(value.to_be_bytes()[1]);
        codes.insert(code(first), code(last));
    }
    ports(&codes)
}

fn ports(ranges: &Ranges) -> String {
    let pieces = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    pieces.collect::<Vec<_>>().join(",")
}

impl fmt::Display for TrafficSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad("nothing");
        }
        let has_all = |kind: &Kind| self.has_all(*kind);
        let is_whole = [Kind::Tcp, Kind::Udp, Kind::Other].iter().all(has_all)
            && [Kind::Icmp, Kind::Icmpv6].iter().any(has_all)
            && [Kind::Icmp, Kind::Icmpv6].iter().all(|kind| has_all(kind) || self.of(*kind).is_empty());
        if is_whole {
            return f.pad("anything");
        }
        let of_ports = [Kind::Tcp, Kind::Udp].into_iter().filter(|kind| !self.of(*kind).is_empty());
        let mut words: Vec<_> = of_ports
            .map(|kind| match self.has_all(kind) {
                true => kind.name().to_owned(),
                false => format!("{} {}", kind.name(), ports(&self.of(kind))),
            })
            .collect();
        words.extend(self.icmp());
        if self.has_all(Kind::Other) {
            words.push("other".to_owned());
        }
        f.pad(&words.join("; "))
    }
}

impl FromStr for TrafficSet {
    type Err = Error;

    /// Reads `any`, `tcp`, `tcp 22`, `udp/53,123`, `icmp`, `other`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let reason = format!("{text} is no traffic: any, tcp 22, udp 8000-8080, icmp, other");
            Error::argument("traffic", reason)
        };
        let (name, values) = text.trim().split_once([' ', '/']).unwrap_or((text.trim(), ""));
        let kinds: &[Kind] = match name {
            "any" | "anything" => return values.is_empty().then(Self::all).ok_or_else(wrong),
            "icmp" | "ping" if values.is_empty() => &[Kind::Icmp, Kind::Icmpv6],
            "tcp" => &[Kind::Tcp],
            "udp" => &[Kind::Udp],
            "other" if values.is_empty() => &[Kind::Other],
            _ => return Err(wrong()),
        };
        let mut set = Self::default();
        for kind in kinds {
            if values.is_empty() {
                set.0.insert(*kind, kind.all());
                continue;
            }
            for ports in values.split(',') {
                let ports = ports.trim().parse::<Ports>().map_err(|_| wrong())?;
                set.insert(*kind, ports.ends());
            }
        }
        Ok(set)
    }
}

impl Serialize for TrafficSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_as_people_write_it_and_written_in_one_form() {
        let check = |texts: &[&str], expected: Option<&str>| {
            let found = TrafficSet::parse(texts.iter().copied()).ok().map(|set| set.to_string());
            assert_eq!(found.as_deref(), expected, "{texts:?}");
        };
        check(&["tcp 22"], Some("tcp 22"));
        check(&["tcp/22", "tcp 23", "tcp 80-90,443"], Some("tcp 22-23,80-90,443"));
        check(&["udp 53", "ping", "tcp"], Some("tcp; udp 53; icmp"));
        check(&["icmp"], Some("icmp"));
        check(&["any"], Some("anything"));
        check(&["tcp", "udp", "icmp", "other"], Some("anything"));
        check(&[], Some("nothing"));
        for wrong in ["", "tcp 0", "tcp x", "tcp 9-1", "any 5", "sctp", "icmp 8", "tcp 22 23"] {
            check(&[wrong], None);
        }
    }

    #[test]
    fn sets_are_taken_from_each_other() {
        let set = |text: &str| text.parse::<TrafficSet>().expect(text);
        assert_eq!(set("tcp").minus(&set("tcp 22")).to_string(), "tcp 1-21,23-65535");
        assert_eq!(set("any").minus(&set("any")).to_string(), "nothing");
        assert_eq!(set("any").both(&set("udp 53")), set("udp 53"));
        assert_eq!(set("icmp").of_family(Family::V4).minus(&set("icmp")).to_string(), "nothing");
    }
}
