//! Nested collections: resources that belong to another one, under its path, as the records of a DNS service.
//!
//! They are resources like any other, with a collection of their own. Under the path of their owner they are its alone: the id
//! of somebody else's is not found there. A noun says whose it is ([`Nested`]); `nested_routes!` writes down the routes.

use std::sync::Arc;

use serde_json::Value;
use topology::{Error, Topology};

use super::Api;
use super::input::Input;
use super::list::Listing;
use super::look::Look;
use super::reply::{Reply, Result};
use super::resource::{self, Resource};

/// A resource that belongs to another one.
pub trait Nested: Resource {
    /// Whose it is.
    type Owner: Resource;
    /// The attribute that names the owner.
    const OWNER: &'static str;

    /// The owner's id.
    fn owner(&self) -> &str;
    /// Those of an owner, ordered by id.
    fn of_owner(topology: &Topology, owner: &Self::Owner) -> Vec<Arc<Self>>;

    /// The one of this owner with this id.
    ///
    /// # Errors
    /// Nothing has one of the ids, or it belongs to another owner.
    fn find_of(topology: &Topology, owner: &str, id: &str) -> Result<Arc<Self>> {
        Self::Owner::find(topology, owner)?;
        let found = Self::find(topology, id)?;
        if found.owner() == owner { Ok(found) } else { Err(Error::unknown("uuid", id).into()) }
    }
}

/// `GET /dns_services/dnss-a/dns_records`
pub async fn list<R: Nested>(api: &Api, owner: String, query: Option<String>) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), R::FIELDS)?;
    api.read(move |look| {
        let owner = R::Owner::find(look.topology, &owner)?;
        let items = R::of_owner(look.topology, &owner);
        let page = listing.page(items.into_iter(), |item| Some(&item.meta().labels), |item| item.view(look));
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}

/// `POST /dns_services/dnss-a/dns_records`
pub async fn create<R: Nested>(api: &Api, owner: String, mut input: Input) -> Result {
    R::Owner::find(&api.head().topology, &owner)?;
    name(&mut input, R::OWNER, owner)?;
    resource::create::<R>(api, input).await
}

/// `GET /dns_services/dnss-a/dns_records/dnsr-a`
pub async fn show<R: Nested>(api: &Api, (owner, id): (String, String)) -> Result {
    let head = api.head();
    let found = R::find_of(&head.topology, &owner, &id)?;
    let view = found.view(&Look::new(&head.topology, &api.hosts));
    Ok(Reply::new(head.topology.revision(), &view).etag(found.meta().revision))
}

/// `PUT /dns_services/dnss-a/dns_records/dnsr-a`
pub async fn change<R: Nested>(api: &Api, (owner, id): (String, String), input: Input) -> Result {
    R::find_of(&api.head().topology, &owner, &id)?;
    resource::change::<R>(api, id, input).await
}

/// `DELETE /dns_services/dnss-a/dns_records/dnsr-a`
pub async fn delete<R: Nested>(api: &Api, (owner, id): (String, String), input: Input) -> Result {
    R::find_of(&api.head().topology, &owner, &id)?;
    resource::delete::<R>(api, id, input).await
}

/// Puts what the path says among the attributes, which may say it again.
///
/// # Errors
/// They say something else.
pub(super) fn name(input: &mut Input, field: &'static str, id: String) -> Result<()> {
    match input.attributes.insert(field.to_owned(), Value::from(id.as_str())) {
        Some(given) if given != id => Err(Error::unfit(field, "is another than in the path").into()),
        _ => Ok(()),
    }
}

/// Writes the routes of a nested collection, in the module of the resource.
///
/// `nested_routes!("dns_services", "dns_records", "dns_record_uuid": DnsRecord, DnsRecordSpec => DnsRecord)` makes
/// `pub fn nested_routes()`.
macro_rules! nested_routes {
    ($path:literal, $nested:literal, $id:literal: $object:ty, $spec:ty => $view:ty) => {
        /// The routes of the collection under its owner.
        pub fn nested_routes() -> utoipa_axum::router::OpenApiRouter<crate::api::Api> {
            use utoipa_axum::routes;
            utoipa_axum::router::OpenApiRouter::new()
                .routes(routes!(list_nested, create_nested))
                .routes(routes!(show_nested, change_nested, delete_nested))
        }

        /// Lists those of one owner
        #[utoipa::path(get, path = concat!("/", $path, "/{uuid}/", $nested), tag = $path,
            operation_id = concat!("list_", $nested, "_of_", $path),
            params(("uuid" = String, Path), crate::api::list::ListParameters),
            responses((status = 200, body = Page<$view>),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn list_nested(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(owner): crate::api::input::PathId,
            axum::extract::RawQuery(query): axum::extract::RawQuery,
        ) -> crate::api::reply::Result {
            crate::api::nested::list::<$object>(&api, owner, query).await
        }

        /// Makes one of this owner
        #[utoipa::path(post, path = concat!("/", $path, "/{uuid}/", $nested), tag = $path,
            operation_id = concat!("create_", $nested, "_of_", $path),
            params(("uuid" = String, Path), crate::api::WriteParameters), request_body = $spec,
            responses((status = 201, body = $view), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn create_nested(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(owner): crate::api::input::PathId,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::nested::create::<$object>(&api, owner, input).await
        }

        /// Shows one of this owner
        #[utoipa::path(get, path = concat!("/", $path, "/{uuid}/", $nested, "/{", $id, "}"), tag = $path,
            operation_id = concat!("show_", $nested, "_of_", $path),
            params(("uuid" = String, Path), ($id = String, Path)),
            responses((status = 200, body = $view), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn show_nested(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathIds(ids): crate::api::input::PathIds,
        ) -> crate::api::reply::Result {
            crate::api::nested::show::<$object>(&api, ids).await
        }

        /// Changes the attributes given of one of this owner
        #[utoipa::path(put, path = concat!("/", $path, "/{uuid}/", $nested, "/{", $id, "}"), tag = $path,
            operation_id = concat!("change_", $nested, "_of_", $path),
            params(("uuid" = String, Path), ($id = String, Path), crate::api::WriteParameters,
                crate::api::GuardParameters), request_body = $spec,
            responses((status = 200, body = $view), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn change_nested(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathIds(ids): crate::api::input::PathIds,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::nested::change::<$object>(&api, ids, input).await
        }

        /// Deletes one of this owner
        #[utoipa::path(delete, path = concat!("/", $path, "/{uuid}/", $nested, "/{", $id, "}"), tag = $path,
            operation_id = concat!("delete_", $nested, "_of_", $path),
            params(("uuid" = String, Path), ($id = String, Path), crate::api::WriteParameters,
                crate::api::GuardParameters),
            responses((status = 200, body = Vec<String>), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn delete_nested(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathIds(ids): crate::api::input::PathIds,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::nested::delete::<$object>(&api, ids, input).await
        }
    };
}
pub(crate) use nested_routes;
