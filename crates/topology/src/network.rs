//! Networks: addresses that are leased, over an L2 domain of their own or a segment's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::address::DomainKey;
use crate::allocation::Span;
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{Id, NetworkId, SegmentId};
use crate::lease_policy::LeasePolicy;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::relation::Relation;
use crate::translation::Translation;

/// Prefix length of an IPv4 subnet given without one, as in the original.
pub const DEFAULT_IPV4_PREFIX: u8 = 24;
/// Prefix length of an IPv6 subnet given without one (RFC 4291, section 2.5.1).
pub const DEFAULT_IPV6_PREFIX: u8 = 64;

/// How far a network or segment reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DomainMode {
    /// An overlay across hosts.
    #[default]
    Virtual,
    /// A wire that is there already, reached by the uplinks of hosts. Only for networks.
    Physical,
}

/// The addresses of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SubnetFields", into = "SubnetFields")]
pub struct Subnets {
    /// The IPv4 subnet, host bits zero.
    pub ipv4: Option<Ipv4Net>,
    /// The IPv6 subnet, host bits zero.
    pub ipv6: Option<Ipv6Net>,
}

/// [`Subnets`] as the API writes them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct SubnetFields {
    #[schema(value_type = Option<String>, example = "10.100.0.0")]
    ipv4_network: Option<Ipv4Addr>,
    ipv4_prefix: Option<u8>,
    #[schema(value_type = Option<String>, example = "fd00:100::")]
    ipv6_network: Option<Ipv6Addr>,
    ipv6_prefix: Option<u8>,
}

impl From<SubnetFields> for Subnets {
    fn from(fields: SubnetFields) -> Self {
        let ipv4 = fields.ipv4_network.zip(fields.ipv4_prefix);
        let ipv6 = fields.ipv6_network.zip(fields.ipv6_prefix);
        Self {
            ipv4: ipv4
                .and_then(|(network, prefix)| Ipv4Net::new(network, prefix).ok())
                .map(|net| net.trunc()),
            ipv6: ipv6
                .and_then(|(network, prefix)| Ipv6Net::new(network, prefix).ok())
                .map(|net| net.trunc()),
        }
    }
}

impl From<Subnets> for SubnetFields {
    fn from(subnets: Subnets) -> Self {
        Self {
            ipv4_network: subnets.ipv4.map(|net| net.network()),
            ipv4_prefix: subnets.ipv4.map(|net| net.prefix_len()),
            ipv6_network: subnets.ipv6.map(|net| net.network()),
            ipv6_prefix: subnets.ipv6.map(|net| net.prefix_len()),
        }
    }
}

impl Subnets {
    /// Whether a lease may hold the address: a host's address of the subnet, or an IPv6 link-local one.
    pub fn admit(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some_and(|net| is_host_address(net, address)),
            // RFC 4291, section 2.5.5.2: an IPv4 address in other words, which may be leased as one.
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => false,
            IpAddr::V6(address) if address.is_unicast_link_local() => self.ipv6.is_some(),
            // The subnet-router anycast address (RFC 4291, section 2.6.1) belongs to no one host.
            IpAddr::V6(address) => self.ipv6.is_some_and(|net| {
                net.contains(&address) && (address != net.network() || net.prefix_len() >= 127)
            }),
        }
    }

    /// The IPv4 addresses that a lease may hold, first to last, as numbers.
    pub(crate) fn ipv4_hosts(&self) -> Option<Span> {
        let net = self.ipv4?;
        let edge = u64::from(net.prefix_len() < 31);
        Some(u64::from(net.network().to_bits()) + edge..=u64::from(net.broadcast().to_bits()) - edge)
    }
}

impl std::fmt::Display for Subnets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.ipv4, self.ipv6) {
            (Some(ipv4), Some(ipv6)) => write!(f, "{ipv4}, {ipv6}"),
            (Some(ipv4), None) => write!(f, "{ipv4}"),
            (None, Some(ipv6)) => write!(f, "{ipv6}"),
            (None, None) => f.write_str("no subnet"),
        }
    }
}

fn is_host_address(net: Ipv4Net, address: Ipv4Addr) -> bool {
    // RFC 3021: the two addresses of a /31 are both hosts'.
    let edges = [net.network(), net.broadcast()];
    net.contains(&address) && (net.prefix_len() >= 31 || !edges.contains(&address))
}

/// An L3 network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Network {
    /// The id.
    pub uuid: NetworkId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the network on the wire, while it is on no segment.
    pub key: DomainKey,
    /// A name for people.
    #[serde(default)]
    #[schema(required = true)]
    pub display_name: String,
    /// How far it reaches.
    pub mode: DomainMode,
    /// The domain of its interfaces' names.
    #[serde(default)]
    #[schema(required = true)]
    pub domain_name: String,
    /// Its addresses.
    #[serde(flatten)]
    #[schema(value_type = SubnetFields)]
    pub subnets: Subnets,
    /// The segment it lies on, if not on an L2 domain of its own.
    #[serde(default)]
    pub segment_uuid: Option<SegmentId>,
}

/// The attributes of a network that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// `nw-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// How far it reaches.
    mode: Option<DomainMode>,
    /// Another name of `mode`, which wins.
    network_mode: Option<DomainMode>,
    /// The domain of its interfaces' names; the id without its prefix if absent.
    domain_name: Option<String>,
    /// The IPv4 subnet. A network needs an IPv4 or an IPv6 subnet.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, example = "10.100.0.0")]
    ipv4_network: Option<Option<Ipv4Addr>>,
    /// Its prefix length in bits, 1 to 32; 24 if absent.
    ipv4_prefix: Option<u8>,
    /// The IPv6 subnet.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, example = "fd00:100::")]
    ipv6_network: Option<Option<Ipv6Addr>>,
    /// Its prefix length in bits, 1 to 128; 64 if absent.
    ipv6_prefix: Option<u8>,
    /// The segment it lies on.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    segment_uuid: Option<Option<String>>,
    /// The topology to be in. Only when creating: later, `topologies/…/networks` says it.
    topology_uuid: Option<String>,
}

impl Network {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<NetworkId, Error> {
        let mut spec: NetworkSpec = read(attributes)?;
        let topology = spec.topology_uuid.take();
        let uuid: NetworkId = edit.new_id(spec.uuid.clone())?;
        let network = Self {
            meta: edit.new_meta(MetaSpec::default())?,
            key: edit.domain_key()?,
            display_name: String::new(),
            mode: DomainMode::default(),
            domain_name: uuid
                .as_str()
                .trim_start_matches(NetworkId::PREFIX)
                .trim_start_matches('-')
                .to_owned(),
            subnets: Subnets::default(),
            segment_uuid: None,
            uuid: uuid.clone(),
        };
        edit.put(network.merge(edit, spec)?);
        Relation::join_new(edit, topology, uuid.clone())?;
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &NetworkId, attributes: Attributes) -> Result<(), Error> {
        let spec: NetworkSpec = read(attributes)?;
        let old = edit.network(uuid)?;
        let new = Self::clone(&old).merge(edit, spec)?;
        new.fit_leases(edit)?;
        edit.replace(&*old, new, |network| &mut network.meta);
        Ok(())
    }

    /// Deletes it, with its leases.
    pub(crate) fn delete(edit: &mut Edit, uuid: &NetworkId) -> Result<(), Error> {
        edit.network(uuid)?;
        for lease in edit.topology().ip_leases_of_network(uuid) {
            edit.delete(lease);
        }
        for policy in edit.topology().lease_policies_of_network(uuid) {
            LeasePolicy::forget_network(edit, &policy, uuid)?;
        }
        for route in edit.topology().routes_of_network(uuid) {
            edit.delete(route);
        }
        for translation in edit.topology().translations_naming_network(uuid) {
            Translation::forget_network(edit, &translation, uuid)?;
        }
        for interface in edit.topology().interfaces_naming_network(uuid) {
            let old = edit.interface(&interface)?;
            let new = crate::interface::Interface { network_uuid: None, ..(*old).clone() };
            edit.replace(&*old, new, |interface| &mut interface.meta);
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: NetworkSpec) -> Result<Self, Error> {
        Relation::is_not_new(spec.topology_uuid.as_ref())?;
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            self.display_name = text("display_name", name)?;
        }
        if let Some(name) = spec.domain_name {
            self.domain_name = domain_name("domain_name", name)?;
        }
        self.mode = spec.network_mode.or(spec.mode).unwrap_or(self.mode);
        self.subnets.ipv4 = merge_ipv4(self.subnets.ipv4, spec.ipv4_network, spec.ipv4_prefix)?;
        self.subnets.ipv6 = merge_ipv6(self.subnets.ipv6, spec.ipv6_network, spec.ipv6_prefix)?;
        if self.subnets == Subnets::default() {
            return Err(Error::missing("ipv4_network"));
        }
        if let Some(segment) = spec.segment_uuid {
            let find = |segment: String| edit.reference::<SegmentId>("segment_uuid", &segment);
            self.segment_uuid = segment.map(find).transpose()?;
        }
        Ok(self)
    }

    /// Leases that the new subnets would leave without a network are the user's to move first.
    fn fit_leases(&self, edit: &Edit) -> Result<(), Error> {
        for id in edit.topology().ip_leases_of_network(&self.uuid) {
            let lease = edit.ip_lease(&id)?;
            let address = lease.address.ip();
            if !self.subnets.admit(address) {
                let field = if address.is_ipv4() { "ipv4_network" } else { "ipv6_network" };
                return Err(Error::unfit(
                    field,
                    format!("{id} holds {address}, which is not in {}", self.subnets),
                ));
            }
        }
        Ok(())
    }
}

pub(crate) fn domain_name(field: &'static str, name: String) -> Result<String, Error> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // RFC 1035, section 2.3.4: labels of at most 63 octets, names of at most 255.
    let valid = name.len() <= 253 && name.split('.').all(label);
    if valid { Ok(name) } else { Err(Error::argument(field, "must be a DNS name, as in `web.example`")) }
}

macro_rules! merge_subnet {
    ($merge:ident, $net:ident, $address:ident, $network_field:literal, $prefix_field:literal, $bits:literal, $default:ident) => {
        fn $merge(
            old: Option<$net>,
            network: Option<Option<$address>>,
            prefix: Option<u8>,
        ) -> Result<Option<$net>, Error> {
            let network = network.unwrap_or(old.map(|net| net.network()));
            let Some(network) = network else {
                let lonely = prefix.map(|_| Error::unfit($prefix_field, concat!("needs ", $network_field)));
                return lonely.map_or(Ok(None), Err);
            };
            let prefix = prefix.or(old.map(|net| net.prefix_len())).unwrap_or($default);
            if !(1..=$bits).contains(&prefix) {
                return Err(Error::argument($prefix_field, concat!("must be 1 to ", $bits)));
            }
            let net = $net::new(network, prefix)
                .map_err(|error| Error::argument($prefix_field, error.to_string()))?;
            if net.addr() != net.network() {
                let reason = format!("{network} has host bits set: did you mean {}?", net.network());
                return Err(Error::new(
                    ErrorKind::Argument,
                    $network_field,
                    format!("{}: {reason}", $network_field),
                ));
            }
            if network.is_multicast() || network.is_unspecified() || network.is_loopback() {
                return Err(Error::argument($network_field, "must hold addresses of hosts"));
            }
            Ok(Some(net))
        }
    };
}
merge_subnet!(merge_ipv4, Ipv4Net, Ipv4Addr, "ipv4_network", "ipv4_prefix", 32, DEFAULT_IPV4_PREFIX);
merge_subnet!(merge_ipv6, Ipv6Net, Ipv6Addr, "ipv6_network", "ipv6_prefix", 128, DEFAULT_IPV6_PREFIX);
