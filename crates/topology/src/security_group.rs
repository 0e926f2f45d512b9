//! Security groups: who may talk to whom, by what they are rather than by where they are.
//!
//! A member of groups sends and receives what a rule of one of them allows, and the answers to it; else nothing but what
//! every network needs: address resolution and DHCP. Rules only allow, so their order does not matter.
//!
//! # Identities
//! Every distinct set of groups has a key, which its members' packets carry. Rules that name groups are matched by it: how
//! many members there are costs nothing, and a new one is covered before its first packet.

use std::collections::{BTreeSet, HashSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::filter::{address, family};
use crate::id::SecurityGroupId;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::traffic::{Direction, Family, Ports, Protocol, any_or_ports};

/// Most rules of one group: each costs a few flows on every host with a member.
pub const MAX_RULES: usize = 256;

/// Most groups one interface is in.
pub const MAX_GROUPS: usize = 16;

/// One rule: what it fits is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GroupRule {
    /// Which way connections go, seen from the member.
    pub direction: Direction,
    /// Of which kind.
    pub protocol: Protocol,
    /// Port that the connection is to.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "8000-8080")]
    pub port: Option<Ports>,
    /// ICMP type.
    #[serde(default)]
    pub icmp_type: Option<u8>,
    /// ICMP code.
    #[serde(default)]
    pub icmp_code: Option<u8>,
    /// The other end is a member of this group; anyone if this and `remote_address` are absent.
    #[serde(default)]
    pub remote_group_uuid: Option<SecurityGroupId>,
    /// The other end has this address, or one in this prefix.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub remote_address: Option<IpNet>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecurityGroup {
    /// The id.
    pub uuid: SecurityGroupId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// A name for people.
    #[serde(default)]
    #[schema(required = true)]
    pub display_name: String,
    /// What members may send and receive.
    #[serde(default)]
    pub rules: Vec<GroupRule>,
}

/// The attributes of a security group that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityGroupSpec {
    /// `sg-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// All rules, in place of those there are.
    rules: Option<Vec<GroupRuleSpec>>,
}

/// A rule as users give it, or name it to take it away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupRuleSpec {
    /// Required.
    direction: Option<Direction>,
    /// `ip` if absent.
    protocol: Option<Protocol>,
    /// Port or range that connections are to; any if absent or 0.
    #[serde(deserialize_with = "any_or_ports")]
    #[schema(value_type = Option<String>)]
    port: Option<Ports>,
    /// Any if absent.
    icmp_type: Option<u8>,
    /// Any if absent.
    icmp_code: Option<u8>,
    /// The group of the other end,
    remote_group_uuid: Option<String>,
    /// or its address, with `/prefix` if wished.
    remote_address: Option<String>,
}

impl GroupRuleSpec {
    fn rule(self) -> Result<GroupRule, Error> {
        // Whether it is there is judged once a commit is complete, so that groups may name each other.
        let group =
            |text: String| text.parse().map_err(|cause| Error::invalid_uuid("remote_group_uuid", &cause));
        let rule = GroupRule {
            direction: self.direction.ok_or_else(|| Error::missing("direction"))?,
            protocol: self.protocol.unwrap_or(Protocol::Ip),
            port: self.port,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
            remote_group_uuid: self.remote_group_uuid.map(group).transpose()?,
            remote_address: self.remote_address.map(|text| address("remote_address", &text)).transpose()?,
        };
        rule.valid()?;
        Ok(rule)
    }
}

impl GroupRule {
    fn valid(&self) -> Result<(), Error> {
        self.protocol.admits([("port", self.port.is_some()); 2], (self.icmp_type, self.icmp_code))?;
        if self.protocol == Protocol::Arp {
            return Err(Error::unfit("protocol", "ARP is always allowed"));
        }
        if self.remote_group_uuid.is_some() && self.remote_address.is_some() {
            return Err(Error::unfit(
                "remote_address",
                "a rule names a group or an address: make another one",
            ));
        }
        let unfit = self.remote_address.filter(|net| !self.protocol.families().contains(&family(*net)));
        unfit.map_or(Ok(()), |net| {
            let reason = format!("{net} is of the other family than the protocol");
            Err(Error::unfit("remote_address", reason))
        })
    }

    /// The families it is for.
    pub fn families(&self) -> Vec<Family> {
        let given = self.remote_address.map(family);
        given.map_or_else(|| self.protocol.families().to_vec(), |family| vec![family])
    }
}

impl SecurityGroup {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<SecurityGroupId, Error> {
        let spec: SecurityGroupSpec = read(attributes)?;
        let uuid: SecurityGroupId = edit.new_id(spec.uuid.clone())?;
        let meta = edit.new_meta(MetaSpec::default())?;
        let group = Self { uuid: uuid.clone(), meta, display_name: String::new(), rules: Vec::new() };
        edit.put(group.merge(spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &SecurityGroupId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let spec: SecurityGroupSpec = read(attributes)?;
        Self::change(edit, uuid, |group| group.merge(spec))
    }

    /// Deletes it, if nobody is in it and no other group's rules name it: neither should change unseen.
    pub(crate) fn delete(edit: &mut Edit, uuid: &SecurityGroupId) -> Result<(), Error> {
        edit.security_group(uuid)?;
        let topology = edit.topology();
        if let Some(member) = topology.interfaces_of_security_group(uuid).first() {
            return Err(Error::unfit("uuid", format!("{member} is in {uuid}: take it out first")));
        }
        let named = topology.security_groups_naming(uuid).into_iter().find(|other| other != uuid);
        if let Some(other) = named {
            return Err(Error::unfit("uuid", format!("a rule of {other} names {uuid}: remove it first")));
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Adds a rule, as `POST /security_groups/…/rules` asks.
    pub(crate) fn add_rule(
        edit: &mut Edit,
        uuid: &SecurityGroupId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let rule = read::<GroupRuleSpec>(attributes)?.rule()?;
        Self::change(edit, uuid, |mut group| {
            group.rules.push(rule);
            group.valid()
        })
    }

    /// Takes away the rule with exactly these fields.
    pub(crate) fn remove_rule(
        edit: &mut Edit,
        uuid: &SecurityGroupId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let wanted = read::<GroupRuleSpec>(attributes)?.rule()?;
        Self::change(edit, uuid, |mut group| {
            let before = group.rules.len();
            group.rules.retain(|rule| *rule != wanted);
            if group.rules.len() == before {
                let message = format!("{} has no such rule", group.uuid);
                return Err(Error::new(ErrorKind::UnknownResource, "direction", message));
            }
            Ok(group)
        })
    }

    fn change(
        edit: &mut Edit,
        uuid: &SecurityGroupId,
        how: impl FnOnce(Self) -> Result<Self, Error>,
    ) -> Result<(), Error> {
        let old = edit.security_group(uuid)?;
        let new = how(Self::clone(&old))?;
        edit.replace(&*old, new, |group| &mut group.meta);
        Ok(())
    }

    fn merge(mut self, spec: SecurityGroupSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            self.display_name = text("display_name", name)?;
        }
        if let Some(rules) = spec.rules {
            self.rules = rules.into_iter().map(GroupRuleSpec::rule).collect::<Result<_, _>>()?;
        }
        self.valid()
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        let named = self.rules.iter().filter_map(|rule| rule.remote_group_uuid.as_ref());
        let known = edit.topology().security_groups();
        let unknown = named.into_iter().find(|group| !known.contains_key(*group));
        unknown.map_or(Ok(()), |group| Err(Error::unknown("remote_group_uuid", group)))
    }

    fn valid(self) -> Result<Self, Error> {
        if self.rules.len() > MAX_RULES {
            return Err(Error::unfit("rules", format!("a group has at most {MAX_RULES}")));
        }
        let mut rules = HashSet::with_capacity(self.rules.len());
        if !self.rules.iter().all(|rule| rules.insert(rule)) {
            return Err(Error::duplicate("direction", format!("{} has this rule already", self.uuid)));
        }
        Ok(self)
    }
}

/// The groups that users name for an interface.
pub(crate) fn groups(edit: &Edit, named: Vec<String>) -> Result<BTreeSet<SecurityGroupId>, Error> {
    let groups: BTreeSet<_> =
        named.iter().map(|id| edit.reference("security_groups", id)).collect::<Result<_, _>>()?;
    if groups.len() > MAX_GROUPS {
        return Err(Error::unfit("security_groups", format!("an interface is in at most {MAX_GROUPS}")));
    }
    Ok(groups)
}
