//! What command lines ask a manager, and what they make of its answers.

#[path = "support/mod.rs"]
mod support;

use std::io::{self, ErrorKind, Write};

use serde_json::{Value, json};
use support::fake::{Answer, Fake, answer};
use support::{vnctl, vnctl_with_input};
use vnctl::{Environment, Exit, Streams, run};

fn refusal(status: u16, error: &str, message: &str, field: &str) -> Answer {
    answer(status, json!({ "error": error, "code": "1", "message": message, "field": field }))
}

/// A line makes exactly these requests, and goes well.
fn check_requests(line: &str, answers: &[Value], expected: &[&str]) -> Vec<support::fake::Asked> {
    let fake = Fake::new(answers.iter().cloned().map(|body| answer(200, body)));
    vnctl(&fake.address(), line).printed();
    assert_eq!(fake.lines(), expected, "{line}");
    fake.asked()
}

/// A line whose one request is answered so ends so, and says all of this on standard error.
fn check_exit(line: &str, told: Answer, expected: Exit, parts: &[&str]) {
    let fake = Fake::new([told]);
    let outcome = vnctl(&fake.address(), line);
    assert_eq!(outcome.exit, expected, "{line}: {outcome:?}");
    assert!(parts.iter().all(|part| outcome.err.contains(part)), "{line}: {}", outcome.err);
}

#[test]
fn each_command_is_one_request() {
    let object = json!({ "uuid": "nw-a" });
    let one = |line: &str, expected: &str| {
        check_requests(line, std::slice::from_ref(&object), &[expected]).remove(0)
    };
    let asked = one("networks add --uuid nw-a --ipv4-prefix 24 --label a=b", "POST /api/1.0/networks");
    assert_eq!(asked.body, json!({ "uuid": "nw-a", "ipv4_prefix": 24, "labels": { "a": "b" } }));
    let asked = one("networks modify nw-a --segment-uuid '' --if-match 7", "PUT /api/1.0/networks/nw-a");
    assert_eq!((asked.body, asked.if_match.as_deref()), (json!({ "segment_uuid": "" }), Some("\"7\"")));
    one("networks show nw-a", "GET /api/1.0/networks/nw-a");
    one("interfaces show if-a --wait", "GET /api/1.0/interfaces/if-a?wait=active&timeout=30");
    one("networks del nw-a", "DELETE /api/1.0/networks/nw-a");
    one("networks del nw-a --wait --timeout 9", "DELETE /api/1.0/networks/nw-a?wait=realized&timeout=9");
    one("interfaces ports add if-a --port-name x", "POST /api/1.0/interfaces/if-a/ports");
    one("interfaces ports del if-a --port-name x", "DELETE /api/1.0/interfaces/if-a/ports?port_name=x");
    one("ip-leases attach il-a --interface-uuid if-a", "PUT /api/1.0/ip_leases/il-a/attach");
    one("ip-leases release il-a", "PUT /api/1.0/ip_leases/il-a/release");
    one("dns-services dns-records show dnss-a dnsr-a", "GET /api/1.0/dns_services/dnss-a/dns_records/dnsr-a");
    let added = "POST /api/1.0/lease_policies/lp-a/networks/nw-a";
    let asked = one("lease-policies networks add lp-a nw-a --ip-range-group-uuid iprg-a", added);
    assert_eq!(asked.body, json!({ "ip_range_group_uuid": "iprg-a" }));
    one("lease-policies networks del lp-a nw-a", "DELETE /api/1.0/lease_policies/lp-a/networks/nw-a");
    one("lease-policies ip-leases add lp-a", "POST /api/1.0/lease_policies/lp-a/ip_leases");
    one("hosts show host1", "GET /api/1.0/hosts/host1");
    one("api get networks?limit=1", "GET /api/1.0/networks?limit=1");
}

#[test]
fn several_deletions_are_one_change() {
    let asked =
        check_requests("networks del nw-a nw-b", &[json!({ "results": [] })], &["POST /api/1.0/batch"]);
    let delete = |uuid: &str| json!({ "op": "delete", "resource": "networks", "uuid": uuid });
    assert_eq!(asked[0].body, json!({ "operations": [delete("nw-a"), delete("nw-b")] }));
}

#[test]
fn changed_labels_are_merged_with_those_that_were_read() {
    let network = json!({ "uuid": "nw-a", "labels": { "a": "1", "b": "1" }, "revision": 3 });
    let expected = ["GET /api/1.0/networks/nw-a", "PUT /api/1.0/networks/nw-a"];
    let asked =
        check_requests("networks modify nw-a --label a= --label c=1", &[network.clone(), network], &expected);
    assert_eq!(asked[1].body, json!({ "labels": { "b": "1", "c": "1" } }));
    assert_eq!(asked[1].if_match.as_deref(), Some("\"3\""));
}

#[test]
fn lists_are_read_to_their_end() {
    let page = |count: usize| {
        let items: Vec<_> = (0..count).map(|index| json!({ "uuid": format!("nw-{index}") })).collect();
        json!({ "items": items })
    };
    let list = |line: &str, answers: &[Value], expected: &[&str]| {
        check_requests(line, answers, expected);
    };
    let path = |rest: &str| format!("GET /api/1.0/networks?{rest}");
    let whole = [path("limit=1000&offset=0"), path("limit=1000&offset=1000")];
    list("networks show", &[page(1000), page(3)], &whole.each_ref().map(String::as_str));
    list("networks show --limit 5 --offset 2", &[page(5)], &[&path("limit=5&offset=2")]);
    list("networks show --limit 0", &[], &[]);
    let filtered = path("mode=virtual&label=a%3Db&limit=1000&offset=0");
    list("networks show --mode virtual --label a=b", &[page(0)], &[&filtered]);
    list(
        "active-ports show --mode unknown",
        &[page(0)],
        &["GET /api/1.0/active_ports?mode=unknown&limit=1000&offset=0"],
    );
}

#[test]
fn results_are_printed_in_the_form_asked_for() {
    let network = json!({ "uuid": "nw-a", "mtu": 1438 });
    let printed = |line: &str| {
        let fake = Fake::new([answer(200, json!({ "items": [network] }))]);
        vnctl(&fake.address(), line).printed()
    };
    assert!(printed("networks show").contains("nw-a"));
    assert_eq!(
        serde_json::from_str::<Value>(&printed("networks show --output json")).ok(),
        Some(json!([network]))
    );
    assert_eq!(printed("networks show --output yml"), "- mtu: 1438\n  uuid: nw-a\n");
}

#[test]
fn what_the_manager_refuses_is_told_with_the_field_and_what_to_do() {
    let told = refusal(422, "ArgumentError", "ipv4_address: not in subnet", "ipv4_address");
    check_exit(
        "interfaces modify if-a",
        told,
        Exit::Refused,
        &["error: ipv4_address: not in subnet", "field: ipv4_address"],
    );
    let told = refusal(400, "MissingArgument", "ipv4_network", "ipv4_network");
    check_exit("networks add", told, Exit::Refused, &["ipv4_network is missing", "--ipv4-network"]);
    let told = refusal(404, "UnknownUUIDResource", "nothing has the uuid nw-a", "uuid");
    check_exit("networks show nw-a", told, Exit::Refused, &["nothing has", "show"]);
    check_exit(
        "networks show",
        refusal(503, "Unavailable", "disk full", ""),
        Exit::Refused,
        &["disk full", "again"],
    );
}

#[test]
fn hosts_that_are_behind_are_named_with_an_exit_code_of_their_own() {
    let body = json!({ "uuid": "nw-a", "realized": { "revision": 7, "pending": ["host1", "host2"] } });
    check_exit("networks add --wait", answer(202, body), Exit::Pending, &["revision 7", "host1, host2"]);
    let header =
        Answer { headers: vec![("OpenVNet-Pending-Hosts", "host3")], ..answer(202, json!(["nw-a"])) };
    check_exit("networks del nw-a --wait", header, Exit::Pending, &["host3"]);
    let body = json!({ "uuid": "if-a", "realized": { "revision": 5, "pending": ["host1"] } });
    check_exit("interfaces show if-a --wait", answer(202, body), Exit::Pending, &["revision 5", "host1"]);
}

#[test]
fn what_is_not_active_in_time_says_how_it_is() {
    let refused = json!({ "state": "error", "reason": "port tap1 is on dp-a" });
    let body = json!({ "uuid": "if-a", "status": refused });
    let parts = ["if-a is error: port tap1 is on dp-a", "hint: `vnctl active-ports show`"];
    check_exit("interfaces show if-a --wait", answer(202, body), Exit::Pending, &parts);
    let body = json!({ "uuid": "if-a", "status": { "state": "unbound", "reason": null } });
    check_exit("interfaces show if-a --wait", answer(202, body), Exit::Pending, &["if-a is unbound\n"]);
}

#[test]
fn whoever_answers_like_no_manager_is_taken_for_none() {
    let told = |status: u16, body: &str| Answer { status, headers: Vec::new(), body: body.to_owned() };
    check_exit("networks show", told(200, "<html>"), Exit::Unreachable, &["200", "VNET_WEBAPI"]);
    check_exit("networks show", told(502, "Bad Gateway"), Exit::Unreachable, &["502"]);
    check_exit("networks show", told(500, "{}"), Exit::Unreachable, &["500"]);
}

#[test]
fn a_manager_that_is_not_there_is_named_with_who_named_it() {
    let silent = Fake::new([]);
    let address = silent.address();
    let outcome = vnctl(&address, "networks show");
    assert_eq!(outcome.exit, Exit::Unreachable);
    assert!(outcome.err.contains(&format!("http://{address}/api/1.0")), "{}", outcome.err);
    assert!(outcome.err.contains("VNET_WEBAPI"), "{}", outcome.err);
    assert!(vnctl("other:1", &format!("networks show --url {address}")).err.contains("--url"));
}

#[test]
fn help_and_completion_need_no_manager() {
    let nobody = "nobody:1";
    let help = vnctl(nobody, "--help").printed();
    assert!(help.contains("Exit codes") && help.contains("mac-leases"), "{help}");
    assert!(vnctl(nobody, "networks help add").printed().contains("--ipv4-network"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(vnctl(nobody, &format!("completions {shell}")).printed().contains("ipv4-network"), "{shell}");
    }
    let manual = tempfile::TempDir::new().expect("a directory");
    vnctl(nobody, &format!("man {}", manual.path().display())).printed();
    let page = std::fs::read_to_string(manual.path().join("vnctl-networks-add.1")).expect("a page");
    assert!(page.contains(r"\-\-ipv4\-network"), "{page}");
    assert_eq!(vnctl(nobody, "netwroks show").exit, Exit::Usage);
}

#[test]
fn a_batch_stops_at_the_first_line_that_fails_unless_it_is_to_go_on() {
    let lines = "# a comment\n\nnetworks del nw-a\n  vnctl networks del nw-b\nnetworks del nw-c\n";
    let answers = || {
        [
            answer(200, json!(["nw-a"])),
            refusal(404, "UnknownUUIDResource", "none", "uuid"),
            answer(200, json!([])),
        ]
    };
    let run = |line: &str| {
        let fake = Fake::new(answers());
        let outcome = vnctl_with_input(&fake.address(), line, lines);
        (outcome, fake.lines().len())
    };
    let (outcome, requests) = run("batch");
    assert_eq!((outcome.exit, requests), (Exit::Refused, 2));
    assert!(outcome.err.contains("line 4"), "{}", outcome.err);
    assert_eq!(outcome.out, "BEGIN (-)\n> networks del nw-a\ndeleted nw-a\n> vnctl networks del nw-b\n");
    let (outcome, requests) = run("batch - --keep-going");
    assert_eq!((outcome.exit, requests), (Exit::Refused, 3));
    assert!(
        outcome.err.contains("line 4") && outcome.err.contains("lines that failed: 1"),
        "{}",
        outcome.err
    );
    assert!(outcome.out.ends_with("deleted nw-c\nEOF\n"), "{}", outcome.out);
}

#[test]
fn an_atomic_batch_is_one_request() {
    let lines = "networks add --uuid nw-a --display-name 'a b'\nnetworks del nw-b nw-c\ninterfaces ports add if-a --singular\n";
    let fake = Fake::new([answer(200, json!({ "revision": 7, "results": [] }))]);
    vnctl_with_input(&fake.address(), "batch --atomic", lines).printed();
    let operations = fake.asked()[0].body["operations"].clone();
    let kinds: Vec<_> =
        operations.as_array().expect("operations").iter().map(|of| of["op"].clone()).collect();
    assert_eq!(kinds, ["create", "delete", "delete", "act"]);
    assert_eq!(operations[0]["attributes"]["display_name"], "a b");
    let outcome = vnctl_with_input("nobody:1", "batch --atomic", "networks del nw-a\n\nnetworks show\n");
    assert_eq!(outcome.exit, Exit::Usage);
    assert!(outcome.err.contains("line 3"), "{}", outcome.err);
}

#[test]
fn a_token_is_all_that_is_printed() {
    let body = json!({ "token": "secret", "expires_at": "2026-01-01T00:00:00Z" });
    let fake = Fake::new([answer(201, body.clone()), answer(201, body)]);
    assert_eq!(vnctl(&fake.address(), "hosts token --node-id host1 --lifetime 2h").printed(), "secret\n");
    assert_eq!(fake.asked()[0].body, json!({ "node_id": "host1", "lifetime_seconds": 7200 }));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let printed = vnctl(&fake.address(), &format!("hosts token --output-file {}", file.display())).printed();
    assert_eq!(printed, "");
    assert_eq!(std::fs::read_to_string(&file).expect("a token"), "secret\n");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn status_is_well_only_if_everything_is() {
    let check = |connected: bool, lag: u64, state: &str, expected: Exit| {
        let fake = Fake::new([
            answer(200, json!({ "revision": 7 })),
            answer(200, json!({ "items": [{ "node_id": "host1", "connected": connected, "lag": lag }] })),
            answer(200, json!({ "items": [{ "uuid": "if-a", "status": { "state": state } }] })),
        ]);
        assert_eq!(vnctl(&fake.address(), "status").exit, expected, "{connected} {lag} {state}");
    };
    check(true, 0, "active", Exit::Success);
    check(true, 1, "active", Exit::Pending);
    check(false, 0, "active", Exit::Refused);
    check(true, 0, "error", Exit::Refused);
}

#[test]
fn a_plan_that_others_overtake_is_made_once_more() {
    let existing =
        |revision: u64| answer(200, json!({ "uuid": "seg-a", "display_name": "x", "revision": revision }));
    let overtaken =
        || refusal(412, "PreconditionFailed", "seg-a is at revision 4, not 3", "operations[0].If-Match");
    let file = "segments: [{uuid: seg-a, display_name: y}]";
    let fake = Fake::new([existing(3), overtaken(), existing(4), answer(200, json!({ "results": [] }))]);
    vnctl_with_input(&fake.address(), "apply -f -", file).printed();
    assert_eq!(fake.asked()[3].body["operations"][0]["if_match"], 4);
    let fake = Fake::new([existing(3), overtaken(), existing(4), overtaken()]);
    let outcome = vnctl_with_input(&fake.address(), "apply -f -", file);
    assert_eq!(outcome.exit, Exit::Refused);
    assert!(
        outcome.err.contains("-: segments seg-a") && outcome.err.contains("changed meanwhile"),
        "{}",
        outcome.err
    );
}

#[test]
fn waiting_for_what_is_as_described_repeats_it_without_a_change() {
    let existing = answer(200, json!({ "uuid": "seg-a", "display_name": "x", "revision": 3 }));
    let late = answer(202, json!({ "results": [], "realized": { "revision": 7, "pending": ["host1"] } }));
    let fake = Fake::new([existing, late]);
    let file = "segments: [{uuid: seg-a, display_name: x}]";
    let outcome = vnctl_with_input(&fake.address(), "apply -f - --wait", file);
    assert_eq!(outcome.exit, Exit::Pending, "{outcome:?}");
    let repetition =
        json!({ "op": "update", "resource": "segments", "uuid": "seg-a", "attributes": {}, "if_match": 3 });
    assert_eq!(fake.asked()[1].body, json!({ "operations": [repetition] }));
}

#[test]
fn a_rehearsal_changes_nothing_and_shows_the_plan() {
    let fake = Fake::new([
        refusal(404, "UnknownUUIDResource", "none", "uuid"),
        answer(200, json!({ "results": [] })),
    ]);
    let printed =
        vnctl_with_input(&fake.address(), "apply -f - --dry-run", "segments: [{uuid: seg-a}]").printed();
    assert_eq!(fake.lines()[1], "POST /api/1.0/batch?dry_run=true");
    assert!(printed.starts_with("+ segments seg-a\n"), "{printed}");
}

#[test]
fn whoever_stops_reading_has_seen_enough() {
    struct Closed(ErrorKind);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }
    let check = |kind: ErrorKind, expected: Exit| {
        let fake = Fake::new([answer(200, json!({ "items": [] }))]);
        let environment = Environment { web_api: Some(fake.address()), ..Environment::default() };
        let words = ["networks", "show"].map(Into::into).into_iter();
        let (mut input, mut out, mut err) = (io::empty(), Closed(kind), Vec::new());
        let exit = run(words, &environment, Streams { input: &mut input, out: &mut out, err: &mut err });
        assert_eq!((exit, err.is_empty()), (expected, expected == Exit::Success));
    };
    check(ErrorKind::BrokenPipe, Exit::Success);
    check(ErrorKind::StorageFull, Exit::Refused);
}

#[test]
fn what_cannot_be_read_or_understood_is_the_users_to_mend() {
    let check = |line: &str, parts: &[&str]| {
        let outcome = vnctl_with_input("nobody:1", line, "networks: [{uuid: nw-a, ipv4_prefix: x}]");
        assert_eq!(outcome.exit, Exit::Usage, "{line}");
        assert!(parts.iter().all(|part| outcome.err.contains(part)), "{line}: {}", outcome.err);
    };
    check("apply -f /nonexistent/file", &["/nonexistent/file"]);
    check("apply -f -", &["-: networks nw-a: ipv4_prefix"]);
    check("batch /nonexistent/file", &["/nonexistent/file"]);
}
