//! Classes: guests that no rule tells apart.
//!
//! # Why one of a class speaks for all
//! What becomes of a packet hangs on the objects that it meets, and on how these compare its addresses and ports with what they
//! name. So two guests are of one class if they are attached to the same things in the same way:
//!
//! - their state, port security, allowed addresses, security groups and filters are the same; of a filter's rules for the guest's
//!   own address, it counts whether each is for it;
//! - their addresses are of the same networks, by MAC addresses in the same domains, and are in the same ones of all prefixes that
//!   any object names (`Named`), among them the addresses of legs, next hops and translations, each a prefix of its own;
//! - no static address stands for one of them, unless it is the same;
//! - their hosts are reached in the same way.
//!
//! Nothing compares two addresses of guests with each other but to find who has one: the target has it in its network, and
//! another who has the same in another network of the same wire is told by `Address::is_shadowed`. Whoever has the target's
//! address itself, in a network of its own, has it on its own wire, as all in that network do, and reaches nobody elsewhere by it.
//!
//! Whether two guests are on one host matters only where hosts are not all reached by Geneve: other tunnels do not carry who a
//! sender is. `Class::hosts` keeps that apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::source::leases;
use crate::datapath::Encapsulation;
use crate::filter::{FilterAction, FilterRule};
use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId, MacLeaseId, NetworkId, SecurityGroupId, TranslationId};
use crate::interface::{AdminState, AllowedAddress, Interface, InterfaceMode};
use crate::ip_lease::IpLease;
use crate::traffic::{Direction, Ports, Protocol};
use crate::translation::entry::StaticAddress;

/// What is told apart by everybody: RFC 3927, RFC 4291.
const LINK_LOCAL: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
];

/// Guests that no rule tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// All of them, in order; at least one.
    pub members: Vec<InterfaceId>,
    /// The first two members of each host.
    pub(super) hosts: BTreeMap<Option<DatapathId>, Vec<InterfaceId>>,
    /// Whether it is all the same to its members where others are.
    pub(super) is_anywhere: bool,
}

impl Class {
    /// Those of whom one or two stand for all.
    pub(super) fn examples(&self) -> impl Iterator<Item = &InterfaceId> {
        self.members.iter().take(2).chain(self.hosts.values().flatten())
    }
}

/// Every prefix with which an object compares addresses, and every static address.
pub(super) struct Named {
    prefixes: Vec<IpNet>,
    statics: BTreeMap<IpAddr, BTreeSet<(TranslationId, u16)>>,
    /// The hosts without ports of each translation that shares addresses.
    without_ports: Vec<(TranslationId, BTreeSet<DatapathId>)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    attached: Attached,
    groups: BTreeSet<SecurityGroupId>,
    filter: Option<Option<Filtering<Option<Vec<bool>>>>>,
}

/// How a guest is attached: all that a packet's way hangs on, but for protection.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attached {
    is_up: bool,
    is_internal: bool,
    routes: bool,
    port_security: bool,
    allowed: BTreeSet<AllowedAddress>,
    domains: Vec<DomainId>,
    addresses: Vec<Address>,
    host: Option<HostKind>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    network: NetworkId,
    /// Which of its interface's MAC addresses it is behind.
    mac: usize,
    domain: Option<DomainId>,
    prefixes: Vec<usize>,
    statics: BTreeSet<(TranslationId, u16)>,
    /// Somebody has the same in another network of the same wire.
    is_shadowed: bool,
}

/// A filter, with what its rules say of the guest's own address in one form or another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filtering<Own> {
    passthrough: (bool, bool),
    pub(super) rules: Vec<RuleKind<Own>>,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleKind<Own> {
    protocol: Protocol,
    action: FilterAction,
    direction: Option<Direction>,
    pub(super) own: Own,
    pub(super) other: Option<IpNet>,
    ports: (Option<Ports>, Option<Ports>),
    icmp: (Option<u8>, Option<u8>),
}

/// How a host is reached.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct HostKind {
    encapsulation: Option<Encapsulation>,
    /// Whether it has an address of IPv4, and of IPv6.
    families: [bool; 2],
    /// Itself, where a record is of it and another: then no host is like it.
    paired: Option<DatapathId>,
    without_ports: Vec<TranslationId>,
}

impl Named {
    /// Of a topology.
    pub(super) fn of(topology: &Topology) -> Self {
        let mut prefixes: BTreeSet<IpNet> = LINK_LOCAL.into_iter().collect();
        let mut statics: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for network in topology.networks().values() {
            prefixes.extend(network.subnets.ipv4.map(IpNet::V4));
            prefixes.extend(network.subnets.ipv6.map(IpNet::V6));
        }
        for interface in topology.interfaces().values() {
            prefixes.extend(interface.allowed_addresses.iter().map(|allowed| allowed.prefix));
            if interface.mode == InterfaceMode::Simulated {
                prefixes
                    .extend(leases(topology, &interface.uuid).iter().map(|of| IpNet::from(of.address.ip())));
            }
        }
        for filter in topology.filters().values() {
            prefixes.extend(filter.rules.iter().filter_map(|rule| rule.src_address));
        }
        for group in topology.security_groups().values() {
            prefixes.extend(group.rules.iter().filter_map(|rule| rule.remote_address));
        }
        for route in topology.routes().values() {
            prefixes.insert(route.prefix.0);
            prefixes.extend(route.next_hops.iter().copied().map(IpNet::from));
        }
        for translation in topology.translations().values() {
            prefixes.extend(translation.externals().into_iter().map(IpNet::from));
            prefixes.extend(translation.sources(topology));
            for entry in &translation.static_addresses {
                prefixes.insert(entry.internal.into());
                statics.entry(entry.internal).or_default().insert((translation.uuid.clone(), entry.number));
            }
        }
        let sharing = topology.translations().values();
        let without_ports = sharing.map(|of| (of.uuid.clone(), of.hosts_without_ports(topology)));
        let without_ports = without_ports.filter(|(_, hosts)| !hosts.is_empty()).collect();
        Self { prefixes: prefixes.into_iter().collect(), statics, without_ports }
    }

    /// The static addresses that stand for an address.
    pub(super) fn statics_of<'a>(
        &'a self,
        topology: &'a Topology,
        address: IpAddr,
    ) -> impl Iterator<Item = &'a StaticAddress> {
        let named = self.statics.get(&address).into_iter().flatten();
        named.filter_map(|(translation, number)| {
            let translation = topology.translations().get(translation)?;
            translation.static_addresses.iter().find(|entry| entry.number == *number)
        })
    }

    fn containing(&self, address: IpAddr) -> Vec<usize> {
        let named = self.prefixes.iter().enumerate().filter(|(_, prefix)| prefix.contains(&address));
        named.map(|(index, _)| index).collect()
    }
}

/// Puts guests into classes, in the order of their first members.
pub(super) fn classes(topology: &Topology, named: &Named, guests: &BTreeSet<InterfaceId>) -> Vec<Class> {
    let mut by_key: BTreeMap<Key, Class> = BTreeMap::new();
    for id in guests {
        let Some(interface) = topology.interfaces().get(id) else { continue };
        let key = key(topology, named, interface);
        let is_anywhere = key.attached.host.as_ref().is_some_and(HostKind::is_anywhere);
        let class = by_key.entry(key).or_insert_with(|| Class {
            members: Vec::new(),
            hosts: BTreeMap::new(),
            is_anywhere,
        });
        let on_host = class.hosts.entry(topology.host_of_interface(id).cloned()).or_default();
        if on_host.len() < 2 {
            on_host.push(id.clone());
        }
        class.members.push(id.clone());
    }
    let mut classes: Vec<_> = by_key.into_values().collect();
    classes.sort_by(|one, other| one.members.cmp(&other.members));
    classes
}

impl HostKind {
    /// Whether who is there can be known everywhere by all that matters.
    fn is_anywhere(&self) -> bool {
        self.encapsulation == Some(Encapsulation::Geneve) && self.paired.is_none()
    }
}

fn key(topology: &Topology, named: &Named, interface: &Interface) -> Key {
    let leases = leases(topology, &interface.uuid);
    // What a rule says of the guest's own address is put as whether it is for each of its addresses.
    let is_own = |net: IpNet| leases.iter().map(|of| net.contains(&of.address.ip())).collect::<Vec<_>>();
    Key {
        groups: interface.security_groups.clone(),
        filter: interface.enable_filtering.then(|| filtering(topology, interface, |own| own.map(is_own))),
        attached: attached(topology, named, interface),
    }
}

/// How a guest is attached.
pub(super) fn attached(topology: &Topology, named: &Named, interface: &Interface) -> Attached {
    let leases = leases(topology, &interface.uuid);
    Attached {
        is_up: interface.admin_state == AdminState::Up,
        is_internal: interface.mode == InterfaceMode::Internal,
        routes: interface.enable_routing,
        port_security: interface.port_security,
        allowed: interface.allowed_addresses.clone(),
        domains: topology.domains_of_interface(&interface.uuid).to_vec(),
        addresses: addresses(topology, named, interface, &leases),
        host: topology.host_of_interface(&interface.uuid).map(|host| host_kind(topology, named, host)),
    }
}

fn addresses(
    topology: &Topology,
    named: &Named,
    interface: &Interface,
    leases: &[std::sync::Arc<IpLease>],
) -> Vec<Address> {
    let macs = topology.mac_leases_of_interface(&interface.uuid);
    let place = |id: &MacLeaseId| macs.iter().position(|mac| mac == id).unwrap_or(macs.len());
    let address = |lease: &std::sync::Arc<IpLease>| {
        let address = lease.address.ip();
        let domain = topology.domain_of_network(&lease.network_uuid);
        let networks = domain.iter().flat_map(|domain| topology.networks_of_domain(domain));
        let mut others = networks.filter(|network| *network != lease.network_uuid);
        Address {
            network: lease.network_uuid.clone(),
            mac: lease.holder.as_ref().map_or(macs.len(), |holder| place(&holder.mac_lease_uuid)),
            prefixes: named.containing(address),
            statics: named.statics.get(&address).cloned().unwrap_or_default(),
            is_shadowed: others.any(|network| !topology.ip_leases_of_address(&network, address).is_empty()),
            domain,
        }
    };
    leases.iter().map(address).collect()
}

/// The filter of an interface; none if it has none.
pub(super) fn filtering<Own>(
    topology: &Topology,
    interface: &Interface,
    own: impl Fn(Option<IpNet>) -> Own,
) -> Option<Filtering<Own>> {
    let filter = topology.filters_of_interface(&interface.uuid).into_iter().next()?;
    let filter = topology.filters().get(&filter)?;
    let rule = |rule: &FilterRule| RuleKind {
        protocol: rule.protocol,
        action: rule.action,
        direction: rule.direction,
        own: own(rule.dst_address),
        other: rule.src_address,
        ports: (rule.src_port, rule.dst_port),
        icmp: (rule.icmp_type, rule.icmp_code),
    };
    let passthrough = (filter.ingress_passthrough, filter.egress_passthrough);
    Some(Filtering { passthrough, rules: filter.rules.iter().map(rule).collect() })
}

fn host_kind(topology: &Topology, named: &Named, host: &DatapathId) -> HostKind {
    let datapath = topology.datapaths().get(host);
    let has = |is_ipv4| datapath.is_some_and(|of| of.address_of_family(is_ipv4).is_some());
    let without = named.without_ports.iter().filter(|(_, hosts)| hosts.contains(host));
    HostKind {
        encapsulation: datapath.and_then(|of| of.underlay).map(|of| of.encapsulation),
        families: [has(true), has(false)],
        paired: Some(host.clone()).filter(|host| !topology.host_pairs_of_datapath(host).is_empty()),
        without_ports: without.map(|(translation, _)| translation.clone()).collect(),
    }
}
