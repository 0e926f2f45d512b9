//! Relations: what joins two resources, under the path of one by the id of the other, as the networks of a lease policy.
//!
//! A noun says what it is related to ([`Relation`]); `relation_routes!` writes down the routes.

use serde::Serialize;
use topology::{Action, Error, Id, Request, Topology};

use super::Api;
use super::error::ApiError;
use super::input::Input;
use super::list::Listing;
use super::nested;
use super::reply::{Reply, Result};
use super::resource::Resource;

/// A kind of relation.
pub trait Relation: 'static {
    /// Under whose path it is.
    type Owner: Resource;
    /// The id of the other end.
    type Other: Id + Send;
    /// What is said of it.
    type View: Serialize + Send;
    /// Its name in paths, behind the owner's id.
    const NAME: &'static str;
    /// The attribute that names the other end.
    const FIELD: &'static str;
    /// The names in its representation that filter lists.
    const FIELDS: &'static [&'static str];
    /// Makes one.
    const ADD: Action;
    /// Takes one away.
    const REMOVE: Action;

    /// What an owner is related to.
    fn others(topology: &Topology, owner: &Self::Owner) -> Vec<Self::Other>;
    /// Shows a relation, if it is there.
    fn view(topology: &Topology, owner: &Self::Owner, other: &Self::Other) -> Option<Self::View>;
}

/// A relation as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Related<T> {
    /// In a list, the id of the other end; of one that was made, that of the owner, as in the original.
    pub uuid: String,
    /// The relation.
    #[serde(flatten)]
    pub relation: T,
}

/// `GET /lease_policies/lp-a/networks`
pub async fn list<R: Relation>(api: &Api, owner: String, query: Option<String>) -> Result {
    let listing = Listing::parse(&query.unwrap_or_default(), R::FIELDS)?;
    api.read(move |look| {
        let owner = R::Owner::find(look.topology, &owner)?;
        let others = R::others(look.topology, &owner).into_iter();
        let show = |other: R::Other| {
            let relation = R::view(look.topology, &owner, &other)?;
            Some(Related { uuid: other.to_string(), relation })
        };
        let page = listing.page(others, |_| None, show);
        Ok(Reply::new(look.topology.revision(), &page))
    })
    .await
}

/// `POST /lease_policies/lp-a/networks/nw-a`
pub async fn add<R: Relation>(api: &Api, (uuid, other): (String, String), mut input: Input) -> Result {
    let path = format!("{}/{uuid}/{}", R::Owner::COLLECTION.name(), R::NAME);
    nested::name(&mut input, R::FIELD, other.clone())?;
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: R::ADD, uuid: uuid.clone(), attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    let owner = R::Owner::find(&plan.after, &uuid)?;
    let id: R::Other = other.parse().map_err(|cause| Error::invalid_uuid(R::FIELD, &cause))?;
    let relation =
        R::view(&plan.after, &owner, &id).ok_or_else(|| ApiError::internal("a relation was lost"))?;
    let reply = Reply::waited(api.revision_of(&plan, &options), &Related { uuid, relation }, realized);
    Ok(if options.dry_run { reply } else { reply.created(&path) })
}

/// `DELETE /lease_policies/lp-a/networks/nw-a`
pub async fn remove<R: Relation>(api: &Api, (uuid, other): (String, String), mut input: Input) -> Result {
    nested::name(&mut input, R::FIELD, other.clone())?;
    let Input { attributes, options, if_match } = input;
    let request = Request::Act { action: R::REMOVE, uuid, attributes, if_match };
    let (plan, realized) = api.write(vec![request], &options).await?;
    Ok(Reply::waited(api.revision_of(&plan, &options), &[other], realized))
}

/// Writes the three routes of a kind of relation, in a module of its own.
///
/// `relation_routes!("lease_policies", "networks", "network_uuid": Networks, PolicyNetworkSpec => PolicyNetwork)` makes
/// `pub fn routes()`.
macro_rules! relation_routes {
    ($path:literal, $name:literal, $id:literal: $relation:ty, $spec:ty => $view:ty) => {
        // The description takes names of generic types without their paths.
        use crate::api::list::Page;
        use crate::api::relation::Related;

        /// The routes under each owner.
        pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::api::Api> {
            use utoipa_axum::routes;
            utoipa_axum::router::OpenApiRouter::new().routes(routes!(list)).routes(routes!(add, remove))
        }

        /// Lists what one is related to in this way
        #[utoipa::path(get, path = concat!("/", $path, "/{uuid}/", $name), tag = $path,
            operation_id = concat!("list_", $name, "_of_", $path),
            params(("uuid" = String, Path), crate::api::list::ListParameters),
            responses((status = 200, body = Page<Related<$view>>),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn list(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathId(owner): crate::api::input::PathId,
            axum::extract::RawQuery(query): axum::extract::RawQuery,
        ) -> crate::api::reply::Result {
            crate::api::relation::list::<$relation>(&api, owner, query).await
        }

        /// Makes this relation
        #[utoipa::path(post, path = concat!("/", $path, "/{uuid}/", $name, "/{", $id, "}"), tag = $path,
            operation_id = concat!("add_", $name, "_to_", $path),
            params(("uuid" = String, Path), ($id = String, Path), crate::api::WriteParameters,
                crate::api::GuardParameters), request_body = $spec,
            responses((status = 201, body = Related<$view>),
                (status = "default", body = crate::api::error::ErrorBody)))]
        async fn add(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathIds(ids): crate::api::input::PathIds,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::relation::add::<$relation>(&api, ids, input).await
        }

        /// Takes this relation away
        #[utoipa::path(delete, path = concat!("/", $path, "/{uuid}/", $name, "/{", $id, "}"), tag = $path,
            operation_id = concat!("remove_", $name, "_from_", $path),
            params(("uuid" = String, Path), ($id = String, Path), crate::api::WriteParameters,
                crate::api::GuardParameters),
            responses((status = 200, body = Vec<String>), (status = "default", body = crate::api::error::ErrorBody)))]
        async fn remove(
            axum::extract::State(api): axum::extract::State<crate::api::Api>,
            crate::api::input::PathIds(ids): crate::api::input::PathIds,
            input: crate::api::input::Input,
        ) -> crate::api::reply::Result {
            crate::api::relation::remove::<$relation>(&api, ids, input).await
        }
    };
}
pub(crate) use relation_routes;
