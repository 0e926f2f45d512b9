//! Neighbour advertisements for solicitations that flows cannot turn into one: there is no option to rewrite, or the
//! answer goes to all nodes and needs one (RFC 4861, section 7.2.4).

use std::net::Ipv6Addr;

use etherparse::icmpv6::{
    Icmpv6PayloadSlice, NdpOptionSlice, NeighborAdvertisementHeader, NeighborAdvertisementPayload,
    NeighborSolicitationPayloadSlice,
};
use etherparse::{
    EtherType, Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6ExtensionSlice, Ipv6HeaderSlice, Ipv6Slice,
    PacketBuilder,
};

use crate::ethernet::{Frame, is_group};

/// Hop limit of neighbour discovery: its packets have passed no router (RFC 4861, section 7.1.1).
const FROM_NEIGHBOUR: u8 = 255;

/// Type and length, in units of 8 bytes, of the target link-layer address option (RFC 4861, section 4.6.1).
const TARGET_OPTION: [u8; 2] = [2, 1];

/// All nodes of the link (RFC 4291, section 2.7.1), and the Ethernet address of that group (RFC 2464, section 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Whether it is a router: hosts drop one that does not say so from their list (RFC 4861, section 7.2.5).
    pub is_router: bool,
}

impl From<[u8; 6]> for Neighbour {
    /// A host, not a router.
    fn from(mac: [u8; 6]) -> Self {
        Self { mac, is_router: false }
    }
}

/// A valid solicitation.
struct Solicitation {
    source: Ipv6Addr,
    target: Ipv6Addr,
}

/// The advertisement of a neighbour for an Ethernet frame with a solicitation of its address.
///
/// It goes to all nodes if the solicitation came from the unspecified address, as duplicate address detection does
/// (RFC 4862, section 5.4.3), and else back to where it came from. It tells the target's link-layer address in either
/// case, and claims to override what is known (RFC 4861, section 7.2.4).
///
/// `None` if the frame holds no solicitation, or one that is not valid (RFC 4861, section 7.1.1).
pub fn neighbour_advertisement(frame: &[u8], neighbour: impl Into<Neighbour>) -> Option<Vec<u8>> {
    let Neighbour { mac, is_router } = neighbour.into();
    let frame = Frame::parse(frame)?;
    let question = solicitation(&frame)?;
    let to_all = question.source.is_unspecified();
    let (to, to_mac) = if to_all { (ALL_NODES, ALL_NODES_MAC) } else { (question.source, frame.source) };
    let flags = NeighborAdvertisementHeader { router: is_router, solicited: !to_all, r#override: true };
    let answer = PacketBuilder::ipv6(question.target.octets(), to.octets(), FROM_NEIGHBOUR)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(flags));
    let payload = NeighborAdvertisementPayload { target_address: question.target };
    let payload = [payload.to_bytes().as_slice(), &TARGET_OPTION, &mac].concat();
    let mut bytes = Vec::with_capacity(answer.size(payload.len()));
    answer.write(&mut bytes, &payload).ok()?;
    Some(frame.answer(mac, to_mac, &bytes))
}

/// Reads a solicitation. Each condition is one of RFC 4861, section 7.1.1, where no other is named.
fn solicitation(frame: &Frame<'_>) -> Option<Solicitation> {
    if frame.ether_type != EtherType::IPV6 || is_group(frame.source) {
        return None;
    }
    let slice = Ipv6Slice::from_slice(frame.packet).ok()?;
    let header = slice.header();
    // RFC 6980, section 5: neighbour discovery with a fragment header is ignored.
    let mut extensions = slice.extensions().clone().into_iter();
    if extensions.any(|extension| matches!(extension, Ipv6ExtensionSlice::Fragment(_))) {
        return None;
    }
    if header.hop_limit() != FROM_NEIGHBOUR || slice.payload().ip_number != IpNumber::IPV6_ICMP {
        return None;
    }
    let icmp = Icmpv6Slice::from_slice(slice.payload().payload).ok()?;
    if icmp.code_u8() != 0 || !icmp.is_checksum_valid(header.source(), header.destination()) {
        return None;
    }
    let Ok(Icmpv6PayloadSlice::NeighborSolicitation(payload)) = icmp.payload_slice() else { return None };
    let source = source(header, &payload)?;
    let target = payload.target_address();
    // RFC 4291, section 2.5.2: the unspecified address is nobody's.
    (!target.is_multicast() && !target.is_unspecified()).then_some(Solicitation { source, target })
}

/// Who asks, if that goes with the rest of the packet.
fn source(header: Ipv6HeaderSlice<'_>, payload: &NeighborSolicitationPayloadSlice<'_>) -> Option<Ipv6Addr> {
    let (source, destination) = (header.source_addr(), header.destination_addr());
    let mut has_source_option = false;
    for option in payload.options_iterator() {
        has_source_option |= matches!(option.ok()?, NdpOptionSlice::SourceLinkLayerAddress(_));
    }
    let is_valid = if source.is_unspecified() {
        is_solicited_node(destination) && !has_source_option
    } else {
        // RFC 4291, section 2.7: a multicast address is never a source.
        !source.is_multicast()
    };
    is_valid.then_some(source)
}

/// RFC 4291, section 2.7.1: `ff02::1:ff00:0/104`.
fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, 0xff00..=0xffff, _])
}
