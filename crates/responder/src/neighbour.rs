//! Neighbour advertisements for solicitations that flows cannot turn into one: there is no option to rewrite, or the
//! answer goes to all nodes and needs one (RFC 4861, section 7.2.4).

use std::net::Ipv6Addr;

use etherparse::Icmpv6Type;
use etherparse::icmpv6::{Icmpv6PayloadSlice, NeighborAdvertisementHeader, NeighborAdvertisementPayload};

use crate::ethernet::Frame;
use crate::ndp::{self, ALL_NODES, ALL_NODES_MAC, Message, are_options_of};

/// Type and length, in units of 8 bytes, of the target link-layer address option (RFC 4861, section 4.6.1).
const TARGET_OPTION: [u8; 2] = [2, 1];

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
    let question = Message::parse(&frame)?;
    let target_address = target(&question)?;
    let to_all = question.source.is_unspecified();
    let (to, to_mac) = if to_all { (ALL_NODES, ALL_NODES_MAC) } else { (question.source, frame.source) };
    let flags = NeighborAdvertisementHeader { router: is_router, solicited: !to_all, r#override: true };
    let payload = NeighborAdvertisementPayload { target_address };
    let payload = [payload.to_bytes().as_slice(), &TARGET_OPTION, &mac].concat();
    let packet = ndp::packet(target_address, to, Icmpv6Type::NeighborAdvertisement(flags), &payload)?;
    Some(frame.answer(mac, to_mac, &packet))
}

/// What a valid solicitation asks for. Each condition is one of RFC 4861, section 7.1.1, where no other is named.
fn target(question: &Message<'_>) -> Option<Ipv6Addr> {
    let Some(Icmpv6PayloadSlice::NeighborSolicitation(payload)) = question.payload() else { return None };
    if !are_options_of(question.source, payload.options_iterator()) {
        return None;
    }
    if question.source.is_unspecified() && !is_solicited_node(question.destination) {
        return None;
    }
    let target = payload.target_address();
    // RFC 4291, section 2.5.2: the unspecified address is nobody's.
    (!target.is_multicast() && !target.is_unspecified()).then_some(target)
}

/// RFC 4291, section 2.7.1: `ff02::1:ff00:0/104`.
fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, 0xff00..=0xffff, _])
}
