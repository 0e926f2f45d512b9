//! Who carries a network, by which of its addresses, and whose guests are bound: by records of placement.

use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::{DatapathId, DomainId, Edit, ErrorKind, InterfaceId, Request, Topology};

/// A topology and what its hosts show.
#[derive(Default)]
struct World {
    topology: Topology,
    seen: SeenPorts,
}

impl World {
    /// Two hosts, each with two host interfaces, a network on a segment and one by itself, an underlay and an overlay.
    fn new() -> Self {
        let mut world = Self::default();
        let physical = |n: u8| json!({"uuid": format!("nw-p{n}"), "mode": "physical", "ipv4_network": format!("192.0.{n}.0")});
        world.add("networks", physical(1));
        world.add("networks", physical(2));
        world.add("segments", json!({"uuid": "seg-a", "mode": "virtual"}));
        world.add("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "segment_uuid": "seg-a"}));
        world.add("networks", json!({"uuid": "nw-b", "ipv4_network": "10.0.1.0"}));
        world.add("topologies", json!({"uuid": "topo-u", "mode": "simple_underlay"}));
        world.add("topologies", json!({"uuid": "topo-o", "mode": "simple_overlay"}));
        world.add("route_links", json!({"uuid": "rl-a"}));
        world.add("mac_range_groups", json!({"uuid": "mrg-a"}));
        for host in 1..3 {
            world.host(host);
        }
        world
    }

    fn host(&mut self, host: u8) {
        let datapath = format!("dp-{host}");
        self.add(
            "datapaths",
            json!({"uuid": datapath, "dpid": host.to_string(), "node_id": format!("host{host}")}),
        );
        for uplink in 1..3 {
            self.uplink(host, uplink);
        }
    }

    fn uplink(&mut self, host: u8, uplink: u8) {
        self.add(
            "interfaces",
            json!({"uuid": format!("if-{host}-{uplink}"), "mode": "host", "owner_datapath_uuid": format!("dp-{host}"),
                "port_name": format!("eth{uplink}"), "network_uuid": format!("nw-p{uplink}"),
                "mac_address": format!("02:00:00:00:0{host}:0{uplink}"),
                "ipv4_address": format!("192.0.{uplink}.{host}")}),
        );
    }

    fn add(&mut self, resource: &str, attributes: Value) {
        let request = json!({"op": "create", "resource": resource, "attributes": attributes});
        assert_eq!(self.ask(request), Ok(()));
    }

    fn act(&mut self, action: &str, uuid: &str, attributes: Value) -> Result<(), (ErrorKind, String)> {
        self.ask(json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes}))
    }

    fn does(&mut self, action: &str, uuid: &str, attributes: Value) {
        assert_eq!(self.act(action, uuid, attributes), Ok(()));
    }

    fn delete(&mut self, resource: &str, uuid: &str) {
        assert_eq!(self.ask(json!({"op": "delete", "resource": resource, "uuid": uuid})), Ok(()));
    }

    fn ask(&mut self, request: Value) -> Result<(), (ErrorKind, String)> {
        let request: Request = serde_json::from_value(request).expect("a well-formed request");
        let mut edit = self.edit();
        request.execute(&mut edit).map_err(|error| (error.kind, error.field.unwrap_or_default()))?;
        self.commit(edit);
        Ok(())
    }

    fn edit(&self) -> Edit {
        let revision = self.topology.revision().0;
        let now = jiff::Timestamp::from_second(i64::try_from(revision).expect("small")).expect("a time");
        Edit::new(&self.topology, now, revision)
    }

    fn commit(&mut self, mut edit: Edit) {
        self.seen.rebind(&mut edit);
        self.topology.commit(self.topology.revision().next(), &edit.into_changes());
    }

    /// Both hosts show the ports of two guests, one in each network.
    fn with_guests(mut self) -> Self {
        for (guest, network) in [("a", "nw-a"), ("b", "nw-b")] {
            let attributes = json!({"uuid": format!("if-{guest}"), "port_name": guest, "network_uuid": network,
                "mac_address": "02:00:00:00:00:01", "ipv4_address": if guest == "a" { "10.0.0.1" } else { "10.0.1.1" }});
            self.add("interfaces", attributes);
            let port = SeenPort {
                name: guest.to_owned(),
                instance: guest.to_owned(),
                iface_id: None,
                error: None,
                asks: false,
            };
            self.seen.report(datapath(if guest == "a" { 1 } else { 2 }), vec![port].into());
        }
        let mut edit = self.edit();
        self.seen.bind(&datapath(1), &mut edit);
        self.seen.bind(&datapath(2), &mut edit);
        self.commit(edit);
        self
    }

    /// That just these guests are bound.
    #[track_caller]
    fn bound(&self, expected: &[&str]) {
        let bound: Vec<_> = self.topology.bindings().keys().map(InterfaceId::to_string).collect();
        assert_eq!(bound, expected);
    }

    /// By which address a host carries a network; none if it chooses itself.
    #[track_caller]
    fn address(&self, host: u8, network: &str, expected: Option<&str>) {
        let found = self.topology.address(&datapath(host), &self.domain(network));
        assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{network} on dp-{host}");
    }

    /// Which hosts carry a network.
    #[track_caller]
    fn carried(&self, network: &str, expected: [bool; 2]) {
        let domain = self.domain(network);
        let carried = [1, 2].map(|host| self.topology.carries(&datapath(host), &domain));
        assert_eq!(carried, expected, "{network}");
    }

    fn domain(&self, network: &str) -> DomainId {
        self.topology.domain_of_network(&network.parse().expect("an id")).expect("a network")
    }
}

fn datapath(host: u8) -> DatapathId {
    format!("dp-{host}").parse().expect("an id")
}

/// That host 1 carries a network, by one of its host interfaces.
fn place(world: &mut World, network: &str, uplink: u8) {
    let attributes = json!({"network_uuid": network, "interface_uuid": format!("if-1-{uplink}")});
    world.does("add_placement", "dp-1", attributes);
}

/// That a host is in the underlay, by one of its host interfaces.
fn join(world: &mut World, host: u8, uplink: u8) {
    let attributes =
        json!({"datapath_uuid": format!("dp-{host}"), "interface_uuid": format!("if-{host}-{uplink}")});
    world.does("add_member", "topo-u", attributes);
}

#[test]
fn without_records_every_host_carries_everything_by_the_address_it_prefers() {
    let world = World::new();
    for network in ["nw-a", "nw-b", "nw-p1"] {
        world.carried(network, [true, true]);
        world.address(1, network, None);
    }
}

#[test]
fn a_network_is_carried_by_the_first_lease_of_the_host_interface_whatever_becomes_of_it() {
    let mut world = World::new();
    place(&mut world, "nw-b", 2);
    world.address(1, "nw-b", Some("192.0.2.1"));
    world.address(2, "nw-b", None);
    world.address(1, "nw-a", None);
    world.carried("nw-b", [true, true]);
    let lease = json!({"uuid": "il-0", "network_uuid": "nw-p2", "interface_uuid": "if-1-2", "ipv4_address": "192.0.2.99"});
    world.add("ip_leases", lease);
    world.address(1, "nw-b", Some("192.0.2.1"));
    let first = world.topology.ip_leases_of_interface(&"if-1-2".parse().expect("an id"));
    let first = first.iter().find(|id| id.to_string() != "il-0").expect("two leases").to_string();
    world.does("release_ip_lease", &first, json!({}));
    world.address(1, "nw-b", Some("192.0.2.99"));
    world.delete("ip_leases", "il-0");
    world.address(1, "nw-b", None);
    world.does("attach_ip_lease", &first, json!({"interface_uuid": "if-1-2"}));
    world.address(1, "nw-b", Some("192.0.2.1"));
    world.delete("interfaces", "if-1-2");
    world.address(1, "nw-b", None);
    assert!(world.topology.relations().is_empty());
    world.uplink(1, 2);
    world.address(1, "nw-b", None);
    place(&mut world, "nw-b", 2);
    world.address(1, "nw-b", Some("192.0.2.1"));
    world.delete("networks", "nw-b");
    assert!(world.topology.relations().is_empty());
}

#[test]
fn a_host_interface_that_goes_to_another_host_carries_nothing_for_the_first() {
    let mut world = World::new();
    place(&mut world, "nw-b", 2);
    world.delete("interfaces", "if-2-2");
    let request = json!({"op": "update", "resource": "interfaces", "uuid": "if-1-2",
        "attributes": {"owner_datapath_uuid": "dp-2"}});
    assert_eq!(world.ask(request), Ok(()));
    world.address(1, "nw-b", None);
}

#[test]
fn a_segment_and_the_networks_on_it_are_carried_together() {
    let mut world = World::new();
    let attributes = json!({"segment_uuid": "seg-a", "interface_uuid": "if-1-2"});
    world.does("add_placement", "dp-1", attributes);
    world.address(1, "nw-a", Some("192.0.2.1"));
    world.does("add_member", "topo-o", json!({"network_uuid": "nw-a"}));
    world.carried("nw-a", [true, false]);
}

#[test]
fn members_of_an_overlay_are_carried_by_the_hosts_of_its_underlays() {
    let mut world = World::new();
    join(&mut world, 1, 2);
    world.does("add_member", "topo-o", json!({"network_uuid": "nw-b"}));
    world.carried("nw-b", [false, false]);
    world.does("add_member", "topo-o", json!({"underlay_uuid": "topo-u"}));
    world.carried("nw-b", [true, false]);
    world.address(1, "nw-b", Some("192.0.2.1"));
    // What a user says of the host itself goes before.
    place(&mut world, "nw-b", 1);
    world.address(1, "nw-b", Some("192.0.1.1"));
    world.does("remove_placement", "dp-1", json!({"network_uuid": "nw-b"}));
    join(&mut world, 2, 1);
    world.carried("nw-b", [true, true]);
    world.address(2, "nw-b", Some("192.0.1.2"));
    world.does("remove_member", "topo-u", json!({"datapath_uuid": "dp-1"}));
    world.carried("nw-b", [false, true]);
    world.delete("topologies", "topo-u");
    world.carried("nw-b", [false, false]);
    world.delete("topologies", "topo-o");
    world.carried("nw-b", [true, true]);
    assert!(world.topology.relations().is_empty());
}

#[test]
fn a_named_lease_counts_while_the_host_interface_holds_it() {
    let mut world = World::new();
    let lease = json!({"uuid": "il-0", "network_uuid": "nw-p2", "interface_uuid": "if-1-2", "ipv4_address": "192.0.2.99"});
    world.add("ip_leases", lease);
    let member = json!({"datapath_uuid": "dp-1", "interface_uuid": "if-1-2", "ip_lease_uuid": "il-0"});
    world.does("add_member", "topo-u", member);
    world.does("add_member", "topo-u", json!({"network_uuid": "nw-b"}));
    world.address(1, "nw-b", Some("192.0.2.99"));
    world.does("release_ip_lease", "il-0", json!({}));
    world.address(1, "nw-b", Some("192.0.2.1"));
    // As in the original, the membership goes with its lease.
    world.delete("ip_leases", "il-0");
    world.carried("nw-b", [false, false]);
}

#[test]
fn guests_are_bound_on_hosts_that_carry_their_network_and_on_no_other() {
    let mut world = World::new().with_guests();
    world.bound(&["if-a", "if-b"]);
    world.does("add_member", "topo-u", json!({"network_uuid": "nw-a"}));
    world.bound(&["if-b"]);
    let seen = world.seen.refusals_on(&world.topology, &datapath(1));
    assert_eq!(seen.iter().map(|of| of.interface.to_string()).collect::<Vec<_>>(), ["if-a"]);
    join(&mut world, 2, 1);
    world.bound(&["if-b"]);
    join(&mut world, 1, 1);
    world.bound(&["if-a", "if-b"]);
    world.does("remove_member", "topo-u", json!({"datapath_uuid": "dp-1"}));
    world.bound(&["if-b"]);
    place(&mut world, "nw-a", 1);
    world.bound(&["if-a", "if-b"]);
    world.does("remove_placement", "dp-1", json!({"network_uuid": "nw-a"}));
    world.bound(&["if-b"]);
    // A guest that goes to another network is bound by what holds there.
    let request = json!({"op": "update", "resource": "interfaces", "uuid": "if-a",
        "attributes": {"network_uuid": "nw-b", "ipv4_address": "10.0.1.9", "mac_address": "02:00:00:00:00:09"}});
    assert_eq!(world.ask(request), Ok(()));
    world.bound(&["if-a", "if-b"]);
}

/// That an action is refused for this attribute.
#[track_caller]
fn refused(action: &str, uuid: &str, attributes: Value, expected: (ErrorKind, &str)) {
    let mut world = World::new();
    join(&mut world, 1, 1);
    world.add("topologies", json!({"uuid": "topo-o2", "mode": "simple_overlay"}));
    let found = world.act(action, uuid, attributes.clone());
    let (kind, field) = expected;
    assert_eq!(found, Err((kind, field.to_owned())), "{uuid} {attributes}");
}

#[test]
fn what_does_not_fit_is_refused_and_says_why() {
    use ErrorKind::{Duplicate, InvalidUuid, MissingArgument, Unfit, UnknownUuid};
    let place = |attributes, expected| refused("add_placement", "dp-1", attributes, expected);
    let nw_b = |interface: &str| json!({"network_uuid": "nw-b", "interface_uuid": interface});
    place(json!({"network_uuid": "nw-b"}), (MissingArgument, "interface_uuid"));
    place(json!({"interface_uuid": "if-1-1"}), (MissingArgument, "network_uuid"));
    place(nw_b("if-2-1"), (Unfit, "interface_uuid"));
    place(nw_b("if-none"), (UnknownUuid, "interface_uuid"));
    place(json!({"network_uuid": "nw-none", "interface_uuid": "if-1-1"}), (UnknownUuid, "network_uuid"));
    place(json!({"network_uuid": "seg-a", "interface_uuid": "if-1-1"}), (InvalidUuid, "network_uuid"));
    place(
        json!({"network_uuid": "nw-b", "segment_uuid": "seg-a", "interface_uuid": "if-1-1"}),
        (Unfit, "segment_uuid"),
    );
    place(
        json!({"network_uuid": "nw-b", "interface_uuid": "if-1-1", "mac_address": "ff:ff:ff:ff:ff:ff"}),
        (Unfit, "mac_address"),
    );
    refused("remove_placement", "dp-1", json!({"network_uuid": "nw-b"}), (UnknownUuid, "network_uuid"));
    let under = |attributes, expected| refused("add_member", "topo-u", attributes, expected);
    let over = |attributes, expected| refused("add_member", "topo-o", attributes, expected);
    let host = json!({"datapath_uuid": "dp-1", "interface_uuid": "if-1-1"});
    under(host.clone(), (Duplicate, "datapath_uuid"));
    over(host, (Unfit, "datapath_uuid"));
    over(json!({"mac_range_group_uuid": "mrg-a"}), (Unfit, "mac_range_group_uuid"));
    under(json!({"route_link_uuid": "rl-a"}), (Unfit, "route_link_uuid"));
    under(json!({"underlay_uuid": "topo-o"}), (Unfit, "underlay_uuid"));
    over(json!({"underlay_uuid": "topo-o2"}), (Unfit, "underlay_uuid"));
    under(json!({"network_uuid": "nw-b", "interface_uuid": "if-1-1"}), (Unfit, "interface_uuid"));
    refused("remove_member", "topo-u", json!({"datapath_uuid": "dp-2"}), (UnknownUuid, "datapath_uuid"));
}

#[test]
fn what_is_made_in_a_topology_is_a_member_at_once() {
    let mut world = World::new();
    world.add("networks", json!({"uuid": "nw-c", "ipv4_network": "10.0.2.0", "topology_uuid": "topo-o"}));
    world.add("segments", json!({"uuid": "seg-c", "mode": "virtual", "topology_uuid": "topo-u"}));
    world.add("route_links", json!({"uuid": "rl-c", "topology_uuid": "topo-o"}));
    world.carried("nw-c", [false, false]);
    let request =
        |attributes: Value| json!({"op": "create", "resource": "route_links", "attributes": attributes});
    let refused = world.ask(request(json!({"topology_uuid": "topo-u"})));
    assert_eq!(refused, Err((ErrorKind::Unfit, "route_link_uuid".to_owned())));
    let change = json!({"op": "update", "resource": "networks", "uuid": "nw-c", "attributes": {"topology_uuid": "topo-u"}});
    assert_eq!(world.ask(change), Err((ErrorKind::Unfit, "topology_uuid".to_owned())));
}

#[test]
fn mac_addresses_come_from_the_groups_of_the_hosts_topology() {
    let mut world = World::new();
    let made_up = |world: &World| {
        let record = world.topology.relations().iter().find(|(id, _)| id.to_string() == "dp-1/nw-b");
        record.and_then(|(_, record)| record.mac_address).expect("an address").to_string()
    };
    place(&mut world, "nw-b", 1);
    assert!(made_up(&world).starts_with("02:"));
    world.does("remove_placement", "dp-1", json!({"network_uuid": "nw-b"}));
    join(&mut world, 1, 1);
    world.does("add_member", "topo-u", json!({"mac_range_group_uuid": "mrg-a"}));
    let nw_b = json!({"network_uuid": "nw-b", "interface_uuid": "if-1-1"});
    let exhausted = world.act("add_placement", "dp-1", nw_b);
    assert_eq!(exhausted, Err((ErrorKind::Exhausted, "mac_range_group_uuid".to_owned())));
    let range = json!({"mac_range_group_uuid": "mrg-a", "begin_mac_address": "02:11:00:00:00:01",
        "end_mac_address": "02:11:00:00:00:01"});
    world.add("mac_ranges", range);
    place(&mut world, "nw-b", 1);
    assert_eq!(made_up(&world), "02:11:00:00:00:01");
    // What one has, no other is given.
    let nw_a = json!({"network_uuid": "nw-a", "interface_uuid": "if-1-1"});
    assert!(world.act("add_placement", "dp-1", nw_a).is_err());
}

#[test]
fn a_relation_is_stored_under_its_two_ends() {
    let mut world = World::new();
    place(&mut world, "nw-b", 1);
    let stored: Vec<_> = world.topology.relations().values().map(|of| of.uuid.to_string()).collect();
    assert_eq!(stored, ["dp-1/nw-b"]);
    for object in world.topology.objects() {
        let reference = object.reference();
        assert_eq!(reference.to_string().parse::<topology::ObjectRef>().ok(), Some(reference.clone()));
        assert_eq!(topology::Object::decode(&reference, &object.encode()).ok(), Some(object));
    }
}
