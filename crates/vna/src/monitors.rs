//! Monitors: ports that are alive while another host is (BFD, RFC 5880). Pure.
//!
//! The switches of a gateway and of those that use it tell each other three times a second that they are there, over a
//! tunnel that carries nothing else: its key is no domain's. So the tables of the ones see within a second that the other
//! is gone, without an agent or a manager. Where a network has one gateway, there is nothing to choose and no monitor.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::OfPort;
use ovsdb::vswitch::{Interface, PortSpec};
use topology::datapath::Encapsulation;
use topology::{DatapathId, HostKey, Topology};

/// Marks the ports that an agent has made, by the key of the host.
const MARK: &str = "openvnet-monitor";

/// The key of the tunnels: domains have others.
const KEY: &str = "0";

/// Pause between messages, in milliseconds. A host is gone once three are missing (ovs-vswitchd.conf.db(5), `bfd:mult`).
const INTERVAL_MS: &str = "300";

/// Most hosts that one host watches, or is watched by: each costs it some packets a second.
const MAX_MONITORS: usize = 2000;

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
    let chosen = topology.domains_with_uplinks().map(|domain| topology.gateways(domain));
    let chosen = chosen.filter(|gateways| gateways.len() > 1);
    let gateways: BTreeSet<_> = chosen.flatten().map(|gateway| gateway.datapath).collect();
    let is_gateway = gateways.contains(own);
    let watched =
        topology.datapaths().keys().filter(|id| *id != own && (is_gateway || gateways.contains(id)));
    watched.filter_map(|peer| path(topology, own, peer)).take(MAX_MONITORS).collect()
}

fn path(topology: &Topology, own: &DatapathId, peer: &DatapathId) -> Option<(HostKey, Path)> {
    let datapath = topology.datapaths().get(peer)?;
    let (own, peer) = (topology.datapaths().get(own)?.underlay?, datapath.underlay?);
    // Both come to the same, whatever each sends with else.
    let encapsulation = own.encapsulation.min(peer.encapsulation);
    let path = Path { own: own.address, peer: peer.address, encapsulation };
    (own.address.is_ipv4() == peer.address.is_ipv4()).then_some((datapath.key, path))
}

/// The port of a monitor.
pub fn port(bridge: &str, host: HostKey, path: Path) -> PortSpec {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (own, peer, mark) = (path.own.to_string(), path.peer.to_string(), host.to_string());
    PortSpec {
        bridge: bridge.to_owned(),
        name: format!("vn-bfd-{host}"),
        kind: path.encapsulation.to_string(),
        options: pairs(&[("remote_ip", &peer), ("local_ip", &own), ("key", KEY)]),
        ofport_request: None,
        bfd: pairs(&[("enable", "true"), ("min_rx", INTERVAL_MS), ("min_tx", INTERVAL_MS)]),
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
