//! The networks whose addresses a lease policy gives.

use topology::lease_policy::{LeasePolicy, PolicyNetwork, PolicyNetworkSpec};
use topology::{Action, NetworkId, Topology};

use crate::api::relation::{Relation, relation_routes};

/// The networks of a policy.
pub struct Networks;

impl Relation for Networks {
    type Owner = LeasePolicy;
    type Other = NetworkId;
    type View = PolicyNetwork;
    const NAME: &'static str = "networks";
    const FIELD: &'static str = "network_uuid";
    const FIELDS: &'static [&'static str] = &["uuid", "network_uuid", "ip_range_group_uuid"];
    const ADD: Action = Action::AddPolicyNetwork;
    const REMOVE: Action = Action::RemovePolicyNetwork;

    fn others(_: &Topology, owner: &LeasePolicy) -> Vec<NetworkId> {
        owner.networks.iter().map(|link| link.network_uuid.clone()).collect()
    }

    fn view(_: &Topology, owner: &LeasePolicy, other: &NetworkId) -> Option<PolicyNetwork> {
        owner.networks.iter().find(|link| link.network_uuid == *other).cloned()
    }
}

relation_routes!("lease_policies", "networks", "network_uuid": Networks, PolicyNetworkSpec => PolicyNetwork);
