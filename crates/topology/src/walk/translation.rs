//! Translations: what leaves by a translating leg gets other addresses, and so does what comes to it.
//!
//! # Where
//! Connections are known on the host of the guest inside, and nowhere else: there they are translated. What comes from outside is
//! sent to that host, which its external address tells, or its port.

mod places;
mod tracking;

use std::net::IpAddr;

use super::connection::{Connections, Ends, Tracker, Tuple};
use super::looked::End;
use super::packet::{IpPacket, Payload};
use super::{Answer, Decision, Journey, Reason, Walker, domain, protection, router, simulated};
use crate::id::DatapathId;
use crate::interface::{Interface, InterfaceMode};
use crate::object::ObjectRef;
use crate::traffic::Direction;
use crate::translation::block::PortBlock;
use crate::translation::entry::{StaticAddress, Transport};
use crate::translation::{Translation, TranslationMode};

use places::{block, host_of_internal, host_of_port, hosts_that_share, knows};
use tracking::{Beginning, Tracked, to_destination, track};

/// Types of echo requests and replies (RFC 792; RFC 4443, section 4).
const ECHO_REQUESTS: [u8; 2] = [8, 128];
const ECHO_REPLIES: [u8; 2] = [0, 129];

/// Whether addresses are translated at an interface.
pub(super) fn translates(interface: &Interface) -> bool {
    interface.mode == InterfaceMode::Simulated
        && interface.enable_routing
        && interface.enable_route_translation
}

/// Whether an address of a leg is for what its translations say.
pub(super) fn stands_for_others(walker: &Walker<'_>, leg: &Interface, address: IpAddr) -> bool {
    of_leg(walker, leg).iter().any(|translation| translation.externals().contains(&address))
}

fn of_leg<'a>(walker: &Walker<'a>, leg: &Interface) -> Vec<&'a Translation> {
    let ids = walker.topology.translations_of_interface(&leg.uuid).into_iter().filter(|_| translates(leg));
    ids.filter_map(|id| walker.topology.translations().get(&id).map(AsRef::as_ref)).collect()
}

/// What takes a packet at a leg.
enum Taken<'a> {
    Static(&'a Translation, &'a StaticAddress),
    Source(&'a Translation, PortBlock),
    /// What is about a connection, whosever it is.
    Any,
    /// It passes as it is.
    Pass,
}

impl Taken<'_> {
    fn object(&self, leg: &Interface) -> ObjectRef {
        match self {
            Self::Static(translation, _) | Self::Source(translation, _) => translation.uuid.clone().into(),
            Self::Any | Self::Pass => leg.uuid.clone().into(),
        }
    }

    fn entry(&self) -> Option<u16> {
        match self {
            Self::Static(_, entry) => Some(entry.number),
            Self::Source(..) | Self::Any | Self::Pass => None,
        }
    }
}

/// Translates what leaves by a leg. If it may not leave, the outcome has been written down.
pub(super) fn outward(walker: &mut Walker<'_>, at: &mut Journey, leg: &Interface) -> bool {
    let Some(ip) = at.packet.ip().cloned() else { return false };
    // Where nothing is translated, no connection is known.
    let is_any = is_error(&ip) && !of_leg(walker, leg).is_empty();
    let taken = if is_any { Some(Taken::Any) } else { taken_out(walker, at, leg, &ip) };
    let Some(taken) = taken.or_else(|| passes(walker, leg)) else {
        let remedy = format!("make a translation at {} that takes {}", leg.uuid, ip.source);
        walker.drop(at, leg.uuid.clone(), Reason::Untranslated, remedy);
        return false;
    };
    if let Taken::Pass = taken {
        walker.step(at, leg.uuid.clone(), Decision::Untranslated);
        return true;
    }
    let begin = |original: Tuple, tracker: &Tracker, known: &Connections| {
        let (address, port) = match &taken {
            Taken::Static(_, entry) => (entry.external, entry.ports.map(|ports| ports.external)),
            Taken::Source(_, block) => {
                let free = known.free_port(tracker, block.address, block.first..=block.last());
                (block.address, Some(free))
            }
            Taken::Any | Taken::Pass => return None,
        };
        let assumes_port = matches!((&taken, original.ends), (Taken::Source(..), Ends::Ports { .. }));
        let reply = to_destination(original.turned()?, address, port);
        Some(Beginning { reply, assumes_port })
    };
    let tracked = track(walker, at, leg, Direction::Egress, begin);
    // What a translation by a leg that lets pass is about may be of no connection.
    if matches!(taken, Taken::Any) && !tracked.is_translated() && passes(walker, leg).is_some() {
        walker.step(at, leg.uuid.clone(), Decision::Untranslated);
        // The leg's tracker has looked at it, and what its sender's knows is forgotten.
        at.translated = true;
        return true;
    }
    if tracked.is_incomplete(walker, at, leg) {
        return false;
    }
    if !tracked.is_translated() || !has_become_outside(at, &taken) {
        unknown_connection(walker, at, &taken.object(leg));
        return false;
    }
    if let (Tracked::Known { assumes_port: true }, Taken::Source(_, block)) = (&tracked, &taken) {
        at.source_ports = Some(block.first..=block.last());
    }
    walker.step(at, taken.object(leg), Decision::Translated { entry: taken.entry() });
    at.translated = true;
    true
}

/// Takes in what comes to a leg from outside.
pub(super) fn inward(walker: &mut Walker<'_>, mut at: Journey, leg: &Interface) {
    let Some(ip) = at.packet.ip().cloned() else { return };
    let taken = taken_in(walker, &at, leg, &ip);
    // RFC 1812, section 5.3.1. Before the address changes, since the sender knows only this one. What the leg answers itself goes
    // no further.
    let is_answered = matches!(taken, In::Own) && is_echo_request(&ip);
    if ip.hops <= 1 && !is_answered {
        return router::tell(walker, &at, leg.uuid.clone(), Answer::TimeExceeded, Reason::Expired);
    }
    match taken {
        In::Own => simulated::own(walker, at, leg),
        In::At(host, taken) => {
            if brought(walker, &mut at, &host) {
                let_in(walker, at, leg, taken);
            }
        }
        In::Anywhere(hosts) => {
            // It is offered to all, and more than one may know such a connection: what has no port is told apart by nothing else.
            let knowing = hosts.into_iter().filter(|host| knows(walker, host, leg, &ip));
            let knowing: Vec<_> = knowing.collect();
            if knowing.is_empty() {
                unknown_connection(walker, &at, &leg.uuid.clone().into());
            }
            for host in knowing {
                let mut copy = at.clone();
                if brought(walker, &mut copy, &host) {
                    let_in(walker, copy, leg, Taken::Any);
                }
            }
        }
        In::Pass => {
            walker.step(&at, leg.uuid.clone(), Decision::Untranslated);
            at.let_in = Some(leg.uuid.clone());
            simulated::meet(walker, at, leg);
        }
        In::Nobodys => {
            let remedy = format!("make a translation at {} that takes {}", leg.uuid, ip.destination);
            walker.drop(&at, leg.uuid.clone(), Reason::Untranslated, remedy);
        }
    }
}

/// Brings a packet to the host that translates it. Whom it is for is not known before, so for members only it is for nobody.
fn brought(walker: &mut Walker<'_>, at: &mut Journey, host: &DatapathId) -> bool {
    (*host == at.host || protection::passes_to(walker, at, None)) && domain::cross(walker, at, host)
}

/// Where what comes from outside is to go.
enum In<'a> {
    /// The leg answers it as its own.
    Own,
    /// A host translates it.
    At(DatapathId, Taken<'a>),
    /// Those of these hosts do that know the connection.
    Anywhere(Vec<DatapathId>),
    /// It passes as it is.
    Pass,
    /// It is nobody's.
    Nobodys,
}

fn taken_in<'a>(walker: &Walker<'a>, at: &Journey, leg: &Interface, ip: &IpPacket) -> In<'a> {
    let translations = of_leg(walker, leg);
    let pass = || if passes(walker, leg).is_some() { In::Pass } else { In::Nobodys };
    let attachments = walker.attachments(&leg.uuid);
    let is_here =
        attachments.iter().any(|of| of.domain == at.domain && of.addresses.contains(&ip.destination));
    if !is_here {
        return pass();
    }
    let entries = || {
        let all =
            translations.iter().flat_map(|of| of.static_addresses.iter().map(move |entry| (*of, entry)));
        all.filter(|(_, entry)| entry.external == ip.destination)
    };
    let shares = translations.iter().any(|of| of.external_addresses.contains(&ip.destination));
    let is_shared = shares || entries().any(|(_, entry)| entry.ports.is_some());
    if is_shared && is_echo_request(ip) {
        return In::Own;
    }
    let by_port = entries().find(|(_, entry)| is_to_port(walker, ip, entry));
    let placed = |(translation, entry): (&'a Translation, &'a StaticAddress)| {
        let host = host_of_internal(walker, at, leg, entry)?;
        Some(In::At(host, Taken::Static(translation, entry)))
    };
    if let Some(placed) = by_port.and_then(placed) {
        return placed;
    }
    // An address that stands for somebody who is not there is nobody's.
    if let Some(whole) = entries().find(|(_, entry)| entry.ports.is_none()) {
        return placed(whole).unwrap_or(In::Nobodys);
    }
    if let Some((host, translation, block)) = host_of_port(walker, at, &translations, ip) {
        return In::At(host, Taken::Source(translation, block));
    }
    if !is_shared {
        return pass();
    }
    if is_error(ip) || is_echo_reply(ip) {
        return In::Anywhere(hosts_that_share(walker, at, leg, &translations));
    }
    In::Own
}

/// On the host that translates: into the router, as the translation's entry or the leg's routes say.
fn let_in(walker: &mut Walker<'_>, mut at: Journey, leg: &Interface, taken: Taken<'_>) {
    let begin = |original: Tuple, _: &Tracker, _: &Connections| match &taken {
        Taken::Static(_, entry) => {
            let port = entry.ports.map(|ports| ports.internal);
            let reply = to_destination(original, entry.internal, port).turned()?;
            Some(Beginning { reply, assumes_port: false })
        }
        Taken::Source(..) | Taken::Any | Taken::Pass => None,
    };
    let tracked = track(walker, &mut at, leg, Direction::Ingress, begin);
    if tracked.is_incomplete(walker, &at, leg) {
        return;
    }
    if !tracked.is_translated() || !has_become_inside(walker, &at, &taken) {
        return unknown_connection(walker, &at, &taken.object(leg));
    }
    walker.step(&at, taken.object(leg), Decision::Translated { entry: taken.entry() });
    at.translated = true;
    at.let_in = Some(leg.uuid.clone());
    let named = match &taken {
        Taken::Static(_, entry) => entry.route_link_uuid.as_ref(),
        Taken::Source(..) | Taken::Any | Taken::Pass => None,
    };
    match named.filter(|link| walker.topology.route_links().contains_key(*link)) {
        Some(link) => router::forward(walker, at, link),
        None => simulated::meet(walker, at, leg),
    }
}

fn passes<'a>(walker: &Walker<'_>, leg: &Interface) -> Option<Taken<'a>> {
    of_leg(walker, leg).iter().any(|of| of.passthrough).then_some(Taken::Pass)
}

/// What takes a packet that leaves: a port before an address, and these before what is shared, by the longest prefix.
fn taken_out<'a>(walker: &Walker<'a>, at: &Journey, leg: &Interface, ip: &IpPacket) -> Option<Taken<'a>> {
    let translations = of_leg(walker, leg);
    let all = translations.iter().flat_map(|of| of.static_addresses.iter().map(move |entry| (*of, entry)));
    let entries: Vec<_> = all
        .filter(|(_, entry)| entry.internal == ip.source)
        .filter(|(_, entry)| host_of_internal(walker, at, leg, entry).as_ref() == Some(&at.host))
        .filter(|(_, entry)| is_leased_to(walker, leg, entry.external))
        .collect();
    let by_port = entries.iter().find(|(_, entry)| is_from_port(walker, ip, entry));
    let by_address = || entries.iter().find(|(_, entry)| entry.ports.is_none());
    if let Some((translation, entry)) = by_port.or_else(by_address) {
        return Some(Taken::Static(translation, entry));
    }
    let share = |translation: &'a Translation| {
        let sources = translation.sources(walker.topology);
        let fitting = sources.into_iter().filter(|prefix| prefix.contains(&ip.source));
        let length = fitting.map(|prefix| prefix.prefix_len()).max()?;
        let block = block(walker, translation, &at.host, ip.is_ipv4())?;
        Some((length, translation, block))
    };
    let sources = translations.iter().filter(|of| of.mode == TranslationMode::Source);
    let best = sources.filter_map(|of| share(of)).max_by_key(|(length, ..)| *length);
    best.map(|(_, translation, block)| Taken::Source(translation, block))
}

fn is_leased_to(walker: &Walker<'_>, leg: &Interface, address: IpAddr) -> bool {
    walker.attachments(&leg.uuid).iter().any(|of| of.addresses.contains(&address))
}

fn transport(ip: &IpPacket) -> Option<Transport> {
    match ip.payload {
        Payload::Tcp { .. } => Some(Transport::Tcp),
        Payload::Udp { .. } => Some(Transport::Udp),
        Payload::Icmp(_) | Payload::Neighbour(_) | Payload::Other { .. } => None,
    }
}

fn is_to_port(walker: &Walker<'_>, ip: &IpPacket, entry: &StaticAddress) -> bool {
    let (Some(ports), Some((_, to))) = (entry.ports, ip.ports()) else { return false };
    let carries = ports.protocol.is_none_or(|only| Some(only) == transport(ip));
    carries && walker.looked.is_port(End::To, to, ports.external)
}

fn is_from_port(walker: &Walker<'_>, ip: &IpPacket, entry: &StaticAddress) -> bool {
    let (Some(ports), Some((from, _))) = (entry.ports, ip.ports()) else { return false };
    let carries = ports.protocol.is_none_or(|only| Some(only) == transport(ip));
    carries && walker.looked.is_port(End::From, from, ports.internal)
}

fn is_error(ip: &IpPacket) -> bool {
    matches!(&ip.payload, Payload::Icmp(icmp) if icmp.about.is_some())
}

fn is_echo_request(ip: &IpPacket) -> bool {
    ip.icmp().is_some_and(|(kind, _)| kind == ECHO_REQUESTS[usize::from(!ip.is_ipv4())])
}

fn is_echo_reply(ip: &IpPacket) -> bool {
    ip.icmp().is_some_and(|(kind, _)| kind == ECHO_REPLIES[usize::from(!ip.is_ipv4())])
}

/// Whether what leaves has become what the translation says: else its connection was another one's.
fn has_become_outside(at: &Journey, taken: &Taken<'_>) -> bool {
    let Some(ip) = at.packet.ip() else { return false };
    let port = ip.ports().map(|(source, _)| source);
    match taken {
        Taken::Static(_, entry) => {
            ip.source == entry.external && entry.ports.is_none_or(|ports| Some(ports.external) == port)
        }
        Taken::Source(_, block) => {
            ip.source == block.address && port.is_none_or(|port| port >= crate::translation::block::PORTS)
        }
        Taken::Any | Taken::Pass => true,
    }
}

/// The same for what comes in.
fn has_become_inside(walker: &Walker<'_>, at: &Journey, taken: &Taken<'_>) -> bool {
    let Some(ip) = at.packet.ip() else { return false };
    let port = ip.ports().map(|(_, destination)| destination);
    match taken {
        Taken::Static(_, entry) => {
            ip.destination == entry.internal && entry.ports.is_none_or(|ports| Some(ports.internal) == port)
        }
        Taken::Source(translation, _) => {
            let sources = translation.sources(walker.topology);
            sources.iter().any(|prefix| prefix.contains(&ip.destination))
        }
        Taken::Any | Taken::Pass => true,
    }
}

fn unknown_connection(walker: &mut Walker<'_>, at: &Journey, by: &ObjectRef) {
    let remedy = "begin the connection anew, from inside if the address is shared";
    walker.drop(at, by.clone(), Reason::UnknownConnection, remedy);
}
