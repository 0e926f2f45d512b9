//! Associations: which networks, segments and route links an interface has to do with, by its leases and routes, or because a
//! user says that it shall stay so. What is only said changes nothing about packets.

use serde::Serialize;
use topology::interface::Interface;
use topology::relation::{AssociationSpec, End, RelationId};
use topology::{Action, Error, InterfaceId, Request, Topology};

use super::Api;
use super::end::EndId;
use super::input::Input;
use super::list::Listing;
use super::nested;
use super::reply::{Reply, Result};
use super::resource::Resource;

/// An association of an interface.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Association {
    /// The id of the other end.
    pub uuid: String,
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// What it has to do with.
    #[serde(flatten)]
    pub other: End,
    /// It stays, whether or not leases and routes say so.
    #[serde(rename = "static")]
    pub is_static: bool,
}

impl Association {
    fn new(topology: &Topology, interface: &InterfaceId, other: End) -> Self {
        let id = RelationId::new(interface.clone(), other.clone());
        let is_static = topology.relations().contains_key(&id);
        Self { uuid: other.to_string(), interface_uuid: interface.clone(), is_static, other }
    }
}

/// `GET /interfaces/if-a/networks`
async fn list<T: EndId>(api: &Api, owner: String, query: Option<String>) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), &["uuid", T::FIELD, "static"])?;
    api.read(move |look| {
        let interface = Interface::find(look.topology, &owner)?;
        let all = look.topology.associated(&interface.uuid).into_iter();
        let others: Vec<_> = all.filter(|other| T::of(other.clone()).is_some()).collect();
        let show = |other| Association::new(look.topology, &interface.uuid, other);
        let page = listing.page(others.into_iter(), |_| None, show);
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}

/// `PUT /interfaces/if-a/networks/nw-a`
async fn change<T: EndId>(api: &Api, (uuid, other): (String, String), mut input: Input) -> Result {
    nested::name(&mut input, T::FIELD, other.clone())?;
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: Action::SetStatic, uuid: uuid.clone(), attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let interface = Interface::find(&plan.after, &uuid)?;
    let other: T = other.parse().map_err(|cause| Error::invalid_uuid(T::FIELD, &cause))?;
    let shown = Association::new(&plan.after, &interface.uuid, other.into());
    Ok(Reply::waited(api.revision_of(&plan, &options), &shown, realized))
}

/// Writes the two routes of a kind of association, in a module of its own.
macro_rules! association_routes {
    ($module:ident, $name:literal, $id:literal: $other:ty) => {
        #[doc = concat!("The ", $name, " that interfaces have to do with.")]
        pub mod $module {
            use super::{Association, AssociationSpec};
            use crate::api::list::Page;

            /// The routes under each interface.
            pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::api::Api> {
                use utoipa_axum::routes;
                utoipa_axum::router::OpenApiRouter::new().routes(routes!(list)).routes(routes!(change))
            }

            /// Lists what an interface has to do with in this way
            #[utoipa::path(get, path = concat!("/interfaces/{uuid}/", $name), tag = "interfaces",
                operation_id = concat!("list_", $name, "_of_interfaces"),
                params(("uuid" = String, Path), crate::api::list::ListParameters),
                responses((status = 200, body = Page<Association>),
                    (status = "default", body = crate::api::error::ErrorBody)))]
            async fn list(
                axum::extract::State(api): axum::extract::State<crate::api::Api>,
                crate::api::input::PathId(owner): crate::api::input::PathId,
                axum::extract::RawQuery(query): axum::extract::RawQuery,
            ) -> crate::api::reply::Result {
                super::list::<$other>(&api, owner, query).await
            }

            /// Has an association of an interface stay, or no more
            #[utoipa::path(put, path = concat!("/interfaces/{uuid}/", $name, "/{", $id, "}"), tag = "interfaces",
                operation_id = concat!("change_", $name, "_of_interfaces"),
                params(("uuid" = String, Path), ($id = String, Path), crate::api::WriteParameters,
                    crate::api::GuardParameters), request_body = AssociationSpec,
                responses((status = 200, body = Association),
                    (status = "default", body = crate::api::error::ErrorBody)))]
            async fn change(
                axum::extract::State(api): axum::extract::State<crate::api::Api>,
                crate::api::input::PathIds(ids): crate::api::input::PathIds,
                input: crate::api::input::Input,
            ) -> crate::api::reply::Result {
                super::change::<$other>(&api, ids, input).await
            }
        }
    };
}
association_routes!(networks, "networks", "network_uuid": topology::NetworkId);
association_routes!(segments, "segments", "segment_uuid": topology::SegmentId);
association_routes!(route_links, "route_links", "route_link_uuid": topology::RouteLinkId);
