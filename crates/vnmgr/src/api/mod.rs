//! The Web API: HTTP in, tasks for the writer and representations out. It decides nothing about topology.
//!
//! One noun, one file: [`datapath`], [`network`], [`segment`], [`interface`], [`interface_port`], [`mac_lease`],
//! [`ip_lease`], [`route_link`], [`route`], [`network_service`], [`dns_service`],
//! [`dns_record`], [`translation`], [`static_address`], [`filter`], [`security_group`], [`mac_range_group`], [`mac_range`], [`ip_range_group`],
//! [`ip_range`], [`lease_policy`], [`ip_lease_container`], [`ip_retention_container`], [`topologies`], [`placement`], [`association`], [`host`], [`batch`], [`trace`],
//! [`reach`], [`policy`], what only hosts know: [`flows`], [`live`], and what
//! is where: [`active`], [`active_port`], [`tunnel`]; and [`watch`], which streams what changes. What they share is in [`resource`], [`part`],
//! [`nested`], [`relation`], [`end`], [`input`], [`question`], [`list`], [`look`] and [`reply`].
//!
//! # Conventions
//! - Every response names the revision it is true of in `OpenVNet-Revision`.
//! - One object comes with an `ETag`, its own revision; `If-Match` guards changes with it.
//! - A write with `?dry_run=true` says what would happen; with `?wait=realized` it answers when the hosts have it.
//! - A client's mistake has a status below 500 and a body in one form: [`error`].
//!
//! # Who may ask
//! There are no accounts yet: whoever reaches the port may do everything. So the port is on the loopback address unless
//! the operator says otherwise, and requests that a browser sends for pages of other sites are refused.

pub mod active;
pub mod active_port;
pub mod association;
pub mod batch;
pub mod datapath;
pub mod datapath_peer;
pub mod dns_record;
pub mod dns_service;
pub mod end;
pub mod error;
pub mod filter;
pub mod flows;
mod health;
pub mod host;
pub mod input;
pub mod interface;
pub mod interface_port;
pub mod ip_lease;
pub mod ip_lease_container;
pub mod ip_range;
pub mod ip_range_group;
pub mod ip_retention_container;
pub mod lease_policy;
pub mod list;
pub mod live;
pub mod look;
pub mod mac_lease;
pub mod mac_range;
pub mod mac_range_group;
mod measure;
pub mod nested;
pub mod network;
pub mod network_service;
pub mod part;
pub mod placement;
pub mod policy;
pub mod question;
pub mod reach;
pub mod relation;
pub mod reply;
pub mod resource;
mod rewrite;
mod root;
pub mod route;
pub mod route_link;
pub mod security_group;
pub mod segment;
mod shape;
mod shown;
pub mod static_address;
pub mod topologies;
pub mod trace;
pub mod translation;
pub mod tunnel;
pub mod watch;
mod words;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use store::Store;
use sync::Head;
use sync::pki::Authority;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use topology::Revision;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::hosts::Hosts;
use crate::metrics::Metrics;
use crate::plan::{Plan, Task};
use crate::questions::Lines;
use crate::realized::{self, Realized};
use crate::state::HeadReceiver;
use crate::writer::{StoreReceiver, WriteError, Writer};
use error::ApiError;
use input::Options;
use look::Look;
use reply::{REVISION_HEADER, Result};
use watch::Watching;

/// The parameters of every write.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct WriteParameters {
    /// Say what would happen, and change nothing.
    dry_run: Option<bool>,
    /// `realized`: answer when every host concerned has the change. If some do not have it in time, the status is 202,
    /// and `OpenVNet-Pending-Hosts` and `realized.pending` name them.
    wait: Option<String>,
    /// How long to wait, in seconds: at most 300; 30 if absent.
    timeout: Option<u64>,
}

/// The parameters of a look at what becomes active.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct ReadParameters {
    /// `active`: answer when it is, and every host concerned has realized that. If not in time, the status is 202, and `status` and
    /// `realized.pending` say what is missing.
    wait: Option<String>,
    /// How long to wait, in seconds: at most 300; 30 if absent.
    timeout: Option<u64>,
}

/// The header that guards a change.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)]
struct GuardParameters {
    /// Only if the resource was last changed at this revision: its `ETag`.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// The header that says how much a client would like to be shown.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)]
struct PreferParameters {
    /// `return=minimal`: leave out what the objects have become.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "OpenVNet Web API",
    description = "Describes networks, and where they are. The same is at `/api/…`; paths may end in `.json`.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Document;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Sees the published topology.
    pub head: HeadReceiver,
    /// Makes changes.
    pub writer: Writer,
    /// Sees whether the store takes changes.
    pub store: StoreReceiver,
    /// What hosts said.
    pub hosts: Arc<Hosts>,
    /// Asks hosts.
    pub lines: Arc<Lines>,
    /// Makes tokens for hosts that join.
    pub authority: Authority,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// Places for batches, which take the most memory.
    pub batches: Arc<Semaphore>,
    /// Places for questions that take processors for seconds.
    pub questions: Arc<Semaphore>,
    /// The log of commits, for watchers.
    pub log: Arc<dyn Store>,
    /// What watchers have in common.
    pub watching: Watching,
    /// The manager is to stop: nobody waits any longer.
    pub stop: CancellationToken,
}

impl Api {
    /// The newest head.
    pub fn head(&self) -> Arc<Head> {
        self.head.borrow().clone()
    }

    /// Answers from the newest head, on a thread for computing: lists can be long.
    async fn read<F>(&self, answer: F) -> Result
    where
        F: FnOnce(&Look<'_>) -> Result + Send + 'static,
    {
        let (head, hosts) = (self.head(), self.hosts.clone());
        compute(move || answer(&Look::new(&head.topology, &hosts))).await
    }

    /// Carries requests out as one commit, or works out what they would do; then waits for the hosts, if asked to.
    async fn write(
        &self,
        requests: Vec<topology::Request>,
        options: &Options,
    ) -> std::result::Result<(Plan, Option<Realized>), WriteError> {
        let task = Task::Requests(requests);
        if options.dry_run {
            let (head, seen) = (self.head(), self.hosts.read().seen());
            let plan = move || Plan::make(&head.topology, &seen, &task, Timestamp::now(), rand::random());
            return Ok((compute(plan).await?, None));
        }
        let plan = match options.wait {
            Some(_) => self.writer.submit_awaited(task).await?,
            None => self.writer.submit(task).await?,
        };
        let realized = match options.wait {
            Some(limit) => Some(realized::wait(&plan, &self.hosts, &self.head, self.gives_up(limit)).await),
            None => None,
        };
        Ok((plan, realized))
    }

    /// The time at which nobody waits any longer.
    async fn gives_up(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.stop.cancelled()).await;
    }

    /// The revision that a response about a plan reflects: a dry run's is the one it was worked out on.
    fn revision_of(&self, plan: &Plan, options: &Options) -> Revision {
        if options.dry_run { plan.before.revision() } else { plan.revision() }
    }
}

/// Works something out on a thread for computing. A panic there is one here.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// All routes, and their description.
fn documented() -> OpenApiRouter<Api> {
    let routes = OpenApiRouter::new()
        .merge(root::routes())
        .merge(datapath::routes())
        .merge(datapath_peer::routes())
        .merge(network::routes())
        .merge(segment::routes())
        .merge(interface::routes())
        .merge(interface_port::part_routes())
        .merge(mac_lease::routes())
        .merge(ip_lease::routes())
        .merge(ip_lease::action_routes())
        .merge(route_link::routes())
        .merge(route::routes())
        .merge(network_service::routes())
        .merge(dns_service::routes())
        .merge(dns_record::routes())
        .merge(dns_record::nested_routes())
        .merge(mac_range_group::routes())
        .merge(mac_range::routes())
        .merge(mac_range::nested_routes())
        .merge(ip_range_group::routes())
        .merge(ip_range::routes())
        .merge(ip_range::nested_routes())
        .merge(lease_policy::routes())
        .merge(lease_policy::action_routes())
        .merge(lease_policy::networks::routes())
        .merge(lease_policy::interfaces::routes())
        .merge(lease_policy::ip_lease_containers::routes())
        .merge(lease_policy::ip_retention_containers::routes())
        .merge(ip_lease_container::routes())
        .merge(ip_lease_container::member_routes())
        .merge(ip_retention_container::routes())
        .merge(ip_retention_container::member_routes())
        .merge(topologies::routes())
        .merge(topologies::datapaths::routes())
        .merge(topologies::networks::routes())
        .merge(topologies::segments::routes())
        .merge(topologies::route_links::routes())
        .merge(topologies::mac_range_groups::routes())
        .merge(topologies::underlays::routes())
        .merge(placement::networks::routes())
        .merge(placement::segments::routes())
        .merge(placement::route_links::routes())
        .merge(association::networks::routes())
        .merge(association::segments::routes())
        .merge(association::route_links::routes())
        .merge(translation::routes())
        .merge(static_address::part_routes())
        .merge(filter::routes())
        .merge(filter::part_routes())
        .merge(security_group::routes())
        .merge(security_group::part_routes())
        .merge(batch::routes())
        .merge(trace::routes())
        .merge(reach::routes())
        .merge(policy::routes())
        .merge(host::routes())
        .merge(flows::routes())
        .merge(live::routes())
        .merge(active::routes())
        .merge(active_port::routes())
        .merge(tunnel::routes())
        .merge(watch::routes());
    OpenApiRouter::with_openapi(Document::openapi()).nest(rewrite::BASE, routes)
}

/// The description of the API: OpenAPI 3.1, as JSON for people to read and compare.
///
/// # Panics
/// Never: the document has only texts for map keys.
pub fn openapi() -> String {
    text_of(&documented().to_openapi())
}

fn text_of(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().expect("the document has only texts for map keys") + "\n"
}

/// The API as a service. Paths have many spellings, and are brought into one before anything looks at them.
pub fn service(
    api: Api,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    let canonical = |mut request: Request| {
        *request.uri_mut() = rewrite::canonical(std::mem::take(request.uri_mut()));
        request
    };
    ServiceBuilder::new().map_request(canonical).service(router(api))
}

/// The API for paths in their one spelling.
pub fn router(api: Api) -> Router {
    let (router, document) = documented().split_for_parts();
    root::DOCUMENT.get_or_init(|| text_of(&document));
    router
        .merge(health::routes())
        .merge(measure::routes())
        .fallback(|uri: Uri| async move { ApiError::unknown_route(uri.path()) })
        .method_not_allowed_fallback(|method: Method| async move { ApiError::method_not_allowed(&method) })
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a handler panicked").into_response()))
        .layer(middleware::from_fn(same_origin))
        .layer(middleware::from_fn_with_state(api.clone(), with_revision))
        .layer(middleware::from_fn_with_state(api.metrics.clone(), measure::request))
        .with_state(api)
}

/// Names the head's revision in responses that do not reflect a certain one.
async fn with_revision(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    let revision = api.head().topology.revision();
    response.headers_mut().entry(REVISION_HEADER).or_insert_with(|| revision.0.into());
    response
}

/// Refuses what a browser sends for a page of another site: anyone's page could otherwise change the topology of who
/// visits it. Forms and query strings need no preflight that would protect them (WHATWG Fetch, 3.3.2).
async fn same_origin(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return ApiError::foreign_origin().into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_none() || host != text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_manager_itself_are_no_strangers() {
        let check = |origin: Option<&str>, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:9090".parse().expect("a header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            }
            assert_eq!(is_foreign(&headers), expected, "{origin:?}");
        };
        check(None, false);
        check(Some("http://127.0.0.1:9090"), false);
        check(Some("http://evil.example"), true);
        check(Some("null"), true);
    }
}
