//! ICMP errors for packets that do not fit the way they have to take, where no router is.
//!
//! # Who tells
//! Within a network or segment no router owns an address to speak from. The error comes from where the packet was to
//! go, which a sender believes as it would a router. So a packet to many is not answered, of either IP version.
//!
//! # Whether it may be fragmented
//! RFC 1191 wants the error only if the packet must not be fragmented; else a router fragments it. Here is none, so
//! the sender is told in either case, and learns the size to send or to fragment to.
//!
//! What else is never answered: [`crate::icmp_error`](mod@crate::icmp_error).

use crate::ethernet::{Frame, is_group};
use crate::icmp_error::{Problem, error};
use crate::ip::Packet;

/// The error for an Ethernet frame whose IP packet does not fit, back to its sender.
///
/// `mtu` is the largest IP packet that an untagged frame may carry, in bytes; the error tells the largest that may go
/// with the frame's VLAN tags. For IPv4 it is RFC 792's destination unreachable with RFC 1191's next-hop MTU, for
/// IPv6 RFC 4443's packet too big.
///
/// `None` if the packet fits, is malformed, or must not be answered with an error.
pub fn too_big(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let frame = Frame::parse(frame)?;
    // Nobody answers from the address of a group.
    if is_group(frame.destination) || is_group(frame.source) {
        return None;
    }
    let mtu = mtu.checked_sub(frame.tag_bytes)?;
    let packet = Packet::parse(frame.ether_type, frame.packet)?;
    if packet.bytes.len() <= usize::from(mtu) {
        return None;
    }
    let error = error(&frame, &packet, Problem::TooBig { mtu }, packet.addresses.destination())?;
    Some(frame.answer(frame.destination, frame.source, &error))
}
