//! IP range groups: which addresses of a network are given to those who name none.
//!
//! A group says nothing of networks: a lease policy brings the two together, and the same ranges may serve several networks
//! with one subnet.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::allocation::{AllocationType, Span, choose};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{IpRangeGroupId, NetworkId};
use crate::lease_policy::LeasePolicy;
use crate::meta::{Labels, Meta, MetaSpec};

/// An IP range group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpRangeGroup {
    /// The id.
    pub uuid: IpRangeGroupId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// In which order it gives addresses.
    pub allocation_type: AllocationType,
    /// The address given last, if the next one follows from it. To give one does not count as a change of the group.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub last_ipv4_address: Option<Ipv4Addr>,
}

/// The attributes of an IP range group that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IpRangeGroupSpec {
    /// `iprg-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// In which order it gives addresses; `incremental` if absent.
    allocation_type: Option<AllocationType>,
}

impl IpRangeGroup {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<IpRangeGroupId, Error> {
        let spec: IpRangeGroupSpec = read(attributes)?;
        let uuid: IpRangeGroupId = edit.new_id(spec.uuid.clone())?;
        let meta = edit.new_meta(MetaSpec::default())?;
        let allocation_type = AllocationType::Incremental;
        let group = Self { uuid: uuid.clone(), meta, allocation_type, last_ipv4_address: None };
        edit.put(group.merge(spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &IpRangeGroupId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let old = edit.ip_range_group(uuid)?;
        let new = Self::clone(&old).merge(read(attributes)?)?;
        edit.replace(&*old, new, |group| &mut group.meta);
        Ok(())
    }

    /// Deletes it, with its ranges; lease policies give no more addresses from it. Who has one keeps it.
    pub(crate) fn delete(edit: &mut Edit, uuid: &IpRangeGroupId) -> Result<(), Error> {
        edit.ip_range_group(uuid)?;
        for range in edit.topology().ip_ranges_of_group(uuid) {
            edit.delete(range);
        }
        for policy in edit.topology().lease_policies_of_ip_range_group(uuid) {
            LeasePolicy::forget_ip_range_group(edit, &policy, uuid)?;
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    /// The next address that is free in a network.
    pub(crate) fn allocate(
        edit: &mut Edit,
        uuid: &IpRangeGroupId,
        network: &NetworkId,
    ) -> Result<Ipv4Addr, Error> {
        let group = edit.ip_range_group(uuid)?;
        let hosts = edit.network(network)?.subnets.ipv4_hosts();
        let dice = edit.dice();
        let topology = edit.topology();
        let within =
            |span: Span| hosts.as_ref().map(|hosts| common(&span, hosts)).filter(|span| !span.is_empty());
        let ranges = topology.ip_ranges_of_group(uuid);
        let ranges =
            ranges.iter().filter_map(|range| within(topology.ip_ranges().get(range)?.span())).collect();
        let last = group.last_ipv4_address.map(|last| u64::from(last.to_bits()));
        let taken = |at| topology.ipv4_addresses_around(network, address(at)?);
        let chosen = choose(group.allocation_type, ranges, last, taken, dice);
        let given = chosen.and_then(address).ok_or_else(|| {
            let message = format!(
                "Run out of dynamic IP addresses from the network segment: {network} has none left in {uuid}"
            );
            Error::new(ErrorKind::Exhausted, "ip_range_group_uuid", message)
        })?;
        if group.allocation_type != AllocationType::Random {
            edit.put(Self { last_ipv4_address: Some(given), ..(*group).clone() });
        }
        Ok(given)
    }

    fn merge(mut self, spec: IpRangeGroupSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        self.allocation_type = spec.allocation_type.unwrap_or(self.allocation_type);
        Ok(self)
    }
}

fn common(one: &Span, other: &Span) -> Span {
    *one.start().max(other.start())..=*one.end().min(other.end())
}

/// The address that a number stands for; there is none beyond 32 bits.
fn address(number: u64) -> Option<Ipv4Addr> {
    u32::try_from(number).ok().map(Ipv4Addr::from_bits)
}
