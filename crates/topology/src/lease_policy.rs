//! Lease policies: who is given which addresses, without naming them.
//!
//! A policy brings together networks, each with the ranges its addresses come from; the interfaces that get one; and the
//! containers that its leases go into and are kept by. An interface made in a network of a policy without IP
//! addresses is given one too.
//!
//! # Where relations are kept
//! What a policy gives is in the policy. Which interfaces it serves is in the interfaces: there may be ten thousand, and
//! one more must not write all of them again. `relation` changes both, and `allocate` makes leases.

mod allocate;
mod relation;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{IpLeaseContainerId, IpRangeGroupId, IpRetentionContainerId, LeasePolicyId, NetworkId};
use crate::interface::Interface;
use crate::meta::{Labels, Meta, MetaSpec};

pub use allocate::PolicyLeaseSpec;
pub use relation::{PolicyContainerSpec, PolicyInterfaceSpec, PolicyNetworkSpec, PolicyRetentionSpec};

/// Most networks, IP lease containers and IP retention containers of a policy, each: they are part of it.
pub const MAX_RELATIONS: usize = 64;

/// Most policies that an interface is served by: they are part of it.
pub const MAX_POLICIES: usize = 16;

/// How a policy decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LeasePolicyMode {
    /// By its networks, in their order.
    #[default]
    Simple,
}

/// When a policy gives an interface its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// When it comes to serve the interface.
    #[default]
    Immediate,
    /// When the interface's guest asks by DHCP, and has none.
    Dhcp,
}

/// A network, and where its addresses come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyNetwork {
    /// The network.
    pub network_uuid: NetworkId,
    /// Where its addresses come from.
    pub ip_range_group_uuid: IpRangeGroupId,
}

/// A container, and which leases go into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyContainer {
    /// The container.
    pub ip_lease_container_uuid: IpLeaseContainerId,
    /// Leases asked for with another label do not go into it; those asked for without one do.
    #[serde(default)]
    pub label: Option<String>,
}

/// A lease policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeasePolicy {
    /// The id.
    pub uuid: LeasePolicyId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// How it decides.
    #[serde(default)]
    pub mode: LeasePolicyMode,
    /// When it gives an interface its address.
    #[serde(default)]
    pub timing: Timing,
    /// The networks whose addresses it gives. The first is for interfaces that are in none.
    #[serde(default)]
    pub networks: Vec<PolicyNetwork>,
    /// The containers that its leases go into.
    #[serde(default)]
    pub ip_lease_containers: Vec<PolicyContainer>,
    /// The containers that its leases are kept by.
    #[serde(default)]
    pub ip_retention_containers: BTreeSet<IpRetentionContainerId>,
}

/// The attributes of a lease policy that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeasePolicySpec {
    /// `lp-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// How it decides; `simple` if absent.
    mode: Option<LeasePolicyMode>,
    /// When it gives an interface its address; `immediate` if absent.
    timing: Option<Timing>,
    /// All networks whose addresses it gives.
    networks: Option<Vec<PolicyNetworkSpec>>,
    /// All containers that its leases go into.
    ip_lease_containers: Option<Vec<PolicyContainerSpec>>,
    /// All containers that its leases are kept by.
    ip_retention_containers: Option<Vec<String>>,
}

impl LeasePolicy {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<LeasePolicyId, Error> {
        let spec: LeasePolicySpec = read(attributes)?;
        let uuid: LeasePolicyId = edit.new_id(spec.uuid.clone())?;
        let policy = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            mode: LeasePolicyMode::default(),
            timing: Timing::default(),
            networks: Vec::new(),
            ip_lease_containers: Vec::new(),
            ip_retention_containers: BTreeSet::new(),
        };
        edit.put(policy.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &LeasePolicyId, attributes: Attributes) -> Result<(), Error> {
        let spec: LeasePolicySpec = read(attributes)?;
        let old = edit.lease_policy(uuid)?;
        let new = Self::clone(&old).merge(edit, spec)?;
        edit.replace(&*old, new, |policy| &mut policy.meta);
        Ok(())
    }

    /// Deletes it. What it has given stays.
    pub(crate) fn delete(edit: &mut Edit, uuid: &LeasePolicyId) -> Result<(), Error> {
        edit.lease_policy(uuid)?;
        for interface in edit.topology().interfaces_of_lease_policy(uuid) {
            Interface::leave_policy(edit, &interface, uuid)?;
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: LeasePolicySpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        self.mode = spec.mode.unwrap_or(self.mode);
        self.timing = spec.timing.unwrap_or(self.timing);
        if let Some(networks) = spec.networks {
            self.networks = networks.iter().map(|of| of.link(edit)).collect::<Result<_, _>>()?;
        }
        if let Some(containers) = spec.ip_lease_containers {
            self.ip_lease_containers =
                containers.into_iter().map(|of| of.link(edit)).collect::<Result<_, _>>()?;
        }
        if let Some(containers) = spec.ip_retention_containers {
            let find = |id: &String| edit.reference("ip_retention_containers", id);
            self.ip_retention_containers = containers.iter().map(find).collect::<Result<_, _>>()?;
        }
        self.valid()
    }

    /// Every network and every container is named once, and there are not too many.
    fn valid(self) -> Result<Self, Error> {
        let networks: BTreeSet<_> = self.networks.iter().map(|link| &link.network_uuid).collect();
        let containers: BTreeSet<_> =
            self.ip_lease_containers.iter().map(|link| &link.ip_lease_container_uuid).collect();
        let retentions = self.ip_retention_containers.len();
        for (field, given, distinct) in [
            ("network_uuid", self.networks.len(), networks.len()),
            ("ip_lease_container_uuid", self.ip_lease_containers.len(), containers.len()),
            ("ip_retention_container_uuid", retentions, retentions),
        ] {
            if given != distinct {
                return Err(Error::duplicate(field, format!("{} has it already", self.uuid)));
            }
            if given > MAX_RELATIONS {
                return Err(Error::unfit(field, format!("a policy has at most {MAX_RELATIONS}")));
            }
        }
        Ok(self)
    }

    fn change(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        how: impl FnOnce(Self) -> Result<Self, Error>,
    ) -> Result<(), Error> {
        let old = edit.lease_policy(uuid)?;
        let new = how(Self::clone(&old))?;
        edit.replace(&*old, new, |policy| &mut policy.meta);
        Ok(())
    }
}
