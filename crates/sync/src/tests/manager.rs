//! A manager in memory with a real server before it, and a raw end of a stream to talk to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Uri;
use tonic::{Status, Streaming};
use topology::binding::{PortReport, SeenPort, SeenPorts};
use topology::datapath::{Datapath, Registration, Underlay};
use topology::host_token::{DEFAULT_LIFETIME, HostToken};
use topology::{Collection, DatapathId, Dpid, Edit, NodeId, Request, Revision, Topology};

use crate::agent::{Agent, Asked, Connection, Inputs, join};
use crate::client::Client;
use crate::line::Line;
use crate::manager::{Head, JoinError, Manager, RegisterError, SessionId};
use crate::pki::{Authority, Identity};
use crate::replica::Replica;
use crate::wire::{AgentMessage, Hello, ManagerMessage, PROTOCOL, Resume, Said, Told};

/// How long anything that is to happen may take on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// What a manager was told of agents, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    Connected(DatapathId),
    Disconnected(DatapathId),
    Ports(DatapathId, PortReport),
    Realized(DatapathId, Revision),
}

pub(super) struct Memory {
    head: watch::Sender<Arc<Head>>,
    seen: Mutex<SeenPorts>,
    heard: watch::Sender<Vec<Heard>>,
    lines: watch::Sender<Option<Line>>,
}

impl Memory {
    pub(super) fn new(store_id: &str) -> Self {
        let head = Head {
            store_id: store_id.to_owned(),
            topology: Topology::default(),
            before: Topology::default(),
            changes: Arc::default(),
            awaited: Revision::default(),
        };
        Self {
            head: watch::Sender::new(Arc::new(head)),
            seen: Mutex::default(),
            heard: watch::Sender::default(),
            lines: watch::Sender::default(),
        }
    }

    /// Runs an edit and commits what it changes.
    pub(super) fn edit<T>(
        &self,
        change: impl FnOnce(&mut Edit, &mut SeenPorts) -> Result<T, topology::Error>,
    ) -> Result<T, topology::Error> {
        let mut seen = self.seen.lock().expect("unharmed");
        let mut result = None;
        self.head.send_if_modified(|head| {
            let before = head.topology.clone();
            let mut edit = Edit::new(&before, Timestamp::now(), before.revision().0);
            let done = change(&mut edit, &mut seen);
            if done.is_ok() {
                seen.rebind(&mut edit);
            }
            let changes = if done.is_ok() { edit.into_changes() } else { Vec::new() };
            result = Some(done);
            if changes.is_empty() {
                return false;
            }
            let mut topology = before.clone();
            topology.commit(before.revision().next(), &changes);
            let (store_id, changes) = (head.store_id.clone(), Arc::new(changes));
            let awaited = topology.revision();
            *head = Arc::new(Head { store_id, topology, before, changes, awaited });
            true
        });
        result.expect("the edit ran")
    }

    pub(super) fn request(&self, request: serde_json::Value) {
        let request: Request = serde_json::from_value(request).expect("a request");
        self.edit(|edit, _| request.execute(edit)).expect("a valid request");
    }

    pub(super) fn create(&self, resource: Collection, attributes: serde_json::Value) {
        self.request(json!({"op": "create", "resource": resource.name(), "attributes": attributes}));
    }

    pub(super) fn topology(&self) -> Topology {
        self.head.borrow().topology.clone()
    }

    /// Puts another store in place of this one, as a restore from backup does.
    pub(super) fn replace_store(&self, store_id: &str) {
        let store_id = store_id.to_owned();
        self.head.send_modify(|head| *head = Arc::new(Head { store_id, ..Head::clone(head) }));
    }

    /// Waits until something has been heard.
    pub(super) async fn heard(&self, expected: &Heard) {
        let mut heard = self.heard.subscribe();
        let found = heard.wait_for(|all| all.contains(expected));
        tokio::time::timeout(DEADLINE, found).await.expect("in time").expect("open");
    }

    /// The line to the agent that was connected last.
    pub(super) async fn line(&self) -> Line {
        let mut lines = self.lines.subscribe();
        let line = tokio::time::timeout(DEADLINE, lines.wait_for(Option::is_some)).await;
        line.expect("in time").expect("open").clone().expect("a line")
    }

    pub(super) fn all_heard(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// Who came and went.
    pub(super) fn presence(&self) -> Vec<Heard> {
        let mut heard = self.all_heard();
        heard.retain(|heard| matches!(heard, Heard::Connected(_) | Heard::Disconnected(_)));
        heard
    }

    fn hear(&self, heard: Heard) {
        self.heard.send_modify(|all| all.push(heard));
    }
}

impl Manager for Memory {
    fn head(&self) -> watch::Receiver<Arc<Head>> {
        self.head.subscribe()
    }

    fn redeem(&self, digest: String, node: NodeId) -> BoxFuture<'_, Result<(), JoinError>> {
        async move { Ok(self.edit(|edit, _| HostToken::redeem(edit, &digest, &node))?) }.boxed()
    }

    fn register(&self, registration: Registration) -> BoxFuture<'_, Result<DatapathId, RegisterError>> {
        async move { Ok(self.edit(|edit, _| Datapath::register(edit, registration))?) }.boxed()
    }

    fn connected(&self, datapath: DatapathId, _: SessionId, line: Line) {
        self.lines.send_replace(Some(line));
        self.hear(Heard::Connected(datapath));
    }

    fn disconnected(&self, datapath: DatapathId, _: SessionId) {
        self.hear(Heard::Disconnected(datapath));
    }

    fn ports(&self, datapath: DatapathId, report: PortReport) -> BoxFuture<'_, ()> {
        async move {
            let bound = self.edit(|edit, seen| {
                let reported = seen.report(datapath.clone(), report.clone());
                seen.bind_reported(&datapath, &reported, edit);
                Ok(())
            });
            bound.expect("ports are always taken");
            self.hear(Heard::Ports(datapath, report));
        }
        .boxed()
    }

    fn realized(&self, datapath: DatapathId, revision: Revision) {
        self.hear(Heard::Realized(datapath, revision));
    }
}

/// A manager that serves agents, until it is stopped or the test is over.
pub(super) struct Served {
    pub(super) manager: Arc<Memory>,
    pub(super) authority: Authority,
    pub(super) address: Uri,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    dir: TempDir,
}

impl Served {
    pub(super) async fn start() -> Self {
        let manager = Arc::new(Memory::new("store-1"));
        Self::start_with(manager, tempfile::tempdir().expect("a directory"), 0).await
    }

    pub(super) async fn start_with(manager: Arc<Memory>, dir: TempDir, port: u16) -> Self {
        let authority = Authority::open(dir.path()).expect("an authority");
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string().parse().expect("a URI");
        let stop = CancellationToken::new();
        let (serving, until) = (manager.clone(), stop.clone());
        let serving = crate::serve(listener, authority.clone(), serving, until.cancelled_owned());
        let serving = tokio::spawn(async { serving.await.expect("served to the end") });
        Self { manager, authority, address, stop, serving, dir }
    }

    pub(super) async fn stop(self) -> (Arc<Memory>, TempDir, u16) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.serving).await.expect("in time").expect("no panic");
        (self.manager, self.dir, self.address.port_u16().expect("a port"))
    }

    /// A token for a node.
    pub(super) fn token(&self, node: Option<&NodeId>) -> String {
        let token = self.authority.token().expect("a token");
        let issue = |edit: &mut Edit| HostToken::issue(edit, token.digest(), node.cloned(), DEFAULT_LIFETIME);
        self.manager.edit(|edit, _| issue(edit)).expect("issued");
        token.to_string()
    }

    /// Joins a host.
    pub(super) async fn join(&self, name: &str) -> Host {
        let (dir, node) = (tempfile::tempdir().expect("a directory"), node(name));
        let token = self.token(Some(&node));
        let identity = join(self.address.clone(), &token, &node, dir.path()).await.expect("joined");
        Host { identity, dir }
    }

    /// Opens a stream for a host and says hello.
    pub(super) async fn hello(&self, host: &Host, resume: Option<Resume>) -> Raw {
        let registration = registration(host.identity.node().as_str());
        let mut raw = self.open(&host.identity).await.expect("a stream");
        raw.hello(&registration, resume).await;
        raw
    }

    pub(super) async fn open(&self, identity: &Identity) -> Result<Raw, Status> {
        let client = Client::connect(self.address.clone(), identity.tls()).await.expect("connected");
        Raw::open(client).await
    }
}

/// A host that has joined.
pub(super) struct Host {
    pub(super) identity: Identity,
    pub(super) dir: TempDir,
}

impl Host {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// An agent's end of a stream, message by message.
pub(super) struct Raw {
    outbound: mpsc::Sender<AgentMessage>,
    inbound: Streaming<ManagerMessage>,
}

impl Raw {
    pub(super) async fn open(mut client: Client) -> Result<Self, Status> {
        let (outbound, messages) = mpsc::channel(16);
        let inbound = client.stream(ReceiverStream::new(messages)).await?;
        Ok(Self { outbound, inbound })
    }

    /// As an agent that is older than questions says it.
    pub(super) async fn hello(&mut self, registration: &Registration, resume: Option<Resume>) {
        let registration = serde_json::to_vec(registration).expect("JSON");
        let answers = Vec::new();
        self.say(Said::Hello(Hello { protocol: PROTOCOL, registration, resume, answers })).await;
    }

    pub(super) async fn say(&mut self, said: Said) {
        self.outbound.send(said.into()).await.expect("open");
    }

    /// The next message.
    pub(super) async fn told(&mut self) -> Result<Told, Status> {
        let message = tokio::time::timeout(DEADLINE, self.inbound.message()).await.expect("in time")?;
        message.and_then(|message| message.told).ok_or_else(|| Status::ok("closed"))
    }

    /// The status with which the stream ends.
    pub(super) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.told().await {
                return status;
            }
        }
    }
}

/// An agent with inputs that a test holds.
pub(super) struct TestAgent {
    pub(super) agent: Agent,
    pub(super) registration: watch::Sender<Registration>,
    pub(super) ports: watch::Sender<Option<Vec<Arc<SeenPort>>>>,
    pub(super) realized: watch::Sender<Option<Arc<Replica>>>,
    pub(super) questions: mpsc::Receiver<Asked>,
}

impl TestAgent {
    pub(super) fn start(served: &Served, host: &Host, saved: Option<Replica>) -> Self {
        Self::start_at(vec![served.address.clone()], host, saved)
    }

    pub(super) fn start_at(managers: Vec<Uri>, host: &Host, saved: Option<Replica>) -> Self {
        let (registration, registrations) = watch::channel(registration(host.identity.node().as_str()));
        let (ports, all_ports) = watch::channel(None);
        let (realized, replicas) = watch::channel(None);
        let (asked, questions) = mpsc::channel(1);
        let inputs =
            Inputs { registration: registrations, ports: all_ports, realized: replicas, questions: asked };
        let agent = Agent::start(managers, host.identity.clone(), saved, inputs);
        Self { agent, registration, ports, realized, questions }
    }

    /// Waits for a replica.
    pub(super) async fn replica(&self, is_right: impl Fn(&Replica) -> bool) -> Arc<Replica> {
        let mut replica = self.agent.replica();
        let found = replica.wait_for(|replica| replica.as_ref().is_some_and(|replica| is_right(replica)));
        let found = tokio::time::timeout(DEADLINE, found).await.expect("in time").expect("open");
        found.clone().expect("a replica")
    }

    pub(super) async fn connection(&self, is_right: impl Fn(&Connection) -> bool) {
        let mut connection = self.agent.connection();
        let found = connection.wait_for(is_right);
        tokio::time::timeout(DEADLINE, found).await.expect("in time").expect("open");
    }
}

pub(super) fn node(name: &str) -> NodeId {
    name.parse().expect("a node id")
}

pub(super) fn registration(name: &str) -> Registration {
    // Any number that differs from name to name.
    let number = name.bytes().fold(1, |number: u64, byte| number * 31 % 0xffff_ffff + u64::from(byte));
    let address = std::net::Ipv4Addr::from(0xc633_6400 + u32::try_from(number % 250).expect("small")).into();
    let underlay = Underlay { encapsulation: topology::datapath::Encapsulation::Geneve, address, mtu: 1500 };
    Registration::new(node(name), Dpid(number), underlay)
}

pub(super) fn port(name: &str) -> SeenPort {
    SeenPort {
        name: name.to_owned(),
        instance: format!("row-{name}"),
        iface_id: None,
        error: None,
        asks: false,
    }
}

/// A network, and one interface for each port name on each of the hosts.
pub(super) fn populate(manager: &Memory, ports: &[&str]) {
    manager
        .create(Collection::Networks, json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 16}));
    for (number, port) in (1..).zip(ports) {
        add_interface(manager, number, port);
    }
}

pub(super) fn add_interface(manager: &Memory, number: u8, port: &str) {
    let attributes = json!({
        "uuid": format!("if-{number}"), "network_uuid": "nw-a", "port_name": port,
        "mac_address": format!("02:00:00:00:00:{number:02x}"), "ipv4_address": format!("10.0.0.{number}"),
    });
    manager.create(Collection::Interfaces, attributes);
}
