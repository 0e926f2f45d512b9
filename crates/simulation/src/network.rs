//! The network: connections that delay, break and outlive each other.
//!
//! Within one connection messages arrive in order, as over TCP; across connections in any. Either end may find a
//! connection dead long before the other, and what one end has sent may arrive after it has given the connection up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync::machines::Told;
use topology::binding::PortReport;
use topology::datapath::Registration;
use topology::{DatapathId, Revision};

/// One connection; ids rise in the order of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What an agent says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Hello { registration: Registration, resume: Option<Resume> },
    Ports(PortReport),
    Realized { revision: Revision, truth: Truth },
}

/// What the switch really stood for when its agent spoke, as only the simulation knows: a store and a revision.
pub(crate) type Truth = Option<(String, Revision)>;

/// What an agent has already.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    pub(crate) store_id: String,
    pub(crate) datapath: DatapathId,
    pub(crate) revision: Revision,
}

/// A connection between an agent and a manager.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Which host's agent it is.
    pub(crate) host: usize,
    pub(crate) up: VecDeque<Said>,
    pub(crate) down: VecDeque<Told>,
    /// The agent has given it up.
    pub(crate) left_by_agent: bool,
    /// The manager has given it up.
    pub(crate) left_by_manager: bool,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    opened: u64,
    /// Hosts that no message leaves or reaches.
    pub(crate) cut_off: BTreeSet<usize>,
}

impl Network {
    pub(crate) fn open(&mut self, host: usize) -> ConnectionId {
        self.opened += 1;
        let id = ConnectionId(self.opened);
        self.connections.insert(id, Connection { host, ..Connection::default() });
        id
    }

    pub(crate) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// The connection, while messages pass.
    pub(crate) fn reach(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(&id)?;
        (!self.cut_off.contains(&connection.host)).then_some(connection)
    }

    /// All of them, oldest first.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
    }

    /// The agent gives a connection up. What it has said is on its way.
    pub(crate) fn leave_as_agent(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.left_by_agent = true;
            connection.down.clear();
        }
        self.tidy(id);
    }

    /// The manager gives a connection up. What it has said is on its way.
    pub(crate) fn leave_as_manager(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.left_by_manager = true;
            connection.up.clear();
        }
        self.tidy(id);
    }

    /// Loses a connection with all that is on its way. Each end finds out when it looks.
    pub(crate) fn lose(&mut self, id: ConnectionId) {
        self.leave_as_agent(id);
        self.leave_as_manager(id);
    }

    fn tidy(&mut self, id: ConnectionId) {
        if self.connections.get(&id).is_some_and(|of| of.left_by_agent && of.left_by_manager) {
            self.connections.remove(&id);
        }
    }
}
