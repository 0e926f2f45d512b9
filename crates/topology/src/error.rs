//! The one error of requests: what the user did, and which status says so.
//!
//! Names and codes are the original's where it had one. What it answered with status 500 or, without distinction,
//! 400 is told apart here: 400 for what cannot be read, 404 for what is not there, 409 for what is taken, 412 for a
//! missed `If-Match`, 422 for what can be read and makes no sense.

use crate::id::InvalidId;

/// Why a request was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of mistake it is.
    pub kind: ErrorKind,
    /// The attribute at fault, if it is one.
    pub field: Option<String>,
    /// The reason, for the user.
    pub message: String,
}

/// The kinds of mistakes, each with a name, a code and a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// An id is well formed, and nothing has it.
    UnknownUuid,
    /// An id is malformed.
    InvalidUuid,
    /// The id of a new object is taken.
    DuplicateUuid,
    /// A reference contradicts another.
    InvalidReference,
    /// A value cannot be read.
    Argument,
    /// A value can be read, and does not fit.
    Unfit,
    /// A required value is missing.
    MissingArgument,
    /// An address, port or key is taken.
    Duplicate,
    /// A sub-resource named by its fields is not there.
    UnknownResource,
    /// `If-Match` names another revision.
    PreconditionFailed,
    /// The request is too large.
    TooLarge,
    /// No key is left.
    Exhausted,
}

impl ErrorKind {
    /// The original's name, its code and the HTTP status.
    pub fn describe(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::UnknownUuid => ("UnknownUUIDResource", "100", 404),
            Self::InvalidUuid => ("InvalidUUID", "101", 400),
            Self::DuplicateUuid => ("DuplicateUUID", "102", 409),
            Self::InvalidReference => ("InvalidID", "103", 422),
            Self::Argument => ("ArgumentError", "110", 400),
            Self::Unfit => ("ArgumentError", "110", 422),
            Self::MissingArgument => ("MissingArgument", "111", 400),
            Self::Duplicate => ("RelationAlreadyExists", "112", 409),
            Self::UnknownResource => ("UnknownResource", "114", 404),
            Self::PreconditionFailed => ("PreconditionFailed", "115", 412),
            Self::TooLarge => ("RequestTooLarge", "116", 413),
            Self::Exhausted => ("Exhausted", "117", 422),
        }
    }
}

impl Error {
    /// An error of `kind` about `field`.
    pub fn new(kind: ErrorKind, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, field: Some(field.into()), message: message.into() }
    }

    /// A value that cannot be read.
    pub fn argument(field: impl Into<String>, reason: impl AsRef<str>) -> Self {
        Self::about(ErrorKind::Argument, field, reason)
    }

    /// A value that can be read and does not fit.
    pub fn unfit(field: impl Into<String>, reason: impl AsRef<str>) -> Self {
        Self::about(ErrorKind::Unfit, field, reason)
    }

    /// Something that is taken.
    pub fn duplicate(field: impl Into<String>, reason: impl AsRef<str>) -> Self {
        Self::about(ErrorKind::Duplicate, field, reason)
    }

    /// A required value that is missing. The message is the attribute's name, as in the original.
    pub fn missing(field: &'static str) -> Self {
        Self::new(ErrorKind::MissingArgument, field, field)
    }

    /// An id that nothing has.
    pub fn unknown(field: impl Into<String>, id: impl std::fmt::Display) -> Self {
        let field = field.into();
        let message = format!("nothing has the {field} {id}");
        Self::new(ErrorKind::UnknownUuid, field, message)
    }

    /// A malformed id.
    pub fn invalid_uuid(field: impl Into<String>, cause: &InvalidId) -> Self {
        Self::new(ErrorKind::InvalidUuid, field, cause.to_string())
    }

    fn about(kind: ErrorKind, field: impl Into<String>, reason: impl AsRef<str>) -> Self {
        let field = field.into();
        let message = format!("{field}: {}", reason.as_ref());
        Self::new(kind, field, message)
    }
}
