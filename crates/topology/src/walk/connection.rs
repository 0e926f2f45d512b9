//! What connection trackers know: small and explicit, so that the walk of a connection's first packet gives what the
//! walks of the others take.
//!
//! There is a tracker for each interface whose protection needs one, and, on each host, one for each leg that translates. None
//! knows of another, so one connection may be in several.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::packet::{Fragment, IpPacket, Payload, protocol};
use crate::id::{DatapathId, InterfaceId};
use crate::traffic::Direction;

/// Whose tracker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tracker {
    /// Of an interface: what it sends and receives.
    Interface(InterfaceId),
    /// Of a leg: what the guests of a host send through it.
    Leg {
        /// The leg.
        leg: InterfaceId,
        /// The host.
        host: DatapathId,
    },
}

/// What tells connections apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Tuple {
    /// Number of the protocol in IP headers.
    pub protocol: u8,
    /// Where packets come from.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Where they go.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// What else.
    pub ends: Ends,
}

/// What tells connections between two addresses apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Of TCP and UDP.
    Ports {
        /// The sender's.
        source: u16,
        /// The receiver's.
        destination: u16,
    },
    /// Of echoes.
    Echo {
        /// Type of the message.
        kind: u8,
        /// Its code.
        code: u8,
        /// Which echo.
        identifier: u16,
    },
    /// Of other protocols.
    None,
}

/// A connection that a tracker knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Connection {
    /// Who knows it.
    pub tracker: Tracker,
    /// Which way its first packet went, seen from the interface, or from what is behind the leg.
    pub began: Direction,
    /// Its first packet, as the tracker saw it.
    pub original: Tuple,
    /// Its answers, as the tracker will see them: the original turned round, and translated if the tracker does so.
    pub reply: Tuple,
    /// The tracker has chosen the port that answers come to, and nobody has said which: see [`Connections::settle`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumes_port: bool,
}

/// All that trackers know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Connections {
    #[schema(value_type = Vec<Connection>)]
    known: BTreeSet<Connection>,
}

/// Which way a packet of a known connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As its first packet did.
    Original,
    /// Back.
    Reply,
}

impl Tuple {
    /// Of a packet; `None` if it is no packet by itself (a later fragment) or nothing that connections are made of.
    pub fn of(packet: &IpPacket) -> Option<Self> {
        if packet.fragment == Fragment::Later {
            return None;
        }
        let ends = match &packet.payload {
            Payload::Tcp { source_port, destination_port, .. }
            | Payload::Udp { source_port, destination_port } => {
                Ends::Ports { source: *source_port, destination: *destination_port }
            }
            Payload::Icmp(icmp) if icmp.about.is_none() => {
                Ends::Echo { kind: icmp.kind, code: icmp.code, identifier: icmp.identifier }
            }
            Payload::Icmp(_) | Payload::Neighbour(_) => return None,
            // Cut off before what tells its connections apart.
            Payload::Other { protocol } if has_ends(*protocol, packet.is_ipv4()) => return None,
            Payload::Other { .. } => Ends::None,
        };
        let (source, destination) = (packet.source, packet.destination);
        Some(Self { protocol: packet.protocol(), source, destination, ends })
    }

    /// Of the packets that answer; `None` if nothing answers such a message (RFC 792; RFC 4443, section 4).
    pub fn turned(self) -> Option<Self> {
        let ends = match self.ends {
            Ends::Ports { source, destination } => Ends::Ports { source: destination, destination: source },
            Ends::Echo { kind, code, identifier } => {
                let kind = match kind {
                    8 => 0,
                    0 => 8,
                    128 => 129,
                    129 => 128,
                    _ => return None,
                };
                Ends::Echo { kind, code, identifier }
            }
            Ends::None => Ends::None,
        };
        let (source, destination) = (self.destination, self.source);
        Some(Self { source, destination, ends, ..self })
    }
}

/// Whether what a protocol carries begins with what tells connections apart.
fn has_ends(number: u8, is_ipv4: bool) -> bool {
    match number {
        protocol::TCP | protocol::UDP => true,
        protocol::ICMP => is_ipv4,
        protocol::ICMPV6 => !is_ipv4,
        _ => false,
    }
}

impl Connections {
    /// Everything known.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.known.iter()
    }

    /// Has a tracker know a connection.
    pub fn insert(&mut self, connection: Connection) {
        self.known.insert(connection);
    }

    /// The connection of a tracker that a packet belongs to, and which way it goes.
    pub fn find(&self, tracker: &Tracker, tuple: Tuple) -> Option<(&Connection, Way)> {
        self.known.iter().filter(|known| known.tracker == *tracker).find_map(|known| {
            let way = match () {
                () if known.original == tuple => Way::Original,
                () if known.reply == tuple => Way::Reply,
                () => return None,
            };
            Some((known, way))
        })
    }

    /// The first of some ports of an address that no connection of a tracker has; the first of all if there is none.
    pub(super) fn free_port(
        &self,
        tracker: &Tracker,
        address: IpAddr,
        mut ports: RangeInclusive<u16>,
    ) -> u16 {
        let replies = self.known.iter().filter(|known| known.tracker == *tracker).map(|known| known.reply);
        let replies = replies.filter(|reply| reply.destination == address);
        let taken: BTreeSet<_> = replies
            .filter_map(|reply| match reply.ends {
                Ends::Ports { destination, .. } => Some(destination),
                Ends::Echo { .. } | Ends::None => None,
            })
            .collect();
        let first = *ports.start();
        ports.find(|port| !taken.contains(port)).unwrap_or(first)
    }

    /// Where a tracker was free to choose the port of a translated connection, the walk assumes the first of those allowed that no
    /// other connection has. This says which port was taken in truth, for what a walk has added to what was known before, and for
    /// what was begun by a packet that nobody has seen thereafter.
    pub fn settle(&mut self, before: &Self, (address, assumed): (IpAddr, u16), taken: u16) {
        let settled = |tuple: &mut Tuple| {
            let Ends::Ports { source, destination } = &mut tuple.ends else { return false };
            let mut is_about = false;
            for (of, port) in [(tuple.source, source), (tuple.destination, destination)] {
                if (of, *port) == (address, assumed) {
                    (*port, is_about) = (taken, true);
                }
            }
            is_about
        };
        let told = |mut known: Connection| {
            if known.assumes_port || !before.known.contains(&known) {
                settled(&mut known.original);
                let is_told = settled(&mut known.reply);
                known.assumes_port &= !is_told;
            }
            known
        };
        self.known = std::mem::take(&mut self.known).into_iter().map(told).collect();
    }
}
