//! The static addresses of a translation: what stands for what.

use axum::extract::{RawQuery, State};
use topology::translation::Translation;
use topology::translation::entry::{StaticAddress, StaticAddressFields, StaticAddressSpec};
use topology::{Action, ObjectRef, Request, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiError, ErrorBody};
use super::input::{Input, PathId};
use super::list::{ListParameters, Listing, Page};
use super::reply::{Reply, Result};
use super::resource::Resource;
use super::{Api, GuardParameters, WriteParameters};

/// The names that filter static addresses.
const FIELDS: &[&str] = &[
    "number",
    "ingress_ipv4_address",
    "egress_ipv4_address",
    "ingress_ipv6_address",
    "egress_ipv6_address",
    "ingress_port_number",
    "egress_port_number",
    "protocol",
    "route_link_uuid",
];

/// The routes under a translation.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, add, remove))
}

/// Lists the static addresses of a translation
#[utoipa::path(get, path = "/translations/{uuid}/static_address", operation_id = "list_static_addresses", tag = "translations",
    params(("uuid" = String, Path), ListParameters),
    responses((status = 200, body = Page<StaticAddressFields>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, PathId(id): PathId, RawQuery(query): RawQuery) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), FIELDS)?;
    let head = api.head();
    let translation = Translation::find(&head.topology, &id)?;
    let page = listing.page(translation.static_addresses.iter(), |_| None, StaticAddress::clone);
    Ok(Reply::new(head.topology.revision(), &page))
}

/// Adds a static address to a translation
#[utoipa::path(post, path = "/translations/{uuid}/static_address", operation_id = "add_static_address", tag = "translations",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = StaticAddressSpec,
    responses((status = 201, body = StaticAddressFields), (status = "default", body = ErrorBody)))]
async fn add(State(api): State<Api>, PathId(uuid): PathId, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let path = format!("translations/{uuid}/static_address");
    let request = Request::Act { action: Action::AddStaticAddress, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let [.., added] = &entries_of(&plan.after, plan.subjects.first())[..] else {
        return Err(ApiError::internal("a static address that was added is not there"));
    };
    let reply = Reply::waited(api.revision_of(&plan, &options), added, realized);
    Ok(if options.dry_run { reply } else { reply.created(&path) })
}

/// Takes the static addresses with all the attributes given from a translation, and shows them
#[utoipa::path(delete, path = "/translations/{uuid}/static_address", operation_id = "remove_static_addresses", tag = "translations",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = StaticAddressSpec,
    responses((status = 200, body = Vec<StaticAddressFields>), (status = "default", body = ErrorBody)))]
async fn remove(State(api): State<Api>, PathId(uuid): PathId, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: Action::RemoveStaticAddresses, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let subject = plan.subjects.first();
    let left = entries_of(&plan.after, subject);
    let mut removed = entries_of(&plan.before, subject);
    removed.retain(|entry| !left.contains(entry));
    Ok(Reply::waited(api.revision_of(&plan, &options), &removed, realized))
}

fn entries_of(topology: &Topology, subject: Option<&ObjectRef>) -> Vec<StaticAddress> {
    let translation = subject.and_then(|subject| topology.get(subject)).and_then(Translation::of);
    translation.map_or_else(Vec::new, |of| of.static_addresses.clone())
}
