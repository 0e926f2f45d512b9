//! Limits: how much an interface may send and receive, and with which priority.

use serde::{Deserialize, Serialize};

/// A rate in kilobits (1,000 bits) per second, of whole Ethernet frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schema(value_type = u32, minimum = 100, maximum = 100_000_000)]
pub struct Kbps(u32);

impl Kbps {
    /// Least rate: below it, one large packet would take longer than protocols wait.
    pub const MIN: u32 = 100;
    /// Largest rate: that of the fastest NICs of hosts.
    pub const MAX: u32 = 100_000_000;

    /// Kilobits per second.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A differentiated services code point (RFC 2474, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schema(value_type = u8, maximum = 63)]
pub struct Dscp(u8);

impl Dscp {
    /// Largest code point: it has six bits.
    pub const MAX: u8 = 63;

    /// The code point.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Why a number is no limit.
#[derive(Debug, thiserror::Error)]
#[error("must be between {min} and {max}")]
pub struct OutOfRange {
    min: u32,
    max: u32,
}

impl TryFrom<u32> for Kbps {
    type Error = OutOfRange;

    fn try_from(rate: u32) -> Result<Self, OutOfRange> {
        let (min, max) = (Self::MIN, Self::MAX);
        if (min..=max).contains(&rate) { Ok(Self(rate)) } else { Err(OutOfRange { min, max }) }
    }
}

impl From<Kbps> for u32 {
    fn from(rate: Kbps) -> Self {
        rate.0
    }
}

impl TryFrom<u8> for Dscp {
    type Error = OutOfRange;

    fn try_from(code: u8) -> Result<Self, OutOfRange> {
        if code <= Self::MAX { Ok(Self(code)) } else { Err(OutOfRange { min: 0, max: Self::MAX.into() }) }
    }
}

impl From<Dscp> for u8 {
    fn from(code: Dscp) -> Self {
        code.0
    }
}

/// What limits an interface, from its guest's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Limits {
    /// The most it may send, in kilobits per second; null for no limit.
    #[serde(default)]
    pub max_egress_kbps: Option<Kbps>,
    /// The most it may receive, in kilobits per second; null for no limit.
    #[serde(default)]
    pub max_ingress_kbps: Option<Kbps>,
    /// The code point of all IP packets it sends; null to leave them as sent.
    #[serde(default)]
    pub dscp: Option<Dscp>,
}
