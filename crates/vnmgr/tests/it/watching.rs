//! The stream of changes: what it tells, where it begins, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use store::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use vnmgr::api::watch::MAX_WATCHERS;

use crate::support::{Client, Lab, until};

/// How many commits a watcher is to be told of, across connections that break.
const COMMITS: u64 = 1_000;

/// A history so short that a watcher soon falls behind.
const SHORT_HISTORY: usize = 5;

/// How many networks full of labels, 17 kB each, are more than buffers between manager and watcher take.
const LARGE: u64 = 300;

/// An event of the stream.
#[derive(Debug)]
pub(crate) struct Event {
    name: String,
    id: u64,
    data: Value,
}

/// A watcher, which reads as a browser does (WHATWG HTML, 9.2.6).
pub(crate) struct Watcher {
    response: reqwest::Response,
    text: String,
    id: u64,
}

impl Watcher {
    /// Watches, and takes the first event.
    pub(crate) async fn start(client: &Client, query: &str) -> Self {
        Self::open(client.request(Method::GET, &format!("watch?{query}"))).await
    }

    /// The same, after the last event that was seen.
    pub(crate) async fn resume(client: &Client, last: u64) -> Self {
        Self::open(client.request(Method::GET, "watch").header("Last-Event-ID", last)).await
    }

    async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut watcher = Self { response, text: String::new(), id: 0 };
        let start = watcher.event().await.expect("the first event");
        assert_eq!(start.name, "start");
        assert_eq!(start.data["revision"], start.id);
        watcher
    }

    /// The id of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.id
    }

    /// The next event that has data; none at the end.
    async fn event(&mut self) -> Option<Event> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (mut name, mut data) = (String::new(), Vec::new());
                for line in event.lines() {
                    let (field, value) = line.split_once(':').expect("a field");
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    match field {
                        "event" => value.clone_into(&mut name),
                        "id" => self.id = value.parse().expect("a revision"),
                        "data" => data.push(value),
                        _ => {}
                    }
                }
                let data = serde_json::from_str(&data.join("\n")).ok();
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Some(Event { name, id: self.id, data });
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    /// The next commit: its revision, and what became of which objects.
    async fn commit(&mut self) -> (u64, Vec<(String, String, Value)>) {
        let event = self.event().await.expect("an event");
        assert_eq!((event.name.as_str(), &event.data["revision"]), ("commit", &json!(event.id)));
        let changes = event.data["changes"].as_array().expect("changes").iter().map(|change| {
            let text = |name: &str| change[name].as_str().expect("a text");
            let path = format!("{}/{}", text("kind"), text("uuid"));
            (text("what").to_owned(), path, change["object"].clone())
        });
        (event.id, changes.collect())
    }

    /// That the next commit did exactly this: `created networks/nw-a`. Gives what it shows of the first object.
    pub(crate) async fn expect(&mut self, expected: &[&str]) -> Value {
        let (_, mut changes) = self.commit().await;
        changes.sort_by_key(|(_, path, _)| expected.iter().position(|of| of.ends_with(path.as_str())));
        let found: Vec<_> = changes.iter().map(|(what, path, _)| format!("{what} {path}")).collect();
        assert_eq!(found, expected);
        changes.swap_remove(0).2
    }
}

fn network(number: u64) -> Value {
    json!({"uuid": format!("nw-{number}"), "ipv4_network": "10.0.0.0"})
}

#[tokio::test]
async fn a_watcher_is_told_what_became_of_each_object_and_sees_it_as_its_path_shows_it() {
    let lab = Lab::start().await;
    let mut watcher = Watcher::start(&lab.client, "").await;
    let shown = lab.client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await;
    assert_eq!(watcher.expect(&["created networks/nw-a"]).await, shown.body);
    let shown = lab.client.put("networks/nw-a", json!({"display_name": "a"})).await;
    assert_eq!(watcher.expect(&["changed networks/nw-a"]).await, shown.body);
    let interface = json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0",
        "mac_address": "02:00:00:00:00:01", "ipv4_address": "10.0.0.1"});
    let shown = lab.client.post("interfaces", interface).await.expect_status(201).body;
    let leases =
        [&shown["mac_leases"][0], &shown["ip_leases"][0]].map(|of| of["uuid"].as_str().expect("an id"));
    let [mac_lease, ip_lease] = leases;
    let (mac_lease, ip_lease) =
        (format!("created mac_leases/{mac_lease}"), format!("created ip_leases/{ip_lease}"));
    assert_eq!(watcher.expect(&["created interfaces/if-a", &mac_lease, &ip_lease]).await, shown);
    // Where an interface lives is no object of users, and part of what an interface shows.
    let host = lab.host("host1", 1).await;
    let datapath = format!("created datapaths/{}", host.datapath);
    watcher.expect(&[&datapath]).await;
    host.shows(&["tap0"]).await;
    assert_eq!(watcher.expect(&["changed interfaces/if-a"]).await["status"]["state"], "active");
    // What a topology has to do with others is listed under it.
    lab.client
        .post("topologies", json!({"uuid": "topo-a", "mode": "simple_overlay"}))
        .await
        .expect_status(201);
    watcher.expect(&["created topologies/topo-a"]).await;
    lab.client.post("networks", network(1)).await.expect_status(201);
    watcher.expect(&["created networks/nw-1"]).await;
    lab.client.post("topologies/topo-a/networks/nw-1", json!({})).await.expect_status(201);
    watcher.expect(&["changed topologies/topo-a"]).await;
    lab.client.delete("networks/nw-a").await.expect_status(200);
    let gone = watcher.commit().await.1;
    let gone: Vec<_> =
        gone.iter().map(|(what, path, object)| (what.as_str(), path.as_str(), object)).collect();
    assert!(gone.contains(&("deleted", "networks/nw-a", &Value::Null)), "{gone:?}");
}

#[tokio::test]
async fn commits_without_anything_for_users_are_no_events_and_secrets_are_told_to_nobody() {
    let lab = Lab::with_tutorial().await;
    let mut watcher = Watcher::start(&lab.client, "").await;
    let token = lab.client.post("hosts/tokens", json!({})).await.expect_status(201);
    let service = json!({"uuid": "ns-a", "mode": "metadata", "interface_uuid": "if-leg",
        "metadata_server": "192.0.2.80:80", "metadata_secret": "hush-hush"});
    let leg = json!({"uuid": "if-leg", "mode": "simulated", "network_uuid": "nw-test1",
        "mac_address": "02:00:00:00:00:01", "ipv4_address": "10.100.0.1"});
    lab.client.post("interfaces", leg).await.expect_status(201);
    watcher.commit().await;
    lab.client.post("network_services", service).await.expect_status(201);
    let (_, changes) = watcher.commit().await;
    assert_eq!(changes.len(), 1, "the service and not its secret");
    let mut again = Watcher::start(&lab.client, "from=0").await;
    while again.id < lab.revision().0 {
        let event = again.event().await.expect("an event").data.to_string();
        assert!(!event.contains("hush-hush") && !event.contains("digest"), "{event}");
        assert!(!event.contains(token.body["token"].as_str().expect("a token")), "{event}");
    }
}

#[tokio::test]
async fn a_watcher_that_connects_again_and_again_loses_and_repeats_nothing() {
    let lab = Lab::start().await;
    let client = lab.client.clone();
    let writer = tokio::spawn(async move {
        for number in 0..COMMITS {
            client.post("networks", network(number)).await.expect_status(201);
        }
    });
    let (mut seen, mut last) = (Vec::new(), 0);
    while last < COMMITS {
        let mut watcher = Watcher::resume(&lab.client, last).await;
        // Another number each time, so that connections break at all places.
        for _ in 0..=(last % 97) {
            let (revision, changes) = watcher.commit().await;
            last = revision;
            seen.push((revision, changes[0].1.clone()));
            if last == COMMITS {
                break;
            }
        }
    }
    writer.await.expect("all are made");
    let expected: Vec<_> = (0..COMMITS).map(|number| (number + 1, format!("networks/nw-{number}"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_choose_by_kind_and_id() {
    let lab = Lab::start().await;
    let mut networks = Watcher::start(&lab.client, "kind=networks").await;
    let mut one = Watcher::start(&lab.client, "uuid=nw-1&uuid=seg-a").await;
    let mut both = Watcher::start(&lab.client, "kind=segments&kind=networks&uuid=seg-a").await;
    lab.client.post("networks", network(0)).await.expect_status(201);
    lab.client.post("segments", json!({"uuid": "seg-a", "mode": "virtual"})).await.expect_status(201);
    lab.client.post("networks", network(1)).await.expect_status(201);
    networks.expect(&["created networks/nw-0"]).await;
    networks.expect(&["created networks/nw-1"]).await;
    one.expect(&["created segments/seg-a"]).await;
    one.expect(&["created networks/nw-1"]).await;
    both.expect(&["created segments/seg-a"]).await;
    // Of a commit, too, only what is wanted is told.
    let create = |resource: &str, attributes: Value| json!({"op": "create", "resource": resource, "attributes": attributes});
    let operations = [create("networks", network(2)), create("segments", json!({"mode": "virtual"}))];
    lab.client.post("batch", json!({"operations": operations})).await.expect_status(200);
    networks.expect(&["created networks/nw-2"]).await;
}

#[tokio::test]
async fn a_revision_of_which_nobody_knows_what_followed_is_refused() {
    let lab = Lab::start_on(Arc::new(MemoryStore::with_history(SHORT_HISTORY))).await;
    for number in 0..10 {
        lab.client.post("networks", network(number)).await.expect_status(201);
    }
    let check = async |path: &str, status, error, code, field| {
        lab.client.get(path).await.expect_error(status, error, code, field);
    };
    check("watch?from=4", 410, "Gone", "410", None).await;
    check("watch?from=11", 410, "Gone", "410", None).await;
    check("watch?from=x", 400, "ArgumentError", "110", Some("from")).await;
    check("watch?kind=bindings", 400, "ArgumentError", "110", Some("kind")).await;
    let mut watcher = Watcher::start(&lab.client, "from=5").await;
    watcher.expect(&["created networks/nw-5"]).await;
    // What a list says it shows is where to go on from.
    let list = lab.client.get("networks").await;
    let mut watcher = Watcher::start(&lab.client, &format!("from={}", list.revision().0)).await;
    lab.client.post("networks", network(10)).await.expect_status(201);
    watcher.expect(&["created networks/nw-10"]).await;
}

#[tokio::test]
async fn a_watcher_that_falls_behind_the_history_is_told_so_and_holds_nobody_up() {
    let lab = Lab::start_on(Arc::new(MemoryStore::with_history(SHORT_HISTORY))).await;
    let address = lab.manager.addresses().api;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut slow = socket.connect(address).await.expect("connected");
    let request = "GET /api/1.0/watch?from=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    slow.write_all(request.as_bytes()).await.expect("sent");
    // It has begun, and reads no more.
    let mut first = [0; 1];
    slow.read_exact(&mut first).await.expect("an answer");
    // More than fits on the way, in one commit; and then one more than is kept.
    let labels: serde_json::Map<_, _> =
        (0..64).map(|number| (format!("label-{number}"), "x".repeat(250).into())).collect();
    let large = |number: u64| {
        let mut network = network(number);
        network["labels"] = labels.clone().into();
        json!({"op": "create", "resource": "networks", "attributes": network})
    };
    let operations: Vec<_> = (0..LARGE).map(large).collect();
    lab.client.post("batch", json!({"operations": operations})).await.expect_status(200);
    for number in 0..=SHORT_HISTORY {
        lab.client.put("networks/nw-0", json!({"display_name": number.to_string()})).await.expect_status(200);
    }
    let mut text = Vec::new();
    slow.read_to_end(&mut text).await.expect("the stream ends by itself");
    let text = String::from_utf8_lossy(&text);
    let last = text.rsplit_once("event: gone").expect("a last event").1;
    assert!(last.contains("\"code\":\"410\"") && last.contains("list anew"), "{last}");
}

#[tokio::test]
async fn only_so_many_watch_at_once_and_whoever_leaves_makes_room() {
    let lab = Lab::start().await;
    let mut watchers = Vec::new();
    for _ in 0..MAX_WATCHERS {
        watchers.push(Watcher::start(&lab.client, "").await);
    }
    lab.client.get("watch").await.expect_error(503, "Unavailable", "503", None);
    // All are told, and nobody has waited.
    lab.client.post("networks", network(0)).await.expect_status(201);
    for watcher in &mut watchers {
        watcher.expect(&["created networks/nw-0"]).await;
    }
    watchers.pop();
    until("there is room", async || {
        let request = lab.client.request(Method::GET, "watch");
        request.send().await.is_ok_and(|response| response.status() == 200)
    })
    .await;
}

#[tokio::test]
async fn a_manager_that_stops_ends_its_streams() {
    let lab = Lab::start().await;
    let mut watcher = Watcher::start(&lab.client, "").await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), lab.manager.stop()).await;
    stopped.expect("watchers do not hold it").expect("stopped");
    assert!(watcher.event().await.is_none());
}
