//! Asking and telling who has an address, on a wire where somebody has to: ARP (RFC 826, RFC 5227) and neighbour discovery
//! (RFC 4861).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::icmpv6::{
    Icmpv6PayloadSlice, NdpOptionSlice, NeighborAdvertisementHeader, NeighborAdvertisementPayload,
    NeighborSolicitationPayload,
};
use etherparse::{EtherType, Icmpv6Type};

use crate::ethernet::{BROADCAST, Frame, is_group};
use crate::icmp_error::Sender;
use crate::ndp::{self, ALL_NODES, ALL_NODES_MAC, Message, are_options_of};

/// Hardware and protocol of an ARP packet for IPv4 over Ethernet, and the lengths of their addresses (RFC 826).
const ARP_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Operations of ARP (RFC 826).
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Types of link-layer address options, and their length in units of 8 bytes (RFC 4861, section 4.6.1).
const SOURCE_OPTION: [u8; 2] = [1, 1];
const TARGET_OPTION: [u8; 2] = [2, 1];

/// Size of an Ethernet address, in bytes.
const MAC: usize = 6;

/// That somebody has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    pub mac: [u8; 6],
}

/// The frame that asks for an address: of everybody whom it may concern, or of the one who had it last. `None` if asker
/// and address are of different families.
pub fn question(target: IpAddr, from: Sender, of: Option<[u8; 6]>) -> Option<Vec<u8>> {
    match (target, from.address) {
        (IpAddr::V4(target), IpAddr::V4(address)) => {
            let arp = arp(REQUEST, (from.mac, address), ([0; MAC], target));
            Some(frame(from.mac, of.unwrap_or(BROADCAST), EtherType::ARP, &arp))
        }
        (IpAddr::V6(target), IpAddr::V6(address)) => solicitation(target, from.mac, address, of),
        _ => None,
    }
}

/// The frame that tells everybody that an address is here, without having been asked (RFC 5227, section 3; RFC 4861, section
/// 7.2.6): one who knew it elsewhere learns better.
pub fn announcement(of: Sender, is_router: bool) -> Option<Vec<u8>> {
    match of.address {
        IpAddr::V4(address) => {
            let arp = arp(REQUEST, (of.mac, address), ([0; MAC], address));
            Some(frame(of.mac, BROADCAST, EtherType::ARP, &arp))
        }
        IpAddr::V6(target_address) => {
            let flags = NeighborAdvertisementHeader { router: is_router, solicited: false, r#override: true };
            let payload = NeighborAdvertisementPayload { target_address };
            let payload = [payload.to_bytes().as_slice(), &TARGET_OPTION, &of.mac].concat();
            let kind = Icmpv6Type::NeighborAdvertisement(flags);
            let packet = ndp::packet(target_address, ALL_NODES, kind, &payload)?;
            Some(frame(of.mac, ALL_NODES_MAC, EtherType::IPV6, &packet))
        }
    }
}

/// What an answer to such a question tells. `None` if the frame is none, or not valid.
pub fn told(frame: &[u8]) -> Option<Told> {
    let frame = Frame::parse(frame)?;
    let told = match frame.ether_type {
        EtherType::ARP => told_by_arp(frame.packet),
        _ => told_by_advertisement(&frame),
    }?;
    // Nobody speaks for a group (RFC 1812, section 3.3.2; RFC 4861, section 4.6.1 has a sender's own address in mind).
    (!is_group(told.mac) && told.mac != [0; MAC]).then_some(told)
}

fn told_by_arp(packet: &[u8]) -> Option<Told> {
    let (header, rest) = packet.split_first_chunk::<8>()?;
    let (sender_mac, rest) = rest.split_first_chunk::<MAC>()?;
    let (sender_address, _) = rest.split_first_chunk::<4>()?;
    let [kind @ .., high, low] = header;
    let is_reply = *kind == ARP_IPV4 && u16::from_be_bytes([*high, *low]) == REPLY;
    is_reply.then(|| Told { address: Ipv4Addr::from(*sender_address).into(), mac: *sender_mac })
}

fn told_by_advertisement(frame: &Frame<'_>) -> Option<Told> {
    let message = Message::parse(frame)?;
    let Some(Icmpv6PayloadSlice::NeighborAdvertisement(payload)) = message.payload() else { return None };
    if !are_options_of(message.source, payload.options_iterator()) || payload.target_address().is_multicast()
    {
        return None;
    }
    let told = payload.options_iterator().find_map(|option| match option {
        Ok(NdpOptionSlice::TargetLinkLayerAddress(option)) => option.link_layer_address().try_into().ok(),
        _ => None,
    });
    // An answer to a question of one may leave the option out (RFC 4861, section 7.2.4).
    Some(Told { address: payload.target_address().into(), mac: told.unwrap_or(frame.source) })
}

fn solicitation(target: Ipv6Addr, mac: [u8; 6], from: Ipv6Addr, of: Option<[u8; 6]>) -> Option<Vec<u8>> {
    let [.., a, b, c] = target.octets();
    // Solicited-node address (RFC 4291, section 2.7.1), and its Ethernet address (RFC 2464, section 7).
    let group: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
    let (to_mac, to) = of.map_or(([0x33, 0x33, 0xff, a, b, c], group.into()), |mac| (mac, target));
    let payload = NeighborSolicitationPayload { target_address: target };
    let payload = [payload.to_bytes().as_slice(), &SOURCE_OPTION, &mac].concat();
    let packet = ndp::packet(from, to, Icmpv6Type::NeighborSolicitation, &payload)?;
    Some(frame(mac, to_mac, EtherType::IPV6, &packet))
}

fn arp(operation: u16, sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let party = |(mac, address): ([u8; 6], Ipv4Addr)| [&mac[..], &address.octets()].concat();
    [&ARP_IPV4[..], &operation.to_be_bytes(), &party(sender), &party(target)].concat()
}

fn frame(from: [u8; 6], to: [u8; 6], kind: EtherType, packet: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.0.to_be_bytes(), packet].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbour_advertisement;

    const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const OWNER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn ipv6(last: u16) -> IpAddr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()
    }

    #[test]
    fn the_answer_to_a_question_tells_who_has_the_address() {
        for of in [None, Some(OWNER)] {
            let asked = question(ipv6(2), Sender { mac: ASKER, address: ipv6(1) }, of).expect("a question");
            let answer = neighbour_advertisement(&asked, OWNER).expect("it is valid");
            assert_eq!(told(&answer), Some(Told { address: ipv6(2), mac: OWNER }));
            assert_eq!(told(&asked), None, "a question tells nothing");
        }
        let (one, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let asked =
            question(other.into(), Sender { mac: ASKER, address: one.into() }, None).expect("a question");
        assert_eq!((&asked[..6], &asked[6..12], asked.len()), (&BROADCAST[..], &ASKER[..], 42));
        assert_eq!(told(&asked), None, "a question tells nothing");
        let answer = frame(OWNER, ASKER, EtherType::ARP, &arp(REPLY, (OWNER, other), (ASKER, one)));
        assert_eq!(told(&answer), Some(Told { address: other.into(), mac: OWNER }));
        assert_eq!(told(&answer[..30]), None);
    }

    #[test]
    fn what_speaks_for_a_group_tells_nothing() {
        let address = Ipv4Addr::new(10, 0, 0, 2);
        let arp = arp(REPLY, (BROADCAST, address), (ASKER, address));
        assert_eq!(told(&frame(OWNER, ASKER, EtherType::ARP, &arp)), None);
    }

    #[test]
    fn an_announcement_goes_to_everybody_and_overrides_what_they_know() {
        let v4 = Ipv4Addr::new(10, 0, 0, 2).into();
        let arp = announcement(Sender { mac: OWNER, address: v4 }, true).expect("an announcement");
        assert_eq!(
            (&arp[..6], &arp[28..32], &arp[38..42]),
            (&BROADCAST[..], &[10, 0, 0, 2][..], &[10, 0, 0, 2][..])
        );
        let advertisement =
            announcement(Sender { mac: OWNER, address: ipv6(2) }, true).expect("an announcement");
        assert_eq!(advertisement[..6], ALL_NODES_MAC);
        // RFC 4861, section 4.4: router and override, and not solicited.
        assert_eq!(advertisement[58], 0xa0);
        assert_eq!(told(&advertisement), Some(Told { address: ipv6(2), mac: OWNER }));
    }
}
