//! What a leg's tracker makes of a packet: it translates what belongs to a connection, and begins those that a translation takes.

use std::net::IpAddr;

use super::super::connection::{Connection, Connections, Ends, Tracker, Tuple, Way};
use super::super::packet::{Fragment, Icmp, IpPacket, Payload};
use super::super::protection::may_begin;
use super::super::{Journey, Reason, Walker};
use crate::interface::Interface;
use crate::traffic::Direction;

/// A connection that begins.
pub(super) struct Beginning {
    /// Its answers, as the tracker will see them.
    pub(super) reply: Tuple,
    /// See [`Connection`].
    pub(super) assumes_port: bool,
}

/// What a tracker has made of a packet.
pub(super) enum Tracked {
    /// It is of a connection that the tracker knows now.
    Known {
        /// The packet goes the way of the first one, with a port of which nobody has said whether it is this.
        assumes_port: bool,
    },
    Incomplete,
    Unknown,
}

impl Tracked {
    pub(super) fn is_translated(&self) -> bool {
        matches!(self, Self::Known { .. })
    }

    pub(super) fn is_incomplete(&self, walker: &mut Walker<'_>, at: &Journey, leg: &Interface) -> bool {
        if let Self::Incomplete = self {
            let remedy = "send the packet's other fragments: connections are tracked of whole packets";
            walker.drop(at, leg.uuid.clone(), Reason::Incomplete, remedy);
        }
        matches!(self, Self::Incomplete)
    }
}

/// Translates a packet as its connection is translated, or begins one, of which `begin` gives the answers.
pub(super) fn track(
    walker: &mut Walker<'_>,
    at: &mut Journey,
    leg: &Interface,
    began: Direction,
    begin: impl FnOnce(Tuple, &Tracker, &Connections) -> Option<Beginning>,
) -> Tracked {
    let tracker = Tracker::Leg { leg: leg.uuid.clone(), host: at.host.clone() };
    let Some(ip) = at.packet.ip_mut() else { return Tracked::Unknown };
    if ip.fragment != Fragment::Whole {
        return Tracked::Incomplete;
    }
    if let Payload::Icmp(Icmp { about: Some(about), .. }) = &mut ip.payload {
        let tuple = Tuple::of(about).and_then(Tuple::turned);
        let found = tuple.and_then(|tuple| walker.walk.connections.find(&tracker, tuple));
        let Some((connection, way)) = found else { return Tracked::Unknown };
        let seen = match way {
            Way::Original => connection.reply,
            Way::Reply => connection.original,
        };
        rewrite(about, seen);
        let (source, destination) = (about.source, about.destination);
        // Wherever it is met, the end changes that is inside, to its connection: there the error comes from, or there it goes.
        match (connection.began, way) {
            (Direction::Egress, Way::Original) | (Direction::Ingress, Way::Reply) => ip.source = destination,
            (Direction::Egress, Way::Reply) | (Direction::Ingress, Way::Original) => ip.destination = source,
        }
        return Tracked::Known { assumes_port: false };
    }
    let Some(tuple) = Tuple::of(ip) else { return Tracked::Unknown };
    if let Some((connection, way)) = walker.walk.connections.find(&tracker, tuple) {
        let (other, assumes_port) = match way {
            Way::Original => (connection.reply, connection.assumes_port),
            Way::Reply => (connection.original, false),
        };
        let Some(becomes) = other.turned() else { return Tracked::Unknown };
        rewrite(ip, becomes);
        return Tracked::Known { assumes_port };
    }
    if !may_begin(ip, tuple) {
        return Tracked::Unknown;
    }
    let Some(Beginning { reply, assumes_port }) = begin(tuple, &tracker, &walker.walk.connections) else {
        return Tracked::Unknown;
    };
    let Some(becomes) = reply.turned() else { return Tracked::Unknown };
    // What has no ports cannot be told apart by another one.
    let is_taken = || walker.walk.connections.find(&tracker, reply).is_some();
    if !matches!(tuple.ends, Ends::Ports { .. }) && is_taken() {
        return Tracked::Unknown;
    }
    rewrite(ip, becomes);
    walker.walk.connections.insert(Connection { tracker, began, original: tuple, reply, assumes_port });
    Tracked::Known { assumes_port }
}

/// Gives a packet the addresses and ports of a tuple.
fn rewrite(ip: &mut IpPacket, tuple: Tuple) {
    ip.source = tuple.source;
    ip.destination = tuple.destination;
    if let Ends::Ports { source, destination } = tuple.ends {
        match &mut ip.payload {
            Payload::Tcp { source_port, destination_port, .. }
            | Payload::Udp { source_port, destination_port } => {
                *source_port = source;
                *destination_port = destination;
            }
            Payload::Icmp(_) | Payload::Neighbour(_) | Payload::Other { .. } => {}
        }
    }
}

/// The tuple with another destination.
pub(super) fn to_destination(tuple: Tuple, address: IpAddr, port: Option<u16>) -> Tuple {
    let ends = match (tuple.ends, port) {
        (Ends::Ports { source, .. }, Some(port)) => Ends::Ports { source, destination: port },
        (ends, _) => ends,
    };
    Tuple { destination: address, ends, ..tuple }
}
