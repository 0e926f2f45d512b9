//! Physical networks: who may be in one, and in which order hosts are its gateways.

use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{DatapathId, DomainId, Dpid, Edit, ErrorKind, Request, Topology};

/// What a request is refused for.
type Refused = (ErrorKind, String);

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn update(resource: &str, uuid: &str, attributes: Value) -> Value {
    json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes})
}

fn uplink(host: u8) -> Value {
    json!({"uuid": format!("if-up{host}"), "mode": "host", "network_uuid": "nw-p",
        "owner_datapath_uuid": format!("dp-host{host}"), "port_name": "nic"})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// Three hosts, a physical network with an uplink of the first of them, and a virtual network.
fn world() -> Topology {
    let mut topology = Topology::default();
    for host in 0..3_u8 {
        let underlay = Underlay {
            encapsulation: Encapsulation::Geneve,
            address: std::net::Ipv4Addr::new(192, 0, 2, host + 1).into(),
            mtu: 1500,
        };
        let node_id = format!("host{host}").parse().expect("a node id");
        let mut edit = Edit::new(&topology, jiff::Timestamp::UNIX_EPOCH, u64::from(host));
        Datapath::register(&mut edit, Registration::new(node_id, Dpid(u64::from(host) + 1), underlay))
            .expect("registered");
        topology.commit(topology.revision().next(), &edit.into_changes());
    }
    let requests = json!([
        create("networks", json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": "10.0.2.0"})),
        create("networks", json!({"uuid": "nw-v", "ipv4_network": "10.0.1.0"})),
        create("segments", json!({"uuid": "seg-v", "mode": "virtual"})),
        create("interfaces", uplink(0)),
    ]);
    ask(&mut topology, requests).expect("valid");
    topology
}

fn ask(topology: &mut Topology, requests: Value) -> Result<(), Refused> {
    let requests: Vec<Request> = serde_json::from_value(requests).expect("well-formed requests");
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, topology.revision().0);
    Request::execute_all(requests, &mut edit)
        .map_err(|(_, error)| (error.kind, error.field.unwrap_or_default()))?;
    topology.commit(topology.revision().next(), &edit.into_changes());
    Ok(())
}

/// That a request is refused for this attribute; none if it is not.
#[track_caller]
fn check(request: Value, refused: Option<&str>) {
    let found = ask(&mut world(), json!([request]));
    assert_eq!(found.err().map(|(_, field)| field).as_deref(), refused, "{request}");
}

#[test]
fn an_uplink_is_one_port_of_one_host_in_a_physical_network() {
    let add = |attributes| create("interfaces", attributes);
    check(add(uplink(1)), None);
    check(add(with(uplink(1), "mode", "patch".into())), None);
    check(add(with(uplink(1), "network_uuid", Value::Null)), None);
    check(add(with(uplink(1), "network_uuid", "nw-v".into())), Some("network_uuid"));
    check(add(with(uplink(1), "owner_datapath_uuid", Value::Null)), Some("owner_datapath_uuid"));
    check(add(with(uplink(1), "port_name", Value::Null)), Some("port_name"));
    // What is leased to it are its host's addresses in the underlay.
    let leased = with(uplink(1), "mac_address", "02:00:00:00:00:01".into());
    check(add(leased.clone()), None);
    check(
        add(with(with(leased, "network_uuid", "nw-v".into()), "ipv4_address", "10.0.1.9".into())),
        Some("network_uuid"),
    );
    check(add(with(uplink(1), "enable_routing", true.into())), Some("enable_routing"));
    check(
        add(with(with(uplink(1), "network_uuid", Value::Null), "segment_uuid", "seg-v".into())),
        Some("segment_uuid"),
    );
    // A second one of the same host would make loops.
    let second = with(with(uplink(0), "uuid", "if-other".into()), "port_name", "nic2".into());
    check(add(second), Some("owner_datapath_uuid"));
    check(add(json!({"gateway_priority": 7})), Some("gateway_priority"));
    check(update("interfaces", "if-up0", json!({"mode": "vif"})), Some("network_uuid"));
}

#[test]
fn an_edge_is_a_port_of_a_segment_perhaps_with_a_vlan() {
    let edge = || {
        json!({"uuid": "if-edge", "mode": "promiscuous", "segment_uuid": "seg-v", "owner_datapath_uuid": "dp-host1",
            "port_name": "nic"})
    };
    let add = |attributes| create("interfaces", attributes);
    check(add(edge()), None);
    check(add(with(edge(), "vlan_id", 4094.into())), None);
    check(add(with(edge(), "vlan_id", 4095.into())), Some("vlan_id"));
    check(add(with(edge(), "vlan_id", 0.into())), Some("vlan_id"));
    check(add(with(uplink(1), "vlan_id", 5.into())), Some("vlan_id"));
    let in_network = with(with(edge(), "segment_uuid", Value::Null), "network_uuid", "nw-v".into());
    check(add(in_network), Some("network_uuid"));
    check(add(with(edge(), "mac_address", "02:00:00:00:00:01".into())), Some("mac_address"));
    check(add(with(edge(), "port_name", Value::Null)), Some("port_name"));
}

#[test]
fn in_a_physical_network_only_what_is_simulated_has_leases_and_no_host_has_it_for_itself() {
    let leased = |mode: &str| {
        let (mac, ip) = ("02:00:00:00:00:01", "10.0.2.1");
        json!({"mode": mode, "network_uuid": "nw-p", "mac_address": mac, "ipv4_address": ip})
    };
    check(create("interfaces", leased("simulated")), None);
    check(create("interfaces", leased("vif")), Some("network_uuid"));
    let owned = with(leased("simulated"), "owner_datapath_uuid", "dp-host0".into());
    check(create("interfaces", owned), Some("owner_datapath_uuid"));
}

#[test]
fn a_network_changes_its_mode_when_nobody_is_in_its_way() {
    check(update("networks", "nw-v", json!({"mode": "physical"})), None);
    check(update("networks", "nw-p", json!({"mode": "virtual"})), Some("network_uuid"));
    check(update("networks", "nw-p", json!({"segment_uuid": "seg-v"})), Some("segment_uuid"));
    check(create("segments", json!({"mode": "physical"})), Some("mode"));
    check(json!({"op": "delete", "resource": "networks", "uuid": "nw-p"}), None);
}

#[test]
fn gateways_are_ordered_by_priority_and_then_by_the_age_of_their_hosts() {
    let mut topology = world();
    let mut seen = SeenPorts::default();
    for host in 0..3_u8 {
        if host > 0 {
            ask(&mut topology, json!([create("interfaces", uplink(host))])).expect("valid");
        }
        let nic = SeenPort {
            name: "nic".to_owned(),
            instance: format!("{host}"),
            iface_id: None,
            error: None,
            asks: false,
        };
        let datapath: DatapathId = format!("dp-host{host}").parse().expect("an id");
        seen.report(datapath.clone(), vec![nic].into());
        let mut edit = Edit::new(&topology, jiff::Timestamp::UNIX_EPOCH, 0);
        seen.bind(&datapath, &mut edit);
        topology.commit(topology.revision().next(), &edit.into_changes());
    }
    let mut check = |change: Value, expected: &[&str]| {
        ask(&mut topology, json!([change])).expect("valid");
        let domain = DomainId::Network("nw-p".parse().expect("an id"));
        let hosts: Vec<_> = topology.gateways(&domain).iter().map(|of| of.datapath.to_string()).collect();
        assert_eq!(hosts, expected);
    };
    check(update("interfaces", "if-up0", json!({})), &["dp-host0", "dp-host1", "dp-host2"]);
    check(
        update("interfaces", "if-up2", json!({"gateway_priority": 200})),
        &["dp-host2", "dp-host0", "dp-host1"],
    );
    check(update("interfaces", "if-up0", json!({"admin_state": "down"})), &["dp-host2", "dp-host1"]);
}
