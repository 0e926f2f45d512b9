//! What is where: which interfaces, networks, segments and route links are active on which hosts.
//!
//! The original kept this in tables of their own, which were stale after a crash. Here nothing is kept: an interface with a
//! port is active where its binding says; everything else is active wherever a host's switch has it, which is what the host needs
//! ([`topology::scope`]).

use std::collections::BTreeSet;

use axum::extract::{RawQuery, State};
use serde::Serialize;
use topology::scope::reach;
use topology::{DatapathId, DomainId, InterfaceId, NetworkId, NodeId, RouteLinkId, SegmentId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::list::{ListParameters, Listing, Page};
use super::look::Look;
use super::reply::{Reply, Result};

/// A host on which something is active.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Place {
    /// The host's datapath.
    pub datapath_uuid: DatapathId,
    /// The name of its agent.
    pub node_id: Option<NodeId>,
}

impl Place {
    pub(super) fn new(look: &Look<'_>, datapath: DatapathId) -> Self {
        Self { node_id: look.node(&datapath), datapath_uuid: datapath }
    }
}

/// An interface that is active on a host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveInterface {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Its port, if it has one.
    pub port_name: Option<String>,
    /// It is there and nowhere else. Simulated interfaces are on every host that needs them.
    pub singular: bool,
}

/// A network that is active on a host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveNetwork {
    /// The network.
    pub network_uuid: NetworkId,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
}

/// A segment that is active on a host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveSegment {
    /// The segment.
    pub segment_uuid: SegmentId,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
}

/// A route link that is active on a host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActiveRouteLink {
    /// The route link.
    pub route_link_uuid: RouteLinkId,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(interfaces))
        .routes(routes!(networks))
        .routes(routes!(segments))
        .routes(routes!(route_links))
}

/// Lists which interfaces are active on which hosts
#[utoipa::path(get, path = "/active_interfaces", tag = "state", params(ListParameters),
    operation_id = "list_active_interfaces",
    responses((status = 200, body = Page<ActiveInterface>), (status = "default", body = ErrorBody)))]
async fn interfaces(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["interface_uuid", "datapath_uuid", "node_id", "port_name", "singular"];
    page(
        &api,
        query,
        fields,
        |look| active_interfaces(look.topology),
        |look, (interface_uuid, datapath, port)| {
            let singular = port.is_some();
            ActiveInterface { interface_uuid, place: Place::new(look, datapath), port_name: port, singular }
        },
    )
    .await
}

/// Lists which networks are active on which hosts
#[utoipa::path(get, path = "/active_networks", tag = "state", params(ListParameters),
    operation_id = "list_active_networks",
    responses((status = 200, body = Page<ActiveNetwork>), (status = "default", body = ErrorBody)))]
async fn networks(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["network_uuid", "datapath_uuid", "node_id"];
    let rows = |look: &Look<'_>| by_host(look.topology, networks_of);
    page(&api, query, fields, rows, |look, (network_uuid, datapath)| ActiveNetwork {
        network_uuid,
        place: Place::new(look, datapath),
    })
    .await
}

/// Lists which segments are active on which hosts
#[utoipa::path(get, path = "/active_segments", tag = "state", params(ListParameters),
    operation_id = "list_active_segments",
    responses((status = 200, body = Page<ActiveSegment>), (status = "default", body = ErrorBody)))]
async fn segments(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["segment_uuid", "datapath_uuid", "node_id"];
    let rows = |look: &Look<'_>| by_host(look.topology, segments_of);
    page(&api, query, fields, rows, |look, (segment_uuid, datapath)| ActiveSegment {
        segment_uuid,
        place: Place::new(look, datapath),
    })
    .await
}

/// Lists which route links are active on which hosts
#[utoipa::path(get, path = "/active_route_links", tag = "state", params(ListParameters),
    operation_id = "list_active_route_links",
    responses((status = 200, body = Page<ActiveRouteLink>), (status = "default", body = ErrorBody)))]
async fn route_links(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["route_link_uuid", "datapath_uuid", "node_id"];
    let rows = |look: &Look<'_>| by_host(look.topology, route_links_of);
    page(&api, query, fields, rows, |look, (route_link_uuid, datapath)| ActiveRouteLink {
        route_link_uuid,
        place: Place::new(look, datapath),
    })
    .await
}

/// Answers with a page of rows that are worked out from one look.
pub(super) async fn page<R, V: Serialize>(
    api: &Api,
    query: Option<String>,
    fields: &[&str],
    rows: impl FnOnce(&Look<'_>) -> Vec<R> + Send + 'static,
    show: impl Fn(&Look<'_>, R) -> V + Send + 'static,
) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), fields)?;
    api.read(move |look| {
        let rows = rows(look).into_iter();
        Ok(Reply::new(look.topology.revision(), &listing.page(rows, |_| None, |row| show(look, row))))
    })
    .await
}

/// Interfaces, each with a host that it is active on, and its port there if it has one.
fn active_interfaces(topology: &Topology) -> Vec<(InterfaceId, DatapathId, Option<String>)> {
    let bound = topology.bindings().values().filter_map(|binding| {
        let claim = binding.active()?;
        Some((binding.interface_uuid.clone(), claim.datapath_uuid.clone(), Some(claim.port_name.clone())))
    });
    let simulated = by_host(topology, |topology, domain| topology.simulated_in_domain(domain));
    let simulated = simulated.into_iter().map(|(interface, datapath)| (interface, datapath, None));
    bound.chain(simulated).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What there is in the domains that each host's switch knows, each with the host; ordered.
fn by_host<T: Ord>(topology: &Topology, of: fn(&Topology, &DomainId) -> Vec<T>) -> Vec<(T, DatapathId)> {
    let hosts = topology.datapaths().keys();
    let rows = hosts.flat_map(|host| {
        reach(topology, host)
            .into_iter()
            .flat_map(|domain| of(topology, &domain))
            .map(|item| (item, host.clone()))
    });
    rows.collect::<BTreeSet<_>>().into_iter().collect()
}

fn networks_of(topology: &Topology, domain: &DomainId) -> Vec<NetworkId> {
    match domain {
        DomainId::Network(network) => vec![network.clone()],
        DomainId::Segment(segment) => topology.networks_of_segment(segment),
    }
}

fn segments_of(_: &Topology, domain: &DomainId) -> Vec<SegmentId> {
    match domain {
        DomainId::Network(_) => Vec::new(),
        DomainId::Segment(segment) => vec![segment.clone()],
    }
}

fn route_links_of(topology: &Topology, domain: &DomainId) -> Vec<RouteLinkId> {
    let routes = networks_of(topology, domain).into_iter().flat_map(|of| topology.routes_of_network(&of));
    routes.filter_map(|route| Some(topology.routes().get(&route)?.route_link_uuid.clone())).collect()
}
