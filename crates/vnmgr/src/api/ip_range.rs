//! IP ranges: the addresses of an IP range group.

use std::sync::Arc;

use topology::ip_range::{IpRange, IpRangeSpec};
use topology::ip_range_group::IpRangeGroup;
use topology::{Id, Topology};

use super::nested::{Nested, nested_routes};
use super::resource::plain_resource;

plain_resource!(
    "ip_ranges": IpRange in ip_ranges, IpRangeSpec, IpRanges;
    "ip_range_group_uuid", "begin_ipv4_address", "end_ipv4_address"
);

impl Nested for IpRange {
    type Owner = IpRangeGroup;
    const OWNER: &'static str = "ip_range_group_uuid";

    fn owner(&self) -> &str {
        self.ip_range_group_uuid.as_str()
    }

    fn of_owner(topology: &Topology, owner: &IpRangeGroup) -> Vec<Arc<Self>> {
        let ranges = topology.ip_ranges_of_group(&owner.uuid);
        ranges.iter().filter_map(|id| topology.ip_ranges().get(id).cloned()).collect()
    }
}

nested_routes!("ip_range_groups", "ip_ranges", "ip_range_uuid": IpRange, IpRangeSpec => IpRange);
