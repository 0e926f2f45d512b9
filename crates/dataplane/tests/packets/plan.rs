//! Small topologies, made by requests as users make them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dataplane::{Compiler, Local, Program};
use openflow::{Flow, OfPort};
use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::host_pair::HostPair;
use topology::underlay::UnderlayAddress;
use topology::{
    DatapathId, DomainId, DomainKey, Edit, InterfaceId, InterfaceKey, MacAddr, Request, Topology,
};

use crate::switch::{tunnel_port, underlay_ipv4, underlay_ipv6};

/// First port of a guest.
const FIRST_PORT: u32 = 10;

/// MTU of the underlay, in bytes.
pub(crate) const UNDERLAY_MTU: u16 = 1500;

/// A topology, and where its interfaces are plugged in.
pub(crate) struct Plan {
    topology: Topology,
    seen: SeenPorts,
    ports: BTreeMap<u8, Vec<(String, OfPort)>>,
    neighbours: Vec<Flow>,
    yielding: BTreeSet<u8>,
}

impl Plan {
    /// Hosts that send with these encapsulations, over IPv4.
    pub(crate) fn hosts(encapsulations: &[Encapsulation]) -> Self {
        Self::hosts_at(encapsulations, |host| vec![underlay_ipv4(host).into()])
    }

    /// The same over IPv6.
    pub(crate) fn hosts_over_ipv6(encapsulations: &[Encapsulation]) -> Self {
        Self::hosts_at(encapsulations, |host| vec![underlay_ipv6(host).into()])
    }

    /// Hosts that send with these encapsulations, each at these addresses, its own choice first.
    pub(crate) fn hosts_at(encapsulations: &[Encapsulation], addresses: fn(u8) -> Vec<IpAddr>) -> Self {
        let (topology, seen) = (Topology::default(), SeenPorts::default());
        let (ports, neighbours, yielding) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        let mut plan = Self { topology, seen, ports, neighbours, yielding };
        for (host, encapsulation) in (0..).zip(encapsulations) {
            let at = |address| UnderlayAddress { address, mtu: UNDERLAY_MTU };
            let mut addresses = addresses(host).into_iter().map(at);
            let UnderlayAddress { address, mtu } = addresses.next().expect("a host has an address");
            let underlay = Underlay { encapsulation: *encapsulation, address, mtu };
            let registration = Registration::new(
                format!("host{host}").parse().expect("a valid id"),
                topology::Dpid(u64::from(host) + 1),
                underlay,
            );
            let registration = registration.with_addresses(addresses.collect());
            plan.ports.insert(host, Vec::new());
            plan.edit(|edit, _| {
                Datapath::register(edit, registration).expect("a host");
            });
        }
        plan
    }

    /// One host.
    pub(crate) fn host() -> Self {
        Self::hosts(&[Encapsulation::Geneve])
    }

    /// With a resource.
    pub(crate) fn with(mut self, resource: &str, attributes: Value) -> Self {
        self.create(resource, attributes);
        self
    }

    /// Makes a resource.
    pub(crate) fn create(&mut self, resource: &str, attributes: Value) {
        self.request(json!({"op": "create", "resource": resource, "attributes": attributes}));
    }

    /// Changes a resource.
    pub(crate) fn update(&mut self, resource: &str, uuid: &str, attributes: Value) {
        self.request(json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}));
    }

    fn request(&mut self, request: Value) {
        let read: Request = serde_json::from_value(request.clone()).expect("a well-formed request");
        self.edit(|edit, _| {
            read.execute(edit).unwrap_or_else(|error| panic!("{request}: {error:?}"));
        });
    }

    /// With a network for 10.0.0.0/24 and fd00::/64.
    pub(crate) fn with_network(self, id: &str) -> Self {
        self.with("networks", json!({"uuid": id, "ipv4_network": "10.0.0.0", "ipv6_network": "fd00::"}))
    }

    /// With a segment.
    pub(crate) fn with_segment(self, id: &str) -> Self {
        self.with("segments", json!({"uuid": id, "mode": "virtual"}))
    }

    /// With two hosts that send each other what they send in a way that a user has chosen, and are ready for it.
    pub(crate) fn with_peers(mut self, one: u8, other: u8, mode: &str) -> Self {
        let attributes = json!({"peer_uuid": host_id(other), "encapsulation": mode});
        self.request(json!({"op": "act", "action": "add_datapath_peer", "uuid": host_id(one), "attributes": attributes}));
        let pairs: Vec<_> = self.topology.unsettled_host_pairs().cloned().collect();
        self.edit(|edit, _| {
            pairs.iter().for_each(|pair| HostPair::settle(edit, &pair.uuid, pair.meta.revision));
        });
        self
    }

    /// With an interface plugged in at a host.
    pub(crate) fn with_interface(self, host: u8, attributes: Value) -> Self {
        let id = attributes["uuid"].as_str().expect("an id").to_owned();
        let mut plan = self.with("interfaces", attributes);
        let count: usize = plan.ports.values().map(Vec::len).sum();
        let number = OfPort(FIRST_PORT + u32::try_from(count).expect("few"));
        plan.ports.get_mut(&host).expect("a host").push((id, number));
        let seen = |(id, _): &(String, OfPort)| SeenPort {
            name: format!("tap-{id}"),
            instance: id.clone(),
            iface_id: Some(id.clone()),
            error: None,
            asks: false,
        };
        plan.seen.report(host_id(host), plan.ports[&host].iter().map(seen).collect());
        plan.edit(|edit, seen| seen.bind(&host_id(host), edit));
        plan
    }

    /// With somebody on the wire of a physical network that every agent knows.
    pub(crate) fn with_neighbour(mut self, network: &str, address: IpAddr, mac: [u8; 6]) -> Self {
        let domain = self.domain_key(network);
        self.neighbours.push(dataplane::neighbour(domain, address, MacAddr(mac)));
        self
    }

    /// With a host that leaves what gateways do to others.
    pub(crate) fn with_yielding(mut self, host: u8) -> Self {
        self.yielding.insert(host);
        self
    }

    /// The guests' ports of a host, by the interface's id.
    pub(crate) fn ports(&self, host: u8) -> &[(String, OfPort)] {
        &self.ports[&host]
    }

    /// Where an interface is plugged in.
    pub(crate) fn host_of(&self, interface: &str) -> u8 {
        let has = |host: &u8| self.ports(*host).iter().any(|(id, _)| id == interface);
        self.all_hosts().into_iter().find(has).expect("a plugged interface")
    }

    /// The port of an interface.
    pub(crate) fn port_of(&self, interface: &str) -> OfPort {
        let ports = self.ports(self.host_of(interface));
        ports.iter().find_map(|(id, port)| (id == interface).then_some(*port)).expect("it is plugged in")
    }

    /// The topology.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The key of a network.
    pub(crate) fn domain_key(&self, network: &str) -> DomainKey {
        let network = DomainId::Network(network.parse().expect("a valid id"));
        self.topology.key_of_domain(&network).expect("it is there")
    }

    /// The key of an interface.
    pub(crate) fn interface_key(&self, interface: &str) -> InterfaceKey {
        self.topology.interfaces()[&interface_id(interface)].key
    }

    /// Every host.
    pub(crate) fn all_hosts(&self) -> Vec<u8> {
        self.ports.keys().copied().collect()
    }

    /// What a host's switch shall hold.
    pub(crate) fn program(&self, host: u8) -> Program {
        let ports = self.ports(host).iter().map(|(id, number)| (interface_id(id), *number)).collect();
        let tunnels = Encapsulation::ALL.into_iter().map(|kind| (kind, tunnel_port(kind))).collect();
        let (datapath, monitors) = (host_id(host), BTreeMap::new());
        let local = Local { datapath, ports, tunnels, monitors, yields: self.yielding.contains(&host) };
        let mut program = Compiler::new(self.topology.clone(), local).program().clone();
        program.flows.extend(self.neighbours.iter().map(|flow| (flow.into(), flow.clone())));
        program
    }

    fn edit(&mut self, change: impl FnOnce(&mut Edit, &SeenPorts)) {
        let seed = self.topology.revision().0;
        let mut edit = Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, seed);
        change(&mut edit, &self.seen);
        let revision = self.topology.revision().next();
        let changes = edit.into_changes();
        self.topology.commit(revision, &changes);
    }
}

fn host_id(host: u8) -> DatapathId {
    format!("dp-host{host}").parse().expect("a valid id")
}

fn interface_id(text: &str) -> InterfaceId {
    text.parse().expect("a valid id")
}
