//! IP leases: which addresses of a network an interface has, and how one changes hands.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::State;
use serde::Serialize;
use topology::ip_lease::{IpLease, IpLeaseSpec, LeasedAddress};
use topology::meta::Meta;
use topology::{Action, Collection, InterfaceId, IpLeaseContainerId, IpLeaseId, MacLeaseId, NetworkId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::input::{Input, PathId};
use super::ip_retention_container::IpRetention;
use super::look::Look;
use super::reply::Result;
use super::resource::{self, Resource, fields, resource_routes, stored_as};
use super::{Api, GuardParameters, WriteParameters};

/// An IP lease, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct IpLeaseView {
    /// The id.
    pub uuid: IpLeaseId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The network of the address.
    pub network_uuid: NetworkId,
    /// The address, if it is an IPv4 one.
    #[schema(value_type = Option<String>)]
    pub ipv4_address: Option<Ipv4Addr>,
    /// The address, if it is an IPv6 one.
    #[schema(value_type = Option<String>)]
    pub ipv6_address: Option<Ipv6Addr>,
    /// It is a router's to pass on, or to translate.
    pub enable_routing: bool,
    /// The interface that holds it, unless it is released.
    pub interface_uuid: Option<InterfaceId>,
    /// The MAC lease that holds it, unless it is released.
    pub mac_lease_uuid: Option<MacLeaseId>,
    /// The containers it is in.
    pub ip_lease_containers: BTreeSet<IpLeaseContainerId>,
    /// What keeps it, and since when.
    pub ip_retentions: Vec<IpRetention>,
}

impl From<&IpLease> for IpLeaseView {
    fn from(lease: &IpLease) -> Self {
        let (ipv4_address, ipv6_address) = match lease.address {
            LeasedAddress::Ipv4Address(address) => (Some(address), None),
            LeasedAddress::Ipv6Address(address) => (None, Some(address)),
        };
        let holder = lease.holder.as_ref();
        Self {
            uuid: lease.uuid.clone(),
            meta: lease.meta.clone(),
            network_uuid: lease.network_uuid.clone(),
            ipv4_address,
            ipv6_address,
            enable_routing: lease.enable_routing,
            interface_uuid: holder.map(|holder| holder.interface_uuid.clone()),
            mac_lease_uuid: holder.map(|holder| holder.mac_lease_uuid.clone()),
            ip_lease_containers: lease.ip_lease_containers.clone(),
            ip_retentions: IpRetention::of(lease),
        }
    }
}

impl Resource for IpLease {
    type View = IpLeaseView;
    const COLLECTION: Collection = Collection::IpLeases;
    const FIELDS: &'static [&'static str] = fields!(
        "network_uuid",
        "ipv4_address",
        "ipv6_address",
        "enable_routing",
        "interface_uuid",
        "mac_lease_uuid"
    );

    stored_as!(IpLease in ip_leases);

    fn view(&self, _: &Look<'_>) -> IpLeaseView {
        self.into()
    }
}

resource_routes!("ip_leases": IpLease, IpLeaseSpec => IpLeaseView);

/// The routes by which a lease changes hands.
pub fn action_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(attach)).routes(routes!(release))
}

/// Gives a released lease to an interface
#[utoipa::path(put, path = "/ip_leases/{uuid}/attach", operation_id = "attach_ip_lease", tag = "ip_leases",
    params(("uuid" = String, Path), WriteParameters, GuardParameters), request_body = IpLeaseSpec,
    responses((status = 200, body = IpLeaseView), (status = "default", body = ErrorBody)))]
async fn attach(State(api): State<Api>, PathId(id): PathId, input: Input) -> Result {
    resource::act::<IpLease>(&api, Action::AttachIpLease, id, input).await
}

/// Takes a lease from its interface and keeps the address
#[utoipa::path(put, path = "/ip_leases/{uuid}/release", operation_id = "release_ip_lease", tag = "ip_leases",
    params(("uuid" = String, Path), WriteParameters, GuardParameters),
    responses((status = 200, body = IpLeaseView), (status = "default", body = ErrorBody)))]
async fn release(State(api): State<Api>, PathId(id): PathId, input: Input) -> Result {
    resource::act::<IpLease>(&api, Action::ReleaseIpLease, id, input).await
}
