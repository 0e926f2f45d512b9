//! Filters: which packets an interface may send and receive.
//!
//! Rules are written from the viewpoint of what comes in: `src` is the other end, `dst` the interface's own. For what goes
//! out they are turned round. An interface with `enable_filtering` and no filter sends and receives nothing.
//!
//! # Which rule counts
//! The first that fits, in this order: higher `priority` first; then, as in the original, the longer `dst` prefix, a
//! `dst_port`, the longer `src` prefix, a `src_port`; then a protocol before `ip`; then what stops before what passes. What
//! no rule fits, `ingress_passthrough` and `egress_passthrough` decide.
//!
//! # Connections
//! Once a rule says `conn`, connections are tracked: all packets of one, either way, are judged as its first was.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{FilterId, InterfaceId};
use crate::interface::InterfaceMode;
use crate::meta::{Labels, Meta, MetaSpec};
use crate::traffic::{Direction, Family, Ports, Protocol, any_or_ports};

/// Most rules of one filter: each costs a few flows on the interface's host.
pub const MAX_RULES: usize = 512;

/// Most combinations of blocks of ports that one rule is for, each of which costs flows: what one range takes at most.
const MAX_BLOCKS: usize = 30;

/// How a filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterMode {
    /// By rules that are listed.
    Static,
}

/// What becomes of a packet.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FilterAction {
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender is told: by a reset (RFC 9293), or as administratively prohibited (RFC 1812, section
    /// 5.2.7.1; RFC 4443, section 3.1).
    Reject,
    /// It passes, and so do all packets of its connection.
    Conn,
    /// It passes.
    Pass,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FilterRule {
    /// Of which kind of packets.
    pub protocol: Protocol,
    /// What becomes of them.
    pub action: FilterAction,
    /// Only those that go this way, or both if absent.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Address or prefix of the other end.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub src_address: Option<IpNet>,
    /// The interface's own address, or a prefix.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub dst_address: Option<IpNet>,
    /// Port of the other end.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "8000-8080")]
    pub src_port: Option<Ports>,
    /// The interface's own port.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "8000-8080")]
    pub dst_port: Option<Ports>,
    /// ICMP type.
    #[serde(default)]
    pub icmp_type: Option<u8>,
    /// ICMP code.
    #[serde(default)]
    pub icmp_code: Option<u8>,
    /// The higher counts.
    #[serde(default)]
    pub priority: u16,
    /// Whether the agent writes down what it fits, within a limit.
    #[serde(default)]
    pub log: bool,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Filter {
    /// The id.
    pub uuid: FilterId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The interface it is for.
    pub interface_uuid: InterfaceId,
    /// How it decides.
    pub mode: FilterMode,
    /// Whether what comes in and no rule fits passes.
    pub ingress_passthrough: bool,
    /// Whether what goes out and no rule fits passes.
    pub egress_passthrough: bool,
    /// The rules, in the order in which they count.
    #[serde(default)]
    pub rules: Vec<FilterRule>,
}

/// The attributes of a filter that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSpec {
    /// `fil-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The interface it is for. Required when creating.
    interface_uuid: Option<String>,
    /// How it decides. Required when creating.
    mode: Option<FilterMode>,
    /// Whether what comes in and no rule fits passes; no if absent.
    ingress_passthrough: Option<bool>,
    /// Whether what goes out and no rule fits passes; no if absent.
    egress_passthrough: Option<bool>,
    /// All rules, in place of those there are.
    rules: Option<Vec<FilterRuleSpec>>,
}

/// A rule as users give it, or name it to take it away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterRuleSpec {
    /// Required.
    protocol: Option<Protocol>,
    /// Required, except for taking a rule away.
    action: Option<FilterAction>,
    /// Both ways if absent.
    direction: Option<Direction>,
    /// Address of the other end, with `/prefix` if wished; any if absent.
    src_address: Option<String>,
    /// The interface's own address, with `/prefix` if wished; any if absent.
    dst_address: Option<String>,
    /// Port or range of the other end; any if absent or 0.
    #[serde(deserialize_with = "any_or_ports")]
    #[schema(value_type = Option<String>)]
    src_port: Option<Ports>,
    /// The interface's own port or range; any if absent or 0.
    #[serde(deserialize_with = "any_or_ports")]
    #[schema(value_type = Option<String>)]
    dst_port: Option<Ports>,
    /// Any if absent.
    icmp_type: Option<u8>,
    /// Any if absent.
    icmp_code: Option<u8>,
    /// The higher counts; 0 if absent.
    priority: Option<u16>,
    /// Whether the agent writes down what it fits.
    log: Option<bool>,
}

impl FilterRuleSpec {
    /// The rule, with `action` if it names none.
    fn rule(self, action: Option<FilterAction>) -> Result<FilterRule, Error> {
        let rule = FilterRule {
            protocol: self.protocol.ok_or_else(|| Error::missing("protocol"))?,
            action: self.action.or(action).ok_or_else(|| Error::missing("action"))?,
            direction: self.direction,
            src_address: self.src_address.map(|text| address("src_address", &text)).transpose()?,
            dst_address: self.dst_address.map(|text| address("dst_address", &text)).transpose()?,
            src_port: self.src_port,
            dst_port: self.dst_port,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
            priority: self.priority.unwrap_or(0),
            log: self.log.unwrap_or(false),
        };
        rule.valid()?;
        Ok(rule)
    }
}

/// An address, or a prefix without host bits.
pub(crate) fn address(field: &'static str, text: &str) -> Result<IpNet, Error> {
    let host = text.parse::<IpAddr>().map(IpNet::from).ok();
    let net = host.or_else(|| text.parse().ok());
    let net = net.ok_or_else(|| Error::argument(field, "must be an address, with /prefix if wished"))?;
    if net.addr() != net.network() {
        let reason = format!("{text} has host bits set: did you mean {}?", net.trunc());
        return Err(Error::argument(field, reason));
    }
    Ok(net)
}

/// The family of an address.
pub(crate) fn family(net: IpNet) -> Family {
    if net.addr().is_ipv4() { Family::V4 } else { Family::V6 }
}

impl FilterRule {
    fn valid(&self) -> Result<(), Error> {
        let ports = [("src_port", self.src_port.is_some()), ("dst_port", self.dst_port.is_some())];
        self.protocol.admits(ports, (self.icmp_type, self.icmp_code))?;
        for (field, given) in [("src_address", self.src_address), ("dst_address", self.dst_address)] {
            let unfit = given.filter(|net| !self.protocol.families().contains(&family(*net)));
            if let Some(net) = unfit {
                return Err(Error::unfit(field, format!("{net} is of the other family than the protocol")));
            }
        }
        if let (Some(src), Some(dst)) = (self.src_address, self.dst_address)
            && family(src) != family(dst)
        {
            return Err(Error::unfit("dst_address", "is of another family than src_address"));
        }
        let blocks = |ports: Option<Ports>| ports.map_or(1, |ports| ports.blocks().len());
        if blocks(self.src_port) * blocks(self.dst_port) > MAX_BLOCKS {
            return Err(Error::unfit(
                "src_port",
                "two such ranges together are too many cases: make one of them a port",
            ));
        }
        if self.protocol == Protocol::Arp && matches!(self.action, FilterAction::Conn | FilterAction::Reject)
        {
            return Err(Error::unfit("action", "ARP has no connections, and nobody to tell: pass or drop"));
        }
        Ok(())
    }

    /// The families it is for.
    pub fn families(&self) -> Vec<Family> {
        let given = self.src_address.or(self.dst_address).map(family);
        given.map_or_else(|| self.protocol.families().to_vec(), |family| vec![family])
    }

    /// Whether it is for what goes this way.
    pub fn is_for(&self, direction: Direction) -> bool {
        self.direction.is_none_or(|of| of == direction)
    }

    /// What comes first in the order in which rules count.
    fn rank(&self) -> impl Ord + use<> {
        let length = |net: Option<IpNet>| net.map_or(0, |net| net.prefix_len());
        let fields = (
            self.priority,
            length(self.dst_address),
            self.dst_port.is_some(),
            length(self.src_address),
            self.src_port.is_some(),
            self.protocol != Protocol::Ip,
            self.icmp_type.is_some(),
            self.icmp_code.is_some(),
        );
        (Reverse(fields), self.action)
    }

    /// It without what it does: two rules of one filter differ in this.
    fn condition(&self) -> Self {
        Self { action: FilterAction::Pass, log: false, ..self.clone() }
    }
}

impl Filter {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<FilterId, Error> {
        let spec: FilterSpec = read(attributes)?;
        let uuid: FilterId = edit.new_id(spec.uuid.clone())?;
        let interface = spec.interface_uuid.clone().ok_or_else(|| Error::missing("interface_uuid"))?;
        let filter = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            interface_uuid: edit.reference("interface_uuid", &interface)?,
            mode: spec.mode.ok_or_else(|| Error::missing("mode"))?,
            ingress_passthrough: false,
            egress_passthrough: false,
            rules: Vec::new(),
        };
        edit.put(filter.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &FilterId, attributes: Attributes) -> Result<(), Error> {
        let spec: FilterSpec = read(attributes)?;
        Self::change(edit, uuid, |filter, edit| filter.merge(edit, spec))
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &FilterId) -> Result<(), Error> {
        edit.filter(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Adds a rule, as `POST /filters/…/static` asks.
    pub(crate) fn add_rule(edit: &mut Edit, uuid: &FilterId, attributes: Attributes) -> Result<(), Error> {
        let rule = read::<FilterRuleSpec>(attributes)?.rule(None)?;
        Self::change(edit, uuid, |mut filter, _| {
            filter.rules.push(rule);
            filter.ordered()
        })
    }

    /// Takes away the rule with exactly these fields; the action need not be named.
    pub(crate) fn remove_rule(edit: &mut Edit, uuid: &FilterId, attributes: Attributes) -> Result<(), Error> {
        let spec: FilterRuleSpec = read(attributes)?;
        let action = spec.action;
        let wanted = spec.rule(Some(FilterAction::Pass))?.condition();
        Self::change(edit, uuid, |mut filter, _| {
            let found =
                |rule: &FilterRule| rule.condition() == wanted && action.is_none_or(|of| of == rule.action);
            let before = filter.rules.len();
            filter.rules.retain(|rule| !found(rule));
            if filter.rules.len() == before {
                let message = format!("{} has no such rule", filter.uuid);
                return Err(Error::new(ErrorKind::UnknownResource, "protocol", message));
            }
            Ok(filter)
        })
    }

    fn change(
        edit: &mut Edit,
        uuid: &FilterId,
        how: impl FnOnce(Self, &Edit) -> Result<Self, Error>,
    ) -> Result<(), Error> {
        let old = edit.filter(uuid)?;
        let new = how(Self::clone(&old), edit)?;
        edit.replace(&*old, new, |filter| &mut filter.meta);
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: FilterSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(interface) = spec.interface_uuid {
            self.interface_uuid = edit.reference("interface_uuid", &interface)?;
        }
        self.mode = spec.mode.unwrap_or(self.mode);
        self.ingress_passthrough = spec.ingress_passthrough.unwrap_or(self.ingress_passthrough);
        self.egress_passthrough = spec.egress_passthrough.unwrap_or(self.egress_passthrough);
        if let Some(rules) = spec.rules {
            self.rules = rules.into_iter().map(|rule| rule.rule(None)).collect::<Result<_, _>>()?;
        }
        self.ordered()
    }

    fn ordered(mut self) -> Result<Self, Error> {
        if self.rules.len() > MAX_RULES {
            return Err(Error::unfit("rules", format!("a filter has at most {MAX_RULES}")));
        }
        self.rules.sort_by_key(FilterRule::rank);
        let mut conditions = HashSet::with_capacity(self.rules.len());
        if !self.rules.iter().all(|rule| conditions.insert(rule.condition())) {
            let reason = format!("{} has a rule for this already", self.uuid);
            return Err(Error::duplicate("protocol", reason));
        }
        Ok(self)
    }

    /// Whether connections are tracked.
    pub fn is_stateful(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == FilterAction::Conn)
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        if edit.interface(&self.interface_uuid)?.mode == InterfaceMode::Simulated {
            let reason = format!("{} is simulated, and sends nothing by itself", self.interface_uuid);
            return Err(Error::unfit("interface_uuid", reason));
        }
        let filters = edit.topology().filters_of_interface(&self.interface_uuid);
        filters.into_iter().find(|other| *other != self.uuid).map_or(Ok(()), |other| {
            let reason = format!("{} has the filter {other} already", self.interface_uuid);
            Err(Error::duplicate("interface_uuid", reason))
        })
    }
}
