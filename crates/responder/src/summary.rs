//! What a packet is, in words for people.

use std::net::IpAddr;

use etherparse::{EtherType, IpNumber};

use crate::ethernet::Frame;
use crate::ip::{Packet, Piece};

/// The destination of an Ethernet frame's IP packet.
pub fn destination(frame: &[u8]) -> Option<IpAddr> {
    let frame = Frame::parse(frame)?;
    Some(Packet::parse(frame.ether_type, frame.packet)?.addresses.destination())
}

/// Whether an Ethernet frame holds a TCP segment, or the first part of one.
pub fn is_tcp(frame: &[u8]) -> bool {
    let packet = Frame::parse(frame).and_then(|frame| Packet::parse(frame.ether_type, frame.packet));
    packet.is_some_and(|packet| packet.protocol == IpNumber::TCP)
}

/// An Ethernet frame in one line: `tcp 10.0.0.2:40000 > 10.0.0.1:80`.
pub fn summary(frame: &[u8]) -> String {
    let Some(frame) = Frame::parse(frame) else { return "no Ethernet frame".to_owned() };
    let Some(packet) = Packet::parse(frame.ether_type, frame.packet) else {
        let kind = if frame.ether_type == EtherType::ARP { "arp" } else { "no IP packet" };
        return kind.to_owned();
    };
    let (source, destination) = (packet.addresses.source(), packet.addresses.destination());
    let name = packet.protocol.keyword_str().unwrap_or("unknown").to_lowercase();
    let port = |at| Some(u16::from_be_bytes(packet.payload.get(at..at + 2)?.try_into().ok()?));
    let has_ports = matches!(packet.protocol, IpNumber::TCP | IpNumber::UDP) && packet.piece != Piece::Later;
    match (port(0), port(2)) {
        (Some(from), Some(to)) if has_ports => {
            format!("{name} {} > {}", with_port(source, from), with_port(destination, to))
        }
        _ => format!("{name} {source} > {destination}"),
    }
}

fn with_port(address: IpAddr, port: u16) -> std::net::SocketAddr {
    (address, port).into()
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn check(frame: &[u8], expected: &str) {
        assert_eq!(summary(frame), expected);
    }

    #[test]
    fn a_summary_names_protocol_addresses_and_ports() {
        let mut frame = Vec::new();
        let packet = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
        packet.udp(1000, 53).write(&mut frame, &[]).expect("it fits");
        check(&frame, "udp 10.0.0.2:1000 > 10.0.0.1:53");
        check(&frame[..20], "no IP packet");
        check(&[], "no Ethernet frame");
        let mut frame = Vec::new();
        let packet = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([0xfd; 16], [0xfe; 16], 64);
        packet.tcp(1, 2, 3, 4).write(&mut frame, &[]).expect("it fits");
        assert!(summary(&frame).starts_with("tcp [fdfd:"));
        assert!(is_tcp(&frame));
    }
}
