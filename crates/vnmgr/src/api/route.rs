//! Routes: which addresses a virtual router reaches by which of its legs.

use topology::route::{Route, RouteSpec};

use super::resource::plain_resource;

plain_resource!(
    "routes": Route in routes, RouteSpec, Routes;
    "key", "interface_uuid", "network_uuid", "route_link_uuid", "ipv4_network", "ipv4_prefix",
    "ipv6_network", "ipv6_prefix", "ingress", "egress"
);
