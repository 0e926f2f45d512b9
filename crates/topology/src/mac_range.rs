//! MAC ranges: the addresses of a MAC range group.

use serde::{Deserialize, Serialize};

use crate::address::MacAddr;
use crate::allocation::{MAX_RANGES, Span};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{MacRangeGroupId, MacRangeId};
use crate::meta::{Labels, Meta, MetaSpec};

/// A range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MacRange {
    /// The id.
    pub uuid: MacRangeId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The group that gives its addresses.
    pub mac_range_group_uuid: MacRangeGroupId,
    /// The first address.
    pub begin_mac_address: MacAddr,
    /// The last address.
    pub end_mac_address: MacAddr,
}

/// The attributes of a MAC range that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MacRangeSpec {
    /// `mr-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The group that gives its addresses. Required when creating.
    mac_range_group_uuid: Option<String>,
    /// The first address. Required when creating.
    begin_mac_address: Option<MacAddr>,
    /// The last address, with the same first octet. Required when creating.
    end_mac_address: Option<MacAddr>,
}

impl MacRange {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<MacRangeId, Error> {
        let spec: MacRangeSpec = read(attributes)?;
        let uuid: MacRangeId = edit.new_id(spec.uuid.clone())?;
        let group =
            spec.mac_range_group_uuid.clone().ok_or_else(|| Error::missing("mac_range_group_uuid"))?;
        let range = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            mac_range_group_uuid: edit.reference("mac_range_group_uuid", &group)?,
            begin_mac_address: spec.begin_mac_address.ok_or_else(|| Error::missing("begin_mac_address"))?,
            end_mac_address: spec.end_mac_address.ok_or_else(|| Error::missing("end_mac_address"))?,
        };
        edit.put(range.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &MacRangeId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.mac_range(uuid)?;
        let new = Self::clone(&old).merge(edit, read(attributes)?)?;
        edit.replace(&*old, new, |range| &mut range.meta);
        Ok(())
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &MacRangeId) -> Result<(), Error> {
        edit.mac_range(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Its addresses, as numbers.
    pub(crate) fn span(&self) -> Span {
        self.begin_mac_address.number()..=self.end_mac_address.number()
    }

    fn merge(mut self, edit: &Edit, spec: MacRangeSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(group) = spec.mac_range_group_uuid {
            self.mac_range_group_uuid = edit.reference("mac_range_group_uuid", &group)?;
        }
        self.begin_mac_address = spec.begin_mac_address.unwrap_or(self.begin_mac_address);
        self.end_mac_address = spec.end_mac_address.unwrap_or(self.end_mac_address);
        if self.begin_mac_address > self.end_mac_address {
            return Err(Error::unfit("end_mac_address", "is below begin_mac_address"));
        }
        let (begin, end) = (self.begin_mac_address, self.end_mac_address);
        // The group bit is in the first octet (IEEE 802.3, 3.2.3): with an octet in common, none in between has it.
        if !begin.is_unicast() || begin.0[0] != end.0[0] {
            let reason =
                "must have the first octet of begin_mac_address, which is no group's: even, and not all zero";
            return Err(Error::unfit("end_mac_address", reason));
        }
        let mut others = edit.topology().mac_ranges_of_group(&self.mac_range_group_uuid);
        others.retain(|other| *other != self.uuid);
        if others.len() >= MAX_RANGES {
            return Err(Error::unfit(
                "mac_range_group_uuid",
                format!("a group has at most {MAX_RANGES} ranges"),
            ));
        }
        Ok(self)
    }
}
