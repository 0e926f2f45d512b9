//! Flows of an interface: what it may send, how it is found, and how packets reach it.
//!
//! | flows | here | elsewhere |
//! | --- | --- | --- |
//! | for each MAC address | classify, destination | destination |
//! | once | question | |
//! | for each domain | deliver | |
//! | for each MAC address in a segment | ARP, solicitation, advertisement | |
//! | for each address in a network | source, resolve, own question | resolve |

use std::collections::BTreeSet;
use std::net::IpAddr;

use openflow::{Action, Field, Flow, Group, Instructions, Match, Meter, OfPort};
use topology::interface::{Interface, InterfaceMode};
use topology::route::RoutePrefix;
use topology::{DomainId, DomainKey, HostKey, InterfaceId, InterfaceKey, MacAddr};

use crate::cookie::Owner;
use crate::filter::{identified, is_protected};
use crate::layout::*;
use crate::view::{Attachment, Place, View, asking_for, flagged, from_interface, from_prefix, in_domain};
use crate::{limit, physical, security, simulated, translation, wire};

/// Type of a VLAN tag (IEEE 802.1Q, section 9.6).
const VLAN_TAG: u16 = 0x8100;

/// All flows and groups of an interface on this host.
pub(crate) fn flows(view: View<'_>, id: &InterfaceId) -> (Vec<Flow>, Vec<Group>) {
    let none = (Vec::new(), Vec::new());
    let Some(interface) = view.topology.interfaces().get(id) else { return none };
    let Some(place) = view.place(interface) else { return none };
    let attachments = view.attachments(id);
    let flows = match place {
        Place::Here(port) if interface.mode.is_uplink() => uplink(view, interface, port),
        Place::Here(port) => {
            let allowed = security::flows(interface, place, &attachments);
            [local(interface, port, &attachments), forwarded(view, interface, &attachments), allowed].concat()
        }
        Place::At(host) => {
            let leased = attachments.iter().flat_map(|of| remote(interface, host, of));
            leased.chain(security::flows(interface, place, &attachments)).collect()
        }
        Place::Simulated => simulated::flows(view, interface, &attachments),
    };
    let (translating, groups) = translation::of_leg(view, interface, place, &attachments);
    let named = wire::of_interface(view, interface, place, &attachments);
    let cookie = Owner::Interface(interface.key).cookie();
    (flows.into_iter().chain(translating).chain(named).map(|flow| flow.with_cookie(cookie)).collect(), groups)
}

/// Meters of an interface on this host.
pub(crate) fn meters(view: View<'_>, id: &InterfaceId) -> Vec<Meter> {
    let Some(interface) = view.topology.interfaces().get(id) else { return Vec::new() };
    match view.place(interface) {
        Some(Place::Here(port)) => limit::meters_of_port(interface, port),
        _ => Vec::new(),
    }
}

fn local(interface: &Interface, port: OfPort, attachments: &[Attachment]) -> Vec<Flow> {
    let key = interface.key;
    let domains: BTreeSet<_> = attachments.iter().map(|of| of.key).collect();
    let out = match is_protected(interface) {
        true => Instructions::apply([to_identity(interface)]).then_goto(TRACK_IN),
        false => Instructions::apply([limit::output(interface, port)]),
    };
    // Who sends to all is no receiver: a switch gives nothing back by itself, and filters and trackers shall not hear of it. What comes
    // back from another host, a router there has sent back.
    let of_itself = |domain| {
        let mut of_itself = deliver(interface, domain, Instructions::drop());
        of_itself.matching = from_interface(flagged(of_itself.matching, 0, ROUTED | FROM_TUNNEL), key);
        Flow { priority: 110, ..of_itself }
    };
    let silent = domains.clone().into_iter().filter(|_| is_protected(interface)).map(of_itself);
    let deliver = domains.into_iter().map(|domain| deliver(interface, domain, out.clone())).chain(silent);
    let of_attachment = |of: &Attachment| {
        let leased = Match::new().in_port(port).eth_src(of.mac.0);
        let mut flows = classify(interface, port, of, (leased, 100));
        flows.push(destination(of, found(interface, None)));
        flows.extend(admitted(key, of));
        flows.extend(of.addresses.iter().map(|address| resolve(interface, of, *address)));
        flows
    };
    let limits = limit::of_port(interface, port);
    deliver.chain(attachments.iter().flat_map(of_attachment)).chain(limits).collect()
}

/// What is behind it has no address here: it is the whole of its network.
fn uplink(view: View<'_>, interface: &Interface, port: OfPort) -> Vec<Flow> {
    let domains = view.topology.domains_of_interface(&interface.uuid);
    let keys = domains.iter().filter_map(|domain| view.topology.key_of_domain(domain));
    let tag = interface.vlan_id.map(|vlan| {
        let tag = Action::set_field(Field::VlanVid, vlan | physical::VLAN_PRESENT);
        [Action::PushVlan(VLAN_TAG), tag]
    });
    let out = Instructions::apply(tag.into_iter().flatten().chain([limit::output(interface, port)]));
    let of_domain =
        |domain| [physical::classify(interface, port, domain), deliver(interface, domain, out.clone())];
    keys.flat_map(of_domain).chain(limit::of_port(interface, port)).collect()
}

/// What is done with packets that have come to their host.
pub(crate) fn deliver(interface: &Interface, domain: DomainKey, out: Instructions) -> Flow {
    let matching = in_domain(domain).reg(DESTINATION_INTERFACE, interface.key.0);
    Flow::new(DELIVER, 100, matching, out)
}

fn remote(interface: &Interface, host: HostKey, of: &Attachment) -> Vec<Flow> {
    let resolve = of.addresses.iter().map(|address| resolve(interface, of, *address));
    let mut destination = destination(of, found(interface, Some(host)));
    let mut answers = Vec::new();
    if interface.mode == InterfaceMode::Simulated {
        // As where it is: what is tagged is in a VLAN of the guests' own, and a segment's questions would go to everybody.
        destination.matching = destination.matching.untagged();
        if let DomainId::Segment(_) = of.domain {
            answers.extend(of.addresses.iter().map(|address| simulated::answer(of.key, *address)));
        }
    }
    std::iter::once(destination).chain(resolve).chain(answers).collect()
}

/// Says whom a packet goes to, and takes it there: to its port, or to another host.
pub(crate) fn found(interface: &Interface, host: Option<HostKey>) -> Instructions {
    let whose = interface.identity.map(|_| to_identity(interface));
    let host_key = host.map(|host| set(DESTINATION_HOST, host.0));
    let says = std::iter::once(set(DESTINATION_INTERFACE, interface.key.0)).chain(whose).chain(host_key);
    Instructions::apply(says).then_goto(if host.is_some() { PEER } else { DELIVER })
}

/// Says which security groups the receiver is in.
fn to_identity(interface: &Interface) -> Action {
    set(DESTINATION_IDENTITY, interface.identity.map_or(0, |key| key.0))
}

/// What a packet from a port is, and what is done with it whatever it is. Only IP packets have a code point.
pub(crate) fn classify(
    interface: &Interface,
    port: OfPort,
    of: &Attachment,
    (from, priority): (Match, u16),
) -> Vec<Flow> {
    let next = match of.domain {
        DomainId::Network(_) => SOURCE,
        DomainId::Segment(_) => SEGMENT_SOURCE,
    };
    let flow = |priority, matching, marked: Option<Action>| {
        let actions = limit::egress(interface, port).into_iter().chain(identify(interface, of)).chain(marked);
        Flow::new(CLASSIFY, priority, matching, Instructions::apply(actions).then_goto(next))
    };
    let marked = interface.limits.dscp.map(|code| {
        let mark = || Some(Action::set_field(Field::IpDscp, code.get()));
        // Open vSwitch writes nothing into a packet without a protocol (`commit_set_nw_action`), such as a malformed one. It would leave
        // all others unmarked, too, if a flow did not have it tell them apart.
        let of_family = |from: Match| {
            [flow(priority + 6, from.clone().ip_proto(0), None), flow(priority + 5, from, mark())]
        };
        [from.clone().ip(), from.clone().ipv6()].map(of_family)
    });
    marked.into_iter().flatten().flatten().chain([flow(priority, from, None)]).collect()
}

/// Says whom a packet comes from, and where.
fn identify(interface: &Interface, of: &Attachment) -> Vec<Action> {
    let mut actions =
        vec![set(SOURCE_INTERFACE, interface.key.0), Action::set_field(Field::Metadata, u64::from(of.key.0))];
    if interface.enable_routing {
        actions.push(flag(ROUTER));
    }
    actions.extend(identified(interface.identity));
    if let DomainId::Segment(_) = of.domain {
        actions.push(flag(SEGMENT));
    }
    actions
}

pub(crate) fn destination(of: &Attachment, found: Instructions) -> Flow {
    Flow::new(DESTINATION, 100, in_domain(of.key).eth_dst(of.mac.0), found)
}

/// What the interface may say of itself.
fn admitted(key: InterfaceKey, of: &Attachment) -> Vec<Flow> {
    // In its domain: what an address means, and whose it is, another domain may see otherwise.
    let from = || from_interface(in_domain(of.key), key);
    let pass = |matching| Flow::new(SOURCE, 100, matching, Instructions::goto(TRACK_OUT));
    if let DomainId::Segment(_) = of.domain {
        return says_its_mac(key, of, of.mac).into();
    }
    let of_address = |address: &IpAddr| {
        let source = match address {
            IpAddr::V4(address) => from().ip().ipv4_src(*address),
            IpAddr::V6(address) => from().ipv6().ipv6_src(*address),
        };
        [pass(source), asks_for_itself(key, of, *address)]
    };
    of.addresses.iter().flat_map(of_address).collect()
}

/// What address resolution on a segment may say of its sender.
pub(crate) fn says_its_mac(key: InterfaceKey, of: &Attachment, mac: MacAddr) -> [Flow; 3] {
    let from = || from_interface(in_domain(of.key), key);
    [
        from().arp().arp_sha(mac.0),
        from().icmpv6(135).icmpv6_code(0).nd_sll(mac.0),
        from().icmpv6(136).icmpv6_code(0).nd_tll(mac.0),
    ]
    .map(|matching| Flow::new(SEGMENT_SOURCE, 100, matching, Instructions::goto(TRACK_OUT)))
}

/// A question for the asker's own address is left alone. A router's is not the asker's: it may send a packet back.
pub(crate) fn asks_for_itself(key: InterfaceKey, of: &Attachment, address: IpAddr) -> Flow {
    let own = flagged(asking_for(from_interface(in_domain(of.key), key), address), 0, ROUTED);
    Flow::new(RESOLVE, 200, own, Instructions::drop())
}

/// What a guest that routes may send for those behind it: from the prefixes of routes whose next hop it is.
fn forwarded(view: View<'_>, interface: &Interface, attachments: &[Attachment]) -> Vec<Flow> {
    let mut sources = BTreeSet::new();
    for of in attachments.iter().filter(|_| interface.enable_routing) {
        let DomainId::Network(network) = &of.domain else { continue };
        let routes =
            of.addresses.iter().flat_map(|address| view.topology.routes_by_next_hop(network, *address));
        let routes = routes.filter_map(|route| view.topology.routes().get(&route));
        sources.extend(routes.map(|route| (of.key, route.prefix)));
    }
    let admit = |(domain, prefix): (DomainKey, RoutePrefix)| {
        let matching = from_prefix(from_interface(in_domain(domain), interface.key), prefix.0);
        Flow::new(SOURCE, 80, matching, Instructions::goto(TRACK_OUT))
    };
    sources.into_iter().map(admit).collect()
}

pub(crate) fn resolve(interface: &Interface, of: &Attachment, address: IpAddr) -> Flow {
    let known = if interface.enable_routing { RESOLVED | RESOLVED_ROUTER } else { RESOLVED };
    let found = [Action::set_field(Field::Xreg(RESOLVED_MAC), of.mac.0), flag(known)];
    Flow::new(RESOLVE, 100, asking_for(in_domain(of.key), address), Instructions::apply(found))
}
