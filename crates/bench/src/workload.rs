//! The work that both systems are given: networks of a hundred ports, joined by one router, spread over the hosts.
//!
//! Pure: names, addresses and places, by number. Ports take turns among the hosts, so that every network is on every host:
//! the worst case for a system that sends hosts only what they need.

use std::net::Ipv4Addr;
use std::ops::Range;

use lab::MacAddr;

/// Ports of a network.
pub(crate) const NETWORK_SIZE: usize = 100;

/// Most ports: the number of a network is one byte of its addresses.
pub(crate) const MAX_PORTS: usize = NETWORK_SIZE * 256;

/// The last byte of the router's address in every network.
const ROUTER: u8 = 254;

/// A topology and the changes that are then made to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Ports of the topology.
    pub(crate) ports: usize,
    /// Hosts that they are on.
    pub(crate) hosts: usize,
    /// Single changes that follow.
    pub(crate) changes: usize,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new port in a network that is there.
    Add(Port),
    /// The one rule of the first network's ports lets another TCP port in.
    Rule(u16),
    /// A port goes to the next host, where its switch port is already.
    Move(Port),
}

/// A port, by its number. Those beyond the topology's are what is added later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Its number over all networks.
    pub(crate) number: usize,
    /// The number of its network.
    pub(crate) network: usize,
    /// Its host, counted from zero.
    pub(crate) host: usize,
    /// The last byte of its address.
    last: u8,
}

impl Port {
    /// Its name in both systems, which the switch's port names too (`external_ids:iface-id`).
    pub(crate) fn name(self) -> String {
        format!("if-p{}", self.number)
    }

    pub(crate) fn mac(self) -> MacAddr {
        let [_, _, high, low] = u32::try_from(self.network).unwrap_or(u32::MAX).to_be_bytes();
        MacAddr([2, 0, 0, high, low, self.last])
    }

    pub(crate) fn address(self) -> Ipv4Addr {
        address(self.network, self.last)
    }
}

/// The address of the router in a network.
pub(crate) fn router_address(network: usize) -> Ipv4Addr {
    address(network, ROUTER)
}

/// The MAC address of the router in a network.
pub(crate) fn router_mac(network: usize) -> MacAddr {
    Port { number: 0, network, host: 0, last: ROUTER }.mac()
}

/// A network's first address.
pub(crate) fn network_address(network: usize) -> Ipv4Addr {
    address(network, 0)
}

fn address(network: usize, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, u8::try_from(network).expect("no more networks than a byte names"), 0, last)
}

impl Workload {
    pub(crate) fn networks(&self) -> Range<usize> {
        0..self.ports.div_ceil(NETWORK_SIZE)
    }

    /// The ports of a network.
    pub(crate) fn ports_of(&self, network: usize) -> impl Iterator<Item = Port> + use<> {
        let (hosts, first) = (self.hosts, network * NETWORK_SIZE);
        let last = (first + NETWORK_SIZE).min(self.ports);
        (first..last).map(move |number| Port {
            number,
            network,
            host: number % hosts,
            last: u8::try_from(number - first + 1).expect("a network has fewer ports than addresses"),
        })
    }

    /// The ports of the topology.
    pub(crate) fn ports(&self) -> impl Iterator<Item = Port> {
        self.networks().flat_map(|network| self.ports_of(network))
    }

    /// The changes: of every kind in turn.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        (0..self.changes).map(|number| match number % 3 {
            0 => Change::Add(self.added(number / 3)),
            1 => Change::Rule(8000 + u16::try_from(number).unwrap_or(u16::MAX)),
            _ => Change::Move(self.moved(number / 3)),
        })
    }

    /// The ports that switches must have besides those of the topology: those that are added, and the new places of those
    /// that are moved.
    pub(crate) fn prepared(&self) -> impl Iterator<Item = (usize, Port)> {
        self.changes().filter_map(|change| match change {
            Change::Add(port) => Some((port.host, port)),
            Change::Rule(_) => None,
            Change::Move(port) => Some((self.after_move(port), port)),
        })
    }

    /// The ports that are plugged in after the changes, one by one: what is wanted is known by then, and a guest starts.
    pub(crate) fn plugged(&self) -> impl Iterator<Item = Port> {
        let each_kind = self.changes.div_ceil(3);
        (each_kind..2 * each_kind).map(|nth| self.added(nth))
    }

    /// Whether a port is moved later: until then, it belongs on its first host only.
    pub(crate) fn is_moved(&self, port: Port) -> bool {
        self.changes().any(|change| change == Change::Move(port))
    }

    /// Where a port goes to.
    pub(crate) fn after_move(&self, port: Port) -> usize {
        (port.host + 1) % self.hosts
    }

    /// The port that comes as the `nth`: one more in a network, beyond its hundred.
    fn added(&self, nth: usize) -> Port {
        let networks = self.networks().len();
        let beyond = NETWORK_SIZE + 1 + nth / networks;
        Port {
            number: self.ports + nth,
            network: nth % networks,
            host: nth % self.hosts,
            last: u8::try_from(beyond).expect("fewer changes than free addresses"),
        }
    }

    /// The port that is moved as the `nth`: the last come first, which no rule is about.
    fn moved(&self, nth: usize) -> Port {
        self.ports().nth(self.ports - 1 - nth).expect("fewer changes than ports")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const WORKLOAD: Workload = Workload { ports: 250, hosts: 4, changes: 50 };

    #[test]
    fn no_two_ports_share_an_address() {
        let added = WORKLOAD.changes().filter_map(|change| match change {
            Change::Add(port) => Some(port),
            _ => None,
        });
        let all: Vec<_> = WORKLOAD.ports().chain(added).chain(WORKLOAD.plugged()).collect();
        assert_eq!(all.len(), 250 + 17 + 17);
        assert_eq!(all.iter().map(|port| port.address()).collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|port| port.mac()).collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn no_port_is_moved_twice_and_every_new_place_is_another_host() {
        let moved: Vec<_> = WORKLOAD
            .changes()
            .filter_map(|change| match change {
                Change::Move(port) => Some(port),
                _ => None,
            })
            .collect();
        assert_eq!(moved.iter().map(|port| port.number).collect::<BTreeSet<_>>().len(), moved.len());
        assert!(moved.iter().all(|port| WORKLOAD.after_move(*port) != port.host));
    }
}
