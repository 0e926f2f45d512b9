//! What the store and the wire hold, and what users ask for: objects and requests as JSON.

use ::topology::{Edit, Object, ObjectRef, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::world;
use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const OBJECT: Target = Target {
    name: "object",
    from: "the store, or a manager",
    seeds: objects,
    dictionary: WORDS,
    repair: as_it_is,
    run: object,
    memory: Limit { base: 32 << 10, per_byte: 256 },
    max_bytes: 16 << 10,
    brief: 20_000,
};

pub(super) const REQUESTS: Target = Target {
    name: "requests",
    from: "a user, in a batch",
    seeds: requests,
    dictionary: WORDS,
    repair: as_it_is,
    run: carry_out,
    memory: Limit { base: 256 << 10, per_byte: 512 },
    max_bytes: 16 << 10,
    brief: 20_000,
};

/// What bodies, objects and requests are made of.
pub(super) const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"\\u0000",
    b"\\ud800",
    b"{\"\":0}",
    b"\"uuid\":",
    b"\"labels\":",
    b"\"display_name\":",
    b"\"dpid\":",
    b"\"node_id\":",
    b"\"mode\":",
    b"\"ipv4_network\":",
    b"\"ipv4_prefix\":",
    b"\"ipv6_network\":",
    b"\"ipv6_prefix\":",
    b"\"segment_uuid\":",
    b"\"network_uuid\":",
    b"\"interface_uuid\":",
    b"\"mac_lease_uuid\":",
    b"\"mac_address\":",
    b"\"ipv4_address\":",
    b"\"ipv6_address\":",
    b"\"owner_datapath_uuid\":",
    b"\"port_name\":",
    b"\"admin_state\":",
    b"\"requested_host\":",
    b"\"op\":",
    b"\"resource\":",
    b"\"action\":",
    b"\"if_match\":",
    b"\"create\"",
    b"\"update\"",
    b"\"delete\"",
    b"\"act\"",
    b"\"add_port\"",
    b"\"remove_ports\"",
    b"\"attach_ip_lease\"",
    b"\"release_ip_lease\"",
    b"\"dp-a\"",
    b"\"seg-a\"",
    b"\"nw-a\"",
    b"\"nw-b\"",
    b"\"if-a\"",
    b"\"if-b\"",
    b"\"ml-a\"",
    b"\"il-a\"",
    b"\"10.0.0.1\"",
    b"\"10.0.0.255\"",
    b"\"0.0.0.0\"",
    b"\"fd00::1\"",
    b"\"ff02::1\"",
    b"\"fe80::1\"",
    b"\"02:00:00:00:00:01\"",
    b"\"ff:ff:ff:ff:ff:ff\"",
    b"\"virtual\"",
    b"\"internal\"",
    b"\"p1\"",
    b"datapaths/",
    b"networks/",
    b"bindings/",
    b"sequences",
];

fn objects() -> Vec<Vec<u8>> {
    let line = |object: Object| [object.reference().to_string().as_bytes(), b" ", &object.encode()].concat();
    world::topology().objects().map(line).collect()
}

fn object(line: &[u8]) -> bool {
    let Some(space) = line.iter().position(|byte| *byte == b' ') else { return false };
    let (reference, value) = line.split_at(space);
    let Ok(reference) = String::from_utf8_lossy(reference).parse::<ObjectRef>() else { return false };
    assert_eq!(reference.to_string().parse::<ObjectRef>().ok().as_ref(), Some(&reference));
    let Ok(object) = Object::decode(&reference, value) else { return false };
    assert_eq!(Object::decode(&reference, &object.encode()).ok().as_ref(), Some(&object));
    // A replica takes whatever is an object, whether or not what it refers to is there.
    let mut topology = world::topology().clone();
    topology.commit(topology.revision().next(), &[::topology::Change::Put(object)]);
    topology.commit(topology.revision().next(), &[::topology::Change::Delete(reference)]);
    true
}

fn requests() -> Vec<Vec<u8>> {
    let act = |action: &str, uuid: &str, attributes: Value| json!([{"op": "act", "action": action, "uuid": uuid, "attributes": attributes}]);
    let update = |resource: &str, uuid: &str, attributes: Value| json!([{"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}]);
    let mut all = vec![
        Value::from(world::requests()),
        act("add_port", "if-b", json!({"port_name": "p9", "datapath_uuid": "dp-a"})),
        act("remove_ports", "if-a", json!({"port_name": "p1"})),
        act("release_ip_lease", "il-a", json!({})),
        act("attach_ip_lease", "il-a", json!({"mac_lease_uuid": "ml-a"})),
        update("interfaces", "if-a", json!({"network_uuid": "nw-b", "ipv4_address": "10.0.0.9"})),
        update("networks", "nw-a", json!({"ipv4_network": "10.1.0.0", "segment_uuid": null})),
        update("datapaths", "dp-a", json!({"dpid": "0xbb", "display_name": "x"})),
        json!([{"op": "delete", "resource": "segments", "uuid": "seg-a"}, {"op": "delete", "resource": "networks", "uuid": "nw-a", "if_match": 1}]),
    ];
    // What is there cannot be made again: under other names the same can.
    let text = all[0].to_string().replace("-a\"", "-c\"").replace("-b\"", "-d\"").replace("02:00", "06:00");
    all.push(serde_json::from_str(&text).expect("JSON"));
    all.iter().map(|value| value.to_string().into_bytes()).collect()
}

fn carry_out(bytes: &[u8]) -> bool {
    let Ok(requests) = serde_json::from_slice::<Vec<Request>>(bytes) else { return false };
    let mut edit = Edit::new(world::topology(), Timestamp::UNIX_EPOCH, 1);
    match Request::execute_all(requests, &mut edit) {
        Ok(_) => drop(world::committed(world::topology(), edit)),
        Err((_, error)) => {
            assert!(!error.message.is_empty(), "an error without a reason");
            assert!((400..500).contains(&error.kind.describe().2), "{error:?}");
        }
    }
    true
}
