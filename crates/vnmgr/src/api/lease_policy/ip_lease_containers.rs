//! The containers that the leases of a policy go into.

use topology::lease_policy::{LeasePolicy, PolicyContainer, PolicyContainerSpec};
use topology::{Action, IpLeaseContainerId, Topology};

use crate::api::relation::{Relation, relation_routes};

/// The IP lease containers of a policy.
pub struct IpLeaseContainers;

impl Relation for IpLeaseContainers {
    type Owner = LeasePolicy;
    type Other = IpLeaseContainerId;
    type View = PolicyContainer;
    const NAME: &'static str = "ip_lease_containers";
    const FIELD: &'static str = "ip_lease_container_uuid";
    const FIELDS: &'static [&'static str] = &["uuid", "ip_lease_container_uuid", "label"];
    const ADD: Action = Action::AddPolicyIpLeaseContainer;
    const REMOVE: Action = Action::RemovePolicyIpLeaseContainer;

    fn others(_: &Topology, owner: &LeasePolicy) -> Vec<IpLeaseContainerId> {
        owner.ip_lease_containers.iter().map(|link| link.ip_lease_container_uuid.clone()).collect()
    }

    fn view(_: &Topology, owner: &LeasePolicy, other: &IpLeaseContainerId) -> Option<PolicyContainer> {
        owner.ip_lease_containers.iter().find(|link| link.ip_lease_container_uuid == *other).cloned()
    }
}

relation_routes!(
    "lease_policies", "ip_lease_containers", "ip_lease_container_uuid": IpLeaseContainers,
    PolicyContainerSpec => PolicyContainer
);
