//! IP ranges: the addresses of an IP range group.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::allocation::{MAX_RANGES, Span};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{IpRangeGroupId, IpRangeId};
use crate::meta::{Labels, Meta, MetaSpec};

/// A range. What lies outside of a network's subnet, or is no host's address there, is not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpRange {
    /// The id.
    pub uuid: IpRangeId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The group that gives its addresses.
    pub ip_range_group_uuid: IpRangeGroupId,
    /// The first address.
    #[schema(value_type = String, example = "10.100.0.10")]
    pub begin_ipv4_address: Ipv4Addr,
    /// The last address.
    #[schema(value_type = String, example = "10.100.0.99")]
    pub end_ipv4_address: Ipv4Addr,
}

/// The attributes of an IP range that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IpRangeSpec {
    /// `ipr-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The group that gives its addresses. Required when creating.
    ip_range_group_uuid: Option<String>,
    /// The first address. Required when creating.
    #[schema(value_type = Option<String>)]
    begin_ipv4_address: Option<Ipv4Addr>,
    /// The last address. Required when creating.
    #[schema(value_type = Option<String>)]
    end_ipv4_address: Option<Ipv4Addr>,
}

impl IpRange {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<IpRangeId, Error> {
        let spec: IpRangeSpec = read(attributes)?;
        let uuid: IpRangeId = edit.new_id(spec.uuid.clone())?;
        let group = spec.ip_range_group_uuid.clone().ok_or_else(|| Error::missing("ip_range_group_uuid"))?;
        let range = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            ip_range_group_uuid: edit.reference("ip_range_group_uuid", &group)?,
            begin_ipv4_address: spec
                .begin_ipv4_address
                .ok_or_else(|| Error::missing("begin_ipv4_address"))?,
            end_ipv4_address: spec.end_ipv4_address.ok_or_else(|| Error::missing("end_ipv4_address"))?,
        };
        edit.put(range.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &IpRangeId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.ip_range(uuid)?;
        let new = Self::clone(&old).merge(edit, read(attributes)?)?;
        edit.replace(&*old, new, |range| &mut range.meta);
        Ok(())
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &IpRangeId) -> Result<(), Error> {
        edit.ip_range(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Its addresses, as numbers.
    pub(crate) fn span(&self) -> Span {
        u64::from(self.begin_ipv4_address.to_bits())..=u64::from(self.end_ipv4_address.to_bits())
    }

    fn merge(mut self, edit: &Edit, spec: IpRangeSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(group) = spec.ip_range_group_uuid {
            self.ip_range_group_uuid = edit.reference("ip_range_group_uuid", &group)?;
        }
        self.begin_ipv4_address = spec.begin_ipv4_address.unwrap_or(self.begin_ipv4_address);
        self.end_ipv4_address = spec.end_ipv4_address.unwrap_or(self.end_ipv4_address);
        if self.begin_ipv4_address > self.end_ipv4_address {
            return Err(Error::unfit("end_ipv4_address", "is below begin_ipv4_address"));
        }
        let mut others = edit.topology().ip_ranges_of_group(&self.ip_range_group_uuid);
        others.retain(|other| *other != self.uuid);
        if others.len() >= MAX_RANGES {
            return Err(Error::unfit(
                "ip_range_group_uuid",
                format!("a group has at most {MAX_RANGES} ranges"),
            ));
        }
        Ok(self)
    }
}
