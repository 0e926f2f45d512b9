//! Frames that no honest network stack would send, from their Ethernet header on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{Icmpv6Type, IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use lab::{Encapsulation, MacAddr};

/// The Ethernet address of everybody.
pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
/// All IPv6 nodes of a link (RFC 4291, section 2.7.1), and their Ethernet address (RFC 2464, section 7).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
/// An Ethernet protocol for experiments (IEEE 802, section 9.2.4).
pub const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

/// Class, type and length in words of the tunnel option by which hosts know each other's frames.
const TUNNEL_OPTION: [u8; 4] = [0xff, 0x56, 0x80, 2];
/// Transparent Ethernet bridging, in Geneve and GRE.
const ETHERNET: [u8; 2] = [0x65, 0x58];
/// Neighbour discovery has passed no router (RFC 4861, section 7.1).
const FROM_NEIGHBOUR: u8 = 255;

/// Sender and receiver, on one layer.
pub type Pair<T> = (T, T);

/// A datagram to a port, which says what it is.
pub fn udp(macs: Pair<MacAddr>, ips: Pair<IpAddr>, port: u16) -> Vec<u8> {
    let ip = match ips {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from, to),
        (from, to) => ipv6(as_v6(from), as_v6(to), 64),
    };
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(macs.0.0, macs.1.0).ip(ip).udp(1000, port);
    packet.write(&mut frame, &[7; 18]).expect("it fits");
    frame
}

/// What ARP says of a machine.
pub type Party = (MacAddr, IpAddr);

/// An ARP packet (RFC 826): operation 1 asks, 2 answers.
pub fn arp(macs: Pair<MacAddr>, operation: u8, sender: Party, target: Party) -> Vec<u8> {
    let header = [&macs.1.0[..], &macs.0.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    let body = [&sender.0.0[..], &as_v4(sender.1).octets(), &target.0.0, &as_v4(target.1).octets()].concat();
    [header, body].concat()
}

/// A neighbour solicitation, with any options.
pub fn solicitation(macs: Pair<MacAddr>, ips: Pair<IpAddr>, target: IpAddr, options: &[u8]) -> Vec<u8> {
    let body = [&as_v6(target).octets()[..], options].concat();
    icmpv6(macs, ips, Icmpv6Type::NeighborSolicitation, &body)
}

/// A neighbour advertisement that claims to override what is known, with any options; solicited unless it is to all.
pub fn advertisement(macs: Pair<MacAddr>, ips: Pair<IpAddr>, target: IpAddr, options: &[u8]) -> Vec<u8> {
    let solicited = ips.1 != IpAddr::V6(ALL_NODES);
    let flags = NeighborAdvertisementHeader { router: false, solicited, r#override: true };
    let body = [&as_v6(target).octets()[..], options].concat();
    icmpv6(macs, ips, Icmpv6Type::NeighborAdvertisement(flags), &body)
}

/// A router advertisement to all nodes, with a /64 prefix to make addresses of (RFC 4861, sections 4.2 and 4.6.2).
pub fn router_advertisement(from: Party, prefix: Ipv6Addr) -> Vec<u8> {
    let lifetimes = [3600_u32.to_be_bytes(), 3600_u32.to_be_bytes(), [0; 4]].concat();
    let option = [&[3, 4, 64, 0xc0][..], &lifetimes, &prefix.octets()].concat();
    // Hop limit 64, no flags, a router for 1800 s; no reachable and no retransmission time.
    let kind = Icmpv6Type::Unknown { type_u8: 134, code_u8: 0, bytes5to8: [64, 0, 0x07, 0x08] };
    icmpv6((from.0, ALL_NODES_MAC), (from.1, ALL_NODES.into()), kind, &[&[0; 8][..], &option].concat())
}

/// A redirect: whoever sends to `target` shall send to the sender (RFC 4861, section 4.5).
pub fn redirect(macs: Pair<MacAddr>, ips: Pair<IpAddr>, target: IpAddr) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown { type_u8: 137, code_u8: 0, bytes5to8: [0; 4] };
    let body = [as_v6(target).octets(), as_v6(target).octets()].concat();
    icmpv6(macs, ips, kind, &[&body, &target_option(macs.0)[..]].concat())
}

/// The source link-layer address option (RFC 4861, section 4.6.1).
pub fn source_option(mac: MacAddr) -> Vec<u8> {
    [&[1, 1][..], &mac.0].concat()
}

/// The target link-layer address option (RFC 4861, section 4.6.1).
pub fn target_option(mac: MacAddr) -> Vec<u8> {
    [&[2, 1][..], &mac.0].concat()
}

/// The multicast address at which the owner of an address is asked (RFC 4291, section 2.7.1), on both layers.
pub fn solicited_node(target: IpAddr) -> (MacAddr, IpAddr) {
    let [.., a, b, c] = as_v6(target).octets();
    let [low, high] = [u16::from_be_bytes([b, c]), u16::from_be_bytes([0xff, a])];
    (MacAddr([0x33, 0x33, 0xff, a, b, c]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low).into())
}

/// The frame in a VLAN; number 0 is none, only a priority (IEEE 802.1Q).
pub fn tagged(vlan: u8, frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0x00, 0x00, vlan], rest].concat()
}

/// The same IPv6 packet with one more header of 8 bytes, before what it carries: destination options, or the header of the
/// first fragment of a message that has no second one (RFC 8200, sections 4.5 and 4.6).
pub fn behind(header: Header, frame: &[u8]) -> Vec<u8> {
    let (fixed, message) = frame.split_at(54);
    let (mut fixed, next) = (fixed.to_vec(), fixed[20]);
    let (number, header) = match header {
        Header::DestinationOptions => (60, [next, 0, 1, 4, 0, 0, 0, 0]),
        Header::FirstFragment => (44, [next, 0, 0, 1, 0, 0, 0, 1]),
    };
    let length = u16::try_from(header.len() + message.len()).expect("a short message");
    fixed[18..20].copy_from_slice(&length.to_be_bytes());
    fixed[20] = number;
    [&fixed, &header[..], message].concat()
}

/// A header that may stand before a message of neighbour discovery, and should not (RFC 6980).
#[derive(Debug, Clone, Copy)]
pub enum Header {
    DestinationOptions,
    FirstFragment,
}

/// What a frame in a tunnel says besides itself.
#[derive(Debug, Clone, Copy)]
pub struct TunnelKeys {
    /// The network's or segment's key.
    pub domain: u32,
    /// The source interface's.
    pub source: u32,
    /// The destination interface's; 0 for all.
    pub destination: u32,
}

/// A frame in a tunnel, as one host sends it to another.
pub fn tunnelled(
    encapsulation: Encapsulation,
    macs: Pair<MacAddr>,
    ips: Pair<IpAddr>,
    keys: TunnelKeys,
    frame: &[u8],
) -> Vec<u8> {
    let [_, domain @ ..] = keys.domain.to_be_bytes();
    let [[_, source @ ..], [_, destination @ ..]] = [keys.source, keys.destination].map(u32::to_be_bytes);
    let (port, header) = match encapsulation {
        // RFC 8926, section 3.4: three words of options, one of them critical.
        Encapsulation::Geneve => {
            let option = [&TUNNEL_OPTION[..], &source, &destination, &[0; 2]].concat();
            (Some(6081), [&[3, 0x40], &ETHERNET[..], &domain, &[0], &option].concat())
        }
        // RFC 7348, section 5.
        Encapsulation::Vxlan => (Some(4789), [&[8, 0, 0, 0][..], &domain, &[0]].concat()),
        // RFC 2890, section 2.
        Encapsulation::Gre => (None, [&[0x20, 0], &ETHERNET[..], &keys.domain.to_be_bytes()].concat()),
    };
    let payload = [header, frame.to_vec()].concat();
    let packet = PacketBuilder::ethernet2(macs.0.0, macs.1.0).ip(ipv4(as_v4(ips.0), as_v4(ips.1)));
    let mut outer = Vec::new();
    let written = match port {
        Some(port) => packet.udp(50_000, port).write(&mut outer, &payload),
        None => packet.write(&mut outer, IpNumber::GRE, &payload),
    };
    written.expect("it fits");
    outer
}

fn icmpv6(macs: Pair<MacAddr>, ips: Pair<IpAddr>, kind: Icmpv6Type, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let ip = ipv6(as_v6(ips.0), as_v6(ips.1), FROM_NEIGHBOUR);
    let packet = PacketBuilder::ethernet2(macs.0.0, macs.1.0).ip(ip).icmpv6(kind);
    packet.write(&mut frame, body).expect("it fits");
    frame
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr) -> IpHeaders {
    let (source, destination) = (from.octets(), to.octets());
    let header = Ipv4Header { source, destination, time_to_live: 64, ..Ipv4Header::default() };
    IpHeaders::Ipv4(header, Default::default())
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, hop_limit: u8) -> IpHeaders {
    let (source, destination) = (from.octets(), to.octets());
    IpHeaders::Ipv6(
        Ipv6Header { source, destination, hop_limit, ..Ipv6Header::default() },
        Default::default(),
    )
}

fn as_v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address} is no IPv4 address"),
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => panic!("{address} is no IPv6 address"),
    }
}
