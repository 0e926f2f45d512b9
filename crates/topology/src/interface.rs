//! Interfaces: virtual NICs, with the ports that show them on hosts.
//!
//! # Convenience
//! A user thinks of a NIC with a MAC address and an IP address, the model of leases. So an interface takes
//! `mac_address`, `ipv4_address` and `ipv6_address` too, when made and when changed, and keeps the one lease of each
//! kind in step. Once there are several of a kind, only the leases themselves can tell which one is meant.
//! Who names no addresses has them allocated: [`crate::mac_range_group`], [`crate::lease_policy`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::address::{IdentityKey, InterfaceKey, MacAddr, NodeId};
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::id::{DatapathId, InterfaceId, LeasePolicyId, NetworkId, SecurityGroupId, SegmentId};
use crate::lease_policy::LeasePolicy;
use crate::mac_lease::MacLease;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::network_service::NetworkService;
use crate::security_group;

mod addresses;
mod allowed_address;
mod limits;
mod port;

use addresses::Addresses;
pub(crate) use addresses::{ip_field, several_macs};
pub use allowed_address::{AllowedAddress, AllowedAddressError, MAX_ALLOWED_ADDRESSES};
pub use limits::{Dscp, Kbps, Limits, OutOfRange};
pub use port::{InterfacePort, InterfacePortSpec, MAX_PORT_NAME, MAX_PORTS};

/// How willing a host is to be the gateway of its uplink's network, if nothing else is said.
pub const DEFAULT_GATEWAY_PRIORITY: u16 = 100;

/// What an interface is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceMode {
    /// The NIC of a VM, a container or a bare-metal server, plugged into the bridge.
    Vif,
    /// The bridge's own port: the host itself as a guest.
    Internal,
    /// No port at all: switches and agents speak for it, on every host or on its owner's. A router's leg, or a server.
    Simulated,
    /// An uplink: a NIC of its owner's, in the bridge, by which that host reaches a physical network.
    Host,
    /// An uplink that is a patch port to another bridge of its owner's, which has the NIC.
    Patch,
    /// The edge of a segment: a NIC of its owner's behind which all those live whom nobody in the segment knows.
    Promiscuous,
}

impl InterfaceMode {
    /// Whether a wire is behind it, on which nobody has leased anything.
    pub fn is_uplink(self) -> bool {
        matches!(self, Self::Host | Self::Patch | Self::Promiscuous)
    }
}

/// Whether an interface takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// It sends and receives.
    #[default]
    Up,
    /// It keeps its leases and is silent.
    Down,
}

fn secure() -> bool {
    true
}

fn default_gateway_priority() -> u16 {
    DEFAULT_GATEWAY_PRIORITY
}

/// A virtual NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interface {
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
    #[serde(default)]
    #[schema(required = true)]
    pub display_name: String,
    /// Whether it takes part.
    #[serde(default)]
    pub admin_state: AdminState,
    /// If simulated, it is a router's leg. Else it may speak as a router: send router advertisements, and from the addresses
    /// of routes whose next hop it is.
    #[serde(default)]
    pub enable_routing: bool,
    /// If a leg, addresses are translated there: what no translation takes is dropped, unless one lets it pass.
    #[serde(default)]
    pub enable_route_translation: bool,
    /// It sends and receives what its filter lets pass, and nothing without one.
    #[serde(default)]
    pub enable_filtering: bool,
    /// The security groups it is in. If in any, it sends and receives what they allow.
    #[serde(default)]
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// Stands for its security groups on the wire.
    #[serde(default)]
    pub identity: Option<IdentityKey>,
    /// The network of a MAC lease without IP leases.
    #[serde(default)]
    pub network_uuid: Option<NetworkId>,
    /// The segment of a MAC lease that names none.
    #[serde(default)]
    pub segment_uuid: Option<SegmentId>,
    /// The only host whose claim counts, if given.
    #[serde(default)]
    pub requested_host: Option<NodeId>,
    /// The ports by which hosts recognise it.
    #[serde(default)]
    pub ports: Vec<InterfacePort>,
    /// Of an uplink: of the hosts with one in its network that are alive, the highest is the gateway.
    #[serde(default = "default_gateway_priority")]
    pub gateway_priority: u16,
    /// Of the edge of a segment: the VLAN on its port that is the segment's; the untagged frames if none.
    #[serde(default)]
    pub vlan_id: Option<u16>,
    /// What limits it.
    #[serde(flatten)]
    pub limits: Limits,
    /// It sends only from addresses that are leased or allowed.
    #[serde(default = "secure")]
    pub port_security: bool,
    /// What it may send from, and is found at, besides its leases.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub allowed_addresses: BTreeSet<AllowedAddress>,
    /// The lease policies that serve it, each with the label it asked with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, Option<String>>)]
    pub lease_policies: BTreeMap<LeasePolicyId, Option<String>>,
}

impl Interface {
    /// What an attribute is, as JSON, that is not there when the interface is read. Stores rely on it: it stays as it is.
    pub(crate) const USUAL: [(&str, &str); 6] = [
        ("admin_state", r#""up""#),
        ("enable_routing", "false"),
        ("enable_route_translation", "false"),
        ("enable_filtering", "false"),
        ("gateway_priority", "100"),
        ("port_security", "true"),
    ];
}

/// The attributes of an interface that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterfaceSpec {
    /// `if-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// What it is attached to; `vif` if absent.
    mode: Option<InterfaceMode>,
    /// A name for people.
    display_name: Option<String>,
    /// Whether it takes part.
    admin_state: Option<AdminState>,
    /// It may speak as a router.
    enable_routing: Option<bool>,
    /// Addresses are translated at this leg.
    enable_route_translation: Option<bool>,
    /// It sends and receives what its filter lets pass, and nothing without one.
    enable_filtering: Option<bool>,
    /// All security groups it is in.
    security_groups: Option<Vec<String>>,
    /// The network to attach to.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    network_uuid: Option<Option<String>>,
    /// The segment to attach to.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    segment_uuid: Option<Option<String>>,
    /// The only host whose claim counts, by its node id.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    requested_host: Option<Option<NodeId>>,
    /// The most it may send, in kilobits per second; null for no limit.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<Kbps>)]
    max_egress_kbps: Option<Option<Kbps>>,
    /// The most it may receive, in kilobits per second; null for no limit.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<Kbps>)]
    max_ingress_kbps: Option<Option<Kbps>>,
    /// The code point of all IP packets it sends; null to leave them as sent.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<Dscp>)]
    dscp: Option<Option<Dscp>>,
    /// It sends only from addresses that are leased or allowed; true if absent.
    port_security: Option<bool>,
    /// All addresses and prefixes that it may send from besides its leases, each perhaps with a MAC address and `=` before it.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_addresses: Option<Option<BTreeSet<AllowedAddress>>>,
    /// The datapath of its one port.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    owner_datapath_uuid: Option<Option<String>>,
    /// The name of its one port.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    port_name: Option<Option<String>>,
    /// How willing the host of an uplink is to be its network's gateway; 100 if absent, and the highest counts.
    gateway_priority: Option<u16>,
    /// The VLAN behind the edge of a segment, 1 to 4094.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<u16>)]
    vlan_id: Option<Option<u16>>,
    /// Its MAC address, while it has one at most.
    mac_address: Option<MacAddr>,
    /// Where its MAC address comes from, if it has none and none is given.
    mac_range_group_uuid: Option<String>,
    /// Its IPv4 address, while it has one at most.
    #[schema(value_type = Option<String>)]
    ipv4_address: Option<Ipv4Addr>,
    /// Its IPv6 address, while it has one at most.
    #[schema(value_type = Option<String>)]
    ipv6_address: Option<Ipv6Addr>,
}

impl Interface {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<InterfaceId, Error> {
        let spec: InterfaceSpec = read(attributes)?;
        let uuid: InterfaceId = edit.new_id(spec.uuid.clone())?;
        let interface = Self {
            meta: edit.new_meta(MetaSpec::default())?,
            key: edit.interface_key()?,
            mode: spec.mode.unwrap_or(InterfaceMode::Vif),
            display_name: String::new(),
            admin_state: AdminState::default(),
            enable_routing: false,
            enable_route_translation: false,
            enable_filtering: false,
            security_groups: BTreeSet::new(),
            identity: None,
            network_uuid: None,
            segment_uuid: None,
            requested_host: None,
            ports: Vec::new(),
            gateway_priority: DEFAULT_GATEWAY_PRIORITY,
            vlan_id: None,
            limits: Limits::default(),
            port_security: secure(),
            allowed_addresses: BTreeSet::new(),
            lease_policies: BTreeMap::new(),
            uuid: uuid.clone(),
        };
        let addresses = Addresses::of(edit, &spec)?;
        let names_address = addresses.names_ip();
        let interface = interface.merge(edit, spec)?.identified(edit)?;
        edit.put(interface);
        addresses.lease(edit, &uuid, None)?;
        if !names_address {
            LeasePolicy::serve(edit, &uuid)?;
        }
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &InterfaceId, attributes: Attributes) -> Result<(), Error> {
        let spec: InterfaceSpec = read(attributes)?;
        let old = edit.interface(uuid)?;
        let addresses = Addresses::of(edit, &spec)?;
        let new = Self::clone(&old).merge(edit, spec)?.identified(edit)?;
        let moved = (old.network_uuid != new.network_uuid).then(|| old.network_of_leases(edit)).flatten();
        if let (Some(network), None) = (&moved, &new.network_uuid) {
            let reason = format!("{uuid} has IP leases in {network}: delete or release them first");
            return Err(Error::unfit("network_uuid", reason));
        }
        edit.replace(&*old, new, |interface| &mut interface.meta);
        addresses.lease(edit, uuid, moved)
    }

    /// Deletes it, with its leases and its binding.
    pub(crate) fn delete(edit: &mut Edit, uuid: &InterfaceId) -> Result<(), Error> {
        edit.interface(uuid)?;
        for lease in edit.topology().mac_leases_of_interface(uuid) {
            MacLease::delete(edit, &lease)?;
        }
        for route in edit.topology().routes_of_interface(uuid) {
            edit.delete(route);
        }
        for translation in edit.topology().translations_of_interface(uuid) {
            edit.delete(translation);
        }
        for service in edit.topology().services_of_interface(uuid) {
            NetworkService::delete(edit, &service)?;
        }
        for filter in edit.topology().filters_of_interface(uuid) {
            Filter::delete(edit, &filter)?;
        }
        edit.delete(crate::object::ObjectRef::Binding(uuid.clone()));
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Whether one of its ports is on this datapath only.
    pub(crate) fn names_datapath(&self, datapath: &DatapathId) -> bool {
        self.ports.iter().any(|port| port.datapath_uuid.as_ref() == Some(datapath))
    }

    /// The network of the IP leases that move when the interface does: of those in the network it names, or, if it names
    /// none, of all, when they agree on one.
    fn network_of_leases(&self, edit: &Edit) -> Option<NetworkId> {
        let leases = edit.topology().ip_leases_of_interface(&self.uuid);
        let leases = leases.iter().filter_map(|id| edit.topology().ip_leases().get(id));
        let networks: BTreeSet<_> = leases.map(|lease| lease.network_uuid.clone()).collect();
        match &self.network_uuid {
            Some(named) => networks.get(named).cloned(),
            None if networks.len() == 1 => networks.into_iter().next(),
            None => None,
        }
    }

    /// The host that a simulated interface is on, if it is not on every one.
    pub fn owner(&self) -> Option<&DatapathId> {
        self.ports.iter().find_map(|port| port.datapath_uuid.as_ref())
    }

    fn merge(mut self, edit: &Edit, spec: InterfaceSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            self.display_name = text("display_name", name)?;
        }
        self.mode = spec.mode.unwrap_or(self.mode);
        self.admin_state = spec.admin_state.unwrap_or(self.admin_state);
        self.enable_routing = spec.enable_routing.unwrap_or(self.enable_routing);
        self.enable_route_translation =
            spec.enable_route_translation.unwrap_or(self.enable_route_translation);
        self.enable_filtering = spec.enable_filtering.unwrap_or(self.enable_filtering);
        if let Some(named) = spec.security_groups {
            self.security_groups = security_group::groups(edit, named)?;
        }
        self.requested_host = spec.requested_host.unwrap_or(self.requested_host);
        self.port_security = spec.port_security.unwrap_or(self.port_security);
        if let Some(allowed) = spec.allowed_addresses {
            self.allowed_addresses = allowed.unwrap_or_default();
        }
        let limits = &mut self.limits;
        limits.max_egress_kbps = spec.max_egress_kbps.unwrap_or(limits.max_egress_kbps);
        limits.max_ingress_kbps = spec.max_ingress_kbps.unwrap_or(limits.max_ingress_kbps);
        limits.dscp = spec.dscp.unwrap_or(limits.dscp);
        if let Some(network) = spec.network_uuid {
            self.network_uuid = network.map(|id| edit.reference("network_uuid", &id)).transpose()?;
        }
        if let Some(segment) = spec.segment_uuid {
            self.segment_uuid = segment.map(|id| edit.reference("segment_uuid", &id)).transpose()?;
        }
        if spec.gateway_priority.is_some() && !self.mode.is_uplink() {
            return Err(Error::unfit("gateway_priority", "is for uplinks and edges"));
        }
        self.vlan_id = spec.vlan_id.unwrap_or(self.vlan_id);
        self.gateway_priority = spec.gateway_priority.unwrap_or(self.gateway_priority);
        self.merge_port(edit, spec.owner_datapath_uuid, spec.port_name)?;
        self.ports_are_valid()?;
        Ok(self)
    }

    /// Gives it the key of its set of security groups.
    fn identified(mut self, edit: &mut Edit) -> Result<Self, Error> {
        self.identity = match edit.topology().identity_of_groups(&self.security_groups) {
            None if !self.security_groups.is_empty() => Some(edit.identity_key()?),
            known => known,
        };
        Ok(self)
    }

    /// What simulated interfaces send is the network's own word, which nobody filters.
    pub(crate) fn protection_fits(&self) -> Result<(), Error> {
        let given = [
            ("enable_filtering", self.enable_filtering),
            ("security_groups", !self.security_groups.is_empty()),
        ];
        let has_none = self.mode == InterfaceMode::Simulated || self.mode.is_uplink();
        let unfit = given.into_iter().find(|(_, given)| *given && has_none);
        unfit.map_or(Ok(()), |(field, _)| {
            Err(Error::unfit(field, "a simulated interface has none, nor has an uplink"))
        })
    }

    /// What switches and agents send by themselves has no port to be metered or secured at, and an uplink is nobody's.
    pub(crate) fn limits_fit(&self) -> Result<(), Error> {
        let Limits { max_egress_kbps, max_ingress_kbps, dscp } = self.limits;
        let given = [
            ("max_egress_kbps", max_egress_kbps.is_some()),
            ("max_ingress_kbps", max_ingress_kbps.is_some()),
            ("dscp", dscp.is_some()),
            ("port_security", !self.port_security),
            ("allowed_addresses", !self.allowed_addresses.is_empty()),
        ];
        let has_none = self.mode == InterfaceMode::Simulated || self.mode.is_uplink();
        let unfit = given.into_iter().find(|(_, given)| *given && has_none);
        unfit.map_or(Ok(()), |(field, _)| {
            Err(Error::unfit(field, "a simulated interface has none, nor has an uplink"))
        })
    }

    /// The segment it names, if any, is that of the network it names.
    pub(crate) fn segment_fits(&self, edit: &Edit) -> Result<(), Error> {
        let (Some(network), Some(segment)) = (&self.network_uuid, &self.segment_uuid) else { return Ok(()) };
        let of_network = edit.network(network)?.segment_uuid.clone();
        if of_network.as_ref() == Some(segment) {
            return Ok(());
        }
        let lies = of_network.map_or("on no segment".to_owned(), |of_network| format!("on {of_network}"));
        let message = format!("segment_uuid: {network} lies {lies}, not on {segment} as {} says", self.uuid);
        Err(Error::new(ErrorKind::InvalidReference, "segment_uuid", message))
    }
}
