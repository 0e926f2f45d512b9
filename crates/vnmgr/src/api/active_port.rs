//! Ports that hosts show, and whose they are; those that nobody has a record of among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use serde::Serialize;
use topology::binding::{LOCAL_PORT, SeenPort, SeenPorts};
use topology::{DatapathId, InterfaceId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::active::{Place, page};
use super::error::ErrorBody;
use super::list::{ListParameters, Page};
use super::look::Look;
use super::reply::Result;

/// What a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortMode {
    /// An interface's.
    Interface,
    /// The bridge's own.
    Local,
    /// Nobody's: it waits for a record, and nothing passes it.
    Unknown,
}

/// A port that a host shows.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ActivePort {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Its name.
    pub port_name: String,
    /// What it is.
    pub mode: PortMode,
    /// The interface that the host claims by it.
    pub interface_uuid: Option<InterfaceId>,
    /// What the hypervisor says it is: `external_ids:iface-id`.
    pub iface_id: Option<String>,
    /// What the switch says is wrong with it.
    pub error: Option<String>,
    /// Why it does not bind the interface that it names, by its name or its `iface-id`.
    pub reason: Option<String>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the ports that hosts show
#[utoipa::path(get, path = "/active_ports", tag = "state", params(ListParameters),
    operation_id = "list_active_ports",
    responses((status = 200, body = Page<ActivePort>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["datapath_uuid", "node_id", "port_name", "mode", "interface_uuid", "iface_id"];
    page(&api, query, fields, ports, |look, (datapath, port, interface_uuid)| ActivePort {
        reason: SeenPorts::refusal(look.topology, &datapath, &port).map(|refusal| refusal.reason),
        place: Place::new(look, datapath),
        mode: mode(&port, interface_uuid.as_ref()),
        port_name: port.name.clone(),
        interface_uuid,
        iface_id: port.iface_id.clone(),
        error: port.error.clone(),
    })
    .await
}

fn mode(port: &SeenPort, interface: Option<&InterfaceId>) -> PortMode {
    match interface {
        _ if port.name == LOCAL_PORT => PortMode::Local,
        Some(_) => PortMode::Interface,
        None => PortMode::Unknown,
    }
}

/// The ports of all hosts, each with the interface that the host claims by it; by host and name.
fn ports(look: &Look<'_>) -> Vec<(DatapathId, Arc<SeenPort>, Option<InterfaceId>)> {
    let seen = look.hosts().read().seen();
    let hosts = seen.hosts().flat_map(|host| {
        let claimed = claimed_by(look.topology, host);
        seen.of(host).map(move |port| {
            let interface = claimed.get(&port.instance).cloned();
            (host.clone(), port.clone(), interface)
        })
    });
    hosts.collect()
}

/// The interfaces that a host claims, by the port.
fn claimed_by(topology: &Topology, host: &DatapathId) -> BTreeMap<String, InterfaceId> {
    let interfaces = topology.interfaces_claimed_by(host).into_iter();
    let claims = interfaces.filter_map(|interface| {
        let binding = topology.bindings().get(&interface)?;
        let claim = binding.claims.iter().find(|claim| claim.datapath_uuid == *host)?;
        Some((claim.instance.clone(), interface))
    });
    claims.collect()
}
