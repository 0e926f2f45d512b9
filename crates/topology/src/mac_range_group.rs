//! MAC range groups: where MAC addresses come from that nobody names.
//!
//! An address that a group gives is nobody else's on the whole platform, although one that a user names need only be
//! free in its network or segment: so interfaces with given addresses can move from network to network.

use serde::{Deserialize, Serialize};

use crate::address::MacAddr;
use crate::allocation::{AllocationType, Span, choose};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::MacRangeGroupId;
use crate::meta::{Labels, Meta, MetaSpec};

/// A MAC range group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MacRangeGroup {
    /// The id.
    pub uuid: MacRangeGroupId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// In which order it gives addresses.
    pub allocation_type: AllocationType,
    /// The address given last, if the next one follows from it. To give one does not count as a change of the group.
    #[serde(default)]
    pub last_mac_address: Option<MacAddr>,
}

/// The attributes of a MAC range group that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MacRangeGroupSpec {
    /// `mrg-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// In which order it gives addresses; `random` if absent.
    allocation_type: Option<AllocationType>,
}

impl MacRangeGroup {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<MacRangeGroupId, Error> {
        let spec: MacRangeGroupSpec = read(attributes)?;
        let uuid: MacRangeGroupId = edit.new_id(spec.uuid.clone())?;
        let meta = edit.new_meta(MetaSpec::default())?;
        let allocation_type = AllocationType::Random;
        let group = Self { uuid: uuid.clone(), meta, allocation_type, last_mac_address: None };
        edit.put(group.merge(spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &MacRangeGroupId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let old = edit.mac_range_group(uuid)?;
        let new = Self::clone(&old).merge(read(attributes)?)?;
        edit.replace(&*old, new, |group| &mut group.meta);
        Ok(())
    }

    /// Deletes it, with its ranges. Who has an address from it keeps it.
    pub(crate) fn delete(edit: &mut Edit, uuid: &MacRangeGroupId) -> Result<(), Error> {
        edit.mac_range_group(uuid)?;
        for range in edit.topology().mac_ranges_of_group(uuid) {
            edit.delete(range);
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    /// The next address that is free on the whole platform.
    pub(crate) fn allocate(edit: &mut Edit, uuid: &MacRangeGroupId) -> Result<MacAddr, Error> {
        let group = edit.mac_range_group(uuid)?;
        let dice = edit.dice();
        let topology = edit.topology();
        let ranges = topology.mac_ranges_of_group(uuid);
        let ranges =
            ranges.iter().filter_map(|range| Some(topology.mac_ranges().get(range)?.span())).collect();
        let last = group.last_mac_address.map(MacAddr::number);
        let taken = |at| topology.mac_addresses_around(at).or_else(|| is_given_otherwise(edit, at));
        let chosen = choose(group.allocation_type, ranges, last, taken, dice);
        let given = chosen.map(MacAddr::of_number).ok_or_else(|| {
            let message = format!("Run out of dynamic MAC addresses from the MAC range group: {uuid}");
            Error::new(ErrorKind::Exhausted, "mac_range_group_uuid", message)
        })?;
        if group.allocation_type != AllocationType::Random {
            edit.put(Self { last_mac_address: Some(given), ..(*group).clone() });
        }
        Ok(given)
    }

    fn merge(mut self, spec: MacRangeGroupSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        self.allocation_type = spec.allocation_type.unwrap_or(self.allocation_type);
        Ok(self)
    }
}

/// Allowed to an interface besides its leases, or given to a host for what it carries.
fn is_given_otherwise(edit: &Edit, number: u64) -> Option<Span> {
    let (topology, mac) = (edit.topology(), MacAddr::of_number(number));
    let given =
        !topology.interfaces_allowing_mac(&mac).is_empty() || !topology.relations_with_mac(&mac).is_empty();
    given.then_some(number..=number)
}
