//! The work: a cloud of tenants, each with networks of its own that one router joins, on a few hosts each.
//!
//! Pure: names, addresses and places, by number. Hosts are taken in pairs, and with every pair come two tenants:
//!
//! | tenant | networks | hosts | what a change of it concerns |
//! | --- | --- | --- | --- |
//! | wide | two, of three quarters of a host's interfaces each | four, at [`WIDE`] from the pair | four hosts |
//! | narrow | one, of half a host's interfaces | two, at [`NARROW`] from the pair | two hosts |
//!
//! The distances are of both parities alike, so that all hosts carry the same; and no two of them differ by the same, so
//! that two hosts have few tenants in common.

use std::ops::Range;

use lab::MacAddr;
use serde_json::{Value, json};

/// Distances of a wide tenant's hosts from its pair.
const WIDE: [usize; 4] = [0, 1, 6, 9];

/// Distances of a narrow tenant's hosts.
const NARROW: [usize; 2] = [0, 7];

/// Fewest hosts: beyond the largest distance.
pub(super) const MIN_HOSTS: usize = 10;

/// Most hosts: their addresses have two bytes for them.
pub(super) const MAX_HOSTS: usize = 10_000;

/// Fewest interfaces of a host: a wide tenant's first network then has one for each change that moves one.
pub(super) const MIN_INTERFACES: usize = 28;

/// Most interfaces of a host: three quarters of them, those that are added and a router fit a network of 256 addresses.
pub(super) const MAX_INTERFACES: usize = 300;

/// The last byte of a router's address.
const ROUTER: usize = 254;

/// A cloud, and the changes that are then made to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cloud {
    /// Hosts: an even number.
    pub(super) hosts: usize,
    /// Interfaces of every host: a multiple of four.
    pub(super) interfaces_per_host: usize,
    /// Single changes that follow.
    pub(super) changes: usize,
}

/// A customer of the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    /// Its pair of hosts.
    pair: usize,
    /// Distances of its hosts from there.
    distances: &'static [usize],
    /// Networks.
    networks: usize,
    /// Interfaces of each of them.
    size: usize,
}

/// An interface of a tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    tenant: Tenant,
    /// Which one of the tenant's.
    number: usize,
    network: usize,
    /// Its host, counted from zero.
    pub(super) host: usize,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A new interface in a narrow tenant's network.
    Add(Guest),
    /// The rules of a wide tenant's group let another TCP port in.
    Rule(Tenant, u16),
    /// An interface of a wide tenant goes to the next of its hosts, where its switch port is already.
    Move(Guest),
}

impl Cloud {
    /// All tenants.
    pub(super) fn tenants(&self) -> impl Iterator<Item = Tenant> + use<> {
        let cloud = *self;
        self.pairs().flat_map(move |pair| [cloud.wide(pair), cloud.narrow(pair)])
    }

    fn pairs(&self) -> Range<usize> {
        0..self.hosts / 2
    }

    fn wide(&self, pair: usize) -> Tenant {
        Tenant { pair, distances: &WIDE, networks: 2, size: self.interfaces_per_host * 3 / 4 }
    }

    fn narrow(&self, pair: usize) -> Tenant {
        Tenant { pair, distances: &NARROW, networks: 1, size: self.interfaces_per_host / 2 }
    }

    /// The hosts of a tenant.
    pub(super) fn hosts_of(&self, tenant: Tenant) -> impl Iterator<Item = usize> + use<> {
        let hosts = self.hosts;
        tenant.distances.iter().map(move |distance| (2 * tenant.pair + distance) % hosts)
    }

    /// The interfaces of a tenant: those of a network come one after the other, and take turns among its hosts.
    pub(super) fn guests_of(&self, tenant: Tenant) -> impl Iterator<Item = Guest> + use<> {
        let cloud = *self;
        (0..tenant.networks * tenant.size)
            .map(move |number| cloud.guest(tenant, number, number / tenant.size))
    }

    fn guest(&self, tenant: Tenant, number: usize, network: usize) -> Guest {
        let host = self.hosts_of(tenant).nth(number % tenant.distances.len()).expect("one of its hosts");
        Guest { tenant, number, network, host }
    }

    /// Interfaces in the whole cloud, those of routers left out.
    pub(super) fn interfaces(&self) -> usize {
        self.tenants().map(|tenant| tenant.networks * tenant.size).sum()
    }

    /// For each host, how many interfaces it has to know after so many changes: those of all its tenants, with their
    /// routers'.
    pub(super) fn known(&self, changes: usize) -> Vec<usize> {
        let mut known = vec![0; self.hosts];
        let mut add = |tenant, interfaces| self.hosts_of(tenant).for_each(|host| known[host] += interfaces);
        self.tenants().for_each(|tenant| add(tenant, tenant.networks * (tenant.size + 1)));
        for change in self.changes().take(changes) {
            if let Change::Add(guest) = change {
                add(guest.tenant, 1);
            }
        }
        known
    }

    /// For each host the names of the switch ports that are to be there before: those of its interfaces, and of those
    /// that changes bring to it.
    pub(super) fn ports(&self) -> Vec<Vec<String>> {
        let mut ports = vec![Vec::new(); self.hosts];
        let guests = self.tenants().flat_map(|tenant| self.guests_of(tenant));
        guests.for_each(|guest| ports[guest.host].push(guest.name()));
        for change in self.changes() {
            match change {
                Change::Add(guest) => ports[guest.host].push(guest.name()),
                Change::Rule(..) => {}
                Change::Move(guest) => ports[self.after_move(guest)].push(guest.name()),
            }
        }
        ports
    }

    /// The changes: of every kind in turn, each to another pair of hosts as long as there are any.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> + use<> {
        let (cloud, pairs) = (*self, self.hosts / 2);
        (0..self.changes).map(move |number| {
            let pair = number * pairs.div_ceil(cloud.changes.max(1)).max(1) % pairs;
            let again = number / 3;
            match number % 3 {
                0 => {
                    let tenant = cloud.narrow(pair);
                    Change::Add(cloud.guest(tenant, tenant.size + again, 0))
                }
                1 => Change::Rule(cloud.wide(pair), 8000 + u16::try_from(number).unwrap_or_default()),
                _ => Change::Move(cloud.guest(cloud.wide(pair), again, 0)),
            }
        })
    }

    /// The hosts that a change concerns.
    pub(super) fn concerned(&self, change: Change) -> usize {
        match change {
            Change::Add(Guest { tenant, .. })
            | Change::Rule(tenant, _)
            | Change::Move(Guest { tenant, .. }) => tenant.distances.len(),
        }
    }

    /// Where an interface goes to.
    pub(super) fn after_move(&self, guest: Guest) -> usize {
        self.guest(guest.tenant, guest.number + 1, guest.network).host
    }

    /// What makes the tenants of some pairs, as one commit.
    pub(super) fn batch(&self, pairs: Range<usize>) -> Value {
        let moved: Vec<_> = self
            .changes()
            .filter_map(|change| match change {
                Change::Move(guest) => Some(guest),
                _ => None,
            })
            .collect();
        let tenants = pairs.flat_map(|pair| [self.wide(pair), self.narrow(pair)]);
        let operations = tenants.flat_map(|tenant| {
            let guests = self.guests_of(tenant).map(|guest| {
                let mut attributes = guest.attributes();
                // Until it is moved, it belongs on its first host only.
                if moved.contains(&guest) {
                    attributes["requested_host"] = json!(host_name(guest.host));
                }
                create("interfaces", attributes)
            });
            tenant.foundations().into_iter().chain(guests)
        });
        json!({"operations": operations.collect::<Vec<_>>()})
    }
}

impl Tenant {
    /// Tells it from all others.
    fn id(self) -> String {
        format!("{}{}", if self.networks > 1 { "w" } else { "n" }, self.pair)
    }

    /// Its security group.
    pub(super) fn group(self) -> String {
        format!("sg-{}", self.id())
    }

    /// Everything but guests: the group, and networks joined by a router.
    fn foundations(self) -> Vec<Value> {
        let (id, router) = (self.id(), format!("rl-{}", self.id()));
        let mut all = vec![
            create("security_groups", json!({"uuid": self.group(), "rules": rules(22)})),
            create("route_links", json!({"uuid": router})),
        ];
        for network in 0..self.networks {
            let (uuid, leg, first) =
                (self.network(network), format!("if-r{id}-{network}"), format!("10.0.{network}.0"));
            all.push(create("networks", json!({"uuid": uuid, "ipv4_network": first, "ipv4_prefix": 24})));
            all.push(create(
                "interfaces",
                json!({"uuid": leg, "mode": "simulated", "enable_routing": true, "network_uuid": uuid,
                    "mac_address": self.mac(network * 256 + ROUTER).to_string(),
                    "ipv4_address": format!("10.0.{network}.{ROUTER}")}),
            ));
            all.push(create(
                "routes",
                json!({"uuid": format!("r-{id}-{network}"), "interface_uuid": leg, "network_uuid": uuid,
                    "route_link_uuid": router, "ipv4_network": first, "ipv4_prefix": 24}),
            ));
        }
        all
    }

    fn network(self, number: usize) -> String {
        format!("nw-{}-{number}", self.id())
    }

    /// The MAC address of the `nth`: nobody else in the cloud has it.
    fn mac(self, nth: usize) -> MacAddr {
        let pair = u32::try_from(self.pair).unwrap_or(u32::MAX).to_be_bytes();
        let nth = u16::try_from(nth).unwrap_or(u16::MAX).to_be_bytes();
        let kind = if self.networks > 1 { 2 } else { 6 };
        MacAddr([kind, 0, pair[2], pair[3], nth[0], nth[1]])
    }
}

impl Guest {
    /// Its name, which the switch's port names too (`external_ids:iface-id`).
    pub(super) fn name(self) -> String {
        format!("if-{}-{}", self.tenant.id(), self.number)
    }

    /// What users say of it.
    pub(super) fn attributes(self) -> Value {
        let last = self.number - self.network * self.tenant.size + 1;
        json!({"uuid": self.name(), "network_uuid": self.tenant.network(self.network),
            "mac_address": self.tenant.mac(self.network * 256 + last).to_string(),
            "ipv4_address": format!("10.0.{}.{last}", self.network),
            "security_groups": [self.tenant.group()]})
    }
}

/// Members send what they like, and receive connections to one TCP port.
pub(super) fn rules(port: u16) -> Value {
    json!([{"direction": "egress"}, {"direction": "ingress", "protocol": "tcp", "port": port.to_string()}])
}

/// The node id of a host.
pub(super) fn host_name(host: usize) -> String {
    format!("host{host}")
}

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CLOUDS: [Cloud; 3] = [
        Cloud { hosts: 10, interfaces_per_host: 100, changes: 50 },
        Cloud { hosts: 24, interfaces_per_host: 28, changes: 60 },
        Cloud { hosts: 200, interfaces_per_host: 100, changes: 50 },
    ];

    fn guests(cloud: Cloud) -> impl Iterator<Item = Guest> {
        cloud.tenants().flat_map(move |tenant| cloud.guests_of(tenant))
    }

    fn added(cloud: Cloud) -> impl Iterator<Item = Guest> {
        cloud.changes().filter_map(|change| match change {
            Change::Add(guest) => Some(guest),
            _ => None,
        })
    }

    #[test]
    fn all_hosts_carry_the_same() {
        for cloud in CLOUDS {
            assert_eq!(cloud.interfaces(), cloud.hosts * cloud.interfaces_per_host);
            let mut carried = vec![0_usize; cloud.hosts];
            guests(cloud).for_each(|guest| carried[guest.host] += 1);
            assert!(carried.iter().all(|of| of.abs_diff(cloud.interfaces_per_host) <= 2), "{carried:?}");
        }
    }

    #[test]
    fn no_two_interfaces_share_a_name_or_a_place_in_a_network() {
        for cloud in CLOUDS {
            let all: Vec<_> = guests(cloud).chain(added(cloud)).map(Guest::attributes).collect();
            let distinct = |names: &[&str]| {
                let of =
                    |guest: &Value| names.iter().map(|name| guest[*name].to_string()).collect::<Vec<_>>();
                all.iter().map(of).collect::<BTreeSet<_>>().len()
            };
            assert_eq!(distinct(&["uuid"]), all.len());
            assert_eq!(distinct(&["mac_address"]), all.len());
            assert_eq!(distinct(&["network_uuid", "ipv4_address"]), all.len());
        }
    }

    #[test]
    fn tenants_have_as_many_hosts_as_they_ought_to() {
        for cloud in CLOUDS {
            for tenant in cloud.tenants() {
                let hosts: BTreeSet<_> = cloud.hosts_of(tenant).collect();
                assert_eq!(hosts.len(), if tenant.networks > 1 { 4 } else { 2 });
            }
        }
    }

    #[test]
    fn nothing_is_moved_twice_and_every_new_place_is_another_host() {
        for cloud in CLOUDS {
            let moved = cloud.changes().filter_map(|change| match change {
                Change::Move(guest) => Some(guest),
                _ => None,
            });
            let moved: Vec<_> = moved.collect();
            assert_eq!(moved.iter().map(|guest| guest.name()).collect::<BTreeSet<_>>().len(), moved.len());
            assert!(moved.iter().all(|guest| cloud.after_move(*guest) != guest.host));
        }
    }
}
