//! What a user reads can be written back: an object that a request leaves in the topology is valid by its own rules.

use serde_json::{Value, json};
use topology::{Edit, Error, Object, Request, Topology};

/// Every object that users make, put back with the attributes it shows.
pub(crate) fn check(topology: &Topology) {
    for object in topology.objects() {
        let Some(request) = put_back(topology, &object) else { continue };
        let changed = carry_out(topology, request.clone());
        assert_eq!(changed, Ok(0), "{request} on {object:?}");
    }
}

/// Carries it out, and counts what changes.
fn carry_out(topology: &Topology, request: Value) -> Result<usize, Error> {
    let request: Request = serde_json::from_value(request).expect("a well-formed request");
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, 1);
    request.execute(&mut edit)?;
    Ok(edit.into_changes().len())
}

fn put_back(topology: &Topology, object: &Object) -> Option<Value> {
    let reference = object.reference().to_string();
    let (_, uuid) = reference.split_once('/')?;
    let (resource, shown, names): (_, _, &[&str]) = match object {
        Object::Datapath(of) => ("datapaths", json!(of), &["display_name", "dpid", "node_id"]),
        Object::Segment(of) => ("segments", json!(of), &["display_name", "mode"]),
        Object::Network(of) => ("networks", json!(of), NETWORK),
        Object::Interface(of) => {
            let mut shown = json!(of);
            if let [port] = of.ports.as_slice() {
                shown["owner_datapath_uuid"] = json!(port.datapath_uuid);
                shown["port_name"] = json!(port.port_name);
            }
            add_addresses(topology, of, &mut shown);
            ("interfaces", shown, INTERFACE)
        }
        Object::MacLease(of) => ("mac_leases", json!(of), &["interface_uuid", "mac_address", "segment_uuid"]),
        Object::IpLease(of) => ("ip_leases", json!(of), IP_LEASE),
        Object::Translation(of) => ("translations", json!(of), TRANSLATION),
        _ => return None,
    };
    let common = ["project", "labels"];
    let names = names.iter().chain(&common);
    let attributes: serde_json::Map<_, _> =
        names.filter_map(|name| Some(((*name).to_owned(), shown.get(*name)?.clone()))).collect();
    Some(json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}))
}

const NETWORK: &[&str] = &[
    "display_name",
    "mode",
    "domain_name",
    "ipv4_network",
    "ipv4_prefix",
    "ipv6_network",
    "ipv6_prefix",
    "segment_uuid",
];

const INTERFACE: &[&str] = &[
    "mode",
    "display_name",
    "admin_state",
    "enable_routing",
    "enable_route_translation",
    "network_uuid",
    "segment_uuid",
    "requested_host",
    "max_egress_kbps",
    "max_ingress_kbps",
    "dscp",
    "port_security",
    "allowed_addresses",
    "owner_datapath_uuid",
    "port_name",
    "mac_address",
    "ipv4_address",
    "ipv6_address",
];

const IP_LEASE: &[&str] =
    &["network_uuid", "ipv4_address", "ipv6_address", "enable_routing", "interface_uuid", "mac_lease_uuid"];

const TRANSLATION: &[&str] = &[
    "interface_uuid",
    "mode",
    "passthrough",
    "static_addresses",
    "source_network_uuid",
    "source_prefixes",
    "external_addresses",
];

/// The addresses that an interface takes itself: those of the one lease of a kind.
fn add_addresses(topology: &Topology, of: &topology::interface::Interface, shown: &mut Value) {
    if let [lease] = topology.mac_leases_of_interface(&of.uuid).as_slice() {
        shown["mac_address"] = json!(topology.mac_leases()[lease].mac_address);
    }
    let leases = topology.ip_leases_of_interface(&of.uuid);
    for (field, is_ipv4) in [("ipv4_address", true), ("ipv6_address", false)] {
        let ips = leases.iter().map(|id| topology.ip_leases()[id].address.ip());
        if let [one] = ips.filter(|ip| ip.is_ipv4() == is_ipv4).collect::<Vec<_>>().as_slice() {
            shown[field] = json!(one);
        }
    }
}
