//! What representations are made of: one topology, and what the hosts said.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use topology::{DatapathId, InterfaceId, NodeId, Topology, mtu};

use crate::hosts::Hosts;

/// One look at everything. What takes a walk over all hosts is worked out once, when first asked for.
pub struct Look<'a> {
    /// The topology.
    pub topology: &'a Topology,
    hosts: &'a Hosts,
    mtu: OnceCell<u16>,
    refusals: OnceCell<BTreeMap<InterfaceId, String>>,
}

impl<'a> Look<'a> {
    /// Looks at a topology and the hosts.
    pub fn new(topology: &'a Topology, hosts: &'a Hosts) -> Self {
        Self { topology, hosts, mtu: OnceCell::new(), refusals: OnceCell::new() }
    }

    /// What the hosts said.
    pub fn hosts(&self) -> &Hosts {
        self.hosts
    }

    /// The largest packet that guests should send, in bytes.
    pub fn mtu(&self) -> u16 {
        *self.mtu.get_or_init(|| mtu::of_overlay(self.topology))
    }

    /// Why a port that names the interface does not bind it, if there is one.
    pub fn refusal(&self, interface: &InterfaceId) -> Option<&String> {
        let all = || {
            let refusals = self.hosts.read().seen().refusals(self.topology);
            refusals.into_iter().map(|(_, refusal)| (refusal.interface, refusal.reason)).collect()
        };
        self.refusals.get_or_init(all).get(interface)
    }

    /// The name of a datapath's agent.
    pub fn node(&self, datapath: &DatapathId) -> Option<NodeId> {
        self.topology.datapaths().get(datapath).map(|datapath| datapath.node_id.clone())
    }

    /// Whether a datapath's agent is connected.
    pub fn is_connected(&self, datapath: &DatapathId) -> bool {
        self.hosts.read().is_connected(datapath)
    }
}
