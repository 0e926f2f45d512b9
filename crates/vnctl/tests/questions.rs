//! Questions about packets against a real manager: traces, reachability, policies, and topologies that are only proposed.

#[path = "support/mod.rs"]
mod support;

use serde_json::Value;
use support::Outcome;
use support::manager::RunningManager;
use vnctl::Exit;

/// Two networks and a router; a member of each of two groups, and one of none.
const TOPOLOGY: &str = "\
datapaths:
- {uuid: dp-a, dpid: 0xa, node_id: host-a}
networks:
- {uuid: nw-a, ipv4_network: 10.1.0.0, ipv6_network: 'fd00:1::'}
- {uuid: nw-b, ipv4_network: 10.2.0.0, ipv6_network: 'fd00:2::'}
- {uuid: nw-c, ipv4_network: 10.3.0.0}
route_links:
- {uuid: rl-a}
security_groups:
- uuid: sg-web
  rules: [{direction: egress}]
- uuid: sg-app
  rules: [{direction: ingress, protocol: tcp, port: 8080, remote_group_uuid: sg-web}]
interfaces:
- {uuid: if-leg-a, mode: simulated, enable_routing: true, network_uuid: nw-a, mac_address: '02:00:00:00:0a:01', ipv4_address: 10.1.0.1, ipv6_address: 'fd00:1::1'}
- {uuid: if-leg-b, mode: simulated, enable_routing: true, network_uuid: nw-b, mac_address: '02:00:00:00:0b:01', ipv4_address: 10.2.0.1, ipv6_address: 'fd00:2::1'}
- {uuid: if-web, network_uuid: nw-a, mac_address: '02:00:00:00:0a:02', ipv4_address: 10.1.0.2, ipv6_address: 'fd00:1::2', security_groups: sg-web}
- {uuid: if-app, network_uuid: nw-b, mac_address: '02:00:00:00:0b:02', ipv4_address: 10.2.0.2, ipv6_address: 'fd00:2::2', security_groups: sg-app}
- {uuid: if-any, network_uuid: nw-b, mac_address: '02:00:00:00:0b:03', ipv4_address: 10.2.0.3, ipv6_address: 'fd00:2::3'}
- {uuid: if-lone, network_uuid: nw-c, mac_address: '02:00:00:00:0c:02', ipv4_address: 10.3.0.2}
routes:
- {uuid: r-a4, interface_uuid: if-leg-a, network_uuid: nw-a, route_link_uuid: rl-a, ipv4_network: 10.1.0.0}
- {uuid: r-b4, interface_uuid: if-leg-b, network_uuid: nw-b, route_link_uuid: rl-a, ipv4_network: 10.2.0.0}
- {uuid: r-a6, interface_uuid: if-leg-a, network_uuid: nw-a, route_link_uuid: rl-a, ipv6_network: 'fd00:1::'}
- {uuid: r-b6, interface_uuid: if-leg-b, network_uuid: nw-b, route_link_uuid: rl-a, ipv6_network: 'fd00:2::'}
";

/// A manager that knows [`TOPOLOGY`].
struct Lab(RunningManager);

impl Lab {
    fn start() -> Self {
        let manager = RunningManager::start();
        manager.with_input("apply -f -", TOPOLOGY).printed();
        Self(manager)
    }

    /// Asks, and checks how that ends and that the answer has these texts.
    fn check(&self, line: &str, exit: Exit, texts: &[&str]) {
        check(&self.0.vnctl(line), line, exit, texts);
    }

    fn policy(&self, statements: &str, exit: Exit, texts: &[&str]) {
        check(&self.0.with_input("assert -f -", statements), statements, exit, texts);
    }
}

fn check(outcome: &Outcome, asked: &str, exit: Exit, texts: &[&str]) {
    assert_eq!(outcome.exit, exit, "{asked}\n{}{}", outcome.out, outcome.err);
    let said = format!("{}{}", outcome.out, outcome.err);
    assert!(texts.iter().all(|text| said.contains(text)), "{asked}: {texts:?} in {said}");
}

#[test]
fn a_trace_says_what_becomes_of_a_packet_and_what_would_help() {
    let lab = Lab::start();
    // Nobody is plugged in: a trace speaks of what is, a policy of what is allowed.
    lab.check(
        "trace if-web --to if-app --tcp 8080",
        Exit::No,
        &["10.1.0.2:50000 > 10.2.0.2:8080", "to let it pass"],
    );
    lab.check("trace if-lone --to if-app", Exit::No, &["nw-c", "no router"]);
    lab.check("trace if-web --to 10.1.0.77", Exit::No, &["who has 10.1.0.77"]);
    lab.check("trace if-web --to if-lone --icmpv6", Exit::Refused, &["family"]);
    lab.check("trace if-nobody --to if-app", Exit::Refused, &["if-nobody"]);
    lab.check("trace if-web --to nonsense", Exit::Refused, &["nonsense"]);
    lab.check("trace if-web --to if-app --tcp 80 --udp 80", Exit::Usage, &[]);
    lab.check("trace if-web --to if-app --tcp 80 --length 10", Exit::Refused, &["40 bytes"]);
}

#[test]
fn a_trace_is_told_to_programs() {
    let lab = Lab::start();
    let outcome = lab.0.vnctl("trace if-web --to if-app --tcp 8080 --ttl 3 --source-port 7 --output json");
    let trace: Value = serde_json::from_str(&outcome.out).expect("JSON");
    assert_eq!(trace["arrives"], "never");
    assert_eq!(trace["packet"]["destination"], "02:00:00:00:0a:01", "its router's leg");
    assert_eq!(trace["packet"]["content"]["ip"]["hops"], 3);
    assert_eq!(trace["packet"]["content"]["ip"]["payload"]["tcp"]["source_port"], 7);
}

#[test]
fn reachability_is_what_groups_and_routers_allow_on_any_port() {
    let lab = Lab::start();
    let row = |line: &str, from: &str, to: &str| {
        let said = lab.0.vnctl(line).printed();
        let row =
            said.lines().find(|row| row.starts_with(from) && row.split_whitespace().any(|word| word == to));
        row.map(|row| row.split("  ").last().unwrap_or_default().trim().to_owned())
    };
    let all = "reach --network nw-a --network nw-b";
    assert_eq!(row(all, "if-web", "if-app").as_deref(), Some("tcp 8080"));
    assert_eq!(row(all, "if-web", "if-any").as_deref(), Some("anything"));
    assert_eq!(row(all, "if-app", "if-web"), None);
    assert_eq!(row(all, "if-any", "if-app"), None);
    assert_eq!(row("reach --tcp 80,8080 --icmp", "if-web", "if-app").as_deref(), Some("tcp 8080"));
    lab.check("reach --from if-lone --to nw-a", Exit::Success, &["nobody reaches anybody"]);
    lab.check("reach --network nw-zzz", Exit::Refused, &["nw-zzz"]);
    lab.check("reach --tcp nonsense", Exit::Refused, &["nonsense"]);
    lab.check("reach --network nw-a --to nw-b", Exit::Usage, &["--from"]);
}

#[test]
fn a_policy_is_kept_or_one_packet_shows_that_it_is_not() {
    let lab = Lab::start();
    lab.policy("- {name: lonely, from: nw-c, to: any, never: any}", Exit::Success, &["lonely: holds"]);
    lab.policy("- {from: sg-web, to: sg-app, only: tcp 8080}", Exit::Success, &["statement 1: holds"]);
    lab.policy("statements: [{from: sg-web, to: sg-app, reaches: tcp/8080}]", Exit::Success, &["holds"]);
    lab.policy(
        "- {from: sg-web, to: sg-app, never: any}",
        Exit::No,
        &[
            "VIOLATED",
            "if-web reaches if-app: tcp 8080",
            "10.1.0.2:50000 > 10.2.0.2:8080",
            "delivered to if-app",
        ],
    );
    lab.policy(
        "- {from: any, to: sg-app, reaches: [tcp 8080, icmp]}",
        Exit::No,
        &["if-any does not reach if-app: tcp 8080; icmp", "to let it pass"],
    );
    lab.policy("- {from: if-leg-a, to: any, never: any}", Exit::Refused, &["statements[0].from", "no guest"]);
    lab.policy("- {from: any, to: any}", Exit::Refused, &["statements[0]"]);
    lab.policy("- {from: any, to: any, never: tcp, reaches: tcp 22}", Exit::Refused, &["tcp 22"]);
    lab.policy("- {from: any, to: any, nevr: tcp}", Exit::Refused, &["nevr"]);
    lab.policy("nonsense", Exit::Usage, &["statements"]);
    lab.policy("[]", Exit::Success, &[]);
}

#[test]
fn a_policy_is_held_against_a_topology_before_it_is_applied() {
    let lab = Lab::start();
    let policy = lab.0.file("policy.yaml", "- {name: closed, from: any, to: if-any, never: tcp 22}\n");
    let closed = lab.0.file(
        "closed.yaml",
        "security_groups: [{uuid: sg-shut, rules: []}]\n\
         interfaces: [{uuid: if-any, security_groups: sg-shut}]\n",
    );
    lab.check(&format!("assert -f {policy}"), Exit::No, &["closed: VIOLATED"]);
    lab.check(&format!("assert -f {policy} --with {closed}"), Exit::Success, &["closed: holds"]);
    lab.check(&format!("assert -f {policy}"), Exit::No, &["closed: VIOLATED"]);
    lab.check(&format!("reach --to if-any --with {closed}"), Exit::Success, &["nobody reaches anybody"]);
    let wrong = lab.0.file("wrong.yaml", "networks: [{uuid: nw-a, ipv4_network: 10.9.0.0}]\n");
    lab.check(&format!("trace if-web --to if-any --with {wrong}"), Exit::Refused, &[]);
}
