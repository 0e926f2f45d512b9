//! The topology that packets are traced in: tenants of ten networks, each with a router, groups, filters and translations.
//!
//! One guest of every hundred has an address outside, every other one goes out by an address that its tenant shares. Of the guests
//! of a network, three in four are members of groups whose rules name each other, and the fourth has a filter, of one of
//! four kinds. Hosts take guests in turn, so that nearly every packet crosses to another one.
//!
//! It is made by requests, as users make theirs, and all of it is different by number alone: a topology of a hundred
//! interfaces is the beginning of one of ten thousand.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context;
use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::{DatapathId, Dpid, Edit, InterfaceId, Request, Topology};

/// Guests of a network.
pub(super) const NETWORK_SIZE: usize = 100;
/// Networks of a tenant.
const TENANT_NETWORKS: usize = 10;
/// Guests of a tenant.
pub(super) const TENANT_SIZE: usize = NETWORK_SIZE * TENANT_NETWORKS;
/// Most guests: the number of a network is one byte of its addresses.
pub(super) const MAX_GUESTS: usize = NETWORK_SIZE * 256;
/// Hosts that guests are on.
const HOSTS: usize = 20;
/// Roles of guests in turn: members of three groups, and those with a filter.
const ROLES: [&str; 3] = ["web", "app", "db"];
/// Kinds of filters.
const FILTERS: usize = 4;
/// Last byte of a leg's address.
const LEG: usize = 254;
/// The host whose wire leads outside, and its interface there.
const GATEWAY: usize = 0;
const UPLINK: &str = "if-up";
/// Ports by which one guest of a tenant is reached from outside.
const FORWARDED: [(u16, u16); 4] = [(80, 8080), (443, 8443), (1022, 22), (543, 5432)];

/// A topology of so many guests, all plugged in.
pub(super) fn topology(guests: usize) -> anyhow::Result<Topology> {
    let mut making = Making { topology: Topology::default() };
    (0..HOSTS).try_for_each(|number| making.host(number))?;
    making.ask(outside_networks())?;
    for tenant in 0..guests.div_ceil(TENANT_SIZE) {
        making.ask(self::tenant(tenant))?;
    }
    for network in 0..guests.div_ceil(NETWORK_SIZE) {
        making.ask(self::network(network))?;
        let first = network * NETWORK_SIZE;
        making.ask((first..guests.min(first + NETWORK_SIZE)).flat_map(guest))?;
        making.ask(statics(network, guests.min(first + NETWORK_SIZE) - first))?;
    }
    making.plug(guests)?;
    Ok(making.topology)
}

/// The interface of a guest.
pub(super) fn id(guest: usize) -> InterfaceId {
    format!("if-{guest}").parse().expect("an id")
}

/// The address by which a network's first guest is known outside.
pub(super) fn outside(network: usize) -> IpAddr {
    Ipv4Addr::new(198, 18, byte(network), 1).into()
}

/// An address that is nobody's, outside.
pub(super) fn elsewhere() -> IpAddr {
    Ipv4Addr::new(198, 19, 255, 1).into()
}

struct Making {
    topology: Topology,
}

impl Making {
    fn edit(&mut self, change: impl FnOnce(&mut Edit) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut edit = Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, self.topology.revision().0);
        change(&mut edit)?;
        let changes = edit.into_changes();
        self.topology.commit(self.topology.revision().next(), &changes);
        Ok(())
    }

    fn ask(&mut self, operations: impl IntoIterator<Item = Value>) -> anyhow::Result<()> {
        self.edit(|edit| {
            operations.into_iter().try_for_each(|operation| {
                let request: Request = serde_json::from_value(operation.clone())?;
                request.execute(edit).map(drop).with_context(|| operation.to_string())
            })
        })
    }

    fn host(&mut self, number: usize) -> anyhow::Result<()> {
        let address = Ipv4Addr::new(192, 0, 2, byte(number + 1)).into();
        let registration = Registration::new(
            format!("host{number}").parse()?,
            Dpid(u64::try_from(number)? + 1),
            Underlay { encapsulation: Encapsulation::Geneve, address, mtu: 1500 },
        );
        self.edit(|edit| {
            Datapath::register(edit, registration)?;
            Ok(())
        })
    }

    fn plug(&mut self, guests: usize) -> anyhow::Result<()> {
        for host in 0..HOSTS {
            let id: DatapathId = format!("dp-host{host}").parse()?;
            let port = |name: String| SeenPort {
                name: name.clone(),
                instance: name.clone(),
                iface_id: Some(name),
                error: None,
                asks: false,
            };
            let guests = (host..guests).step_by(HOSTS).map(|guest| format!("if-{guest}"));
            let uplink = (host == GATEWAY).then(|| UPLINK.to_owned());
            let mut seen = SeenPorts::default();
            seen.report(id.clone(), guests.chain(uplink).map(port).collect());
            self.edit(|edit| {
                seen.bind(&id, edit);
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn operation(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("no more than a byte names")
}

fn mac(kind: usize, number: usize) -> String {
    format!(
        "02:{kind:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        number >> 24 & 0xff,
        number >> 16 & 0xff,
        number >> 8 & 0xff,
        number & 0xff
    )
}

/// Attributes, and more of them.
fn with(mut attributes: Value, more: &Value) -> Value {
    let more = more.as_object().expect("an object").clone();
    attributes.as_object_mut().expect("an object").extend(more);
    attributes
}

fn leg(uuid: &str, network: &str, addresses: &Value) -> Value {
    let leg = json!({"uuid": uuid, "mode": "simulated", "enable_routing": true, "network_uuid": network});
    operation("interfaces", with(leg, addresses))
}

fn route(leg: &str, network: &str, router: &str, prefix: &Value) -> Value {
    let route = json!({"interface_uuid": leg, "network_uuid": network, "route_link_uuid": router});
    operation("routes", with(route, prefix))
}

/// The physical network, and how it is reached.
fn outside_networks() -> Vec<Value> {
    let network =
        json!({"uuid": "nw-out", "mode": "physical", "ipv4_network": "198.18.0.0", "ipv4_prefix": 15});
    let uplink = json!({"uuid": UPLINK, "mode": "host", "network_uuid": "nw-out", "port_name": "eno2",
        "owner_datapath_uuid": format!("dp-host{GATEWAY}"), "gateway_priority": 1});
    vec![operation("networks", network), operation("interfaces", uplink)]
}

/// A router with its leg outside, and groups.
fn tenant(tenant: usize) -> Vec<Value> {
    let (router, outer) = (format!("rl-{tenant}"), format!("if-out{tenant}"));
    let outer_leg = json!({"mac_address": mac(2, tenant), "ipv4_address": shared(tenant),
        "enable_route_translation": true});
    let connected = json!({"ipv4_network": "198.18.0.0", "ipv4_prefix": 15});
    let default = json!({"ipv4_network": "0.0.0.0", "ipv4_prefix": 0, "next_hops": ["198.19.255.254"]});
    let sources = (0..TENANT_NETWORKS).map(|of| format!("10.{}.0.0/24", tenant * TENANT_NETWORKS + of));
    let source = json!({"interface_uuid": outer, "mode": "source", "external_addresses": [shared(tenant)],
        "source_prefixes": sources.collect::<Vec<_>>()});
    let made = vec![
        operation("route_links", json!({"uuid": router})),
        leg(&outer, "nw-out", &outer_leg),
        route(&outer, "nw-out", &router, &connected),
        route(&outer, "nw-out", &router, &default),
        operation("translations", source),
    ];
    made.into_iter().chain(groups(tenant)).collect()
}

fn groups(tenant: usize) -> [Value; 3] {
    let open = |port: &str, remote: Option<&str>| {
        let remote = remote.map(|role| format!("sg-{role}{tenant}"));
        json!({"direction": "ingress", "protocol": "tcp", "port": port, "remote_group_uuid": remote})
    };
    let ping = json!({"direction": "ingress", "protocol": "icmp"});
    let out = json!({"direction": "egress", "protocol": "ip"});
    let of_role = [
        ("web", json!([open("80", None), open("443", None), ping, out])),
        ("app", json!([open("8080", Some("web")), open("8000-8010", Some("app")), out])),
        ("db", json!([open("5432", Some("app")), open("5433", Some("db")), ping, out])),
    ];
    of_role.map(|(role, rules)| {
        operation("security_groups", json!({"uuid": format!("sg-{role}{tenant}"), "rules": rules}))
    })
}

/// A network with its leg.
fn network(network: usize) -> Vec<Value> {
    let (id, uuid) = (format!("nw-{network}"), format!("if-leg{network}"));
    let router = format!("rl-{}", network / TENANT_NETWORKS);
    let (ipv4, ipv6) = (format!("10.{network}.0.0"), format!("fd00:{network:x}::"));
    let addresses = json!({"mac_address": mac(1, network), "ipv4_address": format!("10.{network}.0.{LEG}"),
        "ipv6_address": format!("{ipv6}{LEG:x}")});
    vec![
        operation("networks", json!({"uuid": id, "ipv4_network": ipv4, "ipv6_network": ipv6})),
        leg(&uuid, &id, &addresses),
        route(&uuid, &id, &router, &json!({"ipv4_network": ipv4, "ipv4_prefix": 24})),
        route(&uuid, &id, &router, &json!({"ipv6_network": ipv6, "ipv6_prefix": 64})),
    ]
}

fn guest(number: usize) -> Vec<Value> {
    let (network, last) = (number / NETWORK_SIZE, number % NETWORK_SIZE + 1);
    let role = ROLES.get(number % 4).map(|role| format!("sg-{role}{}", number / TENANT_SIZE));
    let id = format!("if-{number}");
    let mut made = vec![
        operation(
            "interfaces",
            json!({"uuid": id, "network_uuid": format!("nw-{network}"), "mac_address": mac(0, number),
            "ipv4_address": format!("10.{network}.0.{last}"), "security_groups": role.iter().collect::<Vec<_>>(),
            "enable_filtering": role.is_none()}),
        ),
        operation(
            "ip_leases",
            json!({"interface_uuid": id, "network_uuid": format!("nw-{network}"),
            "ipv6_address": format!("fd00:{network:x}::{last:x}")}),
        ),
    ];
    if role.is_none() {
        made.push(operation(
            "filters",
            json!({"interface_uuid": id, "mode": "static", "rules": rules(number / 4 % FILTERS),
            "egress_passthrough": true}),
        ));
    }
    made
}

/// The rules of a kind of filter.
fn rules(kind: usize) -> Value {
    let open =
        |ports: &str| json!({"protocol": "tcp", "action": "conn", "direction": "ingress", "dst_port": ports});
    let arp = json!({"protocol": "arp", "action": "pass"});
    match kind {
        0 => json!([arp, open("22")]),
        1 => json!([arp, open("22"), open("8000-8999"), {"protocol": "icmp", "action": "pass"}]),
        2 => {
            json!([arp, {"protocol": "udp", "action": "conn", "dst_port": "53"}, {"protocol": "ip", "action": "drop", "src_address": "10.3.0.0/16", "priority": 9}])
        }
        _ => json!([{"protocol": "ip", "action": "conn"}]),
    }
}

/// What stands for guests outside: a whole address for the first of a network, and ports for the second of a tenant.
fn statics(network: usize, guests: usize) -> Vec<Value> {
    let tenant = network / TENANT_NETWORKS;
    let (outer, external) = (format!("if-out{tenant}"), outside(network).to_string());
    let lease = json!({"interface_uuid": outer, "network_uuid": "nw-out", "ipv4_address": external});
    let first = json!({"ingress_ipv4_address": external, "egress_ipv4_address": format!("10.{network}.0.1")});
    let forward = |(outside, inside): &(u16, u16)| {
        json!({"ingress_ipv4_address": shared(tenant), "egress_ipv4_address": format!("10.{network}.0.2"),
            "ingress_port_number": outside, "egress_port_number": inside, "protocol": "tcp"})
    };
    let has_second = network.is_multiple_of(TENANT_NETWORKS) && guests > 1;
    let forwards = FORWARDED.iter().filter(|_| has_second).map(forward);
    let entries: Vec<_> = std::iter::once(first).chain(forwards).collect();
    let translation = json!({"interface_uuid": outer, "mode": "static_address", "static_addresses": entries});
    vec![operation("ip_leases", lease), operation("translations", translation)]
}

/// The address that a tenant's guests share.
fn shared(tenant: usize) -> String {
    format!("198.19.{tenant}.1")
}
