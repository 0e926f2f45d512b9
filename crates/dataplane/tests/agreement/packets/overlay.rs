//! Gives a packet what a flow matches, as far as a sender can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane::layout::DESTINATION_INTERFACE;
use openflow::{Field, Match, Term};
use topology::walk::{Content, Fragment, Icmp, IpPacket, Neighbour, Packet, Payload, TcpFlags};
use topology::{InterfaceKey, MacAddr, Topology};

use super::cast::register;
use super::parties::Party;
use super::spoiled::may_grow;
use super::{Author, EVERYBODY, ip};

/// Registers of the address that is asked for: see `layout::RESOLVE_ADDRESS`.
const ADDRESS: std::ops::Range<u8> = 8..12;

/// Types of VLAN tags (IEEE 802.1Q, section 9.6).
const TAG: u128 = 0x8100;
pub(super) const SERVICE_TAG: u128 = 0x88a8;

impl Author {
    /// Gives a packet what the flow asks for.
    pub(super) fn overlay(
        &mut self,
        packet: &mut Packet,
        matching: &Match,
        topology: &Topology,
        parties: &[Party],
    ) {
        self.shape(packet, matching);
        if let Some(address) = resolved(matching) {
            self.ask_for(packet, address);
        }
        let to = register(matching, DESTINATION_INTERFACE);
        let to = to.and_then(|key| topology.interface_of_key(InterfaceKey(key)));
        if let Some(to) = to.and_then(|to| parties.iter().find(|party| party.interface == to.uuid)) {
            let is_ipv4 = packet.ip().is_none_or(IpPacket::is_ipv4);
            let own: Vec<_> = to.addresses.iter().copied().filter(|of| of.is_ipv4() == is_ipv4).collect();
            let target = self.random.any(&own).copied().filter(|_| self.random.percent(60));
            if self.random.percent(60) {
                packet.destination = to.mac;
            }
            if let (Some(ip), Some(target)) = (packet.ip_mut(), target) {
                ip.destination = target;
            }
        }
        for term in matching.terms() {
            self.fill_in(packet, term);
        }
    }

    /// Makes it a packet of the flow's protocol and family.
    fn shape(&mut self, packet: &mut Packet, matching: &Match) {
        let value = |field| matching.get(field).map(|term: &Term| term.value);
        let is_ipv4 = match value(Field::EthType) {
            Some(0x0800) => true,
            Some(0x86dd) => false,
            Some(0x0806) => return,
            // Behind a tag, a switch shows another as a type.
            Some(TAG | SERVICE_TAG) => return packet.vlans = vec![5, 6],
            Some(other) => {
                let ether_type = u16::try_from(other).unwrap_or(0x88b5);
                packet.content = Content::Other { ether_type };
                return;
            }
            None => packet.ip().is_none_or(IpPacket::is_ipv4),
        };
        if let Some(kind @ (135 | 136)) = value(Field::Icmpv6Type) {
            return be_neighbour(packet, kind == 136);
        }
        let protocol = value(Field::IpProto).or(value(Field::CtNwProto));
        let (source, destination) = match packet.ip().filter(|ip| ip.is_ipv4() == is_ipv4) {
            Some(ip) => (ip.source, ip.destination),
            None if is_ipv4 => (Ipv4Addr::new(10, 66, 0, 1).into(), Ipv4Addr::new(10, 66, 0, 2).into()),
            None => ("fd66::1".parse().expect("an address"), "fd66::2".parse().expect("an address")),
        };
        let is_fit = packet.ip().is_some_and(|ip| {
            ip.is_ipv4() == is_ipv4 && protocol.is_none_or(|of| of == u128::from(ip.protocol()))
        });
        if is_fit || value(Field::EthType).is_none() && protocol.is_none() {
            return;
        }
        let icmp = |kind| Payload::Icmp(Icmp { kind, code: 0, identifier: 1, about: None });
        let payload = match protocol {
            Some(6) => Payload::Tcp { source_port: 1000, destination_port: 80, flags: TcpFlags::SYN },
            Some(1) => icmp(8),
            Some(58) => icmp(128),
            _ => Payload::Udp { source_port: 1000, destination_port: 80 },
        };
        *packet = ip((packet.source, packet.destination), (source, destination), payload);
    }

    fn ask_for(&mut self, packet: &mut Packet, address: IpAddr) {
        match (&mut packet.content, address) {
            (Content::Arp(arp), IpAddr::V4(address)) => arp.target_ip = address,
            (Content::Ip(ip), address) if ip.is_ipv4() == address.is_ipv4() => match &mut ip.payload {
                Payload::Neighbour(neighbour) => {
                    if let IpAddr::V6(address) = address {
                        neighbour.target = address;
                    }
                }
                _ => ip.destination = address,
            },
            _ => {}
        }
    }

    fn fill_in(&mut self, packet: &mut Packet, term: &Term) {
        let free = term.field.ones() & !term.mask;
        let bits = u128::try_from(self.random.below(60)).expect("a number") & free;
        let value = term.value | bits;
        let mac = |value: u128| {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            MacAddr([a, b, c, d, e, f])
        };
        let v4 = || Ipv4Addr::from(u32::try_from(value & 0xffff_ffff).expect("32 bits"));
        let v6 = || Ipv6Addr::from(value);
        match term.field {
            Field::EthSrc => packet.source = mac(value),
            Field::EthDst if term.is_exact() => packet.destination = mac(value),
            Field::EthDst if term.value & 1 << 40 != 0 => packet.destination = EVERYBODY,
            Field::VlanVid | Field::VlanTci if term.value & 0x1000 != 0 => {
                packet.vlans = vec![u16::try_from(value & 0xfff).expect("12 bits").max(5)];
            }
            Field::VlanVid | Field::VlanTci => packet.vlans.clear(),
            _ => match &mut packet.content {
                Content::Arp(arp) => match term.field {
                    Field::ArpOp => arp.operation = u16::try_from(value).unwrap_or(1),
                    Field::ArpSpa => arp.sender_ip = v4(),
                    Field::ArpTpa => arp.target_ip = v4(),
                    Field::ArpSha => arp.sender_mac = mac(value),
                    _ => {}
                },
                Content::Ip(ip) => match term.field {
                    Field::Ipv4Src | Field::CtNwSrc if ip.is_ipv4() => ip.source = v4().into(),
                    Field::Ipv4Dst | Field::CtNwDst if ip.is_ipv4() => ip.destination = v4().into(),
                    Field::Ipv6Src | Field::CtIpv6Src if !ip.is_ipv4() => ip.source = v6().into(),
                    Field::Ipv6Dst | Field::CtIpv6Dst if !ip.is_ipv4() => ip.destination = v6().into(),
                    Field::IpTtl => ip.hops = u8::try_from(value).unwrap_or(64),
                    Field::IpFrag if value & 3 == 0 => ip.fragment = Fragment::Whole,
                    Field::IpFrag if value & 3 == 1 && may_grow(&ip.payload) => ip.fragment = Fragment::First,
                    Field::IpFrag if value & 3 == 3 => {
                        ip.fragment = Fragment::Later;
                        ip.payload = Payload::Other { protocol: ip.protocol() };
                    }
                    Field::NdSll | Field::NdTll => {
                        if let Payload::Neighbour(neighbour) = &mut ip.payload {
                            neighbour.link_layer = Some(mac(value)).filter(|mac| *mac != MacAddr([0; 6]));
                        }
                    }
                    field => fill_in_payload(
                        &mut ip.payload,
                        field,
                        u16::try_from(value).unwrap_or_default(),
                        v6(),
                    ),
                },
                Content::Other { .. } => {}
            },
        }
    }
}

/// Makes it a solicitation or an advertisement.
fn be_neighbour(packet: &mut Packet, is_advertisement: bool) {
    let (source, target) = match packet.ip().filter(|ip| !ip.is_ipv4()) {
        Some(IpPacket { source, destination: IpAddr::V6(target), .. }) => (*source, *target),
        _ => (packet.source.link_local().into(), packet.source.link_local()),
    };
    let link_layer = Some(packet.source);
    let flags = if is_advertisement { 0x60 } else { 0 };
    let neighbour = Neighbour { is_advertisement, flags, target, link_layer };
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let macs = (packet.source, MacAddr([0x33, 0x33, 0, 0, 0, 1]));
    *packet = ip(macs, (source, all.into()), Payload::Neighbour(neighbour));
    if let Some(ip) = packet.ip_mut() {
        (ip.hops, ip.data_bytes) = (255, 0);
    }
}

fn fill_in_payload(payload: &mut Payload, field: Field, value: u16, address: Ipv6Addr) {
    match (payload, field) {
        (
            Payload::Tcp { source_port, .. } | Payload::Udp { source_port, .. },
            Field::TcpSrc | Field::UdpSrc | Field::CtTpSrc,
        ) => {
            *source_port = value;
        }
        (
            Payload::Tcp { destination_port, .. } | Payload::Udp { destination_port, .. },
            Field::TcpDst | Field::UdpDst | Field::CtTpDst,
        ) => *destination_port = value,
        (Payload::Icmp(icmp), Field::IcmpType | Field::Icmpv6Type | Field::CtTpSrc) => {
            // What is an error quotes something, and is made elsewhere; so is neighbour discovery.
            let is_plain = matches!(value, 0 | 8 | 128..) && !matches!(value, 135 | 136);
            icmp.kind = if is_plain { u8::try_from(value).unwrap_or(icmp.kind) } else { icmp.kind };
        }
        (Payload::Icmp(icmp), Field::IcmpCode | Field::Icmpv6Code | Field::CtTpDst) => {
            icmp.code = u8::try_from(value).unwrap_or_default();
        }
        (Payload::Neighbour(neighbour), Field::NdTarget) => neighbour.target = address,
        _ => {}
    }
}

/// The address that has to be asked for.
fn resolved(matching: &Match) -> Option<IpAddr> {
    let words: Option<Vec<_>> = ADDRESS.map(|of| register(matching, of)).collect();
    let address = words?.into_iter().fold(0_u128, |address, word| address << 32 | u128::from(word));
    let address = Ipv6Addr::from(address);
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}
