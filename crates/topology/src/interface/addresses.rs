//! The addresses given with an interface: its leases, one of a kind.

use std::net::IpAddr;

use super::InterfaceSpec;
use crate::address::MacAddr;
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{InterfaceId, MacLeaseId, MacRangeGroupId, NetworkId};
use crate::ip_lease::IpLease;
use crate::mac_lease::MacLease;
use crate::mac_range_group::MacRangeGroup;

/// The attribute that says where a MAC address comes from.
const GROUP: &str = "mac_range_group_uuid";

/// The addresses given with an interface.
pub(super) struct Addresses {
    mac: Option<MacAddr>,
    mac_range_group: Option<MacRangeGroupId>,
    ips: Vec<IpAddr>,
}

impl Addresses {
    pub(super) fn of(edit: &Edit, spec: &InterfaceSpec) -> Result<Self, Error> {
        let ips = spec.ipv4_address.map(IpAddr::V4).into_iter().chain(spec.ipv6_address.map(IpAddr::V6));
        let find = |id: &String| edit.reference(GROUP, id);
        let mac_range_group = spec.mac_range_group_uuid.as_ref().map(find).transpose()?;
        if spec.mac_address.is_some() && mac_range_group.is_some() {
            return Err(Error::unfit(GROUP, "an address is given or allocated, not both"));
        }
        Ok(Self { mac: spec.mac_address, mac_range_group, ips: ips.collect() })
    }

    /// Whether an IP address is among them.
    pub(super) fn names_ip(&self) -> bool {
        !self.ips.is_empty()
    }

    /// Makes the leases of the interface hold these addresses. Leases in the network it has `moved` from follow it.
    pub(super) fn lease(
        mut self,
        edit: &mut Edit,
        uuid: &InterfaceId,
        moved: Option<NetworkId>,
    ) -> Result<(), Error> {
        let mac_leases = edit.topology().mac_leases_of_interface(uuid);
        // Said again of an interface that has got one, as declarative files do, it asks for nothing.
        if let (Some(group), []) = (&self.mac_range_group, mac_leases.as_slice()) {
            self.mac = Some(MacRangeGroup::allocate(edit, group)?);
        }
        let mac_lease = match (self.mac, mac_leases.as_slice()) {
            (Some(mac), []) => Some(MacLease::give(edit, uuid, mac)?),
            (Some(mac), [one]) => {
                MacLease::set_address(edit, one, mac)?;
                Some(one.clone())
            }
            (Some(_), _) => return Err(several("mac_address", "MAC")),
            (None, leases) => leases.first().cloned(),
        };
        let network = edit.interface(uuid)?.network_uuid.clone();
        if let (Some(from), Some(to)) = (&moved, &network) {
            Self::follow(edit, uuid, from, to, &self.ips)?;
        }
        self.ips
            .iter()
            .try_for_each(|ip| Self::lease_ip(edit, uuid, mac_lease.as_ref(), network.as_ref(), *ip))
    }

    fn lease_ip(
        edit: &mut Edit,
        uuid: &InterfaceId,
        mac_lease: Option<&MacLeaseId>,
        network: Option<&NetworkId>,
        ip: IpAddr,
    ) -> Result<(), Error> {
        let field = ip_field(ip);
        let mut leases = edit.topology().ip_leases_of_interface(uuid);
        leases.retain(|id| edit.ip_lease(id).is_ok_and(|lease| lease.address.ip().is_ipv4() == ip.is_ipv4()));
        match leases.as_slice() {
            [] => {
                let network = network.ok_or_else(|| Error::unfit(field, "needs a network_uuid"))?;
                let mac_lease = mac_lease.ok_or_else(|| Error::unfit(field, "needs a mac_address"))?;
                if edit.topology().mac_leases_of_interface(uuid).len() > 1 {
                    return Err(Error::unfit(field, several_macs(uuid)));
                }
                IpLease::give(edit, network, mac_lease, ip).map(|_| ())
            }
            [one] => {
                let network = edit.ip_lease(one)?.network_uuid.clone();
                IpLease::set_address(edit, one, &network, ip)
            }
            _ => Err(several(field, "IP")),
        }
    }

    fn follow(
        edit: &mut Edit,
        uuid: &InterfaceId,
        from: &NetworkId,
        to: &NetworkId,
        given: &[IpAddr],
    ) -> Result<(), Error> {
        for id in edit.topology().ip_leases_of_interface(uuid) {
            let lease = edit.ip_lease(&id)?;
            let old = lease.address.ip();
            if lease.network_uuid == *from {
                let address = given.iter().copied().find(|ip| ip.is_ipv4() == old.is_ipv4()).unwrap_or(old);
                IpLease::set_address(edit, &id, to, address)?;
            }
        }
        Ok(())
    }
}

/// Why an IP lease cannot be behind a MAC lease that nobody has named.
pub(crate) fn several_macs(uuid: &InterfaceId) -> String {
    format!("{uuid} has several MAC leases: make an IP lease with the mac_lease_uuid you mean")
}

fn several(field: &'static str, kind: &str) -> Error {
    Error::unfit(field, format!("the interface has several {kind} leases: change the lease you mean"))
}

/// The attribute that holds an address of this family.
pub(crate) fn ip_field(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "ipv4_address" } else { "ipv6_address" }
}
