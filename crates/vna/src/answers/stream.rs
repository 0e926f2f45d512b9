//! Segments of the TCP connections that guests open to services of simulated interfaces.

use dataplane::layout::{DESTINATION_INTERFACE, SOURCE_INTERFACE};
use openflow::{PacketIn, PacketOut};
use responder::tcp::{Ends, Segment};
use topology::{DomainKey, InterfaceKey, MacAddr};

use super::{by_tables, domain, register, source};

/// What a guest wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Names (RFC 7766).
    Dns,
    /// What the guest is to know of itself.
    Metadata,
}

/// Which connection: the same ends mean another one in another domain, or at another interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// What it is for.
    pub service: Service,
    /// The domain in which the segment has met the server.
    pub domain: DomainKey,
    /// The simulated interface that serves.
    pub server: InterfaceKey,
    /// The interface of the guest.
    pub guest: InterfaceKey,
    /// The MAC address that the server hears the guest from: its own, or a router's.
    pub mac: MacAddr,
    /// Addresses and ports.
    pub ends: Ends,
}

/// A segment of a connection.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which connection.
    pub line: Line,
    /// The frame with the segment.
    pub frame: Vec<u8>,
}

impl Line {
    /// Sends a frame to the guest.
    pub fn packet_out(&self, frame: Vec<u8>) -> PacketOut {
        by_tables(self.domain, self.server, frame)
    }
}

/// The connection that a segment is of. `None` if it is none.
pub(super) fn call(packet_in: &PacketIn, service: Service) -> Option<Call> {
    let line = Line {
        service,
        domain: domain(packet_in)?,
        server: InterfaceKey(register(packet_in, DESTINATION_INTERFACE)),
        guest: InterfaceKey(register(packet_in, SOURCE_INTERFACE)),
        mac: source(packet_in)?,
        ends: Segment::parse(&packet_in.packet)?.ends,
    };
    Some(Call { line, frame: packet_in.packet.clone() })
}
