//! Segments: L2 domains where any address may live behind a leased MAC address.

use serde::{Deserialize, Serialize};

use crate::address::DomainKey;
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::SegmentId;
use crate::interface::Interface;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::network::{DomainMode, Network};
use crate::relation::Relation;

/// An L2 segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Segment {
    /// The id.
    pub uuid: SegmentId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the segment on the wire.
    pub key: DomainKey,
    /// A name for people.
    #[serde(default)]
    #[schema(required = true)]
    pub display_name: String,
    /// How far it reaches.
    pub mode: DomainMode,
}

/// The attributes of a segment that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentSpec {
    /// `seg-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// How far it reaches. Required when creating.
    mode: Option<DomainMode>,
    /// The topology to be in. Only when creating: later, `topologies/…/segments` says it.
    topology_uuid: Option<String>,
}

impl Segment {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<SegmentId, Error> {
        let spec: SegmentSpec = read(attributes)?;
        let uuid: SegmentId = edit.new_id(spec.uuid)?;
        let mode = valid(spec.mode.ok_or_else(|| Error::missing("mode"))?)?;
        let display_name = text("display_name", spec.display_name.unwrap_or_default())?;
        let meta = edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?;
        let key = edit.domain_key()?;
        edit.put(Self { uuid: uuid.clone(), meta, key, display_name, mode });
        Relation::join_new(edit, spec.topology_uuid, uuid.clone())?;
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &SegmentId, attributes: Attributes) -> Result<(), Error> {
        let spec: SegmentSpec = read(attributes)?;
        Relation::is_not_new(spec.topology_uuid.as_ref())?;
        let old = edit.segment(uuid)?;
        let mut new = Self::clone(&old);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            new.display_name = text("display_name", name)?;
        }
        new.mode = spec.mode.map(valid).transpose()?.unwrap_or(new.mode);
        edit.replace(&*old, new, |segment| &mut segment.meta);
        Ok(())
    }

    /// Deletes it, with its networks and the MAC leases on it.
    pub(crate) fn delete(edit: &mut Edit, uuid: &SegmentId) -> Result<(), Error> {
        edit.segment(uuid)?;
        for network in edit.topology().networks_of_segment(uuid) {
            Network::delete(edit, &network)?;
        }
        for lease in edit.topology().mac_leases_naming_segment(uuid) {
            crate::mac_lease::MacLease::delete(edit, &lease)?;
        }
        for interface in edit.topology().interfaces_naming_segment(uuid) {
            let old = edit.interface(&interface)?;
            let new = Interface { segment_uuid: None, ..(*old).clone() };
            edit.replace(&*old, new, |interface| &mut interface.meta);
        }
        edit.delete(uuid.clone());
        Ok(())
    }
}

fn valid(mode: DomainMode) -> Result<DomainMode, Error> {
    match mode {
        DomainMode::Virtual => Ok(mode),
        DomainMode::Physical => Err(Error::unfit("mode", "a segment is virtual: a network can be physical")),
    }
}
