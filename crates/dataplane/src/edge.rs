//! Flows of a segment's edge: a port behind which all addresses live that nobody in the segment has leased.
//!
//! What the segment does not know goes there, and what is sent to all goes there too. Of several edges one forwards, the
//! first that is alive, chosen as the gateway of a physical network is (`physical`), so that two of one wire make no loop:
//! the others neither take nor send anything. What came by an edge never goes back to one.

use openflow::{Action, Flow, Group, Instructions};
use topology::interface::Interface;
use topology::{DomainId, DomainKey, InterfaceKey, MacAddr};

use crate::base::drop;
use crate::cookie::{Owner, Purpose};
use crate::layout::*;
use crate::physical::{Gateway, first_live, gateways, liveness};
use crate::view::{Place, View, flagged, in_domain};

/// Numbers of an edge's groups among its domain's, above all others.
pub(crate) const FIRST_GROUP: u32 = 124;
const OUTWARD: u32 = FIRST_GROUP;
const INWARD: u32 = FIRST_GROUP + 1;
const FLOOD: u32 = FIRST_GROUP + 2;

/// What a segment's edges mean to this host.
#[derive(Default)]
pub(crate) struct Edge {
    /// Flows that a segment without edges does not have.
    pub(crate) flows: Vec<Flow>,
    /// Their groups.
    pub(crate) groups: Vec<Group>,
    /// What else is done here with what is sent to all.
    pub(crate) flood: Vec<Action>,
}

/// Flows and groups of a segment's edges on this host.
pub(crate) fn of(view: View<'_>, domain: &DomainId, key: DomainKey) -> Edge {
    let edges = match domain {
        DomainId::Segment(_) => gateways(view, domain),
        DomainId::Network(_) => Vec::new(),
    };
    let ways = |way: &dyn Fn(&Gateway) -> Vec<Action>| {
        edges.iter().filter_map(|of| Some((liveness(view, of)?, way(of)))).collect::<Vec<_>>()
    };
    let Some(outward) = first_live(key, OUTWARD, ways(&out)) else { return Edge::default() };
    let unknown = flagged(in_domain(key), 0, FROM_WIRE | FROM_TUNNEL);
    let unknown = Flow::new(DESTINATION, 40, unknown, Instructions::apply([Action::Group(outward.id)]));
    let own = edges.iter().find(|of| matches!(of.place, Place::Here(_)));
    let mut edge = Edge { flows: vec![unknown], groups: vec![outward], flood: Vec::new() };
    if let Some(own) = own {
        let inward = first_live(key, INWARD, ways(&taken));
        let flood = first_live(key, FLOOD, ways(&|of| if is_here(of) { out(of) } else { Vec::new() }));
        edge.flood.extend(flood.iter().map(|group| Action::Group(group.id)));
        edge.flows.extend(inward.iter().map(|group| {
            Flow::new(WIRE_SOURCE, 100, in_domain(key), Instructions::apply([Action::Group(group.id)]))
        }));
        edge.flows.push(from_tunnel(key, own.uplink));
        edge.groups.extend(inward.into_iter().chain(flood));
    }
    let cookie = Owner::Domain(key).cookie();
    edge.flows = edge.flows.into_iter().map(|flow| flow.with_cookie(cookie)).collect();
    if own.is_some() {
        edge.flows.extend(leased(view, domain).into_iter().flat_map(|mac| pretenders(key, mac)));
    }
    edge
}

fn is_here(of: &Gateway) -> bool {
    matches!(of.place, Place::Here(_))
}

/// To an edge, wherever it is.
fn out(of: &Gateway) -> Vec<Action> {
    let to = set(DESTINATION_INTERFACE, of.uplink.0);
    match of.place {
        Place::At(host) => vec![to, set(DESTINATION_HOST, host.0), Action::resubmit(PEER)],
        Place::Here(_) | Place::Simulated => vec![to, Action::resubmit(DELIVER)],
    }
}

/// What comes by an edge goes on into the segment, if this is the one that forwards.
fn taken(of: &Gateway) -> Vec<Action> {
    match is_here(of) {
        true => vec![Action::resubmit(DESTINATION)],
        false => vec![flag(ELSEWHERE), Action::resubmit(WIRE)],
    }
}

/// VXLAN and GRE name no interface.
fn from_tunnel(key: DomainKey, own: InterfaceKey) -> Flow {
    let unknown = flagged(in_domain(key), FROM_TUNNEL, FROM_WIRE | FROM_TUNNEL);
    Flow::new(
        DESTINATION,
        40,
        unknown,
        Instructions::apply([set(DESTINATION_INTERFACE, own.0)]).then_goto(DELIVER),
    )
}

/// The MAC addresses that are in the segment, and so not behind its edge.
fn leased(view: View<'_>, domain: &DomainId) -> Vec<MacAddr> {
    let members = view.topology.interfaces_in_domain(domain);
    let up = members.iter().filter_map(|id| view.topology.interfaces().get(id));
    let attachments = up.flat_map(|interface: &std::sync::Arc<Interface>| view.attachments(&interface.uuid));
    attachments.filter(|of| of.domain == *domain).map(|of| of.mac).collect()
}

/// Who speaks from outside with the MAC address of somebody inside.
fn pretenders(key: DomainKey, mac: MacAddr) -> [Flow; 2] {
    let from = [in_domain(key).eth_src(mac.0), in_domain(key).arp().arp_sha(mac.0)];
    from.map(|matching| drop(WIRE_SOURCE, 200, matching, Purpose::Pretender))
}
