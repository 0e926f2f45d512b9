//! Which addresses are leased, as who looks for a free one asks.
//!
//! Worked out over all leases when first asked for, and kept up from then on. Hosts never ask, nor does a manager whose users
//! give every address themselves.

use std::net::IpAddr;

use super::Topology;
use super::index::Index;
use crate::address::MacAddr;
use crate::id::{MacLeaseId, NetworkId};
use crate::multimap::MultiMap;
use crate::object::Object;
use crate::runs::Runs;

/// The leased addresses.
#[derive(Clone, Default)]
pub(super) struct Taken {
    /// Networks and segments of their own may have an address each.
    mac_leases: MultiMap<MacAddr, MacLeaseId>,
    pub(super) mac_addresses: Runs<()>,
    pub(super) ipv4_addresses: Runs<NetworkId>,
}

impl Taken {
    /// Works them out.
    pub(super) fn of(topology: &Topology) -> Self {
        let mut taken = Self::default();
        let leases = topology.mac_leases.values().cloned().map(Object::MacLease);
        for lease in leases.chain(topology.ip_leases.values().cloned().map(Object::IpLease)) {
            taken.note(&topology.index, &lease, true);
        }
        taken
    }

    /// Whether an object has a say.
    pub(super) fn is_about(object: &Object) -> bool {
        matches!(object, Object::MacLease(_) | Object::IpLease(_))
    }

    /// Adds a lease that has come into the index, or takes one away that has gone from there.
    pub(super) fn note(&mut self, index: &Index, object: &Object, present: bool) {
        match object {
            Object::MacLease(of) if present => {
                self.mac_leases.insert(of.mac_address, of.uuid.clone());
                self.mac_addresses.insert((), of.mac_address.number());
            }
            Object::MacLease(of) => {
                self.mac_leases.remove(&of.mac_address, &of.uuid);
                if self.mac_leases.first(&of.mac_address).is_none() {
                    self.mac_addresses.remove(&(), of.mac_address.number());
                }
            }
            Object::IpLease(of) => {
                let IpAddr::V4(address) = of.address.ip() else { return };
                // Two have one address in the middle of a commit in which they change addresses.
                let others = || index.ip_leases_of_address.first(&(of.network_uuid.clone(), address.into()));
                if present {
                    self.ipv4_addresses.insert(of.network_uuid.clone(), address.to_bits().into());
                } else if others().is_none() {
                    self.ipv4_addresses.remove(&of.network_uuid, address.to_bits().into());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::address::Revision;
    use crate::object::{Change, ObjectRef};

    /// Few ids and few addresses, so that leases change theirs and share them.
    const FEW: u8 = 6;

    fn change(name: u8, lease: Option<Value>, kind: &str) -> Change {
        let reference: ObjectRef = format!("{kind}-{name}").parse().expect("a reference");
        match lease {
            None => Change::Delete(reference),
            Some(lease) => {
                let object = Object::decode(&reference, lease.to_string().as_bytes());
                Change::Put(object.expect("a lease"))
            }
        }
    }

    fn mac_lease() -> impl Strategy<Value = Change> {
        (0..FEW, proptest::option::of(0..FEW)).prop_map(|(name, address)| {
            let lease = |at| {
                json!({"uuid": format!("ml-{name}"), "interface_uuid": "if-a",
                    "mac_address": MacAddr([2, 0, 0, 0, 0, at]).to_string()})
            };
            change(name, address.map(lease), "mac_leases/ml")
        })
    }

    fn ip_lease() -> impl Strategy<Value = Change> {
        (0..FEW, proptest::option::of((0..FEW, 0..2))).prop_map(|(name, address)| {
            let lease = |(at, network)| {
                json!({"uuid": format!("il-{name}"), "network_uuid": format!("nw-{network}"),
                    "ipv4_address": format!("10.0.0.{at}")})
            };
            change(name, address.map(lease), "ip_leases/il")
        })
    }

    fn told(taken: &Taken) -> Vec<String> {
        let macs = (0..FEW).map(|at| taken.mac_addresses.run(&(), MacAddr([2, 0, 0, 0, 0, at]).number()));
        let networks = ["nw-0", "nw-1"].map(|id| id.parse::<NetworkId>().expect("an id"));
        let addresses = networks.into_iter().flat_map(|network| {
            (0..FEW)
                .map(move |at| taken.ipv4_addresses.run(&network, u32::from_be_bytes([10, 0, 0, at]).into()))
        });
        macs.chain(addresses).map(|run| format!("{run:?}")).collect()
    }

    proptest! {
        #[test]
        fn whenever_it_is_first_asked_for_it_says_the_same(
            commits in proptest::collection::vec(proptest::collection::vec(prop_oneof![mac_lease(), ip_lease()], 1..5), 1..12),
        ) {
            let mut topology = Topology::default();
            topology.taken();
            for (commit, changes) in (1..).zip(commits) {
                let before = (topology.clone(), told(topology.taken()));
                topology.commit(Revision(commit), &changes);
                prop_assert_eq!(told(topology.taken()), told(&Taken::of(&topology)));
                prop_assert_eq!(told(before.0.taken()), before.1, "a clone keeps its own");
            }
        }
    }
}
