//! Questions about the topology: as it is, or as it would be after operations that are proposed with the question.
//!
//! They are answered from memory by pure functions, and change nothing. What a proposal would do is worked out as a dry run
//! does it, so a question about it is refused where the change would be.

use axum::extract::Request;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::batch::{MAX_BATCH_BODY, bounded, read};
use super::error::ApiError;
use super::input::RawInput;
use super::look::Look;
use super::policy::PolicySpec;
use super::reach::ReachSpec;
use super::reply::{Reply, Result};
use super::trace::TraceSpec;
use super::{Api, compute};
use crate::plan::{Plan, Task};

/// How many questions are answered at once: some keep the processors busy for seconds. Others wait.
pub const QUESTIONS_AT_ONCE: usize = 2;

/// A question with what it is about.
pub(super) trait Question: Proposes + DeserializeOwned + Send + 'static {
    /// What it is answered.
    type Answer: Serialize;

    /// The answer.
    fn answer(self, look: &Look<'_>) -> Result<Self::Answer>;
}

/// What is assumed to be done before something is asked.
pub(super) trait Proposes {
    /// Takes it out.
    fn proposal(&mut self) -> Vec<topology::Request>;
}

/// Has bodies with `operations` propose them.
macro_rules! proposes {
    ($($body:ty)*) => {$(
        impl Proposes for $body {
            fn proposal(&mut self) -> Vec<topology::Request> {
                std::mem::take(&mut self.operations)
            }
        }
    )*};
}

proposes!(TraceSpec ReachSpec PolicySpec);

/// Answers a question.
pub(super) async fn ask<Q: Question>(api: &Api, request: Request) -> Result {
    let place = api.questions.clone().acquire_owned().await;
    let place = place.map_err(|_| ApiError::unavailable("the manager is stopping"))?;
    let RawInput { body, options, .. } = RawInput::read(request, MAX_BATCH_BODY).await?;
    if options.dry_run || options.wait.is_some() {
        return Err(ApiError::argument(
            "dry_run",
            "a question changes nothing, and there is nothing to wait for",
        ));
    }
    let (head, hosts) = (api.head(), api.hosts.clone());
    compute(move || {
        // Moved here, so that the place is taken as long as the work lasts, even if nobody waits for it any more.
        let _place = place;
        let mut question: Q = read(&body)?;
        drop(body);
        let operations = question.proposal();
        if operations.is_empty() {
            let answer = question.answer(&Look::new(&head.topology, &hosts))?;
            return Ok(Reply::new(head.topology.revision(), &answer));
        }
        bounded(&operations)?;
        let (task, seen) = (Task::Requests(operations), hosts.read().seen());
        let plan = Plan::make(&head.topology, &seen, &task, Timestamp::now(), rand::random());
        let plan = plan.map_err(|refused| ApiError::from(refused.error).of_operation(refused.index))?;
        let answer = question.answer(&Look::new(&plan.after, &hosts))?;
        Ok(Reply::new(head.topology.revision(), &answer))
    })
    .await
}
