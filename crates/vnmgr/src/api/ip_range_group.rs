//! IP range groups: which addresses of a network are given to those who name none.

use topology::ip_range_group::{IpRangeGroup, IpRangeGroupSpec};

use super::resource::plain_resource;

plain_resource!(
    "ip_range_groups": IpRangeGroup in ip_range_groups, IpRangeGroupSpec, IpRangeGroups;
    "allocation_type", "last_ipv4_address"
);
