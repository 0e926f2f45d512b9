//! What representations are made of: one topology, and what the hosts said.

use std::cell::OnceCell;

use topology::{DatapathId, NodeId, Topology, mtu};

use crate::hosts::Hosts;

/// One look at everything. What takes a walk over all datapaths is worked out once, when first asked for.
pub struct Look<'a> {
    /// The topology.
    pub topology: &'a Topology,
    hosts: &'a Hosts,
    mtu: OnceCell<u16>,
}

impl<'a> Look<'a> {
    /// Looks at a topology and the hosts.
    pub fn new(topology: &'a Topology, hosts: &'a Hosts) -> Self {
        Self { topology, hosts, mtu: OnceCell::new() }
    }

    /// What the hosts said.
    pub fn hosts(&self) -> &Hosts {
        self.hosts
    }

    /// The largest packet that guests should send, in bytes.
    pub fn mtu(&self) -> u16 {
        *self.mtu.get_or_init(|| mtu::of_overlay(self.topology))
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
