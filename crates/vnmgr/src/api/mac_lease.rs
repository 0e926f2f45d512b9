//! MAC leases: which addresses an interface may send from.

use topology::mac_lease::{MacLease, MacLeaseSpec};

use super::resource::plain_resource;

plain_resource!(
    "mac_leases": MacLease in mac_leases, MacLeaseSpec, MacLeases;
    "interface_uuid", "mac_address", "segment_uuid"
);
