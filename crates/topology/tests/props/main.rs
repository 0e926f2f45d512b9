//! Random lives of a topology: what a host is told of changes adds up to what it needs, and what users have made can be
//! written back as it is.
//!
//! Requests of all kinds and port reports hit a small world, so that they meet: few names, few addresses, three hosts.
//! What makes no sense at the time is refused and changes nothing.

mod put_back;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use topology::binding::{LOCAL_PORT, PortReport, Reported, SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{
    Change, DatapathId, DomainId, Dpid, Edit, Error, Object, ObjectRef, Request, Topology, scope,
};

/// Hosts of the world. The last one registers only when it happens to.
const HOSTS: [&str; 3] = ["host1", "host2", "host3"];

/// An address of the leg that translates.
const EXTERNAL: &str = "10.0.0.99";

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Request(Value),
    /// A host's agent registers.
    Register(usize, u8),
    /// A host shows these ports.
    Ports(usize, Vec<SeenPort>, Said),
}

/// How a host says what ports it shows.
#[derive(Clone, Copy, Debug)]
enum Said {
    All,
    /// What has changed.
    Changes,
    /// What has changed; something else happens before its bindings are committed.
    ChangesBoundLater,
}

/// A topology, what hosts have said of their ports, and each host's replica by deltas.
struct World {
    topology: Topology,
    seen: SeenPorts,
    /// Ports that have changed, and are bound after the next event.
    unbound: Vec<(DatapathId, Reported)>,
    replicas: BTreeMap<DatapathId, BTreeMap<ObjectRef, Object>>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            topology: Topology::default(),
            seen: SeenPorts::default(),
            unbound: Vec::new(),
            replicas: BTreeMap::new(),
        };
        for host in HOSTS {
            world.replicas.insert(datapath(host), BTreeMap::new());
        }
        // Something to change: a network by itself, two on segments, and interfaces that live on the first two hosts.
        let create = |resource: &str, attributes: Value| {
            Event::Request(json!({"op": "create", "resource": resource, "attributes": attributes}))
        };
        for (number, segment) in [(0, None), (1, Some("seg-0")), (2, Some("seg-1"))] {
            if let Some(segment) = segment {
                world.happen(create("segments", json!({"uuid": segment, "mode": "virtual"})));
            }
            let (uuid, net) = (format!("nw-{number}"), "10.0.0.0");
            world.happen(create(
                "networks",
                json!({"uuid": uuid, "ipv4_network": net, "segment_uuid": segment}),
            ));
        }
        for number in 0..4_usize {
            let [interface, mac_lease, ip_lease] = ["if", "ml", "il"].map(|kind| format!("{kind}-{number}"));
            let (network, mac) = (format!("nw-{}", number / 2), format!("02:00:00:00:00:0{number}"));
            let attributes = json!({"uuid": interface, "port_name": format!("p{number}")});
            world.happen(create("interfaces", attributes));
            let attributes = json!({"uuid": mac_lease, "interface_uuid": interface, "mac_address": mac});
            world.happen(create("mac_leases", attributes));
            let address = format!("10.0.0.{}", number + 1);
            let attributes = json!({
                "uuid": ip_lease, "network_uuid": network, "mac_lease_uuid": mac_lease, "ipv4_address": address,
            });
            world.happen(create("ip_leases", attributes));
        }
        assert_eq!(world.topology.ip_leases().len(), 4);
        // A router between two of them, with a leg in each.
        world.happen(create("route_links", json!({"uuid": "rl-0"})));
        for number in 0..2 {
            let (leg, network) = (format!("if-{}", number + 4), format!("nw-{number}"));
            world.happen(create(
                "interfaces",
                json!({"uuid": leg, "mode": "simulated", "network_uuid": network,
                    "mac_address": format!("02:00:00:00:01:0{number}")}),
            ));
            world.happen(create(
                "routes",
                json!({"uuid": format!("r-{number}"), "interface_uuid": leg, "network_uuid": network,
                    "route_link_uuid": "rl-0", "ipv4_network": format!("10.{number}.0.0")}),
            ));
        }
        assert_eq!(world.topology.routes().len(), 2);
        // One of the legs translates.
        let lease = json!({"uuid": "il-9", "network_uuid": "nw-0", "interface_uuid": "if-4", "ipv4_address": EXTERNAL});
        world.happen(create("ip_leases", lease));
        world.happen(create(
            "translations",
            json!({"uuid": "tr-0", "interface_uuid": "if-4", "mode": "source", "source_network_uuid": "nw-1",
                "external_addresses": [EXTERNAL]}),
        ));
        assert_eq!(world.topology.translations().len(), 1);
        world.place(create);
        for host in [0, 1] {
            world.happen(Event::Register(host, 0));
            world.happen(Event::Ports(
                host,
                (0..2).map(|half| port(format!("p{}", 2 * half + host), 0)).collect(),
                Said::All,
            ));
        }
        world
    }

    /// Two host interfaces, and topologies to put them and others in.
    fn place(&mut self, create: impl Fn(&str, Value) -> Event) {
        let physical = json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": "192.0.2.0"});
        self.happen(create("networks", physical));
        for (number, mode) in [(0, "simple_underlay"), (1, "simple_overlay"), (2, "simple_underlay")] {
            self.happen(create("topologies", json!({"uuid": format!("topo-{number}"), "mode": mode})));
        }
        for number in 1..3 {
            self.happen(create(
                "datapaths",
                json!({"uuid": format!("dp-host{number}"), "dpid": format!("0x{number}"),
                    "node_id": format!("host{number}")}),
            ));
            self.happen(create(
                "interfaces",
                json!({"uuid": format!("if-u{number}"), "mode": "host", "network_uuid": "nw-p",
                    "owner_datapath_uuid": format!("dp-host{number}"), "port_name": "nic",
                    "mac_address": format!("02:00:00:00:02:0{number}"),
                    "ipv4_address": format!("192.0.2.1{number}")}),
            ));
        }
        assert_eq!(self.topology.interfaces().len(), 8);
    }

    /// Lets it happen, and binds the ports that waited for it.
    fn happen(&mut self, event: Event) {
        let unbound = std::mem::take(&mut self.unbound);
        self.commit(|world, edit| world.run(event, edit));
        for (host, reported) in unbound {
            self.commit(|world, edit| {
                world.seen.bind_reported(&host, &reported, edit);
                Ok(())
            });
        }
        if self.unbound.is_empty() {
            self.check_bindings();
        }
    }

    /// Takes what a step commits to the replicas.
    fn commit(&mut self, step: impl FnOnce(&mut Self, &mut Edit) -> Result<(), Error>) {
        let before = self.topology.clone();
        let mut edit = Edit::new(&before, Timestamp::UNIX_EPOCH, before.revision().0);
        if step(self, &mut edit).is_err() {
            return;
        }
        self.seen.rebind(&mut edit);
        let (after, changes) = edit.finish();
        if !changes.is_empty() {
            self.topology.commit(before.revision().next(), &changes);
        }
        assert_eq!(after.changes_since(&self.topology), [], "edited, and committed");
        if before.revision().0.is_multiple_of(8) {
            let all: Vec<_> = self.topology.objects().map(Change::Put).collect();
            let mut anew = Topology::default();
            anew.commit(self.topology.revision(), &all);
            assert_eq!(index(&anew), index(&after), "loaded, and edited: {changes:?}");
            assert_eq!(index(&anew), index(&self.topology), "loaded, and committed: {changes:?}");
        }
        self.check(&before, &changes);
    }

    fn run(&mut self, event: Event, edit: &mut Edit) -> Result<(), Error> {
        match event {
            Event::Request(request) => {
                let request: Request = serde_json::from_value(request).expect("a well-formed request");
                request.execute(edit).map(drop)
            }
            Event::Register(host, address) => Datapath::register(edit, registration(host, address)).map(drop),
            Event::Ports(host, ports, said) => {
                self.show(datapath(HOSTS[host]), ports, said, edit);
                Ok(())
            }
        }
    }

    fn show(&mut self, host: DatapathId, ports: Vec<SeenPort>, said: Said, edit: &mut Edit) {
        // What has changed can be said once all has been.
        let is_whole = matches!(said, Said::All) || self.seen.hosts().all(|known| *known != host);
        let told: Vec<_> = self.seen.of(&host).cloned().collect();
        let ports: Vec<_> = ports.into_iter().map(Arc::new).collect();
        let report = if is_whole { PortReport::All(ports) } else { PortReport::between(&told, &ports) };
        let reported = self.seen.report(host.clone(), report);
        match said {
            Said::ChangesBoundLater if !is_whole => self.unbound.push((host, reported)),
            _ => self.seen.bind_reported(&host, &reported, edit),
        }
    }

    /// What was bound with the records and ports that changed is what is bound when every host is looked at.
    fn check_bindings(&self) {
        let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, 0);
        HOSTS.iter().for_each(|host| self.seen.bind(&datapath(host), &mut edit));
        assert_eq!(edit.into_changes(), []);
    }

    fn check(&mut self, before: &Topology, changes: &[Change]) {
        let sorted = |mut changes: Vec<Change>| {
            changes.sort_by_key(Change::reference);
            changes
        };
        let since = sorted(self.topology.changes_since(before));
        assert_eq!(since, sorted(difference(before, &self.topology)), "of every kind");
        for object in changes.iter().filter_map(Change::object) {
            let read = Object::decode(&object.reference(), &object.encode());
            assert_eq!(read.ok().as_ref(), Some(object), "as the store has it");
        }
        if self.topology.revision().0.is_multiple_of(4) {
            let objects: Vec<_> = self.topology.objects().map(Change::Put).collect();
            let mut anew = Topology::default();
            anew.commit(self.topology.revision(), &objects);
            assert_eq!(index(&self.topology), index(&anew), "kept up, and made anew");
        }
        let concerned = scope::concerned(before, &self.topology, changes);
        for (host, replica) in &mut self.replicas {
            let delta = scope::delta(before, &self.topology, changes, host);
            assert!(delta.is_empty() || concerned.contains(host), "{host} is not concerned: {delta:?}");
            for change in delta {
                apply(replica, change, host);
            }
            assert_eq!(*replica, snapshot(&self.topology, host), "the replica of {host}");
            check_placement(&self.topology, replica, host);
        }
    }
}

/// A host knows by which addresses it and others carry what is within its reach.
fn check_placement(topology: &Topology, replica: &BTreeMap<ObjectRef, Object>, host: &DatapathId) {
    // A part is made anew for it.
    if topology.relations().is_empty() || !topology.revision().0.is_multiple_of(4) {
        return;
    }
    let objects: Vec<_> = replica.values().cloned().map(Change::Put).collect();
    let mut part = Topology::default();
    part.commit(topology.revision(), &objects);
    for domain in scope::reach(topology, host) {
        for peer in HOSTS.map(datapath) {
            let said = |of: &Topology| (of.address(&peer, &domain), of.carries(&peer, &domain));
            assert_eq!(said(&part), said(topology), "{peer} carries {domain}, seen from {host}");
        }
    }
}

/// How everything hangs together, as a topology's indexes have it.
fn index(topology: &Topology) -> BTreeMap<String, String> {
    let mut found = BTreeMap::from([("revision".to_owned(), topology.revision().to_string())]);
    let networks = topology.networks().keys().cloned().map(DomainId::Network);
    for domain in networks.chain(topology.segments().keys().cloned().map(DomainId::Segment)) {
        let held = (
            topology.interfaces_in_domain(&domain),
            topology.simulated_in_domain(&domain),
            topology.uplinks_of_domain(&domain),
            topology.hosts_of_domain(&domain),
        );
        found.insert(format!("{domain:?}"), format!("{held:?}"));
        for host in HOSTS.map(datapath) {
            found.insert(
                format!("{domain:?} on {host}"),
                format!("{:?}", topology.members(&(domain.clone(), host))),
            );
        }
    }
    for id in topology.interfaces().keys() {
        let place = (topology.host_of_interface(id), topology.domains_of_interface(id));
        found.insert(id.to_string(), format!("{place:?}"));
    }
    for lease in topology.mac_leases().values() {
        let owners = topology
            .domain_of_mac_lease(lease)
            .map(|of| topology.mac_leases_of_address(of, lease.mac_address));
        found.insert(format!("{} owners", lease.uuid), format!("{owners:?}"));
    }
    for host in HOSTS.map(datapath) {
        let held = (
            topology.domains_on(&host),
            topology.interfaces_on(&host),
            topology.interfaces_claimed_by(&host),
        );
        found.insert(format!("on {host}"), format!("{held:?}"));
    }
    found
}

/// Applies a change, which must be one: an object that is not there cannot go.
fn apply(replica: &mut BTreeMap<ObjectRef, Object>, change: Change, host: &DatapathId) {
    match change {
        Change::Put(object) => {
            replica.insert(object.reference(), object);
        }
        Change::Delete(reference) => {
            assert!(replica.remove(&reference).is_some(), "{host} never had {reference}");
        }
    }
}

fn snapshot(topology: &Topology, host: &DatapathId) -> BTreeMap<ObjectRef, Object> {
    scope::snapshot(topology, host).into_iter().map(|object| (object.reference(), object)).collect()
}

fn datapath(host: &str) -> DatapathId {
    format!("dp-{host}").parse().expect("an id")
}

fn registration(host: usize, address: u8) -> Registration {
    Registration::new(
        HOSTS[host].parse().expect("a node id"),
        Dpid(host as u64 + 1),
        Underlay {
            encapsulation: Encapsulation::Geneve,
            address: std::net::Ipv4Addr::new(192, 0, 2, address).into(),
            mtu: 1500,
        },
    )
}

fn port(name: String, instance: u8) -> SeenPort {
    SeenPort { instance: format!("{name}/{instance}"), name, iface_id: None, error: None, asks: false }
}

fn pick(prefix: &'static str, count: u8) -> impl Strategy<Value = String> + Clone {
    (0..count).prop_map(move |number| format!("{prefix}{number}"))
}

/// Absent, cleared or given.
fn attribute<S>(value: S) -> impl Strategy<Value = Option<Value>> + Clone
where
    S: Strategy<Value = String> + Clone,
{
    prop_oneof![2 => Just(None), 1 => Just(Some(Value::Null)), 3 => value.prop_map(|text| Some(text.into()))]
}

fn rarely(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = Option<Value>> + Clone {
    proptest::option::weighted(0.1, value.prop_map(Value::String))
}

fn attributes<const N: usize>(named: [(&str, Option<Value>); N]) -> Value {
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What is created is also what is updated: the id tells them apart.
fn resource() -> impl Strategy<Value = (&'static str, String, Value)> {
    let (network, segment, interface) = (pick("nw-", 3), pick("seg-", 2), pick("if-", 6));
    let mac = pick("02:00:00:00:00:0", 4);
    let address = pick("10.0.0.", 6);
    let networks =
        (network.clone(), attribute(segment.clone()), pick("name", 3), rarely(Just("fd00::".to_owned())))
            .prop_map(|(id, segment, name, ipv6)| {
                let given = [
                    ("segment_uuid", segment),
                    ("display_name", Some(name.into())),
                    ("ipv4_network", Some("10.0.0.0".into())),
                    ("ipv6_network", ipv6),
                ];
                ("networks", id, attributes(given))
            });
    let segments = (segment.clone(), pick("name", 3)).prop_map(|(id, name)| {
        ("segments", id, attributes([("mode", Some("virtual".into())), ("display_name", Some(name.into()))]))
    });
    let datapaths = (pick("dp-host", 4), pick("name", 3)).prop_map(|(id, name)| {
        let number = id.trim_start_matches("dp-host").to_owned();
        let given = [
            ("dpid", Some(format!("0x{}", number.parse().map_or(9, |number: u64| number + 1)).into())),
            ("node_id", Some(format!("host{number}").into())),
            ("display_name", Some(name.into())),
        ];
        ("datapaths", id, attributes(given))
    });
    let interfaces = (
        interface.clone(),
        (attribute(network.clone()), attribute(segment.clone())),
        (attribute(mac.clone()), attribute(address.clone())),
        (attribute(pick("p", 4)), rarely(pick("dp-host", 4)), rarely(pick("host", 4))),
        proptest::option::weighted(0.2, prop_oneof![Just(json!("internal")), Just(json!("simulated"))]),
    );
    let interfaces =
        interfaces.prop_map(|(id, (network, segment), (mac, address), (port, owner, host), mode)| {
            let given = [
                ("network_uuid", network),
                ("segment_uuid", segment),
                ("mac_address", mac.filter(Value::is_string)),
                ("ipv4_address", address.filter(Value::is_string)),
                ("port_name", port),
                ("owner_datapath_uuid", owner),
                // A host that a record insists on is rare, or nothing would be bound.
                ("requested_host", host.filter(|host| host.is_null() || *host == "host1")),
                ("mode", Some(mode.into())),
            ];
            ("interfaces", id, attributes(given))
        });
    let mac_leases = (pick("ml-", 4), interface.clone(), mac, attribute(segment)).prop_map(
        |(id, interface, mac, segment)| {
            let given = [
                ("interface_uuid", Some(interface.into())),
                ("mac_address", Some(mac.into())),
                ("segment_uuid", segment),
            ];
            ("mac_leases", id, attributes(given))
        },
    );
    let route_links = (pick("rl-", 2), pick("name", 3))
        .prop_map(|(id, name)| ("route_links", id, attributes([("display_name", Some(name.into()))])));
    let leg = prop_oneof![3 => pick("if-", 2).prop_map(|id| id.replace('1', "5").replace('0', "4")), 1 => interface.clone()];
    let hop = proptest::option::weighted(0.3, address.clone());
    let routes = (pick("r-", 3), leg.clone(), network.clone(), pick("rl-", 2), (pick("10.", 3), hop))
        .prop_map(|(id, leg, network, link, (prefix, hop))| {
            let given = [
                ("interface_uuid", Some(leg.into())),
                ("network_uuid", Some(network.into())),
                ("route_link_uuid", Some(link.into())),
                ("ipv4_network", Some(format!("{prefix}.0.0").into())),
                ("next_hops", hop.map(|hop| json!([hop]))),
            ];
            ("routes", id, attributes(given))
        });
    let leg_again = leg.clone();
    let mode = prop_oneof![Just("dhcp"), Just("dns"), Just("metadata")];
    let services = (pick("ns-", 2), leg, mode).prop_map(|(id, interface, mode)| {
        let is_metadata = mode == "metadata";
        let given = [
            ("interface_uuid", Some(interface.into())),
            ("mode", Some(mode.into())),
            ("metadata_server", Some(if is_metadata { "192.0.2.1:80" } else { "" }.into())),
            ("metadata_secret", Some(if is_metadata { "s3cret" } else { "" }.into())),
        ];
        ("network_services", id, attributes(given))
    });
    let dns_services = (pick("dnss-", 2), pick("ns-", 2)).prop_map(|(id, service)| {
        ("dns_services", id, attributes([("network_service_uuid", Some(service.into()))]))
    });
    let dns_records =
        (pick("dnsr-", 2), pick("dnss-", 2), address.clone()).prop_map(|(id, service, address)| {
            let given = [
                ("dns_service_uuid", Some(service.into())),
                ("name", Some("www.example".into())),
                ("ipv4_address", Some(address.into())),
            ];
            ("dns_records", id, attributes(given))
        });
    let entry = proptest::option::weighted(0.3, pick("rl-", 2));
    let translations = (pick("tr-", 3), leg_again, address.clone(), network.clone(), entry).prop_map(
        |(id, leg, address, network, link)| {
            let is_source = id != "tr-2";
            let entry = json!({"ingress_ipv4_address": EXTERNAL, "ingress_port_number": 80, "route_link_uuid": link,
                "egress_ipv4_address": address, "egress_port_number": 8080, "egress_network_uuid": network});
            let given = [
                ("interface_uuid", Some(leg.into())),
                ("mode", Some(if is_source { "source" } else { "static_address" }.into())),
                ("source_network_uuid", is_source.then(|| network.clone().into())),
                ("external_addresses", is_source.then(|| json!([EXTERNAL]))),
                ("static_addresses", (!is_source).then(|| json!([entry]))),
            ];
            ("translations", id, attributes(given))
        },
    );
    let address = prop_oneof![
        4 => address.prop_map(|address| ("ipv4_address", address)),
        1 => pick("fe80::ff:fe00:", 4).prop_map(|address| ("ipv6_address", address)),
    ];
    let ip_leases = (pick("il-", 4), network, address, attribute(interface), attribute(pick("ml-", 4)))
        .prop_map(|(id, network, (family, address), interface, mac_lease)| {
            let given = [
                ("network_uuid", Some(network.into())),
                (family, Some(address.into())),
                ("interface_uuid", interface),
                ("mac_lease_uuid", mac_lease),
            ];
            ("ip_leases", id, attributes(given))
        });
    prop_oneof![
        4 => networks, 1 => segments, 1 => datapaths, 10 => interfaces, 6 => mac_leases, 6 => ip_leases,
        1 => route_links, 6 => routes, 3 => services, 2 => dns_services, 2 => dns_records, 4 => translations
    ]
}

fn create() -> impl Strategy<Value = Event> {
    resource().prop_map(|(resource, id, mut attributes)| {
        attributes["uuid"] = id.into();
        Event::Request(json!({"op": "create", "resource": resource, "attributes": attributes}))
    })
}

fn update() -> impl Strategy<Value = Event> {
    resource().prop_map(|(resource, id, attributes)| {
        Event::Request(json!({"op": "update", "resource": resource, "uuid": id, "attributes": attributes}))
    })
}

fn delete() -> impl Strategy<Value = Event> {
    // What others hang on goes more rarely, or little would be left.
    let container = |resource: &str| ["networks", "segments", "datapaths", "route_links"].contains(&resource);
    let keep = (resource(), 0..3_u8)
        .prop_filter("kept", move |((resource, ..), kept)| *kept == 0 || !container(resource));
    keep.prop_map(|((resource, id, _), _)| {
        Event::Request(json!({"op": "delete", "resource": resource, "uuid": id}))
    })
}

fn act() -> impl Strategy<Value = Event> {
    let act = |action: &'static str| {
        move |(uuid, attributes): (String, Value)| {
            Event::Request(json!({"op": "act", "action": action, "uuid": uuid, "attributes": attributes}))
        }
    };
    let port = || {
        let port = (pick("if-", 4), attribute(pick("p", 4)), attribute(pick("dp-host", 4)));
        port.prop_map(|(id, name, datapath)| {
            (id, attributes([("port_name", name), ("datapath_uuid", datapath)]))
        })
    };
    let lease = || {
        (pick("il-", 4), attribute(prop_oneof![4 => pick("if-", 4), 1 => Just("if-u1".to_owned())]))
            .prop_map(|(id, interface)| (id, attributes([("interface_uuid", interface)])))
    };
    let member = (0..3_u8).prop_flat_map(|topology| {
        let other = prop_oneof![
            3 => pick("nw-", 3).prop_map(|id| json!({"network_uuid": id})),
            1 => pick("seg-", 2).prop_map(|id| json!({"segment_uuid": id})),
            2 => (1..3_u8).prop_map(|host| json!({"datapath_uuid": format!("dp-host{host}"),
                "interface_uuid": format!("if-u{host}")})),
            1 => Just(json!({"datapath_uuid": "dp-host1", "interface_uuid": "if-u1", "ip_lease_uuid": "il-0"})),
            2 => pick("topo-", 3).prop_map(|id| json!({"underlay_uuid": id})),
        ];
        other.prop_map(move |other| (format!("topo-{topology}"), other))
    });
    let placement = (1..3_u8, pick("nw-", 3)).prop_map(|(host, network)| {
        let attributes = json!({"network_uuid": network, "interface_uuid": format!("if-u{host}")});
        (format!("dp-host{host}"), attributes)
    });
    // What names the other end takes the relation away.
    let without = |(owner, mut attributes): (String, Value)| {
        let given = attributes.as_object_mut().expect("an object");
        given.retain(|name, _| !["interface_uuid", "ip_lease_uuid"].contains(&name.as_str()));
        (owner, attributes)
    };
    prop_oneof![
        3 => member.clone().prop_map(act("add_member")),
        1 => member.prop_map(without).prop_map(act("remove_member")),
        1 => placement.clone().prop_map(act("add_placement")),
        1 => placement.prop_map(without).prop_map(act("remove_placement")),
        2 => port().prop_map(act("add_port")),
        2 => port().prop_map(act("remove_ports")),
        2 => lease().prop_map(act("attach_ip_lease")),
        2 => pick("il-", 4).prop_map(|id| (id, json!({}))).prop_map(act("release_ip_lease")),
    ]
}

fn ports() -> impl Strategy<Value = Event> {
    let name = prop_oneof![5 => pick("p", 4), 1 => Just(LOCAL_PORT.to_owned())];
    let port = (
        name,
        0..2_u8,
        proptest::option::weighted(0.3, pick("if-", 4)),
        proptest::option::weighted(0.1, Just("no such device")),
    );
    let port = port.prop_map(|(name, instance, iface_id, error)| {
        let instance = format!("{name}/{instance}");
        SeenPort { name, instance, iface_id, error: error.map(str::to_owned), asks: false }
    });
    let said = prop_oneof![Just(Said::All), Just(Said::Changes), Just(Said::ChangesBoundLater)];
    (0..HOSTS.len(), proptest::collection::vec(port, 0..4), said)
        .prop_map(|(host, ports, said)| Event::Ports(host, ports, said))
}

fn event() -> impl Strategy<Value = Event> {
    let register = (0..HOSTS.len(), 0..4_u8).prop_map(|(host, address)| Event::Register(host, address));
    prop_oneof![4 => create(), 6 => update(), 1 => delete(), 3 => act(), 4 => ports(), 1 => register]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hosts_deltas_add_up_to_its_snapshot_and_the_unconcerned_get_none(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new();
        events.into_iter().for_each(|event| world.happen(event));
    }

    #[test]
    fn every_object_can_be_put_back_unchanged(events in proptest::collection::vec(event(), 1..60)) {
        let mut world = World::new();
        for event in events {
            let before = world.topology.revision();
            world.happen(event);
            if world.topology.revision() != before {
                put_back::check(&world.topology);
            }
        }
    }

    /// As a host needs it that has missed some commits.
    #[test]
    fn one_delta_over_many_commits_leads_to_the_same_snapshot(
        events in proptest::collection::vec(event(), 1..60),
        missed in 1..40_usize,
    ) {
        let mut world = World::new();
        let mut changed: Vec<Change> = Vec::new();
        let mut before = world.topology.clone();
        for (number, event) in events.into_iter().enumerate() {
            let last = world.topology.clone();
            world.happen(event);
            changed.extend(difference(&last, &world.topology));
            if number % missed == 0 {
                for host in HOSTS.map(datapath) {
                    let mut replica = snapshot(&before, &host);
                    let delta = scope::delta(&before, &world.topology, &changed, &host);
                    delta.into_iter().for_each(|change| apply(&mut replica, change, &host));
                    prop_assert_eq!(replica, snapshot(&world.topology, &host));
                }
                changed.clear();
                before = world.topology.clone();
            }
        }
    }
}

fn difference(before: &Topology, after: &Topology) -> Vec<Change> {
    let puts = after.objects().filter(|object| before.get(&object.reference()).as_ref() != Some(object));
    let gone = before.objects().map(|object| object.reference()).filter(|gone| after.get(gone).is_none());
    puts.map(Change::Put).chain(gone.map(Change::Delete)).collect()
}
