//! The one error of the Web API: what the user is told, and with which status.
//!
//! Rules of the topology keep the names and codes of [`topology::ErrorKind`]. What only HTTP can get wrong has names of
//! its own here. Details of internal failures go to the log and not to the user.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use topology::{Error, ErrorKind};

use crate::writer::WriteError;
use sync::AskError;
use sync::question::Refusal;
use topology::NodeId;

/// What every refused request is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The kind of mistake.
    #[schema(example = "MissingArgument")]
    pub error: &'static str,
    /// The same, as the number of the original.
    #[schema(example = "111")]
    pub code: &'static str,
    /// The reason, for people.
    pub message: String,
    /// The attribute, parameter or header at fault, if it is one. In a batch it begins with `operations[17].`.
    pub field: Option<String>,
}

/// Why a request was refused. Nothing has changed.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, error: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { error, code, message: message.into(), field: None } }
    }

    /// A parameter or header that cannot be read.
    pub fn argument(field: &str, reason: &str) -> Self {
        Error::argument(field, reason).into()
    }

    /// A body that cannot be read.
    pub fn body(reason: impl std::fmt::Display) -> Self {
        let message = format!("Invalid request body. {reason}");
        Error { kind: ErrorKind::Argument, field: None, message }.into()
    }

    /// A body that is larger than allowed.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Error { kind: ErrorKind::TooLarge, field: None, message }.into()
    }

    /// A body with more values than any request has.
    pub fn too_many_values() -> Self {
        let message = "the body has more values than any request needs".to_owned();
        Error { kind: ErrorKind::TooLarge, field: None, message }.into()
    }

    /// A body in a form that this API does not take.
    pub fn media_type() -> Self {
        let message = "send application/json or application/x-www-form-urlencoded";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "415", message)
    }

    /// A body that does not come.
    pub fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "408", "the body did not come in time")
    }

    /// A path that leads nowhere.
    pub fn unknown_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "UnknownRoute", "404", format!("there is nothing at {path}"))
    }

    /// A path that does not take the method.
    pub fn method_not_allowed(method: &axum::http::Method) -> Self {
        let message = format!("{method} is not possible here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "405", message)
    }

    /// A request that a browser sends on behalf of some other site.
    pub fn foreign_origin() -> Self {
        let message = "requests from pages of other sites are refused";
        Self::new(StatusCode::FORBIDDEN, "ForeignOrigin", "403", message)
    }

    /// A revision of which nobody can say any more what came after it.
    pub fn gone(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Gone", "410", reason)
    }

    /// A mistake of ours. `context` goes to the log.
    pub fn internal(context: &str) -> Self {
        tracing::error!(context, "internal error");
        let message = "something went wrong inside the manager; its log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "500", message)
    }

    /// The store does not take commits, or the manager is stopping.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", "503", reason)
    }

    /// Only a host could answer, and its agent is not connected.
    pub fn away(node: &NodeId) -> Self {
        Self::unavailable(format!(
            "the agent of {node} is not connected to this manager: see `vnctl hosts show {node}`"
        ))
    }

    /// Only a host could answer, and it does not.
    pub fn asked(node: &NodeId, error: AskError) -> Self {
        match error {
            AskError::TooOld => {
                let message = format!("the agent of {node} is too old for this question: update vna there");
                Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "501", message)
            }
            AskError::TimedOut => {
                let message = format!("{node}: {error}; see on the host whether ovs-vswitchd is busy");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", "504", message)
            }
            AskError::Senseless(_) => {
                Self::new(StatusCode::BAD_GATEWAY, "BadAnswer", "502", format!("{node}: {error}"))
            }
            AskError::Refused(Refusal::Invalid(reason)) => {
                let message = format!("{node}: {reason}");
                Error { kind: ErrorKind::Argument, field: None, message }.into()
            }
            AskError::Refused(Refusal::Unavailable(_)) | AskError::Busy | AskError::Gone => {
                Self::unavailable(format!("{node}: {error}"))
            }
        }
    }

    /// The attribute, parameter or header at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        self.body.field.as_deref()
    }

    /// The body, for an answer that has begun.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.body).expect("it has only texts")
    }

    /// The same error, about the operation of a batch.
    pub fn of_operation(mut self, index: usize) -> Self {
        let field = self.body.field.take();
        self.body.field = Some(match field {
            Some(field) => format!("operations[{index}].{field}"),
            None => format!("operations[{index}]"),
        });
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (name, code, status) = error.kind.describe();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, body: ErrorBody { error: name, code, message: error.message, field: error.field } }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => refused.error.into(),
            unavailable => Self::unavailable(unavailable.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_a_host_is_told_why_it_does_not_answer() {
        let node: NodeId = "host1".parse().expect("a node id");
        let check = |error: ApiError, status: u16, name: &str, words: &str| {
            assert_eq!((error.status.as_u16(), error.body.error), (status, name), "{error:?}");
            let message = &error.body.message;
            assert!(message.contains("host1") && message.contains(words), "{message}");
        };
        let asked = |error| ApiError::asked(&node, error);
        check(ApiError::away(&node), 503, "Unavailable", "not connected");
        check(asked(AskError::TooOld), 501, "NotImplemented", "update vna");
        check(asked(AskError::Senseless("it is too long".to_owned())), 502, "BadAnswer", "too long");
        check(asked(AskError::TimedOut), 504, "Timeout", "ovs-vswitchd");
        check(asked(AskError::Gone), 503, "Unavailable", "");
        check(asked(AskError::Busy), 503, "Unavailable", "");
        let refused = |refusal| asked(AskError::Refused(refusal));
        check(refused(Refusal::Unavailable("no switch".to_owned())), 503, "Unavailable", "no switch");
        check(refused(Refusal::Invalid("no table x".to_owned())), 400, "ArgumentError", "no table x");
    }
}
