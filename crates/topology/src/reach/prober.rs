//! Sends packets from guest to guest, as few as say everything.
//!
//! What a packet meets says how far it speaks for packets to and from other ports: see `walk::looked`. So a piece of traffic is not
//! known before it is walked. The first port is walked, and speaks for a piece; the next one is that after the piece.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::apart::Apart;
use super::arrival::Arrival;
use super::class::{Class, Named};
use super::matrix::{FamilyReach, MAX_LOOKS, MAX_WALKS, Reach};
use super::piece::{Piece, Sent};
use super::policy::Wrong;
use super::probe::{EPHEMERAL_PORT, Prepared, Probe, ProbeKind, Target};
use super::shared::{Area, Guest, Guests, Line, Outline, Shared, judge, outline};
use super::source::{leases, source_for};
use super::traffic::{Kind, TrafficSet};
use super::way::Way;
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::Family;
use crate::walk::{Cuts, Packet, course, outcomes};

/// What all who work on one question have in common.
pub(super) struct Survey<'a> {
    topology: &'a Topology,
    named: Named,
    apart: Apart,
    pub(super) guests: Guests,
    walks: AtomicUsize,
    looks: AtomicUsize,
}

/// Sends packets from guest to guest.
pub(super) struct Prober<'a> {
    survey: &'a Survey<'a>,
    shared: Shared,
}

/// All ways from one guest to another over one family.
struct Pair<'a> {
    from: &'a InterfaceId,
    to: &'a InterfaceId,
    ways: Rc<[Way]>,
    /// If what is found out between others is true of these: who they are, and over which family.
    shares: Option<(&'a Guest, &'a Guest, Family)>,
    /// The ways of these two themselves, once they are needed.
    own: OnceCell<Vec<Way>>,
}

/// Whether what is found out between others may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Where it is true.
    Wherever,
    /// Not at all.
    Never,
}

impl<'a> Survey<'a> {
    /// One about those of some classes.
    pub(super) fn new<'c>(
        topology: &'a Topology,
        named: Named,
        classes: impl Iterator<Item = &'c Class>,
    ) -> Self {
        let (apart, guests) = (Apart::of(topology), Guests::of(topology, &named, classes));
        Self { topology, named, apart, guests, walks: AtomicUsize::new(0), looks: AtomicUsize::new(0) }
    }

    /// Somebody to work on it.
    pub(super) fn prober(&'a self) -> Prober<'a> {
        Prober { survey: self, shared: Shared::default() }
    }

    /// How many packets were walked.
    pub(super) fn walks(&self) -> usize {
        self.walks.load(Ordering::Relaxed)
    }

    fn count_walk(&self) -> Result<(), Error> {
        count(&self.walks, MAX_WALKS)
    }

    fn count_look(&self) -> Result<(), Error> {
        count(&self.looks, MAX_LOOKS)
    }
}

impl<'a> Prober<'a> {
    /// What one guest can send to another.
    pub(super) fn reach(
        &mut self,
        from: &InterfaceId,
        to: &InterfaceId,
        traffic: &TrafficSet,
        sharing: Sharing,
    ) -> Result<Reach, Error> {
        let mut of_family = |family| {
            let Some(pair) = self.pair((from, to), family, sharing) else { return Ok(None) };
            self.family(&pair, &traffic.of_family(family), family).map(Some)
        };
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
        let pair =
            Pair { from, to, ways: self.ways(from, to, family).into(), shares: None, own: OnceCell::new() };
        for kind in Kind::ALL {
            let Some((value, _)) = traffic.of(kind).iter().next() else { continue };
            let mut lines = self.lines(&pair, kind);
            for sent in self.piece(&pair, &mut lines, kind, value)?.sent {
                let source = if sent.is_of_clients() { sent.from.1.min(EPHEMERAL_PORT) } else { sent.from.0 };
                for packet in pair.ways.iter().filter_map(|way| way.packet(kind, value, source)) {
                    let arrival = self.walk(&pair, &packet)?.0;
                    let shows = match wrong {
                        Wrong::Arrives => arrival != Arrival::Never,
                        Wrong::DoesNotArrive => arrival != Arrival::Always && sent.is_of_clients(),
                    };
                    if shows {
                        return Ok(Some(Prepared::Packet(packet)));
                    }
                }
            }
        }
        let target = leases(self.survey.topology, to)
            .into_iter()
            .map(|lease| lease.address.ip())
            .find(|ip| is_of(*ip));
        let target = target.map(Target::Address);
        Ok(target.and_then(|target| Probe::default().prepare(self.survey.topology, from, &target).ok()))
    }

    /// Two guests with the ways between them; `None` if they have no addresses of the family both.
    fn pair<'p>(
        &mut self,
        (from, to): (&'p InterfaceId, &'p InterfaceId),
        family: Family,
        sharing: Sharing,
    ) -> Option<Pair<'p>>
    where
        'a: 'p,
    {
        let (sender, receiver) = (self.survey.guests.get(from)?, self.survey.guests.get(to)?);
        if !sender.has(family) || !receiver.has(family) {
            return None;
        }
        let alike = match sharing {
            Sharing::Wherever => self.survey.guests.alike(sender, receiver),
            Sharing::Never => None,
        };
        let Some((one, other)) = alike else {
            return Some(Pair {
                from,
                to,
                ways: self.ways(from, to, family).into(),
                shares: None,
                own: OnceCell::new(),
            });
        };
        let key = (sender.attached, receiver.attached, family);
        let ways = match self.shared.ways.get(&key) {
            Some(ways) => ways.clone(),
            None => {
                let ways: Rc<[Way]> = self.ways(&one.id, &other.id, family).into();
                self.shared.ways.insert(key, ways.clone());
                ways
            }
        };
        Some(Pair { from, to, ways, shares: Some((sender, receiver, family)), own: OnceCell::new() })
    }

    /// What is known of each way of a pair.
    fn lines(&mut self, pair: &Pair<'_>, kind: Kind) -> Vec<Line> {
        let line = |way| match &pair.shares {
            Some((from, to, family)) => {
                let key = (from.attached, to.attached, *family, way, kind);
                Line { courses: self.shared.courses(key), ..Line::default() }
            }
            None => Line::default(),
        };
        (0..pair.ways.len()).map(line).collect()
    }

    fn family(
        &mut self,
        pair: &Pair<'_>,
        traffic: &TrafficSet,
        family: Family,
    ) -> Result<FamilyReach, Error> {
        let mut found = FamilyReach::default();
        if pair.ways.is_empty() {
            return Ok(found);
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of(family)) {
            let mut lines = self.lines(pair, kind);
            for (first, last) in traffic.of(kind).iter() {
                let mut next = Some(first);
                while let Some(first) = next {
                    let piece = self.piece(pair, &mut lines, kind, first)?;
                    let end = piece.last.min(last);
                    if piece.may() {
                        found.may.insert(kind, (first, end));
                    }
                    if piece.does() {
                        found.does.insert(kind, (first, end));
                    }
                    next = end.checked_add(1).filter(|next| *next <= last);
                }
            }
        }
        Ok(found)
    }

    /// What becomes of packets to a port, and to those after it for which it speaks.
    fn piece(&mut self, pair: &Pair<'_>, lines: &mut [Line], kind: Kind, value: u16) -> Result<Piece, Error> {
        let has_ports = matches!(kind, Kind::Tcp | Kind::Udp);
        let mut piece = Piece { last: u16::MAX, sent: Vec::new() };
        for way in pair.ways.iter() {
            piece.last = before_next(value, piece.last, &way.cuts(kind));
        }
        let mut next = Some(if has_ports { 1 } else { EPHEMERAL_PORT });
        while let Some(source) = next {
            let (mut best, mut last) = (Arrival::Never, u16::MAX);
            for (way, line) in lines.iter_mut().enumerate() {
                let Some((arrival, area)) = self.tell((pair, way), line, kind, (source, value))? else {
                    continue;
                };
                piece.last = piece.last.min(area.to.1);
                last = last.min(area.from.1);
                best = best.max(arrival);
                if best == Arrival::Always {
                    break;
                }
            }
            piece.sent.push(Sent { best, from: (source, last) });
            next = last.checked_add(1).filter(|_| has_ports);
        }
        Ok(piece)
    }

    /// What becomes of a packet by one of a pair's ways, and of which others; `None` if the way does not stand for its port.
    fn tell(
        &mut self,
        (pair, way): (&Pair<'_>, usize),
        line: &mut Line,
        kind: Kind,
        (source, value): (u16, u16),
    ) -> Result<Option<(Arrival, Area)>, Error> {
        let Some(by) = pair.ways.get(way).filter(|by| by.destination_port(kind, value).is_some()) else {
            return Ok(None);
        };
        let Some((from, to, family)) = &pair.shares else {
            let Some(packet) = by.packet(kind, value, source) else { return Ok(None) };
            return self
                .walk(pair, &packet)
                .map(|(arrival, cuts)| Some((arrival, area((source, value), &cuts))));
        };
        self.survey.count_look()?;
        let (within, outline) = match line.courses.at(value, source) {
            Some(known) => known,
            None => self.course((from, to), (by, kind), line, (source, value))?,
        };
        let verdict = match &*outline {
            Outline::Never => Some((Arrival::Never, within)),
            Outline::Guarded(gates) => {
                let judged = self.judged((from, to), (gates, &outline), line, kind, (source, value));
                judged.map(|(passes, area)| (if passes { Arrival::Always } else { Arrival::Never }, area))
            }
            Outline::Unclear => None,
        };
        if let Some((arrival, area)) = verdict {
            return Ok(Some((arrival, area.within(within))));
        }
        let own = pair.own.get_or_init(|| self.ways(pair.from, pair.to, *family));
        let Some(packet) = own.get(way).and_then(|way| way.packet(kind, value, source)) else {
            return Ok(None);
        };
        let (arrival, cuts) = self.walk(pair, &packet)?;
        Ok(Some((arrival, area((source, value), &cuts).within(within))))
    }

    /// Finds out the course of a packet between guests that are attached as these are.
    fn course(
        &mut self,
        (from, to): (&Guest, &Guest),
        (by, kind): (&Way, Kind),
        line: &Line,
        (source, value): (u16, u16),
    ) -> Result<(Area, Rc<Outline>), Error> {
        let examples = self.survey.guests.alike(from, to);
        let walked = examples.zip(by.packet(kind, value, source)).map(|((one, other), packet)| {
            let course = course(self.survey.topology, &one.id, &packet);
            let whole = area((source, value), &course.cuts);
            let last = before_next(value, whole.to.1, &by.cuts(kind));
            let area = Area { to: (value, last), ..whole };
            (area, Rc::new(outline(course, (one, other), kind, (source, value))))
        });
        self.survey.count_walk()?;
        let (area, outline) = walked.unwrap_or_else(|| {
            (Area { to: (value, value), from: (source, source) }, Rc::new(Outline::Unclear))
        });
        line.courses.note(area, outline.clone());
        Ok((area, outline))
    }

    /// What protection makes of a packet between two guests; `None` if that cannot be shared.
    fn judged(
        &mut self,
        (from, to): (&Guest, &Guest),
        (gates, outline): (&[super::shared::Gate], &Rc<Outline>),
        line: &mut Line,
        kind: Kind,
        (source, value): (u16, u16),
    ) -> Option<(bool, Area)> {
        let known = match line.verdicts.iter().find(|(of, _)| Rc::ptr_eq(of, outline)) {
            Some((_, known)) => known,
            None => {
                let known = self.shared.verdicts(
                    (self.survey.topology, &self.survey.guests),
                    (from, to),
                    gates,
                    kind,
                )?;
                line.verdicts.push((outline.clone(), known));
                line.verdicts.last().map(|(_, known)| known)?
            }
        };
        if let Some((area, passes)) = known.at(value, source) {
            return Some((passes, area));
        }
        let (passes, cuts) = judge(self.survey.topology, (from, to), gates, kind, (source, value))?;
        let area = area((source, value), &cuts);
        known.note(area, passes);
        Some((passes, area))
    }

    fn walk(&mut self, pair: &Pair<'_>, packet: &Packet) -> Result<(Arrival, Cuts), Error> {
        self.survey.count_walk()?;
        let (outcomes, cuts) = outcomes(self.survey.topology, pair.from, packet);
        Ok((Arrival::of_outcomes(&outcomes, Some(pair.to)), cuts))
    }

    /// The ways from one guest to another: to its own addresses, then to those that stand for them. Which never get there is left
    /// out as far as that is known.
    fn ways(&self, from: &InterfaceId, to: &InterfaceId, family: Family) -> Vec<Way> {
        let is_of = |address: IpAddr| address.is_ipv4() == (family == Family::V4);
        let own = leases(self.survey.topology, from);
        let targets = leases(self.survey.topology, to);
        let targets: Vec<_> = targets.iter().filter(|lease| is_of(lease.address.ip())).collect();
        let direct = targets.iter().filter_map(|lease| {
            let address = lease.address.ip();
            if self.survey.apart.is_certain(self.survey.topology, (from, to), address) {
                return None;
            }
            let source = source_for(self.survey.topology, &own, address, Some(&lease.network_uuid))?;
            Some(Way { frame: self.frame(from, source.address.ip(), address)?, by: None })
        });
        let statics = targets.iter().flat_map(|lease| {
            self.survey.named.statics_of(self.survey.topology, lease.address.ip()).filter_map(|entry| {
                let source = source_for(self.survey.topology, &own, entry.external, None)?;
                let frame = self.frame(from, source.address.ip(), entry.external)?;
                Some(Way { frame, by: Some(entry.clone()) })
            })
        });
        direct.chain(statics).collect()
    }

    /// The frame by which a guest sends to an address; `None` if it never gets to send it.
    fn frame(&self, from: &InterfaceId, source: IpAddr, destination: IpAddr) -> Option<Packet> {
        let probe = Probe { kind: ProbeKind::Icmp, source_address: Some(source), ..Probe::default() };
        match probe.prepare(self.survey.topology, from, &Target::Address(destination)) {
            Ok(Prepared::Packet(frame)) => Some(frame),
            Ok(Prepared::Question(..) | Prepared::Unsent { .. }) | Err(_) => None,
        }
    }
}

/// The last number before the first cut after `number`.
fn before_next(number: u16, last: u16, cuts: &[u16]) -> u16 {
    let after = cuts.iter().filter(|cut| **cut > number);
    after.map(|cut| cut - 1).min().map_or(last, |before| before.min(last))
}

/// For which packets one speaks.
fn area((source, value): (u16, u16), cuts: &Cuts) -> Area {
    let to = (value, before_next(value, u16::MAX, &cuts.to));
    Area { to, from: (source, before_next(source, u16::MAX, &cuts.from)) }
}

fn count(of: &AtomicUsize, limit: usize) -> Result<(), Error> {
    if of.fetch_add(1, Ordering::Relaxed) < limit {
        return Ok(());
    }
    let message = format!("that takes more than {limit} packets: name fewer guests, or less traffic");
    Err(Error { kind: ErrorKind::TooLarge, field: None, message })
}
