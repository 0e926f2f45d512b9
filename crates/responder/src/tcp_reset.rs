//! The reset that answers a TCP segment, as if its destination had no such connection.
//!
//! A filter that rejects gives it to the sender, who then need not wait for an answer that never comes.

use etherparse::{IpNumber, TcpHeader, TcpSlice};

use crate::ethernet::{Frame, is_group};
use crate::ip::{Addresses, Packet, Piece};

/// The reset for an Ethernet frame with a TCP segment, as a frame of the same VLAN from the MAC address `from` to `to`.
///
/// The frame's own MAC addresses may have been rewritten. The IP addresses and ports are the segment's, exchanged.
///
/// `None` if the frame holds no whole and intact TCP segment from one node to one node, or if that is a reset itself.
pub fn tcp_reset(frame: &[u8], from: [u8; 6], to: [u8; 6]) -> Option<Vec<u8>> {
    let frame = Frame::parse(frame)?;
    let packet = Packet::parse(frame.ether_type, frame.packet)?;
    // RFC 9293, section 3.9.2.3 (MUST-57): nothing for what goes to many.
    if is_group(frame.destination) || is_group(frame.source) || !packet.addresses.are_hosts() {
        return None;
    }
    // A fragment tells neither how long the segment is nor whether it is intact.
    if packet.piece != Piece::Whole || packet.protocol != IpNumber::TCP {
        return None;
    }
    let segment = TcpSlice::from_slice(packet.payload).ok()?;
    // RFC 9293, section 3.10.7.1: an incoming segment containing a RST is discarded.
    if segment.rst() || !is_intact(&segment, packet.addresses) {
        return None;
    }
    let answer = packet.addresses.exchanged().packet().tcp_header(reset(&segment)?);
    let mut bytes = Vec::with_capacity(answer.size(0));
    answer.write(&mut bytes, &[]).ok()?;
    Some(frame.answer(from, to, &bytes))
}

/// RFC 9293, section 3.10.7.1: a reset that the sender finds acceptable, without knowing the connection.
fn reset(segment: &TcpSlice<'_>) -> Option<TcpHeader> {
    let (source, destination) = (segment.destination_port(), segment.source_port());
    if segment.ack() {
        let mut header = TcpHeader::new(source, destination, segment.acknowledgment_number(), 0);
        header.rst = true;
        return Some(header);
    }
    let mut header = TcpHeader::new(source, destination, 0, 0);
    header.rst = true;
    header.ack = true;
    header.acknowledgment_number = segment.sequence_number().wrapping_add(length(segment)?);
    Some(header)
}

/// RFC 9293, section 3.4: what a segment takes of the sequence space; SYN and FIN take one each.
fn length(segment: &TcpSlice<'_>) -> Option<u32> {
    let payload = u32::try_from(segment.payload().len()).ok()?;
    payload.checked_add(u32::from(segment.syn()))?.checked_add(u32::from(segment.fin()))
}

/// RFC 9293, section 3.1 (MUST-3): the checksum is looked at.
fn is_intact(segment: &TcpSlice<'_>, addresses: Addresses) -> bool {
    let checksum = match addresses {
        Addresses::V4 { source, destination } => {
            segment.calc_checksum_ipv4(source.octets(), destination.octets())
        }
        Addresses::V6 { source, destination } => {
            segment.calc_checksum_ipv6(source.octets(), destination.octets())
        }
    };
    checksum.is_ok_and(|checksum| checksum == segment.checksum())
}
