//! Replies: a body, and the headers that say what it is true of.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use topology::Revision;

use super::error::ApiError;
use super::input::Return;
use super::rewrite::BASE;
use crate::realized::Realized;

/// The revision that a response reflects.
pub const REVISION_HEADER: HeaderName = HeaderName::from_static("openvnet-revision");

/// The hosts that did not have a change in time.
pub const PENDING_HEADER: HeaderName = HeaderName::from_static("openvnet-pending-hosts");

/// Which of its preferences a client was granted (RFC 7240, section 3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Most hosts named in the header, whose size clients limit. The body names all.
const MAX_PENDING_NAMED: usize = 64;

/// A successful response.
pub struct Reply {
    status: StatusCode,
    revision: Revision,
    etag: Option<Revision>,
    location: Option<String>,
    realized: Option<Realized>,
    shown: Return,
    body: Body,
}

/// A body, as it will be sent.
type Body = Vec<u8>;

/// A body with what the user waited for.
#[derive(Serialize)]
struct Waited<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    realized: &'a Realized,
}

impl Reply {
    /// A body that is true of `revision`.
    pub fn new(revision: Revision, body: &impl Serialize) -> Self {
        Self::of(StatusCode::OK, revision, encode(body))
    }

    fn of(status: StatusCode, revision: Revision, body: Body) -> Self {
        Self { status, revision, etag: None, location: None, realized: None, shown: Return::default(), body }
    }

    /// The same, with what was waited for: in the body, if that is an object.
    pub fn waited<T: Serialize>(revision: Revision, body: &T, realized: Option<Realized>) -> Self {
        let Some(realized) = realized else { return Self::new(revision, body) };
        let plain = encode(body);
        let with = || encode(&Waited { body, realized: &realized });
        let body = if plain.starts_with(b"{") { with() } else { plain };
        let is_late = !realized.pending.is_empty();
        let reply = Self { realized: Some(realized), ..Self::of(StatusCode::OK, revision, body) };
        if is_late { reply.late() } else { reply }
    }

    /// Says that what was waited for did not come in time.
    #[must_use]
    pub fn late(self) -> Self {
        Self { status: StatusCode::ACCEPTED, ..self }
    }

    /// Names the revision of the one object in the body (RFC 9110, section 8.8.3).
    #[must_use]
    pub fn etag(self, revision: Revision) -> Self {
        Self { etag: Some(revision), ..self }
    }

    /// Says that something was made, and where under the API it is.
    #[must_use]
    pub fn created(self, path: &str) -> Self {
        Self { location: Some(format!("{BASE}/{path}")), ..self.made() }
    }

    /// Says that something was made that is shown nowhere else.
    #[must_use]
    pub fn made(self) -> Self {
        let status = if self.status == StatusCode::OK { StatusCode::CREATED } else { self.status };
        Self { status, ..self }
    }

    /// Says how much it shows of what it could.
    #[must_use]
    pub fn showing(self, shown: Return) -> Self {
        Self { shown, ..self }
    }
}

fn encode(body: &impl Serialize) -> Body {
    serde_json::to_vec(body).expect("views have only texts for map keys")
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, "application/json".to_owned());
        set(REVISION_HEADER, self.revision.to_string());
        if self.shown == Return::Minimal {
            set(PREFERENCE_APPLIED, "return=minimal".to_owned());
        }
        if let Some(etag) = self.etag {
            set(header::ETAG, format!("\"{etag}\""));
        }
        if let Some(location) = self.location {
            set(header::LOCATION, location);
        }
        if let Some(realized) = self.realized.filter(|realized| !realized.pending.is_empty()) {
            let named = realized.pending.iter().take(MAX_PENDING_NAMED).map(|node| node.as_str());
            set(PENDING_HEADER, named.collect::<Vec<_>>().join(", "));
        }
        response
    }
}

/// What a handler gives back.
pub type Result<T = Reply> = std::result::Result<T, ApiError>;
