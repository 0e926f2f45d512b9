//! Users: what they ask for, sensible or not.

use serde_json::{Value, json};
use topology::{InterfaceId, Request, Topology};

use crate::random::Random;

/// How many networks, segments and interfaces users have names for. Few, so that requests meet.
const NETWORKS: usize = 3;
const SEGMENTS: usize = 2;
pub(crate) const INTERFACES: usize = 8;

/// How many interfaces there are from the beginning.
pub(crate) const FIRST_INTERFACES: usize = 4;

/// What every history begins with, so that there is something to lose.
pub(crate) fn first() -> Vec<Request> {
    let interface = |n: usize| create("interfaces", interface(n, n, 0));
    let mut requests = vec![create("networks", network(0))];
    requests.extend((0..FIRST_INTERFACES).map(interface));
    requests
}

/// One request, or several that are to be carried out together.
pub(crate) fn ask(random: &mut Random, topology: &Topology, hosts: usize) -> Vec<Request> {
    let count = if random.percent(70) { 1 } else { 2 + random.below(3) };
    (0..count).map(|_| one(random, topology, hosts)).collect()
}

fn one(random: &mut Random, topology: &Topology, hosts: usize) -> Request {
    let n = random.below(INTERFACES);
    match random.below(24) {
        0 => create("networks", network(random.below(NETWORKS))),
        1 => {
            create("segments", json!({"uuid": format!("seg-{}", random.below(SEGMENTS)), "mode": "virtual"}))
        }
        2..5 => create("interfaces", interface(n, n, random.below(NETWORKS))),
        5 => create("interfaces", interface(n, random.below(INTERFACES), random.below(NETWORKS))),
        6 => delete("networks", format!("nw-{}", random.below(NETWORKS))),
        7 => delete("segments", format!("seg-{}", random.below(SEGMENTS))),
        8 | 9 => delete("interfaces", format!("if-{n}")),
        10 if random.percent(30) => delete("datapaths", format!("dp-h{}", 1 + random.below(hosts))),
        11 => of_network(random),
        12 => guarded(random, topology, n),
        13 => request(json!({"op": "act", "action": "add_port", "uuid": format!("if-{n}"),
            "attributes": port(random, hosts, "datapath_uuid")})),
        14 => request(json!({"op": "act", "action": "remove_ports", "uuid": format!("if-{n}"),
            "attributes": {"port_name": format!("tap{n}")}})),
        15..20 => of_router(random),
        _ => update("interfaces", format!("if-{n}"), change(random, n, hosts)),
    }
}

/// Something of routers: their legs, what they reach, and the services of these.
fn of_router(random: &mut Random) -> Request {
    let n = random.below(NETWORKS);
    let (leg, network, router) = (format!("if-leg{n}"), format!("nw-{n}"), format!("rl-{}", random.below(2)));
    match random.below(14) {
        0..3 => create(
            "interfaces",
            json!({"uuid": leg, "mode": "simulated", "enable_routing": true,
                "enable_route_translation": random.percent(50), "network_uuid": network,
                "mac_address": format!("02:00:00:00:02:{n:02x}"), "ipv4_address": format!("10.0.{n}.254")}),
        ),
        3 => create("route_links", json!({"uuid": router})),
        4..8 => create(
            "routes",
            json!({"uuid": format!("r-{n}"), "interface_uuid": leg, "network_uuid": network,
                "route_link_uuid": router, "ipv4_network": format!("10.0.{n}.0")}),
        ),
        8 => update("routes", format!("r-{n}"), json!({"route_link_uuid": router})),
        9 => delete("routes", format!("r-{n}")),
        10 => create(
            "network_services",
            json!({"uuid": format!("ns-{n}"), "mode": "dhcp", "interface_uuid": leg}),
        ),
        11 => {
            let entry = json!({"ingress_ipv4_address": format!("10.0.{n}.254"), "ingress_port_number": 80,
                "egress_ipv4_address": format!("10.0.{}.1", random.below(NETWORKS)), "egress_port_number": 8080,
                "route_link_uuid": router});
            create(
                "translations",
                json!({"uuid": format!("tr-{n}"), "interface_uuid": leg, "mode": "static_address",
                    "static_addresses": [entry]}),
            )
        }
        12 => create(
            "translations",
            json!({"uuid": format!("tr-{}", n + NETWORKS), "interface_uuid": leg, "mode": "source",
                "source_network_uuid": format!("nw-{}", random.below(NETWORKS)),
                "external_addresses": [format!("10.0.{n}.254")]}),
        ),
        _ if random.percent(30) => delete("route_links", router),
        _ if random.percent(30) => delete("translations", format!("tr-{}", random.below(2 * NETWORKS))),
        _ => delete("interfaces", leg),
    }
}

/// A change of an interface.
fn change(random: &mut Random, n: usize, hosts: usize) -> Value {
    match random.below(9) {
        0 => json!({"display_name": format!("name {}", random.below(10))}),
        1 => json!({"network_uuid": format!("nw-{}", random.below(NETWORKS))}),
        2 => json!({"requested_host": format!("h{}", 1 + random.below(hosts))}),
        3 => json!({"requested_host": null}),
        4 => port(random, hosts, "owner_datapath_uuid"),
        5 => json!({"port_name": format!("tap{n}")}),
        6 => json!({"ipv4_address": format!("10.0.{}.{}", random.below(NETWORKS), 1 + random.below(20))}),
        7 => json!({"admin_state": if random.percent(50) { "down" } else { "up" }}),
        _ => json!({"mac_address": format!("02:00:00:00:01:{:02x}", random.below(20))}),
    }
}

/// A port of some name, on some host or any.
fn port(random: &mut Random, hosts: usize, datapath: &str) -> Value {
    let name = format!("tap{}", random.below(INTERFACES));
    if random.percent(50) {
        return json!({"port_name": name});
    }
    json!({"port_name": name, datapath: format!("dp-h{}", 1 + random.below(hosts))})
}

fn of_network(random: &mut Random) -> Request {
    let attributes = match random.below(3) {
        0 => json!({"segment_uuid": format!("seg-{}", random.below(SEGMENTS))}),
        1 => json!({"segment_uuid": null}),
        _ => json!({"ipv6_network": "fd00::"}),
    };
    update("networks", format!("nw-{}", random.below(NETWORKS)), attributes)
}

/// A change on the condition that nobody else was first, which may be wrong.
fn guarded(random: &mut Random, topology: &Topology, n: usize) -> Request {
    let uuid = format!("if-{n}");
    let found = uuid.parse::<InterfaceId>().ok().and_then(|id| topology.interfaces().get(&id));
    let revision = found.map_or(1, |of| of.meta.revision.0) + u64::from(random.percent(30));
    request(json!({"op": "update", "resource": "interfaces", "uuid": uuid, "if_match": revision,
        "attributes": {"display_name": format!("seen at {revision}")}}))
}

fn network(n: usize) -> Value {
    json!({"uuid": format!("nw-{n}"), "ipv4_network": format!("10.0.{n}.0"), "ipv4_prefix": 24})
}

/// An interface with the addresses of another, perhaps, and with or without a name for its port.
fn interface(n: usize, address: usize, network: usize) -> Value {
    let mut interface = json!({"uuid": format!("if-{n}"), "network_uuid": format!("nw-{network}"),
        "mac_address": format!("02:00:00:00:00:{:02x}", address + 1),
        "ipv4_address": format!("10.0.{network}.{}", address + 1)});
    if n.is_multiple_of(2) {
        interface["port_name"] = json!(format!("tap{n}"));
    }
    interface
}

fn create(resource: &str, attributes: Value) -> Request {
    request(json!({"op": "create", "resource": resource, "attributes": attributes}))
}

fn update(resource: &str, uuid: String, attributes: Value) -> Request {
    request(json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}))
}

fn delete(resource: &str, uuid: String) -> Request {
    request(json!({"op": "delete", "resource": resource, "uuid": uuid}))
}

fn request(value: Value) -> Request {
    serde_json::from_value(value).expect("a request")
}
