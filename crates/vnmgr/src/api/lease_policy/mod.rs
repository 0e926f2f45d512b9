//! Lease policies: who is given which addresses, without naming them. One module for each relation.

pub mod interfaces;
pub mod ip_lease_containers;
pub mod ip_retention_containers;
pub mod networks;

use axum::extract::State;
use topology::ip_lease::IpLease;
use topology::lease_policy::{LeasePolicy, LeasePolicySpec, PolicyLeaseSpec};
use topology::{Action, Request};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::input::{Input, PathId};
use super::ip_lease::IpLeaseView;
use super::reply::Result;
use super::resource::{self, plain_resource};
use super::{Api, GuardParameters, WriteParameters};

plain_resource!(
    "lease_policies": LeasePolicy in lease_policies, LeasePolicySpec, LeasePolicies;
    "mode", "timing"
);

/// The route by which a policy makes leases.
pub fn action_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(allocate))
}

/// Has a policy make a lease that nobody holds
#[utoipa::path(post, path = "/lease_policies/{uuid}/ip_leases", operation_id = "allocate_ip_lease", tag = "lease_policies",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = PolicyLeaseSpec,
    responses((status = 201, body = IpLeaseView), (status = "default", body = ErrorBody)))]
async fn allocate(State(api): State<Api>, PathId(uuid): PathId, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: Action::AllocateIpLease, uuid, attributes, if_match };
    resource::make::<IpLease>(&api, request, &options).await
}
