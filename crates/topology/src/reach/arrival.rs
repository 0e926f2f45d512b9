//! Arrival: what a walk says of a packet, in a word.

use serde::Serialize;

use crate::id::InterfaceId;
use crate::walk::outcome::{Answer, Outcome, Walk};

/// Whether a packet gets where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// It never does.
    Never,
    /// It does by some of several equal ways, or of its copies.
    Sometimes,
    /// It does.
    Always,
}

impl Arrival {
    /// Of a packet that should get to `to`; if that is not said, to anybody, a wire or whoever answers what it asks.
    pub fn of(walk: &Walk, to: Option<&InterfaceId>) -> Self {
        Self::of_outcomes(&walk.outcomes, to)
    }

    /// The same, of what becomes of a packet.
    pub fn of_outcomes(outcomes: &[Outcome], to: Option<&InterfaceId>) -> Self {
        Self::any(outcomes.iter().map(|outcome| Self::of_outcome(outcome, to)))
    }

    /// A copy that arrives is enough.
    fn any(copies: impl Iterator<Item = Self>) -> Self {
        copies.max().unwrap_or(Self::Never)
    }

    fn of_outcome(outcome: &Outcome, to: Option<&InterfaceId>) -> Self {
        let arrives = match outcome {
            Outcome::Delivered { interface, .. } => to.is_none_or(|to| to == interface),
            Outcome::OnWire { uplink, .. } => to.is_none_or(|to| to == uplink),
            Outcome::Answered { by, answer, .. } => {
                let of_target = to.is_none_or(|to| *by == to.clone().into());
                of_target && is_wanted(*answer)
            }
            Outcome::Dropped { .. } => false,
            Outcome::Undecided { among } => {
                let ways: Vec<_> = among
                    .iter()
                    .map(|copies| Self::any(copies.iter().map(|copy| Self::of_outcome(copy, to))))
                    .collect();
                return match (ways.iter().min(), ways.iter().max()) {
                    (Some(Self::Always), _) => Self::Always,
                    (_, None | Some(Self::Never)) => Self::Never,
                    _ => Self::Sometimes,
                };
            }
        };
        if arrives { Self::Always } else { Self::Never }
    }
}

/// Whether an answer is what was asked for, rather than an error.
pub fn is_wanted(answer: Answer) -> bool {
    match answer {
        Answer::ArpReply
        | Answer::NeighbourAdvertisement
        | Answer::RouterAdvertisement
        | Answer::EchoReply
        | Answer::Dhcp
        | Answer::Dhcpv6
        | Answer::Dns
        | Answer::Metadata => true,
        Answer::TimeExceeded
        | Answer::NoRoute
        | Answer::HostUnreachable
        | Answer::PortUnreachable
        | Answer::TooBig { .. }
        | Answer::Rejected => false,
    }
}
