//! A machine on a network: a network namespace with one NIC, and what its user would do there.

mod capture;
mod dhcp;
mod flood;
mod ping;
mod raw;
mod resolver;
mod throughput;

pub use capture::Capture;
pub use dhcp::DhcpClient;
pub use flood::Flood;
pub use ping::{LossReport, Ping, PingResult, PingStream};
pub use raw::RawSocket;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use topology::MacAddr;

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::wait::wait_until;

/// Longest time for which a socket that was just closed may be held by a process that is being started.
const HELD: Duration = Duration::from_secs(5);

/// The name of a station's NIC.
pub(crate) const NIC: &str = "eth0";

/// A network namespace with one NIC, named `eth0`. It is a [`Namespace`] too: commands run in it.
#[derive(Debug)]
pub struct Station {
    namespace: Namespace,
    mac: MacAddr,
    addresses: Mutex<Vec<IpNet>>,
}

/// What a station knows of a neighbour (ip-neighbour(8)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Where it is, if that is known.
    pub mac: Option<MacAddr>,
    /// States as `ip neighbour` names them, `REACHABLE` or `FAILED` for instance.
    pub states: Vec<String>,
}

impl Station {
    /// An address of its own for every name, locally administered and unicast (IEEE 802, section 8.4).
    pub(crate) fn mac_for(name: &str) -> MacAddr {
        // FNV-1a: the same on every run, so that a test can be read beside its captures.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let [a, b, c, d, e, ..] = hash.to_be_bytes();
        MacAddr([0x02, a, b, c, d, e])
    }

    /// Makes the namespace `name` with a NIC. The NIC's other end is a device `port` in the lab's own namespace, to be
    /// plugged in somewhere.
    pub(crate) fn create(root: &Namespace, name: &str, port: &str, mac: MacAddr, mtu: u16) -> Result<Self> {
        let namespace = root.sibling(name, Vec::new())?;
        root.shell([
            format!("ip link add name {port} mtu {mtu} type veth peer name {NIC} mtu {mtu} address {mac} netns {name}"),
            format!("ethtool -K {port} tx off"),
        ])?;
        namespace.shell([format!("ethtool -K {NIC} tx off"), format!("ip link set dev {NIC} up")])?;
        Ok(Self { namespace, mac, addresses: Mutex::default() })
    }

    /// The Ethernet address of its NIC.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    /// The addresses that it was given last, by hand or by DHCP.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpNet> {
        self.known_addresses().clone()
    }

    /// Replaces all addresses of its NIC but the link-local one.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn set_addresses(&self, addresses: &[IpNet]) -> Result<()> {
        let flush = format!("ip address flush dev {NIC} scope global");
        let add = addresses.iter().map(|address| {
            let detection = if address.addr().is_ipv6() { "nodad" } else { "" };
            format!("ip address add {address} dev {NIC} {detection}")
        });
        self.shell([flush].into_iter().chain(add))?;
        *self.known_addresses() = addresses.to_vec();
        Ok(())
    }

    /// Gives its NIC another Ethernet address, as a guest that lies about itself would.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn set_mac(&self, mac: MacAddr) -> Result<()> {
        self.exec(["ip", "link", "set", "dev", NIC, "address", &mac.to_string()]).map(drop)
    }

    /// Asks by ARP (IPv4 only) who has `address`, once a second for three seconds, and gives everybody that answers; the first
    /// answer ends the wait.
    ///
    /// # Errors
    /// As [`Namespace::attempt`].
    pub fn arping(&self, address: IpAddr) -> Result<Vec<MacAddr>> {
        let output = self.attempt(["arping", "-c", "1", "-w", "3", "-I", NIC, &address.to_string()])?;
        let bracketed = |line: &str| line.split_once('[')?.1.split_once(']')?.0.parse().ok();
        Ok(output.stdout.lines().filter(|line| line.contains("reply from")).filter_map(bracketed).collect())
    }

    /// What it knows of its neighbours.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn neighbours(&self) -> Result<Vec<Neighbour>> {
        let answer = self.exec(["ip", "-json", "neighbour", "show", "dev", NIC])?;
        let unclear = || Error::Answer { command: "ip neighbour".to_owned(), answer: answer.clone() };
        let entries: Vec<Value> = serde_json::from_str(&answer).map_err(|_| unclear())?;
        entries.iter().map(|entry| neighbour(entry).ok_or_else(unclear)).collect()
    }

    /// Makes it forget its neighbours.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn forget_neighbours(&self) -> Result<()> {
        self.exec(["ip", "neighbour", "flush", "dev", NIC]).map(drop)
    }

    /// Listens for TCP connections. The socket is the station's; it can be used from anywhere.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn tcp_listen(&self, address: SocketAddr) -> Result<TcpListener> {
        self.within(|| bound("listen in a station", || TcpListener::bind(address)))?
    }

    /// Binds a UDP socket. The socket is the station's; it can be used from anywhere.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn udp_bind(&self, address: SocketAddr) -> Result<UdpSocket> {
        self.within(|| bound("bind in a station", || UdpSocket::bind(address)))?
    }

    /// Takes over the addresses that another program has given its NIC.
    fn learn_addresses(&self) -> Result<()> {
        let answer = self.exec(["ip", "-json", "address", "show", "dev", NIC, "scope", "global"])?;
        let unclear = || Error::Answer { command: "ip address".to_owned(), answer: answer.clone() };
        let devices: Value = serde_json::from_str(&answer).map_err(|_| unclear())?;
        let entries = devices.pointer("/0/addr_info").and_then(Value::as_array).ok_or_else(unclear)?;
        *self.known_addresses() = entries.iter().filter_map(address).collect();
        Ok(())
    }

    fn known_addresses(&self) -> MutexGuard<'_, Vec<IpNet>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Station {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

/// Binds a socket. A process that is being started elsewhere has every socket of this one until it executes its program, so
/// that the port of a socket that was just closed may be in use for a moment.
fn bound<T>(step: &'static str, bind: impl Fn() -> io::Result<T>) -> Result<T> {
    let tried = wait_until(step, HELD, || match bind() {
        Err(held) if held.kind() == io::ErrorKind::AddrInUse => Err(held),
        other => Ok(other),
    })?;
    tried.map_err(|source| Error::Socket { step, source })
}

fn address(entry: &Value) -> Option<IpNet> {
    let length = u8::try_from(entry.get("prefixlen")?.as_u64()?).ok()?;
    IpNet::new(entry.get("local")?.as_str()?.parse().ok()?, length).ok()
}

fn neighbour(entry: &Value) -> Option<Neighbour> {
    let states = entry.get("state")?.as_array()?;
    Some(Neighbour {
        address: entry.get("dst")?.as_str()?.parse().ok()?,
        mac: entry.get("lladdr").and_then(Value::as_str).and_then(|mac| mac.parse().ok()),
        states: states.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}
