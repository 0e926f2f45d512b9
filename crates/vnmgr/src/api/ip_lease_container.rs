//! IP lease containers: IP leases that belong together.

use axum::extract::{RawQuery, State};
use topology::ip_lease::IpLease;
use topology::ip_lease_container::{IpLeaseContainer, IpLeaseContainerSpec};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::input::PathId;
use super::ip_lease::IpLeaseView;
use super::list::{ListParameters, Listing};
use super::reply::{Reply, Result};
use super::resource::{Resource, plain_resource};

plain_resource!("ip_lease_containers": IpLeaseContainer in ip_lease_containers, IpLeaseContainerSpec, IpLeaseContainers;);

/// The route to what is in a container.
pub fn member_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(ip_leases))
}

/// Lists the leases in a container
#[utoipa::path(get, path = "/ip_lease_containers/{uuid}/ip_leases", tag = "ip_lease_containers",
    operation_id = "list_ip_leases_of_ip_lease_containers", params(("uuid" = String, Path), ListParameters),
    responses((status = 200, body = Page<IpLeaseView>), (status = "default", body = ErrorBody)))]
async fn ip_leases(State(api): State<Api>, PathId(id): PathId, RawQuery(query): RawQuery) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), IpLease::FIELDS)?;
    api.read(move |look| {
        let container = IpLeaseContainer::find(look.topology, &id)?;
        let leases = look.topology.ip_leases_of_container(&container.uuid);
        let leases: Vec<_> = leases.iter().filter_map(|id| look.topology.ip_leases().get(id)).collect();
        let page =
            listing.page(leases.into_iter(), |lease| Some(&lease.meta.labels), |lease| lease.view(look));
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}
