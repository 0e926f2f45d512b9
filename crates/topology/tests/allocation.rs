//! Addresses that nobody names: where they come from, who gets them, and for how long they are kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use topology::address::Dpid;
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::ip_retention_container::{expire, next_due};
use topology::{Edit, ErrorKind, IpLeaseId, ObjectRef, Request, Topology};

/// A topology and the time of day.
struct World {
    topology: Topology,
    now: Timestamp,
}

impl World {
    /// A network of six hosts, ranges, and a policy that gives its addresses.
    fn new() -> Self {
        let mut world = Self { topology: Topology::default(), now: Timestamp::UNIX_EPOCH };
        let requests = json!([
            create(
                "networks",
                json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 29, "ipv6_network": "fd00::"})
            ),
            create("mac_range_groups", json!({"uuid": "mrg-a", "allocation_type": "incremental"})),
            create(
                "mac_ranges",
                json!({"uuid": "mr-a", "mac_range_group_uuid": "mrg-a", "begin_mac_address": "52:56:01:00:00:00",
                    "end_mac_address": "52:56:01:00:00:ff"})
            ),
            create("ip_range_groups", json!({"uuid": "iprg-a"})),
            create(
                "ip_ranges",
                json!({"uuid": "ipr-a", "ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.0.0.0",
                    "end_ipv4_address": "10.0.0.255"})
            ),
            create(
                "lease_policies",
                json!({"uuid": "lp-a",
                    "networks": [{"network_uuid": "nw-a", "ip_range_group_uuid": "iprg-a"}]})
            ),
        ]);
        assert_eq!(world.ask(requests), Ok(Vec::new()));
        world
    }

    /// All or nothing. Gives back the IPv4 addresses that are new; what is refused is told by kind and field.
    fn ask(&mut self, requests: Value) -> Result<Vec<String>, (ErrorKind, String)> {
        let requests: Vec<Request> = serde_json::from_value(requests).expect("well-formed requests");
        let before = self.topology.clone();
        let mut edit = self.edit();
        Request::execute_all(requests, &mut edit)
            .map_err(|(_, error)| (error.kind, error.field.unwrap_or_default()))?;
        self.commit(edit);
        let new = self.topology.ip_leases().values().filter(|of| !before.ip_leases().contains_key(&of.uuid));
        Ok(new.map(|lease| lease.address.ip().to_string()).collect())
    }

    fn edit(&self) -> Edit {
        Edit::new(&self.topology, self.now, self.topology.revision().0)
    }

    fn commit(&mut self, edit: Edit) {
        self.topology.commit(self.topology.revision().next(), &edit.into_changes());
    }

    /// Time passes, and what is due then happens.
    fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        while next_due(&self.topology).is_some_and(|due| due <= self.now) {
            let mut edit = self.edit();
            expire(&mut edit).expect("leases expire");
            self.commit(edit);
        }
    }

    /// A host shows the ports of these guests, of which one asks for an address if it is named. Gives back the addresses that are
    /// leased then.
    fn show(&mut self, guests: &[&str], asking: Option<&str>) -> Vec<String> {
        let underlay =
            Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, 1].into(), mtu: 1500 };
        let host = Registration::new("h".parse().expect("a node id"), Dpid(1), underlay);
        let mut edit = self.edit();
        let datapath = Datapath::register(&mut edit, host).expect("a host");
        let port = |guest: &&str| SeenPort {
            name: (*guest).to_owned(),
            iface_id: Some((*guest).to_owned()),
            asks: asking == Some(*guest),
            ..SeenPort::default()
        };
        let mut seen = SeenPorts::default();
        seen.report(datapath.clone(), guests.iter().map(port).collect());
        seen.bind(&datapath, &mut edit);
        self.commit(edit);
        self.topology.ip_leases().values().map(|lease| lease.address.ip().to_string()).collect()
    }

    fn macs(&self) -> Vec<String> {
        let mut macs: Vec<_> =
            self.topology.mac_leases().values().map(|of| of.mac_address.to_string()).collect();
        macs.sort();
        macs
    }

    fn is_there(&self, reference: &str) -> bool {
        let reference: ObjectRef = reference.parse().expect("a reference");
        self.topology.get(&reference).is_some()
    }
}

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn delete(resource: &str, uuid: &str) -> Value {
    json!({"op": "delete", "resource": resource, "uuid": uuid})
}

fn act(action: &str, uuid: &str, attributes: Value) -> Value {
    json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes})
}

/// A guest with an allocated MAC address.
fn guest(id: &str, more: Value) -> Value {
    let mut attributes = json!({"uuid": id, "mac_range_group_uuid": "mrg-a"});
    attributes.as_object_mut().expect("attributes").extend(more.as_object().cloned().expect("attributes"));
    create("interfaces", attributes)
}

fn in_network(id: &str) -> Value {
    guest(id, json!({"network_uuid": "nw-a"}))
}

fn add_interface(id: &str, label: Option<&str>) -> Value {
    act("add_policy_interface", "lp-a", json!({"interface_uuid": id, "label": label}))
}

/// What a request gives after others: addresses, or the kind and the field of an error.
fn check(given: Value, request: Value, expected: Result<&[&str], (ErrorKind, &str)>) {
    let mut world = World::new();
    world.ask(given.clone()).expect("valid requests");
    let expected = expected.map(|of| of.iter().map(|ip| (*ip).to_owned()).collect());
    let expected = expected.map_err(|(kind, field)| (kind, field.to_owned()));
    assert_eq!(world.ask(json!([request])), expected, "{request} after {given}");
}

#[test]
fn a_guest_that_names_no_address_gets_one_of_its_networks_policy() {
    check(json!([]), in_network("if-1"), Ok(&["10.0.0.1"]));
    check(json!([in_network("if-1")]), in_network("if-2"), Ok(&["10.0.0.2"]));
    check(json!([in_network("if-1"), delete("interfaces", "if-1")]), in_network("if-2"), Ok(&["10.0.0.2"]));
    let named = json!({"network_uuid": "nw-a", "ipv4_address": "10.0.0.6"});
    check(json!([]), guest("if-1", named), Ok(&["10.0.0.6"]));
    let named = json!({"network_uuid": "nw-a", "ipv6_address": "fd00::6"});
    check(json!([]), guest("if-1", named), Ok(&["fd00::6"]));
    check(json!([]), guest("if-1", json!({})), Ok(&[]));
    check(json!([]), guest("if-1", json!({"network_uuid": "nw-a", "mode": "simulated"})), Ok(&[]));
    check(json!([]), create("interfaces", json!({"uuid": "if-1", "network_uuid": "nw-a"})), Ok(&[]));
    check(json!([delete("lease_policies", "lp-a")]), in_network("if-1"), Ok(&[]));
    check(json!([delete("ip_range_groups", "iprg-a")]), in_network("if-1"), Ok(&[]));
}

#[test]
fn what_is_leased_or_allowed_on_the_wire_is_not_given() {
    let lease = |network: &str, address: &str| {
        create("ip_leases", json!({"network_uuid": network, "ipv4_address": address}))
    };
    check(
        json!([lease("nw-a", "10.0.0.1"), lease("nw-a", "10.0.0.2")]),
        in_network("if-1"),
        Ok(&["10.0.0.3"]),
    );
    let other = |segment| {
        create("networks", json!({"uuid": "nw-b", "ipv4_network": "10.0.0.0", "segment_uuid": segment}))
    };
    check(json!([other(Value::Null), lease("nw-b", "10.0.0.1")]), in_network("if-1"), Ok(&["10.0.0.1"]));
    let one_wire = json!([
        create("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        {"op": "update", "resource": "networks", "uuid": "nw-a", "attributes": {"segment_uuid": "seg-a"}},
        other("seg-a".into()),
        lease("nw-b", "10.0.0.1")
    ]);
    check(one_wire, in_network("if-1"), Ok(&["10.0.0.2"]));
    let allowed = json!({"network_uuid": "nw-a", "ipv4_address": "10.0.0.6",
        "allowed_addresses": ["10.0.0.0/30", "10.0.0.5"]});
    check(json!([guest("if-1", allowed)]), in_network("if-2"), Ok(&["10.0.0.4"]));
}

#[test]
fn a_network_that_is_full_says_so() {
    let mut world = World::new();
    let guests: Vec<_> = (1..=6).map(|n| in_network(&format!("if-{n}"))).collect();
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"];
    let mut given = world.ask(guests.into()).expect("one for each");
    given.sort();
    assert_eq!(given, all);
    let refused = Err((ErrorKind::Exhausted, "ip_range_group_uuid".to_owned()));
    assert_eq!(world.ask(json!([in_network("if-7")])), refused);
    world.ask(json!([delete("interfaces", "if-3")])).expect("deleted");
    assert_eq!(world.ask(json!([in_network("if-7")])), Ok(vec!["10.0.0.3".to_owned()]));
}

#[test]
fn a_mac_address_that_is_allocated_is_free_on_the_whole_platform() {
    let mut world = World::new();
    let named = |id: &str, mac: &str| create("interfaces", json!({"uuid": id, "mac_address": mac}));
    world
        .ask(json!([
            named("if-1", "52:56:01:00:00:00"),
            create("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
            create(
                "mac_leases",
                json!({"interface_uuid": "if-1", "mac_address": "52:56:01:00:00:01",
                "segment_uuid": "seg-a"})
            ),
            named("if-2", "52:56:01:00:00:02"),
            create(
                "interfaces",
                json!({"uuid": "if-3", "mac_address": "02:00:00:00:00:01",
                "allowed_addresses": ["52:56:01:00:00:03=10.0.0.4"]})
            ),
        ]))
        .expect("valid requests");
    world.ask(json!([delete("interfaces", "if-2"), guest("if-4", json!({}))])).expect("allocated");
    assert!(world.macs().contains(&"52:56:01:00:00:02".to_owned()), "{:?}", world.macs());
    world.ask(json!([guest("if-5", json!({}))])).expect("allocated");
    assert!(world.macs().contains(&"52:56:01:00:00:04".to_owned()), "{:?}", world.macs());
    // An address that two have is taken until the last of them is gone.
    let both = json!([
        named("if-6", "52:56:01:00:00:05"),
        named("if-7", "52:56:01:00:00:05"),
        delete("interfaces", "if-6"),
        guest("if-8", json!({}))
    ]);
    world.ask(both).expect("allocated");
    assert!(world.macs().contains(&"52:56:01:00:00:06".to_owned()), "{:?}", world.macs());
}

#[test]
fn a_random_group_gives_every_address_once() {
    let mut world = World::new();
    let random = json!({"uuid": "mrg-r"});
    let range = json!({"mac_range_group_uuid": "mrg-r", "begin_mac_address": "52:00:00:00:00:01",
        "end_mac_address": "52:00:00:00:00:14"});
    world.ask(json!([create("mac_range_groups", random), create("mac_ranges", range)])).expect("ranges");
    let guest =
        |n: usize| create("interfaces", json!({"uuid": format!("if-{n}"), "mac_range_group_uuid": "mrg-r"}));
    world.ask((0..20).map(guest).collect::<Vec<_>>().into()).expect("one for each");
    let expected: Vec<_> = (1..=20).map(|n| format!("52:00:00:00:00:{n:02x}")).collect();
    assert_eq!(world.macs(), expected);
    let refused = Err((ErrorKind::Exhausted, "mac_range_group_uuid".to_owned()));
    assert_eq!(world.ask(json!([guest(20)])), refused);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let range = |begin: &str, end: &str| {
        create(
            "mac_ranges",
            json!({"mac_range_group_uuid": "mrg-a", "begin_mac_address": begin, "end_mac_address": end}),
        )
    };
    let unfit = |field| Err((ErrorKind::Unfit, field));
    check(json!([]), range("02:00:00:00:00:02", "02:00:00:00:00:01"), unfit("end_mac_address"));
    check(json!([]), range("02:00:00:00:00:02", "04:00:00:00:00:01"), unfit("end_mac_address"));
    check(json!([]), range("03:00:00:00:00:02", "03:00:00:00:00:03"), unfit("end_mac_address"));
    check(json!([]), range("00:00:00:00:00:00", "00:00:00:00:00:03"), unfit("end_mac_address"));
    let range = json!({"ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.0.0.2", "end_ipv4_address": "10.0.0.1"});
    check(json!([]), create("ip_ranges", range), unfit("end_ipv4_address"));
    check(
        json!([]),
        guest("if-1", json!({"mac_address": "02:00:00:00:00:01"})),
        unfit("mac_range_group_uuid"),
    );
    let again = json!({"op": "update", "resource": "interfaces", "uuid": "if-1",
        "attributes": {"mac_range_group_uuid": "mrg-a"}});
    check(json!([guest("if-1", json!({}))]), again, Ok(&[]));
    check(
        json!([create("interfaces", json!({"uuid": "if-1"}))]),
        add_interface("if-1", None),
        unfit("interface_uuid"),
    );
    let elsewhere = json!([
        create("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})),
        guest("if-1", json!({"network_uuid": "nw-b"}))
    ]);
    check(elsewhere, add_interface("if-1", None), unfit("interface_uuid"));
    let time = json!({"lease_time": 4_000_000_000_u64});
    check(json!([]), create("ip_retention_containers", time), unfit("lease_time"));
}

#[test]
fn a_relation_is_made_once_and_taken_away_once() {
    let others = json!([
        create("ip_lease_containers", json!({"uuid": "ilc-a"})),
        create("ip_retention_containers", json!({"uuid": "irc-a"})),
        create("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})),
        guest("if-1", json!({}))
    ]);
    for (add, remove, field, attributes) in [
        (
            "add_policy_network",
            "remove_policy_network",
            "network_uuid",
            json!({"network_uuid": "nw-b", "ip_range_group_uuid": "iprg-a"}),
        ),
        (
            "add_policy_interface",
            "remove_policy_interface",
            "interface_uuid",
            json!({"interface_uuid": "if-1"}),
        ),
        (
            "add_policy_ip_lease_container",
            "remove_policy_ip_lease_container",
            "ip_lease_container_uuid",
            json!({"ip_lease_container_uuid": "ilc-a"}),
        ),
        (
            "add_policy_ip_retention_container",
            "remove_policy_ip_retention_container",
            "ip_retention_container_uuid",
            json!({"ip_retention_container_uuid": "irc-a"}),
        ),
    ] {
        let mut world = World::new();
        world.ask(others.clone()).expect("valid requests");
        let (add, remove) =
            (act(add, "lp-a", attributes.clone()), act(remove, "lp-a", json!({field: attributes[field]})));
        let mut ask = |request: &Value| world.ask(json!([request])).map(drop);
        assert_eq!(ask(&remove), Err((ErrorKind::UnknownUuid, field.to_owned())));
        assert_eq!(ask(&add), Ok(()));
        assert_eq!(ask(&add), Err((ErrorKind::Duplicate, field.to_owned())));
        assert_eq!(ask(&remove), Ok(()));
        assert_eq!(ask(&remove), Err((ErrorKind::UnknownUuid, field.to_owned())));
        assert_eq!(ask(&add), Ok(()));
        assert_eq!(ask(&delete("lease_policies", "lp-a")), Ok(()));
        assert!(world.topology.interfaces().values().all(|of| of.lease_policies.is_empty()));
    }
}

#[test]
fn a_lease_goes_into_the_containers_with_its_label_and_into_all_without_one() {
    let check = |label: Option<&str>, expected: &[&str]| {
        let mut world = World::new();
        let container = |id: &str, label: Option<&str>| {
            let link = json!({"ip_lease_container_uuid": id, "label": label});
            [
                create("ip_lease_containers", json!({"uuid": id})),
                act("add_policy_ip_lease_container", "lp-a", link),
            ]
        };
        let containers =
            [container("ilc-a", Some("x")), container("ilc-b", Some("y")), container("ilc-c", None)];
        world.ask(containers.concat().into()).expect("containers");
        world.ask(json!([guest("if-1", json!({})), add_interface("if-1", label)])).expect("a lease");
        let containers = world.topology.ip_leases().values().flat_map(|of| &of.ip_lease_containers);
        assert_eq!(containers.map(ToString::to_string).collect::<Vec<_>>(), expected, "{label:?}");
        // The containers go, and the lease stays.
        world
            .ask(json!([delete("ip_lease_containers", "ilc-a"), delete("ip_lease_containers", "ilc-c")]))
            .expect("deleted");
        let lease = world.topology.ip_leases().values().next().expect("it is there").clone();
        assert!(lease.ip_lease_containers.iter().all(|of| of.to_string() == "ilc-b"));
    };
    check(None, &["ilc-a", "ilc-b", "ilc-c"]);
    check(Some("x"), &["ilc-a"]);
    check(Some("z"), &[]);
}

/// A lease of an interface that is kept for 100 seconds and then for 10 more.
fn kept() -> World {
    let mut world = World::new();
    world
        .ask(json!([
            create("ip_retention_containers", json!({"uuid": "irc-a", "lease_time": 100, "grace_time": 10})),
            act("add_policy_ip_retention_container", "lp-a", json!({"ip_retention_container_uuid": "irc-a"})),
            guest("if-1", json!({})),
            act("allocate_ip_lease", "lp-a", json!({"ip_lease_uuid": "il-1"})),
            act("attach_ip_lease", "il-1", json!({"interface_uuid": "if-1"})),
        ]))
        .expect("valid requests");
    world
}

fn is_attached(world: &World) -> bool {
    world
        .topology
        .ip_leases()
        .get(&"il-1".parse::<IpLeaseId>().expect("an id"))
        .is_some_and(|lease| lease.holder.is_some())
}

#[test]
fn a_lease_is_released_after_its_lease_time_and_deleted_after_the_grace_time() {
    let mut world = kept();
    world.wait(99);
    assert!(is_attached(&world));
    world.wait(1);
    assert!(!is_attached(&world) && world.is_there("ip_leases/il-1"));
    world.wait(9);
    assert!(world.is_there("ip_leases/il-1"));
    world.wait(1);
    assert!(!world.is_there("ip_leases/il-1"));
    assert_eq!(next_due(&world.topology), None);
}

#[test]
fn time_passes_while_nobody_looks() {
    let mut world = kept();
    world.wait(1_000);
    assert!(!is_attached(&world) && world.is_there("ip_leases/il-1"), "whoever had it has its grace time");
    world.wait(10);
    assert!(!world.is_there("ip_leases/il-1"));
}

#[test]
fn a_lease_that_is_attached_again_lasts_as_long_as_a_new_one() {
    let mut world = kept();
    world.wait(50);
    world.ask(json!([act("release_ip_lease", "il-1", json!({}))])).expect("released");
    world.wait(9);
    world.ask(json!([act("attach_ip_lease", "il-1", json!({"interface_uuid": "if-1"}))])).expect("attached");
    world.wait(99);
    assert!(is_attached(&world));
    world.wait(1);
    assert!(!is_attached(&world));
}

#[test]
fn times_that_change_hold_for_leases_that_are_there() {
    let mut world = kept();
    let update = |attributes: Value| {
        json!([{"op": "update", "resource": "ip_retention_containers", "uuid": "irc-a",
        "attributes": attributes}])
    };
    world.wait(50);
    world.ask(update(json!({"lease_time": 60}))).expect("changed");
    world.wait(10);
    assert!(!is_attached(&world));
    world.ask(update(json!({"grace_time": null}))).expect("changed");
    world.wait(1_000_000);
    assert!(world.is_there("ip_leases/il-1"));
    world.ask(json!([delete("ip_retention_containers", "irc-a")])).expect("deleted");
    assert!(world.topology.ip_leases().values().all(|lease| lease.ip_retentions.is_empty()));
}

#[test]
fn a_guest_gets_an_address_when_it_asks_if_its_policy_waits_for_that() {
    let mut world = World::new();
    let waits = json!({"op": "update", "resource": "lease_policies", "uuid": "lp-a", "attributes": {"timing": "dhcp"}});
    assert_eq!(world.ask(json!([waits])), Ok(Vec::new()));
    assert_eq!(world.ask(json!([in_network("if-1"), in_network("if-2")])), Ok(Vec::new()));
    let guests = ["if-1", "if-2"];
    assert_eq!(world.show(&guests, None), Vec::<String>::new());
    assert_eq!(world.show(&guests, Some("if-2")), ["10.0.0.1"]);
    // It has one now, and nobody else does.
    assert_eq!(world.show(&guests, Some("if-2")), ["10.0.0.1"]);
    assert_eq!(world.show(&[], Some("if-1")), ["10.0.0.1"]);
    // Whom no policy serves asks in vain, and so does who comes when nothing is left.
    let leave = act("remove_policy_interface", "lp-a", json!({"interface_uuid": "if-1"}));
    assert_eq!(world.ask(json!([leave])), Ok(Vec::new()));
    assert_eq!(world.show(&guests, Some("if-1")), ["10.0.0.1"]);
    let lease = world.topology.ip_leases().keys().next().expect("a lease").to_string();
    let none_left = json!([delete("ip_ranges", "ipr-a"), delete("ip_leases", &lease)]);
    assert_eq!(world.ask(none_left), Ok(Vec::new()));
    assert_eq!(world.show(&guests, Some("if-2")), Vec::<String>::new());
}
