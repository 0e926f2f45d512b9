//! The systems that are compared: the same guests, joined and protected alike.

use anyhow::Context;
use lab::Host;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cell::{Guest, Network, Protection, networks};
use super::stand::{PREFIX, Routers, Stand};
use super::traffic::{IPERF_PORT, PORT};
use crate::BRIDGE;
use crate::manager::DISK;
use crate::ovn::{self, Ovn, joined, words};
use crate::web::{REALIZED, Web};

/// The group of those who are protected.
const GROUP: &str = "sg-bench";

/// The same in OVN.
const PORT_GROUP: &str = "pg_bench";

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Ours,
    Ovn,
    /// A learning switch, joined to the other host's by the same kind of tunnel. Everybody is everybody's neighbour, and
    /// nobody is protected.
    Normal,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "OpenVNet",
            Self::Ovn => "OVN",
            Self::Normal => "NORMAL",
        }
    }

    /// Whether it does what a cell is about.
    pub(crate) fn has(self, protection: Protection) -> bool {
        self != Self::Normal || protection == Protection::Plain
    }
}

/// A system that runs, with its guests.
pub(crate) struct System {
    pub(crate) kind: Kind,
    // Fields drop in order: OVN ends before its hosts, and nobody uses the folder any more when it goes.
    _ovn: Option<Ovn>,
    pub(crate) stand: Stand,
    _disk: Option<TempDir>,
}

impl System {
    /// Starts it, and waits until everybody reaches everybody.
    pub(crate) fn start(kind: Kind) -> anyhow::Result<Self> {
        let mut stand = Stand::start()?;
        let (ovn, disk) = match kind {
            Kind::Ours => {
                start_ours(&mut stand)?;
                (None, None)
            }
            Kind::Ovn => {
                let disk = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(DISK)?;
                (Some(start_ovn(&mut stand, &disk)?), Some(disk))
            }
            Kind::Normal => {
                start_normal(&mut stand)?;
                (None, None)
            }
        };
        stand.await_guests().with_context(|| kind.name())?;
        Ok(Self { kind, _ovn: ovn, stand, _disk: disk })
    }
}

fn start_ours(stand: &mut Stand) -> anyhow::Result<()> {
    stand.lab().start_control_plane()?;
    stand.add_guests(Routers::Between)?;
    let web = Web::new(&stand.lab().manager().api_url());
    web.post(&format!("batch?{REALIZED}"), &json!({"operations": operations()}))?;
    Ok(())
}

fn operations() -> Vec<Value> {
    let create =
        |resource: &str, attributes| json!({"op": "create", "resource": resource, "attributes": attributes});
    let rules: Vec<_> = [IPERF_PORT, PORT]
        .map(|port| json!({"direction": "ingress", "protocol": "tcp", "port": port.to_string()}))
        .into_iter()
        .chain([json!({"direction": "ingress", "protocol": "icmp"}), json!({"direction": "egress"})])
        .collect();
    let mut operations = vec![create("security_groups", json!({"uuid": GROUP, "rules": rules}))];
    for protection in [Protection::Plain, Protection::Filtered] {
        let [near, _] = networks(protection);
        let link = format!("rl-{}", near.0);
        operations.push(create("route_links", json!({"uuid": link})));
        for network in networks(protection) {
            let (id, leg, router) = (network_id(network), format!("if-r{}", network.0), network.router());
            let prefix = json!(PREFIX);
            operations.push(create(
                "networks",
                json!({"uuid": id, "ipv4_network": network.address(), "ipv4_prefix": prefix}),
            ));
            operations.push(create(
                "interfaces",
                json!({"uuid": leg, "mode": "simulated", "enable_routing": true, "network_uuid": id,
                    "mac_address": router.mac().to_string(), "ipv4_address": router.address()}),
            ));
            operations.push(create(
                "routes",
                json!({"uuid": format!("r-{}", network.0), "interface_uuid": leg, "network_uuid": id,
                    "route_link_uuid": link, "ipv4_network": network.address(), "ipv4_prefix": prefix}),
            ));
        }
    }
    operations.extend(Guest::all().into_iter().map(|guest| create("interfaces", interface(guest))));
    operations
}

fn network_id(network: Network) -> String {
    format!("nw-{}", network.0)
}

fn interface(guest: Guest) -> Value {
    let groups = if is_protected(guest) { json!([GROUP]) } else { json!([]) };
    json!({"uuid": guest.interface(), "network_uuid": network_id(guest.network),
        "mac_address": guest.mac().to_string(), "ipv4_address": guest.address(), "security_groups": groups})
}

fn is_protected(guest: Guest) -> bool {
    networks(Protection::Filtered).contains(&guest.network)
}

fn start_ovn(stand: &mut Stand, disk: &TempDir) -> anyhow::Result<Ovn> {
    ovn::add_bridges(stand.lab())?;
    let ovn = Ovn::start(stand.lab(), &disk.path().display().to_string())?;
    ovn.nbctl(&joined(commands()))?;
    stand.add_guests(Routers::Between)?;
    Ok(ovn)
}

fn commands() -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for protection in [Protection::Plain, Protection::Filtered] {
        let [near, _] = networks(protection);
        let router = format!("lr{}", near.0);
        commands.push(words(&format!("lr-add {router}")));
        for network in networks(protection) {
            let (number, leg) = (network.0, network.router());
            let (mac, address) = (leg.mac(), leg.address());
            let lines = [
                format!("ls-add ls{number}"),
                format!("lrp-add {router} lrp{number} {mac} {address}/{PREFIX}"),
                format!("lsp-add ls{number} r{number}"),
                format!("lsp-set-type r{number} router"),
                format!("lsp-set-addresses r{number} router"),
                format!("lsp-set-options r{number} router-port=lrp{number}"),
            ];
            commands.extend(lines.iter().map(|line| words(line)));
        }
    }
    commands.extend(Guest::all().into_iter().map(|guest| {
        let address = format!("{} {}", guest.mac(), guest.address());
        ovn::logical_port(&format!("ls{}", guest.network.0), &guest.interface(), &address)
    }));
    let members = Guest::all().into_iter().filter(|guest| is_protected(*guest)).map(Guest::interface);
    commands.push(["pg-add".to_owned(), PORT_GROUP.to_owned()].into_iter().chain(members).collect());
    let acl = |way: &str, priority: &str, what: String, verdict: &str| {
        ["acl-add", PORT_GROUP, way, priority, &what, verdict].map(str::to_owned).to_vec()
    };
    let receive = format!("outport == @{PORT_GROUP} && ");
    commands.push(acl("from-lport", "1000", format!("inport == @{PORT_GROUP} && ip"), "allow-related"));
    for what in [format!("tcp.dst == {IPERF_PORT}"), format!("tcp.dst == {PORT}"), "icmp4".to_owned()] {
        commands.push(acl("to-lport", "1000", format!("{receive}{what}"), "allow-related"));
    }
    commands.push(acl("to-lport", "900", format!("{receive}ip"), "drop"));
    commands
}

fn start_normal(stand: &mut Stand) -> anyhow::Result<()> {
    let [one, other] = stand.lab().hosts() else { anyhow::bail!("two hosts are needed") };
    join_normal(one, other)?;
    join_normal(other, one)?;
    stand.add_guests(Routers::None)
}

/// A bridge without controller is a learning switch (ovs-vswitchd.conf.db(5), "fail_mode").
fn join_normal(host: &Host, peer: &Host) -> anyhow::Result<()> {
    let bridge = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev"];
    let to = format!("options:remote_ip={}", peer.underlay_ip());
    let tunnel = ["--", "add-port", BRIDGE, "tunnel", "--", "set", "interface", "tunnel", "type=geneve", &to];
    host.ovs_vsctl(bridge.into_iter().chain(tunnel).chain(["options:key=1"]))?;
    Ok(())
}
