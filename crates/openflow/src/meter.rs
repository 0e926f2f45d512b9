//! Meters: rate limits (OpenFlow 1.5.1, section 5.11).

use crate::MeterId;

/// In what a meter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeterUnit {
    /// Kilobits per second.
    Kbps,
    /// Packets per second.
    Pktps,
}

/// What happens above a band's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BandKind {
    /// The packet is dropped.
    Drop,
    /// Its drop precedence rises by so much.
    DscpRemark(u8),
}

/// One rate of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Band {
    /// What happens above it.
    pub kind: BandKind,
    /// The rate, in the meter's unit.
    pub rate: u32,
    /// Burst, in kilobits or packets; 0 leaves it to the switch.
    pub burst: u32,
}

/// A meter as it stands in the switch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meter {
    /// Its number.
    pub id: MeterId,
    /// In what it counts.
    pub unit: MeterUnit,
    /// Whether it keeps counters.
    pub stats: bool,
    /// Whether the bands state a burst.
    pub burst: bool,
    /// Its rates.
    pub bands: Vec<Band>,
}
