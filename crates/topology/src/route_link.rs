//! Route links: virtual routers. Routes name the one they belong to, and packets go from route to route of one.

use serde::{Deserialize, Serialize};

use crate::address::{MacAddr, RouteLinkKey};
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::RouteLinkId;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::relation::Relation;
use crate::route::Route;
use crate::translation::Translation;

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RouteLink {
    /// The id.
    pub uuid: RouteLinkId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the router in registers.
    pub key: RouteLinkKey,
    /// A name for people.
    #[serde(default)]
    pub display_name: String,
    /// Kept as given. The original sent routed packets from host to host under this address; tunnels need none.
    #[serde(default)]
    pub mac_address: Option<MacAddr>,
}

/// The attributes of a route link that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteLinkSpec {
    /// `rl-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// Kept as given; nothing depends on it.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    mac_address: Option<Option<MacAddr>>,
    /// The topology to be in. Only when creating: later, `topologies/…/route_links` says it.
    topology_uuid: Option<String>,
}

impl RouteLink {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<RouteLinkId, Error> {
        let mut spec: RouteLinkSpec = read(attributes)?;
        let topology = spec.topology_uuid.take();
        let uuid: RouteLinkId = edit.new_id(spec.uuid.clone())?;
        let (meta, key) = (edit.new_meta(MetaSpec::default())?, edit.route_link_key()?);
        let display_name = String::new();
        let link = Self { uuid: uuid.clone(), meta, key, display_name, mac_address: None };
        edit.put(link.merge(spec)?);
        Relation::join_new(edit, topology, uuid.clone())?;
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &RouteLinkId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.route_link(uuid)?;
        let new = Self::clone(&old).merge(read(attributes)?)?;
        edit.replace(&*old, new, |link| &mut link.meta);
        Ok(())
    }

    /// Deletes it, with its routes.
    pub(crate) fn delete(edit: &mut Edit, uuid: &RouteLinkId) -> Result<(), Error> {
        edit.route_link(uuid)?;
        for route in edit.topology().routes_of_route_link(uuid) {
            Route::delete(edit, &route)?;
        }
        for translation in edit.topology().translations_naming_route_link(uuid) {
            Translation::forget_route_link(edit, &translation, uuid)?;
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, spec: RouteLinkSpec) -> Result<Self, Error> {
        Relation::is_not_new(spec.topology_uuid.as_ref())?;
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            self.display_name = text("display_name", name)?;
        }
        self.mac_address = spec.mac_address.unwrap_or(self.mac_address);
        Ok(self)
    }
}
