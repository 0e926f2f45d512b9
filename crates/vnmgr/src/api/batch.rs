//! Batches: many requests, one commit, all or nothing.

use axum::extract::{Request, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use topology::{Error, ErrorKind, ObjectRef, Revision};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiError, ErrorBody};
use super::input::{RawInput, Return};
use super::look::Look;
use super::reply::{Reply, Result};
use super::resource::id_text;
use super::shape::Shape;
use super::shown::{Shown, shown};
use super::{Api, PreferParameters, WriteParameters, compute};
use crate::writer::WriteError;

/// Most operations in a batch. Planning so many takes some seconds, in which nobody else can write.
pub const MAX_OPERATIONS: usize = 50_000;

/// Largest body of a batch, in bytes: more than that many operations of usual size have.
pub const MAX_BATCH_BODY: usize = 64 << 20;

/// Most values of a batch: a real operation has three objects and a dozen attributes.
const MAX_VALUES: Shape = Shape { containers: 4, followers: 40 }.times(MAX_OPERATIONS);

/// How many batches are read at once. Each may take some hundred megabytes of memory, by what its values take; others
/// wait.
pub const BATCHES_AT_ONCE: usize = 2;

/// Many requests for one commit.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// What to do, in this order. Each sees what those before it have done.
    pub operations: Vec<topology::Request>,
}

/// What a batch has done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchResult {
    /// The revision that has all of it.
    pub revision: Revision,
    /// For each operation what it was about, as it is after the whole batch; its id if it is gone. Left out if the client
    /// prefers so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<OperationResult>>,
}

/// What an operation was about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum OperationResult {
    There(Shown),
    Gone(String),
}

/// The route.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(carry_out))
}

/// Carries out many operations as one commit, all or nothing
#[utoipa::path(post, path = "/batch", operation_id = "carry_out_batch", tag = "batch",
    params(WriteParameters, PreferParameters), request_body = Batch,
    responses((status = 200, body = BatchResult), (status = 202, body = BatchResult, description = "Done, and some hosts do not have it yet"),
        (status = "default", body = ErrorBody)))]
async fn carry_out(State(api): State<Api>, request: Request) -> Result {
    let place = api.batches.clone().acquire_owned().await;
    let place = place.map_err(|_| ApiError::unavailable("the manager is stopping"))?;
    let RawInput { body, options, wanted } = RawInput::read(request, MAX_BATCH_BODY).await?;
    let batch = compute(move || parse(&body)).await?;
    // What is left of the body is its requests, and they are in the writer's queue.
    drop(place);
    let written = api.write(batch.operations, &options).await;
    let (plan, realized) = written.map_err(|error| match error {
        WriteError::Refused(refused) if refused.error.kind != ErrorKind::TooLarge => {
            ApiError::from(refused.error).of_operation(refused.index)
        }
        other => other.into(),
    })?;
    let (revision, hosts) = (api.revision_of(&plan, &options), api.hosts.clone());
    compute(move || {
        let look = Look::new(&plan.after, &hosts);
        let show = || plan.subjects.iter().map(|subject| show(subject, &look)).collect();
        let results = (wanted == Return::Representation).then(show);
        Ok(Reply::waited(revision, &BatchResult { revision, results }, realized).showing(wanted))
    })
    .await
}

fn parse(body: &[u8]) -> Result<Batch> {
    let batch: Batch = read(body)?;
    bounded(&batch.operations)?;
    Ok(batch)
}

/// Reads a body that has at most as many values as a batch.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    MAX_VALUES.admit(body)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(malformed)?;
    reader.end().map_err(ApiError::body)?;
    Ok(read)
}

/// Refuses more operations than a commit has.
pub(super) fn bounded(operations: &[topology::Request]) -> Result<()> {
    if operations.len() <= MAX_OPERATIONS {
        return Ok(());
    }
    let message = format!("a batch has at most {MAX_OPERATIONS} operations");
    Err(Error::new(ErrorKind::TooLarge, "operations", message).into())
}

fn malformed(error: serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let (path, cause) = (error.path().to_string(), error.into_inner());
    match cause.classify() {
        serde_json::error::Category::Data => Error::argument(path, cause.to_string()).into(),
        _ => ApiError::body(cause),
    }
}

fn show(subject: &ObjectRef, look: &Look<'_>) -> OperationResult {
    let there = look.topology.get(subject).and_then(|object| shown(&object, look));
    there.map_or_else(|| OperationResult::Gone(id_text(subject)), OperationResult::There)
}
