//! Command lines against a real manager: the tutorial, declarative files, batches.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::manager::RunningManager;
use vnctl::Exit;

/// The tutorial "single network", word for word, with the datapath of the installation before it.
const TUTORIAL: &str = "\
vnctl datapaths add --uuid dp-test1 --display-name test1 --dpid 0x0000aaaaaaaaaaaa --node-id vna
vnctl networks add --uuid nw-test1 --display-name testnet1 --ipv4-network 10.100.0.0 --ipv4-prefix 24 --network-mode virtual
vnctl interfaces add --uuid if-inst1 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:01 --network-uuid nw-test1 --ipv4-address 10.100.0.10 --port-name inst1
vnctl interfaces add --uuid if-inst2 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:02 --network-uuid nw-test1 --ipv4-address 10.100.0.11 --port-name inst2
";

/// What the tutorial makes, as a file.
const TOPOLOGY: &str = "\
labels: {app: tutorial}
datapaths:
- {uuid: dp-test1, display_name: test1, dpid: 0x0000aaaaaaaaaaaa, node_id: vna}
networks:
- {uuid: nw-test1, display_name: testnet1, ipv4_network: 10.100.0.0, ipv4_prefix: 24}
interfaces:
- uuid: if-inst1
  owner_datapath_uuid: dp-test1
  mac_address: 10:54:FF:00:00:01
  network_uuid: nw-test1
  ipv4_address: 10.100.0.10
  port_name: inst1
- uuid: if-inst2
  owner_datapath_uuid: dp-test1
  mac_address: 10:54:FF:00:00:02
  network_uuid: nw-test1
  ipv4_address: 10.100.0.11
  port_name: inst2
";

#[test]
fn the_tutorials_commands_work_as_they_stand() {
    let manager = RunningManager::start();
    for line in TUTORIAL.lines() {
        manager.vnctl(line.trim_start_matches("vnctl ")).printed();
    }
    let interface = manager.json("interfaces show if-inst1");
    assert_eq!(interface["network_uuid"], "nw-test1");
    assert_eq!(interface["ipv4_address"], "10.100.0.10");
    let list = manager.vnctl("interfaces show").printed();
    assert!(list.contains("if-inst2") && list.contains("10:54:ff:00:00:02"), "{list}");
    // As the next tutorial moves an interface: find its lease, delete it, make another.
    let shown = manager.vnctl("interfaces show if-inst2").printed();
    let lease = shown.split_whitespace().find(|word| word.starts_with("il-")).expect("a lease").to_owned();
    manager.vnctl(&format!("ip-leases del {lease}")).printed();
    manager
        .vnctl("ip-leases add --interface-uuid if-inst2 --network-uuid nw-test1 --ipv4-address 10.100.0.12")
        .printed();
    assert_eq!(manager.json("interfaces show if-inst2")["ipv4_address"], "10.100.0.12");
}

#[test]
fn a_batch_makes_the_same_line_by_line_and_at_once() {
    let by_line = RunningManager::start();
    by_line.with_input("batch", TUTORIAL).printed();
    let at_once = RunningManager::start();
    let before = at_once.revision();
    at_once.with_input("batch --atomic", TUTORIAL).printed();
    assert_eq!(at_once.revision(), before + 1);
    for manager in [&by_line, &at_once] {
        assert_eq!(manager.json("interfaces list --network-uuid nw-test1").as_array().map(Vec::len), Some(2));
    }
    let outcome = at_once
        .with_input("batch", "networks add --uuid nw-b --ipv4-network 10.0.0.0\nnetworks add --uuid nw-b");
    assert_eq!(outcome.exit, Exit::Refused);
    assert!(outcome.err.contains("line 2"), "{}", outcome.err);
}

#[test]
fn a_file_is_applied_in_one_revision_and_a_second_time_in_none() {
    let manager = RunningManager::start();
    let before = manager.revision();
    let apply = |text: &str, flags: &str| manager.with_input(&format!("apply -f - {flags}"), text);
    let rehearsal = apply(TOPOLOGY, "--dry-run").printed();
    assert!(rehearsal.contains("+ networks nw-test1"), "{rehearsal}");
    assert_eq!(manager.revision(), before);
    apply(TOPOLOGY, "").printed();
    assert_eq!(manager.revision(), before + 1);
    let again = apply(TOPOLOGY, "").printed();
    assert!(again.starts_with("nothing to change"), "{again}");
    assert_eq!(manager.revision(), before + 1);
    let changed = apply(&TOPOLOGY.replace("10.100.0.11", "10.100.0.12"), "").printed();
    assert!(
        changed.contains(r#"~ interfaces if-inst2: ipv4_address "10.100.0.11" → "10.100.0.12""#),
        "{changed}"
    );
    assert_eq!(manager.revision(), before + 2);
}

#[test]
fn rules_are_applied_with_what_they_belong_to_and_once_only() {
    let manager = RunningManager::start();
    let apply = |text: &str| manager.with_input("apply -f -", text).printed();
    let topology = "networks: [{uuid: nw-a, ipv4_network: 10.0.0.0}]
security_groups:
  - {uuid: sg-app, rules: [{direction: ingress, protocol: tcp, port: 8080, remote_group_uuid: sg-web}, {direction: egress}]}
  - {uuid: sg-web, rules: [{direction: ingress, protocol: tcp, port: 80-81}]}
interfaces: [{uuid: if-a, network_uuid: nw-a, security_groups: [sg-web, sg-app], enable_filtering: true}]
filters:
  - uuid: fil-a
    interface_uuid: if-a
    mode: static
    rules:
      - {protocol: ip, action: pass}
      - {protocol: tcp, action: drop, dst_port: 22, src_address: 10.0.0.0/24, priority: 1, log: true}
";
    assert!(apply(topology).contains("5 created"));
    let again = apply(topology);
    assert!(again.starts_with("nothing to change"), "{again}");
    let fewer = topology.replace(", {direction: egress}", "").replace("dst_port: 22", "dst_port: 23");
    let changed = apply(&fewer);
    assert!(changed.contains("2 changed"), "{changed}");
    let rules = manager.vnctl("filters static show fil-a").printed();
    assert!(rules.contains("23") && !rules.contains("22"), "{rules}");
}

#[test]
fn translations_are_applied_with_their_static_addresses_and_once_only() {
    let manager = RunningManager::start();
    let apply = |text: &str| manager.with_input("apply -f -", text).printed();
    let topology = "networks: [{uuid: nw-in, ipv4_network: 10.0.0.0}, {uuid: nw-out, ipv4_network: 198.51.100.0}]
interfaces:
  - {uuid: if-out, mode: simulated, enable_routing: true, enable_route_translation: true, network_uuid: nw-out,
     mac_address: '02:00:00:00:00:01'}
ip_leases:
  - {uuid: il-1, network_uuid: nw-out, interface_uuid: if-out, ipv4_address: 198.51.100.1}
  - {uuid: il-2, network_uuid: nw-out, interface_uuid: if-out, ipv4_address: 198.51.100.2, enable_routing: true}
translations:
  - uuid: tr-static
    interface_uuid: if-out
    mode: static_address
    static_addresses:
      - {ingress_ipv4_address: 198.51.100.1, egress_ipv4_address: 10.0.0.1}
      - {ingress_ipv4_address: 198.51.100.2, egress_ipv4_address: 10.0.0.2, ingress_port_number: 80,
         egress_port_number: 8080, protocol: tcp}
  - {uuid: tr-source, interface_uuid: if-out, mode: source, source_prefixes: [10.9.0.0/16, 10.8.0.0/16],
     source_network_uuid: nw-in, external_addresses: [198.51.100.2]}
";
    assert!(apply(topology).contains("7 created"));
    let again = apply(topology);
    assert!(again.starts_with("nothing to change"), "{again}");
    let changed = apply(&topology.replace("10.0.0.1}", "10.0.0.3}"));
    assert!(changed.contains("1 changed"), "{changed}");
    let entries = manager.vnctl("translations static_address show tr-static").printed();
    assert!(entries.contains("10.0.0.3") && !entries.contains("10.0.0.1"), "{entries}");
    manager.vnctl("translations static-address del tr-static --ingress-port-number 80").printed();
    let left = manager.json("translations static-address show tr-static");
    assert_eq!(left.as_array().map(Vec::len), Some(1));
}

#[test]
fn pruning_deletes_what_the_file_no_longer_describes_and_no_more() {
    let manager = RunningManager::start();
    let apply = |text: &str, flags: &str| manager.with_input(&format!("apply -f - {flags}"), text).printed();
    apply(TOPOLOGY, "");
    manager.vnctl("networks add --uuid nw-other --ipv4-network 10.0.0.0").printed();
    let without = TOPOLOGY.split("- uuid: if-inst2").next().expect("a text");
    let pruned = apply(without, "--prune --label app=tutorial");
    assert_eq!(pruned.lines().next(), Some("- interfaces if-inst2"), "{pruned}");
    assert!(apply(without, "--prune --label app=tutorial").starts_with("nothing to change"));
    let rest = |collection: &str| manager.json(&format!("{collection} show")).as_array().map(Vec::len);
    assert_eq!([rest("interfaces"), rest("networks"), rest("ip-leases")], [Some(1), Some(2), Some(1)]);
    let all = apply("{}", "--prune --label app=tutorial");
    assert!(all.contains("- networks nw-test1") && !all.contains("nw-other"), "{all}");
    assert_eq!([rest("interfaces"), rest("networks"), rest("ip-leases")], [Some(0), Some(1), Some(0)]);
}

#[test]
fn what_the_manager_finds_wrong_in_a_file_is_told_with_file_and_object() {
    let manager = RunningManager::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("topology.yaml");
    let check = |text: &str, parts: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        let outcome = manager.vnctl(&format!("apply -f {}", Path::display(&file)));
        assert_eq!(outcome.exit, Exit::Refused, "{text}: {outcome:?}");
        assert!(parts.iter().all(|part| outcome.err.contains(part)), "{text}: {}", outcome.err);
    };
    check(
        &TOPOLOGY.replace("10.100.0.11", "10.9.0.11"),
        &["topology.yaml: interfaces if-inst2", "ipv4_address"],
    );
    check("networks: [{uuid: nw-a}]", &["topology.yaml: networks nw-a", "ipv4_network"]);
    check("networks: [{uuid: no-network}]", &["topology.yaml: networks no-network"]);
    assert_eq!(manager.json("networks show"), json!([]));
}

#[test]
fn attributes_labels_and_ports_are_changed_and_cleared() {
    let manager = RunningManager::start();
    manager.with_input("batch", TUTORIAL).printed();
    manager.vnctl("interfaces modify if-inst1 --enable_routing true --label a=1 --label b=1").printed();
    manager.vnctl("interfaces modify if-inst1 --label a= --port-name ''").printed();
    let interface = manager.json("interfaces show if-inst1");
    assert_eq!(interface["enable_routing"], true);
    assert_eq!(interface["labels"], json!({ "b": "1" }));
    assert_eq!(interface["port_name"], Value::Null);
    manager.vnctl("interfaces modify if-inst1 --no-enable-routing").printed();
    assert_eq!(manager.json("interfaces show if-inst1")["enable_routing"], false);
    manager.vnctl("interfaces ports add if-inst1 --port-name eth7").printed();
    assert!(manager.vnctl("interfaces ports show if-inst1").printed().contains("eth7"));
    manager.vnctl("interfaces ports del if-inst1 --port-name eth7").printed();
    assert!(!manager.vnctl("interfaces ports show if-inst1").printed().contains("eth7"));
    assert_eq!(manager.vnctl("networks modify nw-test1 --display-name x --if-match 999").exit, Exit::Refused);
}

#[test]
fn leases_are_released_and_attached_again() {
    let manager = RunningManager::start();
    manager.with_input("batch", TUTORIAL).printed();
    let lease = manager.json("ip-leases show --ipv4-address 10.100.0.10")[0]["uuid"]
        .as_str()
        .expect("an id")
        .to_owned();
    manager.vnctl(&format!("ip-leases release {lease}")).printed();
    assert_eq!(manager.json(&format!("ip-leases show {lease}"))["interface_uuid"], Value::Null);
    manager.vnctl(&format!("ip-leases attach {lease} --interface-uuid if-inst1")).printed();
    assert_eq!(manager.json(&format!("ip-leases show {lease}"))["interface_uuid"], "if-inst1");
}

#[test]
fn a_host_that_never_came_is_told_by_status_hosts_and_waiting() {
    let manager = RunningManager::start();
    assert_eq!(manager.vnctl("status").exit, Exit::Success);
    manager.vnctl("datapaths add --dpid 0xa --node-id host1").printed();
    assert_eq!(manager.vnctl("status").exit, Exit::Refused);
    assert!(manager.vnctl("hosts").printed().contains("host1"));
    assert!(manager.vnctl("hosts show host1").printed().contains("host1"));
    assert_eq!(manager.vnctl("hosts token --node-id host2").printed().lines().count(), 1);
    let outcome = manager.vnctl("datapaths add --dpid 0xb --node-id host3 --wait --timeout 1");
    assert_eq!(outcome.exit, Exit::Pending, "{outcome:?}");
    assert!(outcome.err.contains("host3"), "{}", outcome.err);
}
