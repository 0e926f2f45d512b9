//! What reaches a simulated interface: it answers for its own addresses, and takes the rest to its router.

use super::looked::End;
use super::member::Place;
use super::packet::{Content, Fragment, Icmp, IpPacket, Payload};
use super::protection;
use super::{
    Answer, Decision, Journey, Outcome, Packet, Reason, Walker, domain, router, service, translation,
};
use crate::interface::Interface;
use crate::network_service::NetworkServiceMode;

/// The port of name servers (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

/// Hops of what simulated interfaces send (RFC 1700, "IP time to live").
const INITIAL_HOPS: u8 = 64;

/// Types of echo requests and replies (RFC 792; RFC 4443, section 4).
const ECHO: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

/// Takes a frame that a simulated interface gets, on the host where it is.
pub(super) fn meet(walker: &mut Walker<'_>, mut at: Journey, interface: &Interface) {
    let Some(ip) = at.packet.ip() else {
        let remedy = "nothing can: a simulated interface takes IP packets";
        return walker.drop(&at, interface.uuid.clone(), Reason::NotRouted, remedy);
    };
    let destination = ip.destination;
    if let Some((server, mac)) = service::metadata_at(walker, &at, destination) {
        let is_elsewhere = matches!(walker.place(server), Some(Place::On(host)) if host != at.host);
        if !is_elsewhere {
            return own(walker, at, server);
        }
        at.packet.destination = mac;
        return domain::look_up(walker, at);
    }
    let attachments = walker.attachments(&interface.uuid);
    let is_leased = attachments.iter().any(|of| of.addresses.contains(&destination));
    if is_leased && !translation::stands_for_others(walker, interface, destination) {
        return own(walker, at, interface);
    }
    if translation::translates(interface) && at.let_in.is_none() {
        return translation::inward(walker, at, interface);
    }
    router::enter(walker, at, interface);
}

/// Answers what is for a simulated interface itself.
pub(super) fn own(walker: &mut Walker<'_>, mut at: Journey, interface: &Interface) {
    if !protection::passes_to(walker, &mut at, None) {
        return;
    }
    let Some(ip) = at.packet.ip() else { return };
    let serves = |mode| service::of_interface(walker, interface, mode);
    let is_first = ip.fragment != Fragment::Later;
    let to_port = ip.ports().map(|(_, port)| port).filter(|_| is_first);
    let is_to = |wanted| to_port.is_some_and(|port| walker.looked.is_port(End::To, port, wanted));
    let is_tcp = matches!(ip.payload, Payload::Tcp { .. });
    let metadata = service::metadata_at(walker, &at, ip.destination);
    if metadata.is_some() && is_tcp && is_to(service::METADATA_PORT) {
        let by = serves(NetworkServiceMode::Metadata);
        let by = by.unwrap_or_else(|| interface.uuid.clone().into());
        return walker.answer(&at, by, Answer::Metadata, None);
    }
    if let Some(by) = serves(NetworkServiceMode::Dns).filter(|_| is_to(DNS_PORT)) {
        return walker.answer(&at, by, Answer::Dns, None);
    }
    if let Some(reply) = echo_reply(walker, &at.packet, ip) {
        return answer_echo(walker, at, interface, reply);
    }
    if ip.protocol() == super::packet::protocol::UDP {
        let by = interface.uuid.clone();
        return router::tell(walker, &at, by, Answer::PortUnreachable, Reason::NotServed);
    }
    let remedy = format!("make a network service of {}, if there is one for this", interface.uuid);
    walker.drop(&at, interface.uuid.clone(), Reason::NotServed, remedy);
}

/// The reply to an echo request. Part of one is none: the rest of it names no type.
fn echo_reply(walker: &Walker<'_>, packet: &Packet, ip: &IpPacket) -> Option<Packet> {
    let (request, reply) = if ip.is_ipv4() { ECHO } else { ECHO_V6 };
    let Payload::Icmp(icmp) = &ip.payload else { return None };
    let is_request = icmp.kind == request && walker.looked.is_code((icmp.kind, icmp.code), 0);
    if !is_request || ip.fragment != Fragment::Whole {
        return None;
    }
    let reply = IpPacket {
        source: ip.destination,
        destination: ip.source,
        hops: INITIAL_HOPS,
        payload: Payload::Icmp(Icmp { kind: reply, ..icmp.clone() }),
        ..ip.clone()
    };
    let (source, destination) = (packet.destination, packet.source);
    Some(Packet { source, destination, content: Content::Ip(reply), ..packet.clone() })
}

/// The reply finds its own way, from the simulated interface to who has asked.
fn answer_echo(walker: &mut Walker<'_>, at: Journey, interface: &Interface, reply: Packet) {
    let asker = at.source.clone();
    let reply = Journey {
        packet: reply,
        source: interface.uuid.clone(),
        groups: Default::default(),
        pending: false,
        from_wire: false,
        translated: false,
        routed: true,
        source_ports: None,
        let_in: None,
        ..at
    };
    walker.step(&reply, interface.uuid.clone(), Decision::Replies);
    let before = walker.walk.outcomes.len();
    domain::look_up(walker, reply);
    for outcome in walker.walk.outcomes.iter_mut().skip(before) {
        if let Outcome::Delivered { interface: to, host, packet, .. } = outcome
            && *to == asker
        {
            let (host, by) = (host.clone(), interface.uuid.clone().into());
            let packet = Some(packet.clone());
            *outcome = Outcome::Answered { host, by, answer: Answer::EchoReply, packet };
        }
    }
}
