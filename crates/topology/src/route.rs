//! Routes: which addresses a virtual router reaches by which of its legs.
//!
//! A leg is an interface of mode `simulated` with `enable_routing`. A route attaches one to a route link, both ways:
//! packets that reach the leg and come from the route's prefix enter the router (`ingress`), and the router sends
//! packets for the prefix out by the leg (`egress`), to whom they are for or to the next hop. Of several routes that fit,
//! the longest prefix counts.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::RouteKey;
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{InterfaceId, NetworkId, RouteId, RouteLinkId};
use crate::interface::InterfaceMode;
use crate::meta::{Labels, Meta, MetaSpec};
use crate::network::{DEFAULT_IPV4_PREFIX, DEFAULT_IPV6_PREFIX};

/// Most next hops of one route: switches share flows out over them.
pub const MAX_NEXT_HOPS: usize = 64;

/// The addresses a route is for, as the API writes them: of one family, host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "PrefixFields", into = "PrefixFields")]
pub struct RoutePrefix(pub IpNet);

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct PrefixFields {
    #[schema(value_type = Option<String>, example = "10.100.0.0")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4_network: Option<Ipv4Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4_prefix: Option<u8>,
    #[schema(value_type = Option<String>, example = "fd00:100::")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_network: Option<Ipv6Addr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_prefix: Option<u8>,
}

impl From<RoutePrefix> for PrefixFields {
    fn from(RoutePrefix(net): RoutePrefix) -> Self {
        let (length, fields) = (Some(net.prefix_len()), Self::default());
        match net.network() {
            IpAddr::V4(network) => Self { ipv4_network: Some(network), ipv4_prefix: length, ..fields },
            IpAddr::V6(network) => Self { ipv6_network: Some(network), ipv6_prefix: length, ..fields },
        }
    }
}

impl TryFrom<PrefixFields> for RoutePrefix {
    type Error = Error;

    fn try_from(fields: PrefixFields) -> Result<Self, Error> {
        let (network, length, prefix_field) = match (fields.ipv4_network, fields.ipv6_network) {
            (Some(_), Some(_)) => {
                return Err(Error::unfit(
                    "ipv6_network",
                    "a route has one prefix: make another one for this",
                ));
            }
            (Some(network), None) => {
                (IpAddr::V4(network), fields.ipv4_prefix.unwrap_or(DEFAULT_IPV4_PREFIX), "ipv4_prefix")
            }
            (None, Some(network)) => {
                (IpAddr::V6(network), fields.ipv6_prefix.unwrap_or(DEFAULT_IPV6_PREFIX), "ipv6_prefix")
            }
            (None, None) => return Err(Error::missing("ipv4_network")),
        };
        let bits = if network.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        let net = IpNet::new(network, length)
            .map_err(|_| Error::argument(prefix_field, format!("must be 0 to {bits}")))?;
        if net.addr() != net.network() {
            let reason = format!("{network} has host bits set: did you mean {}?", net.network());
            return Err(Error::argument(
                if network.is_ipv4() { "ipv4_network" } else { "ipv6_network" },
                reason,
            ));
        }
        // The default length would make a default route one for addresses that nobody has.
        if network.is_unspecified() && length != 0 {
            return Err(Error::unfit(prefix_field, "must be 0 for a default route"));
        }
        Ok(Self(net))
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Route {
    /// The id.
    pub uuid: RouteId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the route in the switch.
    pub key: RouteKey,
    /// The leg.
    pub interface_uuid: InterfaceId,
    /// The network of the leg that it is about.
    pub network_uuid: NetworkId,
    /// The router.
    pub route_link_uuid: RouteLinkId,
    /// The addresses it is for.
    #[serde(flatten)]
    #[schema(value_type = PrefixFields)]
    pub prefix: RoutePrefix,
    /// Packets that come from these addresses enter the router by the leg.
    pub ingress: bool,
    /// Packets for these addresses leave the router by the leg.
    pub egress: bool,
    /// Who in the network takes the packets on; several share them by connection. If none, they go to whom they are for.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub next_hops: BTreeSet<IpAddr>,
}

/// The attributes of a route that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSpec {
    /// `r-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The leg: an interface of mode `simulated`. Required when creating.
    interface_uuid: Option<String>,
    /// The network of the leg that it is about. Required when creating.
    network_uuid: Option<String>,
    /// The router. Required when creating.
    route_link_uuid: Option<String>,
    /// The addresses it is for, if they are IPv4 ones.
    #[schema(value_type = Option<String>, example = "10.100.0.0")]
    ipv4_network: Option<Ipv4Addr>,
    /// Their prefix length in bits; 24 if absent.
    ipv4_prefix: Option<u8>,
    /// The addresses it is for, if they are IPv6 ones.
    #[schema(value_type = Option<String>, example = "fd00:100::")]
    ipv6_network: Option<Ipv6Addr>,
    /// Their prefix length in bits; 64 if absent.
    ipv6_prefix: Option<u8>,
    /// Packets that come from these addresses enter the router by the leg; true if absent.
    ingress: Option<bool>,
    /// Packets for these addresses leave the router by the leg; true if absent.
    egress: Option<bool>,
    /// Who in the network takes the packets on: addresses of the network, at most 64.
    #[schema(value_type = Option<Vec<String>>)]
    next_hops: Option<BTreeSet<IpAddr>>,
}

impl RouteSpec {
    /// The prefix that was given, if one was. What is left out of it is as it was, if the family is.
    fn prefix(&self, old: Option<RoutePrefix>) -> Result<Option<RoutePrefix>, Error> {
        let mut given = PrefixFields {
            ipv4_network: self.ipv4_network,
            ipv4_prefix: self.ipv4_prefix,
            ipv6_network: self.ipv6_network,
            ipv6_prefix: self.ipv6_prefix,
        };
        let old = old.map(PrefixFields::from).unwrap_or_default();
        if given.ipv6_network.is_none() && (given.ipv4_network.is_some() || given.ipv4_prefix.is_some()) {
            given.ipv4_network = given.ipv4_network.or(old.ipv4_network);
            given.ipv4_prefix = given.ipv4_prefix.or(old.ipv4_prefix);
        } else if given.ipv6_network.is_some() || given.ipv6_prefix.is_some() {
            given.ipv6_network = given.ipv6_network.or(old.ipv6_network);
            given.ipv6_prefix = given.ipv6_prefix.or(old.ipv6_prefix);
        } else {
            return Ok(None);
        }
        RoutePrefix::try_from(given).map(Some)
    }
}

impl Route {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<RouteId, Error> {
        let spec: RouteSpec = read(attributes)?;
        let uuid: RouteId = edit.new_id(spec.uuid.clone())?;
        let given =
            |field: &'static str, value: &Option<String>| value.clone().ok_or_else(|| Error::missing(field));
        let route = Self {
            meta: edit.new_meta(MetaSpec::default())?,
            key: edit.route_key()?,
            interface_uuid: edit
                .reference("interface_uuid", &given("interface_uuid", &spec.interface_uuid)?)?,
            network_uuid: edit.reference("network_uuid", &given("network_uuid", &spec.network_uuid)?)?,
            route_link_uuid: edit
                .reference("route_link_uuid", &given("route_link_uuid", &spec.route_link_uuid)?)?,
            prefix: spec.prefix(None)?.ok_or_else(|| Error::missing("ipv4_network"))?,
            ingress: true,
            egress: true,
            next_hops: BTreeSet::new(),
            uuid: uuid.clone(),
        };
        edit.put(route.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &RouteId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.route(uuid)?;
        let new = Self::clone(&old).merge(edit, read(attributes)?)?;
        edit.replace(&*old, new, |route| &mut route.meta);
        Ok(())
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &RouteId) -> Result<(), Error> {
        edit.route(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: RouteSpec) -> Result<Self, Error> {
        self.prefix = spec.prefix(Some(self.prefix))?.unwrap_or(self.prefix);
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(interface) = spec.interface_uuid {
            self.interface_uuid = edit.reference("interface_uuid", &interface)?;
        }
        if let Some(network) = spec.network_uuid {
            self.network_uuid = edit.reference("network_uuid", &network)?;
        }
        if let Some(link) = spec.route_link_uuid {
            self.route_link_uuid = edit.reference("route_link_uuid", &link)?;
        }
        self.ingress = spec.ingress.unwrap_or(self.ingress);
        self.egress = spec.egress.unwrap_or(self.egress);
        self.next_hops = spec.next_hops.unwrap_or(self.next_hops);
        if self.next_hops.len() > MAX_NEXT_HOPS {
            return Err(Error::unfit("next_hops", format!("must be at most {MAX_NEXT_HOPS}")));
        }
        Ok(self)
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        if edit.interface(&self.interface_uuid)?.mode != InterfaceMode::Simulated {
            let reason =
                format!("{} is not simulated, and {} needs a leg that is", self.interface_uuid, self.uuid);
            return Err(Error::unfit("interface_uuid", reason));
        }
        self.next_hops_are_near(edit)?;
        self.is_unambiguous(edit)
    }

    fn next_hops_are_near(&self, edit: &Edit) -> Result<(), Error> {
        let network = edit.network(&self.network_uuid)?;
        for hop in &self.next_hops {
            if hop.is_ipv4() != self.prefix.0.addr().is_ipv4() {
                return Err(Error::unfit(
                    "next_hops",
                    format!("{hop} and {} are of different families", self.prefix.0),
                ));
            }
            if !network.subnets.admit(*hop) {
                let reason = format!("{hop} is not in {}, in {}", network.uuid, network.subnets);
                return Err(Error::unfit("next_hops", reason));
            }
        }
        Ok(())
    }

    /// One route a prefix, out of a router and into one by a leg: else nobody could say which one counts.
    fn is_unambiguous(&self, edit: &Edit) -> Result<(), Error> {
        let topology = edit.topology();
        let same = |ids: Vec<RouteId>, also: fn(&Self, &Self) -> bool| {
            let mut routes = ids.into_iter().filter_map(|id| edit.route(&id).ok());
            routes.find(|of| of.uuid != self.uuid && of.prefix == self.prefix && also(self, of))
        };
        let out =
            same(topology.routes_of_route_link(&self.route_link_uuid), |of, other| of.egress && other.egress);
        let into =
            same(topology.routes_of_interface(&self.interface_uuid), |of, other| of.ingress && other.ingress);
        let Some(other) = out.or(into) else { return Ok(()) };
        let field = if self.prefix.0.addr().is_ipv4() { "ipv4_network" } else { "ipv6_network" };
        let message = format!("{field}: {} has the route {} already", other.route_link_uuid, other.uuid);
        Err(Error::new(ErrorKind::Duplicate, field, message))
    }
}
