//! UDP datagrams in Ethernet frames.

use etherparse::{IpNumber, UdpSlice};

use crate::ethernet::Frame;
use crate::ip::{Addresses, Packet, Piece};

/// A whole and intact datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) addresses: Addresses,
    pub(crate) ports: Ports,
    pub(crate) payload: &'a [u8],
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) source: u16,
    pub(crate) destination: u16,
}

impl<'a> Datagram<'a> {
    /// Reads a frame.
    pub(crate) fn parse(frame: &'a [u8]) -> Option<Self> {
        let frame = Frame::parse(frame)?;
        let packet = Packet::parse(frame.ether_type, frame.packet)?;
        if packet.protocol != IpNumber::UDP || packet.piece != Piece::Whole {
            return None;
        }
        let udp = UdpSlice::from_slice(packet.payload).ok()?;
        let ports = Ports { source: udp.source_port(), destination: udp.destination_port() };
        let datagram = Self { frame, addresses: packet.addresses, ports, payload: udp.payload() };
        is_intact(&udp, packet.addresses).then_some(datagram)
    }
}

/// The IP packet with a datagram.
pub(crate) fn packet(addresses: Addresses, ports: Ports, payload: &[u8]) -> Option<Vec<u8>> {
    let builder = addresses.packet().udp(ports.source, ports.destination);
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut bytes, payload).ok()?;
    Some(bytes)
}

fn is_intact(udp: &UdpSlice<'_>, addresses: Addresses) -> bool {
    let header = udp.to_header();
    let checksum = match addresses {
        // RFC 768: zero says that there is none. RFC 8200, section 8.1: not so for IPv6.
        Addresses::V4 { .. } if udp.checksum() == 0 => return true,
        Addresses::V4 { source, destination } => {
            header.calc_checksum_ipv4_raw(source.octets(), destination.octets(), udp.payload())
        }
        Addresses::V6 { source, destination } => {
            header.calc_checksum_ipv6_raw(source.octets(), destination.octets(), udp.payload())
        }
    };
    checksum.is_ok_and(|checksum| checksum == udp.checksum())
}
