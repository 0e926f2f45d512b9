//! A small topology with something of every kind, for targets that work on one.

use std::sync::LazyLock;

use ::topology::binding::{SeenPort, SeenPorts};
use ::topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use ::topology::{Change, Dpid, Edit, Object, Request, Revision, Topology};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Requests that make it.
pub(super) fn requests() -> Vec<Value> {
    let create = |resource: &str, attributes: Value| json!({"op": "create", "resource": resource, "attributes": attributes});
    vec![
        create("datapaths", json!({"uuid": "dp-a", "dpid": "0xaa01", "node_id": "host1"})),
        create("segments", json!({"uuid": "seg-a", "mode": "virtual", "labels": {"tier": "web"}})),
        create(
            "networks",
            json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24, "ipv6_network": "fd00::",
                "ipv6_prefix": 64, "segment_uuid": "seg-a", "display_name": "a"}),
        ),
        create("networks", json!({"uuid": "nw-b", "ipv4_network": "10.0.0.0", "network_mode": "virtual"})),
        create(
            "interfaces",
            json!({"uuid": "if-a", "mode": "vif", "mac_address": "02:00:00:00:00:01", "network_uuid": "nw-a",
                "ipv4_address": "10.0.0.1", "ipv6_address": "fd00::1", "port_name": "p1",
                "owner_datapath_uuid": "dp-a"}),
        ),
        create(
            "interfaces",
            json!({"uuid": "if-b", "network_uuid": "nw-b", "mac_address": "02:00:00:00:00:02",
                "ipv4_address": "10.0.0.2", "requested_host": "host1", "admin_state": "down"}),
        ),
        create(
            "mac_leases",
            json!({"uuid": "ml-a", "interface_uuid": "if-a", "mac_address": "02:00:00:00:00:03"}),
        ),
        create(
            "ip_leases",
            json!({"uuid": "il-a", "network_uuid": "nw-a", "mac_lease_uuid": "ml-a",
                "ipv4_address": "10.0.0.3"}),
        ),
        create(
            "interfaces",
            json!({"uuid": "if-leg", "mode": "simulated", "enable_routing": true,
                "enable_route_translation": true, "network_uuid": "nw-a",
                "mac_address": "02:00:00:00:00:fe", "ipv4_address": "10.0.0.254", "ipv6_address": "fd00::fe"}),
        ),
        create("route_links", json!({"uuid": "rl-a"})),
        create(
            "routes",
            json!({"uuid": "r-a", "interface_uuid": "if-leg", "network_uuid": "nw-a", "route_link_uuid": "rl-a",
                "ipv4_network": "0.0.0.0", "ipv4_prefix": 0, "next_hops": ["10.0.0.1", "10.0.0.3"]}),
        ),
        create(
            "routes",
            json!({"uuid": "r-b", "interface_uuid": "if-leg", "network_uuid": "nw-a", "route_link_uuid": "rl-a",
                "ipv6_network": "fd00::", "ingress": true, "egress": true}),
        ),
        create(
            "translations",
            json!({"uuid": "tr-a", "interface_uuid": "if-leg", "mode": "static_address", "passthrough": true,
                "static_addresses": [{"ingress_ipv4_address": "10.0.0.254", "egress_ipv4_address": "10.0.0.1",
                    "ingress_port_number": 80, "egress_port_number": 8080, "protocol": "tcp", "route_link_uuid": "rl-a"}]}),
        ),
        create(
            "translations",
            json!({"uuid": "tr-b", "interface_uuid": "if-leg", "mode": "source", "source_network_uuid": "nw-b",
                "source_prefixes": ["10.1.0.0/16"], "external_addresses": ["10.0.0.254", "fd00::fe"]}),
        ),
        create("network_services", json!({"uuid": "ns-a", "mode": "dhcp", "interface_uuid": "if-leg"})),
        create("network_services", json!({"uuid": "ns-b", "mode": "dns", "interface_uuid": "if-leg"})),
        create(
            "dns_services",
            json!({"uuid": "dnss-a", "network_service_uuid": "ns-b", "public_dns": ["192.0.2.53"]}),
        ),
        create(
            "dns_records",
            json!({"uuid": "dnsr-a", "dns_service_uuid": "dnss-a", "name": "www.example", "cname": "a.example"}),
        ),
    ]
}

/// What a host says of itself.
pub(super) fn registration() -> Registration {
    Registration::new(
        "host1".parse().expect("a node id"),
        Dpid(0xaa01),
        Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, 1].into(), mtu: 1500 },
    )
}

/// The ports it has.
pub(super) fn ports() -> Vec<SeenPort> {
    let port = |name: &str, iface_id: Option<&str>| SeenPort {
        name: name.to_owned(),
        instance: format!("1/{name}"),
        iface_id: iface_id.map(ToOwned::to_owned),
        error: None,
        asks: false,
    };
    vec![port("p1", None), port("p2", Some("if-b")), port("LOCAL", None)]
}

/// The topology with the host registered and its ports shown.
pub(super) fn topology() -> &'static Topology {
    static TOPOLOGY: LazyLock<Topology> = LazyLock::new(made);
    &TOPOLOGY
}

fn made() -> Topology {
    let mut edit = Edit::new(&Topology::default(), Timestamp::UNIX_EPOCH, 1);
    for request in requests() {
        let request: Request = serde_json::from_value(request).expect("a request");
        request.execute(&mut edit).expect("it makes sense");
    }
    let datapath = Datapath::register(&mut edit, registration()).expect("it makes sense");
    let mut seen = SeenPorts::default();
    seen.report(datapath.clone(), ports().into());
    seen.bind(&datapath, &mut edit);
    committed(&Topology::default(), edit)
}

/// The topology after an edit. What the store keeps of it must read back as the same.
pub(super) fn committed(before: &Topology, edit: Edit) -> Topology {
    let changes = edit.into_changes();
    for change in &changes {
        let Change::Put(object) = change else { continue };
        let again = Object::decode(&object.reference(), &object.encode());
        assert_eq!(again.ok().as_ref(), Some(object));
    }
    let mut after = before.clone();
    after.commit(Revision(before.revision().0 + 1), &changes);
    after
}
