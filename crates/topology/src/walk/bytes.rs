//! Packets to bytes, and from bytes (`reading`).
//!
//! What a [`Packet`] does not keep is written in one way: data is [`FILL`], sequence numbers are those of a connection that has
//! carried nothing yet, checksums are right. So two packets are equal if and only if their bytes are.

mod reading;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet::{
    Arp, Content, Fragment, IpPacket, Neighbour, OTHER_BYTES, Packet, Payload, TcpFlags, protocol,
};

/// Every byte of data.
pub const FILL: u8 = 7;

/// EtherTypes (IEEE 802).
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;

/// Header of a fragment (RFC 8200, section 4.5).
const FRAGMENT_HEADER: u8 = 44;

/// Flags of IPv4: don't fragment, more fragments (RFC 791, section 3.1).
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;

/// Where a later fragment begins, in units of 8 bytes: behind one that fills an Ethernet frame.
const LATER: u16 = 185;

/// First sequence number of either end of a connection.
const INITIAL_SEQUENCE: u32 = 1000;

impl Packet {
    /// As an interface sends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [self.destination.0, self.source.0].concat();
        for vlan in &self.vlans {
            bytes.extend([0x81, 0x00]);
            bytes.extend(vlan.to_be_bytes());
        }
        let (ether_type, content) = match &self.content {
            Content::Arp(arp) => (ARP, arp_bytes(arp)),
            Content::Ip(ip) => (if ip.is_ipv4() { IPV4 } else { IPV6 }, ip.to_bytes()),
            Content::Other { ether_type } => (*ether_type, fill(usize::from(OTHER_BYTES))),
        };
        bytes.extend(ether_type.to_be_bytes());
        bytes.extend(content);
        bytes
    }
}

fn fill(bytes: usize) -> Vec<u8> {
    vec![FILL; bytes]
}

fn arp_bytes(arp: &Arp) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend(arp.operation.to_be_bytes());
    bytes.extend(arp.sender_mac.0);
    bytes.extend(arp.sender_ip.octets());
    bytes.extend(arp.target_mac.0);
    bytes.extend(arp.target_ip.octets());
    bytes
}

impl IpPacket {
    fn to_bytes(&self) -> Vec<u8> {
        let carried = self.carried();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.ipv4(source, destination, carried),
            (source, destination) => self.ipv6(as_ipv6(source), as_ipv6(destination), carried),
        }
    }

    fn ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr, carried: Vec<u8>) -> Vec<u8> {
        let (identifier, place) = match self.fragment {
            Fragment::Whole => (0_u16, 0),
            Fragment::First => (1, MORE_FRAGMENTS),
            // Another packet's, so that nobody puts together what does not belong together.
            Fragment::Later => (2, LATER),
        };
        let dont_fragment = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        let length = u16::try_from(20 + carried.len()).unwrap_or(u16::MAX);
        let mut header = vec![0x45, self.dscp << 2];
        for word in [length, identifier, place | dont_fragment] {
            header.extend(word.to_be_bytes());
        }
        header.extend([self.hops, self.protocol()]);
        let addresses = [source.octets(), destination.octets()].concat();
        let sum = checksum(&[&header, &addresses]);
        header.extend(sum.to_be_bytes());
        [header, addresses, carried].concat()
    }

    fn ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr, carried: Vec<u8>) -> Vec<u8> {
        let fragment = match self.fragment {
            Fragment::Whole => Vec::new(),
            Fragment::First => vec![self.protocol(), 0, 0, 1, 0, 0, 0, 1],
            Fragment::Later => {
                let [high, low] = (LATER << 3).to_be_bytes();
                vec![self.protocol(), 0, high, low, 0, 0, 0, 2]
            }
        };
        let next = if fragment.is_empty() { self.protocol() } else { FRAGMENT_HEADER };
        let length = u16::try_from(fragment.len() + carried.len()).unwrap_or(u16::MAX);
        let mut header = (0x6000_0000_u32 | u32::from(self.dscp) << 22).to_be_bytes().to_vec();
        header.extend(length.to_be_bytes());
        header.extend([next, self.hops]);
        [header, source.octets().to_vec(), destination.octets().to_vec(), fragment, carried].concat()
    }

    /// What follows the IP headers.
    fn carried(&self) -> Vec<u8> {
        let data = fill(usize::from(self.data_bytes));
        match &self.payload {
            Payload::Tcp { source_port, destination_port, flags } => {
                self.summed(tcp(*source_port, *destination_port, *flags), 16, data)
            }
            Payload::Udp { source_port, destination_port } => {
                let length = 8_u16.saturating_add(self.data_bytes);
                let words = [*source_port, *destination_port, length, 0];
                self.summed(words.map(u16::to_be_bytes).concat(), 6, data)
            }
            Payload::Icmp(icmp) => {
                let about = icmp.about.as_ref().map(|about| about.to_bytes()).unwrap_or_default();
                let [high, low] = icmp.identifier.to_be_bytes();
                let header = vec![icmp.kind, icmp.code, 0, 0, high, low, 0, 0];
                self.summed([header, about].concat(), 2, data)
            }
            Payload::Neighbour(neighbour) => self.summed(neighbour_bytes(neighbour), 2, data),
            Payload::Other { .. } => data,
        }
    }

    /// With the checksum in its place (RFC 1071), over the pseudo-header too where the protocol wants it.
    fn summed(&self, header: Vec<u8>, place: usize, data: Vec<u8>) -> Vec<u8> {
        let mut bytes = [header, data].concat();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        let addresses = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => [source.octets(), destination.octets()].concat(),
            (source, destination) => [as_ipv6(source).octets(), as_ipv6(destination).octets()].concat(),
        };
        let pseudo = match self.protocol() {
            protocol::ICMP => Vec::new(),
            number => [&addresses[..], &length, &[0, 0, 0, number]].concat(),
        };
        let sum = match checksum(&[&pseudo, &bytes]) {
            // RFC 768: none is told apart from zero.
            0 if self.protocol() == protocol::UDP => u16::MAX,
            sum => sum,
        };
        bytes.splice(place..place + 2, sum.to_be_bytes());
        bytes
    }
}

fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn tcp(source: u16, destination: u16, flags: TcpFlags) -> Vec<u8> {
    let TcpFlags { syn, ack, fin, rst } = flags;
    let sequence = if syn { INITIAL_SEQUENCE } else { INITIAL_SEQUENCE + 1 };
    let acknowledged = if ack { INITIAL_SEQUENCE + 1 } else { 0 };
    let bits = u8::from(fin) | u8::from(syn) << 1 | u8::from(rst) << 2 | u8::from(ack) << 4;
    let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    bytes.extend([sequence, acknowledged].map(u32::to_be_bytes).concat());
    bytes.extend([0x50, bits, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

fn neighbour_bytes(neighbour: &Neighbour) -> Vec<u8> {
    let mut bytes = vec![neighbour.kind(), 0, 0, 0, neighbour.flags, 0, 0, 0];
    bytes.extend(neighbour.target.octets());
    if let Some(mac) = neighbour.link_layer {
        bytes.extend([if neighbour.is_advertisement { 2 } else { 1 }, 1]);
        bytes.extend(mac.0);
    }
    bytes
}

/// The Internet checksum (RFC 1071). All parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2)).map(|pair| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::MacAddr;
    use crate::walk::packet::Icmp;

    fn ip(source: &str, destination: &str, payload: Payload, fragment: Fragment) -> Packet {
        let address = |text: &str| text.parse().expect("an address");
        let (source, destination): (IpAddr, IpAddr) = (address(source), address(destination));
        let dont_fragment = fragment == Fragment::Whole && source.is_ipv4();
        let content = Content::Ip(IpPacket {
            source,
            destination,
            hops: 9,
            dscp: 46,
            dont_fragment,
            fragment,
            payload,
            data_bytes: 16,
        });
        let (source, destination) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        Packet { source, destination, vlans: vec![5], content }
    }

    fn samples() -> Vec<Packet> {
        let tcp = || Payload::Tcp { source_port: 1, destination_port: 2, flags: TcpFlags::SYN_ACK };
        let udp = || Payload::Udp { source_port: 1, destination_port: 2 };
        let echo = |kind| Payload::Icmp(Icmp { kind, code: 0, identifier: 77, about: None });
        let target = "fd00::2".parse().expect("an address");
        let neighbour = |is_advertisement| {
            let link_layer = Some(MacAddr([2, 0, 0, 0, 0, 1]));
            Payload::Neighbour(Neighbour { is_advertisement, flags: 0x60, target, link_layer })
        };
        let mut samples = Vec::new();
        for (source, destination, kind) in [("10.0.0.1", "10.0.0.2", 8), ("fd00::1", "fd00::2", 128)] {
            for payload in [tcp(), udp(), echo(kind), Payload::Other { protocol: 47 }] {
                samples.push(ip(source, destination, payload, Fragment::Whole));
            }
            samples.push(ip(source, destination, udp(), Fragment::First));
            samples.push(ip(source, destination, Payload::Other { protocol: 17 }, Fragment::Later));
            let about = samples.first().and_then(Packet::ip).filter(|of| of.is_ipv4() == (kind == 8));
            let about = about.cloned().map(Box::new);
            let kind = if kind == 8 { 3 } else { 1 };
            samples.push(ip(
                source,
                destination,
                Payload::Icmp(Icmp { kind, code: 1, identifier: 0, about }),
                Fragment::Whole,
            ));
        }
        for is_advertisement in [false, true] {
            let mut sample = ip("fd00::1", "fd00::2", neighbour(is_advertisement), Fragment::Whole);
            if let Some(ip) = sample.ip_mut() {
                ip.data_bytes = 0;
            }
            samples.push(sample);
        }
        samples
    }

    #[test]
    fn what_is_written_is_read_again() {
        for mut sample in samples() {
            let bytes = sample.to_bytes();
            assert_eq!(Packet::from_bytes(&bytes).as_ref(), Some(&sample), "{bytes:02x?}");
            let length = u32::try_from(bytes.len()).expect("a frame");
            let ip = sample.ip_mut().expect("an IP packet");
            assert_eq!(length, 18 + ip.total_bytes());
        }
    }

    #[test]
    fn whatever_is_read_is_no_surprise() {
        for sample in samples() {
            let bytes = sample.to_bytes();
            for length in 0..bytes.len() {
                let _ = Packet::from_bytes(bytes.get(..length).expect("a part"));
            }
            for place in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed.get_mut(place).into_iter().for_each(|byte| *byte ^= 0xff);
                let _ = Packet::from_bytes(&changed);
            }
        }
    }
}
