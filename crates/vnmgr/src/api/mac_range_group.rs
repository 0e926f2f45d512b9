//! MAC range groups: where MAC addresses come from that nobody names.

use topology::mac_range_group::{MacRangeGroup, MacRangeGroupSpec};

use super::resource::plain_resource;

plain_resource!(
    "mac_range_groups": MacRangeGroup in mac_range_groups, MacRangeGroupSpec, MacRangeGroups;
    "allocation_type", "last_mac_address"
);
