//! Input: what a write asks for, from the query string, the headers and the body.
//!
//! # One set of attributes, several ways to send it
//! The original's clients send attributes in the query string, or as a form. JSON may come plain or, as the original
//! wanted it, inside an object with one name: `{"network": {…}}`. All are merged; what stands in the body wins.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::{HeaderMap, HeaderName, header, request::Parts};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde_json::Value;
use topology::{Attributes, Error, Revision};

use super::error::ApiError;
use super::shape;
use crate::realized::{DEFAULT_WAIT, MAX_WAIT};

/// Largest body of a request about one resource, in bytes. The largest real one, full of labels, has a thirtieth.
pub const MAX_BODY: usize = 1 << 20;

/// How long a body may take to arrive: a batch of the largest size needs 2 MiB a second.
pub const BODY_TIME: Duration = Duration::from_secs(30);

/// The one attribute that is an object itself, and so is no wrapper when it comes alone.
const OBJECT_ATTRIBUTE: &str = "labels";

/// What a client would like, and a server may ignore (RFC 7240, section 2).
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// An id in a path.
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| ApiError::unknown_route(parts.uri.path()))
    }
}

/// Two ids in a path: of a resource, and of one that belongs or is related to it.
pub struct PathIds(pub (String, String));

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        path.map(|Path(ids)| Self(ids)).map_err(|_| ApiError::unknown_route(parts.uri.path()))
    }
}

/// How a write is to be done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Say what would happen, and change nothing.
    pub dry_run: bool,
    /// Answer when every host concerned has the change, or after this time.
    pub wait: Option<Duration>,
}

impl Options {
    /// Takes the options from the parameters of a query and leaves the others.
    fn take(pairs: &mut Vec<(String, String)>) -> Result<Self, ApiError> {
        let wait = waiting(pairs, "realized")?;
        let dry_run = match take(pairs, "dry_run").as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(_) => return Err(ApiError::argument("dry_run", "must be true or false")),
        };
        Ok(Self { dry_run, wait })
    }
}

/// How long to wait until what a query asks for is as it says, which can only be `so`.
///
/// # Errors
/// It says otherwise, or the time is none.
pub fn waiting(pairs: &mut Vec<(String, String)>, so: &str) -> Result<Option<Duration>, ApiError> {
    let (wait, timeout) = (take(pairs, "wait"), take(pairs, "timeout"));
    let timeout = timeout.map_or(Ok(DEFAULT_WAIT), |text| {
        let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_WAIT.as_secs());
        let reason = format!("must be a whole number of seconds, at most {}", MAX_WAIT.as_secs());
        seconds.map(Duration::from_secs).ok_or_else(|| ApiError::argument("timeout", &reason))
    })?;
    match wait.as_deref() {
        None => Ok(None),
        Some(wanted) if wanted == so => Ok(Some(timeout)),
        Some(_) => Err(ApiError::argument("wait", &format!("must be `{so}`"))),
    }
}

fn take(pairs: &mut Vec<(String, String)>, wanted: &str) -> Option<String> {
    let found = pairs.iter().position(|(name, _)| name == wanted)?;
    Some(pairs.remove(found).1)
}

/// What a write asks for.
pub struct Input {
    /// The attributes given.
    pub attributes: Attributes,
    /// How it is to be done.
    pub options: Options,
    /// Only if the resource was last changed at this revision.
    pub if_match: Option<Revision>,
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let options = Options::take(&mut query)?;
        let if_match = if_match(&parts.headers)?;
        let body = read_body(body, MAX_BODY).await?;
        let mut attributes = texts(query)?;
        attributes.extend(parse_body(&parts.headers, &body)?);
        Ok(Self { attributes, options, if_match })
    }
}

/// How much of what was done is shown (RFC 7240, section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Return {
    /// As little as can be.
    Minimal,
    /// Every object.
    #[default]
    Representation,
}

/// A body and the options beside it, for the one request that takes no attributes.
pub struct RawInput {
    /// The body.
    pub body: Bytes,
    /// How it is to be done.
    pub options: Options,
    /// How much of it is to be shown.
    pub wanted: Return,
}

impl RawInput {
    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// The body is too large or does not come, or a parameter is none.
    pub async fn read(request: Request, limit: usize) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let options = Options::take(&mut query)?;
        match query.first() {
            Some((name, _)) => Err(Error::argument(name, "there is no such parameter").into()),
            None => Ok(Self { body: read_body(body, limit).await?, options, wanted: wanted(&parts.headers) }),
        }
    }
}

/// The parameters of a query string or a form, in their order. What is no UTF-8 is replaced (WHATWG URL, 5.1).
pub fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn texts(pairs: Vec<(String, String)>) -> Result<Attributes, ApiError> {
    let mut attributes = Attributes::new();
    for (name, value) in pairs {
        if attributes.insert(name.clone(), Value::String(value)).is_some() {
            return Err(ApiError::argument(&name, "is given twice"));
        }
    }
    Ok(attributes)
}

async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, limit)).await;
    read.map_err(|_| ApiError::slow_body())?.map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.is_some_and(|source| source.is::<LengthLimitError>()) {
            true => ApiError::too_large(limit),
            false => ApiError::body(error),
        }
    })
}

fn parse_body(headers: &HeaderMap, body: &[u8]) -> Result<Attributes, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Attributes::new());
    }
    // Some clients name the form type whatever they send; no attribute begins with a brace.
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    match media_type(headers).as_deref() {
        Some("application/x-www-form-urlencoded") if !looks_like_json => texts(pairs(body)),
        None | Some("application/json" | "text/json" | "application/x-www-form-urlencoded") => {
            shape::RESOURCE.admit(body)?;
            serde_json::from_slice(body).map_err(ApiError::body).map(unwrapped)
        }
        Some(_) => Err(ApiError::media_type()),
    }
}

/// The media type without its parameters (RFC 9110, section 8.3.1).
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    text.split(';').next().map(|media_type| media_type.trim().to_owned())
}

fn unwrapped(mut attributes: Attributes) -> Attributes {
    let mut names = attributes.keys();
    let (Some(name), None) = (names.next().cloned(), names.next()) else { return attributes };
    match attributes.get_mut(&name) {
        Some(Value::Object(inner)) if name != OBJECT_ATTRIBUTE => std::mem::take(inner),
        _ => attributes,
    }
}

/// `If-Match` (RFC 9110, section 13.1.1): one entity tag, with or without its quotes, or `*`, which any resource that
/// exists matches. Weak tags never match there, and this API makes none.
fn if_match(headers: &HeaderMap) -> Result<Option<Revision>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = text.trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let digits = bare.bytes().all(|byte| byte.is_ascii_digit()).then_some(bare);
    let revision = digits.and_then(|digits| digits.parse().ok()).map(Revision);
    revision.map(Some).ok_or_else(|| ApiError::argument("If-Match", "must be one revision, such as \"12\""))
}

/// The first `return` of `Prefer` (RFC 7240, section 2). What else it says, and what nobody understands, is ignored.
fn wanted(headers: &HeaderMap) -> Return {
    let lines = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = lines.flat_map(|line| line.split(',')).filter_map(|one| one.split(';').next());
    let mut named = preferences.filter_map(|preference| preference.split_once('='));
    match named.find(|(name, _)| name.trim().eq_ignore_ascii_case("return")) {
        Some((_, value)) if value.trim().trim_matches('"').eq_ignore_ascii_case("minimal") => Return::Minimal,
        _ => Return::Representation,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn attributes(media_type: Option<&str>, body: &str) -> Option<Value> {
        let mut headers = HeaderMap::new();
        if let Some(media_type) = media_type {
            headers.insert(header::CONTENT_TYPE, media_type.parse().expect("a header"));
        }
        parse_body(&headers, body.as_bytes()).ok().map(Value::Object)
    }

    #[test]
    fn a_body_is_read_in_every_form_that_clients_send() {
        let check = |media_type, body, expected| assert_eq!(attributes(media_type, body), expected, "{body}");
        let name = json!({"display_name": "a b"});
        check(Some("application/json"), r#"{"display_name":"a b"}"#, Some(name.clone()));
        check(
            Some("application/json; charset=utf-8"),
            r#"{"network":{"display_name":"a b"}}"#,
            Some(name.clone()),
        );
        check(Some("application/x-www-form-urlencoded"), "display_name=a+b", Some(name.clone()));
        check(Some("application/x-www-form-urlencoded"), r#" {"display_name":"a b"}"#, Some(name.clone()));
        check(None, r#"{"display_name":"a b"}"#, Some(name));
        check(None, "", Some(json!({})));
        check(Some("application/json"), r#"{"labels":{"a":"b"}}"#, Some(json!({"labels": {"a": "b"}})));
        check(Some("application/json"), "[1]", None);
        check(Some("application/json"), "{", None);
        check(Some("application/yaml"), "a: b", None);
        check(Some("application/x-www-form-urlencoded"), "a=1&a=2", None);
    }

    #[test]
    fn if_match_takes_one_revision() {
        let check = |text: &str, expected: Result<Option<u64>, ()>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().expect("a header"));
            let found = if_match(&headers).map(|revision| revision.map(|of| of.0)).map_err(drop);
            assert_eq!(found, expected, "{text}");
        };
        check("12", Ok(Some(12)));
        check("\"12\"", Ok(Some(12)));
        check("*", Ok(None));
        check("W/\"12\"", Err(()));
        check("\"1\", \"2\"", Err(()));
        check("+1", Err(()));
        check("", Err(()));
    }

    #[test]
    fn the_first_return_that_is_preferred_counts() {
        let check = |lines: &[&'static str], expected| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER, HeaderValue::from_static(line));
            }
            assert_eq!(wanted(&headers), expected, "{lines:?}");
        };
        check(&[], Return::Representation);
        check(&["return=minimal"], Return::Minimal);
        check(&["Return = \"minimal\" ; foo=1"], Return::Minimal);
        check(&["respond-async, return=minimal"], Return::Minimal);
        check(&["wait=10", "return=minimal"], Return::Minimal);
        check(&["return=representation", "return=minimal"], Return::Representation);
        check(&["return=nothing"], Return::Representation);
        check(&["minimal"], Return::Representation);
    }
}
