//! From the numbers in flows to the names that users and operators gave. Pure.

use std::collections::BTreeMap;
use std::fmt;

use dataplane::layout::TABLES;
use dataplane::{Owner, Purpose};
use openflow::{Cookie, OfPort, TableId};
use sync::question::FlowOwner;
use topology::datapath::Encapsulation;
use topology::{
    DatapathId, DomainKey, HostKey, IdentityKey, InterfaceId, InterfaceKey, RouteKey, RouteLinkKey, Topology,
    TranslationKey,
};

use crate::host::HostView;

/// The names of one host.
pub(super) struct Names<'a> {
    pub(super) topology: &'a Topology,
    pub(super) datapath: &'a DatapathId,
    ports: BTreeMap<OfPort, Port>,
    tunnels: &'a BTreeMap<Encapsulation, OfPort>,
}

/// What a port number stands for.
pub(super) enum Port {
    /// A port of the bridge that is no tunnel, and the interface that it is, if it is one.
    Guest(String, Option<InterfaceId>),
    /// The port of tunnels of this kind.
    Tunnel(Encapsulation),
    /// What sees whether this host is alive.
    Monitor(HostKey),
}

impl<'a> Names<'a> {
    pub(super) fn new(topology: &'a Topology, datapath: &'a DatapathId, host: &'a HostView) -> Self {
        let interfaces = host.local(topology, datapath.clone()).ports;
        let mut of: BTreeMap<_, _> = interfaces.into_iter().map(|(id, port)| (port, id)).collect();
        let guests = host.ports.iter().filter_map(|(name, port)| Some((port.number?, name)));
        let guests = guests.map(|(number, name)| (number, Port::Guest(name.clone(), of.remove(&number))));
        let tunnels = host.tunnels.iter().map(|(kind, number)| (*number, Port::Tunnel(*kind)));
        let monitors = host.monitors.iter().map(|(host, of)| (of.port, Port::Monitor(*host)));
        Self {
            topology,
            datapath,
            ports: guests.chain(tunnels).chain(monitors).collect(),
            tunnels: &host.tunnels,
        }
    }

    /// What a port number stands for, if the host has the port.
    pub(super) fn port_of(&self, number: OfPort) -> Option<&Port> {
        self.ports.get(&number)
    }

    /// The number of an interface's port.
    pub(super) fn number_of(&self, interface: &InterfaceId) -> Option<OfPort> {
        let is = |port: &Port| matches!(port, Port::Guest(_, Some(id)) if id == interface);
        self.ports.iter().find(|(_, port)| is(port)).map(|(number, _)| *number)
    }

    /// The number of the port of tunnels of a kind.
    pub(super) fn tunnel_of(&self, encapsulation: Encapsulation) -> Option<OfPort> {
        self.tunnels.get(&encapsulation).copied()
    }

    pub(super) fn port(&self, number: OfPort) -> String {
        match self.ports.get(&number) {
            Some(Port::Guest(name, Some(interface))) => format!("port {name} ({interface})"),
            Some(Port::Guest(name, None)) => format!("port {name}"),
            Some(Port::Tunnel(encapsulation)) => format!("the {encapsulation} tunnels"),
            Some(Port::Monitor(host)) => format!("the monitor of {}", self.host(*host)),
            None => format!("port {number}"),
        }
    }

    pub(super) fn interface(&self, key: InterfaceKey) -> String {
        named(self.topology.interface_of_key(key).map(|of| &of.uuid), "interface", key.0)
    }

    pub(super) fn host(&self, key: HostKey) -> String {
        named(self.topology.datapath_of_key(key).map(|of| &of.uuid), "host", key.0)
    }

    pub(super) fn domain(&self, key: DomainKey) -> String {
        named(self.topology.domain_of_key(key).as_ref(), "network or segment", key.0)
    }

    pub(super) fn router(&self, key: RouteLinkKey) -> String {
        named(self.topology.route_link_of_key(key).map(|of| &of.uuid), "router", key.0)
    }

    fn route(&self, key: RouteKey) -> String {
        named(self.topology.route_of_key(key).map(|of| &of.uuid), "route", key.0)
    }

    fn translation(&self, key: TranslationKey) -> String {
        named(self.topology.translation_of_key(key).map(|of| &of.uuid), "translation", key.0)
    }

    /// The groups that an identity stands for.
    pub(super) fn groups(&self, key: IdentityKey) -> Vec<String> {
        let member = self.topology.interface_of_identity(key);
        member.map_or_else(
            || vec![format!("groups {}", key.0)],
            |member| member.security_groups.iter().map(ToString::to_string).collect(),
        )
    }

    /// The name of a table.
    pub(super) fn table(number: TableId) -> String {
        let known = TABLES.iter().find(|(table, _)| *table == number);
        known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
    }

    /// Whose a flow is.
    pub(super) fn owner(&self, cookie: Cookie) -> FlowOwner {
        let one = |object: String, what: &str| FlowOwner { objects: vec![object], what: what.to_owned() };
        match Owner::of_cookie(cookie) {
            None => FlowOwner { objects: Vec::new(), what: format!("not OpenVNet's (cookie {cookie})") },
            Some(Owner::Base(purpose)) => FlowOwner { objects: Vec::new(), what: purpose_of(purpose) },
            Some(Owner::Interface(key)) => one(self.interface(key), "interface"),
            Some(Owner::Peer(key)) => one(self.host(key), "host"),
            Some(Owner::Domain(key)) => one(self.domain(key), "network or segment"),
            Some(Owner::RouteLink(key)) => one(self.router(key), "router"),
            Some(Owner::Route(key)) => one(self.route(key), "route"),
            Some(Owner::Translation(key)) => one(self.translation(key), "translation"),
            Some(Owner::Filter(key)) => one(self.interface(key), "protection of the interface"),
            Some(Owner::Neighbour(key)) => one(self.domain(key), "neighbour on the wire"),
            Some(Owner::Identity(key)) => {
                FlowOwner { objects: self.groups(key), what: "security groups".to_owned() }
            }
        }
    }
}

fn purpose_of(purpose: Purpose) -> String {
    purpose.drop_reason().map_or_else(|| "takes packets on".to_owned(), |reason| format!("drops: {reason}"))
}

/// The id, or what stands for it of an object that is not known (any more).
fn named(id: Option<&impl fmt::Display>, noun: &str, key: u32) -> String {
    id.map_or_else(|| format!("{noun} {key}"), ToString::to_string)
}
