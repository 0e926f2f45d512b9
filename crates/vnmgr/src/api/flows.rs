//! Flows: what the switch of a host really does, asked of its agent when somebody wants to know.
//!
//! They are no objects: nobody makes them, and the manager keeps none. A host whose agent is away cannot tell, whatever its
//! switch goes on doing.

use axum::extract::{RawQuery, State};
use sync::Line;
use sync::question::{FlowQuery, FlowRow};
use topology::{Error, NodeId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::{ApiError, ErrorBody};
use super::host;
use super::input::{PathId, pairs};
use super::list::{DEFAULT_LIMIT, MAX_LIMIT, Page, number};
use super::reply::{Reply, Result};

/// Which flows to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct FlowParameters {
    /// Only those that are there for this object: an id, as in `if-a`.
    owner: Option<String>,
    /// Only those of this table: its name or number.
    table: Option<String>,
    /// How many flows to show, at most 10,000; 30 if absent.
    limit: Option<usize>,
    /// How many flows to pass over.
    offset: Option<usize>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the flows of a host's switch, as its agent explains them
///
/// The host is named by the id of its datapath or the name of its agent. The agent has to be connected (503), know the
/// question (501 if it is too old) and answer in time (504).
#[utoipa::path(get, path = "/datapaths/{uuid}/flows", operation_id = "list_datapath_flows", tag = "datapaths",
    params(("uuid" = String, Path), FlowParameters),
    responses((status = 200, body = Page<FlowRow>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, PathId(id): PathId, RawQuery(query): RawQuery) -> Result {
    let query = parse(&query.unwrap_or_default())?;
    let host = Asked::named(&api, &id)?;
    let found = host.line.flows(query.clone()).await.map_err(|error| ApiError::asked(&host.node, error))?;
    let page =
        Page { total_count: found.total, offset: query.offset, limit: query.limit, items: found.flows };
    Ok(Reply::new(api.head().topology.revision(), &page))
}

fn parse(query: &str) -> Result<FlowQuery> {
    let mut wanted = FlowQuery { limit: DEFAULT_LIMIT, ..FlowQuery::default() };
    for (name, value) in pairs(query.as_bytes()) {
        match name.as_str() {
            "owner" => wanted.owner = Some(value),
            "table" => wanted.table = Some(value),
            "limit" => wanted.limit = number("limit", &value, MAX_LIMIT)?,
            "offset" => wanted.offset = number("offset", &value, usize::MAX)?,
            unknown => {
                let reason = "no such parameter; there are owner, table, limit, offset";
                return Err(Error::argument(unknown, reason).into());
            }
        }
    }
    Ok(wanted)
}

/// A host that is to be asked.
struct Asked {
    /// The name of its agent.
    node: NodeId,
    /// The way to ask it.
    line: Line,
}

impl Asked {
    /// The host of this datapath id or node id.
    ///
    /// # Errors
    /// There is none, or its agent is not connected.
    fn named(api: &Api, id: &str) -> Result<Self> {
        let head = api.head();
        let datapath =
            host::find(&head.topology, id).ok_or_else(|| ApiError::from(Error::unknown("uuid", id)))?;
        let line = api.lines.to(&datapath.uuid).ok_or_else(|| ApiError::away(&datapath.node_id))?;
        Ok(Self { node: datapath.node_id.clone(), line })
    }
}
