//! Flows of a route: into its router by the leg, and out of it.

use std::net::IpAddr;

use openflow::{
    Action, Bucket, BucketId, Field, Flow, Group, GroupId, GroupType, Instructions, Match, TableId,
};
use topology::{RouteId, RouteKey};

use crate::cookie::Owner;
use crate::layout::*;
use crate::view::{Leg, Place, View, as_ipv6, from_prefix, in_domain, to_prefix};

/// Groups of routes; those of domains are below.
const GROUPS: u32 = 1 << 31;

/// Lowest priority of a route; the length of its prefix comes on top.
const PRIORITY: u16 = 100;

/// All flows and groups of a route.
pub(crate) fn flows(view: View<'_>, id: &RouteId) -> (Vec<Flow>, Vec<Group>) {
    let none = (Vec::new(), Vec::new());
    let Some(route) = view.topology.routes().get(id) else { return none };
    let Some(link) = view.topology.route_links().get(&route.route_link_uuid) else { return none };
    let Some(leg) = view.leg(route) else { return none };
    let prefix = route.prefix.0;
    let priority = PRIORITY + u16::from(prefix.prefix_len());
    let translates = view.translates(leg.interface);
    let next = if translates { TRANSLATE_OUT } else { NEXT_HOP };
    let group = share(route.key, &route.next_hops, next);
    // What a leg elsewhere has let in may have been sent here to be translated.
    let is_here = view.place(leg.interface) == Some(Place::Simulated);
    let into = (route.ingress && (is_here || translates)).then(|| {
        let matching = in_domain(leg.attachment.key).reg(DESTINATION_INTERFACE, leg.interface.key.0);
        let enter = Instructions::apply([set(ROUTE_LINK, link.key.0)]).then_goto(FORWARD);
        Flow::new(SIMULATED, priority, from_prefix(matching, prefix), enter)
    });
    let out = route.egress.then(|| {
        let matching = to_prefix(Match::new().reg(ROUTE_LINK, link.key.0), prefix);
        let on = match (&group, route.next_hops.first()) {
            (Some(group), _) => vec![Action::Group(group.id)],
            (None, Some(hop)) => by(*hop, next),
            (None, None) => on_link(prefix.addr(), next),
        };
        let leave = if translates { vec![set(TRANSLATION, leg.interface.key.0)] } else { Vec::new() };
        Flow::new(ROUTE, priority, matching, Instructions::apply([out_of(&leg), leave, on].concat()))
    });
    let cookie = Owner::Route(route.key).cookie();
    let flows = into.into_iter().chain(out).map(|flow| flow.with_cookie(cookie)).collect();
    (flows, group.filter(|_| route.egress).into_iter().collect())
}

/// Puts the packet onto the leg's wire.
fn out_of(leg: &Leg<'_>) -> Vec<Action> {
    vec![
        Action::set_field(Field::EthSrc, leg.attachment.mac.0),
        Action::set_field(Field::Metadata, u64::from(leg.attachment.key.0)),
        // An earlier hop has asked, too, and may have translated.
        Action::set_field_masked(Field::Reg(FLAGS), 0_u32, RESOLVED | RESOLVED_ROUTER | TRANSLATED),
    ]
}

/// To whom it is for.
fn on_link(family: IpAddr, next: TableId) -> Vec<Action> {
    let question = match family {
        IpAddr::V4(_) => ask_ipv4(Field::Ipv4Dst),
        IpAddr::V6(_) => ask_ipv6(Field::Ipv6Dst),
    };
    then_through(question, [next])
}

/// To who takes it on.
fn by(hop: IpAddr, next: TableId) -> Vec<Action> {
    then_through(vec![Action::set_field(Field::Xxreg(RESOLVE_ADDRESS), as_ipv6(hop))], [next])
}

/// Several next hops share packets by the switch's hash of addresses and ports, so that a connection keeps to one
/// (RFC 2992).
fn share(key: RouteKey, hops: &std::collections::BTreeSet<IpAddr>, next: TableId) -> Option<Group> {
    let bucket =
        |(number, hop): (u32, &IpAddr)| Bucket { weight: 1, ..Bucket::new(BucketId(number), by(*hop, next)) };
    (hops.len() > 1).then(|| Group {
        id: GroupId(GROUPS | key.0),
        kind: GroupType::Select,
        selection: None,
        buckets: (0..).zip(hops).map(bucket).collect(),
    })
}
