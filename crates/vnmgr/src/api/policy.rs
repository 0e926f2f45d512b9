//! Policies: whether statements about who reaches whom are true, and if not, one packet that shows it.
//!
//! Like [`super::reach`], they are judged as if every interface was plugged in. A violation's packet is walked in that topology.

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use topology::reach::policy::{MAX_STATEMENTS, MAX_VIOLATIONS};
use topology::reach::{Judgement, Statement, TrafficSet, Violation, Wrong, plugged_in};
use topology::walk::Connections;
use topology::{Error, ErrorKind, InterfaceId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::look::Look;
use super::question::{Question, ask};
use super::reply::Result;
use super::trace::{TraceView, Trip};

/// A policy.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// What ought to be true, at most 1,000.
    statements: Vec<Statement>,
    /// What is assumed to be done before: operations as of a batch.
    #[serde(default)]
    pub(super) operations: Vec<topology::Request>,
}

/// Whether a policy is kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PolicyView {
    /// Whether all statements are true.
    pub holds: bool,
    /// Each statement, in order.
    pub statements: Vec<JudgementView>,
}

/// Whether a statement is true.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JudgementView {
    /// Its name, or its number.
    pub name: String,
    /// Whether it is true. Of nobody everything is.
    pub holds: bool,
    /// How many interfaces send.
    pub senders: usize,
    /// How many interfaces receive.
    pub receivers: usize,
    /// What contradicts it, the first few.
    pub violations: Vec<ViolationView>,
}

/// What contradicts a statement.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ViolationView {
    /// In words.
    pub text: String,
    /// What is wrong.
    pub wrong: Wrong,
    /// Of which traffic it is.
    #[schema(value_type = String, example = "tcp 22")]
    pub traffic: TrafficSet,
    /// Who sends it.
    pub from: InterfaceId,
    /// How many send as this one does.
    pub senders_alike: usize,
    /// Who receives it, or should.
    pub to: InterfaceId,
    /// How many receive as this one does.
    pub receivers_alike: usize,
    /// One packet of it; absent if the two have no addresses of one family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceView>,
}

/// The route.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(assert))
}

/// Says whether a policy is kept
#[utoipa::path(post, path = "/assert", operation_id = "assert_policy", tag = "questions", request_body = PolicySpec,
    responses((status = 200, body = PolicyView), (status = "default", body = ErrorBody)))]
async fn assert(State(api): State<Api>, request: Request) -> Result {
    ask::<PolicySpec>(&api, request).await
}

impl Question for PolicySpec {
    type Answer = PolicyView;

    fn answer(self, look: &Look<'_>) -> Result<PolicyView> {
        if self.statements.len() > MAX_STATEMENTS {
            let message = format!("a policy has at most {MAX_STATEMENTS} statements");
            return Err(Error::new(ErrorKind::TooLarge, "statements", message).into());
        }
        let topology = plugged_in(look.topology);
        let judged = self.statements.iter().enumerate().map(|(number, statement)| {
            let judgement = statement.judge(&topology).map_err(|error| located(number, error))?;
            let name = statement.name.clone().unwrap_or_else(|| format!("statement {}", number + 1));
            Ok(view(&topology, name, judgement))
        });
        let statements = judged.collect::<std::result::Result<Vec<_>, Error>>()?;
        Ok(PolicyView { holds: statements.iter().all(|of| of.holds), statements })
    }
}

fn located(number: usize, error: Error) -> Error {
    let place = format!("statements[{number}]");
    let field = error.field.map_or(place.clone(), |field| format!("{place}.{field}"));
    Error { field: Some(field), ..error }
}

fn view(topology: &Topology, name: String, judgement: Judgement) -> JudgementView {
    let Judgement { guests: (senders, receivers), violations } = judgement;
    let holds = violations.is_empty();
    debug_assert!(violations.len() <= MAX_VIOLATIONS);
    let violations = violations.into_iter().map(|of| violation(topology, of)).collect();
    JudgementView { name, holds, senders, receivers, violations }
}

fn violation(topology: &Topology, violation: Violation) -> ViolationView {
    let Violation { wrong, traffic, from, to, shown_by } = violation;
    let trip = Trip { from: from.0.clone(), to: to.0.to_string(), expected: Some(to.0.clone()) };
    let trace = shown_by.map(|sent| trip.walk(topology, sent, &Connections::default()).0);
    let (alike_from, alike_to) = (alike(from.1), alike(to.1));
    let verb = match wrong {
        Wrong::Arrives => "reaches",
        Wrong::DoesNotArrive => "does not reach",
    };
    ViolationView {
        text: format!("{}{alike_from} {verb} {}{alike_to}: {traffic}", from.0, to.0),
        wrong,
        traffic,
        from: from.0,
        senders_alike: from.1,
        to: to.0,
        receivers_alike: to.1,
        trace,
    }
}

fn alike(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        more => format!(" (and {} alike)", more - 1),
    }
}
