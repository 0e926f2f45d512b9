//! Network services: what simulated interfaces answer besides ARP and ping.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, clearable, read};
use crate::dns_service::DnsService;
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{InterfaceId, NetworkServiceId};
use crate::interface::InterfaceMode;
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::metadata_secret::{MetadataSecret, Secret};

/// Time in seconds that guests may keep an address without asking again, if the service says nothing else.
pub const DEFAULT_LEASE_TIME: u32 = 86_400;

/// Most servers of one kind that guests are told of.
pub const MAX_SERVERS: usize = 8;

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkServiceMode {
    /// Tells guests their addresses, and how to reach others (RFC 2131).
    Dhcp,
    /// Tells names of interfaces and others (RFC 1034).
    Dns,
    /// Takes guests' requests for what they are to know of themselves to a server, and says whose they are.
    Metadata,
}

/// A service of a simulated interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NetworkService {
    /// The id.
    pub uuid: NetworkServiceId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// A name for people.
    #[serde(default)]
    pub display_name: String,
    /// What it does.
    pub mode: NetworkServiceMode,
    /// The interface that answers, for all its networks.
    pub interface_uuid: InterfaceId,
    /// How long guests may keep an address without asking again, in seconds.
    pub lease_time: u32,
    /// Name servers that guests are told of; if none, those in the guest's network.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub dns_servers: Vec<IpAddr>,
    /// Time servers that guests are told of (RFC 2132, section 8.3).
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub ntp_servers: Vec<Ipv4Addr>,
    /// Where the guests' hosts find the metadata server, if that is its mode.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub metadata_server: Option<SocketAddr>,
    /// Whether requests to it are signed with a secret.
    #[serde(default)]
    pub has_metadata_secret: bool,
}

/// The attributes of a network service that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkServiceSpec {
    /// `ns-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// What it does. Required when creating.
    mode: Option<NetworkServiceMode>,
    /// The interface that answers, of mode `simulated`. Required when creating.
    interface_uuid: Option<String>,
    /// How long guests may keep an address without asking again, in seconds; 86,400 if absent.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<u32>)]
    lease_time: Option<Option<u32>>,
    /// Name servers that guests are told of, at most 8.
    #[schema(value_type = Option<Vec<String>>)]
    dns_servers: Option<Vec<IpAddr>>,
    /// Time servers that guests are told of, at most 8.
    #[schema(value_type = Option<Vec<String>>)]
    ntp_servers: Option<Vec<Ipv4Addr>>,
    /// Where the guests' hosts find the metadata server, `ADDRESS:PORT`. Required in mode `metadata`.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    metadata_server: Option<Option<SocketAddr>>,
    /// With what requests to it are signed. It is never shown.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    metadata_secret: Option<Option<Secret>>,
}

impl NetworkService {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<NetworkServiceId, Error> {
        let spec: NetworkServiceSpec = read(attributes)?;
        let uuid: NetworkServiceId = edit.new_id(spec.uuid.clone())?;
        let interface = spec.interface_uuid.clone().ok_or_else(|| Error::missing("interface_uuid"))?;
        let service = Self {
            meta: edit.new_meta(MetaSpec::default())?,
            display_name: String::new(),
            mode: spec.mode.ok_or_else(|| Error::missing("mode"))?,
            interface_uuid: edit.reference("interface_uuid", &interface)?,
            lease_time: DEFAULT_LEASE_TIME,
            dns_servers: Vec::new(),
            ntp_servers: Vec::new(),
            metadata_server: None,
            has_metadata_secret: false,
            uuid: uuid.clone(),
        };
        let secret = spec.metadata_secret.clone().flatten();
        edit.put(service.merge(edit, spec)?);
        MetadataSecret::keep(edit, &uuid, secret)?;
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &NetworkServiceId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let old = edit.network_service(uuid)?;
        let spec: NetworkServiceSpec = read(attributes)?;
        let secret = spec.metadata_secret.clone();
        let new = Self::clone(&old).merge(edit, spec)?;
        edit.replace(&*old, new, |service| &mut service.meta);
        secret.map_or(Ok(()), |secret| MetadataSecret::keep(edit, uuid, secret))
    }

    /// Deletes it, with its DNS service and its secret.
    pub(crate) fn delete(edit: &mut Edit, uuid: &NetworkServiceId) -> Result<(), Error> {
        edit.network_service(uuid)?;
        for dns in edit.topology().dns_services_of_service(uuid) {
            DnsService::delete(edit, &dns)?;
        }
        MetadataSecret::forget(edit, uuid);
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: NetworkServiceSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            self.display_name = text("display_name", name)?;
        }
        self.mode = spec.mode.unwrap_or(self.mode);
        if let Some(interface) = spec.interface_uuid {
            self.interface_uuid = edit.reference("interface_uuid", &interface)?;
        }
        if let Some(lease_time) = spec.lease_time {
            self.lease_time = lease_time.unwrap_or(DEFAULT_LEASE_TIME);
        }
        // Guests ask again after half of it: more often would be a load, and nothing is gained.
        if self.lease_time < 60 {
            return Err(Error::unfit("lease_time", "must be at least 60 seconds"));
        }
        self.dns_servers = few("dns_servers", spec.dns_servers, self.dns_servers)?;
        self.ntp_servers = few("ntp_servers", spec.ntp_servers, self.ntp_servers)?;
        self.metadata_server = spec.metadata_server.unwrap_or(self.metadata_server);
        self.has_metadata_secret = spec.metadata_secret.map_or(self.has_metadata_secret, |of| of.is_some());
        self.check_metadata()?;
        Ok(self)
    }

    fn check_metadata(&self) -> Result<(), Error> {
        let is_metadata = self.mode == NetworkServiceMode::Metadata;
        match self.metadata_server {
            None if is_metadata => Err(Error::missing("metadata_server")),
            Some(_) if !is_metadata => {
                Err(Error::unfit("metadata_server", "only a service of mode metadata has one"))
            }
            Some(server) if !is_server(server) => Err(Error::unfit(
                "metadata_server",
                "must be an address and port that hosts reach by routers",
            )),
            _ if self.has_metadata_secret && !is_metadata => {
                Err(Error::unfit("metadata_secret", "only a service of mode metadata has one"))
            }
            _ => Ok(()),
        }
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        if edit.interface(&self.interface_uuid)?.mode == InterfaceMode::Simulated {
            return Ok(());
        }
        let reason =
            format!("{} is not simulated, and only such an interface can serve", self.interface_uuid);
        Err(Error::unfit("interface_uuid", reason))
    }
}

/// Whether guests' hosts can be sent there. What an address means on the host itself, or on one wire, is not for users to
/// reach: there may be services that take every local client for a friend.
fn is_server(server: SocketAddr) -> bool {
    let is_of_many = match server.ip().to_canonical() {
        IpAddr::V4(ip) => {
            !ip.is_unspecified()
                && !ip.is_loopback()
                && !ip.is_link_local()
                && !ip.is_multicast()
                && !ip.is_broadcast()
        }
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_multicast()
        }
    };
    is_of_many && server.port() != 0
}

fn few<T>(field: &'static str, given: Option<Vec<T>>, old: Vec<T>) -> Result<Vec<T>, Error> {
    match given {
        Some(given) if given.len() > MAX_SERVERS => {
            Err(Error::unfit(field, format!("must be at most {MAX_SERVERS}")))
        }
        given => Ok(given.unwrap_or(old)),
    }
}
