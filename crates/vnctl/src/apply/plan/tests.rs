use super::*;
use crate::apply::document::read_all;
use crate::resource::{DATAPATHS, LEASE_POLICIES, NETWORKS};

/// What exists of a collection.
type Objects<'a> = (&'static Resource, &'a [Value]);

fn plan(text: &str, existing: &[Objects<'_>], prune: bool) -> Plan {
    let wanted = read_all(&[("f".to_owned(), text.to_owned())]).expect("a document");
    let mut found = Existing::default();
    existing.iter().for_each(|(resource, objects)| found.add(resource, objects.to_vec()));
    let labels = Prune { labels: BTreeMap::from([("app".to_owned(), "x".to_owned())]) };
    Plan::new(&wanted, &found, prune.then_some(&labels))
}

fn check(plan: &Plan, expected: &[&str]) {
    assert_eq!(plan.changes().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_missing_is_made_with_what_is_referred_to_first() {
    let text = "ip_leases: [{uuid: il-a}]\ninterfaces: [{uuid: if-a}]\nnetworks: [{uuid: nw-a}]\n\
                segments: [{uuid: seg-a}]\ndatapaths: [{uuid: dp-a}]";
    let expected =
        ["+ datapaths dp-a", "+ segments seg-a", "+ networks nw-a", "+ interfaces if-a", "+ ip_leases il-a"];
    check(&plan(text, &[], false), &expected);
}

#[test]
fn only_attributes_that_differ_are_sent_guarded_by_the_revision_read() {
    let network = json!({
        "uuid": "nw-a", "display_name": "x", "mode": "virtual", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24,
        "segment_uuid": null, "revision": 7,
    });
    let text = "networks: [{uuid: nw-a, display_name: y, network_mode: virtual, ipv4_network: 10.0.0.0, \
                ipv4_prefix: 24, segment_uuid: null}]";
    let plan = plan(text, &[(&NETWORKS, &[network])], false);
    check(&plan, &["~ networks nw-a: display_name \"x\" → \"y\""]);
    let expected = json!([{
        "op": "update", "resource": "networks", "uuid": "nw-a", "attributes": { "display_name": "y" }, "if_match": 7,
    }]);
    assert_eq!(json!(plan.operations()), expected);
}

#[test]
fn what_is_as_described_is_left_alone_however_it_is_written() {
    let interface = json!({ "uuid": "if-a", "mac_address": "02:00:00:00:00:0a", "labels": { "app": "x" }, "revision": 3 });
    let datapath =
        json!({ "uuid": "dp-a", "dpid": "0x0000aaaaaaaaaaaa", "labels": { "app": "x" }, "revision": 2 });
    let text = "labels: {app: x}\ninterfaces: [{uuid: if-a, mac_address: 02-00-00-00-00-0A}]\n\
                datapaths: [{uuid: dp-a, dpid: AAAAAAAAAAAA}]";
    let plan = plan(text, &[(&INTERFACES, &[interface]), (&DATAPATHS, &[datapath])], true);
    check(&plan, &[]);
    assert_eq!(plan.unchanged(), 2);
    assert_eq!(plan.repetitions().len(), 2);
}

#[test]
fn labels_are_made_equal_where_the_file_gives_some() {
    let network = json!({ "uuid": "nw-a", "labels": { "app": "x", "old": "1" } });
    let check_labels = |text: &str, expected: usize| {
        assert_eq!(
            plan(text, &[(&NETWORKS, std::slice::from_ref(&network))], false).changes().count(),
            expected,
            "{text}"
        );
    };
    check_labels("networks: [{uuid: nw-a}]", 0);
    check_labels("networks: [{uuid: nw-a, labels: {app: x, old: 1}}]", 0);
    check_labels("networks: [{uuid: nw-a, labels: {app: x}}]", 1);
}

#[test]
fn pruning_makes_room_first_and_takes_down_what_held_others_last() {
    let labelled = |uuid: &str| json!({ "uuid": uuid, "labels": { "app": "x" }, "revision": 1 });
    let networks = [labelled("nw-old"), json!({ "uuid": "nw-other", "labels": {} })];
    let interfaces = [labelled("if-old"), labelled("if-kept")];
    let existing: [Objects<'_>; 2] = [(&NETWORKS, &networks), (&INTERFACES, &interfaces)];
    let text = "labels: {app: x}\nnetworks: [{uuid: nw-new}]\ninterfaces: [{uuid: if-kept}]";
    check(&plan(text, &existing, true), &["- interfaces if-old", "+ networks nw-new", "- networks nw-old"]);
    check(&plan(text, &existing, false), &["+ networks nw-new"]);
}

#[test]
fn pruning_spares_leases_that_stand_or_fall_with_an_interface() {
    let labels = json!({ "app": "x" });
    let lease = |uuid: &str, interface: &str, address: &str| json!({ "uuid": uuid, "interface_uuid": interface, "ipv4_address": address, "labels": labels, "revision": 1 });
    let leases = [
        lease("il-1", "if-kept", "10.0.0.1"),
        lease("il-2", "if-kept", "10.0.0.2"),
        lease("il-3", "if-old", "10.0.0.3"),
    ];
    let interfaces = [
        json!({ "uuid": "if-kept", "ipv4_address": "10.0.0.1", "labels": labels }),
        json!({ "uuid": "if-old", "ipv4_address": "10.0.0.3", "labels": labels }),
    ];
    let existing: [Objects<'_>; 2] = [(&INTERFACES, &interfaces), (&IP_LEASES, &leases)];
    let text = "labels: {app: x}\ninterfaces: [{uuid: if-kept, ipv4_address: 10.0.0.1}]";
    check(&plan(text, &existing, true), &["- ip_leases il-2", "- interfaces if-old"]);
}

#[test]
fn a_lease_that_an_earlier_step_moves_goes_without_a_guard() {
    let lease = |uuid: &str, interface: &str| json!({ "uuid": uuid, "interface_uuid": interface, "ipv4_address": "10.0.0.1", "revision": 5 });
    let existing: [Objects<'_>; 2] = [
        (&INTERFACES, &[json!({ "uuid": "if-a", "display_name": "x", "revision": 4 })]),
        (&IP_LEASES, &[lease("il-a", "if-a"), lease("il-b", "if-b")]),
    ];
    let text = "interfaces: [{uuid: if-a, display_name: y}]\n\
                ip_leases: [{uuid: il-a, ipv4_address: 10.0.0.2}, {uuid: il-b, ipv4_address: 10.0.0.3}]";
    let guards: Vec<_> =
        plan(text, &existing, false).operations().iter().map(|of| json!(of)["if_match"].clone()).collect();
    assert_eq!(guards, [json!(4), Value::Null, json!(5)]);
}

#[test]
fn an_object_is_called_by_its_file_and_id() {
    let plan = plan("networks: [{uuid: nw-a}]", &[], false);
    assert_eq!(plan.step(0).as_deref(), Some("f: networks nw-a"));
    assert_eq!(plan.step(1), None);
}

#[test]
fn what_an_interface_has_been_given_is_not_asked_for_again() {
    let shows = |mac: Value| [json!({ "uuid": "if-a", "mac_address": mac, "revision": 3 })];
    let text = "interfaces: [{uuid: if-a, mac_range_group_uuid: mrg-a}]";
    check(&plan(text, &[(&INTERFACES, &shows(json!("02:00:00:00:00:0a")))], false), &[]);
    assert_eq!(plan(text, &[(&INTERFACES, &shows(Value::Null))], false).changes().count(), 1);
}

#[test]
fn the_networks_of_a_lease_policy_are_as_described_in_one_order_only() {
    let link = |network: &str| json!({ "network_uuid": network, "ip_range_group_uuid": "iprg-a" });
    let policy = json!({ "uuid": "lp-a", "networks": [link("nw-a"), link("nw-b")], "revision": 3,
        "ip_lease_containers": [{ "ip_lease_container_uuid": "ilc-b", "label": null }, { "ip_lease_container_uuid": "ilc-a", "label": "x" }] });
    let check = |networks: [&str; 2], changes: usize| {
        let networks =
            networks.map(|of| format!("{{network_uuid: {of}, ip_range_group_uuid: iprg-a}}")).join(", ");
        let text = format!(
            "lease_policies: [{{uuid: lp-a, networks: [{networks}], ip_lease_containers: \
             [{{ip_lease_container_uuid: ilc-a, label: x}}, {{ip_lease_container_uuid: ilc-b}}]}}]"
        );
        let plan = plan(&text, &[(&LEASE_POLICIES, std::slice::from_ref(&policy))], false);
        assert_eq!(plan.changes().count(), changes, "{text}");
    };
    check(["nw-a", "nw-b"], 0);
    check(["nw-b", "nw-a"], 1);
}
