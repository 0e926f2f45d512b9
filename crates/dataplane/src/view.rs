//! What the compiler sees: the host's part of the topology, and what only the host knows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use openflow::{Field, Match, OfPort};
use topology::datapath::{Datapath, Encapsulation};
use topology::interface::{AdminState, Interface, InterfaceMode};
use topology::route::Route;
use topology::translation::Translation;
use topology::{
    DatapathId, DomainId, DomainKey, HostKey, IdentityKey, InterfaceId, MacAddr, MacLeaseId, Topology,
};

use crate::layout::{FLAGS, RESOLVE_ADDRESS, SOURCE_INTERFACE};

/// What only the host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Which datapath it is.
    pub datapath: DatapathId,
    /// Ports of the interfaces that are plugged in here.
    pub ports: BTreeMap<InterfaceId, OfPort>,
    /// Tunnel ports.
    pub tunnels: BTreeMap<Encapsulation, OfPort>,
    /// Ports that are alive while another host is.
    pub monitors: BTreeMap<HostKey, OfPort>,
    /// Whether it leaves to other gateways what it could do itself: they are told so.
    pub yields: bool,
}

/// Topology and local facts together.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The host's part of the topology.
    pub topology: &'a Topology,
    /// What only the host knows.
    pub local: &'a Local,
}

/// Where an interface is, seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here(OfPort),
    At(HostKey),
    /// In the switch itself.
    Simulated,
}

/// One of an interface's MAC addresses, in its domain.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) domain: DomainId,
    pub(crate) key: DomainKey,
    pub(crate) mac: MacAddr,
    /// The addresses that are known to live behind it. In a segment any others may, too.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

/// An interface by which a router takes part in a domain.
pub(crate) struct Leg<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) attachment: Attachment,
}

impl<'a> View<'a> {
    /// Where an interface takes part, if it does.
    pub(crate) fn place(self, interface: &Interface) -> Option<Place> {
        if interface.admin_state == AdminState::Down {
            return None;
        }
        let is_simulated = interface.mode == InterfaceMode::Simulated;
        let host = match self.topology.host_of_interface(&interface.uuid) {
            Some(host) => host,
            None => return is_simulated.then_some(Place::Simulated),
        };
        if *host == self.local.datapath {
            let port = self.local.ports.get(&interface.uuid).copied().map(Place::Here);
            return if is_simulated { Some(Place::Simulated) } else { port };
        }
        self.peer(host).map(|datapath| Place::At(datapath.key))
    }

    /// Whether an interface on this host is in just the security groups that a key stands for.
    pub(crate) fn has_identity(self, key: IdentityKey) -> bool {
        let plugged = self.local.ports.keys().filter_map(|id| self.topology.interfaces().get(id));
        let mut members = plugged.filter(|interface| interface.identity == Some(key));
        members.any(|interface| matches!(self.place(interface), Some(Place::Here(_))))
    }

    /// Another host that can be reached.
    pub(crate) fn peer(self, id: &DatapathId) -> Option<&'a Datapath> {
        let datapath = self.topology.datapaths().get(id).filter(|_| *id != self.local.datapath)?;
        self.topology.reaches(&self.local.datapath, id).then(|| datapath.as_ref())
    }

    /// This host.
    pub(crate) fn own(self) -> Option<&'a Datapath> {
        self.topology.datapaths().get(&self.local.datapath).map(|own| own.as_ref())
    }

    pub(crate) fn attachments(self, interface: &InterfaceId) -> Vec<Attachment> {
        let leases = self.topology.attachments_of_interface(interface);
        leases.filter_map(|(lease, mac, domain)| self.attachment(lease, mac, domain)).collect()
    }

    /// The leg of a route, where it stands: in the domain of the route's network, and up.
    pub(crate) fn leg(self, route: &Route) -> Option<Leg<'a>> {
        let interface = self.topology.interfaces().get(&route.interface_uuid)?;
        let routes = interface.mode == InterfaceMode::Simulated && interface.enable_routing;
        if !routes || interface.admin_state == AdminState::Down {
            return None;
        }
        let domain = self.topology.domain_of_network(&route.network_uuid)?;
        let attachments = self.attachments(&interface.uuid);
        let attachment = attachments.into_iter().find(|of| of.domain == domain)?;
        Some(Leg { interface, attachment })
    }

    /// Whether addresses are translated at an interface.
    pub(crate) fn translates(self, interface: &Interface) -> bool {
        interface.mode == InterfaceMode::Simulated
            && interface.enable_routing
            && interface.enable_route_translation
    }

    /// The translations at a leg, and none where it translates nothing.
    pub(crate) fn translations(self, leg: &Interface) -> Vec<&'a Translation> {
        let ids = self.topology.translations_of_interface(&leg.uuid);
        let ids = ids.iter().filter(|_| self.translates(leg));
        ids.filter_map(|id| self.topology.translations().get(id)).map(|of| of.as_ref()).collect()
    }

    fn attachment(self, lease: &MacLeaseId, mac: MacAddr, domain: &DomainId) -> Option<Attachment> {
        let key = self.topology.key_of_domain(domain)?;
        let mut addresses = BTreeSet::new();
        let leases = self.topology.ip_leases_of_mac_lease(lease);
        let leases = leases.iter().filter_map(|lease| self.topology.ip_leases().get(lease));
        addresses.extend(leases.map(|lease| lease.address.ip()));
        if let DomainId::Network(network) = domain {
            // RFC 4291, section 2.8: a host that speaks IPv6 has a link-local address, and cannot do without.
            let speaks_ipv6 = self.topology.networks().get(network)?.subnets.ipv6.is_some();
            addresses.extend(speaks_ipv6.then(|| IpAddr::from(mac.link_local())));
        }
        Some(Attachment { domain: domain.clone(), key, mac, addresses })
    }
}

/// Packets of a domain.
pub(crate) fn in_domain(key: DomainKey) -> Match {
    Match::new().metadata(u64::from(key.0))
}

/// Packets from an interface.
pub(crate) fn from_interface(matching: Match, key: topology::InterfaceKey) -> Match {
    matching.reg(SOURCE_INTERFACE, key.0)
}

/// Packets from addresses.
pub(crate) fn from_prefix(matching: Match, prefix: IpNet) -> Match {
    match (prefix.network(), prefix.netmask()) {
        (IpAddr::V4(network), IpAddr::V4(mask)) => matching.ip().ipv4_src_masked(network, mask),
        (network, mask) => matching.ipv6().ipv6_src_masked(as_ipv6(network), as_ipv6(mask)),
    }
}

/// Packets to addresses.
pub(crate) fn to_prefix(matching: Match, prefix: IpNet) -> Match {
    match (prefix.network(), prefix.netmask()) {
        (IpAddr::V4(network), IpAddr::V4(mask)) => matching.ip().ipv4_dst_masked(network, mask),
        (network, mask) => matching.ipv6().ipv6_dst_masked(as_ipv6(network), as_ipv6(mask)),
    }
}

/// Packets to an address.
pub(crate) fn to_address(matching: Match, address: IpAddr) -> Match {
    to_prefix(matching, address.into())
}

/// Packets with some flags set and others not.
pub(crate) fn flagged(matching: Match, value: u32, mask: u32) -> Match {
    matching.reg_masked(FLAGS, value, mask)
}

/// Questions for an address.
pub(crate) fn asking_for(matching: Match, address: IpAddr) -> Match {
    matching.with(Field::Xxreg(RESOLVE_ADDRESS), as_ipv6(address))
}

/// An address of either family in the form of [`RESOLVE_ADDRESS`].
pub(crate) fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
