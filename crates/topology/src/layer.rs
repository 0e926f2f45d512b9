//! Topologies, in the sense of the Web API: what is in the underlay, what is in the overlay, and what lies on what.
//!
//! An underlay has hosts, each by one of its host interfaces. An overlay lies on underlays, and its networks and segments are
//! carried by their hosts, and by no others: [`crate::placement`] works out what follows. What is in a topology are
//! relations ([`crate::relation`]). It is called a layer here, since a topology is something else in this crate.

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::TopologyId;
use crate::meta::{Labels, Meta, MetaSpec};
use crate::relation::End;

/// What a topology is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerMode {
    /// Hosts, and how they reach each other.
    SimpleUnderlay,
    /// What is carried between hosts of underlays.
    SimpleOverlay,
}

/// A topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Topology)]
pub struct Layer {
    /// The id.
    pub uuid: TopologyId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// What it is about.
    pub mode: LayerMode,
}

/// The attributes of a topology that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TopologySpec)]
pub struct LayerSpec {
    /// `topo-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// What it is about. Required when creating, and then fixed.
    mode: Option<LayerMode>,
}

impl Layer {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<TopologyId, Error> {
        let spec: LayerSpec = read(attributes)?;
        let uuid: TopologyId = edit.new_id(spec.uuid)?;
        let mode = spec.mode.ok_or_else(|| Error::missing("mode"))?;
        let meta = edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?;
        edit.put(Self { uuid: uuid.clone(), meta, mode });
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &TopologyId, attributes: Attributes) -> Result<(), Error> {
        let spec: LayerSpec = read(attributes)?;
        let old = edit.layer(uuid)?;
        // What is in it depends on the mode.
        if spec.mode.is_some_and(|mode| mode != old.mode) {
            return Err(Error::unfit("mode", "cannot change"));
        }
        let mut new = Self::clone(&old);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        edit.replace(&*old, new, |layer| &mut layer.meta);
        Ok(())
    }

    /// Deletes it, with what is said to be in it, and on or under it.
    pub(crate) fn delete(edit: &mut Edit, uuid: &TopologyId) -> Result<(), Error> {
        edit.layer(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Whether something may be in a topology.
    pub(crate) fn admit(edit: &Edit, uuid: &TopologyId, member: &End) -> Result<(), Error> {
        let mode = edit.layer(uuid)?.mode;
        let only = |allowed: LayerMode, reason: &str| match mode == allowed {
            true => Ok(()),
            false => Err(Error::unfit(member.field(), format!("{uuid} {reason}"))),
        };
        match member {
            End::Datapath(_) => only(LayerMode::SimpleUnderlay, "is an overlay: hosts are in its underlays"),
            End::MacRangeGroup(_) => {
                only(LayerMode::SimpleUnderlay, "is an overlay: MAC range groups are in its underlays")
            }
            End::RouteLink(_) => {
                only(LayerMode::SimpleOverlay, "is an underlay: route links are in overlays")
            }
            End::Topology(other) => {
                only(LayerMode::SimpleOverlay, "is an underlay itself")?;
                match edit.layer(other)?.mode {
                    LayerMode::SimpleUnderlay => Ok(()),
                    LayerMode::SimpleOverlay => {
                        Err(Error::unfit(member.field(), format!("{other} is an overlay itself")))
                    }
                }
            }
            End::Network(_) | End::Segment(_) | End::Interface(_) => Ok(()),
        }
    }
}
