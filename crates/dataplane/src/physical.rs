//! Flows of a physical network: between the legs of routers and a wire on which nobody has leased anything.
//!
//! # Towards the wire
//! Whoever routes a packet out of a leg looks for the next hop among the legs first, then hands the packet to the
//! gateway: over a tunnel, with the route and its next hop named in the destination MAC address ([`hop_name`]), for the
//! gateway to find who has the next hop's address. Those it knows are in [`NEIGHBOUR`], which the agent fills and reconciling leaves
//! alone: what is in use needs no agent.
//!
//! # From the wire
//! Only the gateway takes anything, so that nothing arrives twice: questions for the legs' addresses, which it answers,
//! and frames to their MAC addresses, which it routes like a guest's. Nobody out there may speak as a leg, nor, to a
//! router, from what the router reaches by another leg (RFC 3704, section 2.2).
//!
//! # Which gateway
//! The first that is alive of [`Topology::gateways`](topology::Topology::gateways). Every host's switch sees for itself which
//! are: it has a port for each whose liveness is the host's (BFD, RFC 5880), and groups that take the first live bucket. So
//! the next one takes over without any agent or manager. A host whose port is not there yet counts as alive, and when none
//! is, the first is tried all the same. A host that yields, because one of its uplinks leads nowhere, comes last for itself
//! as it does for others, in all its networks: they see one liveness of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::{
    Action, Bucket, BucketId, Field, Flow, Group, GroupId, GroupType, Instructions, Match, OfPort,
};
use topology::interface::Interface;
use topology::route::{Route, RoutePrefix};
use topology::{DomainId, DomainKey, InterfaceKey, MacAddr, RouteKey};

use crate::base::{
    ADVERTISEMENT, FROM_NEIGHBOUR, REPLY, REQUEST, SOLICITATION, TAGS, answered, drop, flow, tagged,
};
use crate::cookie::{Owner, Purpose};
use crate::domain::GROUPS;
use crate::layout::*;
use crate::router::hairpin;
use crate::view::{Attachment, Place, View, asking_for, flagged, from_prefix, in_domain};

/// First byte of the MAC addresses that name a next hop: locally administered, and no group's (IEEE 802, section 8.4).
const HOP_NAME: u8 = 0x06;

/// In `vlan_vid`: there is a tag (ovs-fields(7)).
pub(crate) const VLAN_PRESENT: u16 = 0x1000;

/// Numbers of a physical network's groups among its domain's.
const OUTWARD: u32 = 0;
const INWARD: u32 = 1;

/// Stands for the destination itself in such a name.
const ON_LINK: u8 = 0xff;

/// Lowest priority of a source that is another leg's; the length of its prefix comes on top, as for routes.
const BEHIND: u16 = 100;

/// A host with an uplink, seen from this one.
pub(crate) struct Gateway {
    pub(crate) place: Place,
    pub(crate) uplink: InterfaceKey,
}

/// Names a next hop of a route to the gateway: the `index`th, or, if there is none, whom the packet is for.
pub(crate) fn hop_name(route: RouteKey, index: Option<u8>) -> [u8; 6] {
    let [a, b, c, d] = route.0.to_be_bytes();
    [HOP_NAME, a, b, c, d, index.unwrap_or(ON_LINK)]
}

/// Seconds after which what nobody sends to is forgotten. Longer than any host keeps quiet about a neighbour, so that a
/// connection at rest does not have to ask again.
const NEIGHBOUR_IDLE: u16 = 600;

/// Who on the wire has an address: what the agent puts into [`NEIGHBOUR`].
pub fn neighbour(domain: DomainKey, address: IpAddr, mac: MacAddr) -> Flow {
    let found = [Action::set_field(Field::Xreg(RESOLVED_MAC), mac.0), flag(RESOLVED)];
    let flow = Flow::new(NEIGHBOUR, 100, asking_for(in_domain(domain), address), Instructions::apply(found));
    Flow { idle_timeout: NEIGHBOUR_IDLE, ..flow.with_cookie(Owner::Neighbour(domain).cookie()) }
}

/// All flows and groups of a physical network on this host.
pub(crate) fn flows(view: View<'_>, domain: &DomainId, key: DomainKey) -> (Vec<Flow>, Vec<Group>) {
    let gateways = gateways(view, domain);
    let legs = legs(view, domain);
    let (outward, inward) = (outward(view, key, &gateways), inward(view, key, &gateways));
    let mut flows = Vec::new();
    // From here on the packet is this host's, wherever it has come from, and may go back there.
    let own_now = [Action::set_field_masked(Field::Reg(FLAGS), 0_u32, FROM_TUNNEL | FROM_WIRE), hairpin()];
    flows.extend(outward.iter().map(|group| {
        let actions = own_now.iter().cloned().chain([Action::Group(group.id)]);
        Flow::new(LINK, 50, in_domain(key), Instructions::apply(actions))
    }));
    flows.extend(inward.iter().map(|group| {
        Flow::new(WIRE_SOURCE, 100, in_domain(key), Instructions::apply([Action::Group(group.id)]))
    }));
    if let Some(uplink) = own(&gateways) {
        flows.push(out_of(key, uplink));
        flows.extend(legs.iter().flat_map(|(_, leg)| answers(leg)));
    }
    flows.extend(behind_others(view, domain, &legs));
    let cookie = Owner::Domain(key).cookie();
    let mut flows: Vec<_> = flows.into_iter().map(|flow| flow.with_cookie(cookie)).collect();
    if own(&gateways).is_some() {
        flows.extend(legs.iter().flat_map(|(_, leg)| pretenders(leg)));
    }
    (flows, outward.into_iter().chain(inward).collect())
}

/// What a port that is an uplink or an edge brings.
pub(crate) fn classify(interface: &Interface, port: OfPort, domain: DomainKey) -> Flow {
    let from = Match::new().in_port(port);
    let from = match interface.vlan_id {
        Some(vlan) => from.with(Field::VlanVid, vlan | VLAN_PRESENT),
        None => from,
    };
    let actions = interface.vlan_id.map(|_| Action::PopVlan).into_iter().chain([
        set(SOURCE_INTERFACE, interface.key.0),
        Action::set_field(Field::Metadata, u64::from(domain.0)),
        flag(FROM_WIRE),
    ]);
    Flow::new(CLASSIFY, 50, from, Instructions::apply(actions).then_goto(WIRE_SOURCE))
}

/// What another host has routed out of a leg, where this host has an uplink.
pub(crate) fn from_tunnel(view: View<'_>, route: &Route, leg: &Attachment) -> Vec<Flow> {
    if !view.topology.gateways(&leg.domain).iter().any(|of| of.datapath == view.local.datapath) {
        return Vec::new();
    }
    let is_ipv4 = route.prefix.0.addr().is_ipv4();
    let named = |index, question: Vec<Action>| {
        let of_family = if is_ipv4 { in_domain(leg.key).ip() } else { in_domain(leg.key).ipv6() };
        let matching = flagged(of_family, FROM_TUNNEL, FROM_TUNNEL);
        let find = Instructions::apply(question).then_goto(GATEWAY);
        Flow::new(DESTINATION, 100, matching.eth_dst(hop_name(route.key, index)), find)
    };
    let on_link = || named(None, ask_destination(route.prefix.0.addr()));
    let hops = (0..).zip(&route.next_hops).map(|(index, hop)| named(Some(index), ask_for(*hop)));
    let hops: Vec<_> = hops.collect();
    if hops.is_empty() { vec![on_link()] } else { hops }
}

/// Flows that are there whatever the topology is.
pub(crate) fn base() -> Vec<Flow> {
    let ask = |question| Instructions::apply(to_agent(question));
    let at_gateway = flagged(Match::new(), AT_GATEWAY, AT_GATEWAY);
    let find = Instructions::apply(then_through(vec![flag(AT_GATEWAY)], [NEIGHBOUR, LINK]));
    let request = Match::new().arp().arp_op(REQUEST);
    let solicitation = Match::new().icmpv6(SOLICITATION).icmpv6_code(0).ip_ttl(FROM_NEIGHBOUR);
    // An edge may want a tag.
    let onto_wire = [
        Action::set_field_masked(Field::Reg(FLAGS), 0_u32, FROM_WIRE),
        hairpin(),
        Action::resubmit(DESTINATION),
    ];
    // Behind a tag that was taken off there may be another, which the switch shows as a type.
    let hidden = TAGS.map(|tag| drop(WIRE_SOURCE, 300, Match::new().eth_type(tag), Purpose::TaggedOutside));
    let flows = vec![
        drop(WIRE_SOURCE, 300, tagged(), Purpose::TaggedOutside),
        drop(WIRE_SOURCE, 0, Match::new(), Purpose::NotGateway),
        drop(WIRE, 300, flagged(Match::new(), ELSEWHERE, ELSEWHERE), Purpose::NotGateway),
        flow(WIRE, 100, request, answered(ask_ipv4(Field::ArpTpa), ARP_REPLY)),
        flow(WIRE, 100, solicitation, answered(ask_ipv6(Field::NdTarget), ND_REPLY)),
        flow(WIRE, 0, Match::new(), Instructions::apply([Action::resubmit(DESTINATION)])),
        flow(GATEWAY, 0, Match::new(), find),
        flow(BACK, 0, Match::new(), Instructions::apply([Action::output(OfPort::IN_PORT)])),
        flow(BACK, 100, flagged(Match::new(), FROM_WIRE, FROM_WIRE), Instructions::apply(onto_wire)),
        // Nobody on the wire is a member of a group.
        drop(
            LINK,
            70,
            flagged(Match::new(), AT_GATEWAY | PENDING, AT_GATEWAY | PENDING | RESOLVED),
            Purpose::NotAllowedOut,
        ),
        flow(LINK, 60, at_gateway.clone().ip(), ask(Question::NextHop)),
        flow(LINK, 60, at_gateway.ipv6(), ask(Question::NextHop)),
    ];
    flows.into_iter().chain(hidden).collect()
}

pub(crate) fn gateways(view: View<'_>, domain: &DomainId) -> Vec<Gateway> {
    let seen = |of: topology::physical::Gateway| {
        let uplink = view.topology.interfaces().get(&of.uplink)?;
        Some(Gateway { place: view.place(uplink)?, uplink: uplink.key })
    };
    let mut gateways: Vec<_> = view.topology.gateways(domain).into_iter().filter_map(seen).collect();
    gateways.sort_by_key(|of: &Gateway| view.local.yields && !matches!(of.place, Place::At(_)));
    gateways
}

/// This host's uplink, if it has one.
fn own(gateways: &[Gateway]) -> Option<InterfaceKey> {
    gateways.iter().find(|of| matches!(of.place, Place::Here(_))).map(|of| of.uplink)
}

/// The simulated interfaces of the network, by their keys.
fn legs(view: View<'_>, domain: &DomainId) -> Vec<(InterfaceKey, Attachment)> {
    let interfaces = view.topology.simulated_in_domain(domain);
    let interfaces = interfaces.iter().filter_map(|id| view.topology.interfaces().get(id));
    let up = interfaces.filter(|interface| view.place(interface) == Some(Place::Simulated));
    let of = up.flat_map(|interface| {
        view.attachments(&interface.uuid).into_iter().map(|attachment| (interface.key, attachment))
    });
    of.filter(|(_, attachment)| attachment.domain == *domain).collect()
}

/// What no leg has the address of is the gateway's to send on.
fn outward(view: View<'_>, key: DomainKey, gateways: &[Gateway]) -> Option<Group> {
    let to = |of: &Gateway| match of.place {
        // To no interface: the gateway finds who is meant by the name of the next hop.
        Place::At(host) => {
            vec![set(DESTINATION_INTERFACE, 0), set(DESTINATION_HOST, host.0), Action::resubmit(PEER)]
        }
        Place::Here(_) | Place::Simulated => vec![Action::resubmit(GATEWAY)],
    };
    let tunnel = some_tunnel(view);
    let first = gateways.first().zip(tunnel).map(|(of, port)| (port, to(of)));
    let live = gateways.iter().filter_map(|of| Some((liveness(view, of)?, to(of))));
    let mut ways: Vec<_> = live.collect();
    ways.extend(first.filter(|first| !ways.contains(first)));
    first_live(key, OUTWARD, ways)
}

/// What comes from the wire is taken by the gateway alone.
fn inward(view: View<'_>, key: DomainKey, gateways: &[Gateway]) -> Option<Group> {
    own(gateways)?;
    let taken = |of: &Gateway| match of.place {
        Place::At(_) => vec![flag(ELSEWHERE), Action::resubmit(WIRE)],
        Place::Here(_) | Place::Simulated => vec![Action::resubmit(WIRE)],
    };
    let live = gateways.iter().filter_map(|of| Some((liveness(view, of)?, taken(of))));
    first_live(key, INWARD, live.collect())
}

/// The port that is alive while a gateway is.
pub(crate) fn liveness(view: View<'_>, of: &Gateway) -> Option<OfPort> {
    match of.place {
        Place::At(host) => view.local.monitors.get(&host).copied().or_else(|| some_tunnel(view)),
        Place::Here(port) => Some(port),
        Place::Simulated => None,
    }
}

/// A port that is always alive.
fn some_tunnel(view: View<'_>) -> Option<OfPort> {
    view.local.tunnels.values().next().copied()
}

/// Does the first of these whose port is alive.
pub(crate) fn first_live(key: DomainKey, number: u32, ways: Vec<(OfPort, Vec<Action>)>) -> Option<Group> {
    let bucket =
        |(id, (port, actions))| Bucket { watch_port: Some(port), ..Bucket::new(BucketId(id), actions) };
    let buckets: Vec<_> = (0..).zip(ways).map(bucket).collect();
    let id = GroupId(key.0 * GROUPS + number);
    (!buckets.is_empty()).then_some(Group { id, kind: GroupType::FastFailover, selection: None, buckets })
}

/// What goes to no leg goes to the wire, unless it comes from there.
fn out_of(key: DomainKey, uplink: InterfaceKey) -> Flow {
    let from_here = flagged(in_domain(key), 0, FROM_WIRE | FROM_TUNNEL);
    let found = Instructions::apply([set(DESTINATION_INTERFACE, uplink.0)]).then_goto(DELIVER);
    Flow::new(DESTINATION, 50, from_here, found)
}

/// Answers to what the agent has asked for a leg.
fn answers(leg: &Attachment) -> [Flow; 2] {
    let to_leg = || in_domain(leg.key).eth_dst(leg.mac.0);
    let of =
        [to_leg().arp().arp_op(REPLY), to_leg().icmpv6(ADVERTISEMENT).icmpv6_code(0).ip_ttl(FROM_NEIGHBOUR)];
    let ask = || Instructions::apply(to_agent(Question::NeighbourFound));
    of.map(|matching| Flow::new(WIRE_SOURCE, 150, matching, ask()))
}

/// Who speaks as a leg.
fn pretenders(leg: &Attachment) -> Vec<Flow> {
    let from = || in_domain(leg.key);
    let mut matches = vec![from().eth_src(leg.mac.0)];
    for address in &leg.addresses {
        match *address {
            IpAddr::V4(address) => {
                matches.extend([from().ip().ipv4_src(address), from().arp().arp_spa(address)])
            }
            IpAddr::V6(address) => matches.push(from().ipv6().ipv6_src(address)),
        }
    }
    let drop = |matching| drop(WIRE_SOURCE, 200, matching, Purpose::Pretender);
    matches.into_iter().map(drop).collect()
}

/// Sources that a leg's routers reach by other legs: from here they are false. The longest prefix counts, so what is
/// routed by this leg stays.
fn behind_others(view: View<'_>, domain: &DomainId, legs: &[(InterfaceKey, Attachment)]) -> Vec<Flow> {
    let mut behind: BTreeMap<(InterfaceKey, RoutePrefix), DomainKey> = BTreeMap::new();
    for (leg, attachment) in legs {
        let routes = view.topology.interface_of_key(*leg).map(|leg| routes_of(view, &leg.uuid));
        let routes = routes.unwrap_or_default();
        let own: BTreeSet<_> =
            routes.iter().filter(|route| route.ingress).map(|route| route.prefix).collect();
        let of_routers =
            routes.iter().flat_map(|route| view.topology.routes_of_route_link(&route.route_link_uuid));
        let of_routers = of_routers.filter_map(|route| view.topology.routes().get(&route));
        let others = of_routers.filter(|of| {
            view.topology.domain_of_network(&of.network_uuid).as_ref() != Some(domain)
                && !own.contains(&of.prefix)
        });
        behind.extend(others.map(|route| ((*leg, route.prefix), attachment.key)));
    }
    let drop = |((leg, prefix), domain): ((InterfaceKey, RoutePrefix), DomainKey)| {
        let priority = BEHIND + u16::from(prefix.0.prefix_len());
        let matching = in_domain(domain).reg(DESTINATION_INTERFACE, leg.0);
        Flow::new(SIMULATED, priority, from_prefix(matching, prefix.0), Instructions::drop())
    };
    behind.into_iter().map(drop).collect()
}

fn routes_of<'a>(view: View<'a>, leg: &topology::InterfaceId) -> Vec<&'a Route> {
    let routes = view.topology.routes_of_interface(leg).into_iter();
    routes.filter_map(|route| view.topology.routes().get(&route).map(AsRef::as_ref)).collect()
}
