//! Packets between switch and controller (OpenFlow 1.5.1, sections 7.3.6 and 7.4.1).

use crate::{Action, Cookie, Match, OfPort, PacketInReason, TableId};

/// A packet that a switch hands to the controller (`NXT_PACKET_IN2`, or the standard packet-in).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PacketIn {
    /// The packet, perhaps only its beginning.
    pub packet: Vec<u8>,
    /// Its whole length, where only the beginning is here.
    pub full_length: Option<u32>,
    /// Where it is kept, if the switch keeps it.
    pub buffer: Option<u32>,
    /// The table whose flow sent it.
    pub table: Option<TableId>,
    /// The cookie of the flow that sent it.
    pub cookie: Option<Cookie>,
    /// Why it was sent.
    pub reason: PacketInReason,
    /// Input port, tunnel, registers: all that is not in the packet and is not zero.
    pub metadata: Match,
    /// What the `controller` action gave along.
    pub userdata: Vec<u8>,
    /// State of the switch to resume the packet with, if it was paused.
    pub continuation: Vec<u8>,
}

impl PacketIn {
    /// The port the packet came in by.
    pub fn in_port(&self) -> Option<OfPort> {
        let term = self.metadata.get(crate::Field::InPort)?;
        u32::try_from(term.value).ok().map(OfPort)
    }
}

/// A packet that the controller has a switch treat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PacketOut {
    /// Its input port and other metadata: exact values.
    pub metadata: Match,
    /// What is done; [`OfPort::TABLE`] as output submits it to the tables.
    pub actions: Vec<Action>,
    /// The packet.
    pub packet: Vec<u8>,
}

impl PacketOut {
    /// A packet as if it had come in by a port; [`OfPort::CONTROLLER`] if by none.
    pub fn new(in_port: OfPort, actions: Vec<Action>, packet: Vec<u8>) -> Self {
        Self { metadata: Match::new().in_port(in_port), actions, packet }
    }
}

/// Why a flow went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowRemovedReason {
    /// No packet for its idle timeout.
    IdleTimeout,
    /// Its hard timeout.
    HardTimeout,
    /// A command.
    Delete,
    /// Its group went.
    GroupDelete,
    /// Its meter went.
    MeterDelete,
    /// It made room for another.
    Eviction,
}

/// A flow went that had been told to say so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowRemoved {
    /// Its table.
    pub table: TableId,
    /// Why it went.
    pub reason: FlowRemovedReason,
    /// Its priority.
    pub priority: u16,
    /// Its idle timeout, in seconds.
    pub idle_timeout: u16,
    /// Its hard timeout, in seconds.
    pub hard_timeout: u16,
    /// Its cookie.
    pub cookie: Cookie,
    /// Its match.
    pub matching: Match,
    /// Its counters at the end.
    pub counters: crate::FlowCounters,
}
