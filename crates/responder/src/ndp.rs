//! What the messages of neighbour discovery have in common (RFC 4861).

use std::net::Ipv6Addr;

use etherparse::icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice, NdpOptionsIterator};
use etherparse::{
    EtherType, Icmpv6Slice, Icmpv6Type, IpNumber, Ipv6ExtensionSlice, Ipv6Slice, PacketBuilder,
};

use crate::ethernet::{Frame, is_group};

/// Hop limit of neighbour discovery: its packets have passed no router (RFC 4861, sections 6.1 and 7.1).
const FROM_NEIGHBOUR: u8 = 255;

/// All nodes of the link (RFC 4291, section 2.7.1), and the Ethernet address of that group (RFC 2464, section 7).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A message that passed the checks that all have to pass.
pub(crate) struct Message<'a> {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    icmp: Icmpv6Slice<'a>,
}

impl<'a> Message<'a> {
    /// Each condition is one of RFC 4861, sections 6.1.1 and 7.1.1, where no other is named.
    pub(crate) fn parse(frame: &Frame<'a>) -> Option<Self> {
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
        let source = header.source_addr();
        // RFC 4291, section 2.7: a multicast address is never a source.
        let message = Self { source, destination: header.destination_addr(), icmp };
        (!source.is_multicast()).then_some(message)
    }

    /// What kind of message it is.
    pub(crate) fn payload(&self) -> Option<Icmpv6PayloadSlice<'a>> {
        self.icmp.payload_slice().ok()
    }
}

/// Whether options are well-formed, and go with the message's source: nobody has no link-layer address (RFC 4861,
/// sections 6.1.1 and 7.1.1).
pub(crate) fn are_options_of(source: Ipv6Addr, options: NdpOptionsIterator<'_>) -> bool {
    let mut has_address = false;
    for option in options {
        let Ok(option) = option else { return false };
        has_address |= matches!(option, NdpOptionSlice::SourceLinkLayerAddress(_));
    }
    !(has_address && source.is_unspecified())
}

/// The IPv6 packet with a message.
pub(crate) fn packet(from: Ipv6Addr, to: Ipv6Addr, kind: Icmpv6Type, payload: &[u8]) -> Option<Vec<u8>> {
    let builder = PacketBuilder::ipv6(from.octets(), to.octets(), FROM_NEIGHBOUR).icmpv6(kind);
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut bytes, payload).ok()?;
    Some(bytes)
}
