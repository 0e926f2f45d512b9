//! Security groups: who may talk to whom.

use topology::Action;
use topology::security_group::{GroupRule, GroupRuleSpec, SecurityGroup, SecurityGroupSpec};

use super::part::{Parts, part_routes};
use super::resource::plain_resource;

impl Parts for SecurityGroup {
    type Part = GroupRule;
    const NAME: &'static str = "rules";
    const VALUES: &'static [&'static str] =
        &["direction", "protocol", "port", "icmp_type", "icmp_code", "remote_group_uuid", "remote_address"];
    const ADD: Action = Action::AddGroupRule;
    const REMOVE: Action = Action::RemoveGroupRule;

    fn parts(&self) -> Vec<GroupRule> {
        self.rules.clone()
    }
}

plain_resource!(
    "security_groups": SecurityGroup in security_groups, SecurityGroupSpec, SecurityGroups;
    "display_name"
);
part_routes!(
    "security_groups", "rules": SecurityGroup, GroupRuleSpec => GroupRule;
    "list_security_groups_rules": "Lists its rules",
    "add_security_groups_rules": "Adds a rule",
    "remove_security_groups_rules": "Takes the rule with exactly these values away, and shows it"
);
