//! How many flows a thing costs: the budget of the design.

use std::collections::BTreeMap;

use dataplane::Owner;
use serde_json::{Value, json};
use topology::datapath::Encapsulation::{self, Geneve};

use crate::frames::*;
use crate::network::guest;
use crate::plan::Plan;
use crate::translation::{self, address, shared, translated};

/// Flows of a local interface and for each of its addresses; the link-local one counts.
const LOCAL: (usize, usize) = (7, 4);
/// Flows of a remote interface and for each of its addresses.
const REMOTE: (usize, usize) = (1, 1);
/// Flows of another host.
const PEER: usize = 2;

/// Checks what an interface with this many addresses costs where it is, and elsewhere.
fn check(plan: Plan, addresses: usize) {
    let interface = Owner::Interface(plan.interface_key("if-1"));
    let plan = plan.with_interface(1, json!({"uuid": "if-2", "network_uuid": "nw-a"}));
    for (host, (fixed, each)) in [(0, LOCAL), (1, REMOTE)] {
        let flows = flows_by_owner(&plan, host)[&interface];
        assert!(flows <= fixed + each * addresses, "{flows} flows at host {host}");
    }
}

fn flows_by_owner(plan: &Plan, host: u8) -> BTreeMap<Owner, usize> {
    let mut counts = BTreeMap::new();
    for flow in plan.program(host).flows.values() {
        let owner = Owner::of_cookie(flow.cookie).expect("every flow has an owner");
        *counts.entry(owner).or_default() += 1;
    }
    counts
}

fn in_network(network: Value, interface: Value) -> Plan {
    Plan::hosts(&[Geneve, Geneve]).with("networks", network).with_interface(0, interface)
}

#[test]
fn an_interface_costs_no_more_than_its_budget() {
    let ipv4_only = json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"});
    let mut interface = guest("if-1", "nw-a", 1);
    interface["ipv6_address"] = Value::Null;
    check(in_network(ipv4_only, interface), 1);

    let dual = json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv6_network": "fd00::"});
    check(in_network(dual.clone(), guest("if-1", "nw-a", 1)), 3);

    let lease = json!({"interface_uuid": "if-1", "network_uuid": "nw-a", "ipv4_address": ipv4(5)});
    check(in_network(dual, guest("if-1", "nw-a", 1)).with("ip_leases", lease), 4);

    let mac = topology::MacAddr(mac(1)).to_string();
    let plan = Plan::hosts(&[Geneve, Geneve]).with_network("nw-a").with_segment("seg-a");
    check(plan.with_interface(0, json!({"uuid": "if-1", "segment_uuid": "seg-a", "mac_address": mac})), 0);
}

#[test]
fn a_host_costs_two_flows_whatever_it_has() {
    let mut plan = Plan::hosts(&[Geneve; 4]).with_network("nw-a");
    for number in 1..9 {
        plan = plan.with_interface(number % 4, guest(&format!("if-{number}"), "nw-a", number));
    }
    let peers = flows_by_owner(&plan, 0).into_iter().filter(|(owner, _)| matches!(owner, Owner::Peer(_)));
    assert_eq!(peers.map(|(_, flows)| flows).collect::<Vec<_>>(), [PEER; 3]);
}

/// Flows of a static address where its guest is, and elsewhere; and of each host that shares an address.
const STATIC: (usize, usize) = (4, 1);
const SHARER: usize = 2;

/// Flows of the translations of a plan.
fn translating(plan: &Plan, host: u8) -> usize {
    let flows = flows_by_owner(plan, host).into_iter();
    flows.filter(|(owner, _)| matches!(owner, Owner::Translation(_))).map(|(_, flows)| flows).sum()
}

#[test]
fn a_translation_costs_the_same_for_each_address_and_for_each_host() {
    let hosts = [Geneve; 3];
    let plan = translated(translation::plan(&hosts), json!([address(101, 1), address(102, 2)]));
    let (here, elsewhere) = STATIC;
    assert_eq!(
        [0, 1, 2].map(|host| translating(&plan, host)),
        [here + elsewhere, here + elsewhere, 2 * elsewhere]
    );
    let of_source = |hosts: &[Encapsulation]| translating(&shared(translation::plan(hosts)), 0);
    assert_eq!(of_source(&hosts[..2]), of_source(&hosts[..1]) + SHARER);
    // A host without a guest that shares has no share.
    assert_eq!(of_source(&hosts), of_source(&hosts[..2]));
}
