//! In whatever order a topology is described, its hosts end with the same flows.
//!
//! Numbers that the manager gives out in turn stand for objects in registers and on the wire: they differ with the order and mean
//! the same. So flows are compared after every object has been given the number that its id has among those of its kind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;

use dataplane::{Compiler, Local, Program};
use openflow::OfPort;
use proptest::prelude::*;
use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{
    Change, Collection, DatapathId, Edit, ErrorKind, Object, ObjectRef, Request, Revision, Topology,
};

/// In how many orders the topology is described.
const ORDERS: u32 = 200;

const HOSTS: [u8; 3] = [0, 1, 2];

/// What each host shows.
const PORTS: [(u8, &str); 7] =
    [(0, "a"), (0, "b"), (1, "c"), (1, "edge"), (2, "d"), (2, "uplink"), (0, "spare")];

/// Something that a user does, or a host.
#[derive(Clone, Debug)]
enum Step {
    /// Makes an object, or does something to one.
    Request(Value),
    /// Registers.
    Register(u8),
    /// Shows its ports.
    Show(u8),
}

fn create(resource: &str, attributes: Value) -> Step {
    Step::Request(json!({"op": "create", "resource": resource, "attributes": attributes}))
}

fn act(action: &str, uuid: &str, attributes: Value) -> Step {
    Step::Request(json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes}))
}

/// Guests, each with a MAC lease and an IP lease of its own making.
fn guests() -> Vec<Step> {
    let guest = |name: &str, network: &str, address: &str, groups: &str| {
        let (interface, mac_lease) = (format!("if-{name}"), format!("ml-{name}"));
        let last = name.as_bytes()[0];
        vec![
            create("interfaces", json!({"uuid": interface, "security_groups": groups})),
            create(
                "mac_leases",
                json!({"uuid": mac_lease, "interface_uuid": interface,
                "mac_address": format!("02:00:00:00:00:{last:02x}")}),
            ),
            create(
                "ip_leases",
                json!({"uuid": format!("il-{name}"), "mac_lease_uuid": mac_lease,
                "network_uuid": network, "ipv4_address": address}),
            ),
        ]
    };
    let guests = [
        guest("a", "nw-a", "10.1.0.1", "sg-web"),
        guest("b", "nw-b", "10.2.0.1", "sg-web,sg-app"),
        guest("c", "nw-a", "10.1.0.2", ""),
        guest("d", "nw-s", "10.3.0.1", "sg-app"),
    ];
    guests.concat()
}

/// Networks, the router between them, and what it offers.
fn networks() -> Vec<Step> {
    let leg = |name: &str, address: &str| {
        create(
            "interfaces",
            json!({"uuid": format!("if-leg{name}"), "mode": "simulated", "enable_routing": true,
            "network_uuid": format!("nw-{name}"), "mac_address": format!("02:00:00:00:01:{:02x}", name.as_bytes()[0]),
            "ipv4_address": address, "enable_route_translation": name == "p"}),
        )
    };
    let route = |name: &str, prefix: &str| {
        create(
            "routes",
            json!({"uuid": format!("r-{name}"), "interface_uuid": format!("if-leg{name}"),
            "network_uuid": format!("nw-{name}"), "route_link_uuid": "rl-a", "ipv4_network": prefix}),
        )
    };
    vec![
        create("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.1.0.0"})),
        create("networks", json!({"uuid": "nw-b", "ipv4_network": "10.2.0.0", "ipv6_network": "fd00::"})),
        create("networks", json!({"uuid": "nw-s", "ipv4_network": "10.3.0.0", "segment_uuid": "seg-a"})),
        create("networks", json!({"uuid": "nw-p", "ipv4_network": "192.0.2.0", "mode": "physical"})),
        create(
            "interfaces",
            json!({"uuid": "if-uplink", "mode": "host", "network_uuid": "nw-p",
            "owner_datapath_uuid": "dp-host2", "port_name": "tap-uplink"}),
        ),
        create(
            "interfaces",
            json!({"uuid": "if-edge", "mode": "promiscuous", "segment_uuid": "seg-a", "vlan_id": 7,
            "owner_datapath_uuid": "dp-host1", "port_name": "tap-edge"}),
        ),
        leg("a", "10.1.0.254"),
        leg("b", "10.2.0.254"),
        leg("p", "192.0.2.254"),
        create("route_links", json!({"uuid": "rl-a", "mac_address": "02:00:00:00:02:01"})),
        route("a", "10.1.0.0"),
        route("b", "10.2.0.0"),
        route("p", "192.0.2.0"),
        create("network_services", json!({"uuid": "ns-dhcp", "mode": "dhcp", "interface_uuid": "if-lega"})),
        create("network_services", json!({"uuid": "ns-dns", "mode": "dns", "interface_uuid": "if-lega"})),
        create("dns_services", json!({"uuid": "dnss-a", "network_service_uuid": "ns-dns"})),
        create(
            "dns_records",
            json!({"uuid": "dnsr-a", "dns_service_uuid": "dnss-a", "name": "www", "ipv4_address": "10.1.0.1"}),
        ),
        create(
            "translations",
            json!({"uuid": "tr-a", "interface_uuid": "if-legp", "mode": "static_address"}),
        ),
        act(
            "add_static_address",
            "tr-a",
            json!({"ingress_ipv4_address": "192.0.2.254", "ingress_port_number": 80,
            "egress_ipv4_address": "10.1.0.1", "egress_port_number": 8080}),
        ),
        create(
            "translations",
            json!({"uuid": "tr-b", "interface_uuid": "if-legp", "mode": "source",
            "source_network_uuid": "nw-b", "external_addresses": ["192.0.2.254"]}),
        ),
    ]
}

/// Who may talk to whom, where addresses come from, and who the hosts are.
fn others() -> Vec<Step> {
    vec![
        create("security_groups", json!({"uuid": "sg-web", "rules": [{"direction": "egress"}]})),
        create("security_groups", json!({"uuid": "sg-app", "rules": []})),
        act(
            "add_group_rule",
            "sg-app",
            json!({"direction": "ingress", "protocol": "tcp", "port": "8080",
            "remote_group_uuid": "sg-web"}),
        ),
        create(
            "filters",
            json!({"uuid": "fil-a", "interface_uuid": "if-c", "mode": "static", "egress_passthrough": true}),
        ),
        act("add_filter_rule", "fil-a", json!({"protocol": "tcp", "action": "conn", "dst_port": "22"})),
        create("mac_range_groups", json!({"uuid": "mrg-a"})),
        create(
            "mac_ranges",
            json!({"uuid": "mr-a", "mac_range_group_uuid": "mrg-a",
            "begin_mac_address": "52:54:00:00:00:00", "end_mac_address": "52:54:00:00:00:ff"}),
        ),
        create("ip_range_groups", json!({"uuid": "iprg-a"})),
        create(
            "ip_ranges",
            json!({"uuid": "ipr-a", "ip_range_group_uuid": "iprg-a",
            "begin_ipv4_address": "10.1.0.10", "end_ipv4_address": "10.1.0.20"}),
        ),
        create("lease_policies", json!({"uuid": "lp-a"})),
        create("ip_lease_containers", json!({"uuid": "ilc-a"})),
        create("ip_retention_containers", json!({"uuid": "irc-a"})),
        create("topologies", json!({"uuid": "topo-a", "mode": "simple_overlay"})),
        create("datapaths", json!({"uuid": "dp-host0", "node_id": "host0", "dpid": "0x1"})),
    ]
}

fn steps() -> Vec<Step> {
    let hosts = HOSTS.into_iter().flat_map(|host| [Step::Register(host), Step::Show(host)]);
    [guests(), networks(), others(), hosts.collect()].concat()
}

fn host_id(host: u8) -> DatapathId {
    format!("dp-host{host}").parse().expect("an id")
}

fn registration(host: u8) -> Registration {
    Registration::new(
        format!("host{host}").parse().expect("a node id"),
        topology::Dpid(u64::from(host) + 1),
        Underlay {
            encapsulation: Encapsulation::Geneve,
            address: [198, 51, 100, host + 1].into(),
            mtu: 1500,
        },
    )
}

fn ports(host: u8) -> impl Iterator<Item = (u32, &'static str)> {
    PORTS
        .into_iter()
        .zip(10..)
        .filter(move |((of, _), _)| *of == host)
        .map(|((_, name), number)| (number, name))
}

/// Takes the steps in their order, but puts off what is refused since something is not there yet.
fn described(steps: Vec<Step>) -> Topology {
    let (mut topology, mut seen) = (Topology::default(), SeenPorts::default());
    let (mut left, mut refused) = (VecDeque::from(steps), 0);
    while let Some(step) = left.pop_front() {
        let mut edit = Edit::new(&topology, jiff::Timestamp::UNIX_EPOCH, 1);
        match take(&mut edit, &mut seen, &step) {
            Ok(()) => refused = 0,
            // A host was there before it was described.
            Err(error) if error.kind == ErrorKind::DuplicateUuid => continue,
            Err(error) => {
                refused += 1;
                assert!(refused <= left.len(), "nothing that is left can be done: {step:?}: {error}");
                left.push_back(step);
                continue;
            }
        }
        seen.rebind(&mut edit);
        let revision = topology.revision().next();
        topology.commit(revision, &edit.into_changes());
    }
    topology
}

fn take(edit: &mut Edit, seen: &mut SeenPorts, step: &Step) -> Result<(), topology::Error> {
    match step {
        Step::Request(request) => {
            let request: Request = serde_json::from_value(request.clone()).expect("a request");
            Request::execute_all([request], edit).map(drop).map_err(|(_, error)| error)
        }
        Step::Register(host) => Datapath::register(edit, registration(*host)).map(drop),
        Step::Show(host) => {
            // Who shows ports has registered.
            edit.topology()
                .datapaths()
                .get(&host_id(*host))
                .ok_or_else(|| topology::Error::unknown("host", host))?;
            let port = |(_, name): (u32, &str)| SeenPort {
                name: format!("tap-{name}"),
                instance: format!("{host}/{name}"),
                iface_id: Some(format!("if-{name}")),
                error: None,
                asks: false,
            };
            seen.report(host_id(*host), ports(*host).map(port).collect());
            seen.bind(&host_id(*host), edit);
            Ok(())
        }
    }
}

/// The topology with numbers that depend on nothing but ids.
fn renumbered(topology: &Topology) -> Topology {
    let objects = topology.changes_since(&Topology::default());
    let mut objects: BTreeMap<String, Value> = objects
        .iter()
        .filter_map(Change::object)
        .map(|object| (object.reference().to_string(), serde_json::to_value(object).expect("JSON")))
        .collect();
    objects.remove("sequences");
    let table = |reference: &str| reference.split('/').next().unwrap_or_default().to_owned();
    // Segments and networks share theirs; groups and legs have theirs by what they are.
    let space = |reference: &str, field: &str, object: &Value| match (field, table(reference).as_str()) {
        ("identity", _) => Some(("identity".to_owned(), object["security_groups"].to_string())),
        ("zone", _) => Some(("zone".to_owned(), object["interface_uuid"].to_string())),
        ("key", "networks" | "segments") => Some(("domains".to_owned(), reference.to_owned())),
        ("key" | "nat_block", of) => Some((format!("{field} of {of}"), reference.to_owned())),
        _ => None,
    };
    let mut owners = BTreeMap::<String, BTreeSet<String>>::new();
    let numbers = |reference: &str, object: &Value| {
        let fields = object.as_object().expect("attributes").iter();
        let numbers = fields.filter(|(_, value)| value.is_number());
        numbers
            .filter_map(|(field, _)| Some((field.clone(), space(reference, field, object)?)))
            .collect::<Vec<_>>()
    };
    for (reference, object) in &objects {
        for (_, (space, owner)) in numbers(reference, object) {
            owners.entry(space).or_default().insert(owner);
        }
    }
    for (reference, object) in &mut objects {
        for (field, (space, owner)) in numbers(reference, object) {
            let place = owners[&space].iter().position(|of| *of == owner).expect("it is counted");
            object[field] = (place + 1).into();
        }
        object["revision"] = 1.into();
    }
    let decode = |(reference, object): (&String, &Value)| {
        let reference: ObjectRef = reference.parse().expect("a reference");
        Change::Put(Object::decode(&reference, object.to_string().as_bytes()).expect("an object"))
    };
    let mut renumbered = Topology::default();
    renumbered.commit(Revision(1), &objects.iter().map(decode).collect::<Vec<_>>());
    renumbered
}

fn programs(topology: &Topology) -> Vec<Program> {
    let tunnels: BTreeMap<_, _> =
        Encapsulation::ALL.into_iter().zip([OfPort(1), OfPort(2), OfPort(3)]).collect();
    let program = |host| {
        let ports =
            ports(host).map(|(number, name)| (format!("if-{name}").parse().expect("an id"), OfPort(number)));
        let local = Local {
            datapath: host_id(host),
            ports: ports.collect(),
            tunnels: tunnels.clone(),
            monitors: BTreeMap::new(),
            yields: false,
        };
        Compiler::new(topology.clone(), local).program().clone()
    };
    HOSTS.map(program).into()
}

/// What the hosts end with, if everything comes in the order in which it is written here.
static AS_WRITTEN: LazyLock<Vec<Program>> = LazyLock::new(|| programs(&renumbered(&described(steps()))));

#[test]
fn the_topology_has_something_of_every_collection_and_flows_on_every_host() {
    let topology = described(steps());
    for collection in Collection::ALL {
        let is_of =
            |change: &Change| change.reference().to_string().starts_with(&format!("{}/", collection.name()));
        assert!(topology.changes_since(&Topology::default()).iter().any(is_of), "{}", collection.name());
    }
    let flows = AS_WRITTEN.iter().map(|program| program.flows.len());
    assert!(
        flows.min() > Some(250),
        "{:?}",
        AS_WRITTEN.iter().map(|program| program.flows.len()).collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(ORDERS) })]

    #[test]
    fn any_order_ends_in_the_same_flows_on_every_host(order in Just(steps()).prop_shuffle()) {
        let found = programs(&renumbered(&described(order)));
        for (host, (found, wanted)) in found.iter().zip(AS_WRITTEN.iter()).enumerate() {
            let texts = |program: &Program| {
                program.flows.values().map(ToString::to_string).collect::<BTreeSet<_>>()
            };
            let (found_flows, wanted_flows) = (texts(found), texts(wanted));
            let missing: Vec<_> = wanted_flows.difference(&found_flows).take(3).collect();
            let excess: Vec<_> = found_flows.difference(&wanted_flows).take(3).collect();
            prop_assert!(missing.is_empty() && excess.is_empty(), "host {}: {:#?}, not {:#?}", host, excess, missing);
            prop_assert_eq!(found, wanted, "host {}", host);
        }
    }
}
