//! What all resources have in common: making, listing, showing, changing and deleting them.
//!
//! A noun says what it is and how it is shown ([`Resource`]); `resource_routes!` writes down its routes, with the words
//! for the OpenAPI document; the functions here do the work.

use std::sync::Arc;

use serde::Serialize;
use topology::meta::Meta;
use topology::{Action, Collection, Error, Object, ObjectRef, Request, Revision, Topology};

use super::Api;
use super::input::{Input, Options, pairs, waiting};
use super::list::Listing;
use super::look::Look;
use super::reply::{Reply, Result};
use crate::plan::Plan;
use crate::realized;

/// A kind of object that users make, change and delete.
pub trait Resource: Sized + Send + Sync + 'static {
    /// How it is shown.
    type View: Serialize + Send;
    /// Where it is.
    const COLLECTION: Collection;
    /// The names in its representation that filter lists.
    const FIELDS: &'static [&'static str];

    /// All of them, ordered by id.
    fn all(topology: &Topology) -> impl ExactSizeIterator<Item = &Arc<Self>>;
    /// The object, if it is of this kind.
    fn of(object: Object) -> Option<Arc<Self>>;
    /// Ownership, labels, times, revision.
    fn meta(&self) -> &Meta;
    /// Shows it.
    fn view(&self, look: &Look<'_>) -> Self::View;

    /// The revision from which on it is active, for those who wait until it is. Most kinds are by being there.
    fn active_since(&self, _: &Topology) -> Option<Revision> {
        Some(self.meta().revision)
    }

    /// The one with this id.
    ///
    /// # Errors
    /// The id is none of this kind, or nothing has it.
    fn find(topology: &Topology, id: &str) -> Result<Arc<Self>> {
        let reference = Self::COLLECTION.reference(id)?;
        let found = topology.get(&reference).and_then(Self::of);
        found.ok_or_else(|| Error::unknown("uuid", id).into())
    }
}

/// `GET /networks`
pub async fn list<R: Resource>(api: &Api, query: Option<String>) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), R::FIELDS)?;
    api.read(move |look| {
        let items = R::all(look.topology);
        let page = listing.page(items, |item| Some(&item.meta().labels), |item| item.view(look));
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}

/// `GET /networks/nw-a`
pub async fn show<R: Resource>(api: &Api, id: String, query: Option<String>) -> Result {
    let wait = waiting(&mut pairs(query.unwrap_or_default().as_bytes()), "active")?;
    let realized = match wait {
        Some(limit) => {
            let reference = R::COLLECTION.reference(&id)?;
            let since = |object, topology: &Topology| R::of(object)?.active_since(topology);
            let (head, give_up) = (api.head.clone(), api.gives_up(limit));
            realized::wait_for(&reference, since, &api.hosts, head, give_up).await
        }
        None => None,
    };
    let is_late = wait.is_some() && realized.is_none();
    let head = api.head();
    let look = Look::new(&head.topology, &api.hosts);
    let found = R::find(look.topology, &id)?;
    let reply = Reply::waited(look.topology.revision(), &found.view(&look), realized);
    let reply = reply.etag(found.meta().revision);
    Ok(if is_late { reply.late() } else { reply })
}

/// `POST /networks`
pub async fn create<R: Resource>(api: &Api, input: Input) -> Result {
    let request = Request::Create { resource: R::COLLECTION, attributes: input.attributes };
    make::<R>(api, request, &input.options).await
}

/// Carries out a request that makes a resource, and says where it is.
pub(super) async fn make<R: Resource>(api: &Api, request: Request, options: &Options) -> Result {
    let (plan, reply) = write::<R>(api, request, options).await?;
    Ok(match id_of(&plan) {
        Some(id) if !options.dry_run => reply.created(&format!("{}/{id}", R::COLLECTION.name())),
        _ => reply,
    })
}

/// `PUT /networks/nw-a`
pub async fn change<R: Resource>(api: &Api, uuid: String, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Update { resource: R::COLLECTION, uuid, attributes, if_match };
    write::<R>(api, request, &options).await.map(|(_, reply)| reply)
}

/// `PUT /ip_leases/il-a/attach`
pub async fn act<R: Resource>(api: &Api, action: Action, uuid: String, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action, uuid, attributes, if_match };
    write::<R>(api, request, &options).await.map(|(_, reply)| reply)
}

/// `DELETE /networks/nw-a`
pub async fn delete<R: Resource>(api: &Api, uuid: String, input: Input) -> Result {
    if let Some(name) = input.attributes.keys().find(|name| *name != "uuid") {
        return Err(Error::argument(name, "there is no such parameter").into());
    }
    let body = [uuid.clone()];
    let request = Request::Delete { resource: R::COLLECTION, uuid, if_match: input.if_match };
    let (plan, realized) = api.write(vec![request], &input.options).await?;
    Ok(Reply::waited(api.revision_of(&plan, &input.options), &body, realized))
}

/// Carries a request out, and shows the object it was about.
async fn write<R: Resource>(api: &Api, request: Request, options: &Options) -> Result<(Plan, Reply)> {
    let (plan, realized) = api.write(vec![request], options).await?;
    let subject = plan.subjects.first().and_then(|subject| plan.after.get(subject)).and_then(R::of);
    let subject = subject.ok_or_else(|| super::error::ApiError::internal("a write lost its object"))?;
    let view = subject.view(&Look::new(&plan.after, &api.hosts));
    let reply = Reply::waited(api.revision_of(&plan, options), &view, realized).etag(subject.meta().revision);
    Ok((plan, reply))
}

/// The id of the first object that a plan is about.
fn id_of(plan: &Plan) -> Option<String> {
    plan.subjects.first().map(id_text)
}

/// The id in a reference.
pub fn id_text(reference: &ObjectRef) -> String {
    let text = reference.to_string();
    text.split_once('/').map_or_else(|| text.clone(), |(_, id)| id.to_owned())
}

/// The names that filter lists: those that every resource has, and the resource's own.
macro_rules! fields {
    ($($own:literal),*) => {
        &["uuid", "project", "created_at", "updated_at", "revision", $($own),*]
    };
}
pub(crate) use fields;

/// Says in which table of the topology a resource is: `stored_as!(Segment in segments)`, in its `impl Resource`.
macro_rules! stored_as {
    ($kind:ident in $table:ident) => {
        fn all(topology: &topology::Topology) -> impl ExactSizeIterator<Item = &std::sync::Arc<Self>> {
            topology.$table().values()
        }

        fn of(object: topology::Object) -> Option<std::sync::Arc<Self>> {
            if let topology::Object::$kind(of) = object { Some(of) } else { None }
        }

        fn meta(&self) -> &topology::meta::Meta {
            &self.meta
        }
    };
}
pub(crate) use stored_as;

/// Says what a resource is that is shown as it is kept, and writes its routes. Its own attributes with simple values are named.
macro_rules! plain_resource {
    ($path:literal: $kind:ident in $table:ident, $spec:ty, $collection:ident; $($field:literal),*) => {
        impl crate::api::resource::Resource for $kind {
            type View = Self;
            const COLLECTION: topology::Collection = topology::Collection::$collection;
            const FIELDS: &'static [&'static str] = crate::api::resource::fields!($($field),*);

            crate::api::resource::stored_as!($kind in $table);

            fn view(&self, _: &crate::api::look::Look<'_>) -> Self {
                self.clone()
            }
        }

        crate::api::resource::resource_routes!($path: $kind, $spec => $kind);
    };
}
pub(crate) use plain_resource;

/// Writes the five routes of a resource.
///
/// `resource_routes!("networks": Network, NetworkSpec => NetworkView)` makes `pub fn routes()`.
macro_rules! resource_routes {
    ($path:literal: $object:ty, $spec:ty => $view:ty) => {
        // The description takes names of generic types without their paths.
        use crate::api::list::Page;

        /// The routes of the collection and of each of its resources.
        pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::api::Api> {
            use utoipa_axum::routes;
            utoipa_axum::router::OpenApiRouter::new()
                .routes(routes!(list, create))
                .routes(routes!(show, change, delete))
        }

        /// Lists them
        ///
        /// Besides the parameters named, every attribute with a simple value filters by its text.
        #[utoipa::path(get, path = concat!("/", $path), operation_id = concat!("list_", $path), tag = $path,
            params(crate::api::list::ListParameters),
            responses((status = 200, body = Page<$view>),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn list(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            axum::extract::RawQuery(query): axum::extract::RawQuery,
        ) -> crate::api::reply::Result {
            crate::api::resource::list::<$object>(&api, query).await
        }

        /// Makes one
        #[utoipa::path(post, path = concat!("/", $path), operation_id = concat!("create_", $path), tag = $path,
            params(crate::api::WriteParameters), request_body = $spec,
            responses((status = 201, body = $view), (status = 202, body = $view, description = "Made, and some hosts do not have it yet"),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn create(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::resource::create::<$object>(&api, input).await
        }

        /// Shows one
        #[utoipa::path(get, path = concat!("/", $path, "/{uuid}"), operation_id = concat!("show_", $path), tag = $path,
            params(("uuid" = String, Path), crate::api::ReadParameters),
            responses((status = 200, body = $view), (status = 202, body = $view, description = "Not active yet, or not on all hosts"),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn show(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            axum::extract::RawQuery(query): axum::extract::RawQuery,
        ) -> crate::api::reply::Result {
            crate::api::resource::show::<$object>(&api, id, query).await
        }

        /// Changes the attributes given
        #[utoipa::path(put, path = concat!("/", $path, "/{uuid}"), operation_id = concat!("change_", $path), tag = $path,
            params(("uuid" = String, Path), crate::api::WriteParameters, crate::api::GuardParameters), request_body = $spec,
            responses((status = 200, body = $view), (status = 202, body = $view, description = "Changed, and some hosts do not have it yet"),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn change(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::resource::change::<$object>(&api, id, input).await
        }

        /// Deletes one, with what depends on it
        #[utoipa::path(delete, path = concat!("/", $path, "/{uuid}"), operation_id = concat!("delete_", $path), tag = $path,
            params(("uuid" = String, Path), crate::api::WriteParameters, crate::api::GuardParameters),
            responses((status = 200, body = Vec<String>), (status = 202, body = Vec<String>, description = "Deleted, and some hosts still have it"),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn delete(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::resource::delete::<$object>(&api, id, input).await
        }
    };
}
pub(crate) use resource_routes;
