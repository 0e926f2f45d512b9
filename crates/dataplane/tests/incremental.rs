//! Whatever happens in whatever order, the incremental compiler's program is that of a fresh one, the difference it
//! reports leads there, and units never share a flow.

use std::collections::BTreeMap;

use dataplane::{Compiler, Delta, Local, Program};
use openflow::OfPort;
use proptest::prelude::*;
use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::host_pair::HostPair;
use topology::underlay::UnderlayAddress;
use topology::{Change, DatapathId, Edit, HostKey, InterfaceId, Request, Topology, scope};

const HOSTS: u8 = 3;
const NETWORKS: u8 = 2;
const INTERFACES: u8 = 6;
/// Ways in which a host can register.
const VARIANTS: u8 = 6;

/// Something that a user or a host does.
#[derive(Clone, Debug)]
enum Step {
    /// Several at once, as one commit.
    Requests(Vec<Value>),
    /// Two hosts have come to one address, as an earlier release allowed.
    Share(u8, u8),
    /// A host registers, perhaps with another address, encapsulation or MTU.
    Register(u8, u8),
    /// A host shows the ports of these interfaces.
    Show(u8, u8),
    /// All hosts have realized where pairs of them are.
    Settle,
}

fn request() -> impl Strategy<Value = Value> {
    let network = (0..NETWORKS).prop_map(|n| format!("nw-{n}"));
    let interface = (0..INTERFACES).prop_map(|n| format!("if-{n}"));
    let subnets = prop_oneof![
        Just(json!({"ipv4_network": "10.0.0.0"})),
        Just(json!({"ipv4_network": "10.0.0.0", "ipv6_network": "fd00::"})),
        Just(json!({"ipv6_network": "fd00::", "ipv4_network": null})),
        Just(json!({"ipv4_network": "169.254.0.0", "ipv4_prefix": 16})),
        Just(json!({"segment_uuid": "seg-0"})),
        Just(json!({"segment_uuid": null})),
    ];
    let interface_attributes =
        (0..16_u8, 0..NETWORKS, 1..5_u8).prop_map(|(kind, network, address)| match kind {
            0 => json!({"admin_state": "down"}),
            1 => json!({"admin_state": "up"}),
            2 => json!({"segment_uuid": "seg-0", "network_uuid": null}),
            3 => json!({"network_uuid": format!("nw-{network}")}),
            4 => json!({"mac_address": format!("02:00:00:00:00:0{address}")}),
            5 => json!({"ipv4_address": format!("10.0.0.{address}")}),
            6 => json!({"ipv6_address": format!("fd00::{address}")}),
            7 => json!({"enable_routing": true}),
            8 => json!({"display_name": "other"}),
            9 => json!({"segment_uuid": "seg-0"}),
            10 => json!({"max_egress_kbps": 1000 * u32::from(address), "max_ingress_kbps": 2000, "dscp": 8}),
            11 => json!({"max_egress_kbps": null, "max_ingress_kbps": null, "dscp": null}),
            12 => json!({"port_security": address % 2 == 0}),
            13 => json!({"allowed_addresses": [format!("10.0.0.{address}"), "10.9.0.0/16", "fd09::/64"]}),
            14 => {
                let mac = format!("02:00:00:00:00:0{address}");
                json!({"allowed_addresses": [format!("{mac}=10.0.0.{}", address + 1), "10.0.0.3"]})
            }
            _ => json!({"requested_host": "host1"}),
        });
    prop_oneof![
        1 => Just(json!({"op": "create", "resource": "segments", "attributes": {"uuid": "seg-0", "mode": "virtual"}})),
        2 => (network.clone(), subnets.clone()).prop_map(|(uuid, mut attributes)| {
            attributes["uuid"] = uuid.into();
            json!({"op": "create", "resource": "networks", "attributes": attributes})
        }),
        1 => (network.clone(), subnets).prop_map(|(uuid, attributes)| {
            json!({"op": "update", "resource": "networks", "uuid": uuid, "attributes": attributes})
        }),
        6 => (0..INTERFACES, network.clone(), 1..9_u8, any::<bool>()).prop_map(|(n, network, address, ipv6)| {
            let mut attributes = json!({"uuid": format!("if-{n}"), "network_uuid": network,
                "mac_address": format!("02:00:00:00:00:0{address}"), "ipv4_address": format!("10.0.0.{address}")});
            if ipv6 {
                attributes["ipv6_address"] = format!("fd00::{address}").into();
            }
            json!({"op": "create", "resource": "interfaces", "attributes": attributes})
        }),
        4 => router(),
        3 => translation(),
        3 => protection(),
        3 => physical(),
        3 => placement(),
        1 => pair(),
        4 => (interface.clone(), interface_attributes).prop_map(|(uuid, attributes)| {
            json!({"op": "update", "resource": "interfaces", "uuid": uuid, "attributes": attributes})
        }),
        2 => (interface.clone(), network.clone(), 1..9_u8).prop_map(|(interface, network, address)| {
            json!({"op": "create", "resource": "ip_leases", "attributes": {"interface_uuid": interface,
                "network_uuid": network, "ipv4_address": format!("10.0.0.1{address}")}})
        }),
        2 => (0..2_u8, interface.clone(), 1..9_u8, any::<bool>()).prop_map(|(n, interface, address, on_segment)| {
            let segment = on_segment.then_some("seg-0");
            json!({"op": "create", "resource": "mac_leases", "attributes": {"uuid": format!("ml-{n}"),
                "interface_uuid": interface, "segment_uuid": segment, "mac_address": format!("02:00:00:00:01:0{address}")}})
        }),
        2 => (0..3_u8, 0..2_u8, network.clone(), 1..9_u8).prop_map(|(n, mac_lease, network, address)| {
            json!({"op": "create", "resource": "ip_leases", "attributes": {"uuid": format!("il-{n}"),
                "mac_lease_uuid": format!("ml-{mac_lease}"), "network_uuid": network, "ipv4_address": format!("10.0.0.2{address}")}})
        }),
        1 => (interface.clone(), network.clone()).prop_map(|(interface, network)| {
            json!({"op": "create", "resource": "ip_leases", "attributes": {"uuid": "il-0", "interface_uuid": interface,
                "network_uuid": network, "ipv4_address": "169.254.169.254"}})
        }),
        2 => (0..3_u8, 0..2_u8, 0..4_u8).prop_map(|(lease, mac_lease, kind)| {
            let (uuid, holder) = (format!("il-{lease}"), json!({"mac_lease_uuid": format!("ml-{mac_lease}")}));
            match kind {
                0 => json!({"op": "act", "action": "attach_ip_lease", "uuid": uuid, "attributes": holder}),
                1 => json!({"op": "delete", "resource": "ip_leases", "uuid": uuid}),
                _ => json!({"op": "act", "action": "release_ip_lease", "uuid": uuid, "attributes": {}}),
            }
        }),
        2 => (0..2_u8, interface.clone(), any::<bool>()).prop_map(|(n, interface, delete)| {
            let uuid = format!("ml-{n}");
            if delete {
                return json!({"op": "delete", "resource": "mac_leases", "uuid": uuid});
            }
            let attributes = json!({"interface_uuid": interface});
            json!({"op": "update", "resource": "mac_leases", "uuid": uuid, "attributes": attributes})
        }),
        1 => prop_oneof![
            network.prop_map(|uuid| json!({"op": "delete", "resource": "networks", "uuid": uuid})),
            (0..INTERFACES).prop_map(|n| json!({"op": "delete", "resource": "interfaces", "uuid": format!("if-{n}")})),
            Just(json!({"op": "delete", "resource": "segments", "uuid": "seg-0"})),
            (0..HOSTS).prop_map(|n| json!({"op": "delete", "resource": "datapaths", "uuid": format!("dp-host{n}")})),
        ],
    ]
}

/// Filters and security groups, and who they are for.
fn protection() -> impl Strategy<Value = Value> {
    let rule = (0..6_u8, 0..3_u8).prop_map(|(kind, group)| match kind {
        0 => json!({"direction": "ingress", "remote_group_uuid": format!("sg-{group}")}),
        1 => json!({"direction": "egress", "protocol": "tcp", "port": "80-90", "remote_group_uuid": format!("sg-{group}")}),
        2 => json!({"direction": "egress"}),
        3 => json!({"direction": "ingress", "protocol": "icmp"}),
        _ => json!({"direction": "ingress", "protocol": "udp", "port": 53, "remote_address": "10.0.0.0/29"}),
    });
    let rules = proptest::collection::vec(rule, 0..3);
    let group = (0..3_u8, rules).prop_map(|(n, rules)| json!({"uuid": format!("sg-{n}"), "rules": rules}));
    let filter_rule = (0..4_u8, 0..4_usize).prop_map(|(kind, action)| {
        let action = ["pass", "conn", "drop", "reject"][action];
        match kind {
            0 => json!({"protocol": "tcp", "action": action, "dst_port": "8000-8010"}),
            1 => json!({"protocol": "ip", "action": action, "src_address": "10.0.0.3"}),
            2 => json!({"protocol": "icmpv6", "action": action, "icmp_type": 135, "direction": "ingress"}),
            _ => json!({"protocol": "udp", "action": action, "priority": 7, "log": true}),
        }
    });
    let filter_rules = proptest::collection::vec(filter_rule, 0..4);
    let filter =
        (0..2_u8, 0..INTERFACES, filter_rules, any::<bool>()).prop_map(|(n, interface, rules, pass)| {
            json!({"uuid": format!("fil-{n}"), "interface_uuid": format!("if-{interface}"), "mode": "static",
            "egress_passthrough": pass, "rules": rules})
        });
    let create = |resource: &'static str| move |attributes| json!({"op": "create", "resource": resource, "attributes": attributes});
    let update = |resource: &'static str| {
        move |mut attributes: Value| {
            let uuid = attributes.as_object_mut().and_then(|of| of.remove("uuid"));
            json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes})
        }
    };
    let members = proptest::collection::btree_set(0..3_u8, 0..3);
    let member = (0..INTERFACES, members, any::<bool>()).prop_map(|(n, groups, filtered)| {
        let groups: Vec<_> = groups.into_iter().map(|group| format!("sg-{group}")).collect();
        json!({"uuid": format!("if-{n}"), "security_groups": groups, "enable_filtering": filtered})
    });
    let delete = (0..2_u8, any::<bool>()).prop_map(|(n, filter)| {
        let (resource, uuid) =
            if filter { ("filters", format!("fil-{n}")) } else { ("security_groups", format!("sg-{n}")) };
        json!({"op": "delete", "resource": resource, "uuid": uuid})
    });
    prop_oneof![
        2 => group.clone().prop_map(create("security_groups")),
        1 => group.prop_map(update("security_groups")),
        2 => filter.clone().prop_map(create("filters")),
        1 => filter.prop_map(update("filters")),
        4 => member.prop_map(update("interfaces")),
        1 => delete,
    ]
}

/// The physical network `nw-p`, and its uplinks, which are among the interfaces that hosts show.
fn physical() -> impl Strategy<Value = Value> {
    let uplink = (INTERFACES - 2..INTERFACES, 0..HOSTS, 0..3_u8).prop_map(|(n, host, priority)| {
        json!({"uuid": format!("if-{n}"), "mode": "host", "network_uuid": "nw-p", "gateway_priority": priority,
            "owner_datapath_uuid": format!("dp-host{host}"), "port_name": format!("tap{n}")})
    });
    let edge = (INTERFACES - 2..INTERFACES, 0..HOSTS, 0..3_u8, proptest::option::of(5..7_u16)).prop_map(|(n, host, priority, vlan)| {
        json!({"uuid": format!("if-{n}"), "mode": "promiscuous", "segment_uuid": "seg-0", "gateway_priority": priority,
            "owner_datapath_uuid": format!("dp-host{host}"), "port_name": format!("tap{n}"), "vlan_id": vlan})
    });
    let change = (0..5_u8, INTERFACES - 2..INTERFACES).prop_map(|(kind, n)| match kind {
        0 => ("networks", "nw-p".to_owned(), json!({"mode": "virtual"})),
        1 => ("networks", format!("nw-{}", n % NETWORKS), json!({"mode": "physical"})),
        2 => ("networks", "nw-p".to_owned(), json!({"ipv6_network": "fd00::"})),
        3 => ("interfaces", format!("if-{n}"), json!({"gateway_priority": 7})),
        _ => ("interfaces", format!("if-{n}"), json!({"network_uuid": null})),
    });
    let update = |(resource, uuid, attributes)| json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes});
    prop_oneof![
        1 => Just(json!({"op": "create", "resource": "networks",
            "attributes": {"uuid": "nw-p", "mode": "physical", "ipv4_network": "10.0.0.0"}})),
        2 => edge.prop_map(|attributes| json!({"op": "create", "resource": "interfaces", "attributes": attributes})),
        4 => uplink.prop_map(|attributes| json!({"op": "create", "resource": "interfaces", "attributes": attributes})),
        1 => change.prop_map(update),
    ]
}

/// A router between networks: its legs, its routes, and a service.
fn router() -> impl Strategy<Value = Value> {
    let create = |resource: &'static str| move |attributes| json!({"op": "create", "resource": resource, "attributes": attributes});
    let network =
        || prop_oneof![2 => (0..NETWORKS).prop_map(|n| format!("nw-{n}")), 1 => Just("nw-p".to_owned())];
    let leg = (0..2_u8, network(), proptest::option::of(0..HOSTS)).prop_map(|(leg, network, owner)| {
        json!({"uuid": format!("if-leg{leg}"), "mode": "simulated", "enable_routing": true, "network_uuid": network, "mac_address": format!("02:00:00:00:01:0{leg}"),
            "ipv4_address": "10.0.0.254", "owner_datapath_uuid": owner.map(|owner| format!("dp-host{owner}"))})
    });
    let route = (0..3_u8, 0..2_u8, network(), 0..2_u8, proptest::collection::btree_set(1..9_u8, 0..3));
    let route = (route, any::<bool>()).prop_map(|((route, leg, network, link, hops), ipv6)| {
        let mut attributes = json!({"uuid": format!("r-{route}"), "interface_uuid": format!("if-leg{leg}"),
            "network_uuid": network, "route_link_uuid": format!("rl-{link}")});
        let hops: Vec<_> = hops.into_iter().map(|hop| format!("10.0.0.{hop}")).collect();
        if ipv6 {
            attributes["ipv6_network"] = format!("fd0{route}::").into();
        } else {
            attributes["ipv4_network"] = format!("10.{route}.0.0").into();
            attributes["next_hops"] = hops.into();
        }
        attributes
    });
    let change = (0..3_u8, 0..5_u8).prop_map(|(number, kind)| {
        let (resource, uuid, attributes) = match kind {
            0 => ("routes", format!("r-{number}"), json!({"egress": false})),
            1 => ("routes", format!("r-{number}"), json!({"next_hops": ["10.0.0.3"]})),
            2 => ("interfaces", format!("if-leg{}", number % 2), json!({"enable_routing": number == 0})),
            3 => (
                "interfaces",
                format!("if-leg{}", number % 2),
                json!({"mac_address": format!("02:00:00:00:02:0{number}")}),
            ),
            _ => (
                "interfaces",
                format!("if-leg{}", number % 2),
                json!({"admin_state": if number == 0 { "down" } else { "up" }}),
            ),
        };
        json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes})
    });
    let delete = (0..3_u8, 0..4_u8).prop_map(|(number, kind)| {
        let (resource, uuid) = match kind {
            0 => ("routes", format!("r-{number}")),
            1 => ("route_links", format!("rl-{}", number % 2)),
            2 => ("interfaces", format!("if-leg{}", number % 2)),
            _ => ("network_services", format!("ns-{}", number % 2)),
        };
        json!({"op": "delete", "resource": resource, "uuid": uuid})
    });
    prop_oneof![
        4 => leg.prop_map(create("interfaces")),
        2 => (0..2_u8).prop_map(|link| json!({"uuid": format!("rl-{link}")})).prop_map(create("route_links")),
        6 => route.prop_map(create("routes")),
        3 => (0..2_u8, 0..2_u8, 0..4_u8).prop_map(|(service, leg, mode)| service_of(service, leg, mode))
            .prop_map(create("network_services")),
        2 => change,
        1 => delete,
    ]
}

/// A router's leg that translates, to addresses that it has or has not.
fn translation() -> impl Strategy<Value = Value> {
    let number = || (0..2_u8, 0..2_u8, 0..NETWORKS, 1..9_u8, 0..2_u8);
    prop_oneof![
        3 => (0..2_u8, any::<bool>()).prop_map(|(leg, on)| {
            json!({"op": "update", "resource": "interfaces", "uuid": format!("if-leg{leg}"),
                "attributes": {"enable_route_translation": on}})
        }),
        2 => number().prop_map(|(n, leg, network, _, passes)| {
            json!({"op": "create", "resource": "translations", "attributes": {"uuid": format!("tr-{n}"),
                "interface_uuid": format!("if-leg{leg}"), "mode": "source", "passthrough": passes == 0,
                "source_network_uuid": format!("nw-{network}"), "external_addresses": ["10.0.0.254"]}})
        }),
        2 => number().prop_map(|(n, leg, network, inner, kind)| {
            let ports = (kind == 0).then_some(80);
            let entry = json!({"ingress_ipv4_address": "10.0.0.254", "egress_ipv4_address": format!("10.0.0.{inner}"),
                "ingress_port_number": ports, "egress_port_number": ports, "egress_network_uuid": format!("nw-{network}")});
            json!({"op": "create", "resource": "translations", "attributes": {"uuid": format!("tr-{}", n + 2),
                "interface_uuid": format!("if-leg{leg}"), "mode": "static_address", "static_addresses": [entry]}})
        }),
        2 => number().prop_map(|(n, leg, _, inner, _)| {
            let attributes = json!({"ingress_ipv4_address": "10.0.0.254", "egress_ipv4_address": format!("10.1.0.{inner}"),
                "ingress_port_number": 443, "egress_port_number": 443, "route_link_uuid": format!("rl-{leg}")});
            json!({"op": "act", "action": "add_static_address", "uuid": format!("tr-{}", n + 2), "attributes": attributes})
        }),
        1 => (2..4_u8).prop_map(|n| {
            json!({"op": "act", "action": "remove_static_addresses", "uuid": format!("tr-{n}"),
                "attributes": {"ingress_ipv4_address": "10.0.0.254"}})
        }),
        1 => (0..4_u8, 0..2_u8).prop_map(|(n, leg)| {
            json!({"op": "update", "resource": "translations", "uuid": format!("tr-{n}"),
                "attributes": {"interface_uuid": format!("if-leg{leg}")}})
        }),
        1 => (0..4_u8).prop_map(|n| json!({"op": "delete", "resource": "translations", "uuid": format!("tr-{n}")})),
    ]
}

/// What chance would seldom bring together: guests on two hosts, and a leg that translates.
fn translating() -> Vec<Step> {
    let create =
        |resource: &str, attributes| json!({"op": "create", "resource": resource, "attributes": attributes});
    let network = |n: u8| create("networks", json!({"uuid": format!("nw-{n}"), "ipv4_network": "10.0.0.0"}));
    let guest = |n: u8, network: u8| {
        create(
            "interfaces",
            json!({"uuid": format!("if-{n}"), "network_uuid": format!("nw-{network}"),
                "mac_address": format!("02:00:00:00:00:0{n}"), "ipv4_address": format!("10.0.0.{}", n + 1)}),
        )
    };
    let leg = |n: u8| {
        create(
            "interfaces",
            json!({"uuid": format!("if-leg{n}"), "mode": "simulated", "enable_routing": true,
                "enable_route_translation": true, "network_uuid": format!("nw-{n}"),
                "mac_address": format!("02:00:00:00:01:0{n}"), "ipv4_address": "10.0.0.254"}),
        )
    };
    let route = |n: u8, prefix: &str| {
        create(
            "routes",
            json!({"uuid": format!("r-{n}"), "interface_uuid": format!("if-leg{n}"), "ipv4_network": prefix,
                "network_uuid": format!("nw-{n}"), "route_link_uuid": "rl-0"}),
        )
    };
    let translation = |n: u8, mode: &str, more: Value| {
        let mut attributes = json!({"uuid": format!("tr-{n}"), "interface_uuid": "if-leg1", "mode": mode});
        attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        create("translations", attributes)
    };
    let entry = json!({"ingress_ipv4_address": "10.0.0.254", "ingress_port_number": 80,
        "egress_ipv4_address": "10.0.0.1", "egress_port_number": 8080});
    let source = json!({"source_network_uuid": "nw-0", "external_addresses": ["10.0.0.254"]});
    let registered = (0..HOSTS).map(|host| Step::Register(host, 0));
    let requests = [
        vec![network(0), network(1), guest(0, 0), guest(1, 0), guest(2, 1), leg(0), leg(1)],
        vec![create("route_links", json!({"uuid": "rl-0"})), route(0, "10.0.0.0"), route(1, "10.9.0.0")],
        vec![translation(2, "static_address", json!({"static_addresses": [entry]}))],
        vec![translation(0, "source", source)],
    ];
    let shown = [Step::Show(0, 0b001), Step::Show(1, 0b010), Step::Show(2, 0b100)];
    registered.chain(requests.map(Step::Requests)).chain(shown).collect()
}

fn service_of(service: u8, leg: u8, mode: u8) -> Value {
    let (uuid, interface) = (format!("ns-{service}"), format!("if-leg{leg}"));
    match mode {
        0 => json!({"uuid": uuid, "interface_uuid": interface, "mode": "dhcp"}),
        1 => json!({"uuid": uuid, "interface_uuid": interface, "mode": "dns"}),
        _ => {
            json!({"uuid": uuid, "interface_uuid": interface, "mode": "metadata", "metadata_server": "192.0.2.1:80"})
        }
    }
}

/// Who carries what, and by which address: of the host interfaces, or of a topology that the hosts are in.
fn placement() -> impl Strategy<Value = Value> {
    let item = prop_oneof![
        3 => (0..NETWORKS).prop_map(|n| json!({"network_uuid": format!("nw-{n}")})),
        1 => Just(json!({"segment_uuid": "seg-0"})),
    ];
    let create = |resource: &str, attributes: Value| json!({"op": "create", "resource": resource, "attributes": attributes});
    let act = |action: &str, uuid: String, attributes: Value| json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes});
    prop_oneof![
        2 => Just(create("networks", json!({"uuid": "nw-under", "mode": "physical", "ipv4_network": "198.51.100.0"}))),
        1 => prop_oneof![Just("simple_underlay"), Just("simple_overlay")]
            .prop_map(move |mode| create("topologies", json!({"uuid": format!("topo-{mode}").replace('_', "-"), "mode": mode}))),
        4 => (0..HOSTS, 0..2_u8).prop_map(move |(host, address)| create("interfaces", json!({"uuid": format!("if-eth{host}"),
            "mode": "host", "owner_datapath_uuid": format!("dp-host{host}"), "port_name": format!("eth{host}"),
            "network_uuid": "nw-under", "mac_address": format!("02:00:00:00:09:0{host}"),
            "ipv4_address": format!("198.51.100.{}", host + 100 * address)}))),
        4 => (0..HOSTS, item.clone()).prop_map(move |(host, mut item)| {
            item["interface_uuid"] = format!("if-eth{host}").into();
            act("add_placement", format!("dp-host{host}"), item)
        }),
        1 => (0..HOSTS, item.clone()).prop_map(move |(host, item)| act("remove_placement", format!("dp-host{host}"), item)),
        2 => (0..HOSTS).prop_map(move |host| act("add_member", "topo-simple-underlay".to_owned(),
            json!({"datapath_uuid": format!("dp-host{host}"), "interface_uuid": format!("if-eth{host}")}))),
        2 => Just(act("add_member", "topo-simple-overlay".to_owned(), json!({"underlay_uuid": "topo-simple-underlay"}))),
        2 => item.prop_map(move |item| act("add_member", "topo-simple-overlay".to_owned(), item)),
        1 => (0..HOSTS).prop_map(|host| json!({"op": "delete", "resource": "interfaces", "uuid": format!("if-eth{host}")})),
    ]
}

/// How two hosts wrap what they send each other.
fn pair() -> impl Strategy<Value = Value> {
    let kinds = [Some("geneve"), Some("vxlan"), Some("gre"), Some("mac2mac"), Some("mac2mac"), None];
    let kind = proptest::sample::select(kinds.to_vec());
    (0..HOSTS, 0..HOSTS, kind).prop_map(|(one, other, kind)| {
        let action = if kind.is_some() { "add_datapath_peer" } else { "remove_datapath_peer" };
        let mut attributes = json!({"peer_uuid": format!("dp-host{other}")});
        if let Some(kind) = kind {
            attributes["encapsulation"] = kind.into();
        }
        json!({"op": "act", "action": action, "uuid": format!("dp-host{one}"), "attributes": attributes})
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Settle),
        5 => proptest::collection::vec(request(), 1..4).prop_map(Step::Requests),
        1 => (0..HOSTS, 0..HOSTS).prop_map(|(one, other)| Step::Share(one, other)),
        1 => (0..HOSTS, 0..VARIANTS).prop_map(|(host, variant)| Step::Register(host, variant)),
        2 => (0..HOSTS, any::<u8>()).prop_map(|(host, shown)| Step::Show(host, shown)),
    ]
}

fn host_id(host: u8) -> DatapathId {
    format!("dp-host{host}").parse().expect("a valid id")
}

fn registration(host: u8, variant: u8) -> Registration {
    let encapsulation = match variant {
        2 => Encapsulation::Vxlan,
        3 => Encapsulation::Gre,
        _ => Encapsulation::Geneve,
    };
    let ipv4 = format!("192.0.2.{}", host * VARIANTS + variant + 1);
    let (first, others) = match variant {
        4 => (ipv4, vec![format!("198.51.100.{host}"), format!("2001:db8::{host}")]),
        5 => (format!("2001:db8::{host}"), vec![ipv4]),
        _ => (ipv4, Vec::new()),
    };
    let address = |text: String| text.parse().expect("an address");
    let others = others.into_iter().map(|other| UnderlayAddress { address: address(other), mtu: 1400 });
    Registration::new(
        format!("host{host}").parse().expect("a valid id"),
        topology::Dpid(u64::from(host) + 1),
        Underlay { encapsulation, address: address(first), mtu: 1500 },
    )
    .with_addresses(others.collect())
}

fn take(topology: &Topology, seen: &mut SeenPorts, step: Step) -> Topology {
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, topology.revision().0);
    let done = match step {
        Step::Requests(requests) => {
            let read = |request| serde_json::from_value::<Request>(request).expect("a well-formed request");
            Request::execute_all(requests.into_iter().map(read), &mut edit).is_ok()
        }
        Step::Share(one, other) => return share(topology, one, other),
        Step::Register(host, variant) => Datapath::register(&mut edit, registration(host, variant)).is_ok(),
        Step::Settle => {
            let pairs: Vec<_> = topology.unsettled_host_pairs().cloned().collect();
            pairs.iter().for_each(|pair| HostPair::settle(&mut edit, &pair.uuid, pair.meta.revision));
            true
        }
        Step::Show(host, shown) => {
            let shown = (0..INTERFACES).filter(|n| shown & (1 << n) != 0);
            let port = |n| SeenPort {
                name: format!("tap{n}"),
                instance: format!("{host}-{n}-{}", topology.revision()),
                iface_id: Some(format!("if-{n}")),
                error: None,
                asks: false,
            };
            seen.report(host_id(host), shown.map(port).collect());
            if topology.datapaths().contains_key(&host_id(host)) {
                seen.bind(&host_id(host), &mut edit);
            }
            true
        }
    };
    if !done {
        return topology.clone();
    }
    seen.rebind(&mut edit);
    let mut after = topology.clone();
    after.commit(topology.revision().next(), &edit.into_changes());
    after
}

/// No request leads there.
fn share(topology: &Topology, one: u8, other: u8) -> Topology {
    let [one, other] = [one, other].map(|host| topology.datapaths().get(&host_id(host)));
    let mut after = topology.clone();
    if let (Some(one), Some(other)) = (one, other) {
        let moved = Datapath { underlay: one.underlay, ..Datapath::clone(other) };
        after.commit(topology.revision().next(), &[Change::Put(moved.into())]);
    }
    after
}

/// What a host's agent knows: all ports that the host shows, bound here or not.
fn local(host: u8, seen: &SeenPorts) -> Local {
    let port = |port: &SeenPort| {
        let id: InterfaceId = port.iface_id.as_ref()?.parse().ok()?;
        let number = 10 + u32::from(id.to_string().as_bytes()[3] - b'0');
        Some((id, OfPort(number)))
    };
    let tunnels = Encapsulation::ALL.into_iter().zip([OfPort(1), OfPort(2), OfPort(3)]).collect();
    let ports = seen.of(&host_id(host)).filter_map(|seen| port(seen)).collect::<BTreeMap<_, _>>();
    // Those that are there depend on the time of day.
    let monitors = (1..=ports.len()).filter_map(|key| u32::try_from(key).ok());
    let monitors = monitors.map(|key| (HostKey(key), OfPort(100 + key))).collect();
    let yields = ports.len() % 3 == 1;
    Local { datapath: host_id(host), ports, tunnels, monitors, yields }
}

fn follow(mut program: Program, delta: &Delta) -> Program {
    program.apply(delta);
    program
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn incremental_equals_from_scratch(
        is_prepared in proptest::bool::weighted(0.2),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (mut topology, mut seen) = (Topology::default(), SeenPorts::default());
        let mut compilers: Vec<_> =
            (0..HOSTS).map(|host| Compiler::new(topology.clone(), local(host, &seen))).collect();
        let steps = if is_prepared { [translating(), steps].concat() } else { steps };
        for step in steps {
            let after = take(&topology, &mut seen, step);
            let changes = after.changes_since(&topology);
            for (host, compiler) in (0..HOSTS).zip(&mut compilers) {
                // Each host sees only its part, and hears of it by deltas.
                let mut part = compiler.topology().clone();
                part.commit(after.revision(), &scope::delta(&topology, &after, &changes, &host_id(host)));
                let before = compiler.program().clone();
                let delta = compiler.update(part.clone(), local(host, &seen));
                let fresh = Compiler::new(part, local(host, &seen));
                prop_assert_eq!(compiler.program(), fresh.program());
                prop_assert_eq!(compiler.twins().next(), None);
                prop_assert_eq!(&follow(before, &delta), fresh.program());
                // The whole topology means the same to a host as its part does.
                let whole = Compiler::new(after.clone(), local(host, &seen));
                prop_assert_eq!(
                    seen_by_tables(compiler.program()),
                    seen_by_tables(whole.program()),
                    "host {}", host
                );
            }
            topology = after;
        }
    }
}

/// The parts of a program that a packet of this host can meet: a host that knows everything also knows how to find
/// what none of its guests can ask for.
fn seen_by_tables(program: &Program) -> Vec<String> {
    use dataplane::layout::{
        CLASSIFY, DELIVER, FILTER_IN, FILTER_OUT, OUTPUT, SOURCE, TRACK_OUT, TRANSLATE_IN,
    };
    let own = [CLASSIFY, SOURCE, DELIVER, FILTER_IN, FILTER_OUT, OUTPUT, TRACK_OUT];
    let flows = program.flows.values().filter(|flow| own.contains(&flow.table));
    // Nobody sends anything here for a leg out of reach to translate.
    let flows = flows.filter(|flow| flow.instructions.goto_table != Some(TRANSLATE_IN));
    flows
        .filter(|flow| !matches!(dataplane::Owner::of_cookie(flow.cookie), Some(dataplane::Owner::Peer(_))))
        .map(ToString::to_string)
        .collect()
}
