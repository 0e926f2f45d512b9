//! Routes: which addresses a virtual router reaches by which of its legs.

use std::sync::Arc;

use topology::meta::Meta;
use topology::route::{Route, RouteSpec};
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for Route {
    type View = Self;
    const COLLECTION: Collection = Collection::Routes;
    const FIELDS: &'static [&'static str] = &[
        "uuid",
        "project",
        "created_at",
        "updated_at",
        "revision",
        "key",
        "interface_uuid",
        "network_uuid",
        "route_link_uuid",
        "ipv4_network",
        "ipv4_prefix",
        "ipv6_network",
        "ipv6_prefix",
        "ingress",
        "egress",
    ];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.routes().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::Route(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("routes": Route, RouteSpec => Route);
