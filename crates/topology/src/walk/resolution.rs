//! Address resolution in networks: answered from the leases by the asker's own switch, and never delivered.

use std::net::{IpAddr, Ipv4Addr};

use super::bytes;
use super::packet::{Content, IpPacket, Payload};
use super::protection::filter_of;
use super::rule::{Pattern, Said};
use super::{Answer, Arp, Journey, Neighbour, Packet, Reason, Walker, domain, service};
use crate::address::MacAddr;
use crate::filter::FilterAction;
use crate::graph::DomainId;
use crate::interface::Interface;
use crate::object::ObjectRef;
use crate::traffic::{Direction, Protocol};

/// ARP operations (RFC 826).
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// ICMPv6 types (RFC 4861, section 4).
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// Neighbour discovery is between neighbours: its packets have passed no router (RFC 4861, section 7.1).
const FROM_NEIGHBOUR: u8 = 255;

/// Flags of an advertisement (RFC 4861, section 4.4).
const FROM_ROUTER: u8 = 0x80;
const SOLICITED_OVERRIDE: u8 = 0x60;

/// A question for an address.
pub(super) enum Question {
    /// By ARP.
    V4(Arp),
    /// By a neighbour solicitation.
    V6(IpPacket, Neighbour),
}

/// Who answers to an address.
pub(super) struct Known {
    pub(super) by: ObjectRef,
    mac: MacAddr,
    is_router: bool,
}

/// Answers what a network answers, and takes on what it does not.
pub(super) fn answer(walker: &mut Walker<'_>, at: Journey) {
    if let DomainId::Segment(_) = at.domain {
        return domain::look_up(walker, at);
    }
    let network = ObjectRef::from(&at.domain);
    if let Some(question) = question(&at.packet) {
        return ask(walker, &at, question);
    }
    let (reason, remedy) = match speaks_of(&at.packet) {
        Speech::Answer => (Reason::Unasked, "nothing has to: the network answers by itself"),
        Speech::Router if !is_router(walker, &at) => {
            (Reason::NotRouter, "set enable_routing of the interface")
        }
        Speech::Router | Speech::Other => return domain::look_up(walker, at),
    };
    walker.drop(&at, network, reason, remedy);
}

/// The question that a packet is, if it is one.
pub(super) fn question(packet: &Packet) -> Option<Question> {
    match &packet.content {
        Content::Arp(arp) if arp.operation == REQUEST => Some(Question::V4(*arp)),
        Content::Ip(ip) => match &ip.payload {
            Payload::Neighbour(of) if !of.is_advertisement && ip.hops == FROM_NEIGHBOUR => {
                Some(Question::V6(ip.clone(), *of))
            }
            _ => None,
        },
        Content::Arp(_) | Content::Other { .. } => None,
    }
}

impl Question {
    /// Whose address is asked for.
    pub(super) fn target(&self) -> IpAddr {
        match self {
            Self::V4(arp) => arp.target_ip.into(),
            Self::V6(_, neighbour) => neighbour.target.into(),
        }
    }
}

enum Speech {
    Answer,
    Router,
    Other,
}

fn speaks_of(packet: &Packet) -> Speech {
    match &packet.content {
        Content::Arp(_) | Content::Other { ether_type: bytes::ARP } => Speech::Answer,
        Content::Ip(ip) if !ip.is_ipv4() => match ip.icmp() {
            Some((SOLICITATION | ADVERTISEMENT, _)) => Speech::Answer,
            Some((ROUTER_ADVERTISEMENT | REDIRECT, _)) => Speech::Router,
            _ => Speech::Other,
        },
        Content::Ip(_) | Content::Other { .. } => Speech::Other,
    }
}

fn is_router(walker: &Walker<'_>, at: &Journey) -> bool {
    walker.interface(&at.source).is_some_and(|interface| interface.enable_routing)
}

fn ask(walker: &mut Walker<'_>, at: &Journey, question: Question) {
    let target = question.target();
    if walker.is_own(&at.source, &at.domain, target) {
        let remedy = "nothing has to: nobody else has the address";
        return walker.drop(at, at.source.clone(), Reason::Unresolved, remedy);
    }
    let Some(known) = known(walker, at, target) else {
        let remedy = format!("lease {target} to an interface that is up and plugged in");
        return walker.drop(at, &at.domain, Reason::Unresolved, remedy);
    };
    if let (Question::V4(arp), ObjectRef::Interface(asked)) = (&question, &known.by)
        && let Some(asked) = walker.interface(asked)
        && !lets_ask(walker, asked, arp)
    {
        let filter = filter_of(walker, asked).map_or(known.by.clone(), |filter| filter.uuid.clone().into());
        let remedy = format!("add a rule to the filter of {} that passes arp", asked.uuid);
        return walker.drop(at, filter, Reason::FilteredIn, remedy);
    }
    reply(walker, at, &question, known);
}

/// Answers a question.
pub(super) fn reply(walker: &mut Walker<'_>, at: &Journey, question: &Question, known: Known) {
    let (answer, packet) = written(&at.packet, question, &known);
    walker.answer(at, known.by, answer, packet);
}

/// Who has an address, on any host.
pub(super) fn known(walker: &Walker<'_>, at: &Journey, target: IpAddr) -> Option<Known> {
    if let Some(found) = walker.by_address(at, &at.domain, target) {
        let (by, is_router) = (found.interface.uuid.clone().into(), found.interface.enable_routing);
        return Some(Known { by, mac: found.mac, is_router });
    }
    let (server, mac) = service::metadata_at(walker, at, target)?;
    Some(Known { by: server.uuid.clone().into(), mac, is_router: false })
}

/// Whether the filter of who is asked for lets the question pass.
fn lets_ask(walker: &Walker<'_>, asked: &Interface, arp: &Arp) -> bool {
    if !asked.enable_filtering {
        return true;
    }
    let Some(filter) = filter_of(walker, asked) else { return false };
    let said = Said::from(arp);
    let rule = filter.rules.iter().find(|rule| {
        rule.protocol == Protocol::Arp
            && rule.is_for(Direction::Ingress)
            && Pattern::from(*rule).fits(&said, Direction::Ingress, &walker.looked)
    });
    rule.map_or(filter.ingress_passthrough, |rule| rule.action == FilterAction::Pass)
}

/// The answer, as the asker receives it. What an agent has to write is told without the packet.
fn written(asked: &Packet, question: &Question, known: &Known) -> (Answer, Option<Packet>) {
    let packet = |content| Packet {
        source: known.mac,
        destination: asked.source,
        vlans: asked.vlans.clone(),
        content,
    };
    match question {
        Question::V4(arp) => {
            let answer = Arp {
                operation: REPLY,
                sender_mac: known.mac,
                sender_ip: arp.target_ip,
                target_mac: arp.sender_mac,
                target_ip: arp.sender_ip,
            };
            (Answer::ArpReply, Some(packet(Content::Arp(answer))))
        }
        Question::V6(ip, neighbour) => {
            let is_probe = ip.source == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
            let by_switch = neighbour.link_layer.is_some() && !is_probe;
            let flags = if known.is_router { FROM_ROUTER | SOLICITED_OVERRIDE } else { SOLICITED_OVERRIDE };
            let told = Neighbour { is_advertisement: true, flags, link_layer: Some(known.mac), ..*neighbour };
            let answer = IpPacket {
                source: neighbour.target.into(),
                destination: ip.source,
                payload: Payload::Neighbour(told),
                ..ip.clone()
            };
            (Answer::NeighbourAdvertisement, by_switch.then(|| packet(Content::Ip(answer))))
        }
    }
}

/// Whether a packet answers a question for an address (of anybody's).
pub(super) fn is_answer(packet: &Packet) -> bool {
    match &packet.content {
        Content::Arp(arp) => arp.operation == REPLY,
        Content::Ip(ip) => {
            matches!(&ip.payload, Payload::Neighbour(of) if of.is_advertisement) && ip.hops == 255
        }
        Content::Other { .. } => false,
    }
}

/// The IPv4 address that a packet of address resolution says is its sender's.
pub(super) fn says_it_is(packet: &Packet) -> Option<Ipv4Addr> {
    match &packet.content {
        Content::Arp(arp) => Some(arp.sender_ip),
        Content::Ip(_) | Content::Other { .. } => None,
    }
}
