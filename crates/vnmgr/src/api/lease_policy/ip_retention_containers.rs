//! The containers that the leases of a policy are kept by.

use serde::Serialize;
use topology::lease_policy::{LeasePolicy, PolicyRetentionSpec};
use topology::{Action, IpRetentionContainerId, Topology};

use crate::api::relation::{Relation, relation_routes};

/// The IP retention containers of a policy.
pub struct IpRetentionContainers;

/// An IP retention container of a policy.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PolicyRetention {
    /// The container.
    pub ip_retention_container_uuid: IpRetentionContainerId,
}

impl Relation for IpRetentionContainers {
    type Owner = LeasePolicy;
    type Other = IpRetentionContainerId;
    type View = PolicyRetention;
    const NAME: &'static str = "ip_retention_containers";
    const FIELD: &'static str = "ip_retention_container_uuid";
    const FIELDS: &'static [&'static str] = &["uuid", "ip_retention_container_uuid"];
    const ADD: Action = Action::AddPolicyIpRetentionContainer;
    const REMOVE: Action = Action::RemovePolicyIpRetentionContainer;

    fn others(_: &Topology, owner: &LeasePolicy) -> Vec<IpRetentionContainerId> {
        owner.ip_retention_containers.iter().cloned().collect()
    }

    fn view(_: &Topology, owner: &LeasePolicy, other: &IpRetentionContainerId) -> Option<PolicyRetention> {
        let found = owner.ip_retention_containers.get(other)?.clone();
        Some(PolicyRetention { ip_retention_container_uuid: found })
    }
}

relation_routes!(
    "lease_policies", "ip_retention_containers", "ip_retention_container_uuid": IpRetentionContainers,
    PolicyRetentionSpec => PolicyRetention
);
