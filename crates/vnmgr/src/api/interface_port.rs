//! The ports of an interface: by which names, on which hosts, it is recognised.

use axum::extract::{RawQuery, State};
use serde::Serialize;
use topology::interface::{Interface, InterfaceMode, InterfacePort, InterfacePortSpec};
use topology::{Action, DatapathId, InterfaceId, ObjectRef, Request, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiError, ErrorBody};
use super::input::{Input, PathId};
use super::list::{ListParameters, Listing, Page};
use super::reply::{Reply, Result};
use super::resource::Resource;
use super::{Api, GuardParameters, WriteParameters};

/// The names that filter ports.
const FIELDS: &[&str] = &["datapath_uuid", "port_name", "singular"];

/// A port of an interface, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PortView {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// Its mode.
    pub interface_mode: InterfaceMode,
    /// Only on this datapath.
    pub datapath_uuid: Option<DatapathId>,
    /// Only a port of this name.
    pub port_name: Option<String>,
    /// Always true: an interface lives on one host at a time.
    pub singular: bool,
}

impl PortView {
    /// Shows a port of an interface.
    pub fn new(interface: &Interface, port: &InterfacePort) -> Self {
        Self {
            interface_uuid: interface.uuid.clone(),
            interface_mode: interface.mode,
            datapath_uuid: port.datapath_uuid.clone(),
            port_name: port.port_name.clone(),
            singular: port.singular,
        }
    }
}

/// The routes under an interface.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add, remove))
}

/// Lists the ports of an interface
#[utoipa::path(get, path = "/interfaces/{uuid}/ports", operation_id = "list_interface_ports", tag = "interfaces",
    params(("uuid" = String, Path), ListParameters),
    responses((status = 200, body = Page<PortView>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, PathId(id): PathId, RawQuery(query): RawQuery) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), FIELDS)?;
    let head = api.head();
    let interface = Interface::find(&head.topology, &id)?;
    let view = |port: &InterfacePort| PortView::new(&interface, port);
    let page = listing.page(interface.ports.iter(), |_| None, view);
    Ok(Reply::new(head.topology.revision(), &page))
}

/// Gives an interface a port
#[utoipa::path(post, path = "/interfaces/{uuid}/ports", operation_id = "add_interface_port", tag = "interfaces",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = InterfacePortSpec,
    responses((status = 201, body = PortView), (status = "default", body = ErrorBody)))]
async fn add(State(api): State<Api>, PathId(uuid): PathId, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let path = format!("interfaces/{uuid}/ports");
    let request = Request::Act { action: Action::AddPort, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let subject = plan.subjects.first();
    let [.., added] = &ports_of(&plan.after, subject)[..] else {
        return Err(ApiError::internal("a port that was added is not there"));
    };
    let reply = Reply::waited(api.revision_of(&plan, &options), added, realized);
    Ok(if options.dry_run { reply } else { reply.created(&path) })
}

/// Takes the ports with all the attributes given from an interface, and shows them
#[utoipa::path(delete, path = "/interfaces/{uuid}/ports", operation_id = "remove_interface_ports", tag = "interfaces",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = InterfacePortSpec,
    responses((status = 200, body = Vec<PortView>), (status = "default", body = ErrorBody)))]
async fn remove(State(api): State<Api>, PathId(uuid): PathId, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: Action::RemovePorts, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let subject = plan.subjects.first();
    let left = ports_of(&plan.after, subject);
    let mut removed = ports_of(&plan.before, subject);
    removed.retain(|port| !left.contains(port));
    Ok(Reply::waited(api.revision_of(&plan, &options), &removed, realized))
}

fn ports_of(topology: &Topology, subject: Option<&ObjectRef>) -> Vec<PortView> {
    let interface = subject.and_then(|subject| topology.get(subject)).and_then(Interface::of);
    interface.map_or_else(Vec::new, |of| of.ports.iter().map(|port| PortView::new(&of, port)).collect())
}
