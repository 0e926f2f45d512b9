//! What is measured: every way that a packet between two guests can go. Pure: names, addresses and places.

use std::fmt;
use std::net::Ipv4Addr;

use lab::MacAddr;

/// The last byte of the router's address in every network.
const ROUTER: u8 = 254;

/// Where the two ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    OneHost,
    TwoHosts,
}

/// How they are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// By one network.
    L2,
    /// By a router between two networks.
    Routed,
}

/// What protects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protection {
    /// Nothing but that they send from their own addresses.
    Plain,
    /// Both are members of a security group, whose rules are about connections.
    Filtered,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) protection: Protection,
    pub(crate) way: Way,
    pub(crate) place: Place,
}

impl Cell {
    /// Every cell, the simplest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let protections = [Protection::Plain, Protection::Filtered].into_iter();
        let ways = protections.flat_map(|protection| [Way::L2, Way::Routed].map(|way| (protection, way)));
        ways.flat_map(|(protection, way)| {
            [Place::OneHost, Place::TwoHosts].map(|place| Self { protection, way, place })
        })
    }

    /// Who connects.
    pub(crate) fn client(self) -> Guest {
        Guest { network: networks(self.protection)[0], last: 1 }
    }

    /// To whom.
    pub(crate) fn server(self) -> Guest {
        let [near, far] = networks(self.protection);
        let network = if self.way == Way::L2 { near } else { far };
        Guest { network, last: if self.place == Place::OneHost { 2 } else { 3 } }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place == Place::OneHost { "one_host" } else { "two_hosts" };
        let way = if self.way == Way::L2 { "l2" } else { "routed" };
        let protection = if self.protection == Protection::Plain { "plain" } else { "filtered" };
        write!(f, "{place}_{way}_{protection}")
    }
}

/// The networks of guests that are protected alike, which one router joins.
pub(crate) fn networks(protection: Protection) -> [Network; 2] {
    match protection {
        Protection::Plain => [Network(1), Network(2)],
        Protection::Filtered => [Network(3), Network(4)],
    }
}

/// A network, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(pub(crate) u8);

impl Network {
    pub(crate) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.0, 0, 0)
    }

    /// The router's leg, which is a guest's next hop.
    pub(crate) fn router(self) -> Guest {
        Guest { network: self, last: ROUTER }
    }
}

/// A guest, by its network and the last byte of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Guest {
    pub(crate) network: Network,
    last: u8,
}

impl Guest {
    /// Everybody who is the end of something, each once.
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<_> = Cell::all().flat_map(|cell| [cell.client(), cell.server()]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The name of its interface in every system, which the switch's port names too (`external_ids:iface-id`).
    pub(crate) fn interface(self) -> String {
        format!("if-{self}")
    }

    pub(crate) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.network.0, 0, self.last)
    }

    pub(crate) fn mac(self) -> MacAddr {
        MacAddr([2, 0, 0, 0, self.network.0, self.last])
    }

    /// Its host, counted from zero.
    pub(crate) fn host(self) -> usize {
        usize::from(self.last == 3)
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}x{}", self.network.0, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_its_name_says() {
        for cell in Cell::all() {
            let (client, server, name) = (cell.client(), cell.server(), cell.to_string());
            assert_eq!(client.host() == server.host(), name.starts_with("one_host"), "{name}");
            assert_eq!(client.network == server.network, name.contains("l2"), "{name}");
            assert_eq!(networks(Protection::Filtered).contains(&client.network), name.ends_with("filtered"));
        }
    }

    #[test]
    fn no_guest_is_at_both_ends() {
        assert_eq!(Cell::all().count(), 8);
        assert_eq!(Guest::all().len(), 10);
        assert!(Cell::all().all(|cell| cell.client() != cell.server()));
    }
}
