//! MAC leases: which addresses an interface may send from.

use serde::{Deserialize, Serialize};

use crate::address::MacAddr;
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{InterfaceId, MacLeaseId, SegmentId};
use crate::meta::{Labels, Meta, MetaSpec};

/// A MAC address given to an interface. It is unique in its network or segment, not across the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MacLease {
    /// The id.
    pub uuid: MacLeaseId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The interface that has it.
    pub interface_uuid: InterfaceId,
    /// The address.
    pub mac_address: MacAddr,
    /// The segment it is on, if it is not the interface's or the network's.
    #[serde(default)]
    pub segment_uuid: Option<SegmentId>,
}

/// The attributes of a MAC lease that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MacLeaseSpec {
    /// `ml-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The interface that has it. Required when creating.
    interface_uuid: Option<String>,
    /// The address. Required when creating.
    mac_address: Option<MacAddr>,
    /// The segment it is on.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    segment_uuid: Option<Option<String>>,
}

impl MacLease {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<MacLeaseId, Error> {
        let spec: MacLeaseSpec = read(attributes)?;
        let uuid: MacLeaseId = edit.new_id(spec.uuid)?;
        let interface = spec.interface_uuid.ok_or_else(|| Error::missing("interface_uuid"))?;
        let segment = spec.segment_uuid.flatten();
        let lease = Self {
            meta: edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?,
            interface_uuid: edit.reference("interface_uuid", &interface)?,
            mac_address: valid(spec.mac_address.ok_or_else(|| Error::missing("mac_address"))?)?,
            segment_uuid: segment.map(|id| edit.reference("segment_uuid", &id)).transpose()?,
            uuid: uuid.clone(),
        };
        edit.put(lease);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &MacLeaseId, attributes: Attributes) -> Result<(), Error> {
        let spec: MacLeaseSpec = read(attributes)?;
        let old = edit.mac_lease(uuid)?;
        let mut new = Self::clone(&old);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(mac) = spec.mac_address {
            new.mac_address = valid(mac)?;
        }
        if let Some(segment) = spec.segment_uuid {
            new.segment_uuid = segment.map(|id| edit.reference("segment_uuid", &id)).transpose()?;
        }
        if let Some(interface) = spec.interface_uuid {
            new.interface_uuid = edit.reference("interface_uuid", &interface)?;
        }
        let interface = new.interface_uuid.clone();
        edit.replace(&*old, new, |lease| &mut lease.meta);
        // Its IP leases move with it.
        for id in edit.topology().ip_leases_of_mac_lease(uuid) {
            crate::ip_lease::IpLease::set_interface(edit, &id, &interface)?;
        }
        Ok(())
    }

    /// Deletes it, with its IP leases.
    pub(crate) fn delete(edit: &mut Edit, uuid: &MacLeaseId) -> Result<(), Error> {
        edit.mac_lease(uuid)?;
        for lease in edit.topology().ip_leases_of_mac_lease(uuid) {
            edit.delete(lease);
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    pub(crate) fn give(
        edit: &mut Edit,
        interface: &InterfaceId,
        mac_address: MacAddr,
    ) -> Result<MacLeaseId, Error> {
        let uuid: MacLeaseId = edit.new_id(None)?;
        let meta = edit.new_meta(edit.interface(interface)?.meta.inherited())?;
        let (interface_uuid, mac_address) = (interface.clone(), valid(mac_address)?);
        edit.put(Self { uuid: uuid.clone(), meta, interface_uuid, mac_address, segment_uuid: None });
        Ok(uuid)
    }

    pub(crate) fn set_address(edit: &mut Edit, uuid: &MacLeaseId, mac_address: MacAddr) -> Result<(), Error> {
        let old = edit.mac_lease(uuid)?;
        let new = Self { mac_address: valid(mac_address)?, ..(*old).clone() };
        edit.replace(&*old, new, |lease| &mut lease.meta);
        Ok(())
    }
}

fn valid(mac: MacAddr) -> Result<MacAddr, Error> {
    if mac.is_unicast() {
        Ok(mac)
    } else {
        Err(Error::unfit("mac_address", format!("{mac} is no one host's address")))
    }
}
