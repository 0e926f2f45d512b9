//! Interfaces: virtual NICs, with the ports that show them on hosts.
//!
//! # Convenience
//! A user thinks of a NIC with a MAC address and an IP address, the model of leases. So an interface takes
//! `mac_address`, `ipv4_address` and `ipv6_address` too, when made and when changed, and keeps the one lease of each
//! kind in step. Once there are several of a kind, only the leases themselves can tell which one is meant.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::address::{IdentityKey, InterfaceKey, MacAddr, NodeId};
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::id::{DatapathId, InterfaceId, MacLeaseId, NetworkId, SecurityGroupId, SegmentId};
use crate::ip_lease::IpLease;
use crate::mac_lease::MacLease;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::network_service::NetworkService;
use crate::security_group;

/// Most ports one interface may be known by.
pub const MAX_PORTS: usize = 64;

/// Longest name of a port (Linux: `IFNAMSIZ` less the terminating zero).
pub const MAX_PORT_NAME: usize = 15;

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

/// A port by which hosts recognise the interface, besides `external_ids:iface-id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InterfacePort {
    /// Only on this datapath.
    #[serde(default)]
    pub datapath_uuid: Option<DatapathId>,
    /// Only a port of this name.
    #[serde(default)]
    pub port_name: Option<String>,
    /// The interface lives on one host at a time. Always so for the modes that have ports.
    #[serde(default = "always")]
    pub singular: bool,
}

fn always() -> bool {
    true
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
    /// The datapath of its one port.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    owner_datapath_uuid: Option<Option<String>>,
    /// The name of its one port.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    port_name: Option<Option<String>>,
    /// Its MAC address, while it has one at most.
    mac_address: Option<MacAddr>,
    /// Its IPv4 address, while it has one at most.
    #[schema(value_type = Option<String>)]
    ipv4_address: Option<Ipv4Addr>,
    /// Its IPv6 address, while it has one at most.
    #[schema(value_type = Option<String>)]
    ipv6_address: Option<Ipv6Addr>,
}

/// The attributes of a port of an interface.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterfacePortSpec {
    /// Only on this datapath.
    datapath_uuid: Option<String>,
    /// Only a port of this name.
    port_name: Option<String>,
    /// Always true.
    singular: Option<bool>,
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
            uuid: uuid.clone(),
        };
        let addresses = Addresses::of(&spec);
        let interface = interface.merge(edit, spec)?.identified(edit)?;
        edit.put(interface);
        addresses.lease(edit, &uuid, None)?;
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &InterfaceId, attributes: Attributes) -> Result<(), Error> {
        let spec: InterfaceSpec = read(attributes)?;
        let old = edit.interface(uuid)?;
        let addresses = Addresses::of(&spec);
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

    /// Adds a port, as `POST /interfaces/…/ports` asks.
    pub(crate) fn add_port(edit: &mut Edit, uuid: &InterfaceId, attributes: Attributes) -> Result<(), Error> {
        let port = InterfacePort::new(edit, read(attributes)?)?;
        if port.datapath_uuid.is_none() && port.port_name.is_none() {
            return Err(Error::missing("port_name"));
        }
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        if new.ports.contains(&port) {
            return Err(Error::duplicate("port_name", "the interface has this port already"));
        }
        new.ports.push(port);
        new.valid()?;
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(())
    }

    /// Removes the ports that have all the attributes given, and gives them back.
    pub(crate) fn remove_ports(
        edit: &mut Edit,
        uuid: &InterfaceId,
        attributes: Attributes,
    ) -> Result<Vec<InterfacePort>, Error> {
        let spec: InterfacePortSpec = read(attributes)?;
        let wanted = InterfacePort::new(edit, spec)?;
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        let matches = |port: &InterfacePort| {
            (wanted.datapath_uuid.is_none() || wanted.datapath_uuid == port.datapath_uuid)
                && (wanted.port_name.is_none() || wanted.port_name == port.port_name)
        };
        let removed: Vec<_> = new.ports.extract_if(.., |port| matches(port)).collect();
        if removed.is_empty() {
            return Err(Error::new(
                ErrorKind::UnknownResource,
                "port_name",
                "the interface has no such port",
            ));
        }
        new.valid()?;
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(removed)
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
        if let Some(network) = spec.network_uuid {
            self.network_uuid = network.map(|id| edit.reference("network_uuid", &id)).transpose()?;
        }
        if let Some(segment) = spec.segment_uuid {
            self.segment_uuid = segment.map(|id| edit.reference("segment_uuid", &id)).transpose()?;
        }
        self.merge_port(edit, spec.owner_datapath_uuid, spec.port_name)?;
        self.valid()?;
        Ok(self)
    }

    fn merge_port(
        &mut self,
        edit: &Edit,
        datapath: Option<Option<String>>,
        name: Option<Option<String>>,
    ) -> Result<(), Error> {
        if datapath.is_none() && name.is_none() {
            return Ok(());
        }
        if self.ports.len() > 1 {
            return Err(Error::unfit(
                "port_name",
                "the interface has several ports: change them under /ports",
            ));
        }
        let mut port = self.ports.pop().unwrap_or(InterfacePort {
            datapath_uuid: None,
            port_name: None,
            singular: true,
        });
        if let Some(datapath) = datapath {
            let find = |id: String| edit.reference("owner_datapath_uuid", &id);
            port.datapath_uuid = datapath.map(find).transpose()?;
        }
        if let Some(name) = name {
            port.port_name = name.map(port_name).transpose()?;
        }
        if port.datapath_uuid.is_some() || port.port_name.is_some() {
            self.ports.push(port);
        }
        Ok(())
    }

    fn valid(&self) -> Result<(), Error> {
        if self.ports.len() > MAX_PORTS {
            return Err(Error::unfit("ports", format!("an interface has at most {MAX_PORTS} ports")));
        }
        if self.mode == InterfaceMode::Internal && !self.ports.iter().any(|port| port.datapath_uuid.is_some())
        {
            return Err(Error::missing("owner_datapath_uuid"));
        }
        if self.mode == InterfaceMode::Simulated && self.ports.iter().any(|port| port.port_name.is_some()) {
            return Err(Error::unfit("port_name", "a simulated interface has no port"));
        }
        Ok(())
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
        let unfit = given.into_iter().find(|(_, given)| *given && self.mode == InterfaceMode::Simulated);
        unfit.map_or(Ok(()), |(field, _)| Err(Error::unfit(field, "a simulated interface has none")))
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

    /// A port of one name on one host is one interface's, and so is the bridge's own.
    pub(crate) fn ports_are_free(&self, edit: &Edit) -> Result<(), Error> {
        self.ports.iter().try_for_each(|port| self.port_is_free(edit, port))?;
        let internal = self.ports.iter().filter(|_| self.mode == InterfaceMode::Internal);
        internal
            .filter_map(|port| port.datapath_uuid.as_ref())
            .try_for_each(|on| self.bridge_is_free(edit, on))
    }

    fn bridge_is_free(&self, edit: &Edit, datapath: &DatapathId) -> Result<(), Error> {
        let interfaces = edit.topology().interfaces_of_datapath_port(datapath);
        let other = interfaces.into_iter().find(|other| *other != self.uuid);
        other.map_or(Ok(()), |other| {
            let reason = format!("{other} is the internal interface of {datapath} already");
            Err(Error::duplicate("owner_datapath_uuid", reason))
        })
    }

    fn port_is_free(&self, edit: &Edit, port: &InterfacePort) -> Result<(), Error> {
        let Some(name) = &port.port_name else { return Ok(()) };
        for other in edit.topology().interfaces_of_port_name(name) {
            let other = edit.interface(&other)?;
            let clash = other.ports.iter().any(|of_other| {
                of_other.port_name == port.port_name && of_other.datapath_uuid == port.datapath_uuid
            });
            if other.uuid != self.uuid && clash {
                return Err(Error::duplicate(
                    "port_name",
                    format!("{name} is a port of {} already", other.uuid),
                ));
            }
        }
        Ok(())
    }
}

impl InterfacePort {
    fn new(edit: &Edit, spec: InterfacePortSpec) -> Result<Self, Error> {
        if spec.singular == Some(false) {
            return Err(Error::unfit("singular", "can only be true: a port is on one host at a time"));
        }
        let find = |id: String| edit.reference("datapath_uuid", &id);
        Ok(Self {
            datapath_uuid: spec.datapath_uuid.map(find).transpose()?,
            port_name: spec.port_name.map(port_name).transpose()?,
            singular: true,
        })
    }
}

fn port_name(name: String) -> Result<String, Error> {
    let valid = (1..=MAX_PORT_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'"');
    if valid {
        Ok(name)
    } else {
        Err(Error::argument("port_name", "must be 1 to 15 visible characters without `/`"))
    }
}

/// The addresses given with an interface.
struct Addresses {
    mac: Option<MacAddr>,
    ips: Vec<IpAddr>,
}

impl Addresses {
    fn of(spec: &InterfaceSpec) -> Self {
        let ips = spec.ipv4_address.map(IpAddr::V4).into_iter().chain(spec.ipv6_address.map(IpAddr::V6));
        Self { mac: spec.mac_address, ips: ips.collect() }
    }

    /// Makes the leases of the interface hold these addresses. Leases in the network it has `moved` from follow it.
    fn lease(self, edit: &mut Edit, uuid: &InterfaceId, moved: Option<NetworkId>) -> Result<(), Error> {
        let mac_leases = edit.topology().mac_leases_of_interface(uuid);
        let mac_lease = match (self.mac, mac_leases.as_slice()) {
            (Some(mac), []) => Some(MacLease::give(edit, uuid, mac)?),
            (Some(mac), [one]) => {
                MacLease::set_address(edit, one, mac)?;
                Some(one.clone())
            }
            (Some(_), _) => return Err(several("mac_address", "MAC")),
            (None, leases) => leases.first().cloned(),
        };
        let network = edit.interface(uuid)?.network_uuid.clone();
        if let (Some(from), Some(to)) = (&moved, &network) {
            Self::follow(edit, uuid, from, to, &self.ips)?;
        }
        self.ips
            .iter()
            .try_for_each(|ip| Self::lease_ip(edit, uuid, mac_lease.as_ref(), network.as_ref(), *ip))
    }

    fn lease_ip(
        edit: &mut Edit,
        uuid: &InterfaceId,
        mac_lease: Option<&MacLeaseId>,
        network: Option<&NetworkId>,
        ip: IpAddr,
    ) -> Result<(), Error> {
        let field = ip_field(ip);
        let mut leases = edit.topology().ip_leases_of_interface(uuid);
        leases.retain(|id| edit.ip_lease(id).is_ok_and(|lease| lease.address.ip().is_ipv4() == ip.is_ipv4()));
        match leases.as_slice() {
            [] => {
                let network = network.ok_or_else(|| Error::unfit(field, "needs a network_uuid"))?;
                let mac_lease = mac_lease.ok_or_else(|| Error::unfit(field, "needs a mac_address"))?;
                if edit.topology().mac_leases_of_interface(uuid).len() > 1 {
                    return Err(Error::unfit(field, several_macs(uuid)));
                }
                IpLease::give(edit, network, mac_lease, ip).map(|_| ())
            }
            [one] => {
                let network = edit.ip_lease(one)?.network_uuid.clone();
                IpLease::set_address(edit, one, &network, ip)
            }
            _ => Err(several(field, "IP")),
        }
    }

    fn follow(
        edit: &mut Edit,
        uuid: &InterfaceId,
        from: &NetworkId,
        to: &NetworkId,
        given: &[IpAddr],
    ) -> Result<(), Error> {
        for id in edit.topology().ip_leases_of_interface(uuid) {
            let lease = edit.ip_lease(&id)?;
            let old = lease.address.ip();
            if lease.network_uuid == *from {
                let address = given.iter().copied().find(|ip| ip.is_ipv4() == old.is_ipv4()).unwrap_or(old);
                IpLease::set_address(edit, &id, to, address)?;
            }
        }
        Ok(())
    }
}

/// Why an IP lease cannot be behind a MAC lease that nobody has named.
pub(crate) fn several_macs(uuid: &InterfaceId) -> String {
    format!("{uuid} has several MAC leases: make an IP lease with the mac_lease_uuid you mean")
}

fn several(field: &'static str, kind: &str) -> Error {
    Error::unfit(field, format!("the interface has several {kind} leases: change the lease you mean"))
}

/// The attribute that holds an address of this family.
pub(crate) fn ip_field(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "ipv4_address" } else { "ipv6_address" }
}
