//! A topology as it is asked for, packets sent in it, and what becomes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dataplane::{Compiler, Local, Program};
use openflow::{BundleError, Flow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::host_pair::HostPair;
use topology::underlay::UnderlayAddress;
use topology::walk::{Answer, Connection, Connections, Outcome, Packet, Reason, Tracker, Walk, walk};
use topology::{DatapathId, DomainId, Dpid, Edit, InterfaceId, MacAddr, Request, Topology};

use crate::fleet::{Fleet, HOSTS, Observed, PORTS, port_name, port_number};
use crate::forms::Form;
use crate::judge;
use crate::switch::{tunnel_port, underlay_addresses};

/// MTU of the underlay, in bytes.
pub(crate) const UNDERLAY_MTU: u16 = 1500;

/// In place of a request: every host has realized what is said of pairs of them, and the manager goes on from there.
pub(crate) const SETTLE: &str = "settle";

/// What happens, in a form that can be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    /// Why it is kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// How each host sends.
    pub(crate) hosts: Vec<Encapsulation>,
    /// The underlay is IPv6.
    #[serde(default)]
    pub(crate) over_ipv6: bool,
    /// Where each host is reached, its own choice first. At one address of the underlay's family, if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<Vec<UnderlayAddress>>,
    /// Requests, in order, and [`SETTLE`]. What is refused is left out. An interface with the id of a port is plugged in there.
    pub(crate) asks: Vec<Value>,
    /// Who on the wire of a physical network has answered.
    #[serde(default)]
    pub(crate) neighbours: Vec<(String, IpAddr, MacAddr)>,
    /// Packets, in order.
    pub(crate) sent: Vec<Sent>,
}

/// A packet that an interface sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The interface.
    pub(crate) from: InterfaceId,
    /// The packet.
    pub(crate) packet: Packet,
    /// How it is written.
    #[serde(default)]
    pub(crate) form: Form,
}

/// What a scene comes to.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) topology: Topology,
    /// What each host's switch shall hold.
    pub(crate) programs: BTreeMap<u8, Program>,
}

/// A scene that is being played.
pub(crate) struct Story {
    scene: Scene,
    pub(crate) topology: Topology,
    pub(crate) connections: Connections,
    /// What the walk of the last packet says.
    pub(crate) walk: Walk,
    /// What the switches did.
    pub(crate) observed: Observed,
}

impl Scene {
    /// The topology that comes of the requests.
    pub(crate) fn topology(&self) -> Topology {
        let mut draft = Draft::default();
        for (host, encapsulation) in (0..).zip(&self.hosts) {
            let mut addresses = self.addresses_of(host).into_iter();
            let UnderlayAddress { address, mtu } = addresses.next().expect("a host has an address");
            let underlay = Underlay { encapsulation: *encapsulation, address, mtu };
            let node_id = format!("host{host}").parse().expect("a node id");
            let registration = Registration::new(node_id, Dpid(u64::from(host) + 1), underlay);
            let registration = registration.with_addresses(addresses.collect());
            draft.edit(|edit, _| Datapath::register(edit, registration).is_ok());
        }
        self.asks.iter().for_each(|ask| draft.ask(ask));
        draft.topology
    }

    /// Where a host is reached.
    fn addresses_of(&self, host: u8) -> Vec<UnderlayAddress> {
        let [ipv4, ipv6] = underlay_addresses(host, 0);
        let address = if self.over_ipv6 { ipv6 } else { ipv4 };
        let said = self.addresses.get(usize::from(host)).filter(|said| !said.is_empty()).cloned();
        said.unwrap_or_else(|| vec![UnderlayAddress { address, mtu: UNDERLAY_MTU }])
    }

    /// What a host's switch shall hold.
    fn program(&self, topology: &Topology, host: u8) -> Program {
        let plugged = (0..PORTS).filter_map(|port| {
            let id: InterfaceId = port_name(host, port).parse().expect("an id");
            topology.active_claim(&id).is_some().then_some((id, port_number(port)))
        });
        let local = Local {
            datapath: host_id(host),
            ports: plugged.collect(),
            tunnels: Encapsulation::ALL.into_iter().map(|kind| (kind, tunnel_port(kind))).collect(),
            monitors: BTreeMap::new(),
            yields: false,
        };
        let compiler = Compiler::new(topology.clone(), local);
        assert_eq!(compiler.twins().count(), 0, "two units want one flow");
        let mut program = compiler.program().clone();
        for (network, address, mac) in &self.neighbours {
            let domain = DomainId::Network(network.parse().expect("an id"));
            if let Some(key) = topology.key_of_domain(&domain) {
                // Switches are kept over topologies, and nobody would tell this one anew when they forget him.
                let flow = dataplane::neighbour(key, *address, *mac);
                let flow = Flow { idle_timeout: 0, ..flow };
                program.flows.insert((&flow).into(), flow);
            }
        }
        program
    }

    /// Who on a wire has an address, as far as gateways know.
    pub(crate) fn neighbour(&self, network: &str, address: IpAddr) -> Option<MacAddr> {
        let mut known = self.neighbours.iter();
        known.find(|(of, known, _)| of == network && *known == address).map(|(_, _, mac)| *mac)
    }
}

/// A topology in the making.
#[derive(Default)]
struct Draft {
    topology: Topology,
    seen: SeenPorts,
    ports: BTreeMap<u8, Vec<SeenPort>>,
}

impl Draft {
    /// Carries a request out, if it may be.
    fn ask(&mut self, ask: &Value) {
        if *ask == SETTLE {
            return self.settle();
        }
        let request: Request = serde_json::from_value(ask.clone()).expect("a well-formed request");
        let done = self.edit(|edit, _| Request::execute_all([request], edit).is_ok());
        let id = ask["attributes"]["uuid"].as_str().filter(|_| done && ask["op"] == "create");
        let place = id.and_then(|id| id.strip_prefix("if-")).map(str::as_bytes);
        if let Some([host @ b'0'..=b'9', b'0'..=b'9']) = place {
            self.plug(host - b'0', id.expect("it is there"));
        }
    }

    /// As the manager does once both hosts of a pair have realized what is said of it.
    fn settle(&mut self) {
        let pairs: Vec<_> = self.topology.unsettled_host_pairs().cloned().collect();
        self.edit(|edit, _| {
            pairs.iter().for_each(|pair| HostPair::settle(edit, &pair.uuid, pair.meta.revision));
            true
        });
    }

    fn plug(&mut self, host: u8, id: &str) {
        let named = Some(id.to_owned());
        let port = SeenPort {
            name: id.to_owned(),
            instance: id.to_owned(),
            iface_id: named,
            error: None,
            asks: false,
        };
        let ports = self.ports.entry(host).or_default();
        ports.push(port);
        self.seen.report(host_id(host), ports.clone().into());
        self.edit(|edit, seen| {
            seen.bind(&host_id(host), edit);
            true
        });
    }

    fn edit(&mut self, change: impl FnOnce(&mut Edit, &SeenPorts) -> bool) -> bool {
        let seed = self.topology.revision().0;
        let mut edit = Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, seed);
        let done = change(&mut edit, &self.seen);
        if done {
            self.seen.rebind(&mut edit);
            self.topology.commit(self.topology.revision().next(), &edit.into_changes());
        }
        done
    }
}

impl Stage {
    /// Of a scene.
    pub(crate) fn of(scene: &Scene) -> Self {
        let topology = scene.topology();
        let programs = (0..HOSTS).map(|host| (host, scene.program(&topology, host))).collect();
        Self { topology, programs }
    }
}

impl Story {
    /// Sets the scene. Packets that it holds are not sent yet.
    pub(crate) fn begin(fleet: &mut Fleet, scene: Scene) -> Self {
        let stage = Stage::of(&scene);
        Self::on(fleet, &stage, scene).expect("programs that the switches take")
    }

    /// The same, with these programs.
    pub(crate) fn on(fleet: &mut Fleet, stage: &Stage, scene: Scene) -> Result<Self, BundleError> {
        fleet.install(|host| stage.programs[&host].clone())?;
        let (walk, observed) = (Walk::default(), Observed::default());
        let (scene, topology) = (Scene { sent: Vec::new(), ..scene }, stage.topology.clone());
        Ok(Self { scene, topology, connections: Connections::default(), walk, observed })
    }

    /// The scene with all packets sent so far.
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Sends a packet, and compares what the walk says with what the switches do.
    pub(crate) fn go_on(&mut self, fleet: &mut Fleet, sent: Sent) -> Result<(), String> {
        self.walk = walk(&self.topology, &sent.from, &sent.packet, &self.connections);
        self.scene.sent.push(sent.clone());
        let before = std::mem::replace(&mut self.connections, self.walk.connections.clone());
        let counted = judge::counted(&self.topology, &self.walk, &sent);
        let counts = |fleet: &Fleet| -> Vec<_> {
            counted.iter().map(|(host, purposes)| fleet.dropped(*host, purposes)).collect()
        };
        let counts_before = counts(fleet);
        self.observed = match host_of(&sent.from) {
            Some(host) => {
                let frame = sent.form.of(sent.packet.to_bytes());
                fleet.send(host, &sent.from.to_string(), &frame)
            }
            None => Observed::default(),
        };
        let chosen = judge::compare(self, &sent)?;
        let mut counts_now = counts(fleet);
        if counts_now.iter().zip(&counts_before).any(|(now, before)| now == before) {
            // What flows of the datapath have dropped is counted later.
            counted.iter().for_each(|(host, _)| fleet.count(*host));
            counts_now = counts(fleet);
        }
        let ports = chosen.ports.into_iter();
        ports.for_each(|(assumed, taken)| self.connections.settle(&before, assumed, taken));
        if let Some(receivers) = chosen.receivers {
            self.forget_others(&before, &sent, &receivers);
        }
        judge::is_counted(self, &sent, &counted, (&counts_before, &counts_now))
    }

    /// Forgets the new connections of those that might have got a packet, and have not.
    fn forget_others(&mut self, before: &Connections, sent: &Sent, receivers: &[InterfaceId]) {
        let has_heard = |known: &&Connection| match &known.tracker {
            Tracker::Interface(of) => *of == sent.from || receivers.contains(of),
            Tracker::Leg { .. } => true,
        };
        let is_old = |known: &Connection| before.iter().any(|old| old == known);
        let known = self.connections.iter().filter(|known| is_old(known) || has_heard(known)).cloned();
        let known: Vec<_> = known.collect();
        self.connections = Connections::default();
        known.into_iter().for_each(|known| self.connections.insert(known));
    }

    /// Whether the last packet was too large for a tunnel.
    pub(crate) fn is_too_big(&self) -> bool {
        self.walk.outcomes.iter().any(|outcome| {
            matches!(
                outcome,
                Outcome::Answered { answer: Answer::TooBig { .. }, .. }
                    | Outcome::Dropped { reason: Reason::TooBig, .. }
            )
        })
    }

    /// Plays a whole scene, to the first packet that the walk and the switches do not agree about.
    pub(crate) fn play(fleet: &mut Fleet, scene: &Scene) -> Result<(), String> {
        Self::replay(fleet, &Stage::of(scene), scene)
    }

    /// The same, with programs that the switches take.
    pub(crate) fn replay(fleet: &mut Fleet, stage: &Stage, scene: &Scene) -> Result<(), String> {
        let story = Self::on(fleet, stage, scene.clone());
        let mut story = story.expect("programs that the switches take");
        scene.sent.iter().try_for_each(|sent| story.go_on(fleet, sent.clone()))
    }
}

/// The host with the port of an interface.
pub(crate) fn host_of(interface: &InterfaceId) -> Option<u8> {
    let text = interface.to_string();
    match text.strip_prefix("if-")?.as_bytes() {
        [host @ b'0'..=b'9', b'0'..=b'9'] => Some(host - b'0'),
        _ => None,
    }
}

/// The number of a host.
pub(crate) fn number_of(host: &DatapathId) -> Option<u8> {
    host.to_string().strip_prefix("dp-host")?.parse().ok()
}

/// The id of a host.
pub(crate) fn host_id(host: u8) -> DatapathId {
    format!("dp-host{host}").parse().expect("an id")
}
