//! Whose an address is: what is leased to one or allowed to one is not another's.

use serde_json::{Value, json};
use topology::{Edit, ErrorKind, Request, Topology};

const OWN: &str = "02:00:00:00:00:01";
const OTHER: &str = "02:00:00:00:00:02";
const SHARED: &str = "02:00:00:00:00:09";

fn request(op: &str, resource: &str, attributes: Value) -> Value {
    let mut request = json!({"op": op, "resource": resource, "attributes": attributes});
    if op == "update" {
        request["uuid"] = request["attributes"]["uuid"].take();
        request["attributes"].as_object_mut().expect("an object").remove("uuid");
    }
    request
}

fn ask(topology: &mut Topology, request: Value) -> Result<(), (ErrorKind, String)> {
    let request: Request = serde_json::from_value(request).expect("well formed");
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, topology.revision().0);
    let asked = Request::execute_all([request], &mut edit);
    asked.map_err(|(_, error)| (error.kind, error.field.unwrap_or_default()))?;
    topology.commit(topology.revision().next(), &edit.into_changes());
    Ok(())
}

/// Two interfaces in a network (`if-1` and `if-2`, 10.0.0.1 and 2) and two on a segment (`if-3` and `if-4`).
fn world() -> Topology {
    let mut topology = Topology::default();
    let guest = |id: &str, mac: &str, n: u8| json!({"uuid": id, "network_uuid": "nw-a", "mac_address": mac, "ipv4_address": format!("10.0.0.{n}")});
    let member = |id: &str, mac: &str| json!({"uuid": id, "segment_uuid": "seg-a", "mac_address": mac});
    for (resource, attributes) in [
        ("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})),
        ("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        ("interfaces", guest("if-1", OWN, 1)),
        ("interfaces", guest("if-2", OTHER, 2)),
        ("interfaces", member("if-3", OWN)),
        ("interfaces", member("if-4", OTHER)),
    ] {
        ask(&mut topology, request("create", resource, attributes)).expect("a world");
    }
    topology
}

fn allow(id: &str, addresses: Value) -> Value {
    request("update", "interfaces", json!({"uuid": id, "allowed_addresses": addresses}))
}

/// Checks whether the last of these requests is refused as a duplicate, the others being granted.
#[track_caller]
fn check(requests: &[Value], refused: Option<&str>) {
    let mut topology = world();
    let (last, first) = requests.split_last().expect("a request");
    for request in first {
        ask(&mut topology, request.clone()).expect("granted");
    }
    let expected = refused.map_or(Ok(()), |field| Err((ErrorKind::Duplicate, field.to_owned())));
    assert_eq!(ask(&mut topology, last.clone()), expected, "{requests:?}");
}

#[test]
fn what_is_leased_to_another_cannot_be_allowed() {
    let field = Some("allowed_addresses");
    check(&[allow("if-1", json!(["10.0.0.2"]))], field);
    check(&[allow("if-1", json!(["10.0.0.0/24"]))], field);
    check(&[allow("if-1", json!([format!("{OTHER}=10.0.0.9")]))], field);
    check(&[allow("if-3", json!([format!("{OTHER}=10.0.0.9")]))], field);
    check(&[allow("if-1", json!(["10.0.0.1", "10.0.0.9", "10.9.0.0/16"]))], None);
}

#[test]
fn what_is_allowed_to_another_cannot_be_leased() {
    let lease = |address: &str| {
        request(
            "create",
            "ip_leases",
            json!({"network_uuid": "nw-a", "interface_uuid": "if-2", "ipv4_address": address}),
        )
    };
    let take = |mac: &str| request("update", "interfaces", json!({"uuid": "if-2", "mac_address": mac}));
    let prefix = || allow("if-1", json!(["10.0.0.128/25", format!("{SHARED}=10.0.0.9")]));
    check(&[prefix(), lease("10.0.0.200")], Some("ipv4_address"));
    check(&[prefix(), lease("10.0.0.9")], Some("ipv4_address"));
    check(&[prefix(), lease("10.0.0.8")], None);
    check(&[prefix(), take(SHARED)], Some("mac_address"));
    check(&[prefix(), allow("if-1", json!([])), lease("10.0.0.200")], None);
}

#[test]
fn an_address_is_allowed_to_one_in_a_network_and_to_many_on_a_segment() {
    let one = || json!(["10.0.0.9"]);
    let with_mac = || json!([format!("{SHARED}=10.0.0.9")]);
    check(&[allow("if-1", one()), allow("if-2", one())], Some("allowed_addresses"));
    check(
        &[allow("if-1", with_mac()), allow("if-2", json!([format!("{SHARED}=10.0.0.8")]))],
        Some("allowed_addresses"),
    );
    check(&[allow("if-3", with_mac()), allow("if-4", with_mac())], None);
    check(&[allow("if-1", one()), allow("if-3", one())], None);
}

#[test]
fn allowed_addresses_are_bounded_and_an_interfaces_own() {
    let many: Vec<_> = (0..65).map(|n| format!("10.1.0.{n}")).collect();
    let unfit = |request| ask(&mut world(), request);
    assert_eq!(unfit(allow("if-1", json!(many))), Err((ErrorKind::Unfit, "allowed_addresses".to_owned())));
    let leg = json!({"mode": "simulated", "port_security": false});
    let leg = request("create", "interfaces", leg);
    assert_eq!(unfit(leg), Err((ErrorKind::Unfit, "port_security".to_owned())));
}
