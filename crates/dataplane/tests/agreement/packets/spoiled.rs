//! Packets made wrong, or unusual.

use std::net::IpAddr;

use topology::walk::{Content, Fragment, Icmp, Packet, Payload};

use super::Author;
use super::parties::Party;
use crate::forms::Form;

/// What is longer is about sizes, in bytes, and keeps its own.
const LARGE: u16 = 500;

impl Author {
    /// Makes something wrong with a packet, sometimes.
    pub(super) fn spoil(&mut self, mut packet: Packet, parties: &[Party]) -> Packet {
        match self.random.below(40) {
            0 => packet.source = self.random.pick(parties).mac,
            1 => packet.vlans = vec![5],
            2 => packet.vlans = vec![6, 5],
            3 => packet.destination = self.random.pick(parties).mac,
            // A tag of no VLAN gives only a priority (IEEE 802.1Q, section 6.9.3), and is a tag all the same.
            4 => packet.vlans = vec![0],
            5 => return self.malformed(packet),
            _ => {}
        }
        let other = self.random.pick(parties).addresses.first().copied();
        let (chance, ttl) = (self.random.below(40), u8::try_from(self.random.below(3)).expect("few"));
        let random = &mut self.random;
        let Some(ip) = packet.ip_mut() else { return packet };
        match chance {
            0 | 1 => ip.source = other.filter(|of| of.is_ipv4() == ip.is_ipv4()).unwrap_or(ip.source),
            2 => ip.hops = ttl,
            3 if may_grow(&ip.payload) => {
                // A port takes no more than 1,500 bytes.
                ip.data_bytes = 1370 + u16::try_from(random.below(75)).expect("few");
                ip.dont_fragment = ip.is_ipv4() && random.percent(50);
            }
            4 if may_grow(&ip.payload) => {
                ip.fragment = Fragment::First;
                ip.dont_fragment = false;
            }
            5 if may_grow(&ip.payload) => {
                ip.fragment = Fragment::Later;
                ip.payload = Payload::Other { protocol: ip.protocol() };
                ip.dont_fragment = false;
            }
            6 => ip.dscp = 10,
            7 if may_grow(&ip.payload) => {
                // Cut off within the transport header.
                ip.payload = Payload::Other { protocol: ip.protocol() };
                ip.data_bytes = 3;
            }
            8 if ip.is_ipv4() => ip.destination = IpAddr::from([127, 0, 0, 1]),
            _ => {}
        }
        packet
    }

    /// A frame that does not hold what it says: headers cut short, lengths beyond its end, versions that do not exist.
    fn malformed(&mut self, packet: Packet) -> Packet {
        let ether_type = *self.random.pick(&[0x0800, 0x86dd, 0x0806]);
        Packet { content: Content::Other { ether_type }, ..packet }
    }

    /// How a packet is written.
    pub(super) fn form(&mut self, packet: &Packet) -> Form {
        let chosen = self.random.below(100);
        let Some(ip) = packet.ip().filter(|ip| ip.data_bytes < LARGE) else { return Form::Plain };
        let is_plain = matches!(&ip.payload, Payload::Tcp { .. } | Payload::Udp { source_port: 1000.., .. });
        let is_later = ip.fragment == Fragment::Later && ip.is_ipv4();
        match chosen {
            0..3 if is_plain && ip.is_ipv4() => Form::Options,
            0..3 if is_plain && ip.fragment == Fragment::Whole => Form::Extended,
            3..6 => Form::Padded,
            6..50 if is_later => Form::Overlapping,
            _ => Form::Plain,
        }
    }
}

pub(super) fn may_grow(payload: &Payload) -> bool {
    // What asks for an address is no fragment of anything.
    matches!(payload, Payload::Udp { source_port: 1000.., .. } | Payload::Icmp(Icmp { kind: 8 | 128, .. }))
}
