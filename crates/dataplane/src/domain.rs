//! Flows and groups of a network or segment: who gets what is sent to all.
//!
//! The source's host replicates to its own members and, once each, to the other hosts that have one; those replicate
//! to theirs only.

use std::net::IpAddr;

use openflow::{Action, Bucket, BucketId, Field, Flow, Group, GroupId, GroupType, Instructions, Match};
use topology::interface::{Interface, InterfaceMode};
use topology::network_service::NetworkServiceMode;
use topology::{DomainId, DomainKey, HostKey, InterfaceKey, MacAddr};

use crate::base::{
    DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, DHCPV6_SERVER, FROM_NEIGHBOUR, ROUTER_SOLICITATION,
};
use crate::cookie::Owner;
use crate::layout::*;
use crate::router::hairpin;
use crate::security::shared_macs;
use crate::view::{Place, View, asking_for, flagged, in_domain, to_address};
use crate::{edge, physical, simulated};

/// Most buckets of one group: a group's description has to fit one message.
pub const MAX_BUCKETS: usize = 1000;

/// Numbers of a domain's groups: half for local members, half for hosts, less those of edges.
pub(crate) const GROUPS: u32 = 128;

/// The group bit of an Ethernet address.
const GROUP: [u8; 6] = [1, 0, 0, 0, 0, 0];

/// Priority of renewals in [`SOURCE`], beside that of other requests of those without an address.
const RENEWAL: u16 = 90;

/// All flows and groups of a domain.
pub(crate) fn flows(view: View<'_>, domain: &DomainId) -> (Vec<Flow>, Vec<Group>) {
    let Some(key) = view.topology.key_of_domain(domain) else { return (Vec::new(), Vec::new()) };
    if view.topology.physical_network(domain).is_some() {
        return physical::flows(view, domain, key);
    }
    let members = local_members(view, domain);
    let metadata = metadata(view, domain, key, !members.is_empty());
    let edge = edge::of(view, domain, key);
    if members.is_empty() && edge.flood.is_empty() {
        return (metadata, Vec::new());
    }
    let here = groups(key, 0, members.iter().map(|member| bucket(member.0, DESTINATION_INTERFACE, DELIVER)));
    let hosts = remote_hosts(view, domain);
    let there = groups(key, GROUPS / 2, hosts.iter().map(|host| bucket(host.0, DESTINATION_HOST, PEER)));
    let ids = |groups: &[Group]| groups.iter().map(|group| Action::Group(group.id)).collect::<Vec<_>>();
    let multicast = || in_domain(key).eth_dst_masked(GROUP, GROUP);
    let flood = |to: &Match, flags, actions: Vec<Action>| {
        let matching = flagged(to.clone(), flags, FROM_TUNNEL | FROM_WIRE);
        Flow::new(DESTINATION, 100, matching, Instructions::apply(actions))
            .with_cookie(Owner::Domain(key).cookie())
    };
    let shared = shared_macs(view, domain).into_iter().map(|mac| in_domain(key).eth_dst(mac.0));
    let to_all = std::iter::once(multicast()).chain(shared);
    let everybody = [ids(&here), ids(&there)].concat();
    let has_edge = !edge.flood.is_empty();
    let mut flows = Vec::new();
    for to in to_all {
        flows.push(flood(&to, 0, [&everybody[..], &edge.flood].concat()));
        flows.push(flood(&to, FROM_TUNNEL, [ids(&here), edge.flood.clone()].concat()));
        flows.extend(has_edge.then(|| flood(&to, FROM_WIRE, everybody.clone())));
    }
    flows.extend(edge.flows);
    flows.extend(questions(view, domain, key));
    flows.extend(metadata);
    (flows, [here, there, edge.groups].concat())
}

/// Whether guests are told their addresses.
fn has_dhcp(view: View<'_>, domain: &DomainId) -> bool {
    let servers = view.topology.simulated_in_domain(domain);
    let mut services = servers.iter().flat_map(|server| view.topology.services_of_interface(server));
    services.any(|service| {
        let service = view.topology.network_services().get(&service);
        service.is_some_and(|service| service.mode == NetworkServiceMode::Dhcp)
    })
}

/// Whether a router with IPv6 has a leg here.
fn has_router(view: View<'_>, domain: &DomainId) -> bool {
    let networks = view.topology.networks_of_domain(domain).into_iter();
    let mut routes = networks.flat_map(|network| view.topology.routes_of_network(&network));
    routes.any(|route| {
        let route = view.topology.routes().get(&route);
        route.is_some_and(|route| {
            route.ingress && route.prefix.0.addr().is_ipv6() && view.leg(route).is_some()
        })
    })
}

/// What guests ask a server or a router is answered on their own host, and nobody else hears it.
fn questions(view: View<'_>, domain: &DomainId, key: DomainKey) -> Vec<Flow> {
    // What is tagged is in a VLAN of the guests' own, and what a router brings is not the domain's.
    let asked = || flagged(in_domain(key).untagged(), 0, FROM_TUNNEL | FROM_WIRE | ROUTED);
    let dhcp = [
        (asked().ip().udp().udp_src(DHCP_CLIENT).udp_dst(DHCP_SERVER), Question::Dhcp),
        (asked().ipv6().udp().udp_src(DHCPV6_CLIENT).udp_dst(DHCPV6_SERVER), Question::Dhcpv6),
    ];
    let solicitation = asked().icmpv6(ROUTER_SOLICITATION).icmpv6_code(0).ip_ttl(FROM_NEIGHBOUR);
    let solicitation = (solicitation, Question::RouterSolicitation);
    let has_dhcp = has_dhcp(view, domain);
    let dhcp = has_dhcp.then_some(dhcp).into_iter().flatten();
    let solicitation = has_router(view, domain).then_some(solicitation);
    let owned = |flow: Flow| flow.with_cookie(Owner::Domain(key).cookie());
    let ask = |(matching, question)| {
        let answer = Instructions::apply(to_agent(question));
        owned(Flow::new(DESTINATION, 200, matching, answer))
    };
    let renewal = has_dhcp.then(|| renewal(domain, key)).flatten().map(owned);
    dhcp.chain(solicitation).map(ask).chain(renewal).collect()
}

/// A client renews from the address that it has (RFC 2131, section 4.4.5), also when that is its own no more: just then it
/// has to be heard, or it would keep the address until the lease ends. Nobody but the agent gets to see it.
fn renewal(domain: &DomainId, key: DomainKey) -> Option<Flow> {
    let DomainId::Network(_) = domain else { return None };
    let matching = in_domain(key).ip().udp().udp_src(DHCP_CLIENT).udp_dst(DHCP_SERVER);
    Some(Flow::new(SOURCE, RENEWAL, matching, Instructions::goto(TRACK_OUT)))
}

/// How the metadata address is found, and what goes there, also by a router: a guest that knows no better sends it to its
/// default one.
fn metadata(view: View<'_>, domain: &DomainId, key: DomainKey, has_members: bool) -> Vec<Flow> {
    let Some((server, mac)) = metadata_server(view, domain) else { return Vec::new() };
    // One that is on its owner's host alone has others' guests to serve there, and so has a router that brings them.
    let is_own = |id: &topology::InterfaceId| {
        let interface = view.topology.interfaces().get(id);
        interface.is_some_and(|interface| interface.owner() == Some(&view.local.datapath))
    };
    let has_others = view.topology.simulated_in_domain(domain).iter().any(is_own);
    if !has_members && !has_others && server.owner().is_none() {
        return Vec::new();
    }
    let is_here = view.place(server) == Some(Place::Simulated);
    let taken = |address: IpAddr| {
        let networks = view.topology.networks_of_domain(domain);
        let mut leases =
            networks.iter().flat_map(|network| view.topology.ip_leases_of_address(network, address));
        leases.any(|lease| view.topology.ip_leases().get(&lease).is_some_and(|lease| lease.holder.is_some()))
    };
    let addresses = [IpAddr::from(METADATA), METADATA_V6.into()];
    let of_address = |address: IpAddr| {
        let found = [Action::set_field(Field::Xreg(RESOLVED_MAC), mac.0), flag(RESOLVED)];
        let found = Flow::new(RESOLVE, 100, asking_for(in_domain(key), address), Instructions::apply(found));
        let asked = || in_domain(key).reg(DESTINATION_INTERFACE, server.key.0);
        let to_port = match address {
            IpAddr::V4(address) => asked().ip().ipv4_dst(address),
            IpAddr::V6(address) => asked().ipv6().ipv6_dst(address),
        };
        let ask = Instructions::apply(to_agent(Question::Metadata));
        let ask = Flow::new(OWN, 110, to_port.tcp().tcp_dst(METADATA_PORT), ask);
        let meet = match is_here {
            true => Instructions::apply([set(DESTINATION_INTERFACE, server.key.0)]).then_goto(OWN),
            false => to_elsewhere(mac),
        };
        let meet = Flow::new(SIMULATED, 450, to_address(in_domain(key), address), meet);
        let in_segment = matches!(domain, DomainId::Segment(_)).then(|| simulated::answer(key, address));
        [found, meet].into_iter().chain(in_segment).chain(is_here.then_some(ask))
    };
    // Who has leased it to an interface wants it to be there.
    let flows = addresses.into_iter().filter(|address| !taken(*address)).flat_map(of_address);
    flows.map(|flow| flow.with_cookie(Owner::Domain(key).cookie())).collect()
}

/// From a router to a server that is on its owner's host alone, perhaps by the tunnel that the packet has come by.
fn to_elsewhere(server: MacAddr) -> Instructions {
    Instructions::apply([
        Action::set_field(Field::EthDst, server.0),
        Action::set_field_masked(Field::Reg(FLAGS), 0_u32, FROM_TUNNEL),
        hairpin(),
        Action::resubmit(DESTINATION),
    ])
}

/// The interface that serves metadata in a domain, the first if there are several, and its MAC address there.
fn metadata_server<'a>(view: View<'a>, domain: &DomainId) -> Option<(&'a Interface, MacAddr)> {
    let serves = |interface: &&Interface| {
        let services = view.topology.services_of_interface(&interface.uuid);
        let mut services = services.iter().filter_map(|of| view.topology.network_services().get(of));
        services.any(|service| service.mode == NetworkServiceMode::Metadata)
    };
    let servers = view.topology.simulated_in_domain(domain);
    let servers = servers.iter().filter_map(|id| view.topology.interfaces().get(id).map(AsRef::as_ref));
    servers.filter(serves).find_map(|server| {
        view.place(server)?;
        let attachments = view.attachments(&server.uuid);
        let attachment = attachments.into_iter().find(|of| of.domain == *domain)?;
        Some((server, attachment.mac))
    })
}

fn local_members(view: View<'_>, domain: &DomainId) -> Vec<InterfaceKey> {
    let members = view.topology.members(&(domain.clone(), view.local.datapath.clone()));
    let interfaces = members.iter().filter_map(|id| view.topology.interfaces().get(id));
    // What goes out by an edge is another matter.
    let inside = interfaces.filter(|interface| !interface.mode.is_uplink());
    let plugged = inside.filter(|interface| matches!(view.place(interface), Some(Place::Here(_))));
    let mut keys: Vec<_> = plugged.map(|interface| interface.key).collect();
    keys.sort_unstable();
    keys
}

fn remote_hosts(view: View<'_>, domain: &DomainId) -> Vec<HostKey> {
    let host = |id: &topology::DatapathId| {
        let datapath = view.peer(id)?;
        let members = view.topology.members(&(domain.clone(), id.clone()));
        let mut members = members.iter().filter_map(|id| view.topology.interfaces().get(id));
        members
            .any(|interface| matches!(view.place(interface), Some(Place::At(_))) && !is_simulated(interface))
            .then_some(datapath.key)
    };
    let mut keys: Vec<_> = view.topology.hosts_of_domain(domain).iter().filter_map(host).collect();
    keys.sort_unstable();
    keys
}

/// What is sent to all is nothing to simulated interfaces: what they answer is answered before.
fn is_simulated(interface: &Interface) -> bool {
    interface.mode == InterfaceMode::Simulated
}

fn bucket(key: u32, register: u8, table: openflow::TableId) -> Bucket {
    Bucket::new(BucketId(key), vec![set(register, key), Action::resubmit(table)])
}

fn groups(key: DomainKey, first: u32, buckets: impl Iterator<Item = Bucket>) -> Vec<Group> {
    let buckets: Vec<_> = buckets.collect();
    let numbers = first..edge::FIRST_GROUP.min(first + GROUPS / 2);
    let chunks = buckets.chunks(MAX_BUCKETS).zip(numbers);
    let group = |(buckets, number): (&[Bucket], u32)| Group {
        id: GroupId(key.0 * GROUPS + number),
        kind: GroupType::All,
        selection: None,
        buckets: buckets.to_vec(),
    };
    chunks.map(group).collect()
}
