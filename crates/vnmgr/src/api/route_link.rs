//! Route links: virtual routers.

use std::sync::Arc;

use topology::meta::Meta;
use topology::route_link::{RouteLink, RouteLinkSpec};
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for RouteLink {
    type View = Self;
    const COLLECTION: Collection = Collection::RouteLinks;
    const FIELDS: &'static [&'static str] =
        &["uuid", "project", "created_at", "updated_at", "revision", "key", "display_name", "mac_address"];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.route_links().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::RouteLink(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("route_links": RouteLink, RouteLinkSpec => RouteLink);
