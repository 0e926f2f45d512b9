//! The report on what topologies cost in flows, `docs/flow-counts.md`: it is what the compiler makes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use dataplane::Owner;
use serde_json::json;
use topology::datapath::Encapsulation::Geneve;

use crate::network::guest;
use crate::plan::Plan;
use crate::translation::{address, shared, translated};
use crate::{physical, protection, routing, translation};

/// Set to write the report anew.
const BLESS: &str = "OPENVNET_BLESS";

const HEAD: &str = "# Flow counts

What topologies cost the switch of each host, as the compiler makes it (`cargo test -p dataplane report`; `OPENVNET_BLESS=1`
writes this page). All hosts tunnel by Geneve; networks have IPv4 and IPv6 unless said otherwise. Flows are counted by what
they belong to, as their cookies say (an identity is a distinct set of security groups); OpenFlow's groups and meters follow.

";

/// Kinds of owners, in the order of the columns.
const KINDS: [&str; 9] =
    ["pipeline", "interfaces", "peers", "domains", "routers", "filters", "groups", "translations", "other"];

fn kind(owner: Option<Owner>) -> &'static str {
    match owner {
        Some(Owner::Base(_)) => "pipeline",
        Some(Owner::Interface(_)) => "interfaces",
        Some(Owner::Peer(_)) => "peers",
        Some(Owner::Domain(_)) => "domains",
        Some(Owner::RouteLink(_) | Owner::Route(_)) => "routers",
        Some(Owner::Filter(_)) => "filters",
        Some(Owner::Identity(_)) => "identities",
        Some(Owner::Translation(_)) => "translations",
        _ => "other",
    }
}

/// A network with this many guests on each of three hosts.
fn spread(each: u8) -> Plan {
    (1..=3 * each).fold(Plan::hosts(&[Geneve; 3]).with_network("nw-a"), |plan, number| {
        plan.with_interface(number % 3, guest(&format!("if-{number}"), "nw-a", number))
    })
}

/// The same, all guests in one security group whose members may talk by TCP.
fn grouped(each: u8) -> Plan {
    let rules = json!([{"direction": "ingress", "protocol": "tcp", "remote_group_uuid": "sg-a"},
        {"direction": "egress", "protocol": "tcp", "remote_group_uuid": "sg-a"}]);
    let plan = Plan::hosts(&[Geneve; 3]).with_network("nw-a");
    let plan = plan.with("security_groups", json!({"uuid": "sg-a", "rules": rules}));
    (1..=3 * each).fold(plan, |plan, number| {
        let mut attributes = guest(&format!("if-{number}"), "nw-a", number);
        attributes["security_groups"] = json!(["sg-a"]);
        plan.with_interface(number % 3, attributes)
    })
}

/// One guest of six with a filter.
fn filtered(rules: serde_json::Value) -> Plan {
    let mut plan = spread(2);
    plan.update("interfaces", "if-1", json!({"enable_filtering": true}));
    plan.with("filters", json!({"uuid": "fil-1", "interface_uuid": "if-1", "mode": "static", "rules": rules}))
}

fn report() -> String {
    let rules = json!([{"protocol": "arp", "action": "pass"},
        {"protocol": "tcp", "action": "pass", "dst_port": 80}, {"protocol": "icmp", "action": "drop"}]);
    let stateful = json!([{"protocol": "arp", "action": "pass"},
        {"protocol": "tcp", "action": "conn", "dst_port": 80}, {"protocol": "ip", "action": "conn", "direction": "egress"}]);
    let hosts = [Geneve; 3];
    let plans = [
        ("three hosts, no network", Plan::hosts(&hosts)),
        ("a network, 2 guests on each of 3 hosts", spread(2)),
        ("the same, 20 guests on each", spread(20)),
        ("3 networks, 2 routers, 4 guests on 3 hosts", routing::plan(Plan::hosts(&hosts))),
        ("a network of 6 guests, one with a filter of 3 rules", filtered(rules)),
        ("the same, by connection", filtered(stateful)),
        ("web, application and database in groups, 4 guests on 2 hosts", protection::tiers_plan(2)),
        ("2 guests on each of 3 hosts in one group", grouped(2)),
        ("the same, 20 guests on each", grouped(20)),
        ("2 networks, a router with 2 static addresses (IPv4)", {
            translated(translation::plan(&hosts), json!([address(101, 1), address(102, 2)]))
        }),
        ("the same with source translation", shared(translation::plan(&hosts))),
        ("a network, a router and a physical network, 2 uplinks", physical::three_plan()),
    ];
    let mut text = HEAD.to_owned();
    for (name, plan) in plans {
        write!(text, "## {}{}\n\n", name[..1].to_uppercase(), &name[1..]).expect("a string takes all");
        let columns: Vec<_> = KINDS.iter().filter(|kind| **kind != "other").collect();
        let header: Vec<_> = columns.iter().map(|kind| kind.to_string()).collect();
        writeln!(text, "| host | flows | {} | groups | meters |", header.join(" | ")).expect("a string");
        writeln!(text, "|{}", " --- |".repeat(columns.len() + 4)).expect("a string");
        for host in plan.all_hosts() {
            let program = plan.program(host);
            let mut counts: BTreeMap<_, usize> = BTreeMap::new();
            for flow in program.flows.values() {
                *counts.entry(kind(Owner::of_cookie(flow.cookie))).or_default() += 1;
            }
            assert_eq!(counts.get("other"), None, "a kind of flows that the report does not know");
            let cells: Vec<_> =
                columns.iter().map(|kind| counts.get(**kind).unwrap_or(&0).to_string()).collect();
            let (flows, groups, meters) = (program.flows.len(), program.groups.len(), program.meters.len());
            writeln!(text, "| {} | {flows} | {} | {groups} | {meters} |", host + 1, cells.join(" | "))
                .expect("a string");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[test]
fn the_report_on_flow_counts_is_what_the_compiler_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/flow-counts.md");
    let report = report();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &report).expect("a file that can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == report,
        "docs/flow-counts.md is out of date: {BLESS}=1 cargo test -p dataplane report"
    );
}
