//! One agent: the real end of the stream, the real course and compiler, and in place of `ovs-vswitchd` a switch that keeps
//! what it is sent.
//!
//! What is not there: the database (the view of the host is given), the OpenFlow codec and the periodic reading of the
//! switch, and the replica's file. They cost each host the same however many others there are, and on one machine a
//! thousand of them would be measured instead of the manager.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use dataplane::{Compiler, Delta, Program};
use openflow::OfPort;
use serde::{Deserialize, Serialize};
use sync::pki::Identity;
use sync::{Agent, Connection, Inputs, Replica};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use topology::binding::SeenPort;
use topology::datapath::{Encapsulation, Registration, Underlay};
use topology::{Dpid, NodeId};
use vna::course::{Course, Step};
use vna::host::{HostPort, HostView};
use vna::switch::{Found, Mark};

/// The port of the tunnel; those of guests follow.
const TUNNEL: OfPort = OfPort(1);

/// Questions that wait: nobody asks any.
const QUESTIONS: usize = 1;

/// How an agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Since when its manager hears it, since the epoch, if it does.
    pub(super) connected_at: Option<Duration>,
    /// The revision that its switch stands for; 0 before the first.
    pub(super) revision: u64,
    /// When its manager last told it anything, and it had done so, since the epoch.
    pub(super) updated_at: Duration,
    /// When that was news and not just a revision.
    pub(super) changed_at: Duration,
    /// Objects that it was told to put or to delete, and that were news to it.
    pub(super) objects_told: usize,
    /// Interfaces that it knows.
    pub(super) interfaces: usize,
    /// Flows of its switch.
    pub(super) flows: usize,
}

/// A running agent. Dropping it ends it, and all that it knows is forgotten.
pub(super) struct Running {
    state: Arc<Mutex<Worker>>,
    connection: watch::Receiver<Connection>,
    _task: AbortOnDropHandle<()>,
}

/// What follows the topology.
struct Worker {
    course: Course,
    view: Arc<HostView>,
    switch: Switch,
    replica: Option<Arc<Replica>>,
    state: State,
}

/// Keeps what it is sent.
#[derive(Default)]
struct Switch {
    program: Program,
    mark: Option<Mark>,
}

impl Running {
    /// Starts the agent of a host that has joined, with nothing known.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub(super) fn start(
        host: usize,
        identity: Identity,
        ports: &[String],
        manager: &str,
    ) -> anyhow::Result<Self> {
        let view = view(host, ports);
        let registration = registration(host, identity.node().clone());
        let (realized_out, realized) = watch::channel(None);
        let (asked, questions) = mpsc::channel(QUESTIONS);
        let inputs = Inputs {
            registration: watch::channel(registration).1,
            ports: watch::channel(Some(view.seen())).1,
            realized,
            questions: asked,
        };
        let agent = Agent::start(vec![manager.parse()?], identity, None, inputs);
        let connection = agent.connection();
        let state = Arc::new(Mutex::new(Worker::new(Arc::new(view))));
        let worker = state.clone();
        let task = tokio::spawn(async move {
            // As long as it follows, nobody is told that nobody answers.
            let _questions = questions;
            let mut replicas = agent.replica();
            while replicas.changed().await.is_ok() {
                let Some(replica) = replicas.borrow_and_update().clone() else { continue };
                worker.lock().expect("no panic holds this lock").follow(&replica);
                realized_out.send_replace(Some(replica));
            }
        });
        Ok(Self { state, connection, _task: AbortOnDropHandle::new(task) })
    }

    /// How it is.
    pub(super) fn state(&self) -> State {
        let connected_at = match &*self.connection.borrow() {
            Connection::Connected { since } => {
                Some(Duration::from_nanos(u64::try_from(since.as_nanosecond()).unwrap_or(0)))
            }
            Connection::Disconnected { .. } => None,
        };
        let worker = self.state.lock().expect("no panic holds this lock");
        let interfaces = worker.replica.as_ref().map_or(0, |replica| replica.topology.interfaces().len());
        State { connected_at, interfaces, flows: worker.switch.program.flows.len(), ..worker.state.clone() }
    }

    /// Whether its switch has what follows from what the agent knows, compiled from scratch.
    pub(super) fn is_right(&self) -> bool {
        let worker = self.state.lock().expect("no panic holds this lock");
        worker.replica.as_ref().is_some_and(|replica| {
            let local = worker.view.local(&replica.topology, replica.datapath.clone());
            *Compiler::new(replica.topology.clone(), local).program() == worker.switch.program
        })
    }
}

impl Worker {
    fn new(view: Arc<HostView>) -> Self {
        let (switch, state) = (Switch::default(), State::default());
        Self { course: Course::new(None), view, switch, replica: None, state }
    }

    /// Makes the switch equal to what a replica asks for.
    fn follow(&mut self, replica: &Arc<Replica>) {
        let news = match &self.replica {
            Some(before) => replica.topology.changes_since(&before.topology).len(),
            None => replica.topology.objects().count(),
        };
        let mut step = self.course.follow(Some(replica.clone()), self.view.clone());
        if step == Step::Read {
            step = self.course.compare(&self.switch.read());
        }
        if let Step::Change(difference) = step
            && !difference.is_empty()
        {
            self.switch.apply(&difference, Mark::of(replica));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.state.updated_at = now;
        if news > 0 {
            self.state.objects_told += news;
            self.state.changed_at = now;
        }
        self.state.revision = replica.topology.revision().0;
        self.replica = Some(replica.clone());
    }
}

impl Switch {
    fn read(&self) -> Found {
        Found { program: self.program.clone(), mark: self.mark, neighbours: Vec::new() }
    }

    fn apply(&mut self, difference: &Delta, mark: Mark) {
        self.program.apply(difference);
        self.mark = Some(mark);
    }
}

/// What the database of a host with these ports shows.
fn view(host: usize, ports: &[String]) -> HostView {
    let port = |(number, name): (u32, &String)| {
        let seen = SeenPort {
            name: format!("p{number}"),
            instance: format!("{host}-{number}"),
            iface_id: Some(name.clone()),
            error: None,
            asks: false,
        };
        (seen.name.clone(), HostPort { seen: seen.into(), number: Some(OfPort(number)) })
    };
    HostView {
        dpid: Some(dpid(host)),
        ports: (TUNNEL.0 + 1..).zip(ports).map(port).collect(),
        tunnels: BTreeMap::from([(Encapsulation::Geneve, TUNNEL)]),
        ..HostView::default()
    }
}

fn registration(host: usize, node_id: NodeId) -> Registration {
    let [.., high, low] = host.to_be_bytes();
    let address = IpAddr::V4(Ipv4Addr::new(172, 16, high, low));
    let underlay = Underlay { encapsulation: Encapsulation::Geneve, address, mtu: 1500 };
    Registration::new(node_id, dpid(host), underlay)
}

/// Counted from one: a switch without a number has none.
fn dpid(host: usize) -> Dpid {
    Dpid(u64::try_from(host).unwrap_or(u64::MAX - 1) + 1)
}
