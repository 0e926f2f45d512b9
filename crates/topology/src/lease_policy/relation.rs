//! The relations of lease policies: each is made once, and taken away by the id of the other end.

use serde::{Deserialize, Serialize};

use super::{LeasePolicy, MAX_POLICIES, PolicyContainer, PolicyNetwork, Timing};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{
    Id, InterfaceId, IpLeaseContainerId, IpRangeGroupId, IpRetentionContainerId, LeasePolicyId, NetworkId,
};
use crate::interface::Interface;
use crate::ip_lease::only_holder;
use crate::meta::text;
use crate::object::ObjectRef;

/// A network of a policy, as users give it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyNetworkSpec {
    /// The network. In the path, if the path is of one relation.
    network_uuid: Option<String>,
    /// Where its addresses come from. Required when adding.
    ip_range_group_uuid: Option<String>,
}

/// An interface of a policy, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyInterfaceSpec {
    /// The interface. In the path, if the path is of one relation.
    interface_uuid: Option<String>,
    /// Its lease goes into the containers with this label; into all if absent.
    label: Option<String>,
}

/// An IP lease container of a policy, as users give it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyContainerSpec {
    /// The container. In the path, if the path is of one relation.
    ip_lease_container_uuid: Option<String>,
    /// Leases asked for with another label do not go into it.
    label: Option<String>,
}

/// An IP retention container of a policy, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyRetentionSpec {
    /// The container. In the path, if the path is of one relation.
    ip_retention_container_uuid: Option<String>,
}

fn required<T: Id + Into<ObjectRef>>(
    edit: &Edit,
    field: &'static str,
    given: Option<&String>,
) -> Result<T, Error> {
    edit.reference(field, given.ok_or_else(|| Error::missing(field))?)
}

/// What a policy has no relation with cannot be taken from it.
fn unrelated(field: &str, policy: &LeasePolicyId, other: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::UnknownUuid, field, format!("{policy} has no {other}"))
}

impl PolicyNetworkSpec {
    pub(super) fn link(&self, edit: &Edit) -> Result<PolicyNetwork, Error> {
        let network_uuid: NetworkId = required(edit, "network_uuid", self.network_uuid.as_ref())?;
        let ip_range_group_uuid = required(edit, "ip_range_group_uuid", self.ip_range_group_uuid.as_ref())?;
        if edit.network(&network_uuid)?.subnets.ipv4.is_none() {
            let reason = format!("{network_uuid} has no IPv4 subnet, of which alone addresses are given");
            return Err(Error::unfit("network_uuid", reason));
        }
        Ok(PolicyNetwork { network_uuid, ip_range_group_uuid })
    }
}

impl PolicyContainerSpec {
    pub(super) fn link(self, edit: &Edit) -> Result<PolicyContainer, Error> {
        let field = "ip_lease_container_uuid";
        Ok(PolicyContainer {
            ip_lease_container_uuid: required(edit, field, self.ip_lease_container_uuid.as_ref())?,
            label: self.label.map(|label| text("label", label)).transpose()?,
        })
    }
}

impl LeasePolicy {
    pub(crate) fn add_network(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let link = read::<PolicyNetworkSpec>(attributes)?.link(edit)?;
        Self::change(edit, uuid, |mut policy| {
            policy.networks.push(link);
            policy.valid()
        })
    }

    pub(crate) fn remove_network(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let spec: PolicyNetworkSpec = read(attributes)?;
        let network: NetworkId = required(edit, "network_uuid", spec.network_uuid.as_ref())?;
        if !edit.lease_policy(uuid)?.networks.iter().any(|link| link.network_uuid == network) {
            return Err(unrelated("network_uuid", uuid, network));
        }
        Self::forget_network(edit, uuid, &network)
    }

    /// Gives no more addresses of a network.
    pub(crate) fn forget_network(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        network: &NetworkId,
    ) -> Result<(), Error> {
        Self::change(edit, uuid, |mut policy| {
            policy.networks.retain(|link| link.network_uuid != *network);
            Ok(policy)
        })
    }

    /// Gives no more addresses from a group.
    pub(crate) fn forget_ip_range_group(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        group: &IpRangeGroupId,
    ) -> Result<(), Error> {
        Self::change(edit, uuid, |mut policy| {
            policy.networks.retain(|link| link.ip_range_group_uuid != *group);
            Ok(policy)
        })
    }

    pub(crate) fn add_ip_lease_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let link = read::<PolicyContainerSpec>(attributes)?.link(edit)?;
        Self::change(edit, uuid, |mut policy| {
            policy.ip_lease_containers.push(link);
            policy.valid()
        })
    }

    pub(crate) fn remove_ip_lease_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let field = "ip_lease_container_uuid";
        let spec: PolicyContainerSpec = read(attributes)?;
        let container = required(edit, field, spec.ip_lease_container_uuid.as_ref())?;
        let links = &edit.lease_policy(uuid)?.ip_lease_containers;
        if !links.iter().any(|link| link.ip_lease_container_uuid == container) {
            return Err(unrelated(field, uuid, container));
        }
        Self::forget_ip_lease_container(edit, uuid, &container)
    }

    /// Has its leases go into a container no more.
    pub(crate) fn forget_ip_lease_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        container: &IpLeaseContainerId,
    ) -> Result<(), Error> {
        Self::change(edit, uuid, |mut policy| {
            policy.ip_lease_containers.retain(|link| link.ip_lease_container_uuid != *container);
            Ok(policy)
        })
    }

    pub(crate) fn add_ip_retention_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let field = "ip_retention_container_uuid";
        let spec: PolicyRetentionSpec = read(attributes)?;
        let container: IpRetentionContainerId =
            required(edit, field, spec.ip_retention_container_uuid.as_ref())?;
        Self::change(edit, uuid, |mut policy| {
            if !policy.ip_retention_containers.insert(container) {
                return Err(Error::duplicate(field, format!("{} has it already", policy.uuid)));
            }
            policy.valid()
        })
    }

    pub(crate) fn remove_ip_retention_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let field = "ip_retention_container_uuid";
        let spec: PolicyRetentionSpec = read(attributes)?;
        let container = required(edit, field, spec.ip_retention_container_uuid.as_ref())?;
        if !edit.lease_policy(uuid)?.ip_retention_containers.contains(&container) {
            return Err(unrelated(field, uuid, container));
        }
        Self::forget_ip_retention_container(edit, uuid, &container)
    }

    /// Has its leases kept by a container no more.
    pub(crate) fn forget_ip_retention_container(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        container: &IpRetentionContainerId,
    ) -> Result<(), Error> {
        Self::change(edit, uuid, |mut policy| {
            policy.ip_retention_containers.remove(container);
            Ok(policy)
        })
    }

    /// Comes to serve an interface, which gets an address at once or when its guest asks.
    pub(crate) fn add_interface(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let spec: PolicyInterfaceSpec = read(attributes)?;
        let interface: InterfaceId = required(edit, "interface_uuid", spec.interface_uuid.as_ref())?;
        let label = spec.label.map(|label| text("label", label)).transpose()?;
        let network = Self::network_for(edit, uuid, &interface)?;
        Interface::be_served(edit, &interface, uuid, &network, label)
    }

    pub(crate) fn remove_interface(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let spec: PolicyInterfaceSpec = read(attributes)?;
        let interface = required(edit, "interface_uuid", spec.interface_uuid.as_ref())?;
        if !edit.interface(&interface)?.lease_policies.contains_key(uuid) {
            return Err(unrelated("interface_uuid", uuid, interface));
        }
        Interface::leave_policy(edit, &interface, uuid)
    }
}

impl Interface {
    fn join_policy(
        edit: &mut Edit,
        uuid: &InterfaceId,
        policy: &LeasePolicyId,
        label: Option<String>,
    ) -> Result<(), Error> {
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        if new.lease_policies.insert(policy.clone(), label).is_some() {
            return Err(Error::duplicate("interface_uuid", format!("{policy} has {uuid} already")));
        }
        if new.lease_policies.len() > MAX_POLICIES {
            let reason = format!("an interface is served by at most {MAX_POLICIES} policies");
            return Err(Error::unfit("interface_uuid", reason));
        }
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(())
    }

    /// Is no longer served by a policy. What it was given it keeps.
    pub(super) fn leave_policy(
        edit: &mut Edit,
        uuid: &InterfaceId,
        policy: &LeasePolicyId,
    ) -> Result<(), Error> {
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        new.lease_policies.remove(policy);
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(())
    }

    /// Is served by a policy from now on, and gets an address, at once or when its guest asks.
    pub(super) fn be_served(
        edit: &mut Edit,
        uuid: &InterfaceId,
        policy: &LeasePolicyId,
        network: &PolicyNetwork,
        label: Option<String>,
    ) -> Result<(), Error> {
        Self::join_policy(edit, uuid, policy, label.clone())?;
        match edit.lease_policy(policy)?.timing {
            Timing::Immediate => LeasePolicy::give(edit, policy, network, uuid, label.as_deref()),
            Timing::Dhcp => only_holder(edit, uuid.clone()).map(drop),
        }
    }
}
