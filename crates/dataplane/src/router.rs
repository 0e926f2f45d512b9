//! Flows of virtual routers: what all have in common, and what is one router's own.
//!
//! # A packet's way through a router
//! ```text
//! DESTINATION ─> SIMULATED ─> FORWARD ─> ROUTE ─> NEXT_HOP ─┐
//!      ^             └──> OWN <──┘         └ RESOLVE        │
//!      └──────────────────────────────────────────────────┘
//! ```
//! All on the host where the packet starts. It is looked up again in the domain of the leg it leaves by, where it may meet
//! the leg of another router; the hops it has left bound how often.
//!
//! # Errors
//! What cannot go on is handed to the agent, which tells the sender ([`ORIGIN`]); all of it within the limits
//! of [`crate::limit`].

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use openflow::{Action, Field, Flow, Instructions, Match, SubField, TableId};
use topology::RouteLinkId;

use crate::base::{drop, flow};
use crate::cookie::{Owner, Purpose};
use crate::layout::*;
use crate::limit::limited_in;
use crate::view::{View, flagged, from_prefix, to_address, to_prefix};

/// ICMP types of echo (RFC 792; RFC 4443, section 4).
const ECHO: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

/// Both bits of `ip_frag` (ovs-fields(7)).
const FRAGMENT_MASK: u8 = 3;

/// Hops of what simulated interfaces send (RFC 1700, "IP time to live").
const INITIAL_TTL: u8 = 64;

/// What means something on one wire or one host only, or many hosts (RFC 1812, section 5.3.7; RFC 3927, section 7; RFC
/// 4291, sections 2.5.2, 2.5.3, 2.5.6 and 2.7).
const NOT_FORWARDED: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

/// Flows of all routers.
pub(crate) fn base() -> Vec<Flow> {
    [forward(), own(), route(), next_hop()].concat()
}

/// Flows of one router: its own addresses, by whatever leg they are reached.
pub(crate) fn flows(view: View<'_>, id: &RouteLinkId) -> Vec<Flow> {
    let Some(link) = view.topology.route_links().get(id) else { return Vec::new() };
    let routes = view.topology.routes_of_route_link(id);
    let legs = routes.iter().filter_map(|route| view.leg(view.topology.routes().get(route)?));
    // Two legs may have one address in different networks; the router answers for either.
    let mut own = BTreeMap::new();
    for leg in legs {
        // What stands for something else is not the router's own: it goes round by the leg's wire, as from outside.
        let others: BTreeSet<_> =
            view.translations(leg.interface).iter().flat_map(|of| of.externals()).collect();
        for address in leg.attachment.addresses.difference(&others).copied() {
            own.entry(address).or_insert(leg.interface.key);
        }
    }
    let flow = |(address, leg): (_, topology::InterfaceKey)| {
        let matching = to_address(Match::new().reg(ROUTE_LINK, link.key.0), address);
        let answered = Instructions::apply([set(DESTINATION_INTERFACE, leg.0)]).then_goto(OWN);
        Flow::new(FORWARD, 300, matching, answered).with_cookie(Owner::RouteLink(link.key).cookie())
    };
    own.into_iter().map(flow).collect()
}

fn forward() -> Vec<Flow> {
    let not_forwarded = || NOT_FORWARDED.iter().map(|net| net.parse::<IpNet>().expect("a prefix"));
    let to =
        not_forwarded().map(|net| drop(FORWARD, 210, to_prefix(Match::new(), net), Purpose::NotForwarded));
    let from =
        not_forwarded().map(|net| drop(FORWARD, 200, from_prefix(Match::new(), net), Purpose::NotForwarded));
    // RFC 1812, section 5.3.1; RFC 8200, section 3: the last hop is no router's to take.
    let expired =
        [0, 1].into_iter().flat_map(|ttl| [Match::new().ip().ip_ttl(ttl), Match::new().ipv6().ip_ttl(ttl)]);
    let expired = expired.map(|matching| ask(FORWARD, 150, matching, Question::TimeExceeded));
    let origin = SubField::new(Field::Xreg(ORIGIN), 0, 48);
    let again = [Action::DecTtl];
    let first = [copy_bits(SubField::whole(Field::EthSrc), origin), flag(ROUTED), Action::DecTtl];
    // Only IP packets have hops to count, and the switch wants to know that they are (ovs-actions(7), "dec_ttl").
    let on = [Match::new().ip(), Match::new().ipv6()].into_iter().flat_map(|family| {
        let go = |priority, matching, actions: &[Action]| {
            let actions = Instructions::apply(actions.to_vec()).then_goto(ROUTE);
            flow(FORWARD, priority, matching, actions)
        };
        [go(100, flagged(family.clone(), ROUTED, ROUTED), &again), go(50, family, &first)]
    });
    to.chain(from).chain(expired).chain(on).collect()
}

fn own() -> Vec<Flow> {
    let scratch = Field::Reg(SCRATCH);
    let address = Field::Xxreg(RESOLVE_ADDRESS);
    let (request, reply) = ECHO;
    let v4 = [
        copy(Field::Ipv4Src, scratch),
        copy(Field::Ipv4Dst, Field::Ipv4Src),
        copy(scratch, Field::Ipv4Dst),
        Action::set_field(Field::IcmpType, reply),
    ];
    let (request_v6, reply_v6) = ECHO_V6;
    let v6 = [
        copy(Field::Ipv6Src, address),
        copy(Field::Ipv6Dst, Field::Ipv6Src),
        copy(address, Field::Ipv6Dst),
        Action::set_field(Field::Icmpv6Type, reply_v6),
    ];
    // Part of a request is no request: the rest of it names no type. Nor is it worth putting together.
    let whole = |matching: Match| matching.with_masked(Field::IpFrag, 0_u8, FRAGMENT_MASK);
    let metered = |matching| flow(OWN, 100, whole(matching), Instructions::apply(limited_in(ECHO_REPLY)));
    let reply = |matching, swap: [Action; 4]| {
        let actions = [Action::CtClear].into_iter().chain(swap).chain(turn_round());
        flow(ECHO_REPLY, 100, matching, Instructions::apply(actions))
    };
    vec![
        // A simulated interface is a member of no group.
        drop(OWN, 300, flagged(Match::new(), PENDING, PENDING), Purpose::NotAllowedOut),
        metered(Match::new().icmp(request).icmp_code(0)),
        metered(Match::new().icmpv6(request_v6).icmpv6_code(0)),
        reply(Match::new().icmp(request), v4),
        reply(Match::new().icmpv6(request_v6), v6),
        ask(OWN, 50, Match::new().ip().udp(), Question::PortUnreachable),
        ask(OWN, 50, Match::new().ipv6().ip_proto(17), Question::PortUnreachable),
    ]
}

/// Sends an answer back to where the question came from.
fn turn_round() -> Vec<Action> {
    vec![
        copy_bits(SubField::whole(Field::EthDst), resolved_mac()),
        copy(Field::EthSrc, Field::EthDst),
        copy_bits(resolved_mac(), SubField::whole(Field::EthSrc)),
        Action::set_field(Field::IpTtl, INITIAL_TTL),
        copy(Field::Reg(DESTINATION_INTERFACE), Field::Reg(SOURCE_INTERFACE)),
        set(FLAGS, 0),
        hairpin(),
        Action::resubmit(DESTINATION),
    ]
}

fn route() -> Vec<Flow> {
    [Match::new().ip(), Match::new().ipv6()].map(|family| ask(ROUTE, 0, family, Question::NoRoute)).into()
}

fn next_hop() -> Vec<Flow> {
    let on = [
        copy_bits(resolved_mac(), SubField::whole(Field::EthDst)),
        // From here on the packet is this host's, wherever it has come from.
        Action::set_field_masked(Field::Reg(FLAGS), 0_u32, FROM_TUNNEL | FROM_WIRE | AT_GATEWAY),
        hairpin(),
        Action::resubmit(DESTINATION),
    ];
    let unknown = [Match::new().ip(), Match::new().ipv6()];
    let unknown = unknown.map(|family| ask(LINK, 0, family, Question::HostUnreachable));
    let found = flow(LINK, 100, flagged(Match::new(), RESOLVED, RESOLVED), Instructions::apply(on));
    let find = Instructions::apply([Action::resubmit(RESOLVE)]).then_goto(LINK);
    [flow(NEXT_HOP, 0, Match::new(), find), found].into_iter().chain(unknown).collect()
}

/// A router may send a packet back by the port it came by, and a switch does so only if it does not know (ovs-actions(7),
/// "output"). It takes the port in the 16-bit form alone.
pub(crate) fn hairpin() -> Action {
    Action::set_field(Field::InPortNxm, 0_u16)
}

fn ask(table: TableId, priority: u16, matching: Match, question: Question) -> Flow {
    flow(table, priority, matching, Instructions::apply(to_agent(question)))
}
