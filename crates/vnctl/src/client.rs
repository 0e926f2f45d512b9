//! The client of the Web API: one request, one answer, and every way in which that can fail.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use ureq::http;

use crate::error::Error;

/// How long a request may take, besides what the manager was told to wait.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes: a page of the largest objects is far below.
const MAX_ANSWER: u64 = 256 << 20;
/// How many objects a list asks for at once. The manager gives up to 10,000.
const PAGE: usize = 1000;

/// Where the manager is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Up to and including the version.
    pub(crate) url: String,
    /// Who says so.
    pub(crate) origin: Origin,
}

/// Who named the manager's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    File(String),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --url"),
            Self::Environment => f.write_str("from VNET_WEBAPI"),
            Self::File(path) => write!(f, "from {path}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
        }
    }
}

/// A request to be made.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
    if_match: Option<u64>,
}

impl Request {
    /// A request for the path of these segments.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let segments: Vec<_> = segments.iter().map(|segment| encoded(segment)).collect();
        Self::at(method, segments.join("/"))
    }

    /// A request for a path that is encoded already, perhaps with a query.
    pub(crate) fn at(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), body: None, if_match: None }
    }

    pub(crate) fn query(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.query.extend(pairs);
        self
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn if_match(self, if_match: Option<u64>) -> Self {
        Self { if_match, ..self }
    }

    fn url(&self, base: &str) -> String {
        let query: Vec<_> =
            self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let separator = match (query.is_empty(), self.path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        format!("{base}/{}{separator}{}", self.path, query.join("&"))
    }
}

/// Text as a path segment or a part of a query (RFC 3986, section 2.1: all but unreserved characters).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What the manager said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The revision it reflects; for a change, the one it made.
    pub(crate) revision: Option<String>,
    /// Hosts that had not realized the change in the time given.
    pub(crate) pending: Vec<String>,
    /// What was asked for.
    pub(crate) body: Value,
}

impl Answer {
    /// An error if hosts are behind.
    pub(crate) fn realized(&self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Who looks at something waits for what changed it last, and is told what is newest.
        let waited_for = self.body.pointer("/realized/revision").map(Value::to_string);
        let revision = waited_for.or_else(|| self.revision.clone()).unwrap_or_else(|| "?".to_owned());
        Err(Error::Pending { revision, hosts: self.pending.clone() })
    }

    /// An error if what was shown was waited for, and did not become active.
    pub(crate) fn active(&self) -> Result<(), Error> {
        let text = |pointer| self.body.pointer(pointer).and_then(Value::as_str);
        if self.pending.is_empty() || self.body.get("realized").is_some() {
            return self.realized();
        }
        let state = text("/status/state").unwrap_or("not active").to_owned();
        let id = text("/uuid").unwrap_or("it").to_owned();
        Err(Error::Inactive { id, state, reason: text("/status/reason").map(str::to_owned) })
    }
}

/// Why the manager refused a request, in its own words.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    /// What kind of mistake it was.
    pub(crate) error: String,
    /// The reason.
    pub(crate) message: String,
    /// The attribute at fault.
    #[serde(default)]
    pub(crate) field: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.as_str() {
            // The message is the attribute's name alone.
            "MissingArgument" => write!(f, "{} is missing", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl Refusal {
    /// The attribute at fault, and what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let field = self.field.as_ref().map(|field| format!("field: {field}"));
        let flag = self.field.as_deref().unwrap_or("it").replace('_', "-");
        let next = match self.error.as_str() {
            "UnknownUUIDResource" | "UnknownResource" => {
                Some("hint: `vnctl … show` lists what is there".to_owned())
            }
            "DuplicateUUID" => Some("hint: choose another id, or change the object with `modify`".to_owned()),
            "MissingArgument" => Some(format!("hint: give it with --{flag}")),
            "PreconditionFailed" => {
                Some("hint: it has changed meanwhile; read it again and repeat".to_owned())
            }
            "RelationAlreadyExists" => Some("hint: choose another value, or free this one first".to_owned()),
            "Gone" => Some(
                "hint: what was printed may be out of date: list anew, and watch again without --from"
                    .to_owned(),
            ),
            "Unavailable" => Some("hint: nothing has changed; try again later".to_owned()),
            _ => None,
        };
        let lines: Vec<_> = field.into_iter().chain(next).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    address: Address,
    wait_s: Option<u64>,
}

impl Client {
    /// A client of the manager at `address`, whose changes wait for the hosts `wait_s` seconds.
    pub(crate) fn new(address: Address, wait_s: Option<u64>) -> Self {
        let time = REQUEST_TIME + Duration::from_secs(wait_s.unwrap_or_default());
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(time))
            // A manager is where it is said to be; proxies are for the world outside.
            .proxy(None)
            .user_agent(concat!("vnctl/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), address, wait_s }
    }

    /// Where the manager is said to be.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// How long changes wait for the hosts, in seconds.
    pub(crate) fn wait_s(&self) -> Option<u64> {
        self.wait_s
    }

    /// Makes a change, and waits for the hosts if the user wishes.
    pub(crate) fn change(&self, request: Request) -> Result<Answer, Error> {
        self.send(&request.query(self.waiting("realized")))
    }

    /// The object at a path, once it is active if the user wishes to wait.
    pub(crate) fn look(&self, segments: &[&str]) -> Result<Answer, Error> {
        self.send(&Request::new(Method::Get, segments).query(self.waiting("active")))
    }

    fn waiting(&self, until: &str) -> impl Iterator<Item = (String, String)> + use<> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wait = self.wait_s.map(|wait_s| [pair("wait", until), pair("timeout", &wait_s.to_string())]);
        wait.into_iter().flatten()
    }

    /// The object or document at a path.
    pub(crate) fn get(&self, segments: &[&str]) -> Result<Value, Error> {
        self.send(&Request::new(Method::Get, segments)).map(|answer| answer.body)
    }

    /// The object at a path, if there is one.
    pub(crate) fn find(&self, segments: &[&str]) -> Result<Option<Value>, Error> {
        match self.get(segments) {
            Err(Error::Refused(refusal)) if refusal.error == "UnknownUUIDResource" => Ok(None),
            found => found.map(Some),
        }
    }

    /// The items of a list from `offset` on, at most `limit`, read page by page.
    pub(crate) fn list(
        &self,
        segments: &[&str],
        filters: &[(String, String)],
        offset: usize,
        limit: Option<usize>,
    ) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        loop {
            let wanted = limit.map_or(PAGE, |limit| (limit - items.len()).min(PAGE));
            if wanted == 0 {
                return Ok(items);
            }
            let page = [("limit", wanted), ("offset", offset + items.len())];
            let page = page.map(|(name, number)| (name.to_owned(), number.to_string()));
            let request = Request::new(Method::Get, segments).query(filters.iter().cloned()).query(page);
            let mut body = self.send(&request)?.body;
            // Sub-resources may come as plain arrays, which are whole.
            let (found, paged) = match body.get_mut("items").map(Value::take) {
                Some(Value::Array(found)) => (found, true),
                _ => (as_array(body), false),
            };
            let last = !paged || found.len() < wanted;
            items.extend(found);
            if last {
                return Ok(items);
            }
        }
    }

    /// Makes a request.
    ///
    /// # Errors
    /// Nobody answers, somebody else than a manager does, or the manager refuses.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, Error> {
        let url = request.url(&self.address.url);
        let mut response = self.exchange(request, &url).map_err(|cause| self.unreachable(cause))?;
        let body = self.body(&mut response)?;
        let status = response.status();
        let revision = header(&response, "openvnet-revision");
        let named = header(&response, "openvnet-pending-hosts");
        let pending = if status == http::StatusCode::ACCEPTED { pending(&body, named) } else { Vec::new() };
        Ok(Answer { revision, pending, body })
    }

    /// Opens a stream, of which something has to come within each `silence`.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub(crate) fn stream(&self, request: &Request, silence: Duration) -> Result<impl Read + use<>, Error> {
        let unreachable = |cause| self.unreachable(cause);
        let head = http::Request::builder().method(http::Method::from(request.method));
        let head = head.uri(request.url(&self.address.url)).body(());
        let head = head.map_err(|cause| unreachable(cause.into()))?;
        let head = self.agent.configure_request(head);
        let head = head.timeout_global(None).timeout_connect(Some(REQUEST_TIME));
        let head = head.timeout_per_read(Some(silence)).build();
        let mut response = self.agent.run(head).map_err(unreachable)?;
        if !response.status().is_success() {
            self.body(&mut response)?;
        }
        Ok(response.into_body().into_reader())
    }

    /// The body of an answer, if it is what was asked for.
    fn body(&self, response: &mut http::Response<ureq::Body>) -> Result<Value, Error> {
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let bytes = bytes.map_err(|cause| self.unreachable(cause))?;
        let status = response.status();
        let stranger = || Error::Stranger {
            url: self.address.url.clone(),
            origin: self.address.origin.clone(),
            status: status.as_u16(),
        };
        let body: Value = serde_json::from_slice(&bytes).map_err(|_| stranger())?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal = Refusal::deserialize(body).map_err(|_| stranger())?;
        Err(Error::Refused(Box::new(refusal)))
    }

    fn unreachable(&self, cause: ureq::Error) -> Error {
        Error::Unreachable {
            url: self.address.url.clone(),
            origin: self.address.origin.clone(),
            source: Box::new(cause),
        }
    }

    fn exchange(&self, request: &Request, url: &str) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let mut head = http::Request::builder().method(http::Method::from(request.method)).uri(url);
        if let Some(revision) = request.if_match {
            // RFC 9110, section 8.8.3: an entity tag is quoted.
            head = head.header("if-match", format!("\"{revision}\""));
        }
        match &request.body {
            Some(body) => {
                self.agent.run(head.header("content-type", "application/json").body(body.to_string())?)
            }
            None if matches!(request.method, Method::Post | Method::Put) => {
                self.agent.run(head.body(String::new())?)
            }
            None => self.agent.run(head.body(())?),
        }
    }
}

fn as_array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => vec![other],
    }
}

fn header(response: &http::Response<ureq::Body>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The hosts that are behind: in the body where that is an object, else in a header, which names but the first ones.
fn pending(body: &Value, named: Option<String>) -> Vec<String> {
    if let Some(hosts) = body.pointer("/realized/pending").and_then(Value::as_array) {
        return hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let named = named.unwrap_or_else(|| "hosts that it does not name".to_owned());
    named.split(',').map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_give_cannot_leave_its_part_of_the_url() {
        let request = Request::new(Method::Get, &["networks", "nw-a/../b?c"]);
        let request = request.query([("label".to_owned(), "tier=web&x".to_owned())]);
        assert_eq!(
            request.url("http://h/api/1.0"),
            "http://h/api/1.0/networks/nw-a%2F..%2Fb%3Fc?label=tier%3Dweb%26x"
        );
    }
}
