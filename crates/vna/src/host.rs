//! What the host's switch shows, read from its database, and what follows from it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dataplane::Local;
use imbl::{OrdMap, OrdSet};
use openflow::OfPort;
use ovsdb::Snapshot;
use ovsdb::vswitch::{Bridge, BridgeSpec, PortSpec};
use sha2::{Digest, Sha256};
use sync::Replica;
use topology::binding::SeenPort;
use topology::datapath::Encapsulation;
use topology::host_pair::HostPair;
use topology::id::Id;
use topology::underlay::TunnelMode;
use topology::{DatapathId, Dpid, HostKey, InterfaceId, NodeId, Topology};

use crate::monitors::{self, Flows, Monitor, Passage};
use crate::settings::Settings;

/// Marks the tunnel ports that an agent has made, by encapsulation.
pub(crate) const TUNNEL_MARK: &str = "openvnet-tunnel";

/// A port of the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// What the manager is told of it.
    pub seen: Arc<SeenPort>,
    /// Its number; `None` until the switch has made the port, or if it could not.
    pub number: Option<OfPort>,
}

/// The bridge as the database shows it. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// Its datapath id, once the switch has made it.
    pub dpid: Option<Dpid>,
    /// Ports that are no tunnels, by name.
    pub ports: OrdMap<String, HostPort>,
    /// Tunnel ports that are ready.
    pub tunnels: BTreeMap<Encapsulation, OfPort>,
    /// Monitors that are ready, by the host they watch.
    pub monitors: BTreeMap<HostKey, Monitor>,
    /// Names of the ports that have no carrier.
    pub dark: OrdSet<String>,
    /// Ports that an agent has made, by name, whether or not they are ready.
    pub made: BTreeMap<String, Made>,
}

/// What an agent has made a port for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// To send with an encapsulation; `None` if it is one that this version does not know.
    Tunnel(Option<Encapsulation>),
    /// To watch a host.
    Monitor(HostKey),
}

impl HostView {
    /// What the manager is told: ports that the switch has made, or has failed to make.
    pub fn seen(&self) -> Vec<Arc<SeenPort>> {
        let settled = |port: &&HostPort| port.number.is_some() || port.seen.error.is_some();
        self.ports.values().filter(settled).map(|port| port.seen.clone()).collect()
    }

    /// Names of the ports that an agent has made and nobody wants any more.
    pub fn stale_ports(&self, wanted: &Wanted) -> Vec<&str> {
        let Tunnels::Exactly(tunnels) = &wanted.tunnels else { return Vec::new() };
        let is_stale = |made: &Made| match made {
            Made::Tunnel(encapsulation) => encapsulation.is_none_or(|of| !tunnels.contains(&of)),
            Made::Monitor(host) => !wanted.monitors.contains_key(host),
        };
        self.made.iter().filter(|(_, made)| is_stale(made)).map(|(name, _)| name.as_str()).collect()
    }

    /// Whether every tunnel port is there that this host and its peers send with. Without one, the tables are as
    /// they should be and packets still have no way.
    pub fn has_tunnels(&self, topology: &Topology, datapath: &DatapathId) -> bool {
        let hosts =
            topology.datapaths().values().filter_map(|host| Some((&host.uuid, host.underlay?.encapsulation)));
        let (own, peers): (Vec<_>, Vec<_>) = hosts.partition(|(host, _)| *host == datapath);
        let used = own.iter().filter(|_| !peers.is_empty()).chain(&peers).map(|(_, of)| *of);
        // What a pair is to use, it is told to only once both have said that they can.
        let of_pairs = pairs(topology, datapath).flat_map(|pair| [pair.encapsulation, pair.used]).flatten();
        let of_pairs = of_pairs.filter_map(TunnelMode::encapsulation);
        used.chain(of_pairs).all(|encapsulation| self.tunnels.contains_key(&encapsulation))
    }

    /// What the compiler is told.
    pub fn local(&self, topology: &Topology, datapath: DatapathId) -> Local {
        let interfaces = topology.interfaces_on(&datapath);
        let number = |id: InterfaceId| self.number_of(topology, &id).map(|port| (id, port));
        let ports = interfaces.into_iter().filter_map(number).collect();
        let monitors = self.monitors.iter().map(|(host, monitor)| (*host, monitor.port)).collect();
        let yields = self.yields(topology, &datapath);
        Local { datapath, ports, tunnels: self.tunnels.clone(), monitors, yields }
    }

    /// The same, where this is what it was with another topology. Costs as much as these differ.
    pub fn local_since(&self, before: &Topology, mut local: Local, topology: &Topology) -> Local {
        for id in topology.bound_since(before) {
            let host = topology.active_claim(&id).map(|claim| &claim.datapath_uuid);
            let here = (host == Some(&local.datapath)).then(|| self.number_of(topology, &id));
            match here.flatten() {
                Some(port) => local.ports.insert(id, port),
                None => local.ports.remove(&id),
            };
        }
        Local { yields: self.yields(topology, &local.datapath), ..local }
    }

    /// Whether this host leaves to others what gateways do, where there are others: one of its uplinks leads nowhere.
    pub fn yields(&self, topology: &Topology, own: &DatapathId) -> bool {
        topology.domains_with_uplinks().any(|domain| {
            let gateways = topology.gateways(&domain);
            let mut here = gateways.iter().filter(|of| of.datapath == *own);
            gateways.len() > 1 && here.any(|of| !self.is_live(topology, &of.uplink))
        })
    }

    /// Whether an interface that lives here has its port, and that a carrier.
    pub fn is_live(&self, topology: &Topology, id: &InterfaceId) -> bool {
        let port = self.port_of(topology, id).filter(|port| port.number.is_some());
        port.is_some_and(|port| !self.dark.contains(&port.seen.name))
    }

    fn number_of(&self, topology: &Topology, id: &InterfaceId) -> Option<OfPort> {
        self.port_of(topology, id)?.number
    }

    /// The port of an interface that lives here. The very port the manager knows of, or else the one that has taken its
    /// place: a host that boots without its manager has new ports under old names. Never one that names another interface;
    /// a hypervisor's own ids name none.
    pub fn port_of(&self, topology: &Topology, id: &InterfaceId) -> Option<&HostPort> {
        let claim = topology.active_claim(id)?;
        let of_name = self
            .ports
            .get(&claim.port_name)
            .filter(|port| port.seen.named_interface().is_none_or(|named| named == *id));
        let very = of_name.filter(|port| port.seen.instance == claim.instance);
        let names = |port: &&HostPort| port.seen.iface_id.as_deref() == Some(id.as_str());
        let by_iface_id = || self.ports.values().find(names);
        very.or_else(by_iface_id).or(of_name)
    }
}

/// The bridge as the agent wants it. What an operator has chosen by hand stays.
pub fn wanted_bridge(snapshot: &Snapshot, settings: &Settings, node: &NodeId) -> BridgeSpec {
    let found = Bridge::named(snapshot, &settings.bridge).ok().flatten();
    let kind = found.as_ref().map(|bridge| bridge.datapath_type.clone());
    let kind = settings.datapath_type.clone().or(kind).unwrap_or_else(|| "system".to_owned());
    // Without this key the switch makes the id up from a MAC address, which may be another one after a restart.
    let configured =
        found.as_ref().and_then(|bridge| bridge.other_config.get("datapath-id")?.parse::<Dpid>().ok());
    let running = found.as_ref().and_then(|bridge| bridge.datapath_id).map(|id| Dpid(id.0));
    let dpid = settings.dpid.or(configured).or(running).unwrap_or_else(|| dpid_of_node(node));
    let mut spec = BridgeSpec::secure(&settings.bridge, &kind);
    spec.other_config = BTreeMap::from([
        ("datapath-id".to_owned(), format!("{:016x}", dpid.0)),
        // The agent talks to the switch over its local socket, and needs no flows of the switch's own for it.
        ("disable-in-band".to_owned(), "true".to_owned()),
    ]);
    // A bridge made for an older controller may allow older versions only.
    spec.protocols = found.map(|bridge| bridge.protocols).unwrap_or_default();
    if !spec.protocols.is_empty() {
        spec.protocols.insert("OpenFlow15".to_owned());
    }
    spec
}

/// A datapath id that a node keeps: 48 bits of a digest, as a MAC address would give.
fn dpid_of_node(node: &NodeId) -> Dpid {
    let digest = Sha256::digest(node.as_str());
    let number = digest.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte));
    Dpid(number.max(1))
}

/// Name of the tunnel port of an encapsulation.
fn tunnel_name(encapsulation: Encapsulation) -> String {
    format!("vn-{encapsulation}")
}

/// The tunnel ports that the agent wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnels {
    /// At least these. No manager has been heard yet, and what a replica from disk does not know may be in use.
    AtLeast(BTreeSet<Encapsulation>),
    /// These and no others.
    Exactly(BTreeSet<Encapsulation>),
}

impl Tunnels {
    /// The ports that are to be there.
    pub fn needed(&self) -> &BTreeSet<Encapsulation> {
        match self {
            Self::AtLeast(needed) | Self::Exactly(needed) => needed,
        }
    }
}

/// The ports that the agent wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of tunnels.
    pub tunnels: Tunnels,
    /// That watch other hosts.
    pub monitors: BTreeMap<HostKey, monitors::Path>,
    /// What these say.
    pub passage: Passage,
}

impl Wanted {
    /// What a replica asks for, if one is known. Nothing is said of the way through the host.
    pub fn of(
        settings: &Settings,
        replica: Option<&Replica>,
        tunnels: fn(BTreeSet<Encapsulation>) -> Tunnels,
    ) -> Self {
        let encapsulations = encapsulations(settings, replica);
        let monitors = replica.map(|replica| monitors::wanted(&replica.topology, &replica.datapath));
        let passage = Passage::AsItWas;
        Self { tunnels: tunnels(encapsulations), monitors: monitors.unwrap_or_default(), passage }
    }

    /// The same, for a host of which this is known.
    #[must_use]
    pub fn with_passage(mut self, replica: &Replica, host: &HostView, flows: Flows) -> Self {
        // Before the database has been read, every uplink would be missing.
        if host.dpid.is_some() {
            self.passage = Passage::of(flows, host.yields(&replica.topology, &replica.datapath));
        }
        self
    }
}

/// One for each encapsulation that this host or a peer sends with. All, where a record is of this host and a peer: it may
/// change before one of them has heard of it.
pub fn encapsulations(settings: &Settings, replica: Option<&Replica>) -> BTreeSet<Encapsulation> {
    let is_paired = |of: &&Replica| pairs(&of.topology, &of.datapath).next().is_some();
    if replica.filter(is_paired).is_some() {
        return Encapsulation::ALL.into();
    }
    let peers = replica.into_iter().flat_map(|replica| replica.topology.datapaths().values());
    let peers = peers.filter_map(|datapath| datapath.underlay).map(|underlay| underlay.encapsulation);
    peers.chain([settings.encapsulation]).collect()
}

/// The records of a host and others that it knows.
fn pairs<'a>(topology: &'a Topology, own: &'a DatapathId) -> impl Iterator<Item = &'a HostPair> {
    let pairs = topology.host_pairs().values().filter(|pair| pair.joins(own));
    let is_known =
        |pair: &&HostPair| pair.datapath_uuids.iter().all(|of| topology.datapaths().contains_key(of));
    pairs.map(|pair| pair.as_ref()).filter(is_known)
}

/// A tunnel port that any peer can be reached by.
pub fn tunnel_port(bridge: &str, encapsulation: Encapsulation) -> PortSpec {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    PortSpec {
        bridge: bridge.to_owned(),
        name: tunnel_name(encapsulation),
        kind: encapsulation.to_string(),
        options: BTreeMap::from([
            option("remote_ip", "flow"),
            option("local_ip", "flow"),
            option("key", "flow"),
        ]),
        ofport_request: None,
        bfd: BTreeMap::new(),
        external_ids: BTreeMap::from([option(TUNNEL_MARK, &encapsulation.to_string())]),
    }
}
