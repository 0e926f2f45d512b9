//! Static addresses: what stands for what, as the API writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::error::Error;
use crate::id::{NetworkId, RouteLinkId};

/// What carries ports.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// A port outside that stands for one inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// As the outside knows it.
    pub external: u16,
    /// As the inside knows it.
    pub internal: u16,
    /// Of which protocol; of either if absent.
    pub protocol: Option<Transport>,
}

/// One external address, or a port of it, that stands for an internal one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StaticAddressFields", into = "StaticAddressFields")]
pub struct StaticAddress {
    /// Stands for the entry among those of its translation.
    pub number: u16,
    /// As the outside knows it.
    pub external: IpAddr,
    /// As the inside knows it, of the same family.
    pub internal: IpAddr,
    /// Only these ports.
    pub ports: Option<Ports>,
    /// The router that takes packets inside; that of the leg's route for their source if absent.
    pub route_link_uuid: Option<RouteLinkId>,
    /// The network of the external address. Kept as given.
    pub ingress_network_uuid: Option<NetworkId>,
    /// The network of the internal address; the one that the router has a route to if absent.
    pub egress_network_uuid: Option<NetworkId>,
}

/// A static address as the API shows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = StaticAddress)]
#[serde(default)]
pub struct StaticAddressFields {
    /// Stands for the entry among those of its translation.
    number: u16,
    /// The address outside.
    #[schema(value_type = Option<String>, example = "198.51.100.5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_ipv4_address: Option<Ipv4Addr>,
    /// The address inside.
    #[schema(value_type = Option<String>, example = "10.100.0.5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_ipv4_address: Option<Ipv4Addr>,
    /// The address outside.
    #[schema(value_type = Option<String>, example = "2001:db8::5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_ipv6_address: Option<Ipv6Addr>,
    /// The address inside.
    #[schema(value_type = Option<String>, example = "fd00:100::5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_ipv6_address: Option<Ipv6Addr>,
    /// The port outside.
    ingress_port_number: Option<u16>,
    /// The port inside.
    egress_port_number: Option<u16>,
    /// Of which protocol the ports are; of both if absent.
    protocol: Option<Transport>,
    /// The router that takes packets inside.
    route_link_uuid: Option<RouteLinkId>,
    /// The network of the address outside.
    ingress_network_uuid: Option<NetworkId>,
    /// The network of the address inside.
    egress_network_uuid: Option<NetworkId>,
}

/// The attributes of a static address that users give.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StaticAddressSpec {
    /// What the API shows, and nobody can choose.
    #[schema(read_only)]
    number: Option<u16>,
    /// The address outside, if it is an IPv4 one: an IP lease of the leg.
    #[schema(value_type = Option<String>)]
    ingress_ipv4_address: Option<Ipv4Addr>,
    /// The address inside, if it is an IPv4 one.
    #[schema(value_type = Option<String>)]
    egress_ipv4_address: Option<Ipv4Addr>,
    /// The address outside, if it is an IPv6 one: an IP lease of the leg.
    #[schema(value_type = Option<String>)]
    ingress_ipv6_address: Option<Ipv6Addr>,
    /// The address inside, if it is an IPv6 one.
    #[schema(value_type = Option<String>)]
    egress_ipv6_address: Option<Ipv6Addr>,
    /// Only this port outside, 1 to 65535; with one inside.
    ingress_port_number: Option<u16>,
    /// Only this port inside, 1 to 65535; with one outside.
    egress_port_number: Option<u16>,
    /// Of which protocol the ports are; of both if absent.
    protocol: Option<Transport>,
    /// The router that takes packets inside; that of the leg's route for their source if absent.
    route_link_uuid: Option<String>,
    /// The network of the address outside. Kept as given.
    ingress_network_uuid: Option<String>,
    /// The network of the address inside; the one that the router has a route to if absent.
    egress_network_uuid: Option<String>,
}

impl StaticAddress {
    /// The networks that it names.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &NetworkId> {
        self.ingress_network_uuid.iter().chain(&self.egress_network_uuid)
    }

    /// The attribute that holds the external address.
    pub(crate) fn external_field(&self) -> &'static str {
        if self.external.is_ipv4() { "ingress_ipv4_address" } else { "ingress_ipv6_address" }
    }

    /// The attribute that holds the internal address.
    pub(crate) fn internal_field(&self) -> &'static str {
        if self.internal.is_ipv4() { "egress_ipv4_address" } else { "egress_ipv6_address" }
    }
}

impl From<StaticAddress> for StaticAddressFields {
    fn from(of: StaticAddress) -> Self {
        let (ports, fields) = (of.ports, Self::default());
        let fields = match (of.external, of.internal) {
            (IpAddr::V4(external), IpAddr::V4(internal)) => {
                Self { ingress_ipv4_address: Some(external), egress_ipv4_address: Some(internal), ..fields }
            }
            (external, internal) => Self {
                ingress_ipv6_address: Some(as_ipv6(external)),
                egress_ipv6_address: Some(as_ipv6(internal)),
                ..fields
            },
        };
        Self {
            number: of.number,
            ingress_port_number: ports.map(|ports| ports.external),
            egress_port_number: ports.map(|ports| ports.internal),
            protocol: ports.and_then(|ports| ports.protocol),
            route_link_uuid: of.route_link_uuid,
            ingress_network_uuid: of.ingress_network_uuid,
            egress_network_uuid: of.egress_network_uuid,
            ..fields
        }
    }
}

/// Both are of one family, where an entry is valid.
fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl TryFrom<StaticAddressFields> for StaticAddress {
    type Error = Error;

    fn try_from(fields: StaticAddressFields) -> Result<Self, Error> {
        let (external, internal) = addresses(&fields)?;
        Ok(Self {
            number: fields.number,
            external,
            internal,
            ports: ports(&fields)?,
            route_link_uuid: fields.route_link_uuid,
            ingress_network_uuid: fields.ingress_network_uuid,
            egress_network_uuid: fields.egress_network_uuid,
        })
    }
}

fn addresses(fields: &StaticAddressFields) -> Result<(IpAddr, IpAddr), Error> {
    let v4 = (fields.ingress_ipv4_address, fields.egress_ipv4_address);
    let v6 = (fields.ingress_ipv6_address, fields.egress_ipv6_address);
    match (v4, v6) {
        ((Some(external), Some(internal)), (None, None)) => Ok((external.into(), internal.into())),
        ((None, None), (Some(external), Some(internal))) => Ok((external.into(), internal.into())),
        ((None, None), (None, None)) => Err(Error::missing("ingress_ipv4_address")),
        ((Some(_), None), (None, None)) => Err(Error::missing("egress_ipv4_address")),
        ((None, Some(_)), (None, None)) => Err(Error::missing("ingress_ipv4_address")),
        ((None, None), (Some(_), None)) => Err(Error::missing("egress_ipv6_address")),
        ((None, None), (None, Some(_))) => Err(Error::missing("ingress_ipv6_address")),
        _ => Err(Error::unfit("ingress_ipv6_address", "both addresses are of one family: make two entries")),
    }
}

fn ports(fields: &StaticAddressFields) -> Result<Option<Ports>, Error> {
    let numbers = (fields.ingress_port_number, fields.egress_port_number);
    for (field, number) in [("ingress_port_number", numbers.0), ("egress_port_number", numbers.1)] {
        if number == Some(0) {
            return Err(Error::argument(field, "must be 1 to 65535"));
        }
    }
    match numbers {
        (Some(external), Some(internal)) => Ok(Some(Ports { external, internal, protocol: fields.protocol })),
        (None, None) if fields.protocol.is_some() => {
            Err(Error::unfit("protocol", "is for ports, and none are given"))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::missing("egress_port_number")),
        (None, Some(_)) => Err(Error::missing("ingress_port_number")),
    }
}

impl StaticAddressSpec {
    /// The entry that it describes.
    pub(crate) fn entry(self, edit: &Edit, number: u16) -> Result<StaticAddress, Error> {
        let network = |field: &'static str, id: Option<String>| {
            id.map(|id| edit.reference::<NetworkId>(field, &id)).transpose()
        };
        let link = |id: String| edit.reference::<RouteLinkId>("route_link_uuid", &id);
        StaticAddress::try_from(StaticAddressFields {
            number,
            ingress_ipv4_address: self.ingress_ipv4_address,
            egress_ipv4_address: self.egress_ipv4_address,
            ingress_ipv6_address: self.ingress_ipv6_address,
            egress_ipv6_address: self.egress_ipv6_address,
            ingress_port_number: self.ingress_port_number,
            egress_port_number: self.egress_port_number,
            protocol: self.protocol,
            route_link_uuid: self.route_link_uuid.map(link).transpose()?,
            ingress_network_uuid: network("ingress_network_uuid", self.ingress_network_uuid)?,
            egress_network_uuid: network("egress_network_uuid", self.egress_network_uuid)?,
        })
    }

    /// Whether an entry has all the attributes given.
    pub(crate) fn names(&self, entry: &StaticAddress) -> bool {
        fn fits<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let external =
            self.ingress_ipv4_address.map(IpAddr::V4).or(self.ingress_ipv6_address.map(IpAddr::V6));
        let internal = self.egress_ipv4_address.map(IpAddr::V4).or(self.egress_ipv6_address.map(IpAddr::V6));
        let text = |id: Option<&dyn ToString>| id.map(ToString::to_string);
        let id = |wanted: &Option<String>, found| fits(wanted.clone(), text(found));
        fits(self.number, Some(entry.number))
            && fits(external, Some(entry.external))
            && fits(internal, Some(entry.internal))
            && fits(self.ingress_port_number, entry.ports.map(|ports| ports.external))
            && fits(self.egress_port_number, entry.ports.map(|ports| ports.internal))
            && fits(self.protocol, entry.ports.and_then(|ports| ports.protocol))
            && id(&self.route_link_uuid, entry.route_link_uuid.as_ref().map(|id| id as &dyn ToString))
            && id(
                &self.ingress_network_uuid,
                entry.ingress_network_uuid.as_ref().map(|id| id as &dyn ToString),
            )
            && id(&self.egress_network_uuid, entry.egress_network_uuid.as_ref().map(|id| id as &dyn ToString))
    }
}
