//! Filters: which packets interfaces may send and receive.

use topology::Action;
use topology::filter::{Filter, FilterRule, FilterRuleSpec, FilterSpec};

use super::part::{Parts, part_routes};
use super::resource::plain_resource;

impl Parts for Filter {
    type Part = FilterRule;
    const NAME: &'static str = "static";
    const VALUES: &'static [&'static str] = &[
        "protocol",
        "action",
        "direction",
        "src_address",
        "dst_address",
        "src_port",
        "dst_port",
        "icmp_type",
        "icmp_code",
        "priority",
        "log",
    ];
    const ADD: Action = Action::AddFilterRule;
    const REMOVE: Action = Action::RemoveFilterRule;

    fn parts(&self) -> Vec<FilterRule> {
        self.rules.clone()
    }
}

plain_resource!(
    "filters": Filter in filters, FilterSpec, Filters;
    "interface_uuid", "mode", "ingress_passthrough", "egress_passthrough"
);
part_routes!(
    "filters", "static": Filter, FilterRuleSpec => FilterRule;
    "list_filters_static": "Lists its rules",
    "add_filters_static": "Adds a rule",
    "remove_filters_static": "Takes the rule with exactly these values away, and shows it"
);
