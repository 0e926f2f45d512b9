//! Route links: virtual routers.

use topology::route_link::{RouteLink, RouteLinkSpec};

use super::resource::plain_resource;

plain_resource!(
    "route_links": RouteLink in route_links, RouteLinkSpec, RouteLinks;
    "key", "display_name", "mac_address"
);
