//! Ten tenants behind one outer network. Each has a router, two networks with guests that groups or filters protect, an address that all share, and
//! one for the first guest of each network.
//!
//! Some are special: tenant 9 has the addresses of tenant 0, tenant 8 none outside, tenant 7 lets pass what it does not
//! translate, and tenants 5 and 6 have a router in common.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::reach::plugged_in;
use topology::{Dpid, Edit, InterfaceId, Request, Topology};

/// How many there are.
const TENANTS: usize = 10;
/// Networks of a tenant.
const NETWORKS: usize = 2;
/// Guests of a network.
pub(super) const GUESTS: usize = 4;

/// All of them, on three hosts.
pub(super) fn topology() -> Topology {
    let mut topology = Topology::default();
    for number in 1..=3 {
        let underlay =
            Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, number].into(), mtu: 1500 };
        let node_id = format!("h{number}").parse().expect("a node id");
        let registration = Registration::new(node_id, Dpid(number.into()), underlay);
        let mut edit = Edit::new(&topology, Timestamp::UNIX_EPOCH, number.into());
        Datapath::register(&mut edit, registration).expect("a host");
        topology.commit(topology.revision().next(), &edit.into_changes());
    }
    create(
        &mut topology,
        "networks",
        &json!({"uuid": "nw-out", "mode": "physical", "ipv4_network": "198.18.0.0", "ipv4_prefix": 15}),
    );
    for tenant in 0..TENANTS {
        self::tenant(&mut topology, tenant);
    }
    let leg = json!({"uuid": "if-common", "mode": "simulated", "enable_routing": true, "network_uuid": "nw-50",
        "mac_address": "02:00:00:00:fd:50", "ipv4_address": "10.50.0.253"});
    create(&mut topology, "interfaces", &leg);
    let route = json!({"interface_uuid": "if-common", "network_uuid": "nw-50", "route_link_uuid": "rl-6",
        "ipv4_network": "10.50.0.0"});
    create(&mut topology, "routes", &route);
    plugged_in(&topology)
}

/// The guests of a tenant.
pub(super) fn guests(tenant: usize) -> BTreeSet<InterfaceId> {
    let networks = (0..NETWORKS).map(|network| tenant * 10 + network);
    let ids = networks.flat_map(|network| (1..=GUESTS).map(move |guest| format!("if-{network}x{guest}")));
    ids.map(|id| id.parse().expect("an id")).collect()
}

fn create(topology: &mut Topology, resource: &str, attributes: &Value) {
    let request = json!({"op": "create", "resource": resource, "attributes": attributes});
    let request: Request = serde_json::from_value(request).expect("a request");
    let mut edit = Edit::new(topology, Timestamp::UNIX_EPOCH, topology.revision().0);
    request.execute(&mut edit).unwrap_or_else(|error| panic!("{resource} {attributes}: {error:?}"));
    let changes = edit.into_changes();
    topology.commit(topology.revision().next(), &changes);
}

fn tenant(topology: &mut Topology, tenant: usize) {
    create(topology, "route_links", &json!({"uuid": format!("rl-{tenant}")}));
    let rules = [
        (
            "web",
            json!([{"direction": "ingress", "protocol": "tcp", "port": "80"}, {"direction": "egress", "protocol": "ip"}]),
        ),
        (
            "app",
            json!([{"direction": "ingress", "protocol": "tcp", "port": "8080", "remote_group_uuid": format!("sg-web{tenant}")},
            {"direction": "egress", "protocol": "icmp"},
            {"direction": "egress", "protocol": "tcp", "remote_group_uuid": format!("sg-web{tenant}")}]),
        ),
    ];
    for (role, rules) in rules {
        create(topology, "security_groups", &json!({"uuid": format!("sg-{role}{tenant}"), "rules": rules}));
    }
    let outer = format!("if-out{tenant}");
    if tenant != 8 {
        create(
            topology,
            "interfaces",
            &json!({"uuid": outer, "mode": "simulated", "enable_routing": true,
            "enable_route_translation": true, "network_uuid": "nw-out", "mac_address": format!("02:00:00:00:ff:{tenant:02x}"),
            "ipv4_address": shared(tenant)}),
        );
        for (network, prefix) in [("198.18.0.0", 15), ("0.0.0.0", 0)] {
            let mut route = json!({"interface_uuid": outer, "network_uuid": "nw-out", "route_link_uuid": format!("rl-{tenant}"),
                "ipv4_network": network, "ipv4_prefix": prefix});
            if prefix == 0 {
                route["next_hops"] = json!(["198.19.255.254"]);
            }
            create(topology, "routes", &route);
        }
        let sources: Vec<_> =
            (0..NETWORKS).map(|network| format!("{}/24", subnet(tenant, network))).collect();
        create(
            topology,
            "translations",
            &json!({"interface_uuid": outer, "mode": "source", "external_addresses": [shared(tenant)],
            "source_prefixes": sources, "passthrough": tenant == 7}),
        );
    }
    for network in 0..NETWORKS {
        self::network(topology, tenant, network);
    }
}

/// Tenant 9 has the addresses of tenant 0.
fn subnet(tenant: usize, network: usize) -> String {
    format!("10.{}.0.0", tenant % 9 * 10 + network)
}

fn shared(tenant: usize) -> String {
    format!("198.19.{tenant}.1")
}

fn network(topology: &mut Topology, tenant: usize, network: usize) {
    let number = tenant * 10 + network;
    let (id, leg, ipv4) = (format!("nw-{number}"), format!("if-leg{number}"), subnet(tenant, network));
    let ipv6 = format!("fd00:{}::", tenant % 9 * 10 + network);
    let address = |last: usize| format!("{}{last}", ipv4.trim_end_matches('0'));
    create(topology, "networks", &json!({"uuid": id, "ipv4_network": ipv4, "ipv6_network": ipv6}));
    create(
        topology,
        "interfaces",
        &json!({"uuid": leg, "mode": "simulated", "enable_routing": true, "network_uuid": id,
        "mac_address": format!("02:00:00:00:fe:{number:02x}"), "ipv4_address": address(254), "ipv6_address": format!("{ipv6}fe")}),
    );
    for prefix in
        [json!({"ipv4_network": ipv4, "ipv4_prefix": 24}), json!({"ipv6_network": ipv6, "ipv6_prefix": 64})]
    {
        let mut route =
            json!({"interface_uuid": leg, "network_uuid": id, "route_link_uuid": format!("rl-{tenant}")});
        route.as_object_mut().expect("an object").extend(prefix.as_object().expect("an object").clone());
        create(topology, "routes", &route);
    }
    for guest in 1..=GUESTS {
        self::guest(topology, (tenant, number), guest, &address(guest), &format!("{ipv6}{guest}"));
    }
    if tenant == 8 {
        return;
    }
    let outer = format!("if-out{tenant}");
    let external = format!("198.18.{number}.1");
    create(
        topology,
        "ip_leases",
        &json!({"interface_uuid": outer, "network_uuid": "nw-out", "ipv4_address": external}),
    );
    let mut entries = vec![json!({"ingress_ipv4_address": external, "egress_ipv4_address": address(1)})];
    if network == 0 {
        let forward = |(outside, inside): (u16, u16)| {
            json!({"ingress_ipv4_address": shared(tenant), "egress_ipv4_address": address(2), "protocol": "tcp",
                "ingress_port_number": outside, "egress_port_number": inside})
        };
        entries.extend([(80, 8080), (1022, 22)].map(forward));
    }
    let translation = json!({"interface_uuid": outer, "mode": "static_address", "static_addresses": entries});
    create(topology, "translations", &translation);
}

/// Two members of groups, and two with filters: of which the last one's is for its own address, and looks at who asks.
fn guest(topology: &mut Topology, (tenant, network): (usize, usize), guest: usize, ipv4: &str, ipv6: &str) {
    let id = format!("if-{network}x{guest}");
    let groups = match guest {
        1 => vec![format!("sg-web{tenant}")],
        2 => vec![format!("sg-app{tenant}")],
        _ => Vec::new(),
    };
    create(
        topology,
        "interfaces",
        &json!({"uuid": id, "network_uuid": format!("nw-{network}"),
        "mac_address": format!("02:00:00:00:{network:02x}:{guest:02x}"), "ipv4_address": ipv4, "security_groups": groups,
        "enable_filtering": groups.is_empty(), "port_name": id}),
    );
    create(
        topology,
        "ip_leases",
        &json!({"interface_uuid": id, "network_uuid": format!("nw-{network}"), "ipv6_address": ipv6}),
    );
    let rules = match guest {
        3 => {
            json!([{"protocol": "tcp", "action": "conn", "dst_port": "22"}, {"protocol": "udp", "action": "conn", "src_port": "1024-65535"},
            {"protocol": "icmp", "action": "drop", "src_address": "198.19.0.0/16", "priority": 9}, {"protocol": "icmp", "action": "conn"}])
        }
        4 => {
            json!([{"protocol": "ip", "action": "conn", "dst_address": format!("{ipv4}/32"), "src_address": "10.0.0.0/8"}])
        }
        _ => return,
    };
    create(
        topology,
        "filters",
        &json!({"interface_uuid": id, "mode": "static", "rules": rules, "egress_passthrough": guest == 3}),
    );
}
