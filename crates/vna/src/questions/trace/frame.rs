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
        let name = if packet.is_ipv4() { "icmp" } else { "icmpv6" };
        fields.push(format!("{name}_type={kind},{name}_code={code}"));
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

#[cfg(test)]
mod tests {
    use topology::MacAddr;
    use topology::walk::Icmp;

    use super::*;

    #[test]
    fn a_frame_is_written_as_a_switch_reads_it() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let check = |source: &str, destination: &str, payload: Payload, expected: &str| {
            let [source, destination] = [source, destination].map(|text| text.parse().expect("an address"));
            let packet = IpPacket {
                source,
                destination,
                hops: 64,
                dscp: 1,
                dont_fragment: false,
                fragment: Fragment::Whole,
                payload,
                data_bytes: 0,
            };
            let content = Content::Ip(packet);
            let frame = Packet { source: mac, destination: mac, vlans: vec![5], content };
            let expected = format!("{expected},dl_src={mac},dl_dst={mac},dl_vlan=5");
            assert_eq!(fields(&frame).ok().as_deref(), Some(expected.as_str()));
        };
        let echo = |kind| Payload::Icmp(Icmp { kind, code: 0, identifier: 1, about: None });
        check(
            "10.0.0.1",
            "10.0.0.2",
            echo(8),
            "ip,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=1,nw_ttl=64,nw_frag=no,nw_tos=4,icmp_type=8,icmp_code=0",
        );
        check(
            "fd00::1",
            "fd00::2",
            echo(128),
            "ipv6,ipv6_src=fd00::1,ipv6_dst=fd00::2,nw_proto=58,nw_ttl=64,nw_frag=no,nw_tos=4,icmpv6_type=128,\
             icmpv6_code=0",
        );
        check(
            "fd00::1",
            "fd00::2",
            Payload::Udp { source_port: 5, destination_port: 53 },
            "ipv6,ipv6_src=fd00::1,ipv6_dst=fd00::2,nw_proto=17,nw_ttl=64,nw_frag=no,nw_tos=4,tp_src=5,tp_dst=53",
        );
    }
}
