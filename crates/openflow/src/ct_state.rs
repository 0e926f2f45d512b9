//! Bits of the field `ct_state` (ovs-fields(7), "Connection Tracking Fields").

/// A new connection.
pub const NEW: u32 = 1 << 0;
/// Part of an existing connection.
pub const EST: u32 = 1 << 1;
/// Related to an existing connection.
pub const REL: u32 = 1 << 2;
/// Of the reply direction.
pub const RPL: u32 = 1 << 3;
/// Not a state that tracking could follow.
pub const INV: u32 = 1 << 4;
/// Has been through the tracker.
pub const TRK: u32 = 1 << 5;
/// Its source is translated.
pub const SNAT: u32 = 1 << 6;
/// Its destination is translated.
pub const DNAT: u32 = 1 << 7;
