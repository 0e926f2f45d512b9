//! What a client of the Web API sends: requests, through the router of a manager in this process.
//!
//! An input is a line with method, path and media type, and then the body. Writes are dry runs, so that an answer does not
//! depend on the inputs before; what cannot be one (tokens) fills a manager, which is replaced then and when.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use store::{MemoryStore, Store};
use sync::pki::Authority;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use vnmgr::api::{self, Api, batch::BATCHES_AT_ONCE, question::QUESTIONS_AT_ONCE, watch::Watching};
use vnmgr::hosts::Hosts;
use vnmgr::metrics::Metrics;
use vnmgr::state::{HeadReceiver, fresh};
use vnmgr::writer::Writer;

use super::topology::WORDS;
use super::world;
use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const HTTP: Target = Target {
    name: "api-request",
    from: "a client of the Web API",
    seeds,
    dictionary: WORDS,
    repair: as_it_is,
    run,
    memory: Limit { base: 4 << 20, per_byte: 1024 },
    max_bytes: 16 << 10,
    brief: 5_000,
};

/// A manager with more commits than this is replaced.
const MAX_REVISION: u64 = 256;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn seeds() -> Vec<Vec<u8>> {
    let line = |line: &str, body: &str| format!("{line}\n{body}").into_bytes();
    let get = |path: &str| line(&format!("GET {path}"), "");
    let mut all: Vec<_> = world::requests()
        .iter()
        .map(|request| {
            let path = request["resource"].as_str().expect("a collection");
            line(&format!("POST {path} {JSON}"), &another(request["attributes"].clone()).to_string())
        })
        .collect();
    let batch = json!({"operations": world::requests()}).to_string();
    all.extend([
        line(&format!("POST batch {JSON}"), &batch.replace("-a\"", "-c\"").replace("02:00", "06:00")),
        line(
            &format!("PUT interfaces/if-a {JSON}"),
            r#"{"interface":{"display_name":"x","labels":{"a":"b"}}}"#,
        ),
        line(&format!("PUT networks/nw-a {FORM}"), "display_name=a+b&ipv4_prefix=16"),
        line(&format!("POST interfaces/if-b/ports {JSON}"), r#"{"port_name":"p9"}"#),
        line(&format!("PUT ip_leases/il-a/release {JSON}"), "{}"),
        line(&format!("PUT ip_leases/il-a/attach {JSON}"), r#"{"mac_lease_uuid":"ml-a"}"#),
        line(&format!("POST hosts/tokens {JSON}"), r#"{"node_id":"host1","lifetime_seconds":60}"#),
        line("DELETE segments/seg-a", ""),
        get("interfaces?limit=1&offset=1&label=a%3Db&network_uuid=nw-a"),
        get("mac_leases/ml-a"),
        get("hosts/host1"),
        get("hosts?connected=true"),
        get("revision"),
        get("watch?from=1&kind=networks"),
        get("openapi.json"),
    ]);
    all
}

/// Attributes of an object of which there is none yet.
fn another(mut attributes: Value) -> Value {
    let taken = ["uuid", "mac_address", "ipv4_address", "ipv6_address", "port_name", "dpid", "node_id"];
    for name in taken {
        let text = attributes.get(name).and_then(Value::as_str).map(|text| format!("{text}1"));
        if let Some(text) = text {
            // Where a MAC address ends, there is no room.
            attributes[name] =
                text.replace(":011", ":11").replace(":021", ":12").replace(":031", ":13").into();
        }
    }
    attributes
}

/// A manager without sockets.
struct Lab {
    router: Router,
    head: HeadReceiver,
    stop: CancellationToken,
}

impl Lab {
    /// Within a runtime.
    fn new() -> Self {
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::open(folder.path()).expect("an authority");
        let topology = world::topology().clone();
        let (sender, head) = watch::channel(fresh("fuzz".to_owned(), topology));
        let (hosts, metrics) = (Arc::<Hosts>::default(), Arc::<Metrics>::default());
        let log: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (writer, store, _) =
            Writer::start(log.clone(), sender, hosts.clone(), metrics.clone(), stop.clone());
        let batches = Arc::new(Semaphore::new(BATCHES_AT_ONCE));
        let (seen, ends) = (head.clone(), stop.clone());
        let api = Api {
            head: seen,
            writer,
            store,
            hosts,
            lines: Arc::default(),
            authority,
            metrics,
            batches,
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            log,
            watching: Watching::default(),
            stop: ends,
        };
        Self { router: api::router(api), head, stop }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(input: &[u8]) -> bool {
    static LAB: LazyLock<(Runtime, Mutex<Option<Lab>>)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        (runtime.expect("a runtime"), Mutex::new(None))
    });
    let Some(request) = request(input) else { return false };
    let (runtime, lab) = &*LAB;
    let mut lab = lab.lock().unwrap_or_else(PoisonError::into_inner);
    runtime.block_on(async {
        lab.take_if(|lab| lab.head.borrow().topology.revision().0 > MAX_REVISION);
        let router = lab.get_or_insert_with(Lab::new).router.clone();
        let Ok(response) = router.oneshot(request).await;
        let status = response.status();
        let media_type = response.headers().get(header::CONTENT_TYPE);
        if media_type.is_some_and(|stream| stream == "text/event-stream") {
            // It has no end.
            return status.is_success();
        }
        let body = response.into_body().collect().await.expect("a body in memory").to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(!status.is_server_error(), "{status}: {text}");
        let named = || serde_json::from_slice::<Value>(&body).is_ok_and(|body| body["error"].is_string());
        assert!(!status.is_client_error() || named(), "{status}: {text}");
        status.is_success()
    })
}

/// The request that an input stands for, if it is one that HTTP can carry.
fn request(input: &[u8]) -> Option<Request<Body>> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = input.split_at_checked(end)?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let method: Method = words.next()?.parse().ok()?;
    // A wait would only take time.
    let path = words.next()?.replace("wait=", "w=");
    let joint = if path.contains('?') { '&' } else { '?' };
    let dry = if method == Method::GET || path.starts_with("hosts") {
        String::new()
    } else {
        format!("{joint}dry_run=true")
    };
    let mut request = Request::builder().method(method).uri(format!("/api/1.0/{path}{dry}"));
    if let Some(media_type) = words.next() {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    request.body(Body::from(body.get(1..).unwrap_or_default().to_vec())).ok()
}
