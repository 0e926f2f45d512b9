//! Which translations there can be, and what becomes of them when others go.

use serde_json::{Value, json};
use topology::datapath::{Datapath, Encapsulation, NatBlock, Registration, Underlay};
use topology::translation::Translation;
use topology::{Dpid, Edit, ErrorKind, Request, Topology, TranslationId};

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

/// Carries requests out, all or none. What is refused is told by kind and field.
fn ask(topology: &mut Topology, requests: &[Value]) -> Result<(), (ErrorKind, String)> {
    let read = |request: &Value| serde_json::from_value::<Request>(request.clone()).expect("well formed");
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, topology.revision().0);
    Request::execute_all(requests.iter().map(read), &mut edit)
        .map_err(|(_, error)| (error.kind, error.field.unwrap_or_default()))?;
    topology.commit(topology.revision().next(), &edit.into_changes());
    Ok(())
}

/// Two networks and a router; its leg outside has the addresses 198.51.100.1 to 4.
fn world() -> Topology {
    let mut topology = Topology::default();
    let lease = |n: u8| {
        let address = format!("198.51.100.{n}");
        create(
            "ip_leases",
            json!({"uuid": format!("il-{n}"), "network_uuid": "nw-out", "interface_uuid": "if-out", "ipv4_address": address,
                "enable_routing": true}),
        )
    };
    let requests = [
        create("networks", json!({"uuid": "nw-in", "ipv4_network": "10.0.0.0"})),
        create(
            "networks",
            json!({"uuid": "nw-out", "ipv4_network": "198.51.100.0", "ipv6_network": "2001:db8::"}),
        ),
        create("interfaces", json!({"uuid": "if-guest", "network_uuid": "nw-in"})),
        create(
            "interfaces",
            json!({"uuid": "if-out", "mode": "simulated", "enable_routing": true, "enable_route_translation": true,
                "network_uuid": "nw-out", "mac_address": "02:00:00:00:00:01"}),
        ),
        create("route_links", json!({"uuid": "rl-1"})),
        create("translations", json!({"uuid": "tr-1", "interface_uuid": "if-out", "mode": "static_address"})),
    ];
    ask(&mut topology, &requests).expect("a world");
    ask(&mut topology, &[1, 2, 3, 4].map(lease)).expect("leases");
    topology
}

fn add(translation: &str, attributes: Value) -> Value {
    json!({"op": "act", "action": "add_static_address", "uuid": translation, "attributes": attributes})
}

fn address(external: u8, internal: u8) -> Value {
    json!({"ingress_ipv4_address": format!("198.51.100.{external}"), "egress_ipv4_address": format!("10.0.0.{internal}")})
}

fn port(external: (u8, u16), internal: (u8, u16), protocol: Option<&str>) -> Value {
    let mut entry = address(external.0, internal.0);
    entry["ingress_port_number"] = external.1.into();
    entry["egress_port_number"] = internal.1.into();
    entry["protocol"] = protocol.into();
    entry
}

fn source(id: &str, external: u8, more: Value) -> Value {
    let mut attributes = json!({"uuid": id, "interface_uuid": "if-out", "mode": "source", "source_network_uuid": "nw-in",
        "external_addresses": [format!("198.51.100.{external}")]});
    attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    create("translations", attributes)
}

fn translation<'a>(topology: &'a Topology, id: &str) -> &'a Translation {
    let id: TranslationId = id.parse().expect("an id");
    &topology.translations()[&id]
}

fn entries(topology: &Topology, id: &str) -> usize {
    translation(topology, id).static_addresses.len()
}

#[track_caller]
fn check(requests: &[Value], expected: Result<(), (ErrorKind, &str)>) {
    let found = ask(&mut world(), requests);
    assert_eq!(found, expected.map_err(|(kind, field)| (kind, field.to_owned())), "{requests:?}");
}

#[test]
fn an_entry_is_whole_of_one_family_and_leased_to_the_leg() {
    let without = |name: &str, mut entry: Value| {
        entry.as_object_mut().expect("an object").remove(name);
        [add("tr-1", entry)]
    };
    let missing = |field| Err((ErrorKind::MissingArgument, field));
    check(&[add("tr-1", address(1, 1))], Ok(()));
    check(&[add("tr-1", port((1, 80), (1, 80), None))], Ok(()));
    check(&without("ingress_ipv4_address", address(1, 1)), missing("ingress_ipv4_address"));
    check(&without("egress_ipv4_address", address(1, 1)), missing("egress_ipv4_address"));
    check(&without("ingress_port_number", port((1, 1), (1, 1), None)), missing("ingress_port_number"));
    check(&without("egress_port_number", port((1, 1), (1, 1), None)), missing("egress_port_number"));
    check(&[add("tr-1", port((1, 0), (1, 1), None))], Err((ErrorKind::Argument, "ingress_port_number")));
    let mut mixed = address(1, 1);
    mixed["egress_ipv6_address"] = "fd00::1".into();
    check(&[add("tr-1", mixed)], Err((ErrorKind::Unfit, "ingress_ipv6_address")));
    let mut portless = address(1, 1);
    portless["protocol"] = "tcp".into();
    check(&[add("tr-1", portless)], Err((ErrorKind::Unfit, "protocol")));
    check(&[add("tr-1", address(9, 1))], Err((ErrorKind::Unfit, "ingress_ipv4_address")));
    let mut unknown = address(1, 1);
    unknown["route_link_uuid"] = "rl-none".into();
    check(&[add("tr-1", unknown)], Err((ErrorKind::UnknownUuid, "route_link_uuid")));
}

#[test]
fn what_a_translation_needs_is_said_by_name() {
    let plain = |more: Value| {
        let mut attributes = json!({"interface_uuid": "if-out", "mode": "static_address"});
        attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        [create("translations", attributes)]
    };
    check(&plain(json!({"mode": null})), Err((ErrorKind::MissingArgument, "mode")));
    check(&plain(json!({"mode": "other"})), Err((ErrorKind::Argument, "mode")));
    check(&plain(json!({"interface_uuid": "if-guest"})), Err((ErrorKind::Unfit, "interface_uuid")));
    check(
        &plain(json!({"external_addresses": ["198.51.100.1"]})),
        Err((ErrorKind::Unfit, "external_addresses")),
    );
    check(&plain(json!({"source_network_uuid": "nw-in"})), Err((ErrorKind::Unfit, "source_network_uuid")));
    check(&plain(json!({"mode": "source"})), Err((ErrorKind::MissingArgument, "source_network_uuid")));
    let network = json!({"mode": "source", "source_network_uuid": "nw-in"});
    check(&plain(network), Err((ErrorKind::MissingArgument, "external_addresses")));
    check(&[source("tr-2", 9, json!({}))], Err((ErrorKind::Unfit, "external_addresses")));
    let change =
        json!({"op": "update", "resource": "translations", "uuid": "tr-1", "attributes": {"mode": "source"}});
    check(&[change], Err((ErrorKind::Unfit, "mode")));
    check(&[source("tr-2", 1, json!({})), add("tr-2", address(2, 1))], Err((ErrorKind::Unfit, "mode")));
}

#[test]
fn all_translations_of_a_leg_leave_no_doubt() {
    let other =
        create("translations", json!({"uuid": "tr-2", "interface_uuid": "if-out", "mode": "static_address"}));
    let pair = |one: Value, two: Value| [other.clone(), add("tr-1", one), add("tr-2", two)];
    let taken = |field| Err((ErrorKind::Duplicate, field));
    check(&pair(address(1, 1), address(2, 2)), Ok(()));
    check(&pair(address(1, 1), address(1, 2)), taken("ingress_ipv4_address"));
    check(&pair(address(1, 1), address(2, 1)), taken("egress_ipv4_address"));
    check(&pair(address(1, 1), port((1, 80), (2, 80), None)), taken("ingress_port_number"));
    check(&pair(port((1, 80), (1, 80), None), port((1, 81), (2, 80), None)), Ok(()));
    check(&pair(port((1, 80), (1, 80), Some("tcp")), port((1, 80), (2, 80), Some("udp"))), Ok(()));
    check(
        &pair(port((1, 80), (1, 80), Some("tcp")), port((1, 80), (2, 80), None)),
        taken("ingress_port_number"),
    );
    check(&pair(port((1, 80), (1, 80), None), port((1, 81), (1, 80), None)), taken("egress_port_number"));
    // A shared address.
    let sharing = |entry: Value| [source("tr-2", 1, json!({})), add("tr-1", entry)];
    check(&sharing(port((1, 1023), (1, 8080), None)), Ok(()));
    check(&sharing(port((1, 1024), (1, 8080), None)), taken("ingress_port_number"));
    check(&sharing(address(1, 1)), taken("ingress_ipv4_address"));
    check(&sharing(address(2, 1)), Ok(()));
    let prefixes = json!({"source_network_uuid": null, "source_prefixes": ["10.7.0.0/16"]});
    check(&[source("tr-2", 1, json!({})), source("tr-3", 1, prefixes.clone())], taken("external_addresses"));
    check(&[source("tr-2", 1, json!({})), source("tr-3", 2, prefixes)], Ok(()));
    check(&[source("tr-2", 1, json!({})), source("tr-3", 2, json!({}))], taken("source_prefixes"));
    let twice = json!({"external_addresses": ["198.51.100.1", "198.51.100.1"]});
    check(&[source("tr-2", 1, twice)], taken("external_addresses"));
}

#[test]
fn what_a_translation_has_stays_and_what_it_names_takes_it_along() {
    let mut topology = world();
    let mut by_link = port((2, 80), (2, 80), None);
    by_link["route_link_uuid"] = "rl-1".into();
    let mut by_network = port((2, 81), (3, 80), None);
    by_network["egress_network_uuid"] = "nw-in".into();
    ask(&mut topology, &[add("tr-1", address(1, 1)), add("tr-1", by_link), add("tr-1", by_network)])
        .expect("entries");
    ask(&mut topology, &[source("tr-2", 3, json!({}))]).expect("a source");
    let delete = |resource: &str, uuid: &str| json!({"op": "delete", "resource": resource, "uuid": uuid});
    // The addresses are the leg's for as long as they are translated.
    let in_use = |field: &str| Err((ErrorKind::Unfit, field.to_owned()));
    assert_eq!(ask(&mut topology, &[delete("ip_leases", "il-1")]), in_use("ingress_ipv4_address"));
    assert_eq!(ask(&mut topology, &[delete("ip_leases", "il-3")]), in_use("external_addresses"));
    assert_eq!(ask(&mut topology, &[delete("ip_leases", "il-4")]), Ok(()));
    ask(&mut topology, &[delete("route_links", "rl-1")]).expect("deleted");
    assert_eq!(entries(&topology, "tr-1"), 2);
    ask(&mut topology, &[delete("networks", "nw-in")]).expect("deleted");
    assert_eq!((entries(&topology, "tr-1"), topology.translations().len()), (1, 1));
    let remove = |attributes: Value| json!({"op": "act", "action": "remove_static_addresses", "uuid": "tr-1", "attributes": attributes});
    let nothing = Err((ErrorKind::UnknownResource, "ingress_ipv4_address".to_owned()));
    assert_eq!(ask(&mut topology, &[remove(address(1, 2))]), nothing);
    ask(&mut topology, &[remove(address(1, 1))]).expect("removed");
    assert_eq!(entries(&topology, "tr-1"), 0);
    ask(&mut topology, &[delete("interfaces", "if-out")]).expect("deleted");
    assert!(topology.translations().is_empty());
}

#[test]
fn an_entry_keeps_its_number_whatever_comes_and_goes() {
    let mut topology = world();
    let numbers = |topology: &Topology| {
        let entries = &translation(topology, "tr-1").static_addresses;
        entries.iter().map(|entry| (entry.external.to_string(), entry.number)).collect::<Vec<_>>()
    };
    let put = |entries: Value| json!({"op": "update", "resource": "translations", "uuid": "tr-1", "attributes": {"static_addresses": entries}});
    ask(&mut topology, &[put(json!([address(1, 1), address(2, 2)]))]).expect("entries");
    ask(&mut topology, &[put(json!([address(3, 3), address(2, 2)]))]).expect("entries");
    let named = |n: u8| format!("198.51.100.{n}");
    assert_eq!(numbers(&topology), [(named(2), 2), (named(3), 1)]);
    ask(&mut topology, &[add("tr-1", address(4, 4))]).expect("an entry");
    assert_eq!(numbers(&topology), [(named(2), 2), (named(3), 1), (named(4), 3)]);
}

#[test]
fn translations_of_a_leg_share_its_zone_and_no_other_leg_has_it() {
    let mut topology = world();
    let other = json!({"uuid": "if-other", "mode": "simulated", "network_uuid": "nw-out", "mac_address": "02:00:00:00:00:02",
        "ipv4_address": "198.51.100.9"});
    let at = |id: &str, leg: &str| {
        create("translations", json!({"uuid": id, "interface_uuid": leg, "mode": "static_address"}))
    };
    let requests = [create("interfaces", other), at("tr-2", "if-out"), at("tr-3", "if-other")];
    ask(&mut topology, &requests).expect("translations");
    let zone = |topology: &Topology, id: &str| translation(topology, id).zone;
    assert_eq!(zone(&topology, "tr-1"), zone(&topology, "tr-2"));
    assert_ne!(zone(&topology, "tr-1"), zone(&topology, "tr-3"));
    let moved = json!({"op": "update", "resource": "translations", "uuid": "tr-2", "attributes": {"interface_uuid": "if-other"}});
    ask(&mut topology, &[moved]).expect("moved");
    assert_eq!(zone(&topology, "tr-2"), zone(&topology, "tr-3"));
}

#[test]
fn every_host_has_a_block_of_its_own_and_keeps_it() {
    let mut topology = Topology::default();
    let register = |topology: &mut Topology, host: u8, address: u8| {
        let registration = Registration::new(
            format!("host{host}").parse().expect("a node id"),
            Dpid(u64::from(host) + 1),
            Underlay {
                encapsulation: Encapsulation::Geneve,
                address: std::net::Ipv4Addr::new(192, 0, 2, address).into(),
                mtu: 1500,
            },
        );
        let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, 1);
        let id = Datapath::register(&mut edit, registration).expect("registered");
        topology.commit(topology.revision().next(), &edit.into_changes());
        topology.datapaths()[&id].nat_block
    };
    for host in 0..3 {
        assert_eq!(register(&mut topology, host, host + 1), Some(NatBlock(u32::from(host))));
    }
    assert_eq!(register(&mut topology, 1, 9), Some(NatBlock(1)));
    ask(&mut topology, &[json!({"op": "delete", "resource": "datapaths", "uuid": "dp-host1"})])
        .expect("deleted");
    assert_eq!(register(&mut topology, 7, 7), Some(NatBlock(1)));
    assert_eq!(register(&mut topology, 8, 8), Some(NatBlock(3)));
}
