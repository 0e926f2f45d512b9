//! Packets made wrong, or unusual.

use std::net::IpAddr;

use topology::walk::{Content, Fragment, Icmp, Packet, Payload};

use super::Author;
use super::parties::Party;
use crate::forms::Form;
use crate::scene::host_of;

/// What is longer is about sizes, in bytes, and keeps its own.
const LARGE: u16 = 500;

/// Data around what fits tunnels, in bytes. With headers of 28 or 48 that is 1,418 or more, by the tunnel and its underlay, and a port takes
/// no more than 1,500.
const AROUND_TUNNELS: std::ops::Range<u16> = 1370..1445;

impl Author {
    /// A packet that hardly fits a tunnel, or does not, for somebody in its sender's domain on another host.
    pub(super) fn large(&mut self, from: &Party, parties: &[Party]) -> Option<Packet> {
        let is_far =
            |of: &&Party| of.domain == from.domain && host_of(&of.interface) != host_of(&from.interface);
        let far: Vec<_> = parties.iter().filter(|of| !of.is_simulated && is_far(of)).collect();
        let to = *self.random.any(&far)?;
        let mut packet = self.plain_between(from, to)?;
        let (bytes, is_whole) = (self.around_tunnels(), self.random.percent(50));
        let ip = packet.ip_mut().filter(|ip| may_grow(&ip.payload))?;
        (ip.data_bytes, ip.dont_fragment) = (bytes, ip.is_ipv4() && is_whole);
        Some(packet)
    }

    /// Bytes of data that just fit a tunnel, or just do not.
    pub(super) fn around_tunnels(&mut self) -> u16 {
        let above = self.random.below(AROUND_TUNNELS.len());
        AROUND_TUNNELS.start + u16::try_from(above).expect("few")
    }

    /// Between addresses of one family that both have, if there is one.
    fn plain_between(&mut self, from: &Party, to: &Party) -> Option<Packet> {
        let target = self.random.any(&to.addresses).copied()?;
        let source = from.addresses.iter().copied().find(|of| of.is_ipv4() == target.is_ipv4())?;
        Some(self.packet((from.mac, to.mac), (source, target)))
    }

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
        let bytes = self.around_tunnels();
        let random = &mut self.random;
        let Some(ip) = packet.ip_mut() else { return packet };
        match chance {
            0 | 1 => ip.source = other.filter(|of| of.is_ipv4() == ip.is_ipv4()).unwrap_or(ip.source),
            2 => ip.hops = ttl,
            3 if may_grow(&ip.payload) => {
                ip.data_bytes = bytes;
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
