//! A guest: a station whose NIC is a port of a hypervisor host's switch.
//!
//! The guest's end of its veth pair stays where it is, with its addresses and connections, for as long as the guest lives;
//! the host's end is the tap that a hypervisor would make, and moves with the guest from host to host.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use topology::MacAddr;

use crate::error::{Error, Result};
use crate::host::{Host, INTEGRATION_BRIDGE};
use crate::namespace::Namespace;
use crate::station::{NIC, Station};

/// Longest name of a network device (`IFNAMSIZ` less the end of the string, netdevice(7)).
const MAX_DEVICE_NAME: usize = 15;
/// Leaves room on an underlay of 1,500 bytes for Geneve over IPv6 with options.
const DEFAULT_MTU: u16 = 1400;

/// What a guest shall be like.
#[derive(Debug, Clone)]
pub struct GuestSpec {
    name: String,
    port: String,
    mac: MacAddr,
    mtu: u16,
    iface_id: Option<String>,
    addresses: Vec<IpNet>,
    gateways: Vec<IpAddr>,
}

impl GuestSpec {
    /// A guest `name`, unique in the lab, at port `name`, with an Ethernet address made from its name, no IP address, and an
    /// MTU of 1,400.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: name.to_owned(),
            mac: Station::mac_for(name),
            mtu: DEFAULT_MTU,
            iface_id: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
        }
    }

    /// Sets the name of its port on the host's switch, of at most 15 characters.
    #[must_use]
    pub fn port(mut self, port: &str) -> Self {
        self.port = port.to_owned();
        self
    }

    /// Sets the Ethernet address of its NIC.
    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = mac;
        self
    }

    /// Sets the MTU of its NIC, in bytes.
    #[must_use]
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.mtu = bytes;
        self
    }

    /// Names its interface in `external_ids:iface-id` of its port, as a hypervisor does. Without it, only the port's name
    /// tells whose it is.
    #[must_use]
    pub fn iface_id(mut self, id: &str) -> Self {
        self.iface_id = Some(id.to_owned());
        self
    }

    /// Adds an address with the length of its prefix.
    #[must_use]
    pub fn address(mut self, address: IpNet) -> Self {
        self.addresses.push(address);
        self
    }

    /// Adds a default route. Who has one by hand does not listen to router advertisements, which would tell it an MTU.
    #[must_use]
    pub fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateways.push(gateway);
        self
    }
}

/// A guest. It is a [`Station`] too: it can ping, connect, and watch its NIC.
#[derive(Debug)]
pub struct Guest {
    station: Station,
    port: String,
    iface_id: Option<String>,
    root: Namespace,
    /// The host that it is plugged into.
    place: Mutex<Option<Namespace>>,
}

impl Guest {
    pub(crate) fn create(root: &Namespace, spec: GuestSpec, host: &Host) -> Result<Self> {
        if spec.port.len() > MAX_DEVICE_NAME {
            return Err(Error::Request(format!(
                "port name `{}` is longer than {MAX_DEVICE_NAME}",
                spec.port
            )));
        }
        let (GuestSpec { name, port, mac, mtu, iface_id, .. }, root) = (&spec, root.clone());
        let station = Station::create(&root, name, port, *mac, *mtu)?;
        let (port, iface_id) = (port.clone(), iface_id.clone());
        let guest = Self { station, port, iface_id, root, place: Mutex::default() };
        guest.set_addresses(&spec.addresses)?;
        if !spec.gateways.is_empty() {
            guest.write(format!("/proc/sys/net/ipv6/conf/{NIC}/accept_ra"), "0")?;
        }
        for gateway in spec.gateways {
            guest.exec(["ip", "route", "add", "default", "via", &gateway.to_string(), "dev", NIC])?;
        }
        guest.plug(host)?;
        Ok(guest)
    }

    /// The name of its port on the host's switch.
    #[must_use]
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The name of the host that it is plugged into.
    #[must_use]
    pub fn host_name(&self) -> Option<String> {
        self.place().as_ref().map(|host| host.name().to_owned())
    }

    /// Plugs it into a host; if it is plugged in elsewhere, it moves there as a running VM would, with its addresses and
    /// connections.
    ///
    /// # Errors
    /// As [`Namespace::exec`]; the host must have its integration bridge.
    pub fn plug(&self, host: &Host) -> Result<()> {
        self.unplug()?;
        let port = &self.port;
        self.root.exec(["ip", "link", "set", "dev", port, "netns", host.name()])?;
        // Known as plugged in before it is complete, so that a failure can be undone by unplugging.
        *self.place() = Some((**host).clone());
        host.hear_nothing_on(port)?;
        host.exec(["ip", "link", "set", "dev", port, "up"])?;
        let mut add = vec!["--may-exist", "add-port", INTEGRATION_BRIDGE, port];
        let external_id = self.iface_id.as_ref().map(|id| format!("external_ids:iface-id={id}"));
        if let Some(external_id) = &external_id {
            add.extend(["--", "set", "interface", port, external_id]);
        }
        host.ovs_vsctl(add).map(drop)
    }

    /// Takes its port off the host's switch. Its NIC loses its carrier and keeps its addresses.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn unplug(&self) -> Result<()> {
        let Some(host) = self.place().take() else { return Ok(()) };
        host.exec(["ovs-vsctl", "--timeout=10", "--if-exists", "del-port", INTEGRATION_BRIDGE, &self.port])?;
        // The lab's own network namespace is that of its first process.
        host.exec(["ip", "link", "set", "dev", &self.port, "down", "netns", "1"]).map(drop)
    }

    /// Ends the guest for good.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn remove(self) -> Result<()> {
        self.unplug()?;
        self.root.exec(["ip", "link", "delete", "dev", &self.port])?;
        self.station.forget(&self.root)
    }

    fn place(&self) -> MutexGuard<'_, Option<Namespace>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Guest {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}
