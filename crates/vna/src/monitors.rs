//! Monitors: ports that are alive while another host is (BFD, RFC 5880). Pure.
//!
//! The switches of a gateway and of those that use it tell each other three times a second that they are there, over a
//! tunnel that carries nothing else: its key is no domain's. So the tables of the ones see within a second that the other
//! is gone, without an agent or a manager. Where a network has one gateway, there is nothing to choose and no monitor.
//!
//! # The way through a host
//! That a switch runs does not say that packets would go on from it: not without a carrier behind its uplink, and not from a
//! switch that has begun anew, until its flows are there. Its agent knows, and has the monitors say so ("concatenated path down":
//! RFC 5880, section 6.8.17). To others the host is gone then, and it goes on to see them. While no agent runs, they say what
//! they said last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::OfPort;
use ovsdb::vswitch::{Interface, PortSpec};
use topology::datapath::Encapsulation;
use topology::{DatapathId, HostKey, Topology};

/// Marks the ports that an agent has made, by the key of the host.
pub(crate) const MARK: &str = "openvnet-monitor";

/// The key of the tunnels: domains have others.
const KEY: &str = "0";

/// Pause between messages, in milliseconds. A host is gone once three are missing (ovs-vswitchd.conf.db(5), `bfd:mult`).
const INTERVAL_MS: &str = "300";

/// Most hosts that one host watches, or is watched by: each costs it some packets a second.
const MAX_MONITORS: usize = 2000;

/// What a host's monitors say to others of the way through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// What they have said before: nothing is known.
    #[default]
    AsItWas,
    /// Packets go on.
    Open,
    /// They do not.
    Closed,
}

/// Whether a switch has the flows by which packets go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flows {
    /// The agent has not read them yet: those of the agent before may be there.
    #[default]
    Unknown,
    /// It begins anew.
    Missing,
    /// They are as they should be.
    There,
}

impl Passage {
    /// The way through a host with these flows, one of whose uplinks leads nowhere or not.
    pub fn of(flows: Flows, yields: bool) -> Self {
        match flows {
            _ if yields => Self::Closed,
            Flows::Missing => Self::Closed,
            Flows::Unknown => Self::AsItWas,
            Flows::There => Self::Open,
        }
    }

    /// ovs-vswitchd.conf.db(5), `bfd:cpath_down`.
    fn column(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::AsItWas => None,
            Self::Open => Some(("cpath_down", "false")),
            Self::Closed => Some(("cpath_down", "true")),
        }
    }
}

/// How another host is reached, both ways in the same manner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    own: IpAddr,
    peer: IpAddr,
    encapsulation: Encapsulation,
}

/// A monitor that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// The port.
    pub port: OfPort,
    /// Whether the other host is alive.
    pub is_alive: bool,
}

/// The hosts that a host watches: the gateways of networks with several, and who uses them if it is one.
pub fn wanted(topology: &Topology, own: &DatapathId) -> BTreeMap<HostKey, Path> {
    let chosen = topology.domains_with_uplinks().map(|domain| topology.gateways(&domain));
    let chosen = chosen.filter(|gateways| gateways.len() > 1);
    let gateways: BTreeSet<_> = chosen.flatten().map(|gateway| gateway.datapath).collect();
    let is_gateway = gateways.contains(own);
    let watched =
        topology.datapaths().keys().filter(|id| *id != own && (is_gateway || gateways.contains(id)));
    watched.filter_map(|peer| path(topology, own, peer)).take(MAX_MONITORS).collect()
}

fn path(topology: &Topology, own: &DatapathId, peer: &DatapathId) -> Option<(HostKey, Path)> {
    let datapath = topology.datapaths().get(peer)?;
    let way = topology.way(own, peer, None)?;
    // Both come to the same, whatever each sends with else: what a user says of the two as well, since a monitor that is made
    // anew is silent for a while, and the host would be taken for gone.
    let own = topology.datapaths().get(own)?.underlay?;
    let encapsulation = own.encapsulation.min(datapath.underlay?.encapsulation);
    Some((datapath.key, Path { own: way.from, peer: way.to, encapsulation }))
}

/// The port of a monitor, and what it says.
pub fn port(bridge: &str, host: HostKey, path: Path, passage: Passage) -> PortSpec {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let bfd = [("enable", "true"), ("min_rx", INTERVAL_MS), ("min_tx", INTERVAL_MS)];
    let bfd: Vec<_> = bfd.into_iter().chain(passage.column()).collect();
    let (own, peer, mark) = (path.own.to_string(), path.peer.to_string(), host.to_string());
    PortSpec {
        bridge: bridge.to_owned(),
        name: format!("vn-bfd-{host}"),
        kind: path.encapsulation.to_string(),
        options: pairs(&[("remote_ip", &peer), ("local_ip", &own), ("key", KEY)]),
        ofport_request: None,
        bfd: pairs(&bfd),
        external_ids: pairs(&[(MARK, &mark)]),
    }
}

/// Which host an interface monitors, if it is there for that.
pub fn of_interface(interface: &Interface) -> Option<HostKey> {
    interface.external_ids.get(MARK)?.parse().ok().map(HostKey)
}

/// What a monitor says.
pub fn state(interface: &Interface, port: OfPort) -> Monitor {
    let forwarding = interface.bfd_status.get("forwarding").is_some_and(|is| is == "true");
    Monitor { port, is_alive: forwarding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_open_only_with_flows_and_uplinks() {
        let check = |flows, yields, expected| assert_eq!(Passage::of(flows, yields), expected, "{flows:?}");
        check(Flows::There, false, Passage::Open);
        check(Flows::Unknown, false, Passage::AsItWas);
        check(Flows::Missing, false, Passage::Closed);
        for flows in [Flows::Unknown, Flows::Missing, Flows::There] {
            check(flows, true, Passage::Closed);
        }
    }
}
