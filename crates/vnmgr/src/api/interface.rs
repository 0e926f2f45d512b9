//! Interfaces: virtual NICs, with their addresses, where they really are, and how they are.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::Serialize;
use topology::interface::{AdminState, AllowedAddress, Interface, InterfaceMode, InterfaceSpec, Limits};
use topology::mac_lease::MacLease;
use topology::meta::Meta;
use topology::{
    Collection, DatapathId, DomainId, InterfaceId, InterfaceKey, LeasePolicyId, MacAddr, NetworkId, NodeId,
    Revision, SecurityGroupId, SegmentId, Topology,
};

use super::interface_port::PortView;
use super::ip_lease::IpLeaseView;
use super::look::Look;
use super::resource::{Resource, fields, resource_routes, stored_as};

/// An interface, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InterfaceView {
    /// The id.
    pub uuid: InterfaceId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the interface in registers and on the wire.
    pub key: InterfaceKey,
    /// What it is attached to.
    pub mode: InterfaceMode,
    /// A name for people.
    pub display_name: String,
    /// Whether it takes part.
    pub admin_state: AdminState,
    /// It may speak as a router.
    pub enable_routing: bool,
    /// Addresses are translated at this leg.
    pub enable_route_translation: bool,
    /// It sends and receives what its filter lets pass, and nothing without one.
    pub enable_filtering: bool,
    /// The security groups it is in.
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// The network it is in: that of its first IP lease, else the one it names.
    pub network_uuid: Option<NetworkId>,
    /// The segment it is on, if it is on one.
    pub segment_uuid: Option<SegmentId>,
    /// The only host whose claim counts, if given.
    pub requested_host: Option<NodeId>,
    /// What limits it.
    #[serde(flatten)]
    pub limits: Limits,
    /// It sends only from addresses that are leased or allowed.
    pub port_security: bool,
    /// What it may send from, and is found at, besides its leases.
    #[schema(value_type = Vec<String>)]
    pub allowed_addresses: BTreeSet<AllowedAddress>,
    /// The lease policies that serve it.
    pub lease_policies: Vec<LeasePolicyId>,
    /// The datapath of its one port.
    pub owner_datapath_uuid: Option<DatapathId>,
    /// The name of its one port.
    pub port_name: Option<String>,
    /// The ports by which hosts recognise it.
    pub ports: Vec<PortView>,
    /// How willing the host of an uplink is to be its network's gateway: the highest that is alive is.
    pub gateway_priority: Option<u16>,
    /// The VLAN behind the edge of a segment.
    pub vlan_id: Option<u16>,
    /// Its first MAC address.
    pub mac_address: Option<MacAddr>,
    /// Its first IPv4 address.
    #[schema(value_type = Option<String>)]
    pub ipv4_address: Option<Ipv4Addr>,
    /// Its first IPv6 address.
    #[schema(value_type = Option<String>)]
    pub ipv6_address: Option<Ipv6Addr>,
    /// Its MAC leases, each with its IP leases.
    pub mac_leases: Vec<MacLeaseOfInterface>,
    /// All its IP leases.
    pub ip_leases: Vec<IpLeaseView>,
    /// The largest packet it should send, in bytes.
    pub mtu: u16,
    /// Where it lives and how it is.
    pub status: InterfaceStatus,
}

/// A MAC lease with what is behind it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct MacLeaseOfInterface {
    /// The MAC lease.
    #[serde(flatten)]
    pub mac_lease: MacLease,
    /// Its IP leases.
    pub ip_leases: Vec<IpLeaseView>,
}

/// How an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceState {
    /// No host shows it.
    Unbound,
    /// It lives on a host.
    Active,
    /// The user has switched it off.
    Down,
    /// A host shows a port of it that cannot be used.
    Error,
}

/// Where an interface lives and how it is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InterfaceStatus {
    /// In one word.
    pub state: InterfaceState,
    /// The datapath it lives on.
    pub datapath_uuid: Option<DatapathId>,
    /// The host it lives on.
    pub host: Option<NodeId>,
    /// Its port there.
    pub port_name: Option<String>,
    /// What is wrong, for people.
    pub reason: Option<String>,
    /// All hosts that show it, oldest first; it lives on the last one.
    pub claims: Vec<NodeId>,
}

impl InterfaceStatus {
    fn of(interface: &Interface, look: &Look<'_>) -> Self {
        let binding = look.topology.bindings().get(&interface.uuid);
        let active = binding.and_then(|binding| binding.active());
        let claims = binding.map_or(&[][..], |binding| binding.claims.as_slice());
        let refusal = || {
            let seen = look.hosts().read().seen();
            seen.refusal_of(look.topology, &interface.uuid).map(|refusal| refusal.reason)
        };
        let away = |datapath: &DatapathId| {
            let node = look.node(datapath).filter(|_| !look.is_connected(datapath));
            node.map(|node| format!("the agent of {node} is not connected: this may be out of date"))
        };
        let (state, reason) = match active {
            _ if interface.admin_state == AdminState::Down => (InterfaceState::Down, None),
            Some(claim) => (InterfaceState::Active, away(&claim.datapath_uuid)),
            None => match refusal() {
                Some(reason) => (InterfaceState::Error, Some(reason)),
                None => (InterfaceState::Unbound, None),
            },
        };
        Self {
            state,
            datapath_uuid: active.map(|claim| claim.datapath_uuid.clone()),
            host: active.and_then(|claim| look.node(&claim.datapath_uuid)),
            port_name: active.map(|claim| claim.port_name.clone()),
            reason,
            claims: claims.iter().filter_map(|claim| look.node(&claim.datapath_uuid)).collect(),
        }
    }
}

impl Resource for Interface {
    type View = InterfaceView;
    const COLLECTION: Collection = Collection::Interfaces;
    const FIELDS: &'static [&'static str] = fields!(
        "key",
        "mode",
        "display_name",
        "admin_state",
        "enable_routing",
        "enable_route_translation",
        "enable_filtering",
        "network_uuid",
        "segment_uuid",
        "requested_host",
        "max_egress_kbps",
        "max_ingress_kbps",
        "dscp",
        "port_security",
        "owner_datapath_uuid",
        "port_name",
        "gateway_priority",
        "vlan_id",
        "mac_address",
        "ipv4_address",
        "ipv6_address",
        "mtu"
    );

    stored_as!(Interface in interfaces);

    fn view(&self, look: &Look<'_>) -> InterfaceView {
        let mac_leases = mac_leases(self, look.topology);
        let ip_leases: Vec<_> = mac_leases.iter().flat_map(|lease| lease.ip_leases.iter().cloned()).collect();
        let one_port = if let [one] = self.ports.as_slice() { Some(one) } else { None };
        InterfaceView {
            uuid: self.uuid.clone(),
            meta: self.meta.clone(),
            key: self.key,
            mode: self.mode,
            display_name: self.display_name.clone(),
            admin_state: self.admin_state,
            enable_routing: self.enable_routing,
            enable_route_translation: self.enable_route_translation,
            enable_filtering: self.enable_filtering,
            security_groups: self.security_groups.clone(),
            network_uuid: ip_leases.first().map(|of| of.network_uuid.clone()).or(self.network_uuid.clone()),
            segment_uuid: segment(self, &mac_leases, look.topology),
            requested_host: self.requested_host.clone(),
            limits: self.limits,
            port_security: self.port_security,
            allowed_addresses: self.allowed_addresses.clone(),
            lease_policies: self.lease_policies.keys().cloned().collect(),
            owner_datapath_uuid: one_port.and_then(|port| port.datapath_uuid.clone()),
            port_name: one_port.and_then(|port| port.port_name.clone()),
            vlan_id: self.vlan_id,
            gateway_priority: self.mode.is_uplink().then_some(self.gateway_priority),
            ports: self.ports.iter().map(|port| PortView::new(self, port)).collect(),
            mac_address: mac_leases.first().map(|of| of.mac_lease.mac_address),
            ipv4_address: ip_leases.iter().find_map(|of| of.ipv4_address),
            ipv6_address: ip_leases.iter().find_map(|of| of.ipv6_address),
            mac_leases,
            ip_leases,
            mtu: look.mtu(),
            status: InterfaceStatus::of(self, look),
        }
    }

    /// As soon as it lives on a host, with the addresses that it has by now. One without a port does by being there.
    fn active_since(&self, topology: &Topology) -> Option<Revision> {
        let binding = topology.bindings().get(&self.uuid);
        let binding = binding.and_then(|binding| binding.active().map(|_| binding.meta.revision));
        let since = if self.mode == InterfaceMode::Simulated { Some(self.meta.revision) } else { binding };
        let macs = mac_leases(self, topology);
        let ips = macs.iter().flat_map(|lease| lease.ip_leases.iter().map(|of| of.meta.revision));
        let parts = macs.iter().map(|lease| lease.mac_lease.meta.revision).chain(ips);
        let newest = parts.fold(self.meta.revision, Revision::max);
        since.filter(|_| self.admin_state == AdminState::Up).map(|since| since.max(newest))
    }
}

fn mac_leases(interface: &Interface, topology: &Topology) -> Vec<MacLeaseOfInterface> {
    let ids = topology.mac_leases_of_interface(&interface.uuid);
    let leases = ids.iter().filter_map(|id| topology.mac_leases().get(id));
    let with_ip_leases = |lease: &Arc<MacLease>| {
        let ids = topology.ip_leases_of_mac_lease(&lease.uuid);
        let ip_leases = ids.iter().filter_map(|id| topology.ip_leases().get(id));
        let ip_leases = ip_leases.map(|lease| IpLeaseView::from(lease.as_ref())).collect();
        MacLeaseOfInterface { mac_lease: MacLease::clone(lease), ip_leases }
    };
    leases.map(with_ip_leases).collect()
}

/// The segment that the first MAC lease is on; without one, the segment that the interface names.
fn segment(
    interface: &Interface,
    mac_leases: &[MacLeaseOfInterface],
    topology: &Topology,
) -> Option<SegmentId> {
    match mac_leases.first().and_then(|of| topology.domain_of_mac_lease(&of.mac_lease)) {
        Some(DomainId::Segment(segment)) => Some(segment.clone()),
        Some(DomainId::Network(_)) => None,
        None => interface.segment_uuid.clone(),
    }
}

resource_routes!("interfaces": Interface, InterfaceSpec => InterfaceView);
