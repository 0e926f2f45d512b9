//! Sends packets from guest to guest, as few as say everything.
//!
//! What a packet meets says how far it speaks for packets to and from other ports: see `walk::looked`. So a piece of traffic is not
//! known before it is walked. The first port is walked, and speaks for a piece; the next one is that after the piece.

use std::net::IpAddr;

use super::arrival::Arrival;
use super::class::Named;
use super::matrix::{FamilyReach, MAX_WALKS, Reach};
use super::policy::Wrong;
use super::probe::{EPHEMERAL_PORT, Prepared, Probe, ProbeKind, Target, leases, source_for};
use super::traffic::{Kind, OTHER_PROTOCOL, TrafficSet};
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::Family;
use crate::translation::entry::{StaticAddress, Transport};
use crate::walk::{Icmp, Packet, Payload, TcpFlags, outcomes};

/// From here on ports are what clients send from (RFC 6335, section 6).
const FIRST_EPHEMERAL: u16 = 49_152;

/// Sends packets from guest to guest.
pub(super) struct Prober<'a> {
    topology: &'a Topology,
    pub(super) named: Named,
    pub(super) walks: usize,
}

/// A way to an address of the receiver.
struct Way {
    /// The frame, whatever it carries.
    frame: Packet,
    /// The static address that is used, if one is.
    by: Option<StaticAddress>,
}

/// All ways from one guest to another over one family.
struct Pair<'a> {
    from: &'a InterfaceId,
    to: &'a InterfaceId,
    ways: Vec<Way>,
}

/// What becomes of packets to a port, from some ports.
struct Sent {
    /// What becomes of them.
    best: Arrival,
    /// The ports they are from.
    from: (u16, u16),
}

/// What becomes of packets to some ports.
struct Piece {
    /// The last of the ports.
    last: u16,
    /// For all ports that they are from.
    sent: Vec<Sent>,
}

impl<'a> Prober<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        Self { topology, named: Named::of(topology), walks: 0 }
    }

    /// What one guest can send to another.
    pub(super) fn reach(
        &mut self,
        from: &InterfaceId,
        to: &InterfaceId,
        traffic: &TrafficSet,
    ) -> Result<Reach, Error> {
        let mut of_family = |family| self.family(from, to, &traffic.of_family(family), family);
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
        let pair = Pair { from, to, ways: self.ways(from, to, is_of) };
        for kind in Kind::ALL {
            let Some((value, _)) = traffic.of(kind).iter().next() else { continue };
            for sent in self.piece(&pair, kind, value)?.sent {
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
    ) -> Result<Option<FamilyReach>, Error> {
        let is_of = |address: IpAddr| address.is_ipv4() == (family == Family::V4);
        let has = |id| leases(self.topology, id).iter().any(|lease| is_of(lease.address.ip()));
        if !has(from) || !has(to) {
            return Ok(None);
        }
        let pair = Pair { from, to, ways: self.ways(from, to, is_of) };
        let mut found = FamilyReach::default();
        if pair.ways.is_empty() {
            return Ok(Some(found));
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of(family)) {
            for (first, last) in traffic.of(kind).iter() {
                let mut next = Some(first);
                while let Some(first) = next {
                    let piece = self.piece(&pair, kind, first)?;
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
        Ok(Some(found))
    }

    /// What becomes of packets to a port, and to those after it for which it speaks.
    fn piece(&mut self, pair: &Pair<'_>, kind: Kind, value: u16) -> Result<Piece, Error> {
        let has_ports = matches!(kind, Kind::Tcp | Kind::Udp);
        let mut piece = Piece { last: u16::MAX, sent: Vec::new() };
        for way in &pair.ways {
            piece.cut(value, &way.cuts(kind));
        }
        let mut next = Some(if has_ports { 1 } else { EPHEMERAL_PORT });
        while let Some(source) = next {
            let (mut best, mut last) = (Arrival::Never, u16::MAX);
            for way in &pair.ways {
                let Some(packet) = way.packet(kind, value, source) else { continue };
                let (arrival, cuts) = self.walk(pair, &packet)?;
                piece.cut(value, &cuts.to);
                last = before_next(source, last, &cuts.from);
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

    fn walk(&mut self, pair: &Pair<'_>, packet: &Packet) -> Result<(Arrival, crate::walk::Cuts), Error> {
        self.walks += 1;
        if self.walks > MAX_WALKS {
            let message =
                format!("that takes more than {MAX_WALKS} packets: name fewer guests, or less traffic");
            return Err(Error { kind: ErrorKind::TooLarge, field: None, message });
        }
        let (outcomes, cuts) = outcomes(self.topology, pair.from, packet);
        Ok((Arrival::of_outcomes(&outcomes, Some(pair.to)), cuts))
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

/// The last number before the first cut after `number`.
fn before_next(number: u16, last: u16, cuts: &[u16]) -> u16 {
    let after = cuts.iter().filter(|cut| **cut > number);
    after.map(|cut| cut - 1).min().map_or(last, |before| before.min(last))
}

impl Sent {
    /// Whether clients send so.
    fn is_of_clients(&self) -> bool {
        self.from.1 >= FIRST_EPHEMERAL
    }
}

impl Piece {
    fn cut(&mut self, first: u16, cuts: &[u16]) {
        self.last = before_next(first, self.last, cuts);
    }

    /// Whether any of it may arrive.
    fn may(&self) -> bool {
        self.sent.iter().any(|sent| sent.best != Arrival::Never)
    }

    /// Whether all that a client sends arrives.
    fn does(&self) -> bool {
        self.sent.iter().filter(|sent| sent.is_of_clients()).all(|sent| sent.best == Arrival::Always)
    }
}

impl Way {
    /// The port inside that it stands for, if only one.
    fn port(&self, kind: Kind) -> Option<Option<u16>> {
        let Some(ports) = self.by.as_ref().and_then(|entry| entry.ports) else { return Some(None) };
        let carried = match kind {
            Kind::Tcp => Transport::Tcp,
            Kind::Udp => Transport::Udp,
            Kind::Icmp | Kind::Icmpv6 | Kind::Other => return None,
        };
        ports.protocol.is_none_or(|of| of == carried).then_some(Some(ports.internal))
    }

    /// Where the ports begin and end that it stands for.
    fn cuts(&self, kind: Kind) -> Vec<u16> {
        let port = self.port(kind).flatten();
        port.into_iter().flat_map(|port| [Some(port), port.checked_add(1)]).flatten().collect()
    }

    /// The packet of a piece; `None` if what is used does not stand for its port.
    fn packet(&self, kind: Kind, value: u16, source_port: u16) -> Option<Packet> {
        let destination_port = match self.port(kind)? {
            None => value,
            Some(internal) if internal == value => self.by.as_ref()?.ports?.external,
            Some(_) => return None,
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
