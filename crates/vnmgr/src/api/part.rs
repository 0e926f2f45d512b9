//! Parts of resources: what has no id and is named by its values, as the ports of an interface and the rules of a filter.
//!
//! A noun says what its parts are ([`Parts`]); `part_routes!` writes down their routes.

use serde::Serialize;
use topology::{Action, ObjectRef, Request, Topology};

use super::Api;
use super::error::ApiError;
use super::input::Input;
use super::list::Listing;
use super::reply::{Reply, Result};
use super::resource::Resource;

/// A resource with parts.
pub trait Parts: Resource {
    /// What they are.
    type Part: PartialEq + Serialize + Send;
    /// Their name in paths, behind the id.
    const NAME: &'static str;
    /// The names of their values that filter lists.
    const VALUES: &'static [&'static str];
    /// Adds one.
    const ADD: Action;
    /// Takes away those that the attributes name.
    const REMOVE: Action;

    /// All of them.
    fn parts(&self) -> Vec<Self::Part>;
}

/// `GET /filters/fil-a/static`
pub async fn list<R: Parts>(api: &Api, id: String, query: Option<String>) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), R::VALUES)?;
    let head = api.head();
    let owner = R::find(&head.topology, &id)?;
    let page = listing.page(owner.parts().into_iter(), |_| None, |part| part);
    Ok(Reply::new(head.topology.revision(), &page))
}

/// `POST /filters/fil-a/static`
pub async fn add<R: Parts>(api: &Api, uuid: String, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let path = format!("{}/{uuid}/{}", R::COLLECTION.name(), R::NAME);
    let request = Request::Act { action: R::ADD, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let subject = plan.subjects.first();
    let added = difference::<R>(&plan.after, &plan.before, subject);
    let [added] = &added[..] else { return Err(ApiError::internal("what was added is not there")) };
    let reply = Reply::waited(api.revision_of(&plan, &options), added, realized);
    Ok(if options.dry_run { reply } else { reply.created(&path) })
}

/// `DELETE /filters/fil-a/static`
pub async fn remove<R: Parts>(api: &Api, uuid: String, input: Input) -> Result {
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: R::REMOVE, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let subject = plan.subjects.first();
    let removed = difference::<R>(&plan.before, &plan.after, subject);
    Ok(Reply::waited(api.revision_of(&plan, &options), &removed, realized))
}

/// The parts in one topology that are not in the other.
fn difference<R: Parts>(one: &Topology, other: &Topology, subject: Option<&ObjectRef>) -> Vec<R::Part> {
    let parts = |topology: &Topology| {
        let owner = subject.and_then(|subject| topology.get(subject)).and_then(R::of);
        owner.map_or_else(Vec::new, |owner| owner.parts())
    };
    let other = parts(other);
    parts(one).into_iter().filter(|part| !other.contains(part)).collect()
}

/// Writes the three routes of a resource's parts, each with its id and what it does.
///
/// `part_routes!("filters", "static": Filter, FilterRuleSpec => FilterRule; …)` makes `pub fn part_routes()`.
macro_rules! part_routes {
    ($path:literal, $part_path:literal: $object:ty, $spec:ty => $part:ty;
     $list:literal: $lists:literal, $add:literal: $adds:literal, $remove:literal: $removes:literal) => {
        /// The routes under each of them.
        pub fn part_routes() -> utoipa_axum::router::OpenApiRouter<crate::api::Api> {
            utoipa_axum::router::OpenApiRouter::new()
                .routes(utoipa_axum::routes!(list_parts, add_part, remove_part))
        }

        #[doc = $lists]
        #[utoipa::path(get, path = concat!("/", $path, "/{uuid}/", $part_path), tag = $path,
            operation_id = $list,
            params(("uuid" = String, Path), crate::api::list::ListParameters),
            responses((status = 200, body = Page<$part>),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn list_parts(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            axum::extract::RawQuery(query): axum::extract::RawQuery,
        ) -> crate::api::reply::Result {
            crate::api::part::list::<$object>(&api, id, query).await
        }

        #[doc = $adds]
        #[utoipa::path(post, path = concat!("/", $path, "/{uuid}/", $part_path), tag = $path,
            operation_id = $add,
            params(("uuid" = String, Path), crate::api::WriteParameters, crate::api::GuardParameters), request_body = $spec,
            responses((status = 201, body = $part), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn add_part(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::part::add::<$object>(&api, id, input).await
        }

        #[doc = $removes]
        #[utoipa::path(delete, path = concat!("/", $path, "/{uuid}/", $part_path), tag = $path,
            operation_id = $remove,
            params(("uuid" = String, Path), crate::api::WriteParameters, crate::api::GuardParameters), request_body = $spec,
            responses((status = 200, body = Vec<$part>), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn remove_part(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(id): crate::api::input::PathId,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::part::remove::<$object>(&api, id, input).await
        }
    };
}
pub(crate) use part_routes;
