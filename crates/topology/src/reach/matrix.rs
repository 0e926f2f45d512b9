//! Matrices: who can send what to whom.
//!
//! # How it is found out
//! Guests are put into [classes](super::class), and for each pair of classes one packet of each piece of traffic (`cuts`) is
//! walked, from one member to another. So the answer is exact, and costs what there is of different rules, not of guests.
//!
//! # What counts as reaching
//! A guest speaks as itself: from an address leased to it, to an address leased to the other, or to a static address that stands
//! for one. It *may* send what arrives by any of these, from any port; it *does* reach the other with what always arrives
//! from an ephemeral port, to one address of the family at least.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::arrival::Arrival;
use super::class::{Class, Named, classes};
use super::cuts::{Cuts, FIRST_EPHEMERAL};
use super::policy::Wrong;
use super::probe::{EPHEMERAL_PORT, Prepared, Probe, ProbeKind, Target, leases, source_for};
use super::traffic::{Kind, OTHER_PROTOCOL, TrafficSet};
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::Family;
use crate::translation::entry::{StaticAddress, Transport};
use crate::walk::{Connections, Icmp, Packet, Payload, TcpFlags, walk};

/// Most packets that are walked for one question: some ten seconds.
pub const MAX_WALKS: usize = 500_000;

/// Most pairs of classes that are looked at for one question: their answers must fit into memory.
pub const MAX_PAIRS: usize = 1_000_000;

/// Who can send what to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Those who send.
    pub from: Vec<Class>,
    /// Those who receive.
    pub to: Vec<Class>,
    /// What they can send: only pairs with somebody to send to.
    pub cells: Vec<Cell>,
    /// How many packets were walked.
    pub walks: usize,
}

/// Where the guests of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Places {
    /// It does not matter.
    Any,
    /// On one host.
    Same,
    /// On different hosts.
    Different,
}

/// What those of one class can send to those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The place of the senders' class.
    pub from: usize,
    /// The place of the receivers' class.
    pub to: usize,
    /// For whom of them it is true.
    pub places: Places,
    /// A pair of them.
    pub example: (InterfaceId, InterfaceId),
    /// What they can send.
    pub reach: Reach,
}

/// What one can send to another, for each family that both have addresses of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Over IPv4.
    pub ipv4: Option<FamilyReach>,
    /// Over IPv6.
    pub ipv6: Option<FamilyReach>,
}

/// What one can send to another over one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyReach {
    /// What arrives, in some case at least.
    pub may: TrafficSet,
    /// What always arrives from a client.
    pub does: TrafficSet,
}

impl Reach {
    /// The families that both have, with what is true of them.
    pub fn families(&self) -> impl Iterator<Item = (Family, &FamilyReach)> {
        let ipv4 = self.ipv4.iter().map(|of| (Family::V4, of));
        ipv4.chain(self.ipv6.iter().map(|of| (Family::V6, of)))
    }

    /// Whether nothing arrives.
    pub fn is_empty(&self) -> bool {
        self.families().all(|(_, of)| of.may.is_empty())
    }
}

impl Matrix {
    /// How many guests send as the sender of a cell does.
    pub fn senders(&self, cell: &Cell) -> usize {
        self.from.get(cell.from).map_or(0, |class| class.members.len())
    }

    /// How many guests receive as the receiver of a cell does.
    pub fn receivers(&self, cell: &Cell) -> usize {
        self.to.get(cell.to).map_or(0, |class| class.members.len())
    }
}

/// Works out who of `from` can send what of `traffic` to whom of `to`.
///
/// # Errors
/// That would take too long.
pub fn matrix(
    topology: &Topology,
    from: &BTreeSet<InterfaceId>,
    to: &BTreeSet<InterfaceId>,
    traffic: &TrafficSet,
) -> Result<Matrix, Error> {
    let mut prober = Prober::new(topology);
    let from = classes(topology, &prober.named, from);
    let to = classes(topology, &prober.named, to);
    if from.len().saturating_mul(to.len()) > MAX_PAIRS {
        let message =
            format!("{} kinds of senders and {} of receivers are too many: name fewer", from.len(), to.len());
        return Err(Error { kind: ErrorKind::TooLarge, field: None, message });
    }
    let mut cells = Vec::new();
    for (number_from, of_from) in from.iter().enumerate() {
        for (number_to, of_to) in to.iter().enumerate() {
            let mut found = Vec::new();
            for (places, example) in pairs(of_from, of_to) {
                let reach = prober.reach(&example.0, &example.1, traffic)?;
                found.push(Cell { from: number_from, to: number_to, places, example, reach });
            }
            if let [one, other] = found.as_mut_slice()
                && one.reach == other.reach
            {
                one.places = Places::Any;
                found.truncate(1);
            }
            cells.extend(found);
        }
    }
    Ok(Matrix { from, to, cells, walks: prober.walks })
}

/// One pair of each kind that there is.
fn pairs(from: &Class, to: &Class) -> Vec<(Places, (InterfaceId, InterfaceId))> {
    let other_than = |one: &InterfaceId, among: &[InterfaceId]| among.iter().find(|of| *of != one).cloned();
    let pair = |senders: &[InterfaceId], receivers: &[InterfaceId]| {
        senders.iter().take(2).find_map(|one| Some((one.clone(), other_than(one, receivers)?)))
    };
    if from.is_anywhere && to.is_anywhere {
        return pair(&from.members, &to.members).map(|pair| (Places::Any, pair)).into_iter().collect();
    }
    let on_one = from.hosts.iter().find_map(|(host, senders)| pair(senders, to.hosts.get(host)?));
    let apart = from.hosts.iter().find_map(|(host, senders)| {
        let mut elsewhere = to.hosts.iter().filter(|(other, _)| *other != host);
        elsewhere.find_map(|(_, receivers)| pair(senders, receivers))
    });
    let places = [(Places::Same, on_one), (Places::Different, apart)];
    places.into_iter().filter_map(|(places, pair)| Some((places, pair?))).collect()
}

/// Sends packets from guest to guest.
pub(super) struct Prober<'a> {
    topology: &'a Topology,
    named: Named,
    /// Ports of static addresses.
    translated: BTreeSet<u16>,
    walks: usize,
}

/// A way to an address of the receiver.
struct Way {
    /// The frame, whatever it carries.
    frame: Packet,
    /// The static address that is used, if one is.
    by: Option<StaticAddress>,
}

impl<'a> Prober<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        let entries = topology.translations().values().flat_map(|of| &of.static_addresses);
        let ports = entries.filter_map(|entry| entry.ports);
        let translated = ports.flat_map(|ports| [ports.external, ports.internal]).collect();
        Self { topology, named: Named::of(topology), translated, walks: 0 }
    }

    /// What one guest can send to another.
    pub(super) fn reach(
        &mut self,
        from: &InterfaceId,
        to: &InterfaceId,
        traffic: &TrafficSet,
    ) -> Result<Reach, Error> {
        let cuts = Cuts::of(self.topology, from, to, &self.translated);
        let mut of_family = |family| self.family(from, to, &traffic.of_family(family), family, &cuts);
        Ok(Reach { ipv4: of_family(Family::V4)?, ipv6: of_family(Family::V6)? })
    }

    /// A packet that shows what is wrong of some traffic, or what is sent instead of it.
    pub(super) fn example(
        &mut self,
        (from, to): (&InterfaceId, &InterfaceId),
        traffic: &TrafficSet,
        family: Family,
        wrong: Wrong,
    ) -> Result<Option<Prepared>, Error> {
        let is_of = |address: IpAddr| address.is_ipv4() == (family == Family::V4);
        let ways = self.ways(from, to, is_of);
        let cuts = Cuts::of(self.topology, from, to, &self.translated);
        for kind in Kind::ALL {
            let Some((value, _)) = traffic.of(kind).iter().next() else { continue };
            for source in sources(kind, value, &cuts) {
                for packet in ways.iter().filter_map(|way| way.packet(kind, value, source)) {
                    let arrival = self.arrival(from, to, &packet)?;
                    let shows = match wrong {
                        Wrong::Arrives => arrival != Arrival::Never,
                        Wrong::DoesNotArrive => arrival != Arrival::Always && source >= FIRST_EPHEMERAL,
                    };
                    if shows {
                        return Ok(Some(Prepared::Packet(packet)));
                    }
                }
            }
        }
        let target =
            leases(self.topology, to).into_iter().map(|lease| lease.address.ip()).find(|ip| is_of(*ip));
        let target = target.map(Target::Address);
        Ok(target.and_then(|target| Probe::default().prepare(self.topology, from, &target).ok()))
    }

    fn family(
        &mut self,
        from: &InterfaceId,
        to: &InterfaceId,
        traffic: &TrafficSet,
        family: Family,
        cuts: &Cuts,
    ) -> Result<Option<FamilyReach>, Error> {
        let is_of = |address: IpAddr| address.is_ipv4() == (family == Family::V4);
        let has = |id| leases(self.topology, id).iter().any(|lease| is_of(lease.address.ip()));
        if !has(from) || !has(to) {
            return Ok(None);
        }
        let ways = self.ways(from, to, is_of);
        let mut found = FamilyReach::default();
        if ways.is_empty() {
            return Ok(Some(found));
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of(family)) {
            for piece in traffic.of(kind).pieces(cuts.of_kind(kind)) {
                let (may, does) = self.piece((from, to), &ways, kind, piece.0, cuts)?;
                if may {
                    found.may.insert(kind, piece);
                }
                if does {
                    found.does.insert(kind, piece);
                }
            }
        }
        Ok(Some(found))
    }

    /// Whether packets of a piece may arrive, and whether a client's do.
    fn piece(
        &mut self,
        (from, to): (&InterfaceId, &InterfaceId),
        ways: &[Way],
        kind: Kind,
        value: u16,
        cuts: &Cuts,
    ) -> Result<(bool, bool), Error> {
        let (mut may, mut does) = (false, true);
        for source in sources(kind, value, cuts) {
            let mut best = Arrival::Never;
            for way in ways {
                let Some(packet) = way.packet(kind, value, source) else { continue };
                best = best.max(self.arrival(from, to, &packet)?);
                if best == Arrival::Always {
                    break;
                }
            }
            may |= best != Arrival::Never;
            if source >= FIRST_EPHEMERAL {
                does &= best == Arrival::Always;
            }
        }
        Ok((may, does))
    }

    fn arrival(&mut self, from: &InterfaceId, to: &InterfaceId, packet: &Packet) -> Result<Arrival, Error> {
        self.walks += 1;
        if self.walks > MAX_WALKS {
            let message =
                format!("that takes more than {MAX_WALKS} packets: name fewer guests, or less traffic");
            return Err(Error { kind: ErrorKind::TooLarge, field: None, message });
        }
        let walked = walk(self.topology, from, packet, &Connections::default());
        Ok(Arrival::of(&walked, Some(to)))
    }

    /// The ways from one guest to another: to its own addresses, then to those that stand for them.
    fn ways(&self, from: &InterfaceId, to: &InterfaceId, is_of: impl Fn(IpAddr) -> bool) -> Vec<Way> {
        let own = leases(self.topology, from);
        let targets = leases(self.topology, to);
        let targets: Vec<_> = targets.iter().filter(|lease| is_of(lease.address.ip())).collect();
        let direct = targets.iter().filter_map(|lease| {
            let address = lease.address.ip();
            let source = source_for(self.topology, &own, address, Some(&lease.network_uuid))?;
            Some(Way { frame: self.frame(from, source.address.ip(), address)?, by: None })
        });
        let statics = targets.iter().flat_map(|lease| {
            self.named.statics_of(self.topology, lease.address.ip()).filter_map(|entry| {
                let source = source_for(self.topology, &own, entry.external, None)?;
                let frame = self.frame(from, source.address.ip(), entry.external)?;
                Some(Way { frame, by: Some(entry.clone()) })
            })
        });
        direct.chain(statics).collect()
    }

    /// The frame by which a guest sends to an address; `None` if it never gets to send it.
    fn frame(&self, from: &InterfaceId, source: IpAddr, destination: IpAddr) -> Option<Packet> {
        let probe = Probe { kind: ProbeKind::Icmp, source_address: Some(source), ..Probe::default() };
        match probe.prepare(self.topology, from, &Target::Address(destination)) {
            Ok(Prepared::Packet(frame)) => Some(frame),
            Ok(Prepared::Question(..) | Prepared::Unsent { .. }) | Err(_) => None,
        }
    }
}

/// One source port of each piece; only one where they do not matter.
fn sources(kind: Kind, value: u16, cuts: &Cuts) -> Vec<u16> {
    let of_port = match kind {
        Kind::Tcp | Kind::Udp => cuts.sources_for(kind, value),
        Kind::Icmp | Kind::Icmpv6 | Kind::Other => BTreeSet::new(),
    };
    if of_port.is_empty() {
        return vec![EPHEMERAL_PORT];
    }
    let pieces = super::ranges::Ranges::of(1, u16::MAX).pieces(&of_port);
    pieces.into_iter().map(|(first, _)| first).collect()
}

impl Way {
    /// The packet of a piece; `None` if what is used does not stand for its port.
    fn packet(&self, kind: Kind, value: u16, source_port: u16) -> Option<Packet> {
        let destination_port = match self.by.as_ref().and_then(|entry| entry.ports) {
            None => value,
            Some(ports) => {
                let carried = match kind {
                    Kind::Tcp => Some(Transport::Tcp),
                    Kind::Udp => Some(Transport::Udp),
                    Kind::Icmp | Kind::Icmpv6 | Kind::Other => None,
                }?;
                let fits = ports.internal == value && ports.protocol.is_none_or(|of| of == carried);
                fits.then_some(ports.external)?
            }
        };
        let mut packet = self.frame.clone();
        packet.ip_mut()?.payload = match kind {
            Kind::Tcp => Payload::Tcp { source_port, destination_port, flags: TcpFlags::SYN },
            Kind::Udp => Payload::Udp { source_port, destination_port },
            Kind::Icmp | Kind::Icmpv6 => {
                let [kind, code] = value.to_be_bytes();
                Payload::Icmp(Icmp { kind, code, identifier: 1, about: None })
            }
            Kind::Other => Payload::Other { protocol: OTHER_PROTOCOL },
        };
        Some(packet)
    }
}
