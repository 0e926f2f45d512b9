//! What guests ask: who has an address, and what they are to know. Some questions are false.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use topology::MacAddr;
use topology::walk::{Arp, Content, Icmp, Neighbour, Packet, Payload};

use super::parties::Party;
use super::{Author, EVERYBODY, ip};

impl Author {
    pub(super) fn resolution(&mut self, from: &Party, parties: &[Party]) -> Packet {
        let own = self.random.any(&from.addresses).copied();
        let target = self.random.pick(parties).clone();
        let target = match self.random.below(8) {
            0 => own,
            1 => {
                let far = self.far_away();
                self.random.any(&far).copied()
            }
            _ => self.random.any(&target.addresses).copied(),
        };
        let unknown = || IpAddr::from([10, 66, 0, 9]);
        let is_answer = self.random.percent(15);
        match target.unwrap_or_else(unknown) {
            IpAddr::V4(target) => {
                let sender = own.and_then(as_ipv4).unwrap_or(Ipv4Addr::UNSPECIFIED);
                let liar = self.random.pick(parties).clone();
                let mut arp = Arp {
                    operation: if is_answer { 2 } else { 1 },
                    sender_mac: from.mac,
                    sender_ip: sender,
                    target_mac: MacAddr([0; 6]),
                    target_ip: target,
                };
                match self.random.below(25) {
                    0 => arp.sender_mac = liar.mac,
                    1 => arp.sender_ip = liar.addresses.iter().copied().find_map(as_ipv4).unwrap_or(sender),
                    2 => arp.operation = 3,
                    _ => {}
                }
                let destination =
                    if self.random.percent(85) { EVERYBODY } else { self.random.pick(parties).mac };
                Packet { source: from.mac, destination, vlans: Vec::new(), content: Content::Arp(arp) }
            }
            IpAddr::V6(target) => {
                let liar = self.random.pick(parties).mac;
                self.neighbour_discovery(from, target, is_answer, liar)
            }
        }
    }

    fn neighbour_discovery(
        &mut self,
        from: &Party,
        target: Ipv6Addr,
        is_answer: bool,
        liar: MacAddr,
    ) -> Packet {
        let own: Vec<_> = from.addresses.iter().copied().filter(IpAddr::is_ipv6).collect();
        let source = self.random.any(&own).copied().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let said = if self.random.percent(5) { liar } else { from.mac };
        let link_layer = self.random.percent(80).then_some(said);
        let flags = if is_answer { 0x60 } else { 0 };
        let neighbour = Neighbour { is_advertisement: is_answer, flags, target, link_layer };
        let [.., a, b, c] = target.octets();
        let group =
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c));
        let macs = (from.mac, MacAddr([0x33, 0x33, 0xff, a, b, c]));
        let mut packet = ip(macs, (source, group.into()), Payload::Neighbour(neighbour));
        if let Some(ip) = packet.ip_mut() {
            // What has passed a router is no neighbour's (RFC 4861, section 7.1).
            ip.hops = if self.random.percent(95) { 255 } else { 254 };
            ip.data_bytes = 0;
        }
        packet
    }

    /// What guests ask without knowing whom.
    pub(super) fn asking(&mut self, from: &Party) -> Packet {
        let link_local = IpAddr::V6(from.mac.link_local());
        let all = |last: u16| IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last));
        let udp = |source_port, destination_port| Payload::Udp { source_port, destination_port };
        let icmp = |kind| Payload::Icmp(Icmp { kind, code: 0, identifier: 0, about: None });
        let group = |last| MacAddr([0x33, 0x33, 0, 0, 0, last]);
        let nobody = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST));
        let mut packet = match self.random.below(7) {
            0 | 1 => ip((from.mac, EVERYBODY), nobody, udp(68, 67)),
            2 => ip((from.mac, group(2)), (link_local, all(2)), udp(546, 547)),
            3 => ip((from.mac, group(2)), (link_local, all(2)), icmp(133)),
            4 => ip((from.mac, group(1)), (link_local, all(1)), icmp(134)),
            5 => ip((from.mac, group(1)), (link_local, all(1)), icmp(137)),
            _ => ip((from.mac, group(0x16)), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), all(0x16)), icmp(143)),
        };
        if let Some(ip) = packet.ip_mut().filter(|ip| ip.icmp().is_some()) {
            ip.hops = 255;
            ip.data_bytes = 16;
        }
        packet
    }
}

fn as_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
