//! Shared: what is found out between two guests once and holds between many.
//!
//! # Why that is sound
//! Whether a packet arrives is whether its course ([`crate::walk::course`]) leads to the receiver, and whether the protection that
//! it meets there lets it pass.
//!
//! - Its course hangs on how both ends are [attached](super::class::Attached), and on no protection. So it is walked between two guests
//!   for all that are attached as these are.
//! - What the protection does hangs on what its rules say, and on which of them are about the addresses of the packet
//!   ([`super::guard`]). So it is judged once for all packets of which that is the same.
//!
//! Both say how far they speak for other ports, as every walk does. Where a packet may take one of several ways, or be copied, and
//! where tunnels forget who its sender is, nothing is shared: see [`Outline::Unclear`].

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::arrival::Arrival;
use super::class::{Class, Named, attached};
use super::guard::Guard;
use super::source::leases;
use super::traffic::Kind;
use super::way::{Way, payload};
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::{Direction, Family};
use crate::walk::{Check, Checkpoint, Course, Cuts, Outcome, passes};

/// Whom a number stands for that is the same for all who are attached, or guarded, alike.
type Number = usize;

/// What is known of one guest.
pub(super) struct Guest {
    pub(super) id: InterfaceId,
    pub(super) attached: Number,
    guard: Number,
    addresses: Vec<IpAddr>,
}

impl Guest {
    /// Whether it has an address of a family.
    pub(super) fn has(&self, family: Family) -> bool {
        self.addresses.iter().any(|address| address.is_ipv4() == (family == Family::V4))
    }
}

/// The guests between which something is found out.
#[derive(Default)]
pub(super) struct Guests {
    all: HashMap<InterfaceId, Guest>,
    /// The first two of each who are attached alike.
    members: Vec<Vec<InterfaceId>>,
    guards: Vec<Guard>,
}

impl Guests {
    /// Those who stand for some classes.
    pub(super) fn of<'c>(
        topology: &Topology,
        named: &Named,
        classes: impl Iterator<Item = &'c Class>,
    ) -> Self {
        let mut found = Self::default();
        let (mut attached_as, mut guarded_as) = (BTreeMap::new(), BTreeMap::new());
        for id in classes.flat_map(Class::examples) {
            let Some(interface) = topology.interfaces().get(id).filter(|_| !found.all.contains_key(id))
            else {
                continue;
            };
            let next = attached_as.len();
            let attached = *attached_as.entry(attached(topology, named, interface)).or_insert(next);
            found.members.resize_with(attached_as.len(), Vec::new);
            if let Some(members) = found.members.get_mut(attached).filter(|members| members.len() < 2) {
                members.push(id.clone());
            }
            let guard = Guard::of(topology, interface);
            let next = guarded_as.len();
            let number = *guarded_as.entry(guard.clone()).or_insert(next);
            if number == next {
                found.guards.push(guard);
            }
            let addresses = leases(topology, id).iter().map(|lease| lease.address.ip()).collect();
            found.all.insert(id.clone(), Guest { id: id.clone(), attached, guard: number, addresses });
        }
        found
    }

    /// What is known of a guest.
    pub(super) fn get(&self, id: &InterfaceId) -> Option<&Guest> {
        self.all.get(id)
    }

    /// Two guests that are attached as these are, always the same ones.
    pub(super) fn alike(&self, from: &Guest, to: &Guest) -> Option<(&Guest, &Guest)> {
        let (senders, receivers) = (self.members.get(from.attached)?, self.members.get(to.attached)?);
        let sender = senders.first()?;
        let receiver = receivers.iter().find(|receiver| *receiver != sender)?;
        self.get(sender).zip(self.get(receiver))
    }
}

/// From these ports to those.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) to: (u16, u16),
    pub(super) from: (u16, u16),
}

impl Area {
    /// What two have in common.
    pub(super) fn within(self, other: Self) -> Self {
        let both = |(first, last): (u16, u16), (from, to): (u16, u16)| (first.max(from), last.min(to));
        Self { to: both(self.to, other.to), from: both(self.from, other.from) }
    }

    fn has(&self, to: u16, from: u16) -> bool {
        (self.to.0..=self.to.1).contains(&to) && (self.from.0..=self.from.1).contains(&from)
    }
}

/// What is true of areas, as far as it has been asked for.
pub(super) struct Known<T>(Rc<RefCell<Vec<(Area, T)>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T: Clone> Known<T> {
    fn share(&self) -> Self {
        Self(self.0.clone())
    }

    /// What is known there, and how far it is true.
    pub(super) fn at(&self, to: u16, from: u16) -> Option<(Area, T)> {
        self.0.borrow().iter().find(|(area, _)| area.has(to, from)).cloned()
    }

    /// Writes down what has been found out.
    pub(super) fn note(&self, area: Area, found: T) {
        self.0.borrow_mut().push((area, found));
    }
}

/// What a course says of two guests that are attached alike.
pub(super) enum Outline {
    /// Nothing arrives.
    Never,
    /// What this protection lets pass arrives.
    Guarded(Vec<Gate>),
    /// It has to be found out for each pair.
    Unclear,
}

/// Some protection on the way.
pub(super) struct Gate {
    check: Check,
    at: GateAt,
    source: End,
    destination: End,
    ports: (Port, Port),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum GateAt {
    Sender,
    ToReceiver,
    ToOther(Option<InterfaceId>),
    Receiver,
}

/// An address of the packet.
#[derive(Clone, Copy)]
enum End {
    /// One of the guest's own, by its place.
    Own(usize),
    Other(IpAddr),
}

impl End {
    fn of(address: IpAddr, guest: &Guest) -> Self {
        let place = guest.addresses.iter().position(|own| *own == address);
        place.map_or(Self::Other(address), Self::Own)
    }

    fn address(self, guest: &Guest) -> Option<IpAddr> {
        match self {
            Self::Own(place) => guest.addresses.get(place).copied(),
            Self::Other(address) => Some(address),
        }
    }
}

/// A port of the packet there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Port {
    AsSent,
    Another(u16),
}

impl Port {
    fn or(self, sent: u16) -> u16 {
        match self {
            Self::AsSent => sent,
            Self::Another(port) => port,
        }
    }
}

/// A packet of which protection cannot tell whose it is.
#[derive(PartialEq, Eq, Hash)]
struct Question {
    kind: Kind,
    is_ipv4: bool,
    guards: (Number, Number),
    gates: Vec<Asked>,
}

/// The packet at some protection.
#[derive(PartialEq, Eq, Hash)]
struct Asked {
    at: GateAt,
    translated: bool,
    ports: (Port, Port),
    /// See [`Guard::facts`].
    facts: Vec<bool>,
}

type WaysKey = (Number, Number, Family);
type CourseKey = (Number, Number, Family, usize, Kind);

/// What has been found out.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) ways: HashMap<WaysKey, Rc<[Way]>>,
    courses: HashMap<CourseKey, Known<Rc<Outline>>>,
    verdicts: HashMap<Question, Known<bool>>,
}

impl Shared {
    /// The courses of a way.
    pub(super) fn courses(&mut self, key: CourseKey) -> Known<Rc<Outline>> {
        self.courses.entry(key).or_default().share()
    }

    /// What the protection on a course makes of packets of a kind between two guests.
    pub(super) fn verdicts(
        &mut self,
        (topology, guests): (&Topology, &Guests),
        (from, to): (&Guest, &Guest),
        gates: &[Gate],
        kind: Kind,
    ) -> Option<Known<bool>> {
        let mut is_ipv4 = true;
        let told = gates.iter().map(|gate| {
            let (source, destination) = (gate.source.address(from)?, gate.destination.address(to)?);
            is_ipv4 = source.is_ipv4();
            let facts = match gate.at {
                GateAt::Receiver => guests.guards.get(to.guard)?.facts(topology, destination, source),
                _ => guests.guards.get(from.guard)?.facts(topology, source, destination),
            };
            Some(Asked { at: gate.at.clone(), translated: gate.check.translated, ports: gate.ports, facts })
        });
        let gates = told.collect::<Option<Vec<_>>>()?;
        let question = Question { kind, is_ipv4, guards: (from.guard, to.guard), gates };
        Some(self.verdicts.entry(question).or_default().share())
    }
}

/// What a course between two guests says of all that are attached alike. `sent` is the packet's ports.
pub(super) fn outline(course: Course, (from, to): (&Guest, &Guest), kind: Kind, sent: (u16, u16)) -> Outline {
    if Arrival::of_outcomes(&course.outcomes, Some(&to.id)) == Arrival::Never {
        return Outline::Never;
    }
    let chosen = match course.outcomes.as_slice() {
        [Outcome::Delivered { interface, source_ports, .. }] if *interface == to.id => source_ports.is_some(),
        _ => return Outline::Unclear,
    };
    if !course.is_known {
        return Outline::Unclear;
    }
    let gates = course.checks.into_iter().map(|check| gate(check, (from, to), kind, (sent, chosen)));
    gates.collect::<Option<Vec<_>>>().map_or(Outline::Unclear, Outline::Guarded)
}

fn gate(
    check: Check,
    (from, to): (&Guest, &Guest),
    kind: Kind,
    (sent, chosen): ((u16, u16), bool),
) -> Option<Gate> {
    let at = match &check.at {
        Checkpoint::Of(id, Direction::Egress) if *id == from.id => GateAt::Sender,
        Checkpoint::Of(id, Direction::Ingress) if *id == to.id => GateAt::Receiver,
        Checkpoint::Of(..) => return None,
        Checkpoint::To(Some(id)) if *id == to.id => GateAt::ToReceiver,
        Checkpoint::To(other) => GateAt::ToOther(other.clone()),
    };
    let ip = check.packet.ip()?;
    let (source, destination) = (End::of(ip.source, from), End::of(ip.destination, to));
    let port = |here: u16, sent: u16| if here == sent { Port::AsSent } else { Port::Another(here) };
    let ports = match (kind, ip.ports()) {
        (Kind::Tcp | Kind::Udp, Some((of_source, of_destination))) => {
            // One that a translation has chosen is chosen whatever was sent, also if that is the same by chance.
            let is_chosen = chosen && check.translated;
            let source = if is_chosen { Port::Another(of_source) } else { port(of_source, sent.0) };
            (source, port(of_destination, sent.1))
        }
        _ => (Port::AsSent, Port::AsSent),
    };
    Some(Gate { at, source, destination, ports, check })
}

/// Whether protection lets a packet between two guests pass, and for how many others it speaks.
pub(super) fn judge(
    topology: &Topology,
    (from, to): (&Guest, &Guest),
    gates: &[Gate],
    kind: Kind,
    (source_port, value): (u16, u16),
) -> Option<(bool, Cuts)> {
    let check = |gate: &Gate| {
        let mut check = gate.check.clone();
        let ip = check.packet.ip_mut()?;
        ip.source = gate.source.address(from)?;
        ip.destination = gate.destination.address(to)?;
        ip.payload = payload(kind, gate.ports.1.or(value), gate.ports.0.or(source_port));
        check.at = match &gate.at {
            GateAt::Sender => Checkpoint::Of(from.id.clone(), Direction::Egress),
            GateAt::Receiver => Checkpoint::Of(to.id.clone(), Direction::Ingress),
            GateAt::ToReceiver => Checkpoint::To(Some(to.id.clone())),
            GateAt::ToOther(other) => Checkpoint::To(other.clone()),
        };
        Some(check)
    };
    let checks = gates.iter().map(check).collect::<Option<Vec<_>>>()?;
    Some(passes(topology, &from.id, &checks))
}

/// One way between two guests for one kind of packets, and what is known of it.
#[derive(Default)]
pub(super) struct Line {
    pub(super) courses: Known<Rc<Outline>>,
    /// What protection makes of it, for each outline that has been met.
    pub(super) verdicts: Vec<(Rc<Outline>, Known<bool>)>,
}
