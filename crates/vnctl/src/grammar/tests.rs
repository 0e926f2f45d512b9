mod reference;

use serde_json::{Value, json};

use super::*;
use crate::operation::Operation;
use crate::resource::Kind;

fn parsed(line: &str) -> Result<Invocation, Error> {
    parse(shlex::split(line).expect("quotes match").into_iter().map(OsString::from))
}

/// The operations of a line, as members of a batch.
fn operations(line: &str) -> Value {
    match parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")).command {
        Command::Change(operations) => json!(operations),
        other => panic!("{line}: {other:?}"),
    }
}

fn check(line: &str, expected: Value) {
    assert_eq!(operations(line), json!([expected]), "{line}");
}

fn check_usage(line: &str, parts: &[&str]) {
    let error = parsed(line).err().unwrap_or_else(|| panic!("{line} is understood"));
    assert_eq!(error.exit(), crate::error::Exit::Usage, "{line}");
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{line}: {text}");
}

#[test]
fn the_grammar_is_free_of_contradictions() {
    grammar().debug_assert();
}

#[test]
fn the_tutorials_commands_are_understood_as_they_stand() {
    check(
        "networks add --uuid nw-test1 --display-name testnet1 --ipv4-network 10.100.0.0 --ipv4-prefix 24 --network-mode virtual",
        json!({ "op": "create", "resource": "networks", "attributes": {
            "uuid": "nw-test1", "display_name": "testnet1", "ipv4_network": "10.100.0.0", "ipv4_prefix": 24,
            "network_mode": "virtual",
        } }),
    );
    check(
        "interfaces add --uuid if-inst1 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:01 \
         --network-uuid nw-test1 --ipv4-address 10.100.0.10 --port-name inst1",
        json!({ "op": "create", "resource": "interfaces", "attributes": {
            "uuid": "if-inst1", "mode": "vif", "owner_datapath_uuid": "dp-test1", "mac_address": "10:54:ff:00:00:01",
            "network_uuid": "nw-test1", "ipv4_address": "10.100.0.10", "port_name": "inst1",
        } }),
    );
    check(
        "interfaces add --uuid if-router1 --network_uuid nw-test1 --mac_address \"02:00:00:00:02:01\" \
         --ipv4_address 10.100.0.1 --mode simulated --enable_routing true",
        json!({ "op": "create", "resource": "interfaces", "attributes": {
            "uuid": "if-router1", "network_uuid": "nw-test1", "mac_address": "02:00:00:00:02:01",
            "ipv4_address": "10.100.0.1", "mode": "simulated", "enable_routing": true,
        } }),
    );
    check(
        "datapaths modify dp-test1 --dpid 0x0000aaaaaaaaaaaa --node-id vna",
        json!({ "op": "update", "resource": "datapaths", "uuid": "dp-test1",
            "attributes": { "dpid": "0x0000aaaaaaaaaaaa", "node_id": "vna" } }),
    );
    check("ip-leases del il-a", json!({ "op": "delete", "resource": "ip_leases", "uuid": "il-a" }));
}

#[test]
fn dashes_underscores_and_unambiguous_prefixes_are_forgiven() {
    let delete = json!({ "op": "delete", "resource": "mac_leases", "uuid": "ml-a_b" });
    for line in [
        "mac_leases del ml-a_b",
        "mac-leases del ml-a_b",
        "mac-l d ml-a_b",
        "mac_l delete ml-a_b",
        "mac-le rm ml-a_b",
    ] {
        check(line, delete.clone());
    }
    let update = |name: &str, value: &str| json!({ "op": "update", "resource": "networks", "uuid": "nw-a", "attributes": { name: value } });
    check("networks mod nw-a --disp x_y", update("display_name", "x_y"));
    check("networks mod nw-a --segment_u=seg-a", update("segment_uuid", "seg-a"));
    check("networks mod nw-a --segment-uuid ''", update("segment_uuid", ""));
    check("networks mod nw-a --segment-uuid=", update("segment_uuid", ""));
}

#[test]
fn truth_values_are_written_in_every_way_of_the_original() {
    let truth = |line: &str, expected: Option<bool>| {
        let found = operations(line)[0]["attributes"].get("enable_routing").and_then(Value::as_bool);
        assert_eq!(found, expected, "{line}");
    };
    truth("interfaces modify if-a", None);
    truth("interfaces modify if-a --enable-routing", Some(true));
    truth("interfaces modify --enable-routing if-a", Some(true));
    truth("interfaces modify if-a --enable_routing true", Some(true));
    truth("interfaces modify --enable_routing false if-a", Some(false));
    truth("interfaces modify if-a --enable-routing=no", Some(false));
    truth("interfaces modify if-a --no-enable-routing", Some(false));
    truth("interfaces modify if-a --enable-routing --no-enable-routing", Some(false));
    truth("interfaces modify if-a --no-enable-routing --enable-routing", Some(true));
    check_usage("interfaces modify if-a --enable-routing=maybe", &["maybe", "true or false"]);
}

#[test]
fn what_is_not_known_suggests_the_nearest() {
    check_usage("networsk show", &["networsk", "networks"]);
    check_usage("networks shwo", &["shwo", "show"]);
    check_usage("networks add --ipv4-netwrok 10.0.0.0", &["--ipv4-netwrok", "--ipv4-network"]);
    check_usage("i show", &["i"]);
    check_usage("networks modify nw-a --ipv4 x", &["--ipv4"]);
}

#[test]
fn what_add_needs_is_asked_for() {
    check_usage("datapaths add --dpid 0xa", &["--node-id"]);
    check_usage("networks modify", &["UUID"]);
    check_usage("networks add --ipv4-prefix x", &["--ipv4-prefix", "number"]);
}

#[test]
fn labels_are_pairs_and_repeatable() {
    let line = "segments add --mode virtual --label a=1 --label b=x=y";
    assert_eq!(operations(line)[0]["attributes"]["labels"], json!({ "a": "1", "b": "x=y" }));
    check_usage("segments add --mode virtual --label a", &["name=value"]);
    let Command::Change(operations) =
        parsed("segments modify seg-a --label a=1 --label b=").expect("a line").command
    else {
        panic!("a change")
    };
    let Operation::Update { label_changes, .. } = &operations[0] else { panic!("an update") };
    assert_eq!(json!(label_changes), json!({ "a": "1", "b": "" }));
}

#[test]
fn ports_and_leases_have_actions_of_their_own() {
    let act = |action: &str, uuid: &str, attributes: Value| json!({ "op": "act", "action": action, "uuid": uuid, "attributes": attributes });
    let attributes = json!({ "datapath_uuid": "dp-a", "port_name": "inst1", "singular": true });
    check(
        "interfaces ports add if-a --datapath_uuid dp-a --port-name inst1 --singular",
        act("add_port", "if-a", attributes),
    );
    check("int po del if-a --port_name inst1", act("remove_ports", "if-a", json!({ "port_name": "inst1" })));
    check(
        "translations static_address add tr-a --ingress_ipv4_address 192.0.2.1 --egress_ipv4_address 10.0.0.1",
        act(
            "add_static_address",
            "tr-a",
            json!({ "ingress_ipv4_address": "192.0.2.1", "egress_ipv4_address": "10.0.0.1" }),
        ),
    );
    check(
        "trans static-address del tr-a --ingress-port-number 80",
        act("remove_static_addresses", "tr-a", json!({ "ingress_port_number": 80 })),
    );
    let rule = json!({ "protocol": "tcp", "action": "drop", "dst_port": "80-90", "log": true });
    check(
        "filters static add fil-a --protocol tcp --action drop --dst_port 80-90 --log",
        act("add_filter_rule", "fil-a", rule),
    );
    let rule = json!({ "direction": "ingress", "remote_group_uuid": "sg-b" });
    check(
        "security-groups rules del sg-a --direction ingress --remote-group-uuid sg-b",
        act("remove_group_rule", "sg-a", rule),
    );
    check(
        "ip-leases attach il-a --interface-uuid if-a",
        act("attach_ip_lease", "il-a", json!({ "interface_uuid": "if-a" })),
    );
    check("ip_leases release il-a", act("release_ip_lease", "il-a", json!({})));
    assert!(matches!(parsed("interfaces ports show if-a").expect("a line").command, Command::Under { .. }));
}

#[test]
fn what_belongs_or_is_related_to_an_object_has_commands_below_it() {
    let act = |action: &str, attributes: Value| json!({"op": "act", "action": action, "uuid": "lp-a", "attributes": attributes});
    check(
        "mac_range_groups mac_ranges add mrg-a --uuid mr-a --begin_mac_address 02:00:00:00:00:00 --end_mac_address 02:00:00:00:00:ff",
        json!({"op": "create", "resource": "mac_ranges", "attributes": {"uuid": "mr-a", "mac_range_group_uuid": "mrg-a",
            "begin_mac_address": "02:00:00:00:00:00", "end_mac_address": "02:00:00:00:00:ff"}}),
    );
    check(
        "lease-policies networks add lp-a nw-a --ip-range-group-uuid iprg-a",
        act("add_policy_network", json!({"network_uuid": "nw-a", "ip_range_group_uuid": "iprg-a"})),
    );
    check(
        "lease-policies interfaces del lp-a if-a",
        act("remove_policy_interface", json!({"interface_uuid": "if-a"})),
    );
    check("lease-policies ip-leases add lp-a --label x", act("allocate_ip_lease", json!({"label": "x"})));
    check_usage("lease-policies networks add lp-a nw-a", &["--ip-range-group-uuid"]);
    check_usage("dns-services dns-records del dnss-a", &["MEMBER"]);
    for line in [
        "ip-lease-containers ip-leases ilc-a",
        "ip_retention_containers ip_retentions irc-a",
        "lease-policies interfaces show lp-a",
    ] {
        assert!(matches!(parsed(line).expect("a line").command, Command::Under { .. }), "{line}");
    }
}

#[test]
fn guards_name_one_object() {
    assert_eq!(operations("networks del nw-a --if-match 12")[0]["if_match"], json!(12));
    assert_eq!(operations("networks del nw-a nw-b").as_array().map(Vec::len), Some(2));
    check_usage("networks del nw-a nw-b --if-match 12", &["--if-match"]);
}

#[test]
fn lists_are_filtered_by_attributes_labels_and_anything_else() {
    let check_filters = |line: &str, expected: &[(&str, &str)]| {
        let Command::List { query, .. } = parsed(line).expect(line).command else { panic!("{line}") };
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(query.filters, expected, "{line}");
    };
    check_filters(
        "interfaces show --network-uuid nw-a --no-enable-routing",
        &[("enable_routing", "false"), ("network_uuid", "nw-a")],
    );
    check_filters(
        "interfaces show --label tier=web --label db --filter port-name=x",
        &[("label", "tier=web"), ("label", "db"), ("port_name", "x")],
    );
    check_filters("networks list", &[]);
    check_usage("networks show nw-a --limit 3", &["--limit"]);
}

#[test]
fn global_options_stand_anywhere() {
    let check_options = |line: &str, expected: Options| {
        assert_eq!(
            parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")).options,
            expected,
            "{line}"
        );
    };
    let options = Options { output: Some(Format::Yaml), url: Some("h:1".to_owned()), wait_s: Some(5) };
    check_options("--output yml --url h:1 --wait --timeout 5 networks show", options.clone());
    check_options("networks show --output yaml --url h:1 --wait true --timeout 5", options);
    check_options(
        "networks del nw-a --wait",
        Options { wait_s: Some(DEFAULT_TIMEOUT_S), ..Options::default() },
    );
    check_options("networks del nw-a --wait --no-wait --timeout 5", Options::default());
    check_usage("networks show --timeout 301", &["301"]);
}

#[test]
fn contradictions_are_refused() {
    check_usage("batch --atomic --keep-going", &["--keep-going"]);
    check_usage("apply -f x --prune", &["--label"]);
    check_usage("apply -f x --label a=b", &["--prune"]);
    check_usage("apply", &["--file"]);
}

#[test]
fn every_attribute_of_the_table_is_a_flag_of_modify() {
    for resource in RESOURCES {
        for attribute in resource.all_attributes() {
            let text = match attribute.kind {
                Kind::Integer => "1",
                Kind::Boolean => "true",
                _ => "x",
            };
            let line = format!("{} modify x-1 --{} {text}", resource.command(), attribute.flag());
            let expected = attribute.kind.read(text).expect("a value");
            assert_eq!(operations(&line)[0]["attributes"][attribute.name], expected, "{line}");
        }
    }
}
