//! What Prometheus asks of the manager. Outside of the API's description, as [`super::health`].

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;

use super::Api;
use crate::metrics::{self, Metrics};

/// The route, beside those of the API.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/metrics", get(show))
}

async fn show(State(api): State<Api>) -> Response {
    let (metrics, head, hosts) = (api.metrics.clone(), api.head(), api.hosts.clone());
    super::compute(move || web::metrics::page(&[metrics.registry(), &metrics::state(&head.topology, &hosts)]))
        .await
}

/// Counts and times a request under its route.
pub(super) async fn request(
    State(metrics): State<Arc<Metrics>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    // Paths that nobody has thought of are counted together: they would be without number.
    let route = path.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.answered(method.as_str(), route, response.status().as_u16(), began.elapsed());
    response
}
