//! Hosts: their agents' connections, how far they are, and what they show. And the tokens that let new ones in.

use std::collections::BTreeSet;

use axum::extract::{RawQuery, State};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use topology::binding::{LOCAL_PORT, Refusal, SeenPort};
use topology::datapath::{Datapath, Underlay};
use topology::host_token::DEFAULT_LIFETIME;
use topology::{DatapathId, Error, InterfaceId, NodeId, Object, Revision, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::{ApiError, ErrorBody};
use super::input::{Input, PathId};
use super::list::{ListParameters, Listing, Page};
use super::look::Look;
use super::reply::{Reply, Result};
use crate::plan::Task;
use crate::problem::{self, Problem};

/// Longest lifetime of a token: whoever finds one later must not get in with it.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The names that filter hosts.
const FIELDS: &[&str] =
    &["node_id", "datapath_uuid", "display_name", "connected", "realized_revision", "lag"];

/// A host, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HostView {
    /// The name of its agent.
    pub node_id: NodeId,
    /// Its datapath.
    pub datapath_uuid: DatapathId,
    /// A name for people.
    pub display_name: String,
    /// Whether its agent is connected.
    pub connected: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub connected_since: Option<Timestamp>,
    /// When its agent was last heard of, by this manager.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// The revision that its switch is known to have; 0 if it never said.
    pub realized_revision: Revision,
    /// How many revisions it is behind.
    pub lag: u64,
    /// How many interfaces live on it.
    pub interfaces_active: usize,
    /// How many ports it shows.
    pub ports_seen: usize,
    /// How many of them are no interface's.
    pub ports_unclaimed: usize,
    /// How the other hosts reach it; absent until its agent has registered.
    pub underlay: Option<Underlay>,
    /// Ports that name an interface and do not bind it.
    pub refusals: Vec<RefusalView>,
    /// What is wrong, the worst first, and what to do about it.
    pub problems: Vec<Problem>,
}

/// A port that names an interface and does not bind it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RefusalView {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// The reason, for people.
    pub reason: String,
}

impl From<Refusal> for RefusalView {
    fn from(Refusal { interface, reason }: Refusal) -> Self {
        Self { interface_uuid: interface, reason }
    }
}

/// A request for a token.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)]
struct TokenSpec {
    /// The only node that may use it. A node whose agent has registered before needs one made out to it.
    node_id: Option<NodeId>,
    /// How long it is good for, in seconds: at most 30 days; a day if absent.
    lifetime_seconds: Option<u64>,
}

/// A new token.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TokenView {
    /// What the host needs to join, once. It is shown here and never again.
    pub token: String,
    /// When it stops being good.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(issue)).routes(routes!(show))
}

/// Lists hosts
#[utoipa::path(get, path = "/hosts", operation_id = "list_hosts", tag = "hosts", params(ListParameters),
    responses((status = 200, body = Page<HostView>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), FIELDS)?;
    api.read(move |look| {
        let datapaths = look.topology.datapaths().values();
        let page = listing.page(datapaths, |of| Some(&of.meta.labels), |datapath| view(datapath, look));
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}

/// Shows a host, by the id of its datapath or the name of its agent
#[utoipa::path(get, path = "/hosts/{host}", operation_id = "show_host", tag = "hosts",
    params(("host" = String, Path)),
    responses((status = 200, body = HostView), (status = "default", body = ErrorBody)))]
async fn show(State(api): State<Api>, PathId(id): PathId) -> Result {
    api.read(move |look| {
        let found = find(look.topology, &id).ok_or_else(|| Error::unknown("host", &id))?;
        Ok(Reply::new(look.topology.revision(), &view(found, look)))
    })
    .await
}

/// Makes a token that lets one host join
#[utoipa::path(post, path = "/hosts/tokens", operation_id = "create_host_token", tag = "hosts",
    request_body = TokenSpec,
    responses((status = 201, body = TokenView), (status = "default", body = ErrorBody)))]
async fn issue(State(api): State<Api>, input: Input) -> Result {
    let (node, lifetime) = token_spec(&input)?;
    if input.options.dry_run {
        return Err(ApiError::argument("dry_run", "a token is made or not"));
    }
    let token = api.authority.token().map_err(|error| ApiError::internal(&error.to_string()))?;
    let plan = api.writer.submit(Task::Issue { digest: token.digest(), node, lifetime }).await?;
    let kept = plan.subjects.first().and_then(|subject| plan.after.get(subject));
    let Some(Object::HostToken(kept)) = kept else {
        return Err(ApiError::internal("a token that was kept is not there"));
    };
    let view = TokenView { token: token.to_string(), expires_at: kept.expires_at };
    Ok(Reply::new(plan.revision(), &view).made())
}

fn token_spec(input: &Input) -> Result<(Option<NodeId>, SignedDuration)> {
    let (mut node, mut lifetime) = (None, DEFAULT_LIFETIME);
    for (name, value) in &input.attributes {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match name.as_str() {
            "node_id" => {
                let parsed = text.parse::<NodeId>();
                node = Some(parsed.map_err(|error| ApiError::argument("node_id", &error.to_string()))?);
            }
            "lifetime_seconds" => {
                let seconds = text.parse().ok().map(SignedDuration::from_secs);
                let fits = seconds.filter(|of| *of > SignedDuration::ZERO && *of <= MAX_LIFETIME);
                let reason = format!("must be a whole number from 1 to {}", MAX_LIFETIME.as_secs());
                lifetime = fits.ok_or_else(|| ApiError::argument("lifetime_seconds", &reason))?;
            }
            unknown => return Err(ApiError::argument(unknown, "there is no such attribute")),
        }
    }
    Ok((node, lifetime))
}

/// A host, by the id of its datapath or the name of its agent.
pub(super) fn find<'a>(topology: &'a Topology, id: &str) -> Option<&'a Datapath> {
    let by_datapath = id.parse::<DatapathId>().ok().and_then(|id| topology.datapaths().get(&id));
    let by_node = || id.parse::<NodeId>().ok().and_then(|id| topology.datapath_of_node(&id));
    by_datapath.or_else(by_node).map(AsRef::as_ref)
}

fn view(datapath: &Datapath, look: &Look<'_>) -> HostView {
    let (live, seen) = {
        let state = look.hosts().read();
        (state.live(&datapath.uuid), state.seen())
    };
    let claimed: BTreeSet<_> = look
        .topology
        .interfaces_claimed_by(&datapath.uuid)
        .iter()
        .filter_map(|interface| look.topology.bindings().get(interface))
        .flat_map(|binding| binding.claims.iter().filter(|claim| claim.datapath_uuid == datapath.uuid))
        .map(|claim| claim.instance.clone())
        .collect();
    let refusals = seen.refusals_on(look.topology, &datapath.uuid);
    let problems = problem::problems(look.topology, datapath, &live, &refusals);
    HostView {
        node_id: datapath.node_id.clone(),
        datapath_uuid: datapath.uuid.clone(),
        display_name: datapath.display_name.clone(),
        connected: live.connection.is_some(),
        connected_since: live.connection.map(|connection| connection.since),
        last_seen: live.last_seen,
        realized_revision: live.realized,
        lag: look.topology.revision().0.saturating_sub(live.realized.0),
        interfaces_active: look.topology.interfaces_on(&datapath.uuid).len(),
        ports_seen: seen.of(&datapath.uuid).count(),
        ports_unclaimed: seen
            .of(&datapath.uuid)
            .filter(|port| waits(port) && !claimed.contains(&port.instance))
            .count(),
        underlay: datapath.underlay,
        refusals: refusals.into_iter().map(RefusalView::from).collect(),
        problems,
    }
}

/// Whether a port waits for an interface: every bridge has a port of its own, which most hosts have no use for.
fn waits(port: &SeenPort) -> bool {
    port.name != LOCAL_PORT
}
