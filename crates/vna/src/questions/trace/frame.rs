//! A frame as the fields of a flow: what a guest sends, for a switch to trace. Pure.

use std::net::IpAddr;

use sync::question::Refusal;
use topology::walk::{Arp, Content, Fragment, IpPacket, Neighbour, Packet, Payload};

/// As `ovs-ofctl(8)` writes it.
pub(super) fn fields(frame: &Packet) -> Result<String, Refusal> {
    let mut fields = match &frame.content {
        Content::Arp(arp) => of_arp(arp),
        Content::Ip(packet) => of_ip(packet),
        Content::Other { ether_type } => vec![format!("dl_type={ether_type:#06x}")],
    };
    fields.push(format!("dl_src={},dl_dst={}", frame.source, frame.destination));
    match frame.vlans.as_slice() {
        [] => {}
        [vlan] => fields.push(format!("dl_vlan={vlan}")),
        _ => return Err(Refusal::Invalid("a packet with several VLAN tags cannot be traced".to_owned())),
    }
    Ok(fields.join(","))
}

/// Length of a frame's addresses and type, in bytes, and of a VLAN tag (IEEE 802.3, IEEE 802.1Q).
const HEADER: u32 = 14;
const TAG: u32 = 4;

/// How long it is, in bytes, as far as that is known: of other frames than IP packets, nothing but the header is.
pub(super) fn bytes(frame: &Packet) -> u32 {
    let content = frame.ip().map_or(0, IpPacket::total_bytes);
    let tags = u32::try_from(frame.vlans.len()).unwrap_or(u32::MAX);
    tags.saturating_mul(TAG).saturating_add(HEADER).saturating_add(content)
}

fn of_arp(arp: &Arp) -> Vec<String> {
    vec![
        "arp".to_owned(),
        format!("arp_op={},arp_spa={},arp_tpa={}", arp.operation, arp.sender_ip, arp.target_ip),
        format!("arp_sha={},arp_tha={}", arp.sender_mac, arp.target_mac),
    ]
}

fn of_ip(packet: &IpPacket) -> Vec<String> {
    let (protocol, addresses) = match (packet.source, packet.destination) {
        (IpAddr::V4(source), destination) => ("ip", format!("nw_src={source},nw_dst={destination}")),
        (IpAddr::V6(source), destination) => ("ipv6", format!("ipv6_src={source},ipv6_dst={destination}")),
    };
    let fragment = match packet.fragment {
        Fragment::Whole => "no",
        Fragment::First => "first",
        Fragment::Later => "later",
    };
    let mut fields = vec![
        protocol.to_owned(),
        addresses,
        format!("nw_proto={},nw_ttl={},nw_frag={fragment}", packet.protocol(), packet.hops),
        // The upper six bits are the code point (RFC 2474, section 3).
        format!("nw_tos={}", packet.dscp << 2),
    ];
    if let Some((source, destination)) = packet.ports() {
        fields.push(format!("tp_src={source},tp_dst={destination}"));
    }
    if let Some((kind, code)) = packet.icmp() {
        fields.push(format!("icmp_type={kind},icmp_code={code}"));
    }
    if let Payload::Neighbour(neighbour) = &packet.payload {
        fields.extend(of_neighbour(neighbour));
    }
    fields
}

fn of_neighbour(neighbour: &Neighbour) -> Vec<String> {
    let option = if neighbour.is_advertisement { "nd_tll" } else { "nd_sll" };
    let link_layer = neighbour.link_layer.map(|address| format!("{option}={address}"));
    std::iter::once(format!("nd_target={}", neighbour.target)).chain(link_layer).collect()
}
