//! What lease policies give: leases of free addresses, in the containers of the policy.

use serde::Deserialize;

use super::{LeasePolicy, PolicyNetwork, Timing};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{InterfaceId, IpLeaseId, LeasePolicyId};
use crate::interface::{Interface, InterfaceMode};
use crate::ip_lease::{Holder, IpLease, Retention, only_holder};
use crate::ip_range_group::IpRangeGroup;
use crate::meta::text;

/// What users say of a lease that a policy is to make.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyLeaseSpec {
    /// The id of the lease, `il-…`; made up if absent.
    ip_lease_uuid: Option<String>,
    /// It goes into the containers with this label; into all if absent.
    label: Option<String>,
}

impl LeasePolicy {
    /// Makes a lease that nobody holds, in the first network.
    pub(crate) fn allocate_ip_lease(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        attributes: Attributes,
    ) -> Result<IpLeaseId, Error> {
        let spec: PolicyLeaseSpec = read(attributes)?;
        let label = spec.label.map(|label| text("label", label)).transpose()?;
        let policy = edit.lease_policy(uuid)?;
        let network = policy.networks.first().ok_or_else(|| without_networks(uuid))?;
        policy.make(edit, network, spec.ip_lease_uuid, None, label.as_deref())
    }

    /// Gives a guest its first address, if the network it names is a policy's. Of several policies, that with the lowest id
    /// does.
    pub(crate) fn serve(edit: &mut Edit, interface: &InterfaceId) -> Result<(), Error> {
        let of = edit.interface(interface)?;
        let is_guest = matches!(of.mode, InterfaceMode::Vif | InterfaceMode::Internal);
        let (true, Some(network)) = (is_guest, &of.network_uuid) else { return Ok(()) };
        let [_] = edit.topology().mac_leases_of_interface(interface)[..] else { return Ok(()) };
        let policies = edit.topology().lease_policies_of_network(network);
        let Some(policy) = policies.first() else { return Ok(()) };
        let links = &edit.lease_policy(policy)?.networks;
        let link = links.iter().find(|link| link.network_uuid == *network);
        link.map_or(Ok(()), |link| Interface::be_served(edit, interface, policy, link, None))
    }

    /// Gives a guest that asks for an address, and has none, one of the first of its policies that gives addresses then and has one
    /// left.
    pub(crate) fn answer(edit: &mut Edit, interface: &InterfaceId) {
        let Ok(of) = edit.interface(interface) else { return };
        let leases = edit.topology().ip_leases_of_interface(interface).into_iter();
        let mut leases = leases.filter_map(|id| edit.topology().ip_leases().get(&id));
        if leases.any(|lease| lease.address.ip().is_ipv4()) {
            return;
        }
        for (policy, label) in &of.lease_policies {
            if edit.lease_policy(policy).is_ok_and(|policy| policy.timing == Timing::Immediate) {
                continue;
            }
            let network = Self::network_for(edit, policy, interface);
            let given = network.and_then(|of| Self::give(edit, policy, &of, interface, label.as_deref()));
            if given.is_ok() {
                return;
            }
        }
    }

    /// The network in which a policy gives an interface an address: its own, or the first if it is in none.
    pub(super) fn network_for(
        edit: &Edit,
        uuid: &LeasePolicyId,
        interface: &InterfaceId,
    ) -> Result<PolicyNetwork, Error> {
        let policy = edit.lease_policy(uuid)?;
        let leases = edit.topology().ip_leases_of_interface(interface);
        let leased = leases.first().and_then(|lease| edit.topology().ip_leases().get(lease));
        let leased = leased.map(|lease| lease.network_uuid.clone());
        let Some(own) = edit.interface(interface)?.network_uuid.clone().or(leased) else {
            return policy.networks.first().cloned().ok_or_else(|| without_networks(uuid));
        };
        let link = policy.networks.iter().find(|link| link.network_uuid == own).cloned();
        link.ok_or_else(|| {
            Error::unfit(
                "interface_uuid",
                format!("{interface} is in {own}, of which {uuid} gives no addresses"),
            )
        })
    }

    /// Gives an interface an address.
    pub(super) fn give(
        edit: &mut Edit,
        uuid: &LeasePolicyId,
        network: &PolicyNetwork,
        interface: &InterfaceId,
        label: Option<&str>,
    ) -> Result<(), Error> {
        let holder = only_holder(edit, interface.clone())?;
        edit.lease_policy(uuid)?.make(edit, network, None, Some(holder), label).map(drop)
    }

    fn make(
        &self,
        edit: &mut Edit,
        network: &PolicyNetwork,
        uuid: Option<String>,
        holder: Option<Holder>,
        label: Option<&str>,
    ) -> Result<IpLeaseId, Error> {
        let address = IpRangeGroup::allocate(edit, &network.ip_range_group_uuid, &network.network_uuid)?;
        let owner = match &holder {
            Some(holder) => edit.interface(&holder.interface_uuid)?.meta.inherited(),
            None => self.meta.inherited(),
        };
        let uuid: IpLeaseId = edit.new_id(uuid)?;
        let containers = self.ip_lease_containers.iter();
        let containers =
            containers.filter(|link| label.is_none_or(|label| link.label.as_deref() == Some(label)));
        let retention = Retention { leased_at: edit.now(), released_at: None };
        let lease = IpLease {
            uuid: uuid.clone(),
            meta: edit.new_meta(owner)?,
            network_uuid: network.network_uuid.clone(),
            address: std::net::IpAddr::V4(address).into(),
            enable_routing: false,
            holder,
            ip_lease_containers: containers.map(|link| link.ip_lease_container_uuid.clone()).collect(),
            ip_retentions: self.ip_retention_containers.iter().map(|id| (id.clone(), retention)).collect(),
        };
        lease.store(edit, None)?;
        Ok(uuid)
    }
}

fn without_networks(uuid: &LeasePolicyId) -> Error {
    Error::unfit("uuid", format!("{uuid} has no network yet: add one with its IP range group"))
}
