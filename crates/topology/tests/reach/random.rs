//! Random topologies: few kinds of guests behind whatever there is, so that there are several of each.

use jiff::Timestamp;
use serde_json::{Value, json};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{Dpid, Edit, NetworkId, Request, Topology};

/// Numbers that look random and are the same every time (Marsaglia's xorshift).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn of<T: Clone>(&mut self, among: &[T]) -> T {
        let place = usize::try_from(self.below(among.len() as u64)).expect("a small number");
        among.get(place).cloned().expect("below the length")
    }
}

/// A topology in the making. What makes no sense is refused, and left out.
pub(super) struct World {
    pub(super) topology: Topology,
    pub(super) dice: Dice,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world =
            Self { topology: Topology::default(), dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) };
        world.hosts();
        world.networks();
        world.groups();
        world.guests();
        world.routers();
        world
    }

    fn create(&mut self, resource: &str, attributes: &Value) -> bool {
        let request = json!({"op": "create", "resource": resource, "attributes": attributes});
        let request: Request = serde_json::from_value(request).expect("a request");
        let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, self.dice.below(u64::MAX));
        let done = request.execute(&mut edit).is_ok();
        if done {
            self.topology.commit(self.topology.revision().next(), &edit.into_changes());
        }
        done
    }

    fn hosts(&mut self) {
        let other = self.dice.of(&[Encapsulation::Geneve, Encapsulation::Vxlan]);
        for number in 1..=3 {
            let registration = Registration::new(
                format!("h{number}").parse().expect("a node id"),
                Dpid(number),
                Underlay {
                    encapsulation: if number == 1 { other } else { Encapsulation::Geneve },
                    address: [192, 0, 2, u8::try_from(number).expect("a small number")].into(),
                    mtu: 1500,
                },
            );
            let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, number);
            Datapath::register(&mut edit, registration).expect("a host");
            self.topology.commit(self.topology.revision().next(), &edit.into_changes());
        }
    }

    fn networks(&mut self) {
        self.create("segments", &json!({"uuid": "seg-a", "mode": "virtual"}));
        for number in 0..4 {
            // Two of them may have the same addresses, and two may be on one wire.
            let net = if self.dice.one_in(4) { 0 } else { number };
            let segment = (self.dice.one_in(3)).then_some("seg-a");
            let ipv6 = self.dice.one_in(2).then(|| format!("fd00:{net}::"));
            self.create(
                "networks",
                &json!({"uuid": format!("nw-{number}"), "ipv4_network": format!("10.{net}.0.0"),
                    "ipv6_network": ipv6, "segment_uuid": segment}),
            );
        }
    }

    fn address(&mut self) -> String {
        let net = self.dice.below(2);
        match self.dice.below(4) {
            0 => format!("10.{net}.0.0/24"),
            1 => format!("10.{net}.0.{}", 5 + self.dice.below(10)),
            _ => format!("10.{net}.0.8/29"),
        }
    }

    fn ports(&mut self) -> &'static str {
        self.dice.of(&["22", "80", "80-90", "1024-65535", "53"])
    }

    fn groups(&mut self) {
        for number in 0..3 {
            let count = 2 + self.dice.below(3);
            let rules: Vec<_> = (0..count).map(|_| self.group_rule(number)).collect();
            self.create("security_groups", &json!({"uuid": format!("sg-{number}"), "rules": rules}));
        }
    }

    fn group_rule(&mut self, groups: u64) -> Value {
        let protocol = self.dice.of(&["ip", "tcp", "udp", "icmp"]);
        let mut rule = json!({"direction": self.dice.of(&["ingress", "egress"]), "protocol": protocol});
        if matches!(protocol, "tcp" | "udp") {
            rule["port"] = json!(self.ports());
        }
        match self.dice.below(3) {
            0 => rule["remote_group_uuid"] = json!(format!("sg-{}", self.dice.below(groups + 1))),
            1 => rule["remote_address"] = json!(self.address()),
            _ => {}
        }
        rule
    }

    fn guests(&mut self) {
        let rules: Vec<_> = (0..4).map(|_| self.filter_rule()).collect();
        for number in 0..14 {
            let uuid = format!("if-{number}");
            // Few kinds of guests, so that there are several of each.
            let groups = self.dice.of(&[&[][..], &["sg-0"], &["sg-0"]]);
            let filtered = self.dice.one_in(2);
            let network = self.dice.below(2);
            let subnets =
                self.topology.networks().get(&format!("nw-{network}").parse::<NetworkId>().expect("an id"));
            let Some(net) = subnets.and_then(|of| of.subnets.ipv4) else { continue };
            let octet = net.network().octets()[1];
            let interface = json!({
                "uuid": uuid, "network_uuid": format!("nw-{network}"), "mac_address": format!("02:00:00:00:00:{number:02x}"),
                "ipv4_address": format!("10.{octet}.0.{}", 5 + self.dice.below(20)), "security_groups": groups,
                "enable_filtering": filtered, "port_name": format!("p{number}"),
                "owner_datapath_uuid": self.topology.datapaths().keys().nth(usize::try_from(self.dice.below(3)).expect("a small number")),
                "port_security": !self.dice.one_in(20), "admin_state": if self.dice.one_in(20) { "down" } else { "up" },
            });
            if !self.create("interfaces", &interface) {
                continue;
            }
            let lease = json!({"interface_uuid": uuid, "network_uuid": format!("nw-{network}"),
                "ipv6_address": format!("fd00:{octet}::{}", number + 5)});
            self.create("ip_leases", &lease);
            if filtered {
                let filter = json!({"interface_uuid": uuid, "mode": "static", "rules": rules,
                    "ingress_passthrough": false, "egress_passthrough": true});
                self.create("filters", &filter);
            }
        }
    }

    fn filter_rule(&mut self) -> Value {
        let protocol = self.dice.of(&["ip", "tcp", "udp", "icmp", "tcp"]);
        let mut rule = json!({"protocol": protocol, "action": self.dice.of(&["drop", "pass", "conn", "reject"]),
            "priority": self.dice.below(3)});
        if matches!(protocol, "tcp" | "udp") {
            let field = self.dice.of(&["dst_port", "src_port"]);
            rule[field] = json!(self.ports());
        }
        if self.dice.one_in(2) {
            let field = self.dice.of(&["src_address", "dst_address"]);
            rule[field] = json!(self.address());
        }
        rule
    }

    fn routers(&mut self) {
        self.create("route_links", &json!({"uuid": "rl-a"}));
        for number in 0..4 {
            let id = format!("nw-{number}").parse::<NetworkId>().expect("an id");
            let subnets = self.topology.networks().get(&id).map(|of| of.subnets);
            let Some(octet) = subnets.and_then(|of| of.ipv4).map(|net| net.network().octets()[1]) else {
                continue;
            };
            if self.dice.one_in(4) {
                continue;
            }
            let leg = format!("if-leg{number}");
            let outer = number == 3;
            self.create(
                "interfaces",
                &json!({"uuid": leg, "mode": "simulated", "enable_routing": true, "network_uuid": format!("nw-{number}"),
                    "enable_route_translation": outer, "mac_address": format!("02:00:00:00:01:{number:02x}"),
                    "ipv4_address": format!("10.{octet}.0.1"), "ipv6_address": format!("fd00:{octet}::1")}),
            );
            let route = |family: Value| {
                let mut route = json!({"interface_uuid": leg, "network_uuid": format!("nw-{number}"), "route_link_uuid": "rl-a"});
                route
                    .as_object_mut()
                    .expect("an object")
                    .extend(family.as_object().expect("an object").clone());
                route
            };
            let prefix = self.dice.of(&[24, 24, 25]);
            self.create(
                "routes",
                &route(json!({"ipv4_network": format!("10.{octet}.0.0"), "ipv4_prefix": prefix})),
            );
            self.create(
                "routes",
                &route(json!({"ipv6_network": format!("fd00:{octet}::"), "ipv6_prefix": 64})),
            );
            if outer {
                self.create(
                    "ip_leases",
                    &json!({"interface_uuid": leg, "network_uuid": "nw-3", "ipv4_address": format!("10.{octet}.0.99")}),
                );
                let internal = format!("10.{}.0.{}", self.dice.below(3), 5 + self.dice.below(10));
                let entry = json!({"ingress_ipv4_address": format!("10.{octet}.0.99"), "egress_ipv4_address": internal});
                let passthrough = !self.dice.one_in(3);
                self.create(
                    "translations",
                    &json!({"interface_uuid": leg, "mode": "static_address", "passthrough": passthrough,
                        "static_addresses": [entry]}),
                );
            }
        }
    }
}
