//! Flows of a route: into its router by the leg, and out of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use openflow::{
    Action, Bucket, BucketId, Field, Flow, Group, GroupId, GroupType, Instructions, Match, TableId,
};
use topology::{RouteId, RouteKey};

use crate::cookie::Owner;
use crate::layout::*;
use crate::physical;
use crate::view::{Leg, Place, View, from_prefix, in_domain, to_prefix};

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
    let is_physical = view.topology.physical_network(&leg.attachment.domain).is_some();
    let by = By { table: next, named: is_physical.then_some(route.key) };
    let group = share(by, route.key, &route.next_hops);
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
            (None, Some(hop)) => by.hop(0, *hop),
            (None, None) => by.on_link(prefix.addr()),
        };
        let leave = if translates { vec![set(TRANSLATION, leg.interface.key.0)] } else { Vec::new() };
        Flow::new(ROUTE, priority, matching, Instructions::apply([out_of(&leg), leave, on].concat()))
    });
    let outside = (route.egress && is_physical).then(|| physical::from_tunnel(view, route, &leg.attachment));
    let cookie = Owner::Route(route.key).cookie();
    let flows = into
        .into_iter()
        .chain(out)
        .chain(outside.into_iter().flatten())
        .map(|flow| flow.with_cookie(cookie))
        .collect();
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

/// How packets of a route go on.
#[derive(Clone, Copy)]
struct By {
    table: TableId,
    /// The route, where a gateway has to be told which next hop is meant.
    named: Option<RouteKey>,
}

impl By {
    /// To whom it is for.
    fn on_link(self, family: IpAddr) -> Vec<Action> {
        self.ask(None, ask_destination(family))
    }

    /// To who takes it on.
    fn hop(self, index: u8, hop: IpAddr) -> Vec<Action> {
        self.ask(Some(index), ask_for(hop))
    }

    fn ask(self, index: Option<u8>, question: Vec<Action>) -> Vec<Action> {
        let name = self.named.map(|route| Action::set_field(Field::EthDst, physical::hop_name(route, index)));
        then_through(name.into_iter().chain(question).collect(), [self.table])
    }
}

/// Several next hops share packets by the switch's hash of addresses and ports, so that a connection keeps to one
/// (RFC 2992).
fn share(by: By, key: RouteKey, hops: &BTreeSet<IpAddr>) -> Option<Group> {
    let bucket = |(number, hop): (u8, &IpAddr)| {
        let actions = by.hop(number, *hop);
        Bucket { weight: 1, ..Bucket::new(BucketId(u32::from(number)), actions) }
    };
    (hops.len() > 1).then(|| Group {
        id: GroupId(GROUPS | key.0),
        kind: GroupType::Select,
        selection: None,
        buckets: (0..).zip(hops).map(bucket).collect(),
    })
}
