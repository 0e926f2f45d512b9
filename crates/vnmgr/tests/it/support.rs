//! A manager in the test's own process, and a small client.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use store::{MemoryStore, Store};
use sync::manager::{Manager as _, SessionId};
use tempfile::TempDir;
use topology::binding::{PortReport, SeenPort};
use topology::datapath::{Encapsulation, Registration, Underlay};
use topology::{DatapathId, Dpid, Revision};
use vnmgr::manager::{Manager, Options};

/// How long anything may take: a test that needs as much has failed, also on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Lab {
    pub(crate) manager: Manager,
    pub(crate) client: Client,
    _state: TempDir,
}

/// Options for free ports on the loopback address.
pub(crate) fn options(state: &TempDir) -> Options {
    let free = "127.0.0.1:0".parse().expect("an address");
    Options { state_dir: state.path().to_owned(), api_listen: free, sync_listen: free }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_on(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn start_on(store: Arc<dyn Store>) -> Self {
        let state = TempDir::new().expect("a directory");
        let manager = Manager::start_on(store, &options(&state)).await.expect("the manager starts");
        let client = Client::new(&manager);
        Self { manager, client, _state: state }
    }

    /// A manager with the objects of the first tutorial.
    pub(crate) async fn with_tutorial() -> Self {
        let lab = Self::start().await;
        for (path, body) in tutorial() {
            lab.client.post(path, body).await.expect_status(201);
        }
        lab
    }

    /// A host's agent registers and connects.
    pub(crate) async fn host(&self, name: &str, number: u8) -> Host<'_> {
        let registration = Registration::new(
            name.parse().expect("a node id"),
            Dpid(0xaa00 + u64::from(number)),
            Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, number].into(), mtu: 1500 },
        );
        let agents = self.manager.agents();
        let datapath = agents.register(registration).await.expect("it can register");
        agents.connected(datapath.clone(), SessionId(u64::from(number)), sync::Line::closed());
        Host { lab: self, datapath, session: SessionId(u64::from(number)) }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.manager.agents().head().borrow().topology.revision()
    }
}

/// The objects of "single network", as `POST` takes them.
pub(crate) fn tutorial() -> Vec<(&'static str, Value)> {
    vec![
        (
            "datapaths",
            json!({"uuid": "dp-test1", "display_name": "test1", "dpid": "0x0000aaaaaaaaaaaa", "node_id": "vna"}),
        ),
        (
            "networks",
            json!({"uuid": "nw-test1", "display_name": "testnet1", "ipv4_network": "10.100.0.0",
                "ipv4_prefix": 24, "network_mode": "virtual"}),
        ),
        ("interfaces", interface("inst1", 1, "10.100.0.10")),
        ("interfaces", interface("inst2", 2, "10.100.0.11")),
    ]
}

fn interface(name: &str, number: u8, address: &str) -> Value {
    json!({"uuid": format!("if-{name}"), "mode": "vif", "owner_datapath_uuid": "dp-test1",
        "mac_address": format!("10:54:ff:00:00:{number:02x}"), "network_uuid": "nw-test1",
        "ipv4_address": address, "port_name": name})
}

pub(crate) struct Host<'a> {
    lab: &'a Lab,
    pub(crate) datapath: DatapathId,
    session: SessionId,
}

impl Host<'_> {
    /// The host shows these ports: names, or `name=iface-id`.
    pub(crate) async fn shows(&self, ports: &[&str]) {
        let port = |text: &&str| {
            let (name, iface_id) = text.split_once('=').map_or((*text, None), |(name, id)| (name, Some(id)));
            SeenPort {
                name: name.to_owned(),
                instance: format!("{}/{name}", self.datapath),
                iface_id: iface_id.map(ToOwned::to_owned),
                error: None,
                asks: false,
            }
        };
        self.shows_ports(ports.iter().map(port).collect()).await;
    }

    pub(crate) async fn shows_ports(&self, ports: Vec<SeenPort>) {
        self.says(ports.into()).await;
    }

    /// The host says this of its ports.
    pub(crate) async fn says(&self, report: PortReport) {
        self.lab.manager.agents().ports(self.datapath.clone(), report).await;
    }

    pub(crate) fn realizes(&self, revision: Revision) {
        self.lab.manager.agents().realized(self.datapath.clone(), revision);
    }

    pub(crate) fn disconnects(&self) {
        self.lab.manager.agents().disconnected(self.datapath.clone(), self.session);
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(manager: &Manager) -> Self {
        Self::at(&manager.addresses().api.to_string())
    }

    pub(crate) fn at(address: &str) -> Self {
        let http = reqwest::Client::builder().timeout(DEADLINE).build().expect("a client");
        Self { base: format!("http://{address}/api/1.0"), http }
    }

    /// A request to any path under the API.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Response {
        let request = request.build().expect("a request");
        let name = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.expect("a response");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a body");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        Response { request: name, status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Response {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.send(self.request(Method::DELETE, path)).await
    }
}

impl Response {
    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.request, self.body);
        self
    }

    /// That the request was refused in this way.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, error: &str, code: &str, field: Option<&str>) -> Self {
        let expected = (status, Some(error), Some(code), field);
        let text = |name: &str| self.body[name].as_str();
        assert_eq!(
            (self.status, text("error"), text("code"), text("field")),
            expected,
            "{}: {}",
            self.request,
            self.body
        );
        assert!(text("message").is_some_and(|message| !message.is_empty()), "{}", self.request);
        self
    }

    /// That the body has at least these attributes.
    #[track_caller]
    pub(crate) fn expect(self, expected: Value) -> Self {
        for (name, value) in expected.as_object().expect("attributes") {
            assert_eq!(self.body.get(name), Some(value), "{name} in {}: {}", self.request, self.body);
        }
        self
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub(crate) fn revision(&self) -> Revision {
        let text = self.header("openvnet-revision").expect("every response names its revision");
        Revision(text.parse().expect("a number"))
    }

    /// The ids in a list.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<&str> {
        let items = self.body["items"].as_array().expect("a list");
        items.iter().map(|item| item["uuid"].as_str().expect("an id")).collect()
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, poll).await.is_ok(), "{what}");
}
