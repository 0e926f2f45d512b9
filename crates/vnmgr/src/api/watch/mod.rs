//! The stream of what changes: server-sent events (WHATWG HTML, 9.2), an event for each commit.
//!
//! # An event is a commit
//! A commit is atomic, and so is what is told of it: whoever takes events one by one sees the topology as it was at some
//! revision, and never half of a change. The event's id is the revision, so that `Last-Event-ID` resumes without losing or
//! repeating anything, which an id in the middle of a commit could not. Large commits take no more memory than small ones:
//! each object is a line of the event's data, written when there is room for it.
//!
//! # One history
//! Events are made of the store's own log, which outlives the manager: see `follower`. Nothing is queued for a watcher.
//! One that reads slowly costs itself time and nobody else anything; one that has fallen behind what the store keeps is told
//! so, as its last event, and one that reads nothing loses its connection ([`web::serve`]).
//!
//! # What an event shows
//! Each object as it was after the commit: see `event`.

mod event;
mod follower;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;
use store::WatchError;
use sync::Head;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::{Collection, Error, Revision};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::{ApiError, ErrorBody};
use super::input::pairs;
use crate::hosts::Hosts;
use event::Telling;
pub use event::{ChangeEvent, CommitEvent, What};
use follower::Follower;

/// Most watchers at once: each has a connection, of which there are [`web::server::MAX_CONNECTIONS`], and may have some MiB
/// of the log in memory when it is far behind.
pub const MAX_WATCHERS: usize = 128;

/// How long a stream is silent at most, so that both ends notice when the other is dead.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long clients are told to wait before they connect again, in milliseconds.
const RETRY_MS: u32 = 1000;

/// What tells where the last event was: sent by clients that connect again (WHATWG HTML, 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";

/// What watchers have in common.
#[derive(Clone, Debug)]
pub struct Watching {
    /// Places for watchers.
    places: Arc<Semaphore>,
    /// Turns at the store's log: see `follower`.
    turns: Arc<Semaphore>,
}

impl Default for Watching {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_WATCHERS)), turns: Arc::new(Semaphore::new(1)) }
    }
}

/// The parameters of the stream.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct WatchParameters {
    /// Only objects of this collection. May be given several times.
    kind: Option<Vec<Collection>>,
    /// Only the object with this id. May be given several times.
    uuid: Option<Vec<String>>,
    /// The commits after this revision; if absent, those that come. `Last-Event-ID` goes before it.
    from: Option<u64>,
}

/// Which commits, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    kinds: BTreeSet<Collection>,
    uuids: BTreeSet<String>,
    from: Option<Revision>,
}

/// The first event: where the stream begins.
#[derive(Serialize)]
struct Start<'a> {
    /// Which history the revisions are of.
    store_id: &'a str,
    /// The commits after this one follow.
    revision: Revision,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(watch))
}

/// Streams what changes
///
/// Server-sent events: `start` says which store it is and where the stream begins, then there is a `commit` for each commit,
/// whose id is its revision. A last event `gone` says that the history that was to follow is no longer kept.
#[utoipa::path(get, path = "/watch", operation_id = "watch", tag = "state", params(WatchParameters,
        ("Last-Event-ID" = Option<u64>, Header, description = "The commits after this revision: the id of the last event seen")),
    responses((status = 200, description = "Events, until either end closes the connection",
            body = CommitEvent, content_type = "text/event-stream"),
        (status = 410, description = "The revision is older than the history that is kept, or of another history: list anew, \
            and watch from the revision of the list", body = ErrorBody),
        (status = "default", body = ErrorBody)))]
async fn watch(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&query.unwrap_or_default(), &headers)?;
    let place = api.watching.places.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable(format!("there are {MAX_WATCHERS} watchers")))?;
    let from = wanted.from.unwrap_or_else(|| api.head().topology.revision());
    let follower =
        Follower::start(api.log.as_ref(), api.head.clone(), api.watching.turns.clone(), from).await;
    let follower = follower.map_err(|error| refusal(&error))?;
    let stream = Stream {
        start: Some(start(&api.head(), from)),
        follower: Some(follower),
        wanted,
        telling: None,
        hosts: api.hosts,
        stop: api.stop,
        _place: place,
    };
    let chunks = stream::unfold(stream, async |mut stream| {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Why nobody can be told what came after a revision.
fn refusal(error: &WatchError) -> ApiError {
    match error {
        WatchError::Compacted { oldest } | WatchError::Lagged { oldest } => ApiError::gone(format!(
            "the history before revision {oldest} is no longer kept: list anew, and watch from the revision of the list"
        )),
        WatchError::Ahead { head } => ApiError::gone(format!(
            "revision {head} is the newest, so that one is of another history: list anew, and watch from the revision of the list"
        )),
        WatchError::Store(error) => ApiError::unavailable(format!("the store cannot be read: {error}")),
    }
}

fn start(head: &Head, revision: Revision) -> Bytes {
    let start = serde_json::to_string(&Start { store_id: &head.store_id, revision });
    let start = start.expect("it has only texts and numbers");
    format!("retry: {RETRY_MS}\nevent: start\nid: {revision}\ndata: {start}\n\n").into()
}

impl Wanted {
    fn read(query: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut wanted = Self::default();
        for (name, value) in pairs(query.as_bytes()) {
            match name.as_str() {
                "kind" => {
                    wanted.kinds.insert(kind(&value)?);
                }
                "uuid" => {
                    if !Collection::ALL.iter().any(|kind| kind.reference(&value).is_ok()) {
                        return Err(ApiError::argument("uuid", "is no id of any collection"));
                    }
                    wanted.uuids.insert(value);
                }
                "from" => wanted.from = Some(revision("from", &value)?),
                unknown => return Err(Error::argument(unknown, "there is no such parameter").into()),
            }
        }
        // Who connects again sends it beside the query that it began with.
        if let Some(last) = headers.get(LAST_EVENT_ID) {
            wanted.from = Some(revision("Last-Event-ID", &String::from_utf8_lossy(last.as_bytes()))?);
        }
        Ok(wanted)
    }

    fn has(&self, kind: Collection, uuid: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.uuids.is_empty() || self.uuids.contains(uuid))
    }
}

fn kind(text: &str) -> Result<Collection, ApiError> {
    let name = text.replace('-', "_");
    let found = Collection::ALL.into_iter().find(|kind| kind.name() == name);
    let names = || Collection::ALL.map(Collection::name).join(", ");
    found.ok_or_else(|| ApiError::argument("kind", &format!("no such collection; there are {}", names())))
}

fn revision(field: &str, text: &str) -> Result<Revision, ApiError> {
    let revision = text.trim().parse().map(Revision);
    revision.map_err(|_| ApiError::argument(field, "must be a revision: a whole number"))
}

/// A stream of events, which is pulled by whoever writes it to the connection.
struct Stream {
    /// The first event, until it is sent.
    start: Option<Bytes>,
    /// Where the watcher is; none after the last event.
    follower: Option<Follower>,
    wanted: Wanted,
    /// The event that is being sent.
    telling: Option<Telling>,
    hosts: Arc<Hosts>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// The next piece of text, or `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        if self.telling.is_none() {
            let follower = self.follower.as_mut()?;
            let next = timeout(HEARTBEAT, next_wanted(follower, &self.wanted));
            let found = tokio::select! {
                () = self.stop.cancelled() => return None,
                found = next => found,
            };
            match found {
                Ok(Ok(telling)) => self.telling = Some(telling),
                Ok(Err(error)) => return self.last(&error),
                Err(_) => return Some(heartbeat(follower.position())),
            }
        }
        let telling = self.telling.as_mut()?;
        let chunk = telling.chunk(&self.hosts);
        if telling.is_done() {
            self.telling = None;
        }
        Some(chunk)
    }

    /// The last event. If the store is at fault there is none: who connects again is told, or may go on.
    fn last(&mut self, error: &WatchError) -> Option<Bytes> {
        self.follower = None;
        match error {
            WatchError::Store(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a watcher cannot be served");
                None
            }
            gone => Some(format!("event: gone\ndata: {}\n\n", refusal(gone).text()).into()),
        }
    }
}

/// Waits for a commit that has something wanted.
async fn next_wanted(follower: &mut Follower, wanted: &Wanted) -> Result<Telling, WatchError> {
    loop {
        let (committed, head) = follower.next().await?;
        let telling = Telling::new(committed, head, |kind, uuid| wanted.has(kind, uuid));
        if let Some(telling) = telling {
            return Ok(telling);
        }
    }
}

/// An event without data, which nobody is told of: it moves the last event's id (WHATWG HTML, 9.2.6), so that who wants
/// little does not come back with a revision that is long gone.
fn heartbeat(position: Revision) -> Bytes {
    format!(": still here\nid: {position}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, last: Option<&str>) -> Result<Wanted, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, last.parse().expect("a header"));
        }
        Wanted::read(query, &headers)
    }

    fn check(query: &str, last: Option<&str>, kinds: &[Collection], uuids: &[&str], from: Option<u64>) {
        let (kinds, uuids) = (kinds.iter().copied(), uuids.iter().map(|uuid| (*uuid).to_owned()));
        let expected = Wanted { kinds: kinds.collect(), uuids: uuids.collect(), from: from.map(Revision) };
        assert_eq!(read(query, last).expect("it can be read"), expected, "{query}");
    }

    fn check_refused(query: &str, last: Option<&str>, field: &str) {
        let error = read(query, last).expect_err("it cannot be read");
        assert_eq!(error.field(), Some(field), "{query}");
    }

    #[test]
    fn what_is_wanted_is_said_by_kinds_ids_and_a_revision() {
        check("", None, &[], &[], None);
        check("from=7", None, &[], &[], Some(7));
        check("from=7", Some("9"), &[], &[], Some(9));
        let both = [Collection::Networks, Collection::IpLeases];
        check("kind=networks&kind=ip-leases&uuid=nw-a", None, &both, &["nw-a"], None);
        check_refused("kind=bindings", None, "kind");
        check_refused("kind=metadata_secrets", None, "kind");
        check_refused("uuid=a", None, "uuid");
        check_refused("from=-1", None, "from");
        check_refused("", Some("x"), "Last-Event-ID");
        check_refused("colour=red", None, "colour");
    }

    #[test]
    fn what_is_told_has_a_wanted_kind_and_a_wanted_id() {
        let has =
            |query, kind, uuid| Wanted::read(query, &HeaderMap::new()).expect("a query").has(kind, uuid);
        assert!(has("", Collection::Networks, "nw-a"));
        assert!(has("kind=networks&kind=segments", Collection::Networks, "nw-a"));
        assert!(!has("kind=segments", Collection::Networks, "nw-a"));
        assert!(has("uuid=nw-b&uuid=nw-a", Collection::Networks, "nw-a"));
        assert!(!has("kind=networks&uuid=nw-b", Collection::Networks, "nw-a"));
    }
}
