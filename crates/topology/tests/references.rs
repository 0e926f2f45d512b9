//! What a request leaves behind is valid, or the request is refused and says where: cases that were not.

use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{DatapathId, DomainId, Dpid, Edit, ErrorKind, InterfaceId, IpLeaseId, Request, Topology};

/// A topology and what its hosts show.
#[derive(Default)]
struct World {
    topology: Topology,
    seen: SeenPorts,
}

impl World {
    fn with(requests: Value) -> Self {
        let mut world = Self::default();
        world.host(0, 1);
        assert_eq!(world.ask(requests), Ok(()));
        world
    }

    /// All or nothing. What is refused is told by kind and field.
    fn ask(&mut self, requests: Value) -> Result<(), (ErrorKind, String)> {
        let requests: Vec<Request> = serde_json::from_value(requests).expect("well-formed requests");
        let mut edit = self.edit();
        Request::execute_all(requests, &mut edit)
            .map_err(|(_, error)| (error.kind, error.field.unwrap_or_default()))?;
        self.commit(edit);
        Ok(())
    }

    /// A host registers at an address.
    fn host(&mut self, host: u8, address: u8) {
        let address = std::net::Ipv4Addr::new(192, 0, 2, address).into();
        let registration = Registration::new(
            format!("host{host}").parse().expect("a node id"),
            Dpid(u64::from(host) + 1),
            Underlay { encapsulation: Encapsulation::Geneve, address, mtu: 1500 },
        );
        let mut edit = self.edit();
        Datapath::register(&mut edit, registration).expect("registered");
        self.commit(edit);
    }

    /// A host shows one port.
    fn show(&mut self, host: u8, name: &str, iface_id: Option<&str>) {
        let iface_id = iface_id.map(str::to_owned);
        let port = SeenPort {
            name: name.to_owned(),
            instance: format!("{host}/{name}"),
            iface_id,
            error: None,
            asks: false,
        };
        self.seen.report(datapath(host), vec![port].into());
        let mut edit = self.edit();
        self.seen.bind(&datapath(host), &mut edit);
        self.commit(edit);
    }

    fn edit(&self) -> Edit {
        Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, self.topology.revision().0)
    }

    fn commit(&mut self, mut edit: Edit) {
        self.seen.rebind(&mut edit);
        self.topology.commit(self.topology.revision().next(), &edit.into_changes());
    }

    fn bound(&self) -> Vec<String> {
        self.topology.interfaces_on(&datapath(0)).iter().map(InterfaceId::to_string).collect()
    }
}

fn datapath(host: u8) -> DatapathId {
    format!("dp-host{host}").parse().expect("an id")
}

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn update(resource: &str, uuid: &str, attributes: Value) -> Value {
    json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes})
}

fn network(id: &str, segment: Option<&str>) -> Value {
    let attributes =
        json!({"uuid": id, "ipv4_network": "10.0.0.0", "ipv6_network": "fd00::", "segment_uuid": segment});
    create("networks", attributes)
}

fn segment(id: &str) -> Value {
    create("segments", json!({"uuid": id, "mode": "virtual"}))
}

fn guest() -> Value {
    let attributes = json!({"uuid": "if-1", "network_uuid": "nw-a", "mac_address": "02:00:00:00:00:01", "ipv4_address": "10.0.0.1"});
    create("interfaces", attributes)
}

fn internal(id: &str) -> Value {
    create("interfaces", json!({"uuid": id, "mode": "internal", "owner_datapath_uuid": "dp-host0"}))
}

fn check(given: Value, request: Value, expected: Result<(), (ErrorKind, &str)>) {
    let mut world = World::with(given);
    let expected = expected.map_err(|(kind, field)| (kind, field.to_owned()));
    assert_eq!(world.ask(json!([request])), expected);
}

#[test]
fn a_mac_address_is_leased_once_to_an_interface() {
    let lease = |segment: &str| {
        let attributes =
            json!({"interface_uuid": "if-1", "segment_uuid": segment, "mac_address": "02:00:00:00:00:09"});
        create("mac_leases", attributes)
    };
    let given = json!([
        segment("seg-a"),
        segment("seg-b"),
        create("interfaces", json!({"uuid": "if-1"})),
        lease("seg-a")
    ]);
    check(given, lease("seg-b"), Err((ErrorKind::Duplicate, "mac_address")));
}

#[test]
fn an_ipv4_address_in_the_words_of_ipv6_is_not_leased() {
    let mapped = json!({"uuid": "nw-a", "ipv6_network": "::ffff:10.0.0.0", "ipv6_prefix": 120});
    let lease = json!({"network_uuid": "nw-a", "ipv6_address": "::ffff:10.0.0.1"});
    check(
        json!([create("networks", mapped)]),
        create("ip_leases", lease),
        Err((ErrorKind::Unfit, "ipv6_address")),
    );
}

#[test]
fn an_interface_is_where_its_record_says() {
    let given = || json!([network("nw-a", None), network("nw-b", None), guest()]);
    let to = |network: Value| update("interfaces", "if-1", json!({"network_uuid": network}));
    check(given(), to(Value::Null), Err((ErrorKind::Unfit, "network_uuid")));
    let mut world = World::with(given());
    assert_eq!(world.ask(json!([to("nw-b".into())])), Ok(()));
    let domains = world.topology.domains_of_interface(&"if-1".parse().expect("an id"));
    assert_eq!(domains, [DomainId::Network("nw-b".parse().expect("an id"))]);
}

#[test]
fn leases_of_one_network_follow_an_interface_that_named_none() {
    let lease =
        json!({"uuid": "il-1", "network_uuid": "nw-a", "interface_uuid": "if-2", "ipv4_address": "10.0.0.2"});
    let mut world = World::with(json!([
        network("nw-a", None),
        network("nw-b", None),
        create("interfaces", json!({"uuid": "if-2", "mac_address": "02:00:00:00:00:02"})),
        create("ip_leases", lease),
    ]));
    assert_eq!(world.ask(json!([update("interfaces", "if-2", json!({"network_uuid": "nw-b"}))])), Ok(()));
    let lease = &world.topology.ip_leases()[&"il-1".parse::<IpLeaseId>().expect("an id")];
    assert_eq!(lease.network_uuid.to_string(), "nw-b");
}

#[test]
fn a_datapath_has_one_internal_interface() {
    check(json!([internal("if-1")]), internal("if-2"), Err((ErrorKind::Duplicate, "owner_datapath_uuid")));
}

#[test]
fn an_internal_interface_keeps_its_port() {
    let request = json!({"op": "act", "action": "remove_ports", "uuid": "if-1", "attributes": {}});
    check(json!([internal("if-1")]), request, Err((ErrorKind::MissingArgument, "owner_datapath_uuid")));
}

#[test]
fn a_datapath_that_interfaces_are_pinned_to_stays() {
    let pinned =
        create("interfaces", json!({"uuid": "if-1", "port_name": "tap1", "owner_datapath_uuid": "dp-host0"}));
    for interface in [internal("if-1"), pinned] {
        let request = json!({"op": "delete", "resource": "datapaths", "uuid": "dp-host0"});
        check(json!([interface]), request, Err((ErrorKind::InvalidReference, "owner_datapath_uuid")));
    }
}

#[test]
fn what_an_agent_has_registered_is_not_the_users_to_change() {
    for (field, other, same) in [("node_id", "other", "host0"), ("dpid", "0x99", "0x1")] {
        let put = |value: &str| update("datapaths", "dp-host0", json!({field: value}));
        check(json!([]), put(other), Err((ErrorKind::Unfit, field)));
        check(json!([]), put(same), Ok(()));
    }
}

#[test]
fn anothers_link_local_address_is_not_even_kept() {
    let lease = json!({"network_uuid": "nw-a", "ipv6_address": "fe80::ff:fe00:1"});
    let given = json!([network("nw-a", None), guest()]);
    check(given, create("ip_leases", lease), Err((ErrorKind::Duplicate, "ipv6_address")));
}

#[test]
fn a_network_leaves_its_segment_when_no_interface_names_both() {
    let given = || {
        let both = json!({"uuid": "if-2", "network_uuid": "nw-a", "segment_uuid": "seg-a"});
        json!([segment("seg-a"), network("nw-a", Some("seg-a")), create("interfaces", both)])
    };
    let leave = || update("networks", "nw-a", json!({"segment_uuid": null}));
    check(given(), leave(), Err((ErrorKind::InvalidReference, "segment_uuid")));
    let forget = update("interfaces", "if-2", json!({"segment_uuid": null}));
    assert_eq!(World::with(given()).ask(json!([leave(), forget])), Ok(()));
}

#[test]
fn an_address_goes_behind_a_mac_lease_that_is_named() {
    let mac = |n: u8| {
        let attributes = json!({"uuid": format!("ml-{n}"), "interface_uuid": "if-2", "mac_address": format!("02:00:00:00:00:0{n}")});
        create("mac_leases", attributes)
    };
    let interface = create("interfaces", json!({"uuid": "if-2", "network_uuid": "nw-a"}));
    let given = || json!([network("nw-a", None), interface, mac(2), mac(3)]);
    let by_interface = update("interfaces", "if-2", json!({"ipv4_address": "10.0.0.2"}));
    check(given(), by_interface, Err((ErrorKind::Unfit, "ipv4_address")));
    let lease = |attributes: Value| {
        let mut all = json!({"uuid": "il-1", "network_uuid": "nw-a", "ipv4_address": "10.0.0.2"});
        all.as_object_mut().expect("an object").extend(attributes.as_object().cloned().expect("an object"));
        create("ip_leases", all)
    };
    check(given(), lease(json!({"interface_uuid": "if-2"})), Err((ErrorKind::Unfit, "mac_lease_uuid")));
    let mut world = World::with(given());
    assert_eq!(world.ask(json!([lease(json!({"mac_lease_uuid": "ml-3"}))])), Ok(()));
    assert_eq!(world.ask(json!([update("ip_leases", "il-1", json!({"interface_uuid": "if-2"}))])), Ok(()));
    let holder = world.topology.ip_leases()[&"il-1".parse::<IpLeaseId>().expect("an id")].holder.clone();
    assert_eq!(holder.map(|holder| holder.mac_lease_uuid.to_string()).as_deref(), Some("ml-3"));
}

#[test]
fn a_host_that_was_installed_anew_takes_its_address_over() {
    let mut world = World::default();
    world.host(0, 1);
    world.host(1, 1);
    let address = std::net::Ipv4Addr::new(192, 0, 2, 1).into();
    assert_eq!(world.topology.datapaths_at(&address), [datapath(1)]);
    assert_eq!(world.topology.datapaths()[&datapath(0)].underlay, None);
}

#[test]
fn a_port_goes_to_the_next_interface_when_the_one_before_it_goes() {
    let port = |id: &str, datapath: Option<&str>| {
        create("interfaces", json!({"uuid": id, "port_name": "tap1", "owner_datapath_uuid": datapath}))
    };
    let mut world = World::with(json!([port("if-1", Some("dp-host0")), port("if-2", None)]));
    world.show(0, "tap1", None);
    assert_eq!(world.bound(), ["if-1"]);
    assert_eq!(world.ask(json!([{"op": "delete", "resource": "interfaces", "uuid": "if-1"}])), Ok(()));
    assert_eq!(world.bound(), ["if-2"]);
}

#[test]
fn a_port_that_names_an_interface_to_come_waits_for_it() {
    let mut world = World::with(json!([create("interfaces", json!({"uuid": "if-1", "port_name": "tap1"}))]));
    world.show(0, "tap1", Some("if-2"));
    assert_eq!(world.bound(), Vec::<String>::new());
    // Another platform's id names none.
    world.show(0, "tap1", Some("7a1c5d0e-0b57-4f8b-9a65-0d6a7d1f3f21"));
    assert_eq!(world.bound(), ["if-1"]);
}
