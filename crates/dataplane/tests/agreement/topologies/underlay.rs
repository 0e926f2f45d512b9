//! How hosts reach each other: at which addresses, how pairs of them wrap what they send, and what goes its own way.

use std::net::IpAddr;

use serde_json::json;
use topology::MacAddr;
use topology::datapath::Encapsulation;
use topology::underlay::UnderlayAddress;

use super::{Asks, NETWORKS, SEGMENTS, UPLINK, network_id};
use crate::fleet::{HOSTS, port_name};
use crate::random::Random;
use crate::scene::{SETTLE, UNDERLAY_MTU};
use crate::switch::{underlay_addresses, uplinks};

/// Topologies of a hundred in which users have a say of pairs of hosts, and most requests about these.
const PAIRED: usize = 15;
const REQUESTS: usize = 5;

/// Topologies of a hundred in which hosts are reached at several addresses, such in which records say how hosts carry what, and of these
/// such in which layers say it, too.
const SEVERAL: usize = 20;
const PLACED: usize = 20;
const LAYERED: usize = 50;

/// What some addresses take, in bytes: so little less that packets around the size of tunnels are about them, too.
const SMALLER_MTU: u16 = 1480;

/// How a host or a pair of them wraps what it sends.
pub(super) fn encapsulation(random: &mut Random) -> Encapsulation {
    match random.below(10) {
        0 => Encapsulation::Vxlan,
        1 => Encapsulation::Gre,
        _ => Encapsulation::Geneve,
    }
}

/// Where each host is reached; nothing if at one address.
pub(super) fn addresses(random: &mut Random) -> Vec<Vec<UnderlayAddress>> {
    if !random.percent(SEVERAL) {
        return Vec::new();
    }
    let of_host = |host| {
        let mut all: Vec<IpAddr> = uplinks().flat_map(|uplink| underlay_addresses(host, uplink)).collect();
        let count = 1 + random.below(all.len());
        let mut next = || {
            let address = all.swap_remove(random.below(all.len()));
            UnderlayAddress { address, mtu: *random.pick(&[UNDERLAY_MTU, SMALLER_MTU]) }
        };
        (0..count).map(|_| next()).collect()
    };
    (0..HOSTS).map(of_host).collect()
}

/// The id of the physical network that hosts have one of their uplinks in.
fn underlay(uplink: u8) -> String {
    format!("nw-under{uplink}")
}

/// The id of the host interface that stands for a host's uplink.
fn host_interface(host: u8, uplink: u8) -> String {
    format!("if-host{host}-{uplink}")
}

impl Asks {
    /// Pairs of hosts, at every stage of a change.
    pub(super) fn pairs(&mut self) {
        if !self.random.percent(PAIRED) {
            return;
        }
        for _ in 0..=self.random.below(REQUESTS) {
            let one = self.random.below(HOSTS.into());
            let other = (one + 1 + self.random.below(usize::from(HOSTS) - 1)) % usize::from(HOSTS);
            let peer = format!("dp-host{other}");
            let (action, attributes) = match self.random.percent(25) {
                true => ("remove_datapath_peer", json!({"peer_uuid": peer})),
                false => {
                    let kind = *self.random.pick(&Encapsulation::ALL);
                    ("add_datapath_peer", json!({"peer_uuid": peer, "encapsulation": kind}))
                }
            };
            self.act(action, &format!("dp-host{one}"), attributes);
            if self.random.percent(50) {
                self.asks.push(SETTLE.into());
            }
        }
    }

    /// By which addresses hosts carry what, and which hosts do not.
    pub(super) fn placement(&mut self) {
        if !self.random.percent(PLACED) {
            return;
        }
        for uplink in uplinks() {
            // A host has one uplink in a physical network.
            let under = json!({"uuid": underlay(uplink), "mode": "physical", "ipv4_network": "198.51.100.0",
                "ipv6_network": "2001:db8::"});
            self.create("networks", under);
        }
        for host in 0..HOSTS {
            uplinks().for_each(|uplink| self.host_interface(host, uplink));
            for (field, id) in carried() {
                if self.random.percent(25) {
                    let by = self.some_host_interface(host);
                    let placed = json!({field: id, "interface_uuid": by});
                    self.act("add_placement", &format!("dp-host{host}"), placed);
                }
            }
        }
        if self.random.percent(LAYERED) {
            self.layers();
        }
    }

    fn host_interface(&mut self, host: u8, uplink: u8) {
        let id = host_interface(host, uplink);
        let mac = MacAddr([2, 0xbb, 0, 0, host, uplink]).to_string();
        self.create(
            "interfaces",
            json!({"uuid": id, "mode": "host", "owner_datapath_uuid": format!("dp-host{host}"),
                "port_name": format!("eth{uplink}"), "network_uuid": underlay(uplink), "mac_address": mac}),
        );
        let fields = ["ipv4_address", "ipv6_address"].into_iter();
        for (field, address) in fields.zip(underlay_addresses(host, uplink)) {
            if self.random.percent(70) {
                self.update("interfaces", &id, json!({field: address}));
            }
        }
    }

    /// One with addresses, mostly: an uplink of a physical network has none.
    fn some_host_interface(&mut self, host: u8) -> String {
        let uplinks: Vec<_> = uplinks().collect();
        match self.random.percent(10) {
            true => port_name(host, UPLINK),
            false => host_interface(host, *self.random.pick(&uplinks)),
        }
    }

    fn layers(&mut self) {
        let (under, over) = ("topo-under", "topo-over");
        for (id, mode) in [(under, "simple_underlay"), (over, "simple_overlay")] {
            self.create("topologies", json!({"uuid": id, "mode": mode}));
        }
        self.act("add_member", over, json!({"underlay_uuid": under}));
        for host in 0..HOSTS {
            if self.random.percent(80) {
                let by = self.some_host_interface(host);
                let member = json!({"datapath_uuid": format!("dp-host{host}"), "interface_uuid": by});
                self.act("add_member", under, member);
            }
        }
        for (field, id) in carried() {
            if self.random.percent(40) {
                let layer = *self.random.pick(&[under, over]);
                self.act("add_member", layer, json!({field: id}));
            }
        }
    }
}

/// What hosts carry, by the attribute that names it.
fn carried() -> impl Iterator<Item = (&'static str, String)> {
    let networks = (0..=NETWORKS).map(|network| ("network_uuid", network_id(network)));
    networks.chain((1..=SEGMENTS).map(|segment| ("segment_uuid", format!("seg-{segment}"))))
}
