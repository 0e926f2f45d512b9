//! IP lease containers: IP leases that belong together, for whoever looks for them.
//!
//! Which leases are in a container is kept in the leases.

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::IpLeaseContainerId;
use crate::ip_lease::IpLease;
use crate::lease_policy::LeasePolicy;
use crate::meta::{Labels, Meta, MetaSpec};

/// An IP lease container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpLeaseContainer {
    /// The id.
    pub uuid: IpLeaseContainerId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
}

/// The attributes of an IP lease container that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IpLeaseContainerSpec {
    /// `ilc-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
}

impl IpLeaseContainer {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<IpLeaseContainerId, Error> {
        let spec: IpLeaseContainerSpec = read(attributes)?;
        let uuid: IpLeaseContainerId = edit.new_id(spec.uuid)?;
        let meta = edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?;
        edit.put(Self { uuid: uuid.clone(), meta });
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &IpLeaseContainerId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let spec: IpLeaseContainerSpec = read(attributes)?;
        let old = edit.ip_lease_container(uuid)?;
        let mut new = Self::clone(&old);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        edit.replace(&*old, new, |container| &mut container.meta);
        Ok(())
    }

    /// Deletes it. Its leases stay.
    pub(crate) fn delete(edit: &mut Edit, uuid: &IpLeaseContainerId) -> Result<(), Error> {
        edit.ip_lease_container(uuid)?;
        for policy in edit.topology().lease_policies_of_ip_lease_container(uuid) {
            LeasePolicy::forget_ip_lease_container(edit, &policy, uuid)?;
        }
        for lease in edit.topology().ip_leases_of_container(uuid) {
            IpLease::change(edit, &lease, |lease| {
                lease.ip_lease_containers.remove(uuid);
            })?;
        }
        edit.delete(uuid.clone());
        Ok(())
    }
}
