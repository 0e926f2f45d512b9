//! What is known of packets to a port, and to those after it of which the same is true.

use super::arrival::Arrival;

/// From here on ports are what clients send from (RFC 6335, section 6).
const FIRST_EPHEMERAL: u16 = 49_152;

/// What becomes of packets to a port, from some ports.
pub(super) struct Sent {
    /// What becomes of them.
    pub(super) best: Arrival,
    /// The ports they are from.
    pub(super) from: (u16, u16),
}

/// What becomes of packets to some ports.
pub(super) struct Piece {
    /// The last of the ports.
    pub(super) last: u16,
    /// For all ports that they are from.
    pub(super) sent: Vec<Sent>,
}

impl Sent {
    /// Whether clients send so.
    pub(super) fn is_of_clients(&self) -> bool {
        self.from.1 >= FIRST_EPHEMERAL
    }
}

impl Piece {
    /// Whether any of it may arrive.
    pub(super) fn may(&self) -> bool {
        self.sent.iter().any(|sent| sent.best != Arrival::Never)
    }

    /// Whether all that a client sends arrives.
    pub(super) fn does(&self) -> bool {
        self.sent.iter().filter(|sent| sent.is_of_clients()).all(|sent| sent.best == Arrival::Always)
    }
}
