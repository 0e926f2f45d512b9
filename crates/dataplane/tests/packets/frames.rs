//! Frames of guests.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{Icmpv6Type, PacketBuilder};
use topology::MacAddr;

pub(crate) type Mac = [u8; 6];

pub(crate) const BROADCAST: Mac = [0xff; 6];
pub(crate) const NOBODY: Mac = [0; 6];

/// In an Ethernet frame: the low byte of an IPv6 packet's length, what follows its header, and where that ends.
pub(crate) const IPV6_LENGTH: usize = 19;
pub(crate) const IPV6_NEXT: usize = 20;
pub(crate) const IPV6_END: usize = 54;

/// MAC address of the guest with a number.
pub(crate) const fn mac(number: u8) -> Mac {
    [2, 0, 0, 0, 0, number]
}

/// Its IPv4 address.
pub(crate) const fn ipv4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}

/// Its IPv6 address.
pub(crate) const fn ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number as u16)
}

/// Its link-local address.
pub(crate) fn link_local(number: u8) -> Ipv6Addr {
    MacAddr(mac(number)).link_local()
}

/// A datagram with this many bytes.
pub(crate) fn udp_of(size: usize, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(from.0, to.0).ipv4(from.1.octets(), to.1.octets(), 64);
    packet.udp(1000, 2000).write(&mut frame, &vec![7; size]).expect("it fits");
    frame
}

/// The same for IPv6.
pub(crate) fn udp6_of(size: usize, from: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr)) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(from.0, to.0).ipv6(from.1.octets(), to.1.octets(), 64);
    packet.udp(1000, 2000).write(&mut frame, &vec![7; size]).expect("it fits");
    frame
}

/// A small datagram from one guest to another.
pub(crate) fn udp(from: u8, to: u8) -> Vec<u8> {
    udp_of(8, (mac(from), ipv4(from)), (mac(to), ipv4(to)))
}

/// The same for IPv6.
pub(crate) fn udp6(from: u8, to: u8) -> Vec<u8> {
    udp6_of(8, (mac(from), ipv6(from)), (mac(to), ipv6(to)))
}

/// A small datagram from a guest to all.
pub(crate) fn udp_to_all(from: u8) -> Vec<u8> {
    udp_of(8, (mac(from), ipv4(from)), (BROADCAST, Ipv4Addr::BROADCAST))
}

/// What a DHCP client without address sends.
pub(crate) fn dhcp(from: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), BROADCAST).ipv4([0; 4], [255; 4], 64);
    packet.udp(68, 67).write(&mut frame, &[1; 240]).expect("it fits");
    frame
}

/// What a DHCP client with an address sends to its server.
pub(crate) fn dhcp_renewal(from: u8, source: Ipv4Addr, server: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), mac(server));
    let packet = packet.ipv4(source.octets(), ipv4(server).octets(), 64).udp(68, 67);
    packet.write(&mut frame, &[1; 240]).expect("it fits");
    frame
}

/// Sender or target of an ARP packet.
pub(crate) type Party = (Mac, Ipv4Addr);

/// An ARP packet (RFC 826).
pub(crate) fn arp(frame: (Mac, Mac), operation: u8, sender: Party, target: Party) -> Vec<u8> {
    let (from, to) = frame;
    let header = [&to[..], &from, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    [&header[..], &sender.0, &sender.1.octets(), &target.0, &target.1.octets()].concat()
}

/// A guest's question for an address; from nobody's address if it is a probe.
pub(crate) fn who_has(from: u8, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp((mac(from), BROADCAST), 1, (mac(from), sender), (NOBODY, target))
}

/// The answer to such a question.
pub(crate) fn is_at(owner: u8, target: Ipv4Addr, asker: u8, sender: Ipv4Addr) -> Vec<u8> {
    arp((mac(owner), mac(asker)), 2, (mac(owner), target), (mac(asker), sender))
}

/// An ICMPv6 message.
pub(crate) fn icmpv6(macs: (Mac, Mac), ips: (Ipv6Addr, Ipv6Addr), kind: Icmpv6Type, rest: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(macs.0, macs.1).ipv6(ips.0.octets(), ips.1.octets(), 255);
    packet.icmpv6(kind).write(&mut frame, rest).expect("it fits");
    frame
}

/// Link-layer address options (RFC 4861, section 4.6.1).
pub(crate) fn source_option(mac: Mac) -> Vec<u8> {
    [&[1, 1][..], &mac].concat()
}

fn target_option(mac: Mac) -> Vec<u8> {
    [&[2, 1][..], &mac].concat()
}

/// A solicitation to the solicited-node address.
pub(crate) fn solicitation(from: u8, source: Ipv6Addr, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c));
    let rest = [&target.octets()[..], options].concat();
    let macs = (mac(from), [0x33, 0x33, 0xff, a, b, c]);
    icmpv6(macs, (source, group), Icmpv6Type::NeighborSolicitation, &rest)
}

/// The solicited advertisement of `told` for an address, from one guest to another.
pub(crate) fn advertisement(from: u8, to: u8, target: Ipv6Addr, asker: Ipv6Addr, told: Mac) -> Vec<u8> {
    let flags = NeighborAdvertisementHeader { router: false, solicited: true, r#override: true };
    advertisement_with(flags, (mac(from), mac(to)), target, asker, told)
}

/// The same of a router.
pub(crate) fn router_is_at(from: u8, to: u8, target: Ipv6Addr, asker: Ipv6Addr) -> Vec<u8> {
    let flags = NeighborAdvertisementHeader { router: true, solicited: true, r#override: true };
    advertisement_with(flags, (mac(from), mac(to)), target, asker, mac(from))
}

fn advertisement_with(
    flags: NeighborAdvertisementHeader,
    macs: (Mac, Mac),
    target: Ipv6Addr,
    asker: Ipv6Addr,
    told: Mac,
) -> Vec<u8> {
    let rest = [&target.octets()[..], &target_option(told)].concat();
    icmpv6(macs, (target, asker), Icmpv6Type::NeighborAdvertisement(flags), &rest)
}

/// An ICMPv6 message from a guest's link-local address to all nodes.
pub(crate) fn to_all_nodes(from: u8, type_u8: u8, rest: &[u8]) -> Vec<u8> {
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let kind = Icmpv6Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0; 4] };
    icmpv6((mac(from), [0x33, 0x33, 0, 0, 0, 1]), (link_local(from), all), kind, rest)
}

/// The frame in a VLAN.
pub(crate) fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0x00, 0x05], &frame[12..]].concat()
}
