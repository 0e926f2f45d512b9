//! What hosts are told: a secret only those who need it, and nobody what only users look at.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{Change, DatapathId, Dpid, Edit, Object, ObjectRef, Request, Topology, scope};

const HOSTS: [&str; 2] = ["dp-host0", "dp-host1"];

/// A topology, what its hosts show, and what they have been told.
struct World {
    topology: Topology,
    seen: SeenPorts,
    told: BTreeMap<&'static str, Topology>,
}

fn host(id: &str) -> DatapathId {
    id.parse().expect("an id")
}

impl World {
    /// Two networks behind one router, and a service with a secret in the first.
    fn new() -> Self {
        let told = HOSTS.map(|host| (host, Topology::default())).into();
        let mut world = Self { topology: Topology::default(), seen: SeenPorts::default(), told };
        for number in [0_u8, 1] {
            let underlay = Underlay {
                encapsulation: Encapsulation::Geneve,
                address: [192, 0, 2, number].into(),
                mtu: 1500,
            };
            let node_id = format!("host{number}").parse().expect("a node id");
            let registration = Registration::new(node_id, Dpid(u64::from(number) + 1), underlay);
            world.change(|edit, _| drop(Datapath::register(edit, registration).expect("registered")));
        }
        let interface = |id: &str, network: u8, mode: &str| {
            json!({"op": "create", "resource": "interfaces", "attributes": {"uuid": id, "mode": mode,
                "network_uuid": format!("nw-{network}"), "enable_routing": mode == "simulated"}})
        };
        let create = |resource: &str, attributes: Value| json!({"op": "create", "resource": resource, "attributes": attributes});
        let network = |n: u8| {
            create("networks", json!({"uuid": format!("nw-{n}"), "ipv4_network": format!("10.0.{n}.0")}))
        };
        let route = |leg: &str, n: u8| {
            create(
                "routes",
                json!({"interface_uuid": leg, "network_uuid": format!("nw-{n}"), "route_link_uuid": "rl-1",
                "ipv4_network": format!("10.0.{n}.0")}),
            )
        };
        let leg = |id: &str, n: u8| {
            let mut leg = interface(id, n, "simulated");
            leg["attributes"]["mac_address"] = format!("02:00:00:00:02:0{n}").into();
            leg["attributes"]["ipv4_address"] = format!("10.0.{n}.254").into();
            leg
        };
        let guest = |id: &str, n: u8| {
            let mut guest = interface(id, n, "vif");
            guest["attributes"]["mac_address"] = format!("02:00:00:00:01:0{n}").into();
            guest["attributes"]["ipv4_address"] = format!("10.0.{n}.1").into();
            guest
        };
        world.ask(json!([
            network(1),
            network(2),
            leg("if-leg1", 1),
            leg("if-leg2", 2),
            create("route_links", json!({"uuid": "rl-1"})),
            route("if-leg1", 1),
            route("if-leg2", 2),
            guest("if-1", 1),
            guest("if-2", 2),
            create(
                "network_services",
                json!({"uuid": "ns-1", "mode": "metadata", "interface_uuid": "if-leg1",
                "metadata_server": "192.0.2.80:80", "metadata_secret": "first"})
            ),
        ]));
        world
    }

    fn ask(&mut self, requests: Value) {
        let requests: Vec<Request> = serde_json::from_value(requests).expect("well-formed requests");
        self.change(|edit, _| Request::execute_all(requests, edit).map(drop).expect("valid requests"));
    }

    /// A host shows the ports of these interfaces.
    fn show(&mut self, at: &str, interfaces: &[&str]) {
        let port = |interface: &&str| SeenPort {
            name: format!("tap-{interface}"),
            instance: format!("{at}/{interface}"),
            iface_id: Some((*interface).to_owned()),
            error: None,
            asks: false,
        };
        self.seen.report(host(at), interfaces.iter().map(port).collect());
        self.change(|edit, seen| {
            seen.bind(&host(at), edit);
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut Edit, &SeenPorts)) {
        let mut edit = Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, self.topology.revision().0);
        change(&mut edit, &self.seen);
        let before = self.topology.clone();
        let changes = edit.into_changes();
        self.topology.commit(before.revision().next(), &changes);
        for (name, told) in &mut self.told {
            let delta = scope::delta(&before, &self.topology, &changes, &host(name));
            told.commit(self.topology.revision(), &delta);
        }
    }

    /// The secret, as each host has been told it, and would be if it asked for everything.
    #[track_caller]
    fn check(&self, expected: [Option<&str>; 2]) {
        let service = ObjectRef::MetadataSecret("ns-1".parse().expect("an id"));
        let text = |object: Object| match object {
            Object::MetadataSecret(of) => of.secret.reveal().to_owned(),
            other => panic!("a secret: {other:?}"),
        };
        for (name, expected) in HOSTS.into_iter().zip(expected) {
            let of_delta = self.told[name].get(&service).map(text);
            assert_eq!(of_delta.as_deref(), expected, "{name}");
            let snapshot = scope::snapshot(&self.topology, &host(name)).into_iter();
            let of_snapshot = snapshot.filter(|object| object.reference() == service).map(text).next();
            assert_eq!(of_snapshot.as_deref(), expected, "{name}");
        }
    }
}

#[test]
fn only_hosts_with_an_interface_in_the_network_have_the_secret() {
    let mut world = World::new();
    world.check([None, None]);
    world.show(HOSTS[0], &["if-1"]);
    world.show(HOSTS[1], &["if-2"]);
    // The other one has the network within reach, behind the router.
    world.check([Some("first"), None]);
    let service = ObjectRef::NetworkService("ns-1".parse().expect("an id"));
    assert!(world.told[HOSTS[1]].get(&service).is_some());
    world.show(HOSTS[0], &[]);
    world.check([None, None]);
    world.show(HOSTS[1], &["if-1", "if-2"]);
    world.check([None, Some("first")]);
}

#[test]
fn a_secret_changes_and_goes_with_its_service() {
    let update = |attributes: Value| json!([{"op": "update", "resource": "network_services", "uuid": "ns-1", "attributes": attributes}]);
    let mut world = World::new();
    world.show(HOSTS[0], &["if-1"]);
    world.ask(update(json!({"display_name": "other"})));
    world.check([Some("first"), None]);
    world.ask(update(json!({"metadata_secret": "second"})));
    world.check([Some("second"), None]);
    world.ask(update(json!({"metadata_secret": ""})));
    world.check([None, None]);
    world.ask(update(json!({"metadata_secret": "third"})));
    world.ask(json!([{"op": "delete", "resource": "network_services", "uuid": "ns-1"}]));
    world.check([None, None]);
}

#[test]
fn a_secret_is_in_no_representation_but_its_own() {
    let world = World::new();
    for object in world.topology.objects() {
        let is_its_own = matches!(object, Object::MetadataSecret(_));
        let text = String::from_utf8(object.encode()).expect("a text");
        assert_eq!(text.contains("first"), is_its_own, "{text}");
        assert!(!format!("{:?}", Change::Put(object)).contains("first"));
    }
}

#[test]
fn a_server_is_no_place_that_only_the_host_itself_reaches() {
    let is_taken = |attributes: Value| {
        let world = World::new();
        let request = json!([{"op": "update", "resource": "network_services", "uuid": "ns-1", "attributes": attributes}]);
        let requests: Vec<Request> = serde_json::from_value(request).expect("a request");
        let mut edit = Edit::new(&world.topology, jiff::Timestamp::UNIX_EPOCH, 1);
        Request::execute_all(requests, &mut edit).is_ok()
    };
    for server in ["192.0.2.1:80", "10.0.0.1:8775", "[2001:db8::1]:80"] {
        assert!(is_taken(json!({"metadata_server": server})), "{server}");
    }
    for server in [
        "127.0.0.1:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "192.0.2.1:0",
        "192.0.2.1",
        "server.example:80",
        "",
    ] {
        assert!(!is_taken(json!({"metadata_server": server})), "{server}");
    }
    assert!(!is_taken(json!({"mode": "dns"})), "with a server");
    assert!(!is_taken(json!({"mode": "dns", "metadata_server": ""})), "with a secret");
    assert!(is_taken(json!({"mode": "dns", "metadata_server": "", "metadata_secret": ""})));
}

#[test]
fn hosts_are_told_nothing_of_projects_and_labels() {
    let mut world = World::new();
    world.show(HOSTS[0], &["if-1"]);
    let interface = ObjectRef::Interface("if-1".parse().expect("an id"));
    let told = world.told[HOSTS[0]].get(&interface).expect("it lives there");
    assert_eq!(told.meta(), Some(&topology::meta::Meta::default()));
    let text = String::from_utf8(told.encode()).expect("JSON");
    assert!(!text.contains("project") && !text.contains("updated_at"), "{text}");
    assert_eq!(Object::decode(&interface, text.as_bytes()).expect("what was encoded"), told);

    let before = world.topology.clone();
    world.ask(json!([{"op": "update", "resource": "interfaces", "uuid": "if-1", "attributes": {"labels": {"tier": "web"}}}]));
    let changes = world.topology.changes_since(&before);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(scope::concerned(&before, &world.topology, &changes).is_empty());
    let mut delta = scope::delta(&before, &world.topology, &changes, &host(HOSTS[0]));
    assert_eq!(delta, []);

    // What a packet may notice is told.
    let before = world.topology.clone();
    world.ask(json!([{"op": "update", "resource": "interfaces", "uuid": "if-1", "attributes": {"admin_state": "down"}}]));
    delta = scope::delta(&before, &world.topology, &world.topology.changes_since(&before), &host(HOSTS[0]));
    assert_eq!(delta.iter().map(Change::reference).collect::<Vec<_>>(), [interface]);
}
