//! Packets made from the match of a flow, so that they may meet it.

use std::net::IpAddr;

use dataplane::layout::*;
use openflow::{Field, Match, TableId, Term, ct_state};
use topology::Topology;
use topology::walk::{Content, Fragment, IpPacket, Packet, Payload, TcpFlags};

use super::cast::{Cast, identity, is_filtered, is_protected};
use super::overlay::SERVICE_TAG;
use super::parties::{Party, is_leg, parties, uplinks};
use super::spoiled::may_grow;
use super::{Author, answer, error_about};
use crate::forms::Form;
use crate::scene::{Sent, Story, host_of};

/// Packets of which one may be sent again.
const LATEST: usize = 12;

/// What packets are to meet.
pub(crate) struct Aim {
    /// Where it is.
    pub(crate) host: u8,
    /// In which table.
    pub(crate) table: TableId,
    /// What it matches.
    pub(crate) matching: Match,
}

impl Aim {
    /// Whether it is what neighbours tell each other over IPv6.
    pub(super) fn is_control(&self) -> bool {
        self.matching.get(Field::Icmpv6Type).is_some_and(|term| (130..=143).contains(&term.value))
    }
}

impl Author {
    /// The next packet that may meet a flow; `None` if there is nobody to send one.
    pub(crate) fn aimed(&mut self, story: &Story, aim: &Aim) -> Option<Sent> {
        // What trackers know shows in answers, and in answers to these.
        let is_tracked = [TRACK_OUT..=LOG, TRACK_IN..=REFUSED_IN, TRANSLATE_OUT..=TRANSLATED_IN];
        let is_tracked = is_tracked.iter().any(|tables| tables.contains(&aim.table));
        if self.random.percent(if is_tracked { 50 } else { 30 }) && !self.received.is_empty() {
            let latest = self.received.last().filter(|_| self.random.percent(60)).cloned();
            let (from, got) = latest.unwrap_or_else(|| self.random.pick(&self.received).clone());
            let errors = if is_about_related(&aim.matching) { 75 } else { 20 };
            let packet = if self.random.percent(errors) { error_about(&got) } else { answer(&got) };
            if let Some(packet) = packet {
                return Some(Sent { from, packet, form: Form::Plain });
            }
        }
        // A connection that is known shows in its next packet, too.
        let earlier = &story.scene().sent;
        let latest = earlier.len().saturating_sub(LATEST);
        if let Some(again) =
            self.random.any(&earlier[latest..]).filter(|_| is_tracked && self.random.percent(12))
        {
            return Some(again.clone());
        }
        let topology = &story.topology;
        let cast = Cast::of(topology, aim);
        if let Some(mut sent) = self.outsider(topology, &cast, aim) {
            self.overlay(&mut sent.packet, &aim.matching, topology, &cast.parties);
            sent.form = form(&aim.matching).unwrap_or_else(|| self.form(&sent.packet));
            if aim.table == WIRE_SOURCE || aim.table == CLASSIFY && self.random.percent(50) {
                self.pretend(&mut sent.packet, &cast);
            }
            return Some(sent);
        }
        let receiver = self.random.any(&cast.receivers).filter(|_| self.random.percent(75)).cloned();
        let from = self.sender(topology, &cast, aim, receiver.as_ref())?;
        let packet = self.write(topology, &from, &cast.parties);
        let packet = match is_about_neighbours(&aim.matching) {
            true => {
                let near = cast.parties.iter().filter(|party| party.domain == from.domain).cloned();
                let near: Vec<_> = near.collect();
                let is_near = self.random.percent(80);
                self.resolution(&from, if is_near { &near } else { &cast.parties })
            }
            false => packet,
        };
        let mut packet = self.towards(packet, topology, &from, aim);
        match receiver {
            Some(receiver) if receiver.domain == from.domain => {
                self.lead_to(&mut packet, &from, &receiver, aim);
            }
            // By a router of the sender's, to where it may be.
            Some(receiver) if (TRACK_OUT..=REFUSED_IN).contains(&aim.table) => {
                let near = cast.parties.iter().filter(|of| of.domain == from.domain);
                let legs: Vec<_> = near.filter(|of| is_leg(topology, of)).collect();
                if let Some(leg) = self.random.any(&legs).copied() {
                    let by_leg = Party { mac: leg.mac, ..receiver };
                    self.lead_to(&mut packet, &from, &by_leg, aim);
                }
            }
            _ => {}
        }
        match self.random.percent(85) {
            true => self.overlay(&mut packet, &aim.matching, topology, &cast.parties),
            false => packet = self.spoil(packet, &cast.parties),
        }
        // Where it is looked who speaks, some do not say who they are.
        let is_judged = [SOURCE, SEGMENT_SOURCE, WIRE_SOURCE].contains(&aim.table);
        if cast.source.is_none() && self.random.percent(if is_judged { 50 } else { 90 }) {
            speak_as(&mut packet, &from);
        } else if is_judged {
            self.pretend(&mut packet, &cast);
        }
        self.resize(&mut packet, aim.table);
        // A neighbour may speak by the address that means it on this wire alone.
        let is_to_neighbour = matches!(packet.ip().map(|ip| ip.destination), Some(IpAddr::V6(to)) if to.is_unicast_link_local());
        let own = from.mac.link_local();
        if let Some(ip) = packet.ip_mut().filter(|_| is_to_neighbour && self.random.percent(50)) {
            ip.source = own.into();
        }
        let form = form(&aim.matching).unwrap_or_default();
        Some(Sent { from: from.interface, packet, form })
    }

    /// Who may be meant, rather on the flow's host, and, where packets are judged, rather somebody whose are.
    fn sender(&mut self, topology: &Topology, cast: &Cast, aim: &Aim, to: Option<&Party>) -> Option<Party> {
        let guests: Vec<_> = cast.parties.iter().filter(|party| !party.is_simulated).collect();
        let speaker = guests.iter().find(|party| cast.source.is_some_and(|of| party.addresses.contains(&of)));
        if let Some(speaker) = speaker.filter(|_| self.random.percent(70)) {
            return Some((*speaker).clone());
        }
        // A router may bring it, too.
        let is_by_router = self.random.percent(40);
        let fitting = |party: &&&Party| {
            cast.may_be(topology, &party.interface, &party.domain)
                && (is_by_router || to.is_none_or(|to| to.domain == party.domain))
        };
        let chosen: Vec<_> = guests.iter().filter(fitting).copied().collect();
        let is_member = |party: &&&Party| match cast.identity {
            Some(identity) => self::identity(topology, party) == Some(identity),
            None => [TUNNEL_IN, PEER].contains(&aim.table) && self::identity(topology, party).is_some(),
        };
        let is_here = |party: &&&Party| host_of(&party.interface) == Some(aim.host);
        // What comes by a tunnel is from elsewhere, and what leaves by one from here.
        let is_there = |party: &&&Party| match aim.table {
            TUNNEL_IN => !is_here(party),
            PEER | TUNNEL_OUT => is_here(party) || to.is_none(),
            _ => true,
        };
        let chosen: Vec<_> = chosen.iter().filter(is_there).copied().collect();
        let members: Vec<_> = chosen.iter().filter(is_member).copied().collect();
        if !members.is_empty() && self.random.percent(60) {
            return self.random.any(&members).copied().cloned();
        }
        // Nothing but its receiver's protection may refuse it.
        let open: Vec<_> = chosen.iter().filter(|party| !is_protected(topology, party)).copied().collect();
        if (TRACK_IN..=REFUSED_IN).contains(&aim.table) && !open.is_empty() && self.random.percent(50) {
            return self.random.any(&open).copied().cloned();
        }
        let here: Vec<_> = chosen.iter().filter(is_here).copied().collect();
        // What is said to neighbours passes groups anyway; a filter may judge it, and some of it only routers say.
        let heard: Vec<_> = here.iter().filter(|party| is_filtered(topology, party)).copied().collect();
        let routing: Vec<_> = heard.iter().filter(|party| is_leg(topology, party)).copied().collect();
        if aim.is_control() && aim.table == TRACK_OUT && !heard.is_empty() && self.random.percent(70) {
            let is_routers = !routing.is_empty() && self.random.percent(60);
            return self.random.any(if is_routers { &routing } else { &heard }).copied().cloned();
        }
        let protected: Vec<_> = here.iter().filter(|party| is_protected(topology, party)).copied().collect();
        let judged = (TRACK_OUT..=LOG).contains(&aim.table);
        let among = match self.random.below(10) {
            0..5 if judged && !protected.is_empty() => protected,
            0..6 if !here.is_empty() => here,
            0..9 if !chosen.is_empty() => chosen,
            _ => guests,
        };
        self.random.any(&among).copied().cloned()
    }

    /// From outside, if the flow may be about that.
    fn outsider(&mut self, topology: &Topology, cast: &Cast, aim: &Aim) -> Option<Sent> {
        let wires = uplinks(topology).into_iter();
        let wires: Vec<_> = wires.filter(|(uplink, of)| cast.may_be(topology, uplink, of)).collect();
        let here: Vec<_> = wires.iter().filter(|(of, _)| host_of(of) == Some(aim.host)).cloned().collect();
        let is_guest = |of: &&Party| !of.is_simulated && cast.may_be(topology, &of.interface, &of.domain);
        let is_only = cast.sender.is_some() || !cast.parties.iter().any(|of| is_guest(&of));
        let wires = if here.is_empty() || self.random.percent(30) { wires } else { here };
        let (uplink, domain) = self.random.any(&wires).cloned()?;
        let chance = if (WIRE_SOURCE..=NEIGHBOUR).contains(&aim.table) { 85 } else { 25 };
        if !is_only && !self.random.percent(chance) {
            return None;
        }
        let mut sent = self.outside(uplink, &domain, &cast.parties);
        self.turn(&mut sent.packet, aim.table);
        Some(sent)
    }

    /// Has what comes from outside go back to the wire that it comes from, or answer what a leg stands for, sometimes.
    fn turn(&mut self, packet: &mut Packet, table: TableId) {
        let (is_back, is_answer) = (self.random.percent(25), self.random.percent(25));
        let target = self.outside_in(packet.ip().is_none_or(IpPacket::is_ipv4));
        let is_one = !packet.destination.is_multicast();
        let Some(ip) = packet.ip_mut().filter(|_| is_one) else { return };
        if is_back && (ROUTE..=GATEWAY).contains(&table) {
            ip.destination = target;
        }
        if let Payload::Tcp { source_port, destination_port, flags } = &mut ip.payload
            && is_answer
            && (TRANSLATE_OUT..=TRANSLATED_IN).contains(&table)
        {
            std::mem::swap(source_port, destination_port);
            *flags = TcpFlags::SYN_ACK;
        }
    }

    /// To where it may pass the flow's table: to all, to another host, or by a router of the sender's domain.
    fn towards(&mut self, packet: Packet, topology: &Topology, from: &Party, aim: &Aim) -> Packet {
        let parties = parties(topology);
        let legs = parties.iter().filter(|party| party.domain == from.domain && is_leg(topology, party));
        let legs: Vec<_> = legs.cloned().collect();
        let is_far = |party: &&Party| {
            party.domain == from.domain && host_of(&party.interface).is_some_and(|host| host != aim.host)
        };
        let far: Vec<_> = parties.iter().filter(is_far).cloned().collect();
        let (chance, outside) = (self.random.below(10), self.outside_of(from));
        let (hop, targets) = match aim.table {
            // What a tunnel says is for nobody is for all.
            TUNNEL_IN if chance < 8 && aim.matching.get(OPTION).is_some() => return self.broadcast(from),
            TUNNEL_IN | DESTINATION if chance < 4 => return self.broadcast(from),
            PEER | TUNNEL_OUT if chance < 8 => {
                let Some(to) = self.random.any(&far).cloned() else { return packet };
                (to.mac, to.addresses)
            }
            table if (ROUTE..=GATEWAY).contains(&table) && chance < 4 => {
                let Some(leg) = self.random.any(&legs) else { return packet };
                (leg.mac, vec![outside])
            }
            // Also back to itself.
            table if table >= SIMULATED && chance == 4 => {
                let Some(leg) = self.random.any(&legs) else { return packet };
                (leg.mac, from.addresses.clone())
            }
            table if table >= SIMULATED && chance < 9 => {
                let Some(leg) = self.random.any(&legs) else { return packet };
                (leg.mac, self.random.pick(&parties).addresses.clone())
            }
            _ => return packet,
        };
        let is_ipv4 = packet.ip().is_some_and(IpPacket::is_ipv4);
        let targets: Vec<_> = targets.into_iter().filter(|of| of.is_ipv4() == is_ipv4).collect();
        let mut packet = packet;
        packet.destination = hop;
        if let (Some(ip), Some(target)) = (packet.ip_mut(), self.random.any(&targets).copied()) {
            ip.destination = target;
        }
        packet
    }

    /// Has a packet say, sometimes, that it is from somebody else: rather a leg, if it may be from outside.
    fn pretend(&mut self, packet: &mut Packet, cast: &Cast) {
        let (chance, prefers) = (self.random.below(6), self.random.percent(60));
        let legs: Vec<_> = cast.parties.iter().filter(|of| of.is_simulated == prefers).collect();
        let Some(other) = self.random.any(&legs).copied() else { return };
        let is_ipv4 = packet.ip().is_none_or(IpPacket::is_ipv4);
        let own: Vec<_> = other.addresses.iter().copied().filter(|of| of.is_ipv4() == is_ipv4).collect();
        let source = self.random.any(&own).copied();
        match (chance, &mut packet.content) {
            (0, Content::Arp(arp)) => arp.sender_mac = other.mac,
            (0, _) => packet.source = other.mac,
            (1 | 2, Content::Ip(ip)) => ip.source = source.unwrap_or(ip.source),
            (1 | 2, Content::Arp(arp)) => {
                if let Some(IpAddr::V4(source)) = source {
                    arp.sender_ip = source;
                }
            }
            _ => {}
        }
    }

    /// Sends it to somebody in its sender's domain.
    fn lead_to(&mut self, packet: &mut Packet, from: &Party, to: &Party, aim: &Aim) {
        if packet.destination.is_multicast() {
            return;
        }
        packet.destination = to.mac;
        let is_ipv4 = packet.ip().is_some_and(IpPacket::is_ipv4);
        let own: Vec<_> = to.addresses.iter().copied().filter(|of| of.is_ipv4() == is_ipv4).collect();
        let Some(target) = self.random.any(&own).copied() else { return };
        if let Some(ip) = packet.ip_mut().filter(|_| aim.table < SIMULATED || self.random.percent(50)) {
            ip.destination = target;
        }
        speak_as(packet, from);
    }

    /// Gives a packet another size or other hops, sometimes, and where it may be too large for a tunnel mostly.
    fn resize(&mut self, packet: &mut Packet, table: TableId) {
        let chance = match table {
            TUNNEL_OUT => 70,
            PEER => 40,
            _ => 4,
        };
        let (is_large, bytes) = (self.random.percent(chance), self.around_tunnels());
        let is_far = self.random.percent(if table == ECHO_REPLY { 60 } else { 15 });
        let hops = self.random.below(60);
        // Some of these hops are taken by routers in a row.
        let last = Some(1 + self.random.below(3))
            .filter(|_| (FORWARD..=LINK).contains(&table) && self.random.percent(30));
        let is_whole = self.random.percent(50);
        let Some(ip) = packet.ip_mut() else { return };
        if is_large && may_grow(&ip.payload) {
            ip.data_bytes = bytes;
            // Who sends what may not be cut is told what fits.
            ip.dont_fragment = ip.is_ipv4() && is_whole && ip.fragment == Fragment::Whole;
        }
        if is_far && !matches!(ip.payload, Payload::Neighbour(_)) && ip.hops == 64 {
            ip.hops = u8::try_from(hops).expect("few").saturating_sub(15) + 1;
        }
        if let Some(last) = last.filter(|_| ip.hops == 64) {
            ip.hops = u8::try_from(last).expect("few");
        }
    }
}

/// How a packet has to be written, if that matters.
fn form(matching: &Match) -> Option<Form> {
    let is_service_tagged = matching.get(Field::EthType).is_some_and(|term| term.value == SERVICE_TAG);
    is_service_tagged.then_some(Form::ServiceTagged)
}

/// Has a packet be from an address of its sender's, if there is one of its family.
fn speak_as(packet: &mut Packet, from: &Party) {
    let Some(ip) = packet.ip_mut() else { return };
    let link_local = IpAddr::from(from.mac.link_local());
    let is_own = from.addresses.contains(&ip.source) || ip.source == link_local || ip.source.is_unspecified();
    if !is_own {
        let own = from.addresses.iter().copied().chain([link_local]);
        ip.source = { own }.find(|of| of.is_ipv4() == ip.is_ipv4()).unwrap_or(ip.source);
    }
}

/// Whether a flow is about messages that are about a connection.
fn is_about_related(matching: &Match) -> bool {
    let related = u128::from(ct_state::REL);
    matching.get(Field::CtState).is_some_and(|term| term.mask & related != 0 && term.value & related != 0)
}

/// Whether a flow is about who has an address.
fn is_about_neighbours(matching: &Match) -> bool {
    let value = |field| matching.get(field).map(|term: &Term| term.value);
    value(Field::EthType) == Some(0x0806) || matches!(value(Field::Icmpv6Type), Some(135 | 136))
}
