//! Apart: guests that no packet gets between, known from routes and leases alone.
//!
//! # Why that is sound
//! A packet leaves the domains of its sender by routers only, and a router looks for its way by the destination alone. Translations
//! change that only where it is one of their external addresses, of which nothing is said here. So a packet for any other address
//! gets from a router to where a route with a fitting prefix leads, to whoever has the next hop's address there. That may be a
//! leg, and so the next router, or somebody else, with whom its way ends.
//!
//! A packet for a router's own address is answered, and nothing is said of that one's way either.
//!
//! More is followed than a packet could take: every fitting route and not the best one, into routers that take nothing in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::source::leases;
use crate::graph::{DomainId, Topology};
use crate::id::{InterfaceId, RouteLinkId};
use crate::interface::InterfaceMode;

/// What is known of all.
pub(super) struct Apart {
    /// Addresses that stand for others, or that simulated interfaces have.
    special: BTreeSet<IpAddr>,
}

impl Apart {
    /// Of a topology.
    pub(super) fn of(topology: &Topology) -> Self {
        let externals = topology.translations().values().flat_map(|translation| translation.externals());
        let simulated = topology.interfaces().values().filter(|of| of.mode == InterfaceMode::Simulated);
        let leased = simulated.flat_map(|of| leases(topology, &of.uuid)).map(|lease| lease.address.ip());
        Self { special: externals.chain(leased).collect() }
    }

    /// Whether a packet of one guest for an address never gets to where the other one is.
    pub(super) fn is_certain(
        &self,
        topology: &Topology,
        (from, to): (&InterfaceId, &InterfaceId),
        address: IpAddr,
    ) -> bool {
        // Whoever has a link-local address in a domain is told by a MAC address.
        let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        if is_link_local || self.special.contains(&address) {
            return false;
        }
        let domains = |id| topology.domains_of_interface(id).iter().cloned().collect::<BTreeSet<_>>();
        let (here, there) = (domains(from), domains(to));
        here.is_disjoint(&there) && !leads(topology, &here, &there, address)
    }
}

/// Whether routers around some domains may bring a packet into one of others.
fn leads(
    topology: &Topology,
    here: &BTreeSet<DomainId>,
    there: &BTreeSet<DomainId>,
    address: IpAddr,
) -> bool {
    let networks = here.iter().flat_map(|domain| topology.networks_of_domain(domain));
    let routes = networks.flat_map(|network| topology.routes_of_network(&network));
    let links = routes.filter_map(|id| Some(topology.routes().get(&id)?.route_link_uuid.clone()));
    let mut ahead: Vec<RouteLinkId> = links.collect();
    let mut seen: BTreeSet<RouteLinkId> = BTreeSet::new();
    while let Some(link) = ahead.pop() {
        if !seen.insert(link.clone()) {
            continue;
        }
        for id in topology.routes_of_route_link(&link) {
            let Some(route) = topology.routes().get(&id) else { continue };
            if !route.egress || !route.prefix.0.contains(&address) {
                continue;
            }
            let Some(domain) = topology.domain_of_network(&route.network_uuid) else { continue };
            if there.contains(&domain) {
                return true;
            }
            let own = std::iter::once(address).filter(|_| route.next_hops.is_empty());
            for hop in route.next_hops.iter().copied().chain(own) {
                match routers_at(topology, &domain, hop) {
                    Some(links) => ahead.extend(links),
                    None => return true,
                }
            }
        }
    }
    false
}

/// The routers of the legs that have an address in a domain; `None` if that is not known from leases.
fn routers_at(topology: &Topology, domain: &DomainId, address: IpAddr) -> Option<Vec<RouteLinkId>> {
    let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    if is_link_local || !topology.interfaces_allowing(&address.into()).is_empty() {
        return None;
    }
    let networks = topology.networks_of_domain(domain).into_iter();
    let leases = networks.flat_map(|network| topology.ip_leases_of_address(&network, address));
    let leases = leases.filter_map(|id| topology.ip_leases().get(&id));
    let holders = leases.filter_map(|lease| Some(lease.holder.as_ref()?.interface_uuid.clone()));
    let legs = holders.filter(|id| {
        topology.interfaces().get(id).is_some_and(|holder| holder.mode == InterfaceMode::Simulated)
    });
    let routes = legs.flat_map(|leg| topology.routes_of_interface(&leg));
    Some(routes.filter_map(|id| Some(topology.routes().get(&id)?.route_link_uuid.clone())).collect())
}
