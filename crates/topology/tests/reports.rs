//! What hosts say of their ports, all at once or bit by bit.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use topology::binding::{LOCAL_PORT, MAX_PORTS_SEEN, PortReport, Reported, SeenPort, SeenPorts};
use topology::{DatapathId, Edit, Request, Topology};

fn host() -> DatapathId {
    "dp-a".parse().expect("an id")
}

fn port(name: &str, instance: &str) -> SeenPort {
    SeenPort { name: name.to_owned(), instance: instance.to_owned(), ..SeenPort::default() }
}

fn ports(named: &[(&str, &str)]) -> Vec<Arc<SeenPort>> {
    named.iter().map(|(name, instance)| Arc::new(port(name, instance))).collect()
}

fn since(news: &[(&str, &str)], gone: &[&str]) -> PortReport {
    PortReport::Since { ports: ports(news), gone: gone.iter().map(|name| (*name).to_owned()).collect() }
}

/// The instances of the ports that are known, by names.
fn known(seen: &SeenPorts) -> Vec<&str> {
    seen.of(&host()).map(|port| port.instance.as_str()).collect()
}

/// Takes a report, and says what has become of which ports: their instances.
fn take(seen: &mut SeenPorts, report: PortReport) -> Vec<(Option<String>, Option<String>)> {
    let instance = |port: Option<Arc<SeenPort>>| port.map(|port| port.instance.clone());
    let is_whole = matches!(report, PortReport::All(_));
    let reported = seen.report(host(), report);
    assert_eq!(reported.is_whole, is_whole);
    reported.changes.into_iter().map(|change| (instance(change.before), instance(change.after))).collect()
}

fn change(before: &str, after: &str) -> (Option<String>, Option<String>) {
    let instance = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (instance(before), instance(after))
}

#[test]
fn a_report_says_what_it_changes_whether_it_is_whole_or_not() {
    let mut seen = SeenPorts::default();
    let all = |named: &[(&str, &str)]| PortReport::All(ports(named));
    let changes = take(&mut seen, all(&[("b", "1"), ("a", "2")]));
    assert_eq!(changes, [change("", "2"), change("", "1")]);
    assert_eq!(take(&mut seen, all(&[("a", "2"), ("b", "1")])), []);
    assert_eq!(take(&mut seen, all(&[("b", "3")])), [change("2", ""), change("1", "3")]);
    assert_eq!(take(&mut seen, since(&[("c", "4")], &[])), [change("", "4")]);
    assert_eq!(known(&seen), ["3", "4"]);
    let changes = take(&mut seen, since(&[("c", "5"), ("a", "6")], &["b", "z"]));
    assert_eq!(changes, [change("3", ""), change("4", "5"), change("", "6")]);
    assert_eq!(take(&mut seen, since(&[("c", "5")], &["b"])), [], "as it is known");
    assert_eq!(known(&seen), ["6", "5"]);
}

#[test]
fn what_has_changed_says_nothing_of_a_host_that_has_not_said_all() {
    let mut seen = SeenPorts::default();
    assert_eq!(take(&mut seen, since(&[("a", "1")], &[])), []);
    assert_eq!(seen.hosts().count(), 0);
    take(&mut seen, PortReport::All(Vec::new()));
    assert_eq!(take(&mut seen, since(&[("a", "1")], &[])), [change("", "1")]);
    seen.forget(&host());
    assert_eq!(take(&mut seen, since(&[("b", "2")], &[])), []);
    assert_eq!(known(&seen), [""; 0]);
}

#[test]
fn of_several_ports_of_one_name_the_last_counts() {
    let mut seen = SeenPorts::default();
    take(&mut seen, PortReport::All(ports(&[("a", "1"), ("a", "2")])));
    assert_eq!(known(&seen), ["2"]);
    take(&mut seen, since(&[("a", "3"), ("a", "4")], &["a"]));
    assert_eq!(known(&seen), ["4"]);
}

#[test]
fn a_host_has_no_more_ports_than_it_may_however_it_says_so() {
    let many: Vec<_> =
        (0..=MAX_PORTS_SEEN).map(|number| Arc::new(port(&format!("p{number}"), "1"))).collect();
    let mut seen = SeenPorts::default();
    take(&mut seen, PortReport::All(many.clone()));
    assert_eq!(seen.of(&host()).count(), MAX_PORTS_SEEN);
    take(&mut seen, PortReport::Since { ports: many, gone: Vec::new() });
    assert_eq!(seen.of(&host()).count(), MAX_PORTS_SEEN);
    let last = format!("p{MAX_PORTS_SEEN}");
    assert_eq!(take(&mut seen, since(&[(&last, "1")], &[])), [], "there is no room");
    assert_eq!(take(&mut seen, since(&[(&last, "1")], &["p0"])).len(), 2, "one goes and makes it");
    assert_eq!(take(&mut seen, since(&[("p1", "2")], &[])), [change("1", "2")], "what is known changes");
}

#[test]
fn the_difference_of_two_lists_leads_from_one_to_the_other() {
    let check = |before: &[(&str, &str)], after: &[(&str, &str)], expected: PortReport| {
        let (before, after) = (ports(before), ports(after));
        let difference = PortReport::between(&before, &after);
        assert_eq!(difference, expected);
        let (mut seen, mut whole) = (SeenPorts::default(), SeenPorts::default());
        seen.report(host(), PortReport::All(before));
        assert_eq!(seen.report(host(), difference.clone()).changes.is_empty(), difference.is_empty());
        whole.report(host(), PortReport::All(after));
        assert_eq!(known(&seen), known(&whole));
    };
    check(&[], &[], since(&[], &[]));
    check(&[("a", "1")], &[("a", "1")], since(&[], &[]));
    check(&[("a", "1"), ("b", "2")], &[("b", "2"), ("c", "3")], since(&[("c", "3")], &["a"]));
    check(&[("a", "1")], &[("a", "2")], since(&[("a", "2")], &[]));
    check(&[("b", "1"), ("a", "1")], &[("a", "1"), ("b", "1")], since(&[], &[]));
    check(&[("a", "1")], &[("a", "2"), ("a", "1")], since(&[], &[]));
}

/// Two hosts, what they show, and records of few interfaces and few names, so that they meet.
struct World {
    topology: Topology,
    seen: SeenPorts,
    /// What has changed and is not bound yet.
    unbound: Vec<(DatapathId, Reported)>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// Requests, carried out together.
    Requests(Value),
    /// A host shows these ports: said as what has changed, and bound at once or after the next event.
    Ports(DatapathId, Vec<Arc<SeenPort>>, bool),
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { topology: Topology::default(), seen: SeenPorts::default(), unbound: Vec::new() };
        for number in [1, 2] {
            let attributes = json!({"uuid": format!("dp-{number}"), "dpid": format!("0x{number}"),
                "node_id": format!("host{number}")});
            world.happen(Event::Requests(json!([create("datapaths", &attributes)])));
            world.seen.report(numbered(number), PortReport::All(Vec::new()));
        }
        assert_eq!(world.topology.datapaths().len(), 2);
        world
    }

    fn edit(&mut self, step: impl FnOnce(&SeenPorts, &mut Edit)) {
        let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, self.topology.revision().0);
        step(&self.seen, &mut edit);
        self.seen.rebind(&mut edit);
        let changes = edit.into_changes();
        self.topology.commit(self.topology.revision().next(), &changes);
    }

    fn happen(&mut self, event: Event) {
        let mut due = std::mem::take(&mut self.unbound);
        match event {
            Event::Requests(requests) => {
                let requests =
                    || serde_json::from_value::<Vec<Request>>(requests.clone()).expect("well-formed");
                let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, 0);
                // What makes no sense at the time changes nothing.
                if Request::execute_all(requests(), &mut edit).is_ok() {
                    self.edit(|_, edit| drop(Request::execute_all(requests(), edit)));
                }
            }
            Event::Ports(host, ports, at_once) => {
                let told: Vec<_> = self.seen.of(&host).cloned().collect();
                let reported = self.seen.report(host.clone(), PortReport::between(&told, &ports));
                if at_once { &mut due } else { &mut self.unbound }.push((host, reported));
            }
        }
        for (host, reported) in due {
            self.edit(|seen, edit| seen.bind_reported(&host, &reported, edit));
        }
        if self.unbound.is_empty() {
            let mut edit = Edit::new(&self.topology, Timestamp::UNIX_EPOCH, 0);
            [1, 2].iter().for_each(|number| self.seen.bind(&numbered(*number), &mut edit));
            assert_eq!(edit.into_changes(), [], "when all is bound anew");
        }
    }
}

fn numbered(number: u8) -> DatapathId {
    format!("dp-{number}").parse().expect("an id")
}

fn create(resource: &str, attributes: &Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

/// An interface goes, comes, or becomes another.
fn records() -> impl Strategy<Value = Event> {
    let port_name = (0..2_u8).prop_map(|name| format!("p{name}"));
    let port_name = proptest::option::weighted(0.9, port_name);
    let owner = proptest::option::weighted(0.4, (1..3_u8).prop_map(|host| format!("dp-{host}")));
    let requested = proptest::option::weighted(0.1, (1..3_u8).prop_map(|host| format!("host{host}")));
    let mode = prop_oneof![5 => Just("vif"), 1 => Just("internal")];
    let what = prop_oneof![Just([true, false]), Just([false, true]), Just([true, true])];
    (0..4_u8, what, port_name, owner, requested, mode).prop_map(
        |(number, [goes, comes], port_name, owner, requested, mode)| {
            let id = format!("if-{number}");
            let goes = goes.then(|| json!({"op": "delete", "resource": "interfaces", "uuid": id}));
            let attributes = json!({"uuid": id, "port_name": port_name, "owner_datapath_uuid": owner,
                "requested_host": requested, "mode": mode});
            let comes = comes.then(|| create("interfaces", &attributes));
            Event::Requests(goes.into_iter().chain(comes).collect())
        },
    )
}

fn shown() -> impl Strategy<Value = Event> {
    let name =
        prop_oneof![4 => (0..2_u8).prop_map(|name| format!("p{name}")), 1 => Just(LOCAL_PORT.to_owned())];
    let iface_id = proptest::option::weighted(0.3, (0..4_u8).prop_map(|number| format!("if-{number}")));
    let error = proptest::option::weighted(0.1, Just("no such device".to_owned()));
    let port = (name, 0..3_u8, iface_id, error).prop_map(|(name, instance, iface_id, error)| {
        Arc::new(SeenPort { name, instance: instance.to_string(), iface_id, error, asks: false })
    });
    (1..3_u8, proptest::collection::vec(port, 0..4), any::<bool>())
        .prop_map(|(host, ports, at_once)| Event::Ports(numbered(host), ports, at_once))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ports_that_are_bound_by_themselves_are_bound_as_if_all_were(
        events in proptest::collection::vec(prop_oneof![records(), shown()], 1..120),
    ) {
        let mut world = World::new();
        events.into_iter().for_each(|event| world.happen(event));
    }
}
