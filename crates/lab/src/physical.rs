//! The physical network of a lab: Linux bridges in its own network namespace, and the cables from them to hosts.
//!
//! There are several wires, so that one can fail without the others: the underlay carries what hosts tunnel to each other, as
//! does a second one where a lab has it, management carries what agents and managers say, and outside are machines that no
//! hypervisor runs.

use crate::error::Result;
use crate::namespace::Namespace;

/// MTU of the wires that carry no tunnels, in bytes.
pub(crate) const ORDINARY_MTU: u16 = 1500;

/// A wire that every host is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Between hosts, for tunnels.
    Underlay,
    /// Between hosts, for tunnels that are not to go by the first.
    SecondUnderlay,
    /// Between agents, managers and whoever manages.
    Management,
    /// What is not virtual: the network that edges lead to.
    Outside,
}

impl Wire {
    /// The Linux bridge's name, and the name of a host's device on it.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::Underlay => "uplink",
            Self::SecondUnderlay => "second",
            Self::Management => "management",
            Self::Outside => "outside",
        }
    }

    /// The name of the port on the wire that `label` is behind.
    pub(crate) fn port(self, label: &str) -> String {
        format!("{}-{label}", &self.device()[..1])
    }

    /// Makes the wire.
    pub(crate) fn lay(self, root: &Namespace, mtu: u16) -> Result<()> {
        let bridge = self.device();
        root.shell([
            format!("ip link add name {bridge} type bridge mcast_snooping 0"),
            format!("ip link set dev {bridge} mtu {mtu} up"),
            format!("ethtool -K {bridge} tx off"),
        ])
    }
}

/// A cable between a wire and a device of a host.
#[derive(Debug)]
pub(crate) struct Cable {
    root: Namespace,
    wire: Wire,
    port: String,
}

impl Cable {
    /// Joins the namespace `into` to `wire`, by a device with the wire's name. `label` is unique on the wire and at most
    /// 13 characters long (`IFNAMSIZ`, netdevice(7)).
    pub(crate) fn plug(
        root: &Namespace,
        wire: Wire,
        label: &str,
        into: &Namespace,
        mtu: u16,
    ) -> Result<Self> {
        let (device, inside) = (wire.device(), into.name());
        let port = wire.port(label);
        root.shell([
            format!(
                "ip link add name {port} mtu {mtu} type veth peer name {device} mtu {mtu} netns {inside}"
            ),
            format!("ethtool -K {port} tx off"),
            format!("ip link set dev {port} master {device} up"),
        ])?;
        if wire == Wire::Outside {
            into.hear_nothing_on(device)?;
        }
        into.shell([format!("ethtool -K {device} tx off"), format!("ip link set dev {device} up")])?;
        Ok(Self { root: root.clone(), wire, port })
    }

    /// Cuts the cable where nobody notices: frames vanish and both ends keep their carrier.
    pub(crate) fn cut(&self) -> Result<()> {
        self.root.exec(["ip", "link", "set", "dev", &self.port, "nomaster"]).map(drop)
    }

    /// Pulls the cable: the device inside loses its carrier.
    pub(crate) fn pull(&self) -> Result<()> {
        self.root.exec(["ip", "link", "set", "dev", &self.port, "down"]).map(drop)
    }

    /// Mends the cable.
    pub(crate) fn restore(&self) -> Result<()> {
        self.root.exec(["ip", "link", "set", "dev", &self.port, "master", self.wire.device(), "up"]).map(drop)
    }
}
