//! Tunnels: which hosts send each other packets of guests, and how.
//!
//! Nobody makes them: a host's switch has one to each host with an interface in a network or segment that it knows. What
//! passes them is counted by the flows of peers: `GET /datapaths/{uuid}/flows`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use serde::Serialize;
use topology::datapath::{Datapath, Encapsulation};
use topology::scope::reach;
use topology::{DatapathId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::active::page;
use super::error::ErrorBody;
use super::list::{ListParameters, Page};
use super::reply::Result;

/// A way from one host to another.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Tunnel {
    /// The host that sends.
    pub src_datapath_uuid: DatapathId,
    /// The host that receives.
    pub dst_datapath_uuid: DatapathId,
    /// How packets are wrapped: as the sender does.
    pub mode: Encapsulation,
    /// The sender's address; absent until its agent has registered.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    pub src_address: Option<IpAddr>,
    /// The receiver's address; absent until its agent has registered.
    #[schema(value_type = Option<String>, example = "192.0.2.2")]
    pub dst_address: Option<IpAddr>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists which hosts send to which, and how
#[utoipa::path(get, path = "/tunnels", tag = "state", params(ListParameters), operation_id = "list_tunnels",
    responses((status = 200, body = Page<Tunnel>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["src_datapath_uuid", "dst_datapath_uuid", "mode", "src_address", "dst_address"];
    page(
        &api,
        query,
        fields,
        |look| tunnels(look.topology),
        |_, (from, to)| Tunnel {
            src_datapath_uuid: from.uuid.clone(),
            dst_datapath_uuid: to.uuid.clone(),
            mode: from.underlay.map(|underlay| underlay.encapsulation).unwrap_or_default(),
            src_address: from.underlay.map(|underlay| underlay.address),
            dst_address: to.underlay.map(|underlay| underlay.address),
        },
    )
    .await
}

/// Each host with each that it sends to, ordered by their ids.
fn tunnels(topology: &Topology) -> Vec<(Arc<Datapath>, Arc<Datapath>)> {
    let hosts = topology.datapaths().values();
    let pairs = hosts.flat_map(|host| {
        let domains = reach(topology, &host.uuid);
        let peers: BTreeSet<_> = domains.iter().flat_map(|domain| topology.hosts_of_domain(domain)).collect();
        let peers = peers.into_iter().filter(|peer| *peer != host.uuid);
        peers.filter_map(|peer| Some((host.clone(), topology.datapaths().get(&peer)?.clone())))
    });
    pairs.collect()
}
