//! Where translations happen: on the host of a guest inside, which an entry, a port, or a known connection tells.

use super::super::connection::{Tracker, Tuple};
use super::super::member::Place;
use super::super::packet::{Icmp, IpPacket, Payload};
use super::super::{Journey, Walker};
use crate::id::{DatapathId, InterfaceId, NetworkId};
use crate::interface::{Interface, InterfaceMode};
use crate::translation::Translation;
use crate::translation::block::PortBlock;
use crate::translation::entry::StaticAddress;

/// Where the guest with an entry's internal address is. Where nobody has it, the entry does nothing.
pub(super) fn host_of_internal(
    walker: &Walker<'_>,
    at: &Journey,
    leg: &Interface,
    entry: &StaticAddress,
) -> Option<DatapathId> {
    let network = entry.egress_network_uuid.clone().or_else(|| network_behind(walker, leg, entry))?;
    let lease = walker.topology.ip_leases_of_address(&network, entry.internal).into_iter().next()?;
    let holder = walker.topology.ip_leases().get(&lease)?.holder.as_ref()?;
    match walker.place(walker.reachable(at, &holder.interface_uuid)?)? {
        Place::On(host) if !is_simulated(walker, &holder.interface_uuid) => Some(host),
        _ => None,
    }
}

fn is_simulated(walker: &Walker<'_>, id: &InterfaceId) -> bool {
    walker.interface(id).is_some_and(|interface| interface.mode == InterfaceMode::Simulated)
}

/// The network to which the router, the entry's or one of the leg's, has a route for the internal address.
fn network_behind(walker: &Walker<'_>, leg: &Interface, entry: &StaticAddress) -> Option<NetworkId> {
    let routes = walker.topology.routes_of_interface(&leg.uuid).into_iter();
    let of_leg = routes.filter_map(|id| walker.topology.routes().get(&id));
    let links: Vec<_> = match &entry.route_link_uuid {
        Some(link) => vec![link.clone()],
        None => of_leg.map(|route| route.route_link_uuid.clone()).collect(),
    };
    let routes = links.iter().flat_map(|link| walker.topology.routes_of_route_link(link));
    let routes = routes.filter_map(|id| walker.topology.routes().get(&id));
    let fitting = routes.filter(|route| route.egress && route.prefix.0.contains(&entry.internal));
    let best = fitting.max_by_key(|route| route.prefix.0.prefix_len())?;
    Some(best.network_uuid.clone())
}

/// A host's ports of a translation's addresses.
pub(super) fn block(
    walker: &Walker<'_>,
    translation: &Translation,
    host: &DatapathId,
    is_ipv4: bool,
) -> Option<PortBlock> {
    let number = walker.topology.datapaths().get(host)?.nat_block?;
    let addresses = translation.external_addresses.iter().copied();
    PortBlock::of(number, addresses.filter(|address| address.is_ipv4() == is_ipv4))
}

/// The host whose port a packet from outside is for.
pub(super) fn host_of_port<'a>(
    walker: &Walker<'_>,
    at: &Journey,
    translations: &[&'a Translation],
    ip: &IpPacket,
) -> Option<(DatapathId, &'a Translation, PortBlock)> {
    let (_, port) = ip.ports()?;
    let sources = translations.iter().filter(|of| of.external_addresses.contains(&ip.destination));
    let mut shares = sources.flat_map(|translation| {
        let mut hosts = translation.hosts(walker.topology);
        hosts.insert(at.host.clone());
        let share = |host: DatapathId| {
            let block = block(walker, translation, &host, ip.is_ipv4())?;
            Some((host, *translation, block))
        };
        hosts.into_iter().filter_map(share).collect::<Vec<_>>()
    });
    shares.find(|(_, _, block)| {
        block.address == ip.destination && walker.looked.is_to(port, (block.first, block.last()))
    })
}

/// All hosts that may know a connection of a shared address.
pub(super) fn hosts_that_share(
    walker: &Walker<'_>,
    at: &Journey,
    leg: &Interface,
    translations: &[&Translation],
) -> Vec<DatapathId> {
    let sharing = translations.iter().flat_map(|of| of.hosts(walker.topology));
    let by_port = translations.iter().flat_map(|of| &of.static_addresses);
    let by_port = by_port.filter(|entry| entry.ports.is_some());
    let by_port = by_port.filter_map(|entry| host_of_internal(walker, at, leg, entry));
    let mut hosts: Vec<_> = sharing.chain(by_port).chain([at.host.clone()]).collect();
    hosts.sort();
    hosts.dedup();
    hosts.retain(|host| walker.reaches(&at.host, host));
    hosts
}

/// Whether a host's tracker knows the connection that a packet is of, or about.
pub(super) fn knows(walker: &Walker<'_>, host: &DatapathId, leg: &Interface, ip: &IpPacket) -> bool {
    let tracker = Tracker::Leg { leg: leg.uuid.clone(), host: host.clone() };
    let tuple = match &ip.payload {
        Payload::Icmp(Icmp { about: Some(about), .. }) => Tuple::of(about).and_then(Tuple::turned),
        _ => Tuple::of(ip),
    };
    tuple.is_some_and(|tuple| walker.walk.connections.find(&tracker, tuple).is_some())
}
