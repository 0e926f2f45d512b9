//! The interfaces that a lease policy serves.

use std::collections::BTreeSet;

use serde::Serialize;
use topology::lease_policy::{LeasePolicy, PolicyInterfaceSpec};
use topology::{Action, InterfaceId, Topology};

use crate::api::ip_lease::IpLeaseView;
use crate::api::relation::{Relation, relation_routes};

/// The interfaces of a policy.
pub struct Interfaces;

/// An interface of a policy.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PolicyInterface {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// The label that its lease was asked for with.
    pub label: Option<String>,
    /// Its leases in the networks of the policy.
    pub ip_leases: Vec<IpLeaseView>,
}

impl Relation for Interfaces {
    type Owner = LeasePolicy;
    type Other = InterfaceId;
    type View = PolicyInterface;
    const NAME: &'static str = "interfaces";
    const FIELD: &'static str = "interface_uuid";
    const FIELDS: &'static [&'static str] = &["uuid", "interface_uuid", "label"];
    const ADD: Action = Action::AddPolicyInterface;
    const REMOVE: Action = Action::RemovePolicyInterface;

    fn others(topology: &Topology, owner: &LeasePolicy) -> Vec<InterfaceId> {
        topology.interfaces_of_lease_policy(&owner.uuid)
    }

    fn view(topology: &Topology, owner: &LeasePolicy, other: &InterfaceId) -> Option<PolicyInterface> {
        let label = topology.interfaces().get(other)?.lease_policies.get(&owner.uuid)?.clone();
        let leases = topology.ip_leases_of_interface(other);
        let leases = leases.iter().filter_map(|id| topology.ip_leases().get(id));
        let networks: BTreeSet<_> = owner.networks.iter().map(|link| &link.network_uuid).collect();
        let leases = leases.filter(|lease| networks.contains(&lease.network_uuid));
        let ip_leases = leases.map(|lease| IpLeaseView::from(lease.as_ref())).collect();
        Some(PolicyInterface { interface_uuid: other.clone(), label, ip_leases })
    }
}

relation_routes!(
    "lease_policies", "interfaces", "interface_uuid": Interfaces, PolicyInterfaceSpec => PolicyInterface
);
