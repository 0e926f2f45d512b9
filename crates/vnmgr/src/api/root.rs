//! What the API says of itself: its description, and where the topology stands.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use topology::Revision;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::reply::{Reply, Result};

/// The description. It is the same for all, and takes megabytes to write: so that is done once, and before anybody asks.
pub(super) static DOCUMENT: OnceLock<String> = OnceLock::new();

/// Where the topology stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RevisionView {
    /// Which history the revision is of. It changes when the store is made anew or restored from a backup.
    store_id: String,
    /// How many commits had been made.
    revision: Revision,
}

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(revision)).routes(routes!(document))
}

/// Says where the topology stands
#[utoipa::path(get, path = "/revision", operation_id = "show_revision", tag = "manager",
    responses((status = 200, body = RevisionView), (status = "default", body = ErrorBody)))]
async fn revision(State(api): State<Api>) -> Result {
    let head = api.head();
    let revision = head.topology.revision();
    Ok(Reply::new(revision, &RevisionView { store_id: head.store_id.clone(), revision }))
}

/// Shows this description
#[utoipa::path(get, path = "/openapi.json", operation_id = "show_openapi", tag = "manager",
    responses((status = 200, description = "An OpenAPI 3.1 document", content_type = "application/json")))]
async fn document() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        DOCUMENT.get().expect("the router is made before it serves").as_str(),
    )
}
