//! Ports of the switch (OpenFlow 1.5.1, section 7.2.1).

use std::time::Duration;

use crate::OfPort;

/// Configuration bits of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PortConfig(pub u32);

impl PortConfig {
    /// The port is down by its administrator's will.
    pub const DOWN: u32 = 1;
    /// Packets from it are dropped.
    pub const NO_RECEIVE: u32 = 1 << 2;
    /// Packets to it are dropped.
    pub const NO_FORWARD: u32 = 1 << 5;
    /// It sends no packet-ins.
    pub const NO_PACKET_IN: u32 = 1 << 6;

    /// Whether the administrator took it down.
    pub fn is_down(self) -> bool {
        self.0 & Self::DOWN != 0
    }
}

/// State bits of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PortState(pub u32);

impl PortState {
    /// It has no link.
    pub const LINK_DOWN: u32 = 1;
    /// The switch blocks it.
    pub const BLOCKED: u32 = 1 << 1;
    /// It is live for fast failover.
    pub const LIVE: u32 = 1 << 2;

    /// Whether it has no link.
    pub fn is_link_down(self) -> bool {
        self.0 & Self::LINK_DOWN != 0
    }
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortDesc {
    /// Its number.
    pub port: OfPort,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its name, at most 15 bytes: a long one is cut off by the protocol.
    pub name: String,
    /// How it is configured.
    pub config: PortConfig,
    /// How it is.
    pub state: PortState,
    /// Speed now and at most, in kbit/s, where it is an Ethernet port.
    pub speed: Option<(u32, u32)>,
}

/// What happened to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortChange {
    /// It came.
    Added,
    /// It went.
    Deleted,
    /// It changed.
    Modified,
}

/// A port came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortStatus {
    /// What happened.
    pub change: PortChange,
    /// The port, as it is now or last was.
    pub port: PortDesc,
}

/// Counters of a port; `u64::MAX` is one that the port does not have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortStats {
    /// The port.
    pub port: OfPort,
    /// How long it has been there.
    pub duration: Duration,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets received and dropped.
    pub rx_dropped: u64,
    /// Packets dropped before they were sent.
    pub tx_dropped: u64,
    /// Errors of reception.
    pub rx_errors: u64,
    /// Errors of sending.
    pub tx_errors: u64,
}
