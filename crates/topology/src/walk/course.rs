//! Courses: where a packet goes if no protection stops it, and which protection it meets there.
//!
//! Protection takes packets away and changes none, so what does not arrive on its course does not arrive at all, and what does
//! arrives if the protection that it has met lets it pass. Who asks about many guests asks for the course between those that only
//! protection tells apart once, and then for [`passes`].

use super::looked::{Cuts, Looked};
use super::{Connections, Journey, Outcome, Packet, Walk, Walker, protection, sender};
use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId};
use crate::traffic::Direction;

/// Where a packet goes that begins a connection.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// What becomes of it if no protection stops it.
    pub(crate) outcomes: Vec<Outcome>,
    /// The protection that it meets, in order.
    pub(crate) checks: Vec<Check>,
    /// Its sender's groups are known all the way: no tunnel has forgotten them.
    pub(crate) is_known: bool,
    /// How far this is true of other packets.
    pub(crate) cuts: Cuts,
}

/// Some protection, and the packet that meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) at: Checkpoint,
    pub(crate) packet: Packet,
    /// A translation has changed it.
    pub(crate) translated: bool,
    pub(crate) host: DatapathId,
    pub(crate) domain: DomainId,
}

/// Whose protection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Checkpoint {
    /// What an interface sends, or receives.
    Of(InterfaceId, Direction),
    /// What the sender's groups allow to members of others only, now that the receiver is known; to nobody if that is no member.
    To(Option<InterfaceId>),
}

/// The course of a packet.
pub(crate) fn course(topology: &Topology, from: &InterfaceId, packet: &Packet) -> Course {
    let checks = Some(Checks { met: Vec::new(), is_known: true });
    let mut walker = Walker { checks, ..Walker::silent(topology) };
    sender::send(&mut walker, from, packet);
    let Checks { met: checks, is_known } = walker.checks.unwrap_or_default();
    Course { outcomes: walker.walk.outcomes, checks, is_known, cuts: walker.looked.cuts() }
}

/// Whether the protection on a course lets a packet of `from` pass, and how far this is true of other packets.
pub(crate) fn passes(topology: &Topology, from: &InterfaceId, checks: &[Check]) -> (bool, Cuts) {
    let mut walker = Walker::silent(topology);
    let (Some(sender), Some(first)) = (walker.interface(from), checks.first()) else {
        return (checks.is_empty(), Cuts::default());
    };
    let mut at = Journey::of(first.packet.clone(), first.host.clone(), first.domain.clone(), sender);
    let passes = checks.iter().all(|check| {
        at.packet = check.packet.clone();
        at.host = check.host.clone();
        at.translated = check.translated;
        match &check.at {
            Checkpoint::Of(id, direction) => {
                let interface = walker.interface(id);
                interface.is_some_and(|of| protection::passes(&mut walker, &mut at, of, *direction))
            }
            Checkpoint::To(receiver) => {
                let receiver = receiver.as_ref().and_then(|id| walker.interface(id));
                protection::passes_to(&mut walker, &mut at, receiver)
            }
        }
    });
    (passes, walker.looked.cuts())
}

/// The protection that a packet has met, where none stops it.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    met: Vec<Check>,
    is_known: bool,
}

impl Checks {
    pub(super) fn note(&mut self, at: &Journey, checkpoint: Checkpoint) {
        let (packet, translated) = (at.packet.clone(), at.translated);
        let (host, domain) = (at.host.clone(), at.domain.clone());
        self.met.push(Check { at: checkpoint, packet, translated, host, domain });
    }

    /// A tunnel that does not carry the sender's groups.
    pub(super) fn forget(&mut self) {
        self.is_known = false;
    }
}

impl<'a> Walker<'a> {
    /// One that writes down nothing but what becomes of the packet.
    pub(super) fn silent(topology: &'a Topology) -> Self {
        let walk = Walk { connections: Connections::default(), ..Walk::default() };
        Self { topology, walk, looked: Looked::default(), writes_steps: false, checks: None }
    }
}
