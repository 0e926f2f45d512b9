//! MAC ranges: the addresses of a MAC range group.

use std::sync::Arc;

use topology::mac_range::{MacRange, MacRangeSpec};
use topology::mac_range_group::MacRangeGroup;
use topology::{Id, Topology};

use super::nested::{Nested, nested_routes};
use super::resource::plain_resource;

plain_resource!(
    "mac_ranges": MacRange in mac_ranges, MacRangeSpec, MacRanges;
    "mac_range_group_uuid", "begin_mac_address", "end_mac_address"
);

impl Nested for MacRange {
    type Owner = MacRangeGroup;
    const OWNER: &'static str = "mac_range_group_uuid";

    fn owner(&self) -> &str {
        self.mac_range_group_uuid.as_str()
    }

    fn of_owner(topology: &Topology, owner: &MacRangeGroup) -> Vec<Arc<Self>> {
        let ranges = topology.mac_ranges_of_group(&owner.uuid);
        ranges.iter().filter_map(|id| topology.mac_ranges().get(id).cloned()).collect()
    }
}

nested_routes!("mac_range_groups", "mac_ranges", "mac_range_uuid": MacRange, MacRangeSpec => MacRange);
