//! IP leases: which addresses of a network an interface has.
//!
//! In which containers a lease is, and since when those keep it, is part of it: a container may have ten thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{InterfaceId, IpLeaseContainerId, IpLeaseId, IpRetentionContainerId, MacLeaseId, NetworkId};
use crate::interface::{Interface, ip_field, several_macs};
use crate::meta::{Labels, Meta, MetaSpec};

/// The one address of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeasedAddress {
    /// An IPv4 address.
    #[schema(value_type = String, example = "10.100.0.10")]
    Ipv4Address(Ipv4Addr),
    /// An IPv6 address.
    #[schema(value_type = String, example = "fd00:100::10")]
    Ipv6Address(Ipv6Addr),
}

impl LeasedAddress {
    /// The address of either family.
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Ipv4Address(address) => address.into(),
            Self::Ipv6Address(address) => address.into(),
        }
    }
}

impl From<IpAddr> for LeasedAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4Address(address),
            IpAddr::V6(address) => Self::Ipv6Address(address),
        }
    }
}

/// Who holds a lease. A lease that is attached is so to an interface by one of its MAC leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Holder {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// The MAC lease of the interface.
    pub mac_lease_uuid: MacLeaseId,
}

/// Since when a container keeps a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Retention {
    /// When it was last given to somebody.
    #[schema(value_type = String, format = DateTime)]
    pub leased_at: Timestamp,
    /// When it was released, if it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Timestamp>,
}

/// What a lease waits for in a retention container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// To be released.
    Leased,
    /// To be deleted.
    Released,
}

impl Retention {
    /// What the lease waits for, and since when.
    pub(crate) fn phase(&self) -> (Phase, Timestamp) {
        self.released_at.map_or((Phase::Leased, self.leased_at), |at| (Phase::Released, at))
    }
}

/// An IP address given to an interface, or kept for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpLease {
    /// The id.
    pub uuid: IpLeaseId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The network of the address.
    pub network_uuid: NetworkId,
    /// The address.
    #[serde(flatten)]
    pub address: LeasedAddress,
    /// It is a router's to pass on, or to translate. Kept as given: translations themselves say so.
    #[serde(default)]
    pub enable_routing: bool,
    /// Who holds it, unless it is released.
    #[serde(flatten)]
    pub holder: Option<Holder>,
    /// The containers it is in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ip_lease_containers: BTreeSet<IpLeaseContainerId>,
    /// The containers that keep it, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ip_retentions: BTreeMap<IpRetentionContainerId, Retention>,
}

impl IpLease {
    /// What an attribute is, as JSON, that is not there when the lease is read. Stores rely on it: it stays as it is.
    pub(crate) const USUAL: [(&str, &str); 1] = [("enable_routing", "false")];
}

/// The attributes of an IP lease that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IpLeaseSpec {
    /// `il-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The network of the address. Required when creating.
    network_uuid: Option<String>,
    /// The address, if it is an IPv4 one.
    #[schema(value_type = Option<String>)]
    ipv4_address: Option<Ipv4Addr>,
    /// The address, if it is an IPv6 one.
    #[schema(value_type = Option<String>)]
    ipv6_address: Option<Ipv6Addr>,
    /// It is a router's to pass on, or to translate. Kept as given.
    enable_routing: Option<bool>,
    /// The interface that holds it, by its one MAC lease.
    interface_uuid: Option<String>,
    /// The MAC lease that holds it.
    mac_lease_uuid: Option<String>,
}

impl IpLeaseSpec {
    fn address(&self) -> Result<Option<IpAddr>, Error> {
        match (self.ipv4_address, self.ipv6_address) {
            (Some(_), Some(_)) => {
                Err(Error::unfit("ipv6_address", "a lease has one address: make another one for this"))
            }
            (ipv4, ipv6) => Ok(ipv4.map(IpAddr::V4).or(ipv6.map(IpAddr::V6))),
        }
    }

    /// The holder that is named. The interface alone is enough if it has one MAC lease, or is the holder `now`.
    fn holder(&self, edit: &Edit, now: Option<&Holder>) -> Result<Option<Holder>, Error> {
        let find = |id: &String| edit.reference::<InterfaceId>("interface_uuid", id);
        let interface = self.interface_uuid.as_ref().map(find).transpose()?;
        let find = |id: &String| edit.reference::<MacLeaseId>("mac_lease_uuid", id);
        let mac_lease = self.mac_lease_uuid.as_ref().map(find).transpose()?;
        match (interface, mac_lease) {
            (None, None) => Ok(None),
            (Some(interface), None) => match now {
                Some(now) if now.interface_uuid == interface => Ok(Some(now.clone())),
                _ => only_holder(edit, interface).map(Some),
            },
            (interface, Some(mac_lease_uuid)) => {
                let interface_uuid = edit.mac_lease(&mac_lease_uuid)?.interface_uuid.clone();
                if interface.is_some_and(|given| given != interface_uuid) {
                    let message = format!("mac_lease_uuid: {mac_lease_uuid} belongs to {interface_uuid}");
                    return Err(Error::new(ErrorKind::InvalidReference, "mac_lease_uuid", message));
                }
                Ok(Some(Holder { interface_uuid, mac_lease_uuid }))
            }
        }
    }
}

/// An interface as holder, by its one MAC lease.
pub(crate) fn only_holder(edit: &Edit, interface_uuid: InterfaceId) -> Result<Holder, Error> {
    match edit.topology().mac_leases_of_interface(&interface_uuid).as_slice() {
        [one] => Ok(Holder { interface_uuid, mac_lease_uuid: one.clone() }),
        [] => Err(Error::unfit("interface_uuid", format!("{interface_uuid} has no MAC lease"))),
        _ => Err(Error::unfit("mac_lease_uuid", several_macs(&interface_uuid))),
    }
}

impl IpLease {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<IpLeaseId, Error> {
        let spec: IpLeaseSpec = read(attributes)?;
        let uuid: IpLeaseId = edit.new_id(spec.uuid.clone())?;
        let network = spec.network_uuid.as_ref().ok_or_else(|| Error::missing("network_uuid"))?;
        let network_uuid: NetworkId = edit.reference("network_uuid", network)?;
        let address = spec.address()?.ok_or_else(|| Error::missing("ipv4_address"))?;
        let lease = Self {
            uuid: uuid.clone(),
            network_uuid,
            address: address.into(),
            enable_routing: spec.enable_routing.unwrap_or_default(),
            holder: spec.holder(edit, None)?,
            ip_lease_containers: BTreeSet::new(),
            ip_retentions: BTreeMap::new(),
            meta: edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?,
        };
        lease.store(edit, None)?;
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &IpLeaseId, attributes: Attributes) -> Result<(), Error> {
        let spec: IpLeaseSpec = read(attributes)?;
        let old = edit.ip_lease(uuid)?;
        let mut new = Self::clone(&old);
        if let Some(network) = &spec.network_uuid {
            new.network_uuid = edit.reference("network_uuid", network)?;
        }
        if let Some(address) = spec.address()? {
            new.address = address.into();
        }
        new.enable_routing = spec.enable_routing.unwrap_or(new.enable_routing);
        new.holder = spec.holder(edit, old.holder.as_ref())?.or(new.holder);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        new.store(edit, Some(&old))
    }

    /// Gives a released lease to an interface.
    pub(crate) fn attach(edit: &mut Edit, uuid: &IpLeaseId, attributes: Attributes) -> Result<(), Error> {
        let spec: IpLeaseSpec = read(attributes)?;
        let old = edit.ip_lease(uuid)?;
        if let Some(holder) = &old.holder {
            return Err(Error::unfit(
                "interface_uuid",
                format!("{uuid} is attached to {}", holder.interface_uuid),
            ));
        }
        let holder = spec.holder(edit, None)?.ok_or_else(|| Error::missing("interface_uuid"))?;
        Self { holder: Some(holder), ..(*old).clone() }.store(edit, Some(&old))
    }

    /// Takes a lease from its interface and keeps the address.
    pub(crate) fn release(edit: &mut Edit, uuid: &IpLeaseId, attributes: Attributes) -> Result<(), Error> {
        read::<IpLeaseSpec>(attributes)?;
        let old = edit.ip_lease(uuid)?;
        if old.holder.is_none() {
            return Err(Error::unfit("uuid", format!("{uuid} is not attached")));
        }
        Self { holder: None, ..(*old).clone() }.store(edit, Some(&old))
    }

    /// Its time is over: takes it from its interface, if one has it, and keeps the address.
    pub(crate) fn expire(edit: &mut Edit, uuid: &IpLeaseId) -> Result<(), Error> {
        let now = edit.now();
        Self::change(edit, uuid, |lease| {
            lease.holder = None;
            lease.released(now);
        })
    }

    fn released(&mut self, now: Timestamp) {
        for retention in self.ip_retentions.values_mut() {
            retention.released_at = retention.released_at.or(Some(now));
        }
    }

    /// A lease that is given again lasts as long as a new one.
    fn attached(&mut self, now: Timestamp) {
        for retention in self.ip_retentions.values_mut() {
            *retention = Retention { leased_at: now, released_at: None };
        }
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &IpLeaseId) -> Result<(), Error> {
        edit.ip_lease(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    pub(crate) fn give(
        edit: &mut Edit,
        network: &NetworkId,
        mac_lease: &MacLeaseId,
        address: IpAddr,
    ) -> Result<IpLeaseId, Error> {
        let uuid: IpLeaseId = edit.new_id(None)?;
        let interface_uuid = edit.mac_lease(mac_lease)?.interface_uuid.clone();
        let meta = edit.new_meta(edit.interface(&interface_uuid)?.meta.inherited())?;
        let holder = Some(Holder { interface_uuid, mac_lease_uuid: mac_lease.clone() });
        let network_uuid = network.clone();
        Self {
            uuid: uuid.clone(),
            meta,
            network_uuid,
            address: address.into(),
            enable_routing: false,
            holder,
            ip_lease_containers: BTreeSet::new(),
            ip_retentions: BTreeMap::new(),
        }
        .store(edit, None)?;
        Ok(uuid)
    }

    pub(crate) fn set_address(
        edit: &mut Edit,
        uuid: &IpLeaseId,
        network: &NetworkId,
        address: IpAddr,
    ) -> Result<(), Error> {
        let old = edit.ip_lease(uuid)?;
        Self { network_uuid: network.clone(), address: address.into(), ..(*old).clone() }
            .store(edit, Some(&old))
    }

    pub(crate) fn set_interface(
        edit: &mut Edit,
        uuid: &IpLeaseId,
        interface: &InterfaceId,
    ) -> Result<(), Error> {
        let old = edit.ip_lease(uuid)?;
        let mut new = Self::clone(&old);
        if let Some(holder) = &mut new.holder {
            holder.interface_uuid = interface.clone();
        }
        new.store(edit, Some(&old))
    }

    /// Changes what does not hang on its network.
    pub(crate) fn change(
        edit: &mut Edit,
        uuid: &IpLeaseId,
        how: impl FnOnce(&mut Self),
    ) -> Result<(), Error> {
        let old = edit.ip_lease(uuid)?;
        let mut new = Self::clone(&old);
        how(&mut new);
        edit.replace(&*old, new, |lease| &mut lease.meta);
        Ok(())
    }

    /// Puts a lease in place of what it was.
    pub(crate) fn store(mut self, edit: &mut Edit, old: Option<&Self>) -> Result<(), Error> {
        let (address, network) = (self.address.ip(), edit.network(&self.network_uuid)?);
        let field = ip_field(address);
        if !network.subnets.admit(address) {
            let reason = format!("IP Address {address} not in subnet {}.", network.subnets);
            return Err(Error::new(ErrorKind::Unfit, field, reason));
        }
        let place = |lease: &Self| (lease.network_uuid.clone(), lease.holder.clone());
        if old.map(place) != Some(place(&self)) {
            self.lead_interface(edit)?;
        }
        match old.map(|old| (old.holder.is_some(), self.holder.is_some())) {
            Some((true, false)) => self.released(edit.now()),
            Some((false, true)) => self.attached(edit.now()),
            _ => {}
        }
        match old {
            Some(old) => edit.replace(old, self, |lease| &mut lease.meta),
            None => edit.put(self),
        }
        Ok(())
    }

    /// An interface without other leases follows this one to its network, so that a deleted lease does not send it
    /// back to where it was before.
    fn lead_interface(&self, edit: &mut Edit) -> Result<(), Error> {
        let Some(holder) = &self.holder else { return Ok(()) };
        let old = edit.interface(&holder.interface_uuid)?;
        let others = edit.topology().ip_leases_of_interface(&old.uuid).into_iter().any(|id| id != self.uuid);
        if !others && old.network_uuid.is_some() {
            let new = Interface { network_uuid: Some(self.network_uuid.clone()), ..(*old).clone() };
            edit.replace(&*old, new, |interface| &mut interface.meta);
        }
        Ok(())
    }
}
