//! A host: its switch, the switch's database, its disk. All of them outlive the agent.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dataplane::{Delta, Program};
use openflow::OfPort;
use sync::Replica;
use topology::binding::SeenPort;
use topology::datapath::{Encapsulation, Registration, Underlay};
use topology::{Dpid, NodeId};
use vna::host::{HostPort, HostView};
use vna::switch::{Found, Mark};

use crate::network::Truth;
use crate::random::Random;

/// How many replicas a disk that loses the newest may fall back to.
const KEPT: usize = 6;

/// A hypervisor host.
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) underlay: Underlay,
    /// What the switch's database shows.
    pub(crate) database: HostView,
    pub(crate) switch: Switch,
    pub(crate) disk: Disk,
    /// The newest that its switch has ever stood for.
    pub(crate) proven: Truth,
    /// Ports made so far: their numbers and instances are not given again.
    ports_made: u32,
}

/// A switch. It does not forward; it holds what it is given.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    pub(crate) program: Program,
    /// The mark that agents leave in it.
    pub(crate) mark: Option<Mark>,
    /// How often it has been started: connections to an earlier one are dead.
    pub(crate) start: u64,
    /// Somebody else has changed it.
    pub(crate) is_tampered: bool,
    /// What it was last changed for.
    pub(crate) changed: Truth,
    /// What it was last made equal to.
    pub(crate) truth: Truth,
    /// What happens to the next bundle.
    pub(crate) fault: Option<BundleFault>,
}

/// What happens to a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BundleFault {
    Refused,
    /// The connection breaks before the commit.
    LostBefore,
    /// The connection breaks after the commit, before the answer.
    LostAfter,
}

/// The replicas on a disk, newest first, as texts: a fault can change them.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: VecDeque<Arc<Replica>>,
}

/// What a disk does to its files while nobody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    Older,
    Missing,
    Damaged,
}

impl Host {
    pub(crate) fn new(index: usize) -> Self {
        let number = u8::try_from(index + 1).expect("few hosts");
        let underlay = Underlay {
            encapsulation: if index == 2 { Encapsulation::Vxlan } else { Encapsulation::Geneve },
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
            mtu: 1500,
        };
        let dpid = Some(Dpid(u64::from(number)));
        Self {
            node: format!("h{number}").parse().expect("a node id"),
            underlay,
            database: HostView { dpid, ..HostView::default() },
            switch: Switch::default(),
            disk: Disk::default(),
            proven: None,
            ports_made: 0,
        }
    }

    pub(crate) fn registration(&self, dpid: Dpid) -> Registration {
        Registration::new(self.node.clone(), dpid, self.underlay)
    }

    /// Makes a port, in place of one of the same name.
    pub(crate) fn plug(&mut self, name: &str, iface_id: Option<String>, is_ready: bool) {
        let number = self.next_number();
        let seen = SeenPort {
            name: name.to_owned(),
            instance: format!("{}-{}", self.node, self.ports_made),
            iface_id,
            error: None,
            asks: false,
        };
        let number = is_ready.then_some(number);
        self.database.ports.insert(name.to_owned(), HostPort { seen: seen.into(), number });
    }

    /// The switch gives every port its number.
    pub(crate) fn settle_ports(&mut self) -> bool {
        let waiting: Vec<_> = self
            .database
            .ports
            .iter()
            .filter(|(_, port)| port.number.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in &waiting {
            let number = self.next_number();
            if let Some(port) = self.database.ports.get_mut(name) {
                port.number = Some(number);
            }
        }
        !waiting.is_empty()
    }

    /// Makes the tunnel ports that a replica asks for.
    pub(crate) fn make_tunnels(&mut self, replica: Option<&Replica>) -> bool {
        let peers = replica.iter().flat_map(|replica| replica.topology.datapaths().values());
        let peers = peers.filter_map(|datapath| datapath.underlay).map(|underlay| underlay.encapsulation);
        let wanted: Vec<_> = peers.chain([self.underlay.encapsulation]).collect();
        let before = self.database.tunnels.len();
        for encapsulation in wanted {
            let number = self.next_number();
            self.database.tunnels.entry(encapsulation).or_insert(number);
        }
        self.database.tunnels.len() != before
    }

    fn next_number(&mut self) -> OfPort {
        self.ports_made += 1;
        OfPort(self.ports_made)
    }
}

impl Switch {
    pub(crate) fn restart(&mut self) {
        *self = Self { start: self.start + 1, ..Self::default() };
    }

    pub(crate) fn read(&self) -> Found {
        Found { program: self.program.clone(), mark: self.mark, neighbours: Vec::new() }
    }

    /// Takes a bundle as a whole.
    pub(crate) fn apply(&mut self, difference: &Delta, mark: Mark) {
        if !difference.is_empty() {
            self.program.apply(difference);
            self.mark = Some(mark);
        }
    }

    /// Somebody changes a flow.
    pub(crate) fn tamper(&mut self, random: &mut Random) -> bool {
        let Some(key) = random.pick(self.program.flows.keys().cloned()) else { return false };
        let Some(mut flow) = self.program.flows.remove(&key) else { return false };
        if random.percent(50) {
            flow.priority = flow.priority.wrapping_add(1);
            self.program.flows.insert(dataplane::FlowKey::from(&flow), flow);
        }
        self.is_tampered = true;
        true
    }
}

impl Disk {
    /// Keeps a replica, if it is another than the newest.
    pub(crate) fn save(&mut self, replica: &Arc<Replica>) -> bool {
        if self.files.front().is_some_and(|newest| Arc::ptr_eq(newest, replica)) {
            return false;
        }
        self.files.push_front(replica.clone());
        self.files.truncate(KEPT);
        true
    }

    pub(crate) fn suffer(&mut self, fault: DiskFault) {
        match fault {
            DiskFault::Older => drop(self.files.drain(..self.files.len() / 2)),
            DiskFault::Damaged => {}
            DiskFault::Missing => self.files.clear(),
        }
    }

    /// What an agent that starts finds.
    pub(crate) fn load(&self, fault: Option<DiskFault>) -> Option<Replica> {
        let mut text = self.files.front()?.encode();
        if fault == Some(DiskFault::Damaged) {
            text.truncate(text.len() / 2);
        }
        Replica::decode(&text).ok()
    }
}
