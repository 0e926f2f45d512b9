//! What `ovsdb-server` sends: a stream of JSON objects that are schemas, updates, and answers to transactions.

use std::sync::{Arc, LazyLock};

use ovsdb::operation::decode_results;
use ovsdb::scan::Scanner;
use ovsdb::vswitch::{self, Bridge, BridgeSpec, Interface, OpenVswitch, Port, TypedRow};
use ovsdb::{DatabaseSchema, Snapshot, TableUpdates};
use serde_json::{Value, json};
use vna::reader::Reader;

use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const STREAM: Target = Target {
    name: "ovsdb-stream",
    from: "the switch's database",
    seeds,
    dictionary: &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b"null",
        b"1e400",
        b"-1",
        b"{\"\":0}",
        b"[\"set\",[",
        b"[\"map\",[",
        b"[\"uuid\",\"00000000-0000-0000-0000-000000000001\"]",
        b"\"initial\":",
        b"\"insert\":",
        b"\"modify\":",
        b"\"delete\":",
        b"\"result\":",
        b"\"error\":",
        b"\"params\":",
        b"\"type\":",
        b"\"key\":",
        b"\"value\":",
        b"\"min\":",
        b"\"max\":",
        b"\"unlimited\"",
        b"\"integer\"",
        b"\"real\"",
        b"\"boolean\"",
        b"\"string\"",
        b"\"uuid\"",
        b"\"columns\":",
    ],
    repair: as_it_is,
    run,
    memory: Limit { base: 128 << 10, per_byte: 512 },
    max_bytes: 16 << 10,
    brief: 10_000,
};

/// Pieces in which the stream is received, in bytes, one after the other.
const PIECES: [usize; 3] = [1, 7, 4096];

/// Operations whose results are read.
const OPERATIONS: [&str; 3] = ["insert", "select", "update"];

fn schema_json() -> Value {
    let map = json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"});
    let many = |kind: &str| json!({"key": kind, "min": 0, "max": "unlimited"});
    let maybe = |kind: &str| json!({"key": kind, "min": 0, "max": 1});
    let kind = |column: &str| match column {
        "name" | "type" | "datapath_type" => json!("string"),
        "next_cfg" | "cur_cfg" => json!("integer"),
        "options" | "external_ids" | "other_config" => map.clone(),
        "bridges" | "ports" | "interfaces" | "controller" => many("uuid"),
        "datapath_types" | "iface_types" | "protocols" => many("string"),
        "ofport" | "ofport_request" | "mtu" | "tag" => maybe("integer"),
        _ => maybe("string"),
    };
    let table = |columns: &[&str]| {
        let columns = columns.iter().map(|column| (String::from(*column), json!({"type": kind(column)})));
        json!({"columns": Value::Object(columns.collect())})
    };
    json!({"name": "Open_vSwitch", "version": "8.3.1", "tables": {
        "Open_vSwitch": table(OpenVswitch::COLUMNS), "Bridge": table(Bridge::COLUMNS),
        "Port": table(Port::COLUMNS), "Interface": table(Interface::COLUMNS),
    }})
}

/// A host's rows: a bridge with its own port and a guest's.
fn rows() -> Value {
    let uuid = |number: u8| format!("00000000-0000-0000-0000-{number:012}");
    let named = |number: u8| json!(["uuid", uuid(number)]);
    let port = |name: &str, interface| json!({"initial": {"name": name, "interfaces": named(interface)}});
    json!({
        "Open_vSwitch": {uuid(1): {"initial": {"bridges": named(2), "ovs_version": "3.1.0", "next_cfg": 4, "cur_cfg": 4,
            "datapath_types": ["set", ["netdev", "system"]], "external_ids": ["map", [["system-id", "host1"]]]}}},
        "Bridge": {uuid(2): {"initial": {"name": "br-int", "datapath_type": "netdev", "datapath_id": "000000000000aa01",
            "fail_mode": "secure", "protocols": "OpenFlow15", "ports": ["set", [named(3), named(4)]]}}},
        "Port": {uuid(3): port("br-int", 5), uuid(4): port("tap0", 6)},
        "Interface": {
            uuid(5): {"initial": {"name": "br-int", "type": "internal", "ofport": 65534}},
            uuid(6): {"initial": {"name": "tap0", "type": "", "ofport": 1, "mtu": 1500, "mac_in_use": "02:00:00:00:00:01",
                "external_ids": ["map", [["iface-id", "if-a"]]], "link_state": "up", "admin_state": "up"}},
        },
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let row = "00000000-0000-0000-0000-000000000006";
    let update = |update: Value| json!({"id": null, "method": "update2", "params": ["m", update]});
    let all = [
        json!({"id": 1, "error": null, "result": schema_json()}),
        update(rows()),
        update(json!({"Interface": {row: {"modify": {"external_ids": ["map", [["iface-id", "if-b"]]]}}}})),
        update(json!({"Interface": {row: {"delete": null}}})),
        json!({"id": 2, "error": null, "result": [{"uuid": ["uuid", row]}, {"rows": [{"name": "x"}]}, {"count": 1}]}),
        json!({"id": 3, "error": null, "result": [{"error": "timed out", "details": "x"}, null, null]}),
        json!({"id": "echo", "method": "echo", "params": ["\"}\\"]}),
    ];
    let mut all: Vec<_> = all.iter().map(|message| message.to_string().into_bytes()).collect();
    all.push(all.concat());
    all
}

fn schema() -> Arc<DatabaseSchema> {
    static SCHEMA: LazyLock<Arc<DatabaseSchema>> =
        LazyLock::new(|| Arc::new(DatabaseSchema::from_json(&schema_json()).expect("a schema")));
    SCHEMA.clone()
}

/// What a client has after the initial dump.
fn initial() -> &'static Snapshot {
    static INITIAL: LazyLock<Snapshot> = LazyLock::new(|| {
        let rows = TableUpdates::from_json(&rows(), None, &vswitch::monitor_request(), &schema());
        let mut snapshot = Snapshot::empty(schema());
        snapshot.apply(rows.expect("rows of the schema")).expect("new rows");
        snapshot
    });
    &INITIAL
}

fn run(stream: &[u8]) -> bool {
    let (mut scanner, mut snapshot) = (Scanner::default(), initial().clone());
    let mut reader = Reader::default();
    let (mut rest, mut understood) = (stream, false);
    for size in PIECES.into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        scanner.inbound().extend_from_slice(piece);
        rest = after;
        while let Ok(Some(frame)) = scanner.next_frame() {
            let Ok(message) = serde_json::from_slice(&frame) else { return understood };
            understood |= on_message(&message, &mut snapshot, &mut reader);
        }
        if rest.is_empty() {
            break;
        }
    }
    assert!(scanner.steps() <= stream.len() as u64, "bytes were looked at twice");
    understood
}

/// Reads a message as all that it might be.
fn on_message(message: &Value, snapshot: &mut Snapshot, reader: &mut Reader) -> bool {
    let result = message.get("result").cloned().unwrap_or_default();
    let schema = DatabaseSchema::from_json(&result);
    // A request follows the schema of the server that it goes to.
    schema.iter().for_each(|schema| drop(vswitch::monitor_request().restricted_to(schema)));
    let results = decode_results(&OPERATIONS, &result);
    let update = message.get("params").and_then(|params| params.get(1)).cloned().unwrap_or_default();
    let updates = TableUpdates::from_json(&update, None, &vswitch::monitor_request(), &self::schema());
    let applied = updates.is_ok_and(|updates| snapshot.apply(updates).is_ok());
    if applied {
        look(snapshot, reader);
    }
    schema.is_ok() || results.is_ok() || applied
}

/// Reads what an agent reads of its switch, and works out what it would do to it.
fn look(snapshot: &Snapshot, reader: &mut Reader) {
    let _ = vswitch::rows::<OpenVswitch>(snapshot).count() + vswitch::rows::<Bridge>(snapshot).count();
    let _ = vswitch::rows::<Port>(snapshot).count() + vswitch::rows::<Interface>(snapshot).count();
    let _ = vswitch::ensure_bridge(snapshot, &BridgeSpec::secure("br-int", "netdev"));
    reader.read(snapshot, "br-int");
}
