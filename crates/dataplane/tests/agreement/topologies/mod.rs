//! Random topologies: every resource there is, in small numbers, on few hosts.
//!
//! Requests that do not fit each other are refused and left out, so what is here need not know all rules.

mod routers;
mod underlay;

use serde_json::{Value, json};
use topology::MacAddr;

use crate::fleet::{HOSTS, PORTS, port_name};
use crate::random::Random;
use crate::scene::Scene;

/// Networks with addresses 10.N.0.0/24 and fd00:N::/64, and segments.
pub(crate) const NETWORKS: u8 = 3;
const SEGMENTS: u8 = 2;
const GROUPS: u8 = 3;

/// The ports that may be uplinks and edges.
const UPLINK: u8 = PORTS - 2;
const EDGE: u8 = PORTS - 1;

/// Ports that rules and packets are about.
pub(crate) const PORTS_IN_USE: [u16; 5] = [53, 80, 8080, 5432, 1000];

/// Last bytes of MAC addresses and of addresses: of legs, and of what legs stand for.
pub(crate) const LEG: u8 = 100;
pub(crate) const EXTERNAL: [u8; 2] = [200, 201];

/// The port of the second of these that stands for another's.
pub(crate) const SHARED_PORT: u16 = 80;

/// Who is on the wire of the physical network: a router and a machine that have answered, and one that has not.
pub(crate) const OUTSIDE: [u8; 3] = [1, 9, 77];

/// MAC address of whoever has a number.
pub(crate) fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// MAC address of somebody on a wire.
pub(crate) fn mac_outside(number: u8) -> MacAddr {
    MacAddr([2, 0xee, 0, 0, 0, number])
}

/// Number of the guest at a port.
fn guest(host: u8, port: u8) -> u8 {
    host * 10 + port + 11
}

fn ipv4(network: u8, number: u8) -> String {
    if network == 0 { format!("203.0.113.{number}") } else { format!("10.{network}.0.{number}") }
}

fn ipv6(network: u8, number: u8) -> String {
    if network == 0 { format!("2001:db8:5::{number:x}") } else { format!("fd00:{network}::{number:x}") }
}

fn network_id(network: u8) -> String {
    if network == 0 { "nw-out".into() } else { format!("nw-{network}") }
}

/// The requests so far.
struct Asks {
    asks: Vec<Value>,
    random: Random,
    /// Numbers of the guests in the first network.
    inside: Vec<u8>,
}

/// A random topology, without packets.
pub(crate) fn any(random: &mut Random) -> Scene {
    let hosts = (0..HOSTS).map(|_| underlay::encapsulation(random)).collect();
    let over_ipv6 = random.percent(20);
    // How hosts reach each other, so that the rest of a topology is as it is without.
    let mut apart = random.apart();
    let addresses = underlay::addresses(&mut apart);
    let mut asks = Asks { asks: Vec::new(), random: random.clone(), inside: Vec::new() };
    asks.domains();
    asks.groups();
    asks.guests();
    asks.servers();
    asks.routers();
    asks.translations();
    *random = std::mem::replace(&mut asks.random, apart);
    asks.pairs();
    asks.placement();
    let neighbours = OUTSIDE[..2].iter().flat_map(|number| {
        [ipv4(0, *number), ipv6(0, *number)]
            .map(|address| ("nw-out".to_owned(), address.parse().expect("an address"), mac_outside(*number)))
    });
    Scene {
        why: String::new(),
        hosts,
        over_ipv6,
        addresses,
        asks: asks.asks,
        neighbours: neighbours.collect(),
        sent: Vec::new(),
    }
}

impl Asks {
    fn create(&mut self, resource: &str, attributes: Value) {
        self.asks.push(json!({"op": "create", "resource": resource, "attributes": attributes}));
    }

    fn update(&mut self, resource: &str, uuid: &str, attributes: Value) {
        self.asks.push(json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}));
    }

    fn act(&mut self, action: &str, uuid: &str, attributes: Value) {
        self.asks.push(json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes}));
    }

    fn domains(&mut self) {
        for segment in 1..=SEGMENTS {
            self.create("segments", json!({"uuid": format!("seg-{segment}"), "mode": "virtual"}));
        }
        for network in 1..=NETWORKS {
            let mut attributes = json!({"uuid": network_id(network)});
            let family = self.random.below(6);
            if family != 0 {
                attributes["ipv4_network"] = ipv4(network, 0).into();
            }
            if family != 1 {
                attributes["ipv6_network"] = ipv6(network, 0).into();
            }
            if network == NETWORKS && self.random.percent(40) {
                attributes["segment_uuid"] = "seg-1".into();
            }
            self.create("networks", attributes);
        }
        let outside = json!({"uuid": "nw-out", "mode": "physical", "ipv4_network": ipv4(0, 0), "ipv6_network": ipv6(0, 0)});
        self.create("networks", outside);
    }

    fn groups(&mut self) {
        for group in 1..=GROUPS {
            self.create("security_groups", json!({"uuid": format!("sg-{group}")}));
        }
        for group in 1..=GROUPS {
            let rules: Vec<_> = (0..self.random.below(4)).map(|_| self.group_rule()).collect();
            self.update("security_groups", &format!("sg-{group}"), json!({"rules": rules}));
        }
    }

    fn group_rule(&mut self) -> Value {
        let direction = *self.random.pick(&["ingress", "egress"]);
        let protocol = *self.random.pick(&["ip", "ip", "tcp", "udp", "icmp", "icmpv6"]);
        let mut rule = json!({"direction": direction, "protocol": protocol});
        if matches!(protocol, "tcp" | "udp") && self.random.percent(50) {
            rule["port"] = self.random.pick(&PORTS_IN_USE).to_string().into();
        }
        match self.random.below(5) {
            0 | 2 => rule["remote_group_uuid"] = format!("sg-{}", self.random.below(3) + 1).into(),
            1 => {
                let network = self.some_network();
                let v6 = protocol == "icmpv6" || protocol != "icmp" && self.random.percent(40);
                let prefix =
                    if v6 { format!("{}/64", ipv6(network, 0)) } else { format!("{}/24", ipv4(network, 0)) };
                rule["remote_address"] = prefix.into();
            }
            _ => {}
        }
        rule
    }

    fn some_network(&mut self) -> u8 {
        u8::try_from(self.random.below(usize::from(NETWORKS))).expect("few") + 1
    }

    fn guests(&mut self) {
        for host in 0..HOSTS {
            for port in 0..PORTS {
                match port {
                    UPLINK if self.random.percent(60) => self.uplink(host),
                    EDGE if self.random.percent(35) => self.edge(host),
                    _ if self.random.percent(25) => self.member(host, port),
                    _ => self.guest(host, port),
                }
            }
        }
    }

    fn uplink(&mut self, host: u8) {
        let id = port_name(host, UPLINK);
        let priority = 100 + self.random.below(3);
        self.create(
            "interfaces",
            json!({"uuid": id, "mode": "host", "network_uuid": "nw-out", "port_name": id,
                "owner_datapath_uuid": format!("dp-host{host}"), "gateway_priority": priority}),
        );
    }

    fn edge(&mut self, host: u8) {
        let id = port_name(host, EDGE);
        let mut edge = json!({"uuid": id, "mode": "promiscuous", "segment_uuid": "seg-1", "port_name": id,
            "owner_datapath_uuid": format!("dp-host{host}")});
        if self.random.percent(50) {
            edge["vlan_id"] = 5.into();
        }
        self.create("interfaces", edge);
    }

    fn member(&mut self, host: u8, port: u8) {
        let segment = format!("seg-{}", self.random.below(usize::from(SEGMENTS)) + 1);
        let mac = mac(guest(host, port)).to_string();
        let mut member = json!({"uuid": port_name(host, port), "segment_uuid": segment, "mac_address": mac});
        if self.random.percent(15) {
            // As the routers of VRRP share theirs.
            member["allowed_addresses"] =
                json!([format!("{}=10.88.0.1", topology::MacAddr([2, 0, 0, 0, 1, 1]))]);
        }
        self.protected(host, port, member);
    }

    fn guest(&mut self, host: u8, port: u8) {
        let inside = self.random.percent(35);
        let (number, network) = (guest(host, port), if inside { 1 } else { self.some_network() });
        if network == 1 {
            self.inside.push(number);
        }
        let mut attributes = json!({"uuid": port_name(host, port), "network_uuid": network_id(network),
            "mac_address": mac(number).to_string()});
        let (v4, v6) = (ipv4(network, number), ipv6(network, number));
        let random = &mut self.random;
        if random.percent(12) {
            let prefix = format!("10.99.{number}.0/24");
            attributes["allowed_addresses"] = json!([prefix, ipv4(network, number + 50)]);
        }
        if random.percent(10) {
            attributes["enable_routing"] = true.into();
        }
        let id = port_name(host, port);
        self.protected(host, port, attributes);
        // Each family by itself, since a network may lack one.
        for address in [json!({"ipv4_address": v4}), json!({"ipv6_address": v6})] {
            self.update("interfaces", &id, address);
        }
    }

    /// Makes an interface, perhaps with a filter, groups and limits.
    fn protected(&mut self, host: u8, port: u8, mut attributes: Value) {
        let id = port_name(host, port);
        let random = &mut self.random;
        if random.percent(8) {
            attributes["port_security"] = false.into();
        }
        if random.percent(4) {
            attributes["admin_state"] = "down".into();
        }
        if random.percent(8) {
            attributes["dscp"] = 46.into();
        }
        if random.percent(28) {
            let mut groups = vec![format!("sg-{}", random.below(usize::from(GROUPS)) + 1)];
            if random.percent(30) {
                groups.push("sg-1".into());
            }
            attributes["security_groups"] = json!(groups);
        }
        let filters = random.percent(22);
        attributes["enable_filtering"] = filters.into();
        self.create("interfaces", attributes);
        if filters && self.random.percent(85) {
            let rules: Vec<_> = (0..self.random.below(5)).map(|_| self.filter_rule()).collect();
            let (into, out) = (self.random.percent(50), self.random.percent(60));
            self.create(
                "filters",
                json!({"uuid": format!("fil-{host}{port}"), "interface_uuid": id, "mode": "static",
                    "ingress_passthrough": into, "egress_passthrough": out}),
            );
            for rule in rules {
                self.act("add_filter_rule", &format!("fil-{host}{port}"), rule);
            }
        }
    }

    fn filter_rule(&mut self) -> Value {
        let protocol = *self.random.pick(&["ip", "tcp", "tcp", "udp", "udp", "icmp", "icmpv6", "arp"]);
        let action = *self.random.pick(&["pass", "conn", "conn", "drop", "reject"]);
        let mut rule = json!({"protocol": protocol, "action": action});
        if self.random.percent(60) {
            rule["direction"] = (*self.random.pick(&["ingress", "egress"])).into();
        }
        for (field, chance) in [("dst_port", 40), ("src_port", 15)] {
            if matches!(protocol, "tcp" | "udp") && self.random.percent(chance) {
                rule[field] = match self.random.below(3) {
                    0 => "1000-6000".into(),
                    _ => self.random.pick(&PORTS_IN_USE).to_string().into(),
                };
            }
        }
        if self.random.percent(25) {
            let network = self.some_network();
            let v6 = protocol == "icmpv6" || !matches!(protocol, "icmp" | "arp") && self.random.percent(40);
            let field = *self.random.pick(&["src_address", "dst_address"]);
            let net =
                if v6 { format!("{}/64", ipv6(network, 0)) } else { format!("{}/24", ipv4(network, 0)) };
            rule[field] = net.into();
        }
        if matches!(protocol, "icmp" | "icmpv6") && self.random.percent(40) {
            rule["icmp_type"] = (if protocol == "icmp" { 8 } else { 128 }).into();
        }
        rule["priority"] = self.random.below(3).into();
        rule
    }
}
