//! Walks: where a packet goes, said from the objects alone, and which object decides each step.
//!
//! # What it is for
//! A user asks why a packet does not arrive; a test asks whether the flows do what the objects mean. Both need somebody
//! who knows the meaning and not the flows. So what is here is written from what the objects' documents promise,
//! and shares nothing with the compiler of flows but the objects.
//!
//! # What it assumes
//! Every agent has realized the topology, every gateway and edge is alive, no limit of rates is reached, and trackers know
//! what [`Connections`] says. Where a switch is free to choose among equals, [`Outcome::Undecided`] names all of them.
//!
//! # A packet's way
//! ```text
//! sender ─> protection ─> resolution ─> domain ─> protection ─> an interface
//!                                        │  ^
//!           wire ────────────────────────┤  │
//!                                        v  │
//!                               simulated ─> router ─> translation ─> domain, or the wire
//! ```
//! `sender`: may it say this? `protection`: filters and security groups, of who sends and of who receives. `resolution`: questions for
//! addresses. `domain`: whom is it for?
//!
//! # Cost
//! Whatever is looked for is found by the graph's indexes: a walk costs what the packet meets, not what there is.

pub mod bytes;
pub mod connection;
mod course;
mod domain;
mod looked;
mod member;
pub mod outcome;
pub mod packet;
mod protection;
mod resolution;
mod router;
mod rule;
mod sender;
mod service;
mod simulated;
mod translation;
mod wire;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

pub use connection::{Connection, Connections, Tracker, Tuple, Way};
pub use outcome::{Answer, Decision, Outcome, Reason, Step, Walk};
pub use packet::{Arp, Content, Fragment, Icmp, IpPacket, Neighbour, Packet, Payload, TcpFlags};

use course::Checks;
pub(crate) use course::{Check, Checkpoint, Course, course, passes};
pub(crate) use looked::Cuts;
use looked::Looked;

use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId, SecurityGroupId};
use crate::interface::Interface;
use crate::object::ObjectRef;

/// Says what becomes of a packet that an interface's guest sends, or, for an uplink or edge, that comes from its wire.
pub fn walk(topology: &Topology, from: &InterfaceId, packet: &Packet, connections: &Connections) -> Walk {
    let walk = Walk { connections: connections.clone(), ..Walk::default() };
    let mut walker = Walker { topology, walk, looked: Looked::default(), writes_steps: true, checks: None };
    sender::send(&mut walker, from, packet);
    walker.walk
}

/// What becomes of the packet that begins a connection, and how far that is true of others: what one who asks a thousand times
/// needs. Steps and remedies are left out.
pub(crate) fn outcomes(topology: &Topology, from: &InterfaceId, packet: &Packet) -> (Vec<Outcome>, Cuts) {
    let mut walker = Walker::silent(topology);
    sender::send(&mut walker, from, packet);
    (walker.walk.outcomes, walker.looked.cuts())
}

/// Writes a walk down.
struct Walker<'a> {
    topology: &'a Topology,
    walk: Walk,
    looked: Looked,
    writes_steps: bool,
    /// No protection stops the packet: it is noted here instead.
    checks: Option<Checks>,
}

/// A packet on its way.
#[derive(Clone, Debug)]
struct Journey {
    packet: Packet,
    /// Where it is.
    host: DatapathId,
    /// In which domain.
    domain: DomainId,
    /// The interface that has sent it.
    source: InterfaceId,
    /// The security groups of the sender, as far as who gets the packet can know them.
    groups: BTreeSet<SecurityGroupId>,
    /// The sender's groups allow it only if its receiver is in the right one.
    pending: bool,
    /// It has come by an uplink or edge, and no router has sent it on.
    from_wire: bool,
    /// A translation has changed it: its sender's tracker would not know it again.
    translated: bool,
    /// A router has sent it on, so that it may go back to whom it came from.
    routed: bool,
    /// Which source ports it may have got where it was translated.
    source_ports: Option<RangeInclusive<u16>>,
    /// The leg that has translated it on its way in, and let it pass.
    let_in: Option<InterfaceId>,
}

impl Journey {
    /// Of what an interface sends.
    fn of(packet: Packet, host: DatapathId, domain: DomainId, sender: &Interface) -> Self {
        Self {
            packet,
            host,
            domain,
            source: sender.uuid.clone(),
            groups: sender.security_groups.clone(),
            pending: false,
            from_wire: false,
            translated: false,
            routed: false,
            source_ports: None,
            let_in: None,
        }
    }
}

impl Walker<'_> {
    fn step(&mut self, at: &Journey, object: impl Into<ObjectRef>, what: Decision) {
        if !self.writes_steps {
            return;
        }
        let (host, packet) = (at.host.clone(), at.packet.clone());
        self.walk.steps.push(Step { host, object: object.into(), what, packet });
    }

    fn drop(&mut self, at: &Journey, by: impl Into<ObjectRef>, reason: Reason, remedy: impl Into<String>) {
        let (host, by, remedy) = (Some(at.host.clone()), by.into(), remedy.into());
        self.walk.outcomes.push(Outcome::Dropped { host, by, reason, remedy });
    }

    fn answer(&mut self, at: &Journey, by: impl Into<ObjectRef>, answer: Answer, packet: Option<Packet>) {
        let (host, by) = (at.host.clone(), by.into());
        self.walk.outcomes.push(Outcome::Answered { host, by, answer, packet });
    }

    /// Follows ways of which a switch takes one, nobody can say which.
    fn among<T>(&mut self, ways: impl IntoIterator<Item = T>, mut follow: impl FnMut(&mut Self, T)) {
        let outcomes = std::mem::take(&mut self.walk.outcomes);
        let mut among = Vec::new();
        for way in ways {
            follow(self, way);
            among.push(std::mem::take(&mut self.walk.outcomes));
        }
        self.walk.outcomes = outcomes;
        self.walk.outcomes.push(Outcome::Undecided { among });
    }
}

impl From<&DomainId> for ObjectRef {
    fn from(domain: &DomainId) -> Self {
        match domain {
            DomainId::Network(id) => id.clone().into(),
            DomainId::Segment(id) => id.clone().into(),
        }
    }
}
