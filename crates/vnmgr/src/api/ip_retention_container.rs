//! IP retention containers: how long IP leases last, and how long their addresses are kept from others afterwards.

use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use serde::Serialize;
use topology::ip_lease::{IpLease, Phase};
use topology::ip_retention_container::{IpRetentionContainer, IpRetentionContainerSpec};
use topology::{IpLeaseId, IpRetentionContainerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::input::PathId;
use super::list::{ListParameters, Listing};
use super::reply::{Reply, Result};
use super::resource::{Resource, plain_resource};

plain_resource!(
    "ip_retention_containers": IpRetentionContainer in ip_retention_containers, IpRetentionContainerSpec,
    IpRetentionContainers; "lease_time", "grace_time"
);

/// That a container keeps a lease, and since when.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct IpRetention {
    /// The lease.
    pub ip_lease_uuid: IpLeaseId,
    /// The container.
    pub ip_retention_container_uuid: IpRetentionContainerId,
    /// When the lease was last given to somebody.
    #[schema(value_type = String, format = DateTime)]
    pub leased_at: Timestamp,
    /// When it was released, if it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Timestamp>,
}

impl IpRetention {
    /// Those of a lease.
    pub fn of(lease: &IpLease) -> Vec<Self> {
        let of = |(container, retention): (&IpRetentionContainerId, &topology::ip_lease::Retention)| Self {
            ip_lease_uuid: lease.uuid.clone(),
            ip_retention_container_uuid: container.clone(),
            leased_at: retention.leased_at,
            released_at: retention.released_at,
        };
        lease.ip_retentions.iter().map(of).collect()
    }
}

/// The route to what a container keeps.
pub fn member_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(ip_retentions))
}

/// Lists what a container keeps, what has been in its state for longest first
#[utoipa::path(get, path = "/ip_retention_containers/{uuid}/ip_retentions", tag = "ip_retention_containers",
    operation_id = "list_ip_retentions", params(("uuid" = String, Path), ListParameters),
    responses((status = 200, body = Page<IpRetention>), (status = "default", body = ErrorBody)))]
async fn ip_retentions(State(api): State<Api>, PathId(id): PathId, RawQuery(query): RawQuery) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), &["ip_lease_uuid", "leased_at", "released_at"])?;
    api.read(move |look| {
        let container = IpRetentionContainer::find(look.topology, &id)?;
        let kept = |phase| look.topology.ip_leases_retained(&container.uuid, phase);
        let leases = kept(Phase::Leased).chain(kept(Phase::Released));
        let retentions: Vec<_> = leases.filter_map(|(_, id)| look.topology.ip_leases().get(&id)).collect();
        let of_this = |lease: &std::sync::Arc<IpLease>| {
            IpRetention::of(lease).into_iter().find(|of| of.ip_retention_container_uuid == container.uuid)
        };
        let page = listing.page(retentions.into_iter(), |lease| Some(&lease.meta.labels), of_this);
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}
