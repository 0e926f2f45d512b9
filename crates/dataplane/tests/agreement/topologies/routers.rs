//! What lives in switches: servers, and routers with their legs, routes and translations.

use serde_json::{Value, json};

use super::{Asks, EXTERNAL, LEG, NETWORKS, OUTSIDE, SHARED_PORT, ipv4, ipv6, mac, network_id};
use crate::fleet::HOSTS;

/// Last bytes of addresses: of the legs of the second router, and of servers.
const OTHER_LEG: u8 = 110;
const SERVER: u8 = 120;

impl Asks {
    fn simulated(&mut self, id: &str, network: u8, number: u8, more: Value) {
        let mut attributes = json!({"uuid": id, "mode": "simulated", "network_uuid": network_id(network),
            "mac_address": mac(number).to_string()});
        attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.create("interfaces", attributes);
        for address in
            [json!({"ipv4_address": ipv4(network, number)}), json!({"ipv6_address": ipv6(network, number)})]
        {
            self.update("interfaces", id, address);
        }
    }

    pub(super) fn servers(&mut self) {
        for network in [1, NETWORKS] {
            if !self.random.percent(70) {
                continue;
            }
            let id = format!("if-s{network}");
            let owner = match self.random.percent(20) {
                true => json!({"owner_datapath_uuid": "dp-host1"}),
                false => json!({}),
            };
            self.simulated(&id, network, SERVER + network, owner);
            for (mode, chance) in [("dhcp", 70), ("dns", 60)] {
                if self.random.percent(chance) {
                    let uuid = format!("ns-{mode}{network}");
                    self.create(
                        "network_services",
                        json!({"uuid": uuid, "interface_uuid": id, "mode": mode}),
                    );
                }
            }
            if self.random.percent(50) {
                self.create(
                    "network_services",
                    json!({"uuid": format!("ns-meta{network}"), "interface_uuid": id, "mode": "metadata",
                        "metadata_server": "192.0.2.80:8775"}),
                );
            }
        }
    }

    fn leg(&mut self, id: &str, network: u8, number: u8) {
        let mut more = json!({"enable_routing": true});
        if network != 0 && self.random.percent(8) {
            more["owner_datapath_uuid"] = format!("dp-host{}", self.random.below(usize::from(HOSTS))).into();
        }
        self.simulated(id, network, number, more);
    }

    fn route(&mut self, link: &str, leg: &str, network: u8, nets: [String; 2], hops: [Vec<String>; 2]) {
        let [v4, v6] = nets;
        let [hops_v4, hops_v6] = hops;
        for (net, hops, fields) in
            [(v4, hops_v4, ["ipv4_network", "ipv4_prefix"]), (v6, hops_v6, ["ipv6_network", "ipv6_prefix"])]
        {
            let (address, length) = net.split_once('/').expect("a prefix");
            let length: u8 = length.parse().expect("a length");
            self.create(
                "routes",
                json!({"interface_uuid": leg, "network_uuid": network_id(network), "route_link_uuid": link,
                    fields[0]: address, fields[1]: length, "next_hops": hops}),
            );
        }
    }

    fn own_route(&mut self, link: &str, leg: &str, network: u8) {
        self.route(link, leg, network, nets(network), [Vec::new(), Vec::new()]);
    }

    /// One router for all networks, or two in a row; one leg outside.
    pub(super) fn routers(&mut self) {
        self.create("route_links", json!({"uuid": "rl-1"}));
        let in_a_row = self.random.percent(35);
        for network in 1..=if in_a_row { 2 } else { NETWORKS } {
            let leg = format!("if-l{network}");
            self.leg(&leg, network, LEG + network);
            self.own_route("rl-1", &leg, network);
        }
        if in_a_row {
            self.create("route_links", json!({"uuid": "rl-2"}));
            for network in [2, 3] {
                let leg = format!("if-m{network}");
                self.leg(&leg, network, OTHER_LEG + network);
                self.own_route("rl-2", &leg, network);
            }
            let by = |number| [vec![ipv4(2, number)], vec![ipv6(2, number)]];
            self.route("rl-1", "if-l2", 2, nets(3), by(OTHER_LEG + 2));
            self.route("rl-2", "if-m2", 2, nets(1), by(LEG + 2));
        }
        if self.random.percent(70) {
            self.leg("if-l0", 0, LEG);
            self.own_route("rl-1", "if-l0", 0);
            if self.random.percent(60) {
                let router = *self.random.pick(&OUTSIDE);
                let everywhere = ["0.0.0.0/0".to_owned(), "::/0".to_owned()];
                self.route("rl-1", "if-l0", 0, everywhere, [vec![ipv4(0, router)], vec![ipv6(0, router)]]);
            }
        }
        if self.random.percent(70) {
            let hops: Vec<_> = (0..1 + self.random.below(4)).map(|_| self.some_guest()).collect();
            let far = ["10.77.0.0/16".to_owned(), "fd77::/16".to_owned()];
            let v4 = hops.iter().map(|number| ipv4(1, *number)).collect();
            self.route("rl-1", "if-l1", 1, far, [v4, hops.iter().map(|number| ipv6(1, *number)).collect()]);
        }
    }

    fn some_guest(&mut self) -> u8 {
        self.random.any(&self.inside).copied().unwrap_or(LEG)
    }

    /// At the leg of the second network, or of that outside.
    pub(super) fn translations(&mut self) {
        if !self.random.percent(80) {
            return;
        }
        let network = *self.random.pick(&[0, 2]);
        let leg = format!("if-l{network}");
        self.update("interfaces", &leg, json!({"enable_route_translation": true}));
        for number in EXTERNAL {
            for address in [
                json!({"ipv4_address": ipv4(network, number)}),
                json!({"ipv6_address": ipv6(network, number)}),
            ] {
                let mut lease = json!({"network_uuid": network_id(network), "interface_uuid": leg, "enable_routing": true});
                lease
                    .as_object_mut()
                    .expect("an object")
                    .extend(address.as_object().expect("an object").clone());
                self.create("ip_leases", lease);
            }
        }
        let passthrough = self.random.percent(20);
        self.create(
            "translations",
            json!({"uuid": "tr-1", "interface_uuid": leg, "mode": "static_address", "passthrough": passthrough}),
        );
        let (whole, ports) = (self.some_guest(), self.some_guest());
        let [own, shared] = EXTERNAL;
        let mut entries = vec![
            json!({"ingress_ipv4_address": ipv4(network, own), "egress_ipv4_address": ipv4(1, whole)}),
            json!({"ingress_ipv6_address": ipv6(network, own), "egress_ipv6_address": ipv6(1, whole)}),
            json!({"ingress_ipv4_address": ipv4(network, shared), "egress_ipv4_address": ipv4(1, ports),
                "ingress_port_number": SHARED_PORT, "egress_port_number": 8080}),
            json!({"ingress_ipv6_address": ipv6(network, shared), "egress_ipv6_address": ipv6(1, ports),
                "ingress_port_number": SHARED_PORT, "egress_port_number": 8080, "protocol": "tcp"}),
        ];
        if self.random.percent(30) {
            entries.remove(self.random.below(4));
        }
        for entry in entries {
            self.act("add_static_address", "tr-1", entry);
        }
        if self.random.percent(80) {
            self.create(
                "translations",
                json!({"uuid": "tr-2", "interface_uuid": leg, "mode": "source", "source_network_uuid": "nw-1",
                    "external_addresses": [ipv4(network, shared), ipv6(network, shared)]}),
            );
        }
    }
}

fn nets(network: u8) -> [String; 2] {
    [format!("{}/24", ipv4(network, 0)), format!("{}/64", ipv6(network, 0))]
}
